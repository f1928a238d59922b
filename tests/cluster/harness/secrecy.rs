//! Secrets stay in their path (DESIGN 1): they are not in outputs, Helm's history, the inventory or events.

use std::{
    collections::BTreeSet,
    io::Read,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::harness::cluster::Cluster;

/// The objects in which text of a run ends up.
const KINDS: &str = "configmaps,events,leases.coordination.k8s.io,deployments,replicasets,serviceaccounts,services,pods,customresourcedefinitions,mutatingwebhookconfigurations,validatingwebhookconfigurations,namespaces";

/// The texts that would give `token` away: itself and its halves, each plain, percent-encoded, and in base64 at any
/// alignment and in both alphabets.
fn forms(token: &str) -> Vec<String> {
    let (first, second) = token.split_at(token.len() / 2);
    let mut forms = Vec::new();
    for text in [token, first, second] {
        assert!(text.len() > 8, "too short to be looked for");
        forms.push(text.to_owned());
        let percent = |byte: u8| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        };
        forms.push(text.bytes().map(percent).collect());
        // What stands before and after decides the characters at the ends: they are left out.
        for (before, mixed) in [("", 0), ("-", 2), ("--", 3)] {
            let encoded = STANDARD.encode(format!("{before}{text}"));
            let clean = (before.len() + text.len()) * 4 / 3;
            let clean = encoded[mixed..clean].to_owned();
            forms.push(clean.replace('+', "-").replace('/', "_"));
            forms.push(clean);
        }
    }
    forms
}

/// Which of the tokens' forms is in `text`.
fn given_away(text: &str, tokens: &[String]) -> bool {
    tokens
        .iter()
        .flat_map(|token| forms(token))
        .any(|form| text.contains(&form))
}

#[test]
fn a_token_is_found_in_all_its_forms() {
    let token = "ghp_0123456789abcdefghijABCDEFGHIJ012345".to_owned();
    let tokens = [token.clone()];
    let half = &token[20..];
    for text in [
        format!("x{token}x"),
        format!("…{half}…"),
        STANDARD.encode(format!("user:{token}\n")),
        STANDARD.encode(format!("ab{half}c")),
        STANDARD.encode(format!("abc{half}cd")),
    ] {
        assert!(given_away(&text, &tokens), "{text}");
    }
    assert!(!given_away("ghp_0123 and others", &tokens));
}

/// Looks at the command lines of all processes, and at the environment of helm's, until it is asked what it saw.
pub(crate) struct Watched {
    stop: Arc<AtomicBool>,
    seen: JoinHandle<(BTreeSet<String>, BTreeSet<String>)>,
}

impl Watched {
    /// Ends the watching. No process had a token in its arguments, and helm had none in its environment.
    pub(crate) fn assert_no_secret(self, tokens: &[String]) {
        self.stop.store(true, Ordering::Relaxed);
        let (arguments, environments) = self.seen.join().unwrap();
        assert!(
            arguments.iter().any(|it| it.contains("helm")),
            "helm was not seen"
        );
        assert!(!environments.is_empty(), "helm's environment was not seen");
        for text in arguments.iter().chain(&environments) {
            assert!(!given_away(text, tokens), "a process was given a token");
        }
    }
}

fn watch(stop: &AtomicBool) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut arguments, mut environments) = (BTreeSet::new(), BTreeSet::new());
    let text = |path: PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    while !stop.load(Ordering::Relaxed) {
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = text(process.path().join("cmdline"));
            let program = line.split(' ').next().unwrap_or_default();
            if program.ends_with("/helm") {
                environments.insert(text(process.path().join("environ")));
            }
            arguments.insert(line);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    environments.remove("");
    (arguments, environments)
}

impl Cluster {
    /// Begins to look at what processes are given.
    pub(crate) fn watch_processes(&self) -> Watched {
        assert!(!self.tokens().is_empty());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let seen = std::thread::spawn(move || watch(&stopped));
        Watched { stop, seen }
    }

    /// Every place that a token must not be in.
    pub(crate) fn assert_no_secret(&self) {
        let tokens = self.tokens();
        let hidden = |place: &str, text: &str| {
            assert!(!given_away(text, &tokens), "the token is in {place}");
        };
        for output in self.outputs() {
            hidden("arcctl's output", &output);
        }
        hidden(
            "an object",
            &self.kubectl(&["get", KINDS, "-A", "-o", "json"], None),
        );
        for (name, value) in self.other_secrets() {
            hidden(&name, &value);
        }
        let ours = "owner=helm,arcctl.dev/profile";
        for (name, record) in self.release_records(ours) {
            hidden(&name, &record);
        }
    }

    /// All values of all Secrets but those that a controller reads its credential from, decoded.
    fn other_secrets(&self) -> Vec<(String, String)> {
        let text = self.kubectl(&["get", "secrets", "-A", "-o", "json"], None);
        let list: Value = serde_json::from_str(&text).unwrap();
        let secrets = list["items"].as_array().unwrap().iter();
        let others = secrets.filter(|it| !has_credential(it["metadata"]["name"].as_str().unwrap()));
        let mut values = Vec::new();
        for secret in others {
            let name = secret["metadata"]["name"].as_str().unwrap();
            values.push((
                format!("the metadata of {name}"),
                secret["metadata"].to_string(),
            ));
            for (key, value) in secret["data"].as_object().into_iter().flatten() {
                let value = STANDARD.decode(value.as_str().unwrap()).unwrap();
                let value = String::from_utf8_lossy(&value).into_owned();
                values.push((format!("key {key} of {name}"), value));
            }
        }
        values
    }

    /// The decoded record of each revision that `selector` finds, by the name of its Secret.
    pub(crate) fn release_records(&self, selector: &str) -> Vec<(String, String)> {
        let text = self.kubectl(
            &["get", "secrets", "-A", "-l", selector, "-o", "json"],
            None,
        );
        let list: Value = serde_json::from_str(&text).unwrap();
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|secret| {
                let name = secret["metadata"]["name"].as_str().unwrap().to_owned();
                (name, record(secret["data"]["release"].as_str().unwrap()))
            })
            .collect()
    }

    /// The controller's Secret has the token, byte for byte, and nothing else has it.
    pub(crate) fn assert_secret_is(&self, token: &str) {
        let secret = self.get("secret", "actions-runner-system", "controller-manager");
        let data = secret["data"].as_object().unwrap();
        assert_eq!(data.keys().collect::<Vec<_>>(), ["github_token"]);
        let value = STANDARD
            .decode(data["github_token"].as_str().unwrap())
            .unwrap();
        assert_eq!(value, token.as_bytes());
    }
}

/// The controllers' Secrets, and the copy that GitHub's own makes for each listener (scale-sets.md 3).
fn has_credential(secret: &str) -> bool {
    secret == "controller-manager"
        || secret.starts_with("arcctl-github")
        || secret.ends_with("-listener-config")
}

/// A release as JSON: base64 (the Secret's), base64 (helm's), gzip.
fn record(data: &str) -> String {
    let packed = STANDARD.decode(STANDARD.decode(data).unwrap()).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("\"manifest\""), "not a release: {text}");
    text
}

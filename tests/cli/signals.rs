//! Signals, and arguments that are not UTF-8: exit code and final output.

#![expect(
    clippy::disallowed_methods,
    reason = "the program itself is what is looked at"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set up its server has failed"
)]

use std::{
    ffi::OsStr,
    net::{TcpListener, TcpStream},
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use regex::Regex;
use serde_json::Value;

/// How long a program may take to come to a place.
const PATIENCE: Duration = Duration::from_secs(20);

/// An API server that takes connections and answers nothing; each is told.
fn silent_server() -> (String, Receiver<TcpStream>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, connections) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if sender.send(stream).is_err() {
                return;
            }
        }
    });
    (url, connections)
}

/// `arcctl plan -o json` that waits for that server; through a shell that does `before` first.
fn waiting(directory: &Path, before: &str) -> (Child, TcpStream) {
    let (url, connections) = silent_server();
    let profile = include_str!("../../profiles/repository.yaml");
    let repository = Regex::new(r"(?m)^  repository: .*").unwrap();
    let profile = repository.replace(profile, format!("  url: {url}\n  enterprise: dogecompany"));
    std::fs::write(directory.join("arcctl.yaml"), profile.as_ref()).unwrap();
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: build-cluster\nclusters: [{{name: c, cluster: {{server: \"{url}\"}}}}]\n\
         users: [{{name: c, user: {{}}}}]\ncontexts: [{{name: build-cluster, context: {{cluster: c, user: c}}}}]\n"
    );
    std::fs::write(directory.join("kubeconfig"), kubeconfig).unwrap();
    let helm = directory.join("helm");
    std::fs::write(&helm, "#!/bin/sh\nexit 1\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&helm, executable).unwrap();
    let program = env!("CARGO_BIN_EXE_arcctl");
    let child = Command::new("/bin/sh")
        .args(["-c", &format!("{before} exec {program} plan -o json")])
        .current_dir(directory)
        .env_clear()
        .env("PATH", directory)
        .env("KUBECONFIG", directory.join("kubeconfig"))
        .env("TMPDIR", directory)
        .env("ARCCTL_GITHUB_TOKEN", "ghp_abcdefghij0123456789")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let connection = connections.recv_timeout(PATIENCE).unwrap();
    (child, connection)
}

fn signal(child: &Child, name: &str) {
    let arguments = [format!("-{name}"), child.id().to_string()];
    assert!(
        Command::new("kill")
            .args(arguments)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn each_signal_ends_the_run_with_its_code_and_one_document() {
    for (name, code, outcome) in [
        ("INT", 130, "interrupted before the first step"),
        ("TERM", 143, "terminated before the first step"),
        ("HUP", 129, "the terminal was closed"),
        ("QUIT", 131, "at once"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (child, _connection) = waiting(directory.path(), "");
        signal(&child, name);
        let ended = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{name}: {stderr}");
        let document: Value = serde_json::from_slice(&ended.stdout)
            .unwrap_or_else(|it| panic!("{name}: no document: {it}: {stderr}"));
        assert_eq!(document["schema"], "arcctl.plan/v1", "{name}");
        let message = document["error"]["message"].as_str().unwrap();
        assert!(message.contains(outcome), "{name}: {message}");
        let left: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .flatten()
            .map(|it| it.file_name().to_string_lossy().into_owned())
            .filter(|it| it.starts_with("arcctl-"))
            .collect();
        assert_eq!(left, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn who_is_started_with_hangups_ignored_goes_on_without_its_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let (child, connection) = waiting(directory.path(), "trap '' HUP;");
    signal(&child, "HUP");
    signal(&child, "TERM");
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(143), "SIGHUP was not ignored");
    drop(connection);
}

#[test]
fn an_argument_that_is_no_text_is_wrong_usage() {
    for arguments in [
        &[&b"plan"[..], b"--context", b"\xff", b"-o", b"json"][..],
        &[b"plan", b"-o", b"json", b"\xfe\xff"],
        &[b"\xff", b"-o", b"json"],
        &[b"plan", b"-o", b"json", b"--\xff"],
        &[b"teardown", b"--name", b"\xc3\x28", b"-ojson"],
        &[b"up", b"--timeout", b"\xff", b"-o=json"],
    ] {
        let ended = Command::new(env!("CARGO_BIN_EXE_arcctl"))
            .args(arguments.iter().map(|it| OsStr::from_bytes(it)))
            .env_clear()
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(64), "{arguments:?}: {stderr}");
        let document: Value = serde_json::from_slice(&ended.stdout)
            .unwrap_or_else(|it| panic!("{arguments:?}: no document: {it}: {stderr}"));
        assert_eq!(document["error"]["code"], 64, "{arguments:?}");
    }
}

//! docs/json.md against the JSON documents: each emitted key is documented with its type, and each documented key is
//! emitted.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the documents has failed"
)]

mod documents;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use documents::*;

use crate::repository::{empty, files_in, root, shown, stdout, text};

/// Key → type, by schema; `error` has a section of its own.
type Documented = BTreeMap<String, BTreeMap<String, String>>;

/// The tables of docs/json.md.
fn documented() -> Documented {
    let mut sections = Documented::new();
    let mut section = String::new();
    for line in text("docs/json.md").lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            heading.clone_into(&mut section);
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(key) = cells
            .get(1)
            .and_then(|it| it.strip_prefix('`'))
            .and_then(|it| it.strip_suffix('`'))
        else {
            continue;
        };
        let of = sections.entry(section.clone()).or_default();
        of.insert(key.to_owned(), cells[2].to_owned());
    }
    sections
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(it) if it.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// Whether `value` is of the type that a table says, for example `string or null`.
fn is_of_type(value: &Value, documented: &str) -> bool {
    let kind = kind(value);
    documented.split(" or ").any(|it| {
        it == kind
            || it == "any"
            || (it == "number" && kind == "integer")
            || it == "time" && kind == "string"
    })
}

/// Walks a document and notes what is not in the table of its schema.
struct Walk<'a> {
    documented: &'a Documented,
    seen: &'a mut BTreeSet<(String, String)>,
    wrong: Vec<String>,
}

impl Walk<'_> {
    fn document(&mut self, document: &Value) {
        // A failure before the command is known has nothing but `error`.
        let schema = document["schema"].as_str().unwrap_or("Any command");
        self.object(schema, "", document);
    }

    fn object(&mut self, section: &str, prefix: &str, value: &Value) {
        for (key, value) in value.as_object().into_iter().flatten() {
            self.value(section, &format!("{prefix}{key}"), value);
        }
    }

    fn value(&mut self, section: &str, key: &str, value: &Value) {
        let table = self.documented.get(section);
        let Some(documented) = table.and_then(|it| it.get(key)) else {
            self.wrong.push(format!("{section}: `{key}` is not there"));
            return;
        };
        self.seen.insert((section.to_owned(), key.to_owned()));
        if !is_of_type(value, documented) {
            self.wrong.push(format!(
                "{section}: `{key}` is {}, not {documented}",
                kind(value)
            ));
        }
        if documented.contains("any") {
            return;
        }
        let is_error = matches!(key.rsplit('.').next(), Some("error" | "planError"));
        match value {
            Value::Object(_) if is_error => self.object("Errors", "", value),
            Value::Object(_) => self.object(section, &format!("{key}."), value),
            Value::Array(items) => {
                for item in items {
                    self.value(section, &format!("{key}[]"), item);
                }
            }
            _ => {}
        }
    }
}

fn check(documents: &[Value]) -> BTreeSet<(String, String)> {
    let documented = documented();
    let mut seen = BTreeSet::new();
    let mut walk = Walk {
        documented: &documented,
        seen: &mut seen,
        wrong: Vec::new(),
    };
    for document in documents {
        walk.document(document);
    }
    assert!(walk.wrong.is_empty(), "docs/json.md: {:#?}", walk.wrong);
    seen
}

fn run(arguments: &[&str], code: i32) -> Value {
    let directory = empty();
    let text = stdout(directory.path(), arguments, code);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

/// What the commands say that need no network, for each shipped profile.
fn offline() -> Vec<Value> {
    let mut documents = Vec::new();
    for profile in files_in("profiles/", "yaml") {
        let profile = shown(&root().join(profile));
        for command in [
            &["plan", "--offline"][..],
            &["schedule"][..],
            &["render", "files"][..],
            &["render", "flux", "--format", "flux", "--no-crds"][..],
            &["explain", "pools.containerMode"][..],
            &["explain"][..],
        ] {
            let arguments = [command, &["-o", "json", "-f", &profile]].concat();
            let document = run(&arguments, 0);
            assert_eq!(document["error"], Value::Null, "{arguments:?}");
            documents.push(document);
        }
    }
    documents
}

/// What each command says when its profile is not there, and when it is called wrongly.
fn failures() -> Vec<Value> {
    let mut documents = Vec::new();
    for (command, schema) in [
        (&["plan"][..], "arcctl.plan/v1"),
        (&["up", "--yes"][..], "arcctl.run/v1"),
        (&["verify"][..], "arcctl.run/v1"),
        (&["status"][..], "arcctl.status/v1"),
        (&["doctor"][..], "arcctl.doctor/v1"),
        (&["images", "update"][..], "arcctl.images/v1"),
        (&["lock"][..], "arcctl.lock/v1"),
        (&["bundle", "create"][..], "arcctl.bundle/v1"),
        (
            &["migrate", "basic", "--to", "scaleSet", "--yes"][..],
            "arcctl.migration/v1",
        ),
        (&["upgrade", "--yes"][..], "arcctl.upgrade/v1"),
        (&["rollback", "--yes"][..], "arcctl.upgrade/v1"),
        (&["schedule"][..], "arcctl.schedule/v1"),
        (&["smoke"][..], "arcctl.smoke/v1"),
        (&["render", "files"][..], "arcctl.render/v1"),
    ] {
        let document = run(&[command, &["-o", "json"]].concat(), 65);
        assert_eq!(document["schema"], schema);
        assert_eq!(document["error"]["code"], 65, "{document}");
        documents.push(document);
        let document = run(&[command, &["-o", "json", "--no-such-flag"]].concat(), 64);
        assert_eq!(document["schema"], schema);
        assert_eq!(document["error"]["code"], 64, "{document}");
        documents.push(document);
    }
    documents.push(run(&["explain", "nonsense", "-o", "json"], 64));
    documents.push(run(&["no-such-command", "-o", "json"], 64));
    // Without a terminal it names the flags.
    let document = run(&["init", "-o", "json"], 64);
    assert_eq!(document["schema"], "arcctl.init/v1");
    documents.push(document);
    documents
}

#[test]
fn a_key_that_is_not_documented_is_seen() {
    let documented = documented();
    let mut walk = Walk {
        documented: &documented,
        seen: &mut BTreeSet::new(),
        wrong: Vec::new(),
    };
    walk.document(&json!({"schema": "arcctl.plan/v1", "surprise": 1, "profile": 1}));
    assert_eq!(
        walk.wrong,
        [
            "arcctl.plan/v1: `profile` is integer, not string",
            "arcctl.plan/v1: `surprise` is not there"
        ]
    );
}

#[test]
fn every_key_of_every_document_is_documented_and_every_documented_key_is_emitted() {
    let mut documents = offline();
    documents.extend(failures());
    documents.extend([
        plan_document(),
        run_document(),
        status_document(),
        images_document(),
        lock_document(),
        bundle_document(),
        migration_document(),
        crate::upgrade::document(),
        doctor_document(),
        smoke_document(),
        schedule_document(),
        init_document(),
        arcctl::report::status::failure("", &error()),
    ]);
    let seen = check(&documents);
    let unseen: Vec<(String, String)> = documented()
        .into_iter()
        .flat_map(|(section, keys)| keys.into_keys().map(move |key| (section.clone(), key)))
        .filter(|it| !seen.contains(it))
        .collect();
    assert!(
        unseen.is_empty(),
        "docs/json.md has keys that no document has: {unseen:#?}"
    );
}

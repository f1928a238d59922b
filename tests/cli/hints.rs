//! Hints for unknown causes: each names the one next place to look. A hint that only repeats the user's action, or leads
//! back to it, fails.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the source has failed"
)]

use std::collections::BTreeMap;

use regex::Regex;

use crate::repository::{files_in, text};

/// What marks a hint as one for an unknown cause.
const UNKNOWN: &str = "the cause is not known";

/// The places that can be looked at next.
const PLACES: [&str; 6] = [
    "`arcctl doctor`",
    "`kubectl ",
    "`helm ",
    "`aws ",
    "CloudTrail",
    "audit log",
];

/// Advice that was given for everything, and helped with nothing.
const EMPTY: [&str; 9] = [
    "give it longer",
    "check that helm works",
    "use a classic token with",
    "check the profile's `aws`",
    "check the profile's values",
    "if it stays",
    "wait a minute",
    "`arcctl up` says why",
    "try again later",
];

/// Where hints for a failure come from; the doctor's fixes are held against its own rules.
const AREAS: [&str; 8] = [
    "src/clients/",
    "src/inventory",
    "src/observe/",
    "src/execute/",
    "src/terminal/",
    "src/session/",
    "src/run/",
    "src/cli/",
];

/// What a command needs to run as it is printed. Source: the AWS CLI's reference (required options).
const NEEDS: [(&str, &str); 14] = [
    ("aws eks create-access-entry", "--cluster-name "),
    ("aws eks create-addon", "--cluster-name "),
    ("aws eks create-pod-identity-association", "--cluster-name "),
    ("aws eks delete-pod-identity-association", "--cluster-name "),
    ("aws eks describe-cluster", "--name "),
    ("aws eks update-cluster-config", "--name "),
    ("aws eks wait cluster-active", "--name "),
    ("aws iam delete-role", "--role-name "),
    (
        "aws iam get-open-id-connect-provider",
        "--open-id-connect-provider-arn ",
    ),
    ("aws iam get-role", "--role-name "),
    ("aws iam get-role-policy", "--policy-name "),
    ("aws iam list-attached-role-policies", "--role-name "),
    ("aws iam list-role-policies", "--role-name "),
    ("aws s3api get-bucket-policy", "--bucket "),
];

/// What no command may have: helm 4 has no `--all`, and kubectl gets a kind before a flag.
const WRONG: [&str; 4] = [
    " --all`",
    " list -a`",
    "`kubectl get -",
    "`kubectl delete -",
];

/// The texts in the source of the product, by file.
fn texts() -> BTreeMap<String, Vec<String>> {
    let literal = Regex::new(r#""((?:[^"\\]|\\.)*)""#).unwrap();
    let mut found = BTreeMap::new();
    for path in AREAS.into_iter().flat_map(|it| files_in(it, "rs")) {
        if path.contains("/tests") {
            continue;
        }
        let source = text(&path);
        let product = source
            .split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or_default();
        let lines: Vec<&str> = product
            .lines()
            .filter(|it| !it.trim_start().starts_with("//"))
            .collect();
        let code = lines.join("\n");
        let texts = literal.captures_iter(&code).map(|it| it[1].to_owned());
        found.insert(path, texts.collect());
    }
    found
}

#[test]
fn where_no_cause_is_known_one_next_place_is_named() {
    let mut fallbacks = Vec::new();
    for (path, texts) in texts() {
        for text in texts.into_iter().filter(|it| it.contains(UNKNOWN)) {
            let places: Vec<_> = PLACES.iter().filter(|it| text.contains(**it)).collect();
            assert_eq!(places.len(), 1, "{path}: `{text}` names {places:?}");
            assert!(
                !text.contains("run the same command again"),
                "{path}: {text}"
            );
            fallbacks.push(text);
        }
    }
    // Kubernetes both ways, AWS twice, GitHub, helm, and the rest.
    assert!(fallbacks.len() >= 6, "{fallbacks:#?}");
}

/// A command that is not complete is tried, and fails: its reader does not know then whether the advice was right.
#[test]
fn commands_in_texts_run_as_they_are_printed() {
    let command = Regex::new(r"`(?:aws|helm|kubectl) [^`\n]+`").unwrap();
    let (mut found, mut looked) = (Vec::new(), 0);
    for path in files_in("src/", "rs") {
        if path.contains("/tests") {
            continue;
        }
        let source = text(&path);
        let product = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        let code = product
            .lines()
            .filter(|it| !it.trim_start().starts_with("//"));
        for line in code {
            for command in command.find_iter(line).map(|it| it.as_str()) {
                looked += 1;
                let words = command.trim_matches('`');
                let lacks = NEEDS.iter().find(|(of, needed)| {
                    let rest = words.strip_prefix(of);
                    rest.is_some_and(|it| it.is_empty() || it.starts_with(' '))
                        && !words.contains(needed)
                });
                found.extend(lacks.map(|(_, it)| format!("{path}: {command} lacks `{it}`")));
                let wrong = WRONG.iter().find(|it| command.contains(**it));
                let is_raw = command.contains(" get --raw ");
                found.extend(
                    wrong
                        .filter(|_| !is_raw)
                        .map(|it| format!("{path}: `{it}` in {command}")),
                );
            }
        }
    }
    assert!(looked > 100, "only {looked} commands were looked at");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_hint_is_one_for_everything() {
    let mut found = Vec::new();
    for (path, texts) in texts() {
        for text in texts {
            let empty = EMPTY.iter().find(|it| text.contains(**it));
            found.extend(empty.map(|it| format!("{path}: `{it}` in `{text}`")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

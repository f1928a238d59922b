//! docs/aws.md against the source: its permissions match the API calls that arcctl makes.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the source has failed"
)]

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use crate::repository::{files_in, text};

/// What the calls of the source need, as it says in the errors of each.
fn in_source() -> BTreeSet<String> {
    let named = Regex::new(r#""((?:iam|ec2|s3|eks|ssm|secretsmanager):[A-Z][A-Za-z]+)""#).unwrap();
    let places = files_in("src/", "rs").into_iter().filter(|path| {
        path.starts_with("src/resource/aws/")
            || path == "src/session/aws_facts.rs"
            || path == "src/clients/aws/network/mod.rs"
            || path == "src/clients/aws/cluster.rs"
            || path == "src/clients/aws/secret_store.rs"
    });
    places
        .flat_map(|path| {
            let text = text(&path);
            let found = named.captures_iter(&text).map(|it| it[1].to_owned());
            found.collect::<Vec<_>>()
        })
        .collect()
}

/// The operations that the source calls, in snake case, as the SDK names them.
fn calls(path: &str) -> Vec<String> {
    let call = Regex::new(
        r"(?s)(?:\.(?:iam|ec2|s3|eks|sts|ssm|secrets_manager)\(\)|\biam)\s*\.([a-z_]+)\(\)",
    )
    .unwrap();
    let text = text(path);
    call.captures_iter(&text)
        .map(|it| it[1].to_owned())
        .collect()
}

fn snake(permission: &str) -> String {
    let name = permission.split(':').nth(1).unwrap();
    let name = name
        .replace("OpenIDConnect", "OpenIdConnect")
        .replace("ClientID", "ClientId");
    let mut result = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !result.is_empty() {
            result.push('_');
        }
        result.push(character.to_ascii_lowercase());
    }
    result
}

#[test]
fn the_policy_in_the_document_is_that_of_the_calls() {
    let document = text("docs/aws.md");
    let policies = document.split("```json").skip(1);
    let policies = policies.map(|it| it.split("```").next().unwrap());
    let mut documented: BTreeSet<String> = BTreeSet::new();
    for policy in policies {
        let policy: Value = serde_json::from_str(policy).unwrap();
        for statement in policy["Statement"].as_array().unwrap() {
            let actions = statement["Action"].as_array().unwrap().iter();
            documented.extend(actions.map(|it| it.as_str().unwrap().to_owned()));
        }
    }
    // Tags that are given when something is created take a permission, and no call; so does a role that is handed on.
    let with_another: BTreeSet<String> = ["ec2:CreateTags", "eks:TagResource", "iam:PassRole"]
        .map(str::to_owned)
        .into();
    let mut needed = in_source();
    needed.extend(with_another);
    assert_eq!(documented, needed);
}

#[test]
fn each_call_names_its_permission() {
    let known: BTreeSet<String> = in_source().iter().map(|it| snake(it)).collect();
    let mut found = BTreeSet::new();
    for path in files_in("src/", "rs") {
        if path.starts_with("src/resource/aws/") && !path.contains("/tests/")
            || path == "src/session/aws_facts.rs"
            || path == "src/clients/aws/network/mod.rs"
            || path == "src/clients/aws/secret_store.rs"
        {
            found.extend(calls(&path));
        }
    }
    assert!(found.contains("update_assume_role_policy"), "{found:?}");
    let silent: Vec<_> = found.difference(&known).collect();
    assert!(
        silent.is_empty(),
        "calls that no permission is named for: {silent:?}"
    );
}

//! The principals of policies: AWS stores the unique id of a user's or a role's ARN, shows the id after that user or role
//! is deleted, and rejects ids and ARNs that do not exist.
//!
//! Sources: IAM user guide, "AWS JSON policy elements: Principal" (deleted roles and users) and "IAM identifiers" (`AIDA`,
//! `AROA`); terraform-provider-aws#8905; S3's "Invalid principal in policy". Pure: no I/O.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::document::{Kind, statements};
use super::refusal::Refusal;
use crate::cloud::ACCOUNT;

/// The ids behind the ARNs of documents that were taken.
#[derive(Debug, Default)]
pub(super) struct Principals(HashMap<String, String>);

/// The principals of kind `AWS` in a document.
pub(super) fn named(text: &str) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let mut found = BTreeSet::new();
    for statement in statements(&document) {
        for key in ["Principal", "NotPrincipal"] {
            match &statement[key]["AWS"] {
                Value::String(one) => {
                    found.insert(one.clone());
                }
                Value::Array(list) => {
                    found.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                _ => {}
            }
        }
    }
    found
}

/// What asks moto for a user or a role of this account: the action, and the argument with its value.
pub(super) fn question(principal: &str) -> Option<(&'static str, &'static str, String)> {
    let rest = principal.strip_prefix(&format!("arn:aws:iam::{ACCOUNT}:"))?;
    let name = || rest.rsplit('/').next().unwrap_or_default().to_owned();
    if rest.starts_with("role/") {
        return Some(("GetRole", "RoleName", name()));
    }
    rest.starts_with("user/")
        .then(|| ("GetUser", "UserName", name()))
}

/// Whether it is the id of a user or a role and no ARN.
pub(super) fn is_id(principal: &str) -> bool {
    ["AIDA", "AROA"].iter().any(|it| principal.starts_with(it))
}

/// The refusal of a document that names `principal`.
pub(super) fn refusal(kind: Kind, principal: &str) -> Refusal {
    if kind == Kind::Bucket {
        return Refusal::new(400, "MalformedPolicy", "Invalid principal in policy");
    }
    let said = format!("Invalid principal in policy: \"AWS\":\"{principal}\"");
    Refusal::new(400, "MalformedPolicyDocument", said)
}

impl Principals {
    /// Remembers the id behind an ARN.
    pub(super) fn remember(&mut self, arn: &str, id: &str) {
        self.0.insert(arn.to_owned(), id.to_owned());
    }

    /// The ARNs that `text` names, with their ids as they were.
    pub(super) fn known(&self, text: &str) -> Vec<(String, String)> {
        let quoted = |arn: &String| text.contains(&format!("\"{arn}\""));
        let known = self.0.iter().filter(|(arn, _)| quoted(arn));
        known.map(|(arn, id)| (arn.clone(), id.clone())).collect()
    }
}

/// The id as AWS shows it; moto's have no prefix that tells a user from a role.
fn shown(arn: &str, id: &str) -> String {
    if is_id(id) {
        return id.to_owned();
    }
    let prefix = if arn.contains(":user/") {
        "AIDA"
    } else {
        "AROA"
    };
    format!("{prefix}{}", id.to_uppercase())
}

/// `text` with the ids of those who are gone.
pub(super) fn orphaned(text: &str, gone: &[(String, String)]) -> String {
    gone.iter().fold(text.to_owned(), |text, (arn, id)| {
        let id = shown(arn, id);
        text.replace(&format!("\"{arn}\""), &format!("\"{id}\""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_found_in_each_form() {
        let text = r#"{"Statement": [{"Principal": {"AWS": "a"}}, {"NotPrincipal": {"AWS": ["b", "AIDAX"]}}, {"Principal": "*"}]}"#;
        let found: Vec<_> = named(text).into_iter().collect();
        assert_eq!(found, ["AIDAX", "a", "b"]);
        assert!(is_id("AROAEXAMPLE") && !is_id("arn:aws:iam::1:role/AROA"));
    }

    #[test]
    fn only_those_of_this_account_are_asked_for() {
        let role = format!("arn:aws:iam::{ACCOUNT}:role/p/r");
        assert_eq!(question(&role), Some(("GetRole", "RoleName", "r".into())));
        assert_eq!(question(&format!("arn:aws:iam::{ACCOUNT}:root")), None);
        assert_eq!(question("arn:aws:iam::111122223333:role/r"), None);
    }

    #[test]
    fn who_is_gone_is_shown_by_id() {
        let gone = [("arn".to_owned(), "AROA1".to_owned())];
        assert_eq!(
            orphaned(r#"{"AWS":"arn","x":"arn:b"}"#, &gone),
            r#"{"AWS":"AROA1","x":"arn:b"}"#
        );
    }
}

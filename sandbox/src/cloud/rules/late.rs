//! Eventual consistency of IAM, and conflicts between concurrent writes.
//!
//! Sources: IAM user guide, "Troubleshooting IAM: changes that I make are not always immediately visible"; the service
//! model's `ConcurrentModificationException` (409) of `TagRole`, `UntagRole`, `CreateRole`, `DeleteRole`,
//! `CreateOpenIDConnectProvider`, `AddClientIDToOpenIDConnectProvider`…; S3's `OperationAborted` (409, API reference, list
//! of error codes); S3 user guide, "Amazon S3 data consistency model" (the configuration of buckets is eventually
//! consistent); the errors for new resources that are not visible yet, in IAM's and EKS's words: terraform-provider-aws
//! (`PropagationTimeout` of roles, policies, providers and Pod Identity associations). Simulated: for a third of the time
//! all reads return the previous state, then each of the recent versions in turn. Pure: no I/O.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{call::Call, refusal::Refusal};
use crate::cloud::ACCOUNT;

/// What moto answers: status and body.
pub(super) type Reading = (u16, Vec<u8>);

/// Of each reading that was changed a moment ago, what it was.
#[derive(Debug, Default)]
pub(super) struct Late {
    before: HashMap<String, Before>,
    /// Roles by their names, policies and providers by their ARNs, with the time at which each was created.
    created: HashMap<String, Instant>,
    /// Calls that met another writer already.
    met: HashSet<String>,
    /// Whether nobody else writes.
    alone: bool,
}

#[derive(Debug, Default)]
struct Before {
    /// Older versions, oldest first, and when each was replaced.
    versions: Vec<(Instant, Reading)>,
    asked: usize,
}

/// The actions that meet another writer the first time, on each object.
const MEETING: [&str; 11] = [
    "AddClientIDToOpenIDConnectProvider",
    "CreateOpenIDConnectProvider",
    "CreateRole",
    "DeleteBucketPolicy",
    "DeleteRole",
    "PutBucketPolicy",
    "RemoveClientIDFromOpenIDConnectProvider",
    "TagOpenIDConnectProvider",
    "TagRole",
    "UntagOpenIDConnectProvider",
    "UntagRole",
];

/// The readings that `call` changes, as the forms that ask for them.
pub(super) fn changed(call: &Call) -> Vec<Vec<(&'static str, String)>> {
    if let ("s3", "PutBucketPolicy" | "DeleteBucketPolicy", Some(bucket)) =
        (call.service.as_str(), call.action.as_str(), call.bucket())
    {
        return vec![vec![(BUCKET, bucket.to_owned())]];
    }
    if call.service != "iam" {
        return Vec::new();
    }
    let ask = |action: &str, name: &'static str, value: &str| {
        vec![("Action", action.to_owned()), (name, value.to_owned())]
    };
    if let Some(arn) = provider(call) {
        return vec![ask(
            "GetOpenIDConnectProvider",
            "OpenIDConnectProviderArn",
            &arn,
        )];
    }
    if let Some(arn) = policy(call) {
        return vec![ask("GetPolicy", "PolicyArn", &arn)];
    }
    let Some(role) = call.argument("RoleName") else {
        return Vec::new();
    };
    let mut found = vec![
        ask("GetRole", "RoleName", role),
        ask("ListAttachedRolePolicies", "RoleName", role),
        ask("ListRolePolicies", "RoleName", role),
    ];
    if let Some(policy) = call.argument("PolicyName") {
        let mut one = ask("GetRolePolicy", "RoleName", role);
        one.push(("PolicyName", policy.to_owned()));
        found.push(one);
    }
    found
}

/// The ARN of the provider that a call makes or is about.
fn provider(call: &Call) -> Option<String> {
    if call.action != "CreateOpenIDConnectProvider" {
        return call.argument("OpenIDConnectProviderArn").map(str::to_owned);
    }
    let url = call.argument("Url")?.trim_start_matches("https://");
    Some(format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{url}"))
}

/// The ARN of the managed policy that a call makes or deletes.
fn policy(call: &Call) -> Option<String> {
    match call.action.as_str() {
        "DeletePolicy" => call.argument("PolicyArn").map(str::to_owned),
        "CreatePolicy" => {
            let path = call.argument("Path").unwrap_or("/");
            let name = call.argument("PolicyName")?;
            Some(format!("arn:aws:iam::{ACCOUNT}:policy{path}{name}"))
        }
        _ => None,
    }
}

/// How the form of the reading of a bucket's policy begins: S3 has no forms.
pub(super) const BUCKET: &str = "GetBucketPolicy";

/// How much less late the configuration of buckets is than IAM.
const LESS: u32 = 5;

/// What names a reading: its form, without version and paging.
fn name(form: &[(impl AsRef<str>, impl AsRef<str>)]) -> String {
    let mut parts: Vec<String> = form
        .iter()
        .filter(|(name, _)| !matches!(name.as_ref(), "Version" | "MaxItems"))
        .map(|(name, value)| format!("{}={}", name.as_ref(), value.as_ref()))
        .collect();
    parts.sort();
    parts.join("&")
}

impl Late {
    /// Nobody else writes from now on.
    pub(super) fn alone(&mut self) {
        self.alone = true;
    }

    /// Remembers what `form` was answered with before a write that has just been done.
    pub(super) fn remember(&mut self, form: &[(&'static str, String)], reading: Reading) {
        let before = self.before.entry(name(form)).or_default();
        before.versions.push((Instant::now(), reading));
        before.asked = 0;
    }

    /// Remembers what a call has created.
    pub(super) fn created(&mut self, call: &Call) {
        let what = match call.action.as_str() {
            "CreateRole" => call.argument("RoleName").map(str::to_owned),
            "CreatePolicy" => policy(call),
            "CreateOpenIDConnectProvider" => provider(call),
            _ => None,
        };
        if let Some(what) = what {
            self.created.insert(what, Instant::now());
        }
    }

    /// Whether something is so new that it is not known everywhere yet.
    pub(super) fn is_new(&self, what: &str, window: Duration) -> bool {
        let since = self.created.get(what);
        since.is_some_and(|it| it.elapsed() < window / 3)
    }

    /// What a reading shows in place of what is there.
    pub(super) fn shown(&mut self, call: &Call, window: Duration) -> Option<Reading> {
        let (name, window) = match call.bucket().filter(|_| call.action == BUCKET) {
            Some(bucket) => (name(&[(BUCKET, bucket)]), window / LESS),
            None => (name(&call.arguments), window),
        };
        let before = self.before.get_mut(&name)?;
        before.versions.retain(|(at, _)| at.elapsed() < window);
        let (newest, _) = before.versions.last()?;
        let everywhere = newest.elapsed() >= window / 3;
        let turn = before.asked % (before.versions.len() + usize::from(everywhere));
        before.asked += 1;
        // The last one before the write first, then older ones, then what is there.
        let version = before.versions.iter().rev().nth(turn);
        version.map(|(_, reading)| reading.clone())
    }

    /// Refuses what comes too early after a creation, or meets another writer.
    pub(super) fn refused(&mut self, call: &Call, window: Duration) -> Option<Refusal> {
        if let Some(refusal) = self.too_new(call, window) {
            return Some(refusal);
        }
        if window.is_zero() || self.alone || !MEETING.contains(&call.action.as_str()) {
            return None;
        }
        let object = call.argument("RoleName").or_else(|| call.bucket());
        let object = object.map(str::to_owned).or_else(|| provider(call));
        let object = object.unwrap_or_default();
        if !self.met.insert(format!("{} {object}", call.action)) {
            return None;
        }
        Some(if call.service == "s3" {
            let said = "A conflicting conditional operation is currently in progress against this resource. Try again.";
            Refusal::new(409, "OperationAborted", said)
        } else {
            let said = "The request was rejected because multiple requests to change this object were submitted simultaneously. Wait a few minutes and submit your request again.";
            Refusal::new(409, "ConcurrentModification", said)
        })
    }

    /// Refuses what names something that is not known everywhere yet.
    fn too_new(&self, call: &Call, window: Duration) -> Option<Refusal> {
        let reads = call.action.starts_with("Get") || call.action.starts_with("List");
        let makes = call.action.starts_with("Create");
        if call.service == "eks" {
            let given: Value = serde_json::from_str(&call.body).unwrap_or_default();
            let role = given["roleArn"].as_str()?.rsplit('/').next()?;
            let said = "Role provided in the request does not exist.";
            return self
                .is_new(role, window)
                .then(|| Refusal::new(400, "InvalidParameterException", said));
        }
        if call.service != "iam" || reads || makes {
            return None;
        }
        let argument = |name: &str| {
            let found = call.argument(name);
            found
                .filter(|it| self.is_new(it, window))
                .map(str::to_owned)
        };
        let said = if let Some(role) = argument("RoleName") {
            format!("The role with name {role} cannot be found.")
        } else if let Some(policy) = argument("PolicyArn") {
            format!("Policy {policy} does not exist or is not attachable.")
        } else if let Some(arn) = argument("OpenIDConnectProviderArn") {
            format!("OpenIDConnect Provider not found for arn {arn}")
        } else {
            return None;
        };
        Some(Refusal::new(404, "NoSuchEntity", said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_mins(1);

    fn call(action: &str) -> Call {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Call {
            service: "iam".into(),
            action: action.into(),
            arguments: vec![
                pair("Action", action),
                pair("Version", "2010-05-08"),
                pair("RoleName", "r"),
            ],
            ..Call::default()
        }
    }

    #[test]
    fn a_reading_shows_what_was_there_before() {
        let mut late = Late::default();
        let form = changed(&call("UpdateAssumeRolePolicy")).remove(0);
        late.remember(&form, (200, b"old".to_vec()));
        assert_eq!(
            late.shown(&call("GetRole"), WINDOW),
            Some((200, b"old".to_vec()))
        );
        assert_eq!(late.shown(&call("GetRole"), Duration::ZERO), None);
        assert_eq!(late.shown(&call("GetRolePolicy"), WINDOW), None);
    }

    #[test]
    fn every_version_of_the_last_while_has_its_turn() {
        let mut late = Late::default();
        let form = changed(&call("UpdateAssumeRolePolicy")).remove(0);
        let versions = [b"oldest".as_slice(), b"older", b"old"];
        for version in versions {
            late.remember(&form, (200, version.to_vec()));
        }
        let mut shown = |window| {
            let shown = late.shown(&call("GetRole"), window).map(|it| it.1);
            shown.map(|it| String::from_utf8(it).unwrap())
        };
        // At first nobody sees what is there.
        let first: Vec<_> = (0..4).map(|_| shown(WINDOW).unwrap()).collect();
        assert_eq!(first, ["old", "older", "oldest", "old"]);
        // Later that has its turn too.
        let before = late.before.values_mut().next().unwrap();
        for (at, _) in &mut before.versions {
            *at = at.checked_sub(WINDOW / 2).unwrap();
        }
        before.asked = 0;
        let turns = (0..5).map(|_| late.shown(&call("GetRole"), WINDOW).map(|it| it.1));
        let turns: Vec<_> = turns.collect();
        assert_eq!(turns[3], None);
        assert_eq!(turns[2].as_deref(), Some(versions[0]));
        assert_eq!(turns[4].as_deref(), Some(versions[2]));
    }

    #[test]
    fn the_policy_of_a_bucket_is_shown_late_too() {
        let mut late = Late::default();
        let s3 = |action: &str| Call {
            path: "/b".into(),
            ..with(action, "s3", &[], "")
        };
        let form = changed(&s3("PutBucketPolicy")).remove(0);
        assert_eq!(form, [(BUCKET, "b".to_owned())]);
        late.remember(&form, (404, Vec::new()));
        assert_eq!(late.shown(&s3(BUCKET), WINDOW).map(|it| it.0), Some(404));
        assert_eq!(late.shown(&s3("PutBucketPolicy"), WINDOW), None);
    }

    fn with(action: &str, service: &str, arguments: &[(&str, &str)], body: &str) -> Call {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Call {
            service: service.into(),
            action: action.into(),
            arguments: arguments.iter().map(pair).collect(),
            body: body.into(),
            ..Call::default()
        }
    }

    #[test]
    fn what_is_new_is_not_known_everywhere() {
        let mut late = Late::default();
        let arn = format!("arn:aws:iam::{ACCOUNT}:policy/p");
        let provider = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/i/id/A");
        late.created(&call("CreateRole"));
        late.created(&with("CreatePolicy", "iam", &[("PolicyName", "p")], ""));
        let url = [("Url", "https://i/id/A")];
        late.created(&with("CreateOpenIDConnectProvider", "iam", &url, ""));
        let role = r#"{"roleArn":"arn:aws:iam::1:role/path/r"}"#;
        for (call, code, words) in [
            (
                call("AttachRolePolicy"),
                "NoSuchEntity",
                "The role with name r ",
            ),
            (
                with(
                    "AttachRolePolicy",
                    "iam",
                    &[("RoleName", "old"), ("PolicyArn", &arn)],
                    "",
                ),
                "NoSuchEntity",
                "does not exist or is not attachable",
            ),
            (
                with(
                    "TagOpenIDConnectProvider",
                    "iam",
                    &[("OpenIDConnectProviderArn", &provider)],
                    "",
                ),
                "NoSuchEntity",
                "not found for arn",
            ),
            (
                with("UpdatePodIdentityAssociation", "eks", &[], role),
                "InvalidParameterException",
                "Role provided in the request does not exist",
            ),
        ] {
            let refused = late.refused(&call, WINDOW).unwrap();
            assert_eq!(refused.code, code);
            assert!(refused.message.contains(words), "{}", refused.message);
            assert_eq!(late.refused(&call, Duration::ZERO), None);
        }
        assert_eq!(late.refused(&call("GetRole"), WINDOW), None);
        let other = [("OpenIDConnectProviderArn", "arn:other")];
        let other = with("GetOpenIDConnectProvider", "iam", &other, "");
        assert_eq!(late.refused(&other, WINDOW), None);
    }

    #[test]
    fn the_first_of_its_kind_meets_another_writer() {
        let mut late = Late::default();
        let refused = late.refused(&call("TagRole"), WINDOW);
        assert_eq!(refused.map(|it| it.code), Some("ConcurrentModification"));
        assert_eq!(late.refused(&call("TagRole"), WINDOW), None);
        assert_eq!(late.refused(&call("GetRole"), WINDOW), None);
        late.alone();
        assert_eq!(late.refused(&call("DeleteRole"), WINDOW), None);
    }
}

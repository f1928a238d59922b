//! The permissions of an identity: evaluates its policy for each call as AWS does.
//!
//! Source: IAM user guide, "Policy evaluation logic", and the service authorization reference for actions, resources and
//! condition keys. Pure, but for [`requests`], which reads the owners of resources from moto.

mod condition;
mod requests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub(super) use self::requests::{Request, requests};
use super::{call::Call, document::statements, refusal::Refusal};

/// What may be done; everything without a policy.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    policy: Option<Value>,
    /// Of each policy, as its text, the `Sid`s and actions that were used.
    used: BTreeMap<String, BTreeSet<(String, String)>>,
}

impl Permissions {
    /// Only what `policy` allows may be done from now on; everything without one.
    pub(super) fn limit(&mut self, policy: Option<&Value>) {
        self.policy = policy.cloned();
    }

    pub(super) fn is_limited(&self) -> bool {
        self.policy.is_some()
    }

    /// What `policy` allows and nobody has ever used by it.
    pub(super) fn unused(&self, policy: &Value) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for statement in statements(policy) {
            let sid = statement["Sid"].as_str().unwrap_or_default();
            let allowed = list(&statement["Action"]).into_iter();
            found.extend(allowed.map(|action| (sid.to_owned(), action)));
        }
        let used = self.used.get(&policy.to_string());
        found.retain(|it| !used.is_some_and(|used| used.contains(it)));
        found
    }

    /// The refusal of a call of which one request is not allowed.
    pub(super) fn denied(&mut self, call: &Call, requests: &[Request]) -> Option<Refusal> {
        let policy = self.policy.clone()?;
        for request in requests {
            match decided(&policy, request) {
                Some(used) => {
                    let all = self.used.entry(policy.to_string()).or_default();
                    all.insert(used);
                }
                None => return Some(refusal(call, request)),
            }
        }
        None
    }
}

/// Whether `policy` allows `action` on `resource`, with what is known of the request for its conditions.
pub fn allows(policy: &Value, action: &str, resource: &str, context: &[(&str, &str)]) -> bool {
    let known = context
        .iter()
        .map(|(key, value)| (key.to_lowercase(), vec![(*value).to_owned()]));
    let request = Request {
        action: action.to_owned(),
        resource: resource.to_owned(),
        context: known.collect(),
    };
    decided(policy, &request).is_some()
}

fn refusal(call: &Call, request: &Request) -> Refusal {
    let Request {
        action, resource, ..
    } = request;
    let (status, code) = match call.service.as_str() {
        "ec2" => (403, "UnauthorizedOperation"),
        "eks" => (403, "AccessDeniedException"),
        "ssm" | "secretsmanager" => (400, "AccessDeniedException"),
        _ => (403, "AccessDenied"),
    };
    let said = format!(
        "User: arn:aws:iam::123456789012:user/sandbox is not authorized to perform: {action} on resource: {resource} \
         because no identity-based policy allows the {action} action"
    );
    Refusal::new(status, code, said)
}

/// The statement and the action in it that allow a request; none where nothing does, or something denies it.
fn decided(policy: &Value, request: &Request) -> Option<(String, String)> {
    let mut allowed = None;
    for statement in statements(policy) {
        let actions = list(&statement["Action"]);
        let action = actions
            .iter()
            .find(|it| matches(&it.to_lowercase(), &request.action.to_lowercase()));
        let resources = list(&statement["Resource"]);
        let here = resources.iter().any(|it| matches(it, &request.resource));
        let Some(action) = action.filter(|_| here) else {
            continue;
        };
        if !condition::holds(&statement["Condition"], &request.context) {
            continue;
        }
        if statement["Effect"] == "Deny" {
            return None;
        }
        let sid = statement["Sid"].as_str().unwrap_or_default();
        allowed.get_or_insert((sid.to_owned(), action.clone()));
    }
    allowed
}

/// One text or a list of them.
fn list(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether `text` is of the form `pattern`: `*` is any text, `?` any character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut of) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        if of < pattern.len() && pattern[of] == '*' {
            star = Some((of, at));
            of += 1;
        } else if of < pattern.len() && (pattern[of] == '?' || pattern[of] == text[at]) {
            of += 1;
            at += 1;
        } else if let Some((back, begun)) = star {
            star = Some((back, begun + 1));
            of = back + 1;
            at = begun + 1;
        } else {
            return false;
        }
    }
    pattern[of..].iter().all(|it| *it == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(action: &str, resource: &str, context: &[(&str, &str)]) -> Request {
        Request {
            action: action.into(),
            resource: resource.into(),
            context: context
                .iter()
                .map(|(key, value)| (key.to_lowercase(), vec![(*value).to_owned()]))
                .collect(),
        }
    }

    #[test]
    fn patterns_match_as_in_policies() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("iam:Get*", "iam:GetRole", true),
            ("arn:*:role/a?c", "arn:aws:iam::1:role/abc", true),
            ("arn:*:role/a?c", "arn:aws:iam::1:role/ac", false),
            ("a*b*c", "a--b--b-c", true),
            ("a*b", "a-b-", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_nothing_allows_is_denied_and_a_denial_wins() {
        let policy = json!({"Statement": [
            {"Sid": "A", "Effect": "Allow", "Action": ["iam:AttachRolePolicy", "iam:GetRole"], "Resource": "arn:r",
             "Condition": {"ArnEquals": {"iam:PolicyARN": ["arn:p", "arn:q"]}}},
            {"Sid": "B", "Effect": "Allow", "Action": "s3:*", "Resource": "*"},
            {"Sid": "C", "Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"},
        ]});
        let mut permissions = Permissions::default();
        permissions.limit(Some(&policy));
        let call = Call::default();
        let attach = |policy: &str| {
            request(
                "iam:AttachRolePolicy",
                "arn:r",
                &[("iam:PolicyARN", policy)],
            )
        };
        assert_eq!(permissions.denied(&call, &[attach("arn:q")]), None);
        for denied in [
            attach("arn:aws:iam::aws:policy/AdministratorAccess"),
            request(
                "iam:AttachRolePolicy",
                "arn:other",
                &[("iam:PolicyARN", "arn:p")],
            ),
            request("iam:AttachRolePolicy", "arn:r", &[]),
            request("s3:DeleteBucket", "arn:b", &[]),
            request("ec2:RunInstances", "*", &[]),
        ] {
            assert!(
                permissions
                    .denied(&call, std::slice::from_ref(&denied))
                    .is_some(),
                "{denied:?}"
            );
        }
        let allowed = request("s3:GetBucketPolicy", "arn:b", &[]);
        assert_eq!(permissions.denied(&call, &[allowed]), None);
        assert_eq!(
            permissions.unused(&policy),
            [
                ("A".to_owned(), "iam:GetRole".to_owned()),
                ("C".to_owned(), "s3:Delete*".to_owned())
            ]
        );
    }
}

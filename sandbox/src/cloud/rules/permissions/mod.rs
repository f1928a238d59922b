//! The permissions of an identity: evaluates its policy for each call as AWS does.
//!
//! Source: IAM user guide, "Policy evaluation logic" and "Troubleshoot access denied error messages" (which name one kind of
//! policy), and the service authorization reference for actions, resources and condition keys. Pure, but for [`requests`],
//! which reads the owners of resources from moto.

mod condition;
mod requests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub(super) use self::requests::{Request, requests};
use super::{call::Call, document::statements, refusal::Refusal};

/// A kind of policy that limits an identity beside its own policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// Of the AWS organization.
    ServiceControlPolicy,
    /// Of the identity itself.
    PermissionsBoundary,
}

impl Ceiling {
    /// AWS's reason for a request that `policy`, of this kind, does not allow. A service control policy is always said to
    /// deny explicitly.
    fn denies(self, policy: &Value, request: &Request) -> Option<String> {
        let action = &request.action;
        match (decided(policy, request), self) {
            (Decision::Allowed(..), _) => None,
            (_, Self::ServiceControlPolicy) => Some(
                "with an explicit deny in a service control policy: \
                 arn:aws:organizations::210987654321:policy/o-sandbox/service_control_policy/p-sandbox"
                    .into(),
            ),
            (Decision::Denied, Self::PermissionsBoundary) => {
                Some("with an explicit deny in a permissions boundary".into())
            }
            (Decision::NotAllowed, Self::PermissionsBoundary) => Some(format!(
                "because no permissions boundary allows the {action} action"
            )),
        }
    }
}

/// What a policy says of a request.
enum Decision {
    /// The statement and the action in it that allow it.
    Allowed(String, String),
    /// A statement denies it.
    Denied,
    /// Nothing allows it.
    NotAllowed,
}

/// What may be done; everything without a policy.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    policy: Option<Value>,
    ceilings: Vec<(Ceiling, Value)>,
    /// Of each policy, as its text, the `Sid`s and actions that were used.
    used: BTreeMap<String, BTreeSet<(String, String)>>,
}

impl Permissions {
    /// Only what `policy` allows may be done from now on; everything without one.
    pub(super) fn limit(&mut self, policy: Option<&Value>) {
        self.policy = policy.cloned();
        self.ceilings.clear();
    }

    /// What `policy` does not allow may not be done, whatever the identity's own policy says.
    pub(super) fn cap(&mut self, ceiling: Ceiling, policy: &Value) {
        self.ceilings.push((ceiling, policy.clone()));
    }

    pub(super) fn is_limited(&self) -> bool {
        self.policy.is_some() || !self.ceilings.is_empty()
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
        for request in requests {
            let mut above = self.ceilings.iter();
            let above = above.find_map(|(ceiling, policy)| ceiling.denies(policy, request));
            if let Some(because) = above {
                return Some(refusal(call, request, &because));
            }
            let Some(policy) = &self.policy else {
                continue;
            };
            let because = match decided(policy, request) {
                Decision::Allowed(sid, action) => {
                    let all = self.used.entry(policy.to_string()).or_default();
                    all.insert((sid, action));
                    continue;
                }
                Decision::Denied => "with an explicit deny in an identity-based policy".to_owned(),
                Decision::NotAllowed => {
                    let action = &request.action;
                    format!("because no identity-based policy allows the {action} action")
                }
            };
            return Some(refusal(call, request, &because));
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
    matches!(decided(policy, &request), Decision::Allowed(..))
}

fn refusal(call: &Call, request: &Request, because: &str) -> Refusal {
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
        "User: arn:aws:iam::123456789012:user/sandbox is not authorized to perform: {action} on resource: {resource} {because}"
    );
    let said = if call.service == "ec2" {
        format!(
            "You are not authorized to perform this operation. {said}. Encoded authorization failure message: c2FuZGJveA"
        )
    } else {
        said
    };
    Refusal::new(status, code, said)
}

/// What `policy` says of a request: a denial wins.
fn decided(policy: &Value, request: &Request) -> Decision {
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
            return Decision::Denied;
        }
        let sid = statement["Sid"].as_str().unwrap_or_default();
        allowed.get_or_insert((sid.to_owned(), action.clone()));
    }
    allowed.map_or(Decision::NotAllowed, |(sid, action)| {
        Decision::Allowed(sid, action)
    })
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

    #[test]
    fn a_refusal_names_the_kind_of_policy() {
        let policy = |effect: &str, action: &str| {
            json!({"Statement": [
                {"Effect": "Allow", "Action": "iam:Get*", "Resource": "*"},
                {"Effect": effect, "Action": action, "Resource": "*"},
            ]})
        };
        let own = policy("Deny", "iam:GetUser");
        let organization = policy("Allow", "s3:*");
        let boundary = policy("Deny", "iam:GetPolicy");
        let mut permissions = Permissions::default();
        permissions.limit(Some(&own));
        permissions.cap(Ceiling::ServiceControlPolicy, &organization);
        permissions.cap(Ceiling::PermissionsBoundary, &boundary);
        let call = Call::default();
        for (action, because) in [
            (
                "ec2:RunInstances",
                "with an explicit deny in a service control policy: arn:aws:organizations::",
            ),
            (
                "iam:GetPolicy",
                "with an explicit deny in a permissions boundary",
            ),
            (
                "s3:GetObject",
                "because no permissions boundary allows the s3:GetObject action",
            ),
            (
                "iam:GetUser",
                "with an explicit deny in an identity-based policy",
            ),
        ] {
            let refused = permissions.denied(&call, &[request(action, "*", &[])]);
            let said = refused.unwrap().message;
            assert!(said.contains(because), "{said}");
        }
        assert_eq!(
            permissions.denied(&call, &[request("iam:GetRole", "*", &[])]),
            None
        );
        permissions.limit(None);
        assert!(!permissions.is_limited());
    }
}

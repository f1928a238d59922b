//! AWS's validation of a policy document: the form of its statements, and its size.
//!
//! Sources: IAM user guide, "IAM and AWS STS quotas" (sizes without white space, but for buckets) and "IAM JSON policy
//! elements"; S3 user guide, "bucket policies are limited to 20 KB". Pure: no I/O.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{call::Call, refusal::Refusal};

/// The kinds of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of a role: who may take it on.
    Trust,
    /// In a role.
    Inline,
    /// Of a bucket.
    Bucket,
}

/// Characters of a trust policy, where nobody asked for more.
pub(super) const TRUST: usize = 2048;
/// Characters of all inline policies of a role together.
pub(super) const INLINE: usize = 10_240;
/// Bytes of a bucket's policy.
pub(super) const BUCKET: usize = 20_480;
/// Managed policies of a role, where nobody asked for more.
pub(super) const ATTACHED: usize = 10;

/// The document that a call would write.
pub(super) fn written(call: &Call) -> Option<(Kind, String)> {
    let argument = |name: &str| call.argument(name).map(str::to_owned);
    match (call.service.as_str(), call.action.as_str()) {
        ("iam", "CreateRole") => Some((Kind::Trust, argument("AssumeRolePolicyDocument")?)),
        ("iam", "UpdateAssumeRolePolicy") => Some((Kind::Trust, argument("PolicyDocument")?)),
        ("iam", "PutRolePolicy") => Some((Kind::Inline, argument("PolicyDocument")?)),
        ("s3", "PutBucketPolicy") => Some((Kind::Bucket, call.body.clone())),
        _ => None,
    }
}

/// How many characters of `text` count: white space between its parts does not.
pub(super) fn size(text: &str) -> usize {
    let (mut inside, mut escaped) = (false, false);
    text.chars()
        .filter(|character| {
            if inside {
                (inside, escaped) = match character {
                    _ if escaped => (true, false),
                    '\\' => (true, true),
                    '"' => (false, false),
                    _ => (true, false),
                };
                return true;
            }
            inside = *character == '"';
            !character.is_ascii_whitespace()
        })
        .count()
}

fn malformed(kind: Kind, message: impl Into<String>) -> Refusal {
    let code = if kind == Kind::Bucket {
        "MalformedPolicy"
    } else {
        "MalformedPolicyDocument"
    };
    Refusal::new(400, code, message)
}

pub(super) fn statements(document: &Value) -> Vec<&Value> {
    match &document["Statement"] {
        Value::Array(list) => list.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Refuses what is malformed, or larger than `room`.
pub(super) fn refused(kind: Kind, text: &str, room: usize) -> Option<Refusal> {
    let Ok(document) = serde_json::from_str::<Value>(text) else {
        return Some(malformed(kind, "Syntax errors in policy."));
    };
    if let Some(said) = wrong(kind, &document) {
        return Some(malformed(kind, said));
    }
    let (size, said) = match kind {
        Kind::Trust => (
            size(text),
            format!("Cannot exceed quota for ACLSizePerRole: {TRUST}"),
        ),
        Kind::Inline => (
            size(text),
            format!("Maximum policy size of {INLINE} bytes exceeded"),
        ),
        Kind::Bucket => {
            let said = format!(
                "Normalized policy document exceeds the maximum allowed size of {BUCKET} bytes"
            );
            return (text.len() > room).then(|| malformed(kind, said));
        }
    };
    (size > room).then(|| Refusal::new(409, "LimitExceeded", said))
}

fn wrong(kind: Kind, document: &Value) -> Option<String> {
    let statements = statements(document);
    if statements.is_empty() {
        return Some("Could not parse the policy: Statement is empty!".into());
    }
    let mut seen = BTreeSet::new();
    for statement in statements {
        if let Some(sid) = statement["Sid"].as_str() {
            let plain =
                |it: char| it.is_ascii_alphanumeric() || (kind == Kind::Bucket && it == ' ');
            if !sid.chars().all(plain) {
                return Some("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*".into());
            }
            if !sid.is_empty() && !seen.insert(sid.to_owned()) {
                return Some("Statement IDs (SID) in a single policy must be unique.".into());
            }
        }
        let has = |key: &str| !statement[key].is_null();
        let (principal, resource) = (
            has("Principal") || has("NotPrincipal"),
            has("Resource") || has("NotResource"),
        );
        let fault = match kind {
            Kind::Trust if resource => Some("Has prohibited field Resource"),
            Kind::Trust | Kind::Bucket if !principal => Some("Missing required field Principal"),
            Kind::Inline if principal => Some("Policy document should not specify a principal."),
            Kind::Inline | Kind::Bucket if !resource => {
                Some("Policy statement must contain resources.")
            }
            _ if !has("Action") && !has("NotAction") => Some("Missing required field Action"),
            _ if !["Allow", "Deny"]
                .iter()
                .any(|it| statement["Effect"] == **it) =>
            {
                Some("Missing required field Effect")
            }
            _ => None,
        };
        if let Some(fault) = fault {
            return Some(fault.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trust(sid: &str) -> Value {
        json!({"Sid": sid, "Effect": "Allow", "Principal": {"Service": "x"}, "Action": "sts:AssumeRole"})
    }

    fn code(kind: Kind, statements: &[Value], room: usize) -> Option<&'static str> {
        let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        refused(kind, &text, room).map(|it| it.code)
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let mut with_resource = trust("A");
        with_resource["Resource"] = json!("*");
        let mut without_effect = trust("A");
        without_effect["Effect"] = json!("Maybe");
        for statements in [
            vec![],
            vec![trust("a-b")],
            vec![trust("A"), trust("A")],
            vec![with_resource],
            vec![without_effect],
        ] {
            let code = code(Kind::Trust, &statements, TRUST);
            assert_eq!(code, Some("MalformedPolicyDocument"), "{statements:?}");
        }
        assert_eq!(code(Kind::Trust, &[trust("A"), trust("")], TRUST), None);
        assert_eq!(
            code(Kind::Inline, &[trust("A")], INLINE),
            Some("MalformedPolicyDocument")
        );
        assert_eq!(
            code(Kind::Bucket, &[trust("A")], BUCKET),
            Some("MalformedPolicy")
        );
    }

    #[test]
    fn each_kind_has_its_quota() {
        let many: Vec<Value> = (0..30).map(|index| trust(&format!("A{index}"))).collect();
        assert_eq!(code(Kind::Trust, &many, TRUST), Some("LimitExceeded"));
        assert_eq!(code(Kind::Trust, &many, 4096), None);
        let spread = serde_json::to_string_pretty(&json!({"a": "b c"})).unwrap();
        assert_eq!(size(&spread), r#"{"a":"b c"}"#.len());
    }
}

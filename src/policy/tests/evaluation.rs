//! A test model of IAM's policy evaluation, for the documents used here. Independent of the merge code.

use serde_json::Value;

use super::{ISSUER, SUBJECT, documents::provider};

/// A request to assume the role.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) issuer: &'static str,
    pub(super) subject: &'static str,
    pub(super) audience: &'static str,
}

pub(super) fn requests() -> Vec<Request> {
    let mut all = Vec::new();
    for issuer in [ISSUER, "oidc.example/id/1"] {
        for subject in [SUBJECT, "system:serviceaccount:other:other", "x"] {
            for audience in ["sts.amazonaws.com", "other"] {
                all.push(Request {
                    issuer,
                    subject,
                    audience,
                });
            }
        }
    }
    all
}

/// Whether IAM would allow `request`: the subset of IAM's rules that the documents here use. Written from those rules,
/// independent of the merge code.
pub(super) fn lets_in(statements: &[Value], request: &Request) -> bool {
    let provider = provider(request.issuer);
    let hits = |effect: &str| {
        statements
            .iter()
            .any(|it| it["Effect"] == effect && concerns(it, request, &provider))
    };
    hits("Allow") && !hits("Deny")
}

pub(super) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        single => single.as_str().into_iter().collect(),
    }
}

pub(super) fn concerns(statement: &Value, request: &Request, provider: &str) -> bool {
    let principal = texts(&statement["Principal"]["Federated"]).contains(&provider);
    let action = texts(&statement["Action"])
        .iter()
        .any(|it| like(&it.to_ascii_lowercase(), "sts:assumerolewithwebidentity"));
    let conditions = statement["Condition"].as_object().into_iter().flatten();
    principal
        && action
        && conditions
            .flat_map(|(operator, keys)| {
                keys.as_object()
                    .unwrap()
                    .iter()
                    .map(move |(key, values)| (operator, key, values))
            })
            .all(|(operator, key, values)| {
                let context = if key.eq_ignore_ascii_case(&format!("{}:sub", request.issuer)) {
                    Some(request.subject)
                } else if key.eq_ignore_ascii_case(&format!("{}:aud", request.issuer)) {
                    Some(request.audience)
                } else {
                    None
                };
                let equal = |it: &str| context == Some(it);
                match operator.as_str() {
                    "StringEquals" => texts(values).into_iter().any(equal),
                    "StringNotEquals" => !texts(values).into_iter().any(equal),
                    "StringLike" | "ForAnyValue:StringLike" => texts(values)
                        .iter()
                        .any(|it| context.is_some_and(|found| like(it, found))),
                    _ => false,
                }
            })
}

/// Pattern match: `*` is any text.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && like(rest, &text[at..]))
        }),
    }
}

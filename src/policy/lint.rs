//! Detects risky statements of other users; they are reported, not changed. Pure: no I/O.

use serde_json::Value;

use super::{AUDIENCE, Document, name_of};

/// Other users' statements of a trust policy that trust this cluster's service accounts too broadly: without a
/// condition on the audience, or with a wildcard subject.
pub fn advice(document: &Document, sid: &str, issuer: &str) -> Vec<String> {
    let issuer = issuer.to_ascii_lowercase();
    let foreign = document.statements.iter().filter(|it| {
        it.sid().is_none_or(|found| !found.starts_with(sid)) && federates(&it.value, &issuer)
    });
    foreign
        .flat_map(|statement| {
            let name = name_of(document, statement);
            let audience = values(&statement.value, &format!("{issuer}:aud")).is_empty();
            let subjects = values(&statement.value, &format!("{issuer}:sub"));
            let open = subjects.is_empty();
            let wide = subjects.iter().find(|(operator, subject)| {
                operator.ends_with("StringLike") && subject.contains('*')
            });
            let never = subjects.iter().find(|(operator, subject)| {
                operator.ends_with("StringEquals") && subject.contains('*')
            });
            [
                audience.then(|| format!("{name} has no condition on `{issuer}:aud`: add StringEquals with sts.amazonaws.com")),
                open.then(|| format!("{name} has no condition on `{issuer}:sub`: every service account of the cluster may take on the role")),
                wide.map(|(_, subject)| format!("{name} lets in every service account like `{subject}`: name the one it is for")),
                never.map(|(_, subject)| format!("{name} compares `{subject}` with StringEquals, where `*` is a plain character: it lets nobody in")),
            ]
        })
        .flatten()
        .collect()
}

/// Whether a trust policy statement is only for clients of the provider of `issuer` other than STS.
pub fn only_for_other_clients(statement: &Value, issuer: &str) -> bool {
    let key = format!("{}:aud", issuer.to_ascii_lowercase());
    let clients = values(statement, &key);
    !clients.is_empty()
        && clients
            .iter()
            .all(|(operator, client)| operator.ends_with("StringEquals") && client != AUDIENCE)
}

/// Whether the statement trusts the OIDC provider of `issuer`.
fn federates(statement: &Value, issuer: &str) -> bool {
    let ends = |value: &Value| {
        value.as_str().is_some_and(|it| {
            it.to_ascii_lowercase()
                .ends_with(&format!("oidc-provider/{issuer}"))
        })
    };
    statement["Effect"] == "Allow"
        && match &statement["Principal"]["Federated"] {
            Value::Array(list) => list.iter().any(ends),
            single => ends(single),
        }
}

/// The values of a condition key, each with its operator.
fn values(statement: &Value, key: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
        for (name, values) in keys.as_object().into_iter().flatten() {
            if name.to_ascii_lowercase() != key {
                continue;
            }
            let values = match values {
                Value::Array(list) => list.as_slice(),
                single => std::slice::from_ref(single),
            };
            let texts = values.iter().filter_map(Value::as_str);
            found.extend(texts.map(|value| (operator.clone(), value.to_owned())));
        }
    }
    found
}

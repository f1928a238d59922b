//! Statements of other users: whether they already grant what is wanted, and whether AWS still accepts them. Pure: no
//! I/O.

use serde_json::Value;

use super::{Document, Statement, is_own, same};

/// A deleted principal in another user's statement: AWS returns its id in place of its ARN, and rejects documents with
/// it. Source: IAM user guide, "AWS JSON policy elements: Principal"; terraform-provider-aws#8905.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The statement's name in messages.
    pub statement: String,
    /// The id.
    pub principal: String,
}

/// The prefixes of the ids of users, roles, groups and sessions. Source: IAM user guide, "IAM identifiers".
const IDS: [&str; 5] = ["AIDA", "AROA", "AGPA", "ASIA", "AIPA"];

/// The name of a statement in messages: its `Sid`, else its index.
pub fn name_of(document: &Document, statement: &Statement) -> String {
    if let Some(sid) = statement.sid().filter(|it| !it.is_empty()) {
        return format!("the statement `{sid}`");
    }
    let mut all = document.statements.iter();
    let place = all.position(|it| std::ptr::eq(it, statement));
    place.map_or_else(
        || "a statement without Sid".into(),
        |place| format!("statement {} (it has no Sid)", place + 1),
    )
}

/// The deleted principals in the statements of other users.
pub fn orphans(document: &Document, sid: &str) -> Vec<Orphan> {
    let mut found = Vec::new();
    for statement in document.statements.iter().filter(|it| !is_own(it, sid)) {
        let principals = ["Principal", "NotPrincipal"]
            .iter()
            .flat_map(|key| list(&statement.value[*key]["AWS"]));
        let gone = principals.filter(|it| IDS.iter().any(|id| it.starts_with(id)));
        found.extend(gone.map(|principal| Orphan {
            statement: name_of(document, statement),
            principal: principal.to_owned(),
        }));
    }
    found
}

/// Whether statements of other users grant each of `wanted`, and there is none of arcctl's: then nothing is written.
pub fn is_granted(document: &Document, sid: &str, wanted: &[Value]) -> bool {
    let others: Vec<&Value> = document
        .statements
        .iter()
        .filter(|it| !is_own(it, sid))
        .map(|it| &it.value)
        .collect();
    others.len() == document.statements.len()
        && !wanted.is_empty()
        && !others.iter().any(|it| it["Effect"] == "Deny")
        && wanted
            .iter()
            .all(|wanted| others.iter().any(|it| grants(it, wanted)))
}

/// Whether `other` allows everything that `wanted` does; false in doubt.
fn grants(other: &Value, wanted: &Value) -> bool {
    let negated = ["NotAction", "NotPrincipal", "NotResource"];
    if other["Effect"] != "Allow" || negated.iter().any(|it| !other[*it].is_null()) {
        return false;
    }
    let all = |key: &str, fold: fn(&str) -> String| {
        let patterns: Vec<String> = list(&other[key]).map(fold).collect();
        list(&wanted[key]).all(|it| patterns.iter().any(|pattern| matches(pattern, &fold(it))))
    };
    all("Action", str::to_ascii_lowercase)
        && all("Resource", str::to_owned)
        && principals(&other["Principal"], &wanted["Principal"])
        && conditions(&other["Condition"], &wanted["Condition"])
}

/// Whether `other` names each wanted principal exactly.
fn principals(other: &Value, wanted: &Value) -> bool {
    wanted
        .as_object()
        .into_iter()
        .flatten()
        .all(|(kind, names)| list(names).all(|name| list(&other[kind]).any(|it| it == name)))
}

/// Whether another statement's conditions match whenever the wanted ones do: each wanted key must be there, with a
/// known operator that accepts all wanted values. A statement without `:sub` admits every service account: that causes
/// advice and does not count as a grant.
fn conditions(other: &Value, wanted: &Value) -> bool {
    let same_value = |left: &Value, right: &Value| {
        same(
            &serde_json::json!({"Condition": left}),
            &serde_json::json!({"Condition": right}),
        )
    };
    if same_value(other, wanted) {
        return true;
    }
    let flat = |value: &Value| -> Vec<(String, String, Vec<String>)> {
        let mut found = Vec::new();
        for (operator, keys) in value.as_object().into_iter().flatten() {
            for (key, values) in keys.as_object().into_iter().flatten() {
                let values = list(values).map(str::to_owned).collect();
                found.push((operator.clone(), key.to_ascii_lowercase(), values));
            }
        }
        found
    };
    let (other, wanted) = (flat(other), flat(wanted));
    let known = |(operator, key, values): &(String, String, Vec<String>)| {
        let ours = wanted.iter().find(|(_, it, _)| it == key);
        let ours = ours.map_or(&[][..], |(_, _, it)| it.as_slice());
        // Each key has one value in an EKS token, so all its values equal any of them.
        let plain = ["ForAnyValue:", "ForAllValues:"]
            .iter()
            .find_map(|it| operator.strip_prefix(it))
            .unwrap_or(operator);
        let takes = |value: &String| match plain.trim_end_matches("IfExists") {
            "StringEquals" => values.contains(value),
            "StringEqualsIgnoreCase" => values.iter().any(|it| it.eq_ignore_ascii_case(value)),
            "StringLike" => values.iter().any(|it| matches(it, value)),
            // Requires that the key exists.
            "Null" => values.iter().all(|it| it == "false"),
            _ => false,
        };
        !ours.is_empty() && ours.iter().all(takes)
    };
    let limits = |(operator, key, _): &(String, String, Vec<String>), wanted: &str| {
        key == wanted && operator != "Null"
    };
    other.iter().all(known)
        && wanted
            .iter()
            .all(|(_, key, _)| other.iter().any(|it| limits(it, key)))
}

/// The texts of a string or a list.
fn list(value: &Value) -> impl Iterator<Item = &str> {
    let values = match value {
        Value::Array(list) => list.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    values.iter().filter_map(Value::as_str)
}

/// Whether `text` matches `pattern`: `*` is any text, `?` any character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut of) = (0, 0);
    // The last `*` and the end of its match so far: it is extended if the rest does not match.
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match (pattern.get(of), star) {
            (Some('*'), _) => {
                star = Some((of, at));
                of += 1;
            }
            (Some(it), _) if *it == '?' || *it == text[at] => {
                of += 1;
                at += 1;
            }
            (_, Some((place, end))) => {
                star = Some((place, end + 1));
                (of, at) = (place + 1, end + 1);
            }
            _ => return false,
        }
    }
    pattern[of..].iter().all(|it| *it == '*')
}

#[cfg(test)]
mod tests;

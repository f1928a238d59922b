//! Compares policy statements by meaning, regardless of order. Pure: no I/O.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::diff::{self, Difference};

/// Whether two statements are equivalent: lists are sets, one value is a list of one, names of actions and condition
/// keys are case-insensitive, and a `StringLike` without a wildcard is a `StringEquals`. In doubt they differ.
pub fn same(left: &Value, right: &Value) -> bool {
    canonical(left) == canonical(right)
}

/// Where a statement differs in meaning from the desired one, under `path`.
pub fn difference_of(path: &str, from: &Value, to: &Value) -> Vec<Difference> {
    let mut spelling = Spelling::default();
    spelling.learn(from);
    spelling.learn(to);
    let (from, to) = (canonical(from), canonical(to));
    diff::differences(&json!({path: from}), &json!({path: to}))
        .into_iter()
        .map(|it| Difference {
            path: spelling.path(it.path),
            from: spelling.value(it.from),
            to: spelling.value(it.to),
        })
        .collect()
}

/// The original spelling of case-insensitive names, by their lower-case form, for output. The desired spelling takes
/// precedence.
#[derive(Default)]
struct Spelling(BTreeMap<String, String>);

impl Spelling {
    fn learn(&mut self, statement: &Value) {
        for field in ["Action", "NotAction"] {
            let texts = statement[field].as_array().cloned();
            for text in texts.unwrap_or_else(|| vec![statement[field].clone()]) {
                self.add(text.as_str().unwrap_or_default());
            }
        }
        let operators = statement["Condition"].as_object().into_iter().flatten();
        for (_, keys) in operators {
            let keys = keys.as_object().into_iter().flatten();
            keys.for_each(|(key, _)| self.add(key));
        }
    }

    fn add(&mut self, text: &str) {
        let folded = text.to_ascii_lowercase();
        if folded != text {
            self.0.insert(folded, text.to_owned());
        }
    }

    fn name(&self, text: String) -> String {
        self.0.get(&text).cloned().unwrap_or(text)
    }

    fn path(&self, path: String) -> String {
        let ends = |(folded, _): &(&String, &String)| {
            let end = format!(".{folded}");
            path.ends_with(&end) || path.contains(&format!("{end}["))
        };
        match self.0.iter().find(ends) {
            Some((folded, spelled)) => {
                path.replacen(&format!(".{folded}"), &format!(".{spelled}"), 1)
            }
            None => path,
        }
    }

    fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.name(text)),
            Value::Array(list) => list.into_iter().map(|it| self.value(it)).collect(),
            Value::Object(map) => map
                .into_iter()
                .map(|(key, value)| (self.name(key), self.value(value)))
                .collect(),
            other => other,
        }
    }
}

/// The canonical form of a statement.
fn canonical(statement: &Value) -> Value {
    let Some(fields) = statement.as_object() else {
        return statement.clone();
    };
    let fields = fields.iter().map(|(key, value)| {
        let value = match key.as_str() {
            "Action" | "NotAction" => set(value, str::to_ascii_lowercase),
            "Resource" | "NotResource" => set(value, str::to_owned),
            "Principal" | "NotPrincipal" => principal(value),
            "Condition" => condition(value),
            _ => value.clone(),
        };
        (key.clone(), value)
    });
    // An empty condition counts as absent.
    let said = fields.filter(|(key, value)| key != "Condition" || *value != json!({}));
    Value::Object(said.collect())
}

fn principal(value: &Value) -> Value {
    let Some(kinds) = value.as_object() else {
        return value.clone();
    };
    let kinds = kinds
        .iter()
        .map(|(kind, names)| (kind.clone(), set(names, str::to_owned)));
    Value::Object(kinds.collect())
}

/// Operator → key → values. If two spellings of an operator have the same key, both are kept: IAM combines them with
/// AND.
fn condition(value: &Value) -> Value {
    let Some(operators) = value.as_object() else {
        return value.clone();
    };
    let mut result = Map::new();
    for (operator, keys) in operators {
        let Some(keys) = keys.as_object() else {
            result.insert(operator.clone(), keys.clone());
            continue;
        };
        for (key, values) in keys {
            let plain = match operator.as_str() {
                "StringLike" if !has_wildcard(values) => "StringEquals",
                other => other,
            };
            let key = key.to_ascii_lowercase();
            let values = set(values, str::to_owned);
            let keys = result.entry(plain).or_insert_with(|| json!({}));
            let entry = &mut keys[key.as_str()];
            *entry = match entry.take() {
                Value::Null => values,
                already if already == values => values,
                // Sorted, so that the order of the spellings does not matter.
                Value::Array(mut list) if list.first().is_some_and(Value::is_array) => {
                    list.push(values);
                    list.sort_by_key(Value::to_string);
                    Value::Array(list)
                }
                already => {
                    let mut both = vec![already, values];
                    both.sort_by_key(Value::to_string);
                    Value::Array(both)
                }
            };
        }
    }
    Value::Object(result)
}

fn has_wildcard(values: &Value) -> bool {
    let wild = |value: &Value| value.as_str().is_none_or(|it| it.contains(['*', '?', '$']));
    match values {
        Value::Array(list) => list.iter().any(wild),
        single => wild(single),
    }
}

/// A list or a single value as a sorted list without duplicates; numbers and booleans as text, as IAM reads them. Other
/// values are kept, and so differ from everything else.
fn set(value: &Value, fold: impl Fn(&str) -> String) -> Value {
    let text = |value: &Value| match value {
        Value::String(text) => Some(fold(text)),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    let texts: Option<BTreeSet<String>> = match value {
        Value::Array(list) => list.iter().map(text).collect(),
        single => text(single).map(|it| [it].into()),
    };
    texts.map_or_else(|| value.clone(), |texts| texts.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_they_are_written() {
        let statement = |key: &str, action: &str, value: &str| json!({"Action": action, "Condition": {"StringEquals": {key: value}}});
        let key = "oidc.eks.eu-central-1.amazonaws.com/id/ABC:sub";
        let from = statement(
            &key.to_lowercase(),
            "sts:assumerole",
            "system:serviceaccount:a:b",
        );
        let to = statement(
            key,
            "sts:AssumeRoleWithWebIdentity",
            "system:serviceaccount:a:c",
        );
        let found = difference_of("trustPolicy", &from, &to);
        let shown: Vec<_> = found
            .iter()
            .map(|it| (it.path.as_str(), it.to.to_string()))
            .collect();
        let path = format!("trustPolicy.Condition.StringEquals.{key}[0]");
        assert!(
            shown.contains(&(
                "trustPolicy.Action[0]",
                "\"sts:AssumeRoleWithWebIdentity\"".into()
            )),
            "{shown:?}"
        );
        assert!(shown.iter().any(|(it, _)| *it == path), "{shown:?}");
    }
}

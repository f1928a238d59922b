//! Merges arcctl's statements into a policy document. Pure: no I/O.

use serde_json::{Value, json};

use super::{Document, Statement, difference_of, same};
use crate::diff::Difference;

/// Whether a statement is arcctl's: its `Sid` begins with that of this cluster and profile.
pub fn is_own(statement: &Statement, sid: &str) -> bool {
    statement.sid().is_some_and(|it| it.starts_with(sid))
}

/// `document` with `own` in place of arcctl's statements (by `sid`); `None` if nothing changes. Other statements keep
/// their text and position.
pub fn merged(document: &Document, sid: &str, own: &[Value]) -> Option<Document> {
    if differences("", document, sid, own).is_empty() {
        return None;
    }
    let mut wanted: Vec<Option<&Value>> = own.iter().map(Some).collect();
    let mut result = document.clone();
    result.statements.retain_mut(|statement| {
        if !is_own(statement, sid) {
            return true;
        }
        let place = wanted
            .iter_mut()
            .find(|it| it.is_some_and(|own| own["Sid"] == statement.value["Sid"]));
        match place.and_then(Option::take) {
            None => false,
            Some(own) => {
                if !same(own, &statement.value) {
                    *statement = Statement::new(own.clone());
                }
                true
            }
        }
    });
    let missing = wanted.into_iter().flatten().cloned();
    result.statements.extend(missing.map(Statement::new));
    Some(result)
}

/// `document` without arcctl's statements (by `sid`); `None` if it has none. The result may be empty, which IAM
/// rejects: then the caller deletes the whole document.
pub fn without(document: &Document, sid: &str) -> Option<Document> {
    merged(document, sid, &[])
}

/// The differences in meaning between arcctl's statements and `own`: `path[Sid].Condition…`.
pub fn differences(path: &str, document: &Document, sid: &str, own: &[Value]) -> Vec<Difference> {
    let name =
        |statement: &Value| format!("{path}[{}]", statement["Sid"].as_str().unwrap_or_default());
    let mut found = Vec::new();
    let mut seen: Vec<&Value> = Vec::new();
    for statement in document.statements.iter().filter(|it| is_own(it, sid)) {
        let wanted = own.iter().find(|it| it["Sid"] == statement.value["Sid"]);
        match wanted {
            Some(wanted) if !seen.contains(&wanted) => {
                found.extend(difference_of(&name(wanted), &statement.value, wanted));
                seen.push(wanted);
            }
            _ => found.push(Difference {
                path: name(&statement.value),
                from: statement.value.clone(),
                to: Value::Null,
            }),
        }
    }
    for wanted in own.iter().filter(|it| !seen.contains(it)) {
        found.push(Difference {
            path: name(wanted),
            from: json!(null),
            to: wanted.clone(),
        });
    }
    found
}

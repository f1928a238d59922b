//! Our statements among those of others. Pure: no I/O.

use serde_json::{Value, json};

use super::{Document, Statement, difference_of, same};
use crate::diff::Difference;

/// Whether a statement is ours: its `Sid` begins with the one of this cluster and profile.
pub fn is_own(statement: &Statement, sid: &str) -> bool {
    statement.sid().is_some_and(|it| it.starts_with(sid))
}

/// `document` with `own` in place of the statements that are ours by `sid`; `None` where it says so already. Foreign
/// statements stay as they are and where they are.
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

/// `document` without the statements that are ours by `sid`; `None` where it has none. What remains may be empty, which
/// IAM does not take: then the whole document is ours to delete.
pub fn without(document: &Document, sid: &str) -> Option<Document> {
    merged(document, sid, &[])
}

/// Where our statements differ from `own`, by meaning: `path[Sid].Condition…`.
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

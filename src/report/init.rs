//! What `arcctl init` found and wrote, as `arcctl.init/v1`. Pure: no I/O.

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    error::{Error, ErrorDocument},
    plan::Changes,
};

/// The result of `arcctl init`.
#[derive(Clone, Debug, Default)]
pub struct Init {
    /// The profile's name; empty if it is not known.
    pub profile: String,
    /// The file that was written.
    pub file: Option<String>,
    /// The profile.
    pub text: Option<String>,
    /// The answers, by question.
    pub answers: Vec<(String, String)>,
    /// What was found.
    pub found: Vec<Found>,
    /// The advice about the profile.
    pub advice: Vec<String>,
    /// Where the profile differs from an installation made by hand.
    pub differences: Vec<Difference>,
    /// The number of changes that `plan` shows.
    pub changes: Option<Changes>,
    /// Why `plan` shows none.
    pub plan_error: Option<ErrorDocument>,
}

/// A finding.
#[derive(Clone, Debug)]
pub struct Found {
    /// What was read.
    pub what: String,
    /// What it is, or why that is not known.
    pub read: Result<String, String>,
}

/// A difference of a profile from an installation made by hand.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// The object, as `kind/namespace/name`.
    pub object: String,
    /// The field; empty for the whole object.
    pub path: String,
    /// Why it differs.
    pub why: String,
}

/// The JSON document.
pub fn document(init: &Init, error: Option<&Error>) -> Value {
    let answers: Vec<Value> = init
        .answers
        .iter()
        .map(|(question, answer)| json!({"question": question, "answer": answer}))
        .collect();
    let found: Vec<Value> = init
        .found
        .iter()
        .map(|it| {
            let (value, unknown) = (it.read.as_ref().ok(), it.read.as_ref().err());
            json!({"what": it.what, "value": value, "unknown": unknown})
        })
        .collect();
    json!({
        "schema": "arcctl.init/v1",
        "profile": init.profile,
        "file": init.file,
        "text": init.text,
        "answers": answers,
        "found": found,
        "advice": init.advice,
        "differences": init.differences,
        "changes": init.changes,
        "planError": init.plan_error,
        "error": error.map(Error::document),
    })
}

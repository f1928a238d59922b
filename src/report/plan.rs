//! A plan as text and as `arcctl.plan/v1`. Pure: no I/O.

use std::fmt::Write;

use serde_json::{Value, json};

use super::change::shown;
use crate::{
    error::Error,
    plan::{Action, Changes, Plan, Step},
};

/// The JSON document; without a plan, that of a failure.
pub fn document(profile: &str, plan: Option<&Plan>, error: Option<&Error>) -> Value {
    let changes = plan.map(Plan::changes).unwrap_or_default();
    let steps: &[Step] = plan.map_or(&[], |it| &it.steps);
    json!({
        "schema": "arcctl.plan/v1",
        "profile": profile,
        "changes": changes,
        "steps": steps,
        "error": error.map(Error::document),
    })
}

/// The plan as text: changes field by field, unchanged resources as one line.
pub fn text(plan: &Plan, verbose: bool) -> String {
    let mut text = String::new();
    let width = plan.steps.iter().map(|it| it.id.len()).max().unwrap_or(0);
    for step in &plan.steps {
        if step.action == Action::Keep && step.note.is_none() && !verbose {
            continue;
        }
        let note = match (&step.note, step.adopts, step.action, step.ready) {
            (Some(note), ..) => format!("  {note}"),
            (_, true, Action::Delete, _) => "  not arcctl's (--adopt); to have it again:".into(),
            (_, true, ..) => "  taken over (--adopt)".into(),
            (_, _, Action::Keep, false) => "  not ready".into(),
            _ => String::new(),
        };
        // Writing to a String cannot fail.
        let _ignored = writeln!(
            text,
            "  {:<6}  {:<width$}{note}",
            name(step.action),
            step.id
        );
        if step.action == Action::Delete {
            for difference in &step.differences {
                text.push_str(&whole(&difference.from));
            }
            continue;
        }
        for consequence in &step.consequences {
            let _ignored = writeln!(text, "            {consequence}");
        }
        for difference in &step.differences {
            let (from, to) = shown(&difference.from, &difference.to);
            let _ignored = writeln!(text, "            {}  {from} -> {to}", difference.path);
        }
    }
    let mut text: String = text
        .lines()
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect();
    let _ignored = writeln!(text, "{}", closing(plan));
    text
}

/// The whole object that is deleted, as YAML for `kubectl apply`.
fn whole(manifest: &Value) -> String {
    let yaml = serde_saphyr::to_string(manifest).unwrap_or_else(|_| manifest.to_string());
    yaml.lines()
        .flat_map(|line| ["            ", line, "\n"])
        .collect()
}

/// The number of steps per action.
pub(super) fn closing(plan: &Plan) -> String {
    counted(plan.changes())
}

/// The number of steps per action.
pub fn counted(changes: Changes) -> String {
    let mut parts = Vec::new();
    for (count, what) in [
        (changes.create, "to create"),
        (changes.update, "to update"),
        (changes.delete, "to delete"),
        (changes.later, "decided later"),
        (changes.keep, "unchanged"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    format!("Plan: {}.", parts.join(", "))
}

/// The word for an action.
pub const fn name(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "delete",
        Action::Keep => "keep",
        Action::Later => "later",
    }
}

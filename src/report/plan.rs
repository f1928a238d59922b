//! A plan as text and as `arcctl.plan/v1`. Pure: no I/O.

use std::fmt::Write;

use anstyle::Style;
use serde_json::{Value, json};

use super::change::shown;
use crate::{
    error::Error,
    plan::{Action, Plan, Step},
    printable::{BAD, CHANGE, DIM, GOOD, paint},
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

/// The plan as text, grouped by what the resources belong to: changes field by field, of what is created the values that
/// matter; unchanged resources as one line. With `verbose` everything.
pub fn text(plan: &Plan, verbose: bool) -> String {
    let mut text = String::new();
    for (group, steps) in groups(plan) {
        let mut body = String::new();
        for step in steps {
            if step.action == Action::Keep && step.note.is_none() && !verbose {
                continue;
            }
            body.push_str(&one(step, verbose));
        }
        if !body.is_empty() && !group.is_empty() {
            // Writing to a String cannot fail.
            let _ignored = writeln!(text, "{group}");
        }
        text.push_str(&body);
    }
    let mut text: String = text
        .lines()
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect();
    let _ignored = writeln!(text, "{}", closing(plan));
    text
}

/// The steps by their group, in the order in which the groups begin. A removal has one: what goes first is what matters.
fn groups(plan: &Plan) -> Vec<(&str, Vec<&Step>)> {
    let goes = |it: &Step| matches!(it.action, Action::Delete | Action::Keep);
    let is_removal = plan.steps.iter().all(goes);
    let mut groups: Vec<(&str, Vec<&Step>)> = Vec::new();
    for step in &plan.steps {
        let group = step.review.as_ref().map(|it| it.group.as_str());
        let group = group.filter(|_| !is_removal).unwrap_or_default();
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, steps)) => steps.push(step),
            None => groups.push((group, vec![step])),
        }
    }
    groups
}

/// A step with its changes.
fn one(step: &Step, verbose: bool) -> String {
    let note = match (&step.note, step.adopts, step.action, step.ready) {
        (Some(note), ..) => format!("  {note}"),
        (_, true, Action::Delete, _) => "  not arcctl's (--adopt); to have it again:".into(),
        (_, true, ..) => "  taken over (--adopt)".into(),
        (_, _, Action::Keep, false) => "  not ready".into(),
        _ => String::new(),
    };
    let label = step.review.as_ref().map(|it| it.label.as_str());
    let label = label
        .filter(|it| !it.is_empty())
        .map_or_else(String::new, |it| format!("  {}", paint(DIM, it)));
    let (sign, style) = sign(step.action);
    let action = paint(style, format!("{sign} {:<6}", name(step.action)));
    let mut text = format!("  {action}  {}{label}{note}\n", step.id);
    if step.action == Action::Delete {
        for difference in &step.differences {
            text.push_str(&whole(&difference.from));
        }
        return text;
    }
    // Writing to a String cannot fail.
    for consequence in &step.consequences {
        let _ignored = writeln!(text, "              {consequence}");
    }
    if let Some(review) = &step.review
        && step.action == Action::Create
    {
        for (name, value) in &review.values {
            let _ignored = writeln!(text, "              {name}  {value}");
        }
        if verbose && !review.whole.is_null() {
            text.push_str(&whole(&review.whole));
        }
    }
    for difference in &step.differences {
        let (from, to) = shown(&difference.from, &difference.to);
        let _ignored = writeln!(text, "              {}  {from} -> {to}", difference.path);
    }
    text
}

/// The sign of an action, and its color.
const fn sign(action: Action) -> (char, Style) {
    match action {
        Action::Create => ('+', GOOD),
        Action::Update => ('~', CHANGE),
        Action::Delete => ('-', BAD),
        Action::Keep => ('=', DIM),
        Action::Later => ('?', DIM),
    }
}

/// A whole document as YAML; of an object that is deleted, for `kubectl apply`.
fn whole(manifest: &Value) -> String {
    let yaml = serde_saphyr::to_string(manifest).unwrap_or_else(|_| manifest.to_string());
    yaml.lines()
        .flat_map(|line| ["              ", line, "\n"])
        .collect()
}

/// The number of steps per action.
pub(super) fn closing(plan: &Plan) -> String {
    let changes = plan.changes();
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

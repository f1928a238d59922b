//! A plan as text and as `arcctl.plan/v1`. Pure: no I/O.

use std::fmt::Write;

use dialoguer::console::measure_text_width;
use serde_json::{Value, json};

use super::change::shown;
use crate::{
    desired::summary::Group,
    error::Error,
    plan::{Action, Changes, Plan, Step},
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

/// How a plan is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// By what it is about (AWS, cert-manager, the controller, each pool), for a review.
    Grouped,
    /// In the order of the run: that of a deletion matters.
    InOrder,
}

/// The plan as text: changes field by field and, for what is created, the values that matter; unchanged resources only
/// if `verbose`, which also shows the whole of what is created.
pub fn text(plan: &Plan, verbose: bool, layout: Layout) -> String {
    let mut text = String::new();
    let shown: Vec<&Step> = plan
        .steps
        .iter()
        .filter(|it| it.action != Action::Keep || it.note.is_some() || verbose)
        .collect();
    if layout == Layout::Grouped {
        for (group, steps) in grouped(&shown) {
            let _ignored = writeln!(text, "{group}");
            for it in steps {
                step_text(&mut text, it, verbose);
            }
        }
    } else {
        for it in shown {
            step_text(&mut text, it, verbose);
        }
    }
    let mut text: String = text
        .lines()
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect();
    let _ignored = writeln!(text, "{}", closing(plan));
    text
}

/// The steps by group, pools in the order of the profile.
fn grouped<'a>(steps: &[&'a Step]) -> Vec<(&'a Group, Vec<&'a Step>)> {
    let mut groups: Vec<(&Group, Vec<&Step>)> = Vec::new();
    for step in steps {
        let group = &step.summary.group;
        match groups.iter_mut().find(|(it, _)| *it == group) {
            Some((_, steps)) => steps.push(step),
            None => groups.push((group, vec![step])),
        }
    }
    groups.sort_by_key(|(it, _)| it.rank());
    groups
}

fn step_text(text: &mut String, step: &Step, verbose: bool) {
    let note = match (&step.note, step.adopts, step.action, step.ready) {
        (Some(note), ..) => note.clone(),
        (_, true, Action::Delete, _) => "not arcctl's (--adopt); to have it again:".into(),
        (_, true, ..) => "taken over (--adopt)".into(),
        (_, _, Action::Keep, false) => "not ready".into(),
        _ => dim(step.summary.label),
    };
    let head = format!(
        "  {} {:<6}  {}",
        sign(step.action),
        name(step.action),
        step.id
    );
    // Names at AWS are long: what it is stands below, where a terminal would break the line.
    let fits = measure_text_width(&head) + 2 + measure_text_width(&note) <= WIDTH;
    let between = if fits || note.is_empty() {
        "  "
    } else {
        NEXT_LINE
    };
    // Writing to a String cannot fail.
    let _ignored = writeln!(text, "{head}{between}{note}");
    for consequence in &step.consequences {
        let _ignored = writeln!(text, "{DETAIL}{consequence}");
    }
    if step.action == Action::Delete {
        for difference in &step.differences {
            text.push_str(&whole(&difference.from));
        }
        return;
    }
    for difference in &step.differences {
        let (from, to) = shown(&difference.from, &difference.to);
        let _ignored = writeln!(text, "{DETAIL}{}  {from} -> {to}", difference.path);
    }
    if matches!(step.action, Action::Create | Action::Later) {
        values_text(text, step);
        if verbose && !step.summary.whole.is_null() {
            text.push_str(&whole(&step.summary.whole));
        }
    }
}

/// The values that matter, in two columns, within 80 columns where words allow it.
fn values_text(text: &mut String, step: &Step) {
    let values = &step.summary.values;
    let names = values.iter().map(|(it, _)| it.len()).max().unwrap_or(0);
    for (name, value) in values {
        let first = format!("{DETAIL}{name:<names$}  ");
        let next = " ".repeat(first.len());
        let options = textwrap::Options::new(WIDTH)
            .initial_indent(&first)
            .subsequent_indent(&next)
            .break_words(false)
            .word_separator(textwrap::WordSeparator::AsciiSpace)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        for line in textwrap::wrap(value, options) {
            let _ignored = writeln!(text, "{line}");
        }
    }
}

/// The columns of a terminal of usual size.
const WIDTH: usize = 80;

/// Before what belongs to a step.
const DETAIL: &str = "              ";
const NEXT_LINE: &str = "\n              ";

/// `text` dimmed; the output removes it again where there are no colors.
fn dim(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    paint(DIM, text)
}

fn sign(action: Action) -> String {
    match action {
        Action::Create => paint(GOOD, "+"),
        Action::Update => paint(CHANGE, "~"),
        Action::Delete => paint(BAD, "-"),
        Action::Keep => "=".to_owned(),
        Action::Later => "?".to_owned(),
    }
}

/// The whole object that is deleted, as YAML for `kubectl apply`.
fn whole(manifest: &Value) -> String {
    let yaml = serde_saphyr::to_string(manifest).unwrap_or_else(|_| manifest.to_string());
    yaml.lines().flat_map(|line| [DETAIL, line, "\n"]).collect()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        desired::{Facts, desired, summary::Summary},
        plan::planned,
        profile::load,
        resource::observed::Observed,
    };

    const PROFILE: &str = include_str!("../../profiles/reference.yaml");

    /// The plan of a bare cluster, as `plan --offline` knows it.
    fn bare() -> Plan {
        let profile = load(PROFILE, "reference").unwrap().profile;
        let desired = desired(&profile, &Facts::default()).unwrap();
        let steps = desired
            .iter()
            .map(|it| planned(it, &Observed::Absent, false).unwrap());
        Plan {
            profile: profile.name,
            steps: steps.collect(),
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_plan_is_grouped_with_the_values_that_matter() {
        insta::assert_snapshot!(plain(&text(&bare(), false, Layout::Grouped)));
    }

    #[test]
    fn a_deletion_is_shown_in_its_order() {
        let plan = bare();
        let shown = plain(&text(&plan, false, Layout::InOrder));
        let places: Vec<usize> = plan
            .steps
            .iter()
            .map(|it| shown.find(&it.id).unwrap())
            .collect();
        assert!(places.is_sorted(), "{shown}");
    }

    #[test]
    fn verbose_shows_all_of_what_is_created() {
        let whole = plain(&text(&bare(), true, Layout::Grouped));
        let short = plain(&text(&bare(), false, Layout::Grouped));
        for field in [
            "dockerVarRunVolumeSizeLimit:",
            "scaleUpThreshold:",
            "replicaCount:",
        ] {
            assert!(
                whole.contains(field) && !short.contains(field),
                "{field}\n{whole}"
            );
        }
    }

    #[test]
    fn pools_keep_the_order_of_the_profile() {
        let step = |pool: &str| Step {
            summary: Summary {
                group: Group::Pool(pool.into()),
                ..Summary::default()
            },
            ..bare().steps.remove(0)
        };
        let plan = Plan {
            profile: "p".into(),
            steps: vec![step("b"), step("a"), step("b")],
        };
        let shown = plain(&text(&plan, false, Layout::Grouped));
        let heads: Vec<&str> = shown.lines().filter(|it| it.starts_with("Pool")).collect();
        assert_eq!(heads, ["Pool b", "Pool a"]);
    }

    #[test]
    fn a_change_is_shown_with_both_values() {
        let mut plan = bare();
        plan.steps.truncate(1);
        plan.steps[0].action = Action::Update;
        plan.steps[0].differences = vec![crate::diff::Difference {
            path: "spec.minReplicas".into(),
            from: json!(1),
            to: json!(2),
        }];
        let shown = plain(&text(&plan, false, Layout::Grouped));
        assert!(shown.contains("~ update"), "{shown}");
        assert!(shown.contains("spec.minReplicas  1 -> 2"), "{shown}");
    }
}

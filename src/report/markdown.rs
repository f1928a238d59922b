//! Plans, runs and findings as Markdown, for the summary of a CI step: the most important first. Pure: no I/O.

use std::fmt::Write;

use super::{change::shown, doctor::said, plan::name, run::Run};
use crate::{
    doctor::{
        Finding,
        check::{Severity, Verdict},
    },
    error::Error,
    execute::StepResult,
    plan::{Action, Plan, Step},
    secret::text::masked,
};

/// A plan: its changes.
pub fn plan(plan: &Plan) -> String {
    let mut text = heading("plan", &plan.profile);
    line(&mut text, &format!("{}\n", super::plan::closing(plan)));
    let changing: Vec<&Step> = plan
        .steps
        .iter()
        .filter(|it| it.action != Action::Keep)
        .collect();
    if changing.is_empty() {
        return text;
    }
    line(&mut text, "| action | what | change |\n|---|---|---|");
    for step in changing {
        let differences = match step.action {
            // The log shows deleted objects completely.
            Action::Delete => &[][..],
            _ => &step.differences,
        };
        let mut changes: Vec<String> = differences
            .iter()
            .map(|it| {
                let (from, to) = shown(&it.from, &it.to);
                format!("{}: {} → {}", code(&it.path), code(&from), code(&to))
            })
            .collect();
        if step.adopts {
            let word = match step.action {
                Action::Delete => "not arcctl's (--adopt)",
                _ => "taken over (--adopt)",
            };
            changes.insert(0, word.into());
        }
        for consequence in step.consequences.iter().rev() {
            changes.insert(0, plain(consequence));
        }
        changes.extend(step.note.as_deref().map(plain));
        row(
            &mut text,
            &[
                name(step.action).to_owned(),
                code(&step.id),
                changes.join("<br>"),
            ],
        );
    }
    text
}

/// A run: its result, its errors, and its steps.
pub fn run(run: &Run, command: &str) -> String {
    let mut text = heading(command, &run.profile);
    let outcome = run.outcome();
    let mark = if run.error.is_none() { "✅" } else { "❌" };
    let seconds = run.elapsed.as_secs_f64();
    let changed = run.changed();
    line(
        &mut text,
        &format!("{mark} **{outcome}**: {changed} changed, {seconds:.1} s\n"),
    );
    if let Some(error) = &run.error {
        text.push_str(&failure(error));
    }
    let matters = |it: &&StepResult| it.error.is_some() || it.action != Some(Action::Keep);
    let mut steps: Vec<&StepResult> = run.steps.iter().filter(matters).collect();
    steps.sort_by_key(|it| (it.error.is_none(), it.action.is_none()));
    if steps.is_empty() {
        return text;
    }
    line(
        &mut text,
        "| outcome | action | what | seconds | why |\n|---|---|---|---|---|",
    );
    for step in steps {
        let (outcome, why) = match (&step.error, step.action) {
            (Some(error), _) => (error.kind.outcome(), plain(&error.document().message)),
            (None, Some(_)) => ("ok", String::new()),
            (None, None) => ("not started", String::new()),
        };
        row(
            &mut text,
            &[
                outcome.to_owned(),
                step.action.map_or("", name).to_owned(),
                code(step.id.as_str()),
                format!("{:.1}", step.elapsed.as_secs_f64()),
                why,
            ],
        );
    }
    text
}

/// Findings: the roots first, then their consequences, then advice; checks that hold are counted.
pub fn doctor(findings: &[Finding], profile: &str) -> String {
    let mut text = heading("doctor", profile);
    line(
        &mut text,
        &format!("{}\n", super::doctor::closing(findings)),
    );
    let mut wrong: Vec<&Finding> = findings.iter().filter(|it| it.verdict.is_wrong()).collect();
    wrong.sort_by_key(|it| (it.severity == Severity::Advice, it.follows.is_some()));
    if wrong.is_empty() {
        return text;
    }
    line(&mut text, "| | check | found | fix |\n|---|---|---|---|");
    for finding in wrong {
        let mark = match (&finding.verdict, finding.severity) {
            (Verdict::Unknown { .. }, _) => "❔",
            (_, Severity::Required) => "❌",
            (_, Severity::Advice) => "⚠️",
        };
        let (found, fix) = said(&finding.verdict);
        let found = match finding.follows {
            Some(root) => format!("{}<br>follows from {}", plain(found), code(root)),
            None => plain(found),
        };
        row(
            &mut text,
            &[mark.to_owned(), code(finding.id), found, plain(fix)],
        );
    }
    text
}

/// A table under a command's heading; the first column has names.
pub(super) fn table<const COLUMNS: usize>(
    command: &str,
    profile: &str,
    head: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    let mut text = heading(command, profile);
    row(&mut text, &head.map(str::to_owned));
    line(&mut text, &format!("|{}", "---|".repeat(COLUMNS)));
    for cells in rows {
        let cells: Vec<String> = cells
            .iter()
            .enumerate()
            .map(|(index, cell)| if index == 0 { code(cell) } else { plain(cell) })
            .collect();
        row(&mut text, &cells);
    }
    text
}

/// An error that ended a command, with its causes and its hint.
pub fn failure(error: &Error) -> String {
    let mut text = format!("> {}\n", plain(&error.message));
    for cause in &error.causes {
        line(&mut text, &format!(">\n> caused by: {}", plain(cause)));
    }
    if let Some(hint) = &error.hint {
        line(&mut text, &format!(">\n> hint: {}", plain(hint)));
    }
    text.push('\n');
    text
}

fn heading(command: &str, profile: &str) -> String {
    if profile.is_empty() {
        return format!("### arcctl {command}\n\n");
    }
    format!("### arcctl {command}: {}\n\n", code(profile))
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ignored = writeln!(text, "{line}");
}

fn row(text: &mut String, cells: &[String]) {
    line(text, &format!("| {} |", cells.join(" | ")));
}

/// Escapes text: no markup, no table and no link from another system. Secrets are hidden before: an escaped `ghp_`, `://` or `=`
/// is not recognized.
fn plain(text: &str) -> String {
    let text = &masked(text);
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '\n' => safe.push_str("<br>"),
            '\r' => {}
            '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '|' | '#' | '~' | '@' => {
                safe.push('\\');
                safe.push(character);
            }
            // A bare address would be a link.
            ':' if safe.ends_with("http") || safe.ends_with("https") => safe.push_str("&#58;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A name or a value as code, in an HTML element, since a code span cannot contain every text. Secrets are hidden before.
fn code(text: &str) -> String {
    let inner: String = masked(text)
        .chars()
        .map(|it| match it {
            '&' => "&amp;".into(),
            '<' => "&lt;".into(),
            '>' => "&gt;".into(),
            '\n' | '\r' => " ".into(),
            it if it.is_ascii_punctuation() && !"-./,: ".contains(it) => {
                format!("&#{};", u32::from(it))
            }
            it => it.to_string(),
        })
        .collect();
    format!("<code>{inner}</code>")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{
        desired::{Phase, resource::Id, summary::Summary},
        diff::Difference,
        error::System,
        report::run::Requests,
        secret::canaries,
    };

    fn step(action: Action) -> Step {
        Step {
            id: "horizontal-runner-autoscaler/actions-runner/basic".into(),
            kind: "horizontal-runner-autoscaler".into(),
            name: "basic".into(),
            phase: Phase::Runners,
            action,
            differences: vec![Difference {
                path: "spec.minReplicas".into(),
                from: json!(1),
                to: json!("a|b`<c>"),
            }],
            adopts: false,
            ready: true,
            proof: false,
            note: None,
            consequences: Vec::new(),
            summary: Summary::default(),
        }
    }

    #[test]
    fn a_plan_has_what_changes_and_no_cell_breaks_the_table() {
        let text = plan(&Plan {
            profile: "x".into(),
            steps: vec![step(Action::Keep), step(Action::Update)],
        });
        let rows: Vec<&str> = text.lines().filter(|it| it.starts_with("| ")).collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert!(rows[1].ends_with(
            "<code>spec.minReplicas</code>: <code>1</code> → <code>a&#124;b&#96;&lt;c&gt;</code> |"
        ), "{text}");
        assert!(text.contains("1 to update, 1 unchanged"), "{text}");
    }

    #[test]
    fn a_run_has_its_failures_first_and_quotes_nothing_as_markup() {
        let result = |name: &str, error| StepResult {
            id: Id::new("namespace", None, name),
            action: Some(Action::Create),
            written: true,
            elapsed: Duration::from_secs(1),
            span: None,
            error,
        };
        let error = Error::failed(System::Kubernetes, "a | b\n<img src=x> [l](https://x)")
            .cause("# no heading")
            .hint("do it");
        let text = run(
            &Run {
                profile: "x".into(),
                steps: vec![result("fine", None), result("bad", Some(error.clone()))],
                began: std::time::Instant::now(),
                elapsed: Duration::from_secs(2),
                requests: Requests::default(),
                error: Some(error),
            },
            "up",
        );
        let rows: Vec<&str> = text.lines().filter(|it| it.starts_with("| ")).collect();
        assert!(
            rows[1].contains("bad") && rows[2].contains("fine"),
            "{text}"
        );
        let separators = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(rows.iter().all(|it| separators(it) == 6), "{text}");
        assert!(
            !text.contains("<img") && !text.contains("[l](") && !text.contains("https:"),
            "{text}"
        );
        assert!(
            text.contains("> caused by: \\# no heading\n>\n> hint: do it\n"),
            "{text}"
        );
    }

    #[test]
    fn no_secret_is_in_a_summary_since_its_text_is_escaped() {
        for message in canaries::messages() {
            // As `GITHUB_STEP_SUMMARY` gets it.
            for written in [masked(&plain(&message)), masked(&code(&message))] {
                let found = canaries::forms()
                    .into_iter()
                    .find(|it| written.contains(it));
                assert_eq!(found, None, "{message}: {written}");
            }
        }
    }

    #[test]
    fn a_doctor_has_required_roots_first() {
        let finding = |id, severity, follows| Finding {
            id,
            category: "cluster",
            severity,
            claim: "c",
            verdict: Verdict::broken("f", "x"),
            follows,
        };
        let text = doctor(
            &[
                finding("advice", Severity::Advice, None),
                finding("second", Severity::Required, Some("first")),
                finding("first", Severity::Required, None),
            ],
            "p",
        );
        let at = |word: &str| text.find(&format!("<code>{word}</code> | ")).unwrap();
        assert!(
            at("first") < at("second") && at("second") < at("advice"),
            "{text}"
        );
    }
}

//! Findings as text, roots first, and as `arcctl.doctor/v1`. Pure: no I/O.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    doctor::{
        Finding,
        check::{Severity, Verdict},
    },
    error::{Error, ErrorKind, System},
    printable::{BAD, CHANGE, DIM, GOOD, paint},
};

use super::screen::wrapped;

/// The broken and unknown required checks as one error, `None` if there are none; its kind decides the exit code.
pub fn error(findings: &[Finding]) -> Option<Error> {
    let wrong: Vec<&Finding> = findings
        .iter()
        .filter(|it| it.severity == Severity::Required && it.verdict.is_wrong())
        .collect();
    let first = wrong
        .iter()
        .find(|it| it.follows.is_none())
        .or(wrong.first())?;
    let refused = wrong.iter().find(|it| it.verdict.is_refused());
    let (kind, first) = match refused {
        Some(it) => (ErrorKind::Unauthorized, it),
        None => (ErrorKind::Failed, first),
    };
    let system = match first.category {
        "profile" => System::Profile,
        "tools" => System::Local,
        "aws" | "network" => System::Aws,
        "github" => System::GitHub,
        _ => System::Kubernetes,
    };
    let (found, fix) = said(&first.verdict);
    let message = format!(
        "{} of {} checks are broken or could not be made; first `{}`",
        wrong.len(),
        findings.len(),
        first.id
    );
    Some(Error::new(kind, system, message).cause(found).hint(fix))
}

/// Whether only advice is broken.
pub fn has_advice(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|it| it.severity == Severity::Advice && it.verdict.is_wrong())
}

/// The checks that `--fix` tried to fix and that hold now.
pub fn fixed(findings: &[Finding], tried: &[&'static str]) -> Vec<&'static str> {
    let holds = |id: &&&str| {
        findings
            .iter()
            .any(|it| it.id == **id && it.verdict == Verdict::Holds)
    };
    tried.iter().filter(holds).copied().collect()
}

/// The JSON document.
pub fn document(findings: &[Finding], fixed: &[&str], error: Option<&Error>) -> Value {
    let count = |word: &str| {
        findings
            .iter()
            .filter(|it| it.verdict.word() == word)
            .count()
    };
    let check = |it: &Finding| {
        let (found, fix) = said(&it.verdict);
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        json!({
            "id": it.id, "category": it.category, "severity": it.severity,
            "verdict": it.verdict.word(), "claim": it.claim, "found": filled(found),
            "fix": filled(fix), "follows": it.follows, "docs": format!("docs/doctor.md#{}", it.id),
        })
    };
    json!({
        "schema": "arcctl.doctor/v1",
        "checks": findings.iter().map(check).collect::<Vec<_>>(),
        "summary": {
            "holds": count("holds"), "broken": count("broken"),
            "skipped": count("skipped"), "unknown": count("unknown"),
        },
        "fixed": fixed,
        "error": error.map(Error::document),
    })
}

/// The finding and its fix; for a skipped check, the reason.
pub(super) fn said(verdict: &Verdict) -> (&str, &str) {
    match verdict {
        Verdict::Holds => ("", ""),
        Verdict::Broken { found, fix, .. } => (found, fix),
        Verdict::Skipped { why } => (why, ""),
        Verdict::Unknown { why, fix, .. } => (why, fix),
    }
}

/// Text for people: what was fixed, then the roots, each with its consequences on one line; with `verbose` every check.
/// Wrapped for a terminal of so many columns, if it is for one.
pub fn text(findings: &[Finding], fixed: &[&str], verbose: bool, columns: Option<usize>) -> String {
    let mut text = Text {
        text: String::new(),
        columns,
    };
    if !fixed.is_empty() {
        text.put(&format!("Mended: {}.", fixed.join(", ")));
    }
    let mut roots: Vec<&Finding> = findings
        .iter()
        .filter(|it| it.verdict.is_wrong() && it.follows.is_none())
        .collect();
    roots.sort_by_key(|it| (it.severity == Severity::Advice, it.verdict.word()));
    for root in &roots {
        if !text.text.is_empty() {
            text.put("");
        }
        text.show(root);
        let follows: Vec<&Finding> = findings
            .iter()
            .filter(|it| it.id != root.id && chain(findings, it).last() == Some(&root.id))
            .filter(|it| it.verdict.is_wrong())
            .collect();
        if verbose {
            for finding in &follows {
                let (found, _) = said(&finding.verdict);
                text.put(&format!(
                    "      follows: {}: {found}",
                    chain(findings, finding).join(" ← ")
                ));
            }
        } else if !follows.is_empty() {
            let ids: Vec<&str> = follows.iter().map(|it| it.id).collect();
            text.put(&format!("      follows: {} (-v says more)", ids.join(", ")));
        }
    }
    if !roots.is_empty() {
        text.put("");
    }
    for finding in findings
        .iter()
        .filter(|it| verbose && !it.verdict.is_wrong())
    {
        text.show(finding);
    }
    text.put(&closing(findings));
    text.text
}

/// The number of checks per verdict.
pub(super) fn closing(findings: &[Finding]) -> String {
    let count = |word: &str| {
        findings
            .iter()
            .filter(|it| it.verdict.word() == word)
            .count()
    };
    let parts: Vec<String> = ["broken", "unknown", "holds", "skipped"]
        .iter()
        .filter(|word| count(word) > 0)
        .map(|word| {
            format!(
                "{} {}",
                count(word),
                if *word == "holds" { "hold" } else { word }
            )
        })
        .collect();
    let good = if count("broken") + count("unknown") == 0 {
        "No problem found. "
    } else {
        ""
    };
    format!("{good}Checks: {}.", parts.join(", "))
}

/// A report in work.
struct Text {
    text: String,
    columns: Option<usize>,
}

impl Text {
    fn put(&mut self, line: &str) {
        // Below the word after the name of the line.
        let hang = line.len() - line.trim_start().len() + 2;
        // Writing to a String cannot fail.
        let _ignored = writeln!(self.text, "{}", wrapped(line, hang, self.columns));
    }

    fn show(&mut self, finding: &Finding) {
        let mark = match finding.verdict {
            Verdict::Holds => paint(GOOD, "✓"),
            Verdict::Broken { .. } if finding.severity == Severity::Required => paint(BAD, "✗"),
            Verdict::Broken { .. } => paint(CHANGE, "!"),
            Verdict::Skipped { .. } => paint(DIM, "-"),
            Verdict::Unknown { .. } => paint(CHANGE, "?"),
        };
        self.put(&format!("  {mark} {}: {}", finding.id, finding.claim));
        let (found, fix) = said(&finding.verdict);
        let word = match finding.verdict {
            Verdict::Broken { .. } => "found",
            Verdict::Skipped { .. } => "skipped",
            _ => "not known",
        };
        if !found.is_empty() {
            self.put(&format!("      {word}: {found}"));
        }
        if !fix.is_empty() {
            self.put(&format!("      {} {fix}", paint(GOOD, "fix:")));
        }
        if finding.verdict.is_wrong() {
            let docs = format!("docs: docs/doctor.md#{}", finding.id);
            self.put(&format!("      {}", paint(DIM, docs)));
        }
    }
}

/// The causes of a finding, step by step, itself first: no check is its own cause, and each step is wrong itself.
fn chain(findings: &[Finding], finding: &Finding) -> Vec<&'static str> {
    let mut chain = vec![finding.id];
    let mut next = finding.follows;
    while let Some(cause) = next.filter(|_| chain.len() <= findings.len()) {
        chain.push(cause);
        next = findings
            .iter()
            .find(|it| it.id == cause)
            .and_then(|it| it.follows);
    }
    chain
}

//! Findings as `JUnit` XML, for viewers of test reports. Pure: no I/O.
//!
//! One test case per check. A broken required check is a failure, an unknown one an error: neither passes. Broken advice
//! is skipped with its message, unless advice fails the command (`--fail-on advice`).

use std::{fmt::Write, time::Duration};

use super::{doctor::said, xml::escaped};
use crate::{
    doctor::{
        Finding,
        check::{Severity, Verdict},
    },
    error::Error,
};

/// The result of one check in the report.
struct Case<'a> {
    name: &'a str,
    class: String,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Skipped(String),
    Failed(Told),
    Errored(Told),
}

/// Why a case did not pass.
struct Told {
    message: String,
    text: String,
}

/// The report; `elapsed` is the time to collect the facts, which all checks share.
pub fn text(findings: &[Finding], advice_fails: bool, elapsed: Duration) -> String {
    let cases: Vec<Case<'_>> = findings.iter().map(|it| case(it, advice_fails)).collect();
    document(&cases, elapsed)
}

/// The report of a command that failed before it ran the checks.
pub fn failure(error: &Error) -> String {
    let case = Case {
        name: "arcctl doctor",
        class: "arcctl.doctor".into(),
        outcome: Outcome::Errored(Told {
            message: error.document().message,
            text: error.to_string(),
        }),
    };
    document(&[case], Duration::ZERO)
}

fn case(finding: &Finding, advice_fails: bool) -> Case<'_> {
    let (found, fix) = said(&finding.verdict);
    let told = || {
        let mut text = String::new();
        put(&mut text, finding.claim);
        put(&mut text, &format!("found: {found}"));
        if !fix.is_empty() {
            put(&mut text, &format!("fix: {fix}"));
        }
        if let Some(root) = finding.follows {
            put(&mut text, &format!("follows from: {root}"));
        }
        put(&mut text, &format!("docs: docs/doctor.md#{}", finding.id));
        Told {
            message: found.to_owned(),
            text,
        }
    };
    let counts = finding.severity == Severity::Required || advice_fails;
    let outcome = match &finding.verdict {
        Verdict::Holds => Outcome::Passed,
        Verdict::Skipped { why } => Outcome::Skipped(why.clone()),
        Verdict::Broken { .. } if counts => Outcome::Failed(told()),
        Verdict::Unknown { .. } if counts => Outcome::Errored(told()),
        Verdict::Broken { .. } => Outcome::Skipped(format!("advice: {found}; {fix}")),
        Verdict::Unknown { .. } => Outcome::Skipped(format!("advice, not known: {found}")),
    };
    Case {
        name: finding.id,
        class: format!("arcctl.doctor.{}", finding.category),
        outcome,
    }
}

fn document(cases: &[Case<'_>], elapsed: Duration) -> String {
    let count = |is: fn(&Outcome) -> bool| cases.iter().filter(|it| is(&it.outcome)).count();
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\"",
        cases.len(),
        count(|it| matches!(it, Outcome::Failed(_))),
        count(|it| matches!(it, Outcome::Errored(_))),
    );
    let skipped = count(|it| matches!(it, Outcome::Skipped(_)));
    let time = format!("time=\"{:.3}\"", elapsed.as_secs_f64());
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    put(
        &mut text,
        &format!("<testsuites name=\"arcctl\" {counts} {time}>"),
    );
    put(
        &mut text,
        &format!("  <testsuite name=\"arcctl doctor\" {counts} skipped=\"{skipped}\" {time}>"),
    );
    for case in cases {
        let head = format!(
            "    <testcase name=\"{}\" classname=\"{}\"",
            escaped(case.name),
            escaped(&case.class)
        );
        let inner = match &case.outcome {
            Outcome::Passed => {
                put(&mut text, &format!("{head}/>"));
                continue;
            }
            Outcome::Skipped(why) => format!("<skipped message=\"{}\"/>", escaped(why)),
            Outcome::Failed(told) => element("failure", "broken", told),
            Outcome::Errored(told) => element("error", "unknown", told),
        };
        put(&mut text, &format!("{head}>{inner}</testcase>"));
    }
    put(&mut text, "  </testsuite>");
    put(&mut text, "</testsuites>");
    text
}

fn element(name: &str, kind: &str, told: &Told) -> String {
    format!(
        "<{name} type=\"{kind}\" message=\"{}\">{}</{name}>",
        escaped(&told.message),
        escaped(&told.text).replace("&#10;", "\n")
    )
}

fn put(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ignored = writeln!(text, "{line}");
}

//! Rules about what a profile means: an error where the result cannot work, advice where it is only unwise. Pure.
//!
//! One file per area, and one function per rule or family of rules in it. A rule says where (the path whose line is
//! shown), what is wrong, and what to do. What the types already say is not repeated here.

mod aws;
mod cluster;
mod github;
mod image;
mod metadata;
mod monitoring;
mod passthrough;
mod pools;
mod resources;
mod scaling;
mod schedule;
mod url;
mod versions;

pub use passthrough::kept_value;
pub use schedule::over as windows_over;

use super::{Profile, diagnostic::Severity, path::Path};

/// What a rule has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub path: Path,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the result cannot work.
    pub severity: Severity,
}

/// Applies every rule.
pub fn lint(profile: &Profile) -> Vec<Finding> {
    let mut report = Report::default();
    cluster::check(profile, &mut report);
    github::check(profile, &mut report);
    versions::check(profile, &mut report);
    aws::check(profile, &mut report);
    passthrough::check_values(profile, &mut report);
    pools::check(profile, &mut report);
    monitoring::check(profile, &mut report);
    report.findings
}

/// Where rules put what they find.
#[derive(Default)]
struct Report {
    findings: Vec<Finding>,
}

impl Report {
    fn error(&mut self, path: Path, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Error, path, message.into(), hint.into());
    }

    fn advice(&mut self, path: Path, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Advice, path, message.into(), hint.into());
    }

    fn add(&mut self, severity: Severity, path: Path, message: String, hint: String) {
        let hint = Some(hint).filter(|hint| !hint.is_empty());
        self.findings.push(Finding {
            path,
            message,
            hint,
            severity,
        });
    }
}

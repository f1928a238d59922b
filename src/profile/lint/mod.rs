//! The profile's semantic rules: errors if it cannot work, advice if it is risky. Pure.
//!
//! One file per area, one function per rule or group of rules. A finding has a path (its line is shown), a message and
//! a hint. Rules do not repeat the checks of the types.

mod aws;
mod cluster;
mod github;
mod image;
mod metadata;
mod monitoring;
mod passthrough;
mod pools;
mod registries;
mod resources;
mod scale_sets;
mod scaling;
mod schedule;
mod url;
mod versions;

pub use passthrough::kept_value;
pub use scale_sets::on_server as scale_sets_on_server;
pub use schedule::over as windows_over;

use super::{Profile, diagnostic::Severity, path::Path};

/// The finding of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The path.
    pub path: Path,
    /// The message.
    pub message: String,
    /// How to fix it.
    pub hint: Option<String>,
    /// Whether it is an error or advice.
    pub severity: Severity,
}

/// Applies every rule.
pub fn lint(profile: &Profile) -> Vec<Finding> {
    let mut report = Report::default();
    cluster::check(profile, &mut report);
    registries::check(profile, &mut report);
    github::check(profile, &mut report);
    versions::check(profile, &mut report);
    aws::check(profile, &mut report);
    passthrough::check_values(profile, &mut report);
    pools::check(profile, &mut report);
    scale_sets::check(profile, &mut report);
    monitoring::check(profile, &mut report);
    report.findings
}

/// Collects the findings of rules.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn error(
        &mut self,
        path: Path,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Severity::Error, path, message.into(), hint.into());
    }

    pub(crate) fn advice(
        &mut self,
        path: Path,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
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

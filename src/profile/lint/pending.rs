//! What the profile can say and this program does not do yet: refused, never ignored. Pure.

use super::{
    super::{Auto, Profile, problem::Severity},
    Finding, Path, Report,
};

/// The parts of a profile that `up` does not act on yet.
pub fn not_implemented(profile: &Profile) -> Vec<Finding> {
    let mut report = Report::default();
    let mut refuse = |path: Path, remedy: &str| {
        let message = format!("`{path}` is not implemented yet");
        report.add(Severity::Error, path, message, remedy.to_owned());
    };
    if let Some(monitoring) = &profile.monitoring {
        for (key, value) in [
            ("alerts", monitoring.alerts),
            ("dashboard", monitoring.dashboard),
        ] {
            if value != Auto::Never {
                refuse(Path::from(["monitoring"]).key(key), "write `never`");
            }
        }
    }
    report.findings
}

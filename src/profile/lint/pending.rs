//! What the profile can say and this program does not do yet: refused, never ignored. Pure.

use super::{
    super::{Auto, Profile, TokenSource, problem::Severity},
    Finding, Path, Report,
};

/// The parts of a profile that `up` does not act on yet.
pub fn not_implemented(profile: &Profile) -> Vec<Finding> {
    let mut report = Report::default();
    let mut refuse = |path: Path, remedy: &str| {
        let message = format!("`{path}` is not implemented yet");
        report.add(Severity::Error, path, message, remedy.to_owned());
    };
    if profile.aws.is_some() {
        refuse(
            Path::from(["aws"]),
            "remove it, and set up IAM and EC2 by hand",
        );
    }
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
    let sources = [
        (
            Path::from(["github", "token"]),
            profile.github.token.as_ref(),
        ),
        (
            Path::from(["github", "app", "privateKey"]),
            profile.github.app.as_ref().map(|app| &app.private_key),
        ),
    ];
    for (path, source) in sources {
        let Some(TokenSource {
            secrets_manager,
            ssm,
            ..
        }) = source
        else {
            continue;
        };
        for (key, value) in [("secretsManager", secrets_manager), ("ssm", ssm)] {
            if value.is_some() {
                refuse(path.key(key), "use `env`, `file` or `kubernetesSecret`");
            }
        }
    }
    report.findings
}

//! The rules of a profile that need to know what it becomes: pass-through against the CRDs, and keys that arcctl sets
//! itself. Pure: no I/O.

use super::{Facts, controller, runners, strict};
use crate::profile::{Profile, Severity, lint::Finding, path::Path};

/// Everything that the API server would refuse, or that two would set.
pub fn lint(profile: &Profile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let version = &profile.controller.chart_version;
    let pools = Path::root().key("pools");
    for (index, pool) in profile.pools.iter().enumerate() {
        let base = pools.index(index);
        findings.extend(
            strict::check_pool(pool, version)
                .into_iter()
                .map(|problem| {
                    let hint = format!(
                        "the CRDs of chart {version} say so; the API server would refuse it"
                    );
                    finding(&base, &problem.path, problem.message, hint)
                }),
        );
        match runners::template_collisions(profile, pool) {
            Ok(paths) => findings.extend(paths.iter().map(|path| own(&base.key("template"), path))),
            Err(error) => findings.push(finding(
                &base,
                "",
                error.to_string(),
                "correct this pool".into(),
            )),
        }
    }
    let values = Path::root().key("controller").key("values");
    let collisions = controller::values_collisions(profile, &Facts::default());
    findings.extend(collisions.iter().map(|path| own(&values, path)));
    findings
}

fn own(base: &Path, path: &str) -> Finding {
    let message = format!("`{path}` is set by arcctl itself");
    finding(
        base,
        path,
        message,
        "take it out here: another key of the profile sets it, or it is not to be changed".into(),
    )
}

fn finding(base: &Path, path: &str, message: String, hint: String) -> Finding {
    Finding {
        path: under(base, path),
        message,
        hint: Some(hint),
        severity: Severity::Error,
    }
}

/// `base` and then `path`, as `volumes[0].name` is written; an entry that is named and not numbered ends it.
fn under(base: &Path, path: &str) -> Path {
    let mut result = base.clone();
    for part in path.split('.').filter(|it| !it.is_empty()) {
        let (key, rest) = part.split_once('[').unwrap_or((part, ""));
        result = result.key(key);
        if let Some(index) = rest.strip_suffix(']') {
            let Ok(index) = index.parse() else {
                return result;
            };
            result = result.index(index);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_profile() {
        let base = Path::root().key("pools").index(1);
        assert_eq!(
            under(&base, "template.volumes[0].name").to_string(),
            "pools[1].template.volumes[0].name"
        );
        assert_eq!(
            under(&base, "template.env[X].value").to_string(),
            "pools[1].template.env"
        );
    }
}

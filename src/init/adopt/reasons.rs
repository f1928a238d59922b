//! Why a profile made from an installation still differs from it. Pure: no I/O.

use serde::Serialize;
use serde_json::Value;

use super::found::Gap;
use crate::plan::{Action, Step};

/// A difference, and why it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Explained {
    /// The object, as `kind/namespace/name`.
    pub object: String,
    /// The field.
    pub path: String,
    /// Why it differs.
    pub why: String,
}

/// Rules: the kind of object, the beginning of the path, and the reason; the first that fits counts.
const RULES: [(&str, &str, &str); 17] = [
    (
        "crds",
        "",
        "the definitions get the chart's version as a label: arcctl applies them itself, since helm never updates them; nothing restarts",
    ),
    (
        "secret",
        "metadata",
        "arcctl's labels, and `keep`: helm would delete the Secret with the release that made it",
    ),
    (
        "secret",
        "",
        "the Secret is written from the profile's credential",
    ),
    (
        "helm-release",
        "values.authSecret",
        "arcctl writes the Secret itself, so that no token is in helm's history",
    ),
    (
        "helm-release",
        "values.podAnnotations",
        "restarts the controller when the credential changes, which it reads once",
    ),
    (
        "helm-release",
        "chart.version",
        "the profile names another version of the chart",
    ),
    (
        "helm-release",
        "values",
        "the value that the controller has already, written out",
    ),
    ("helm-release", "", "the release is not as helm left it"),
    ("runner-deployment", "metadata", "arcctl's labels"),
    (
        "runner-deployment",
        "spec.template.spec.securityContext",
        "mounted volumes get the group of the runner's user, which follows the image's Ubuntu; `fsGroup` of the pool names another",
    ),
    (
        "runner-deployment",
        "spec.template.spec.dockerVarRunVolumeSizeLimit",
        "the controller's default fills up; arcctl sets 50M",
    ),
    (
        "runner-deployment",
        "spec.template.spec.labels",
        "the labels of the profile",
    ),
    (
        "runner-deployment",
        "",
        "arcctl sets this field for every pool",
    ),
    (
        "horizontal-runner-autoscaler",
        "metadata",
        "arcctl's labels",
    ),
    (
        "horizontal-runner-autoscaler",
        "manifest",
        "another autoscaler of the same runners: two would scale against each other",
    ),
    (
        "horizontal-runner-autoscaler",
        "",
        "arcctl sets this field for every autoscaler",
    ),
    ("namespace", "", "arcctl's labels"),
];

/// The differences of a plan with --adopt, each with its reason; a gap that is known explains its object first.
pub(crate) fn explained(steps: &[Step], gaps: &[Gap]) -> Vec<Explained> {
    let mut all: Vec<Explained> = gaps
        .iter()
        .map(|it| Explained {
            object: it.object.clone(),
            path: it.path.clone(),
            why: it.why.clone(),
        })
        .collect();
    for step in steps {
        if step.action == Action::Create {
            all.push(Explained {
                object: step.id.clone(),
                path: String::new(),
                why: "it is not there: arcctl creates it".into(),
            });
            continue;
        }
        for difference in &step.differences {
            let known = gaps
                .iter()
                .any(|it| it.object == step.id && difference.path.starts_with(it.path.as_str()));
            if !known {
                all.push(Explained {
                    object: step.id.clone(),
                    path: difference.path.clone(),
                    why: why(&step.kind, &difference.path, &difference.from).to_owned(),
                });
            }
        }
    }
    all
}

fn why(kind: &str, path: &str, from: &Value) -> &'static str {
    let fits = |(of, start, _): &&(&str, &str, &str)| *of == kind && path.starts_with(start);
    match RULES.iter().find(fits) {
        Some((.., why)) => why,
        None if from.is_null() => "arcctl sets it",
        None => "the profile says otherwise",
    }
}

/// The differences as comments of a profile: those of one object with one reason together.
pub(crate) fn comments(all: &[Explained]) -> String {
    let mut text = String::new();
    let mut object = "";
    for (index, one) in all.iter().enumerate() {
        if one.object != object {
            text.extend(["# ", &one.object, "\n"]);
            object = &one.object;
        }
        let same = |other: &Explained| other.object == one.object && other.why == one.why;
        if index > 0 && all.get(index - 1).is_some_and(same) {
            continue;
        }
        let paths: Vec<&str> = all
            .get(index..)
            .unwrap_or_default()
            .iter()
            .take_while(|it| same(it))
            .map(|it| it.path.as_str())
            .filter(|it| !it.is_empty())
            .collect();
        let paths = match paths.as_slice() {
            [] => String::new(),
            paths => format!("{}: ", paths.join(", ")),
        };
        text.extend(["#   ", &one_line(&format!("{paths}{}", one.why)), "\n"]);
    }
    text
}

/// Text of others in a comment: one line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_with_one_reason_are_one_line() {
        let one = |path: &str, why: &str| Explained {
            object: "helm-release/a/b".into(),
            path: path.into(),
            why: why.into(),
        };
        let all = [one("x", "as is"), one("y", "as is"), one("", "other\nline")];
        assert_eq!(
            comments(&all),
            "# helm-release/a/b\n#   x, y: as is\n#   other line\n"
        );
    }
}

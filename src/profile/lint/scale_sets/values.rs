//! Rules for `scaleSets.values`: those with which the controller's chart fails, and an image that deletes the scale sets. Pure.
//!
//! Sources in Actions Runner Controller, at 0.14: charts/gha-runner-scale-set-controller/templates/_helpers.tpl
//! (`serviceAccountName`) and apis/actions.github.com/v1alpha1/version.go (`IsVersionAllowed`).

use serde_json::Value;

use super::{Path, Report};
use crate::{profile::Profile, units::version};

pub(super) fn check(profile: &Profile, report: &mut Report) {
    let values = &profile.scale_sets.values;
    let path = Path::from(["scaleSets", "values"]);
    if let Some(account) = values.get("serviceAccount") {
        self::account(account, &path.key("serviceAccount"), report);
    }
    let tag = values.get("image").and_then(|it| it.get("tag"));
    if let Some(tag) = tag {
        let chart = &profile.scale_sets.chart_version;
        self::tag(tag, chart, path.key("image").key("tag"), report);
    }
}

fn account(account: &Value, path: &Path, report: &mut Report) {
    let name = account.get("name").and_then(Value::as_str).unwrap_or("");
    if name == "default" {
        report.error(
            path.key("name"),
            "the controller cannot have the account `default`: its chart fails",
            "write another name, or remove it: the chart makes an account",
        );
    } else if name.is_empty() && account.get("create") == Some(&Value::Bool(false)) {
        report.error(
            path.key("create"),
            "the chart makes no account for the controller, and no other one is named: it fails",
            "add `name` beside it, or remove `create`",
        );
    }
}

/// The image has the version that a controller compares with those of its scale sets.
fn tag(tag: &Value, chart: &str, path: Path, report: &mut Report) {
    let text = match tag {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let minor = |it: &str| {
        let (major, minor, _) = version::triple(it);
        // A tag that is no version may be a build of any.
        [major, minor]
            .iter()
            .all(|it| *it != u64::MAX)
            .then_some((major, minor))
    };
    let given = minor(text.split('@').next().unwrap_or_default());
    if given.is_some() && given != minor(chart) {
        report.error(
            path,
            format!("the image `{text}` is of another minor version than the charts, which are {chart}: the controller would delete every scale set"),
            "remove it: the image has the version of the charts; another one is `scaleSets.chartVersion`",
        );
    }
}

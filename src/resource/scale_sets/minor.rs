//! A change to another minor version of the charts: the new controller deletes every scale set of the old one, whoever made
//! it and whatever runs there (reference: scale-sets.md 9).

use super::{
    API_VERSION,
    objects::{minor, name},
};
use crate::{
    clients::kube::Selection,
    desired::{names, resource::HelmRelease},
    error::{Error, ErrorKind, Result, System},
    resource::{context::Context, deletion::release_id},
};

/// Refuses to upgrade the controller from `installed` to another minor version while the cluster has any scale set.
pub(crate) async fn refuse_another(
    context: &Context,
    release: &HelmRelease,
    installed: &str,
) -> Result<()> {
    let wanted = &release.chart.version;
    if !is_another(&release.chart.name, installed, wanted) {
        return Ok(());
    }
    let all = Selection::all(API_VERSION, "AutoscalingRunnerSet");
    let sets = context.kube.list(&all).await?;
    let Some(first) = sets.first() else {
        return Ok(());
    };
    let namespace = first["metadata"]["namespace"].as_str().unwrap_or_default();
    let more = match sets.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "the controller of scale sets is of chart {installed}, and the profile has {wanted}: a controller deletes the scale sets of another minor version, also while their jobs run; the cluster has `{namespace}/{}`{more}",
        name(first)
    );
    let hint = format!(
        "keep `scaleSets.chartVersion: {installed}`; or remove the pools of `mode: scaleSet` from the profile, run `arcctl up`, and then add them again with {wanted}"
    );
    Err(Error::new(ErrorKind::Refused, System::Kubernetes, message)
        .object(release_id(&release.namespace, &release.name))
        .hint(hint))
}

/// What to do about a scale set of another minor version than that of its `controller`, where the profile has charts of
/// version `wanted`: [`refuse_another`] keeps `up` from changing the controller while a scale set is there.
pub(crate) fn way_out(controller: &str, wanted: &str) -> String {
    if minor(controller) == minor(wanted) {
        return format!(
            "`arcctl up` brings the scale set to {wanted}; do not upgrade one of the charts alone"
        );
    }
    format!(
        "set `scaleSets.chartVersion: {controller}` in the profile, then `arcctl up` brings the scale set to the version of its controller; the other way is to remove the pools of `mode: scaleSet` from the profile, run `arcctl up`, and then add them again with {wanted}: as long as a scale set is there, `arcctl up` refuses to change the minor version of the controller"
    )
}

fn is_another(chart: &str, installed: &str, wanted: &str) -> bool {
    chart == names::SCALE_SET_CONTROLLER_CHART && minor(installed) != minor(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_is_a_run_that_is_not_refused() {
        let same = way_out("0.14.1", "0.14.2");
        assert!(same.starts_with("`arcctl up` brings the scale set to 0.14.2"));
        // `up` with 0.14.2 would be refused: the controller is of 0.15.
        let other = way_out("0.15.1", "0.14.2");
        assert!(
            other.starts_with("set `scaleSets.chartVersion: 0.15.1`"),
            "{other}"
        );
    }

    #[test]
    fn only_another_minor_version_of_this_controller_is_one() {
        let controller = names::SCALE_SET_CONTROLLER_CHART;
        assert!(!is_another(controller, "0.14.1", "0.14.2"));
        assert!(is_another(controller, "0.14.2", "0.15.1"));
        assert!(is_another(controller, "dev", "0.15.1"));
        assert!(!is_another("cert-manager", "1.12.0", "1.21.1"));
    }
}

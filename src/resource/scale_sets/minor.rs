//! A change to another minor version of the charts: the new controller deletes every scale set of the old one, whoever made
//! it and whatever runs there (reference: scale-sets.md 9). Ours end before it comes (`desired/scale_set/upgrade.rs`); with
//! others' the change is refused.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    API_VERSION,
    drain::of_another,
    objects::{minor, name, version},
};
use crate::{
    clients::kube::Selection,
    desired::{
        names,
        resource::{CrdSet, HelmRelease, Id},
    },
    error::{Error, ErrorKind, Result, System},
    resource::{
        context::Context,
        deletion::release_id,
        helm::{
            record::ReleaseRecord,
            release::{is_left_as_it_is, newest_release},
            uninstall,
        },
        observed::Ownership,
    },
};

/// The pods of a controller, in its namespace.
const CONTROLLER_PODS: &str = "app.kubernetes.io/part-of=gha-rs-controller";

/// Whether a controller of a version deletes a scale set of another: `dev` and `canary-…` are of every version (reference:
/// scale-sets.md 9).
pub(crate) fn deletes(controller: &str, set: &str) -> bool {
    match (minor(controller), minor(set)) {
        (Some(controller), Some(set)) => controller != set,
        _ => false,
    }
}

/// The scale sets of this profile, by namespace and name, that a controller of the profile's version would delete.
pub(crate) async fn outgoing(context: &Context) -> Result<Vec<(String, String)>> {
    let profile = &context.profile;
    if !profile.has_scale_sets() {
        return Ok(Vec::new());
    }
    // Those that leave the profile go with the others.
    let recorded = context.removal.recorded.iter();
    let leaving = recorded
        .filter_map(|it| Id::parse(it))
        .filter(|it| it.kind() == "scale-set")
        .filter_map(|it| it.namespace().map(str::to_owned));
    let of_pools = profile.scale_set_namespaces().into_iter();
    let namespaces: BTreeSet<String> = of_pools.map(str::to_owned).chain(leaving).collect();
    let selections: Vec<Selection> = namespaces
        .iter()
        .map(|it| Selection::namespaced(API_VERSION, "AutoscalingRunnerSet", it))
        .collect();
    let live = context.kube.list_each(&selections).await?;
    let mut ours = Vec::new();
    for set in endangered(&live, &profile.scale_sets.chart_version) {
        if is_ours(context, set).await? {
            ours.push(place(set));
        }
    }
    Ok(ours)
}

/// Refuses to change the controller from `installed` to another minor version, or to install the first one, while it would
/// delete scale sets that are not of this profile.
pub(crate) async fn refuse_for_others(
    context: &Context,
    release: &HelmRelease,
    installed: Option<&str>,
) -> Result<()> {
    let mut others = Vec::new();
    for set in in_danger(context, release, installed).await? {
        if !is_ours(context, &set).await? {
            let (namespace, name) = place(&set);
            others.push(format!("`{namespace}/{name}`"));
        }
    }
    if others.is_empty() {
        return Ok(());
    }
    let (message, hint) = refused(installed, &release.chart.version, &others);
    Err(Error::new(ErrorKind::Refused, System::Kubernetes, message)
        .object(release_id(&release.namespace, &release.name))
        .hint(hint))
}

/// The message about the sets of others, and what to do.
fn refused(installed: Option<&str>, wanted: &str, others: &[String]) -> (String, String) {
    let (which, keep) = match installed {
        Some(installed) => (
            format!(
                "the controller of scale sets is of chart {installed}, and the profile has {wanted}"
            ),
            format!("keep `scaleSets.chartVersion: {installed}`"),
        ),
        None => (
            format!("the profile installs the controller of scale sets of chart {wanted}"),
            "set `scaleSets.chartVersion` to the minor version of these scale sets".to_owned(),
        ),
    };
    let message = format!(
        "{which}: a controller deletes the scale sets of another minor version, also while their jobs run, and these are not of this profile: {}",
        others.join(", ")
    );
    let hint =
        format!("{keep}; or ask their owner to remove them, and to add them again with {wanted}");
    (message, hint)
}

/// Fails for now while a release of these charts must not be written: the controller as long as there is a set that it
/// would delete, a set as long as there is a controller that would delete it. One that is replaced works until its pod ends.
/// `installed` is the version of the release, if it is there.
pub(crate) async fn wait_for_others(
    context: &Context,
    release: &HelmRelease,
    installed: Option<&str>,
) -> Result<()> {
    let wanted = &release.chart.version;
    let reason = match release.chart.name.as_str() {
        names::SCALE_SET_CONTROLLER_CHART => {
            let sets = in_danger(context, release, installed).await?;
            sets.first().map(|it| {
                let (namespace, name) = place(it);
                format!("AutoscalingRunnerSet `{namespace}/{name}` is still there, and the controller of {wanted} deletes it")
            })
        }
        names::SCALE_SET_CHART => {
            let namespace = &context.profile.scale_sets.namespace;
            let pods = Selection::namespaced("v1", "Pod", namespace).labelled(CONTROLLER_PODS);
            let pods = context.kube.list(&pods).await?;
            endangering(&pods, wanted).map(|it| {
                format!("pod `{namespace}/{}` of the earlier controller still ends, and deletes scale sets of {wanted}", name(it))
            })
        }
        _ => None,
    };
    let Some(reason) = reason else {
        return Ok(());
    };
    let message = format!("release `{}` cannot be written yet", release.name);
    Err(Error::failed(System::Kubernetes, message)
        .object(release_id(&release.namespace, &release.name))
        .cause(reason)
        .hint("run the same command again: it continues with a new plan")
        .passing(true))
}

/// Whether CRDs stay as they are because `--adopt` leaves their controller as it is, of another minor version: that one
/// works with its own.
pub(crate) async fn keeps_crds(context: &Context, crds: &CrdSet) -> Result<bool> {
    if !context.adopt || crds.chart.name != names::SCALE_SET_CONTROLLER_CHART {
        return Ok(false);
    }
    let namespace = &context.profile.scale_sets.namespace;
    let record = newest_release(&context.kube, namespace, names::SCALE_SET_RELEASE).await?;
    Ok(record.is_some_and(|it| deletes(&crds.chart.version, &it.chart_version)))
}

/// Refuses a new scale set where `--adopt` leaves its controller as it is, of another minor version, which would delete it:
/// the run would wait for the end of a controller that stays.
pub(crate) async fn refuse_beside_left(context: &Context, release: &HelmRelease) -> Result<()> {
    if !context.adopt || release.chart.name != names::SCALE_SET_CHART {
        return Ok(());
    }
    let namespace = &context.profile.scale_sets.namespace;
    let record = newest_release(&context.kube, namespace, names::SCALE_SET_RELEASE).await?;
    let wanted = &release.chart.version;
    let stays = |it: &ReleaseRecord| {
        let ownership = it.ownership(&context.profile.name);
        is_left_as_it_is(context, it, &ownership) && deletes(&it.chart_version, wanted)
    };
    let Some(controller) = record.filter(stays) else {
        return Ok(());
    };
    let (name, installed) = (&release.name, &controller.chart_version);
    let message = format!(
        "`--adopt` leaves the controller of scale sets as it is, of chart {installed}, which would delete the new scale set `{name}` of chart {wanted}"
    );
    Err(Error::new(ErrorKind::Refused, System::Kubernetes, message)
        .object(release_id(&release.namespace, name))
        .hint("adopt without this pool first; then put it into the profile, and the next `up` upgrades the controller and makes it"))
}

/// The scale sets of the whole cluster that the controller of `release` would delete, where it changes to another minor
/// version, or is not installed yet.
async fn in_danger(
    context: &Context,
    release: &HelmRelease,
    installed: Option<&str>,
) -> Result<Vec<Value>> {
    let wanted = &release.chart.version;
    if !is_another(&release.chart.name, installed, wanted) {
        return Ok(Vec::new());
    }
    let all = Selection::all(API_VERSION, "AutoscalingRunnerSet");
    let live = context.kube.list(&all).await?;
    Ok(endangered(&live, wanted).cloned().collect())
}

/// Whether a release brings a controller of another minor version than the one that is `installed`, or the first one.
fn is_another(chart: &str, installed: Option<&str>, wanted: &str) -> bool {
    let changes = installed.is_none_or(|it| minor(it) != minor(wanted));
    chart == names::SCALE_SET_CONTROLLER_CHART && changes
}

/// The sets that a controller of a version deletes.
fn endangered<'a>(sets: &'a [Value], controller: &str) -> impl Iterator<Item = &'a Value> {
    sets.iter()
        .filter(move |it| version(it).is_some_and(|its| deletes(controller, its)))
}

/// The first pod of a controller that deletes a set of a version. One that has ended, as after an eviction, stays in the
/// list, and does nothing.
fn endangering<'a>(pods: &'a [Value], set: &str) -> Option<&'a Value> {
    let has_ended =
        |it: &Value| matches!(it["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    pods.iter()
        .filter(|it| !has_ended(it))
        .find(|it| version(it).is_some_and(|its| deletes(its, set)))
}

/// Whether a set is of this profile: by its label, and by the record of its release.
async fn is_ours(context: &Context, set: &Value) -> Result<bool> {
    let profile = &context.profile.name;
    if of_another(set, profile).is_some() {
        return Ok(false);
    }
    let (namespace, name) = place(set);
    let owner = uninstall::owner(context, &namespace, &name, profile).await?;
    Ok(owner == Some(Ownership::Ours))
}

fn place(set: &Value) -> (String, String) {
    let namespace = set["metadata"]["namespace"].as_str().unwrap_or_default();
    (namespace.to_owned(), name(set).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_another_minor_version_of_this_controller_is_one() {
        let controller = names::SCALE_SET_CONTROLLER_CHART;
        assert!(!is_another(controller, Some("0.14.1"), "0.14.2"));
        assert!(is_another(controller, Some("0.14.2"), "0.15.1"));
        assert!(is_another(controller, Some("dev"), "0.15.1"));
        assert!(!is_another("cert-manager", Some("1.12.0"), "1.21.1"));
    }

    #[test]
    fn the_first_controller_is_a_danger_for_every_set_of_another_version() {
        assert!(is_another(
            names::SCALE_SET_CONTROLLER_CHART,
            None,
            "0.15.1"
        ));
        assert!(!is_another("cert-manager", None, "1.21.1"));
        let others = ["`theirs/hand`".to_owned()];
        let (message, hint) = refused(None, "0.15.1", &others);
        assert!(message.contains("installs the controller"), "{message}");
        assert!(
            message.ends_with("not of this profile: `theirs/hand`"),
            "{message}"
        );
        assert!(
            hint.contains("the minor version of these scale sets"),
            "{hint}"
        );
        let (message, hint) = refused(Some("0.14.2"), "0.15.1", &others);
        assert!(message.contains("is of chart 0.14.2"), "{message}");
        assert!(
            hint.starts_with("keep `scaleSets.chartVersion: 0.14.2`"),
            "{hint}"
        );
    }

    #[test]
    fn the_pod_of_a_controller_that_has_ended_deletes_nothing() {
        let pod = |phase: &str| {
            json!({
                "metadata": {"name": phase, "labels": {"app.kubernetes.io/version": "0.14.2"}},
                "status": {"phase": phase},
            })
        };
        let ended = [pod("Failed"), pod("Succeeded")];
        assert_eq!(endangering(&ended, "0.15.1"), None);
        let pods = [pod("Failed"), pod("Running")];
        assert_eq!(endangering(&pods, "0.15.1").map(name), Some("Running"));
    }

    #[test]
    fn a_controller_deletes_the_sets_of_another_minor_version_in_both_directions() {
        assert!(deletes("0.15.1", "0.14.2") && deletes("0.14.2", "0.15.1"));
        assert!(!deletes("0.14.2", "0.14.0"));
        assert!(!deletes("dev", "0.14.2") && !deletes("0.14.2", "canary-1a2b3c4"));
        let of = |version: &str| json!({"metadata": {"name": version, "labels": {"app.kubernetes.io/version": version}}});
        let sets = [of("0.14.1"), of("0.15.1"), json!({"metadata": {}})];
        let found: Vec<&str> = endangered(&sets, "0.15.0").map(name).collect();
        assert_eq!(found, ["0.14.1"]);
        assert_eq!(endangering(&sets, "0.14.2").map(name), Some("0.15.1"));
        assert_eq!(endangering(&sets[..1], "0.14.2"), None);
    }
}

//! Rules for runner scale sets: what has no counterpart in GitHub's own controller is refused, with what to do instead.
//! Pure.
//!
//! Source of what that controller does: reference scale-sets.md 1, 4, 5, 6 and 11.

mod template;
mod unquoted;
mod values;

use super::{Finding, Path, Report};
use crate::{
    profile::{CertManager, ContainerMode, Pool, Profile, ScaleSets},
    units::{image::Image, version},
};

/// The charts that arcctl renders values for.
const OLDEST_CHART: (u64, u64, u64) = (0, 14, 0);
/// The first chart with health probes, and the one that arcctl is tested with.
const TESTED_CHART: (u64, u64, u64) = (0, 14, 2);
/// The first chart with other rules for updates.
const REWRITTEN_CHART: (u64, u64, u64) = (0, 15, 0);
/// The first chart that this arcctl does not know.
const UNKNOWN_CHART: (u64, u64, u64) = (0, 16, 0);

/// The first GitHub Enterprise Server with runner scale sets.
const SCALE_SETS_SINCE: (u64, u64) = (3, 9);
/// The first one that can give a scale set labels, behind a feature flag.
const LABELS_SINCE: (u64, u64) = (3, 18);
/// The first one that gives them without the flag.
const LABELS_ALWAYS_SINCE: (u64, u64) = (3, 21);
/// The flag.
const LABELS_FLAG: &str = "DistributedTask.AllowRunnerScaleSetCustomLabels";

/// Labels of this domain belong to the controller: the chart leaves them out.
const OWN_DOMAIN: &str = "actions.github.com/";
/// The labels that the chart gives a scale set itself: it leaves out those of users
/// (charts/gha-runner-scale-set/templates/autoscalingrunnerset.yaml at 0.14, `$reserved`).
const OF_THE_CHART: [&str; 6] = [
    "app.kubernetes.io/component",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/name",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];
/// The annotation with the id at GitHub.
const ID: &str = "runner-scale-set-id";

pub(super) fn check(profile: &Profile, report: &mut Report) {
    if !profile.has_scale_sets() {
        if profile.scale_sets != ScaleSets::default() {
            report.advice(
                Path::from(["scaleSets"]),
                "no pool is a runner scale set, so `scaleSets` has no effect",
                "write `mode: scaleSet` in a pool, or remove `scaleSets`",
            );
        }
        return;
    }
    chart(profile, report);
    beside(profile, report);
    values::check(profile, report);
    unquoted::controller(profile, report);
    for (index, pool) in profile.pools.iter().enumerate() {
        if pool.is_scale_set() {
            let path = Path::from(["pools"]).index(index);
            container_mode(pool, &path, report);
            scaling(pool, &path, report);
            image(pool, &path, report);
            labels(profile, pool, &path, report);
            metadata(pool, &path, report);
            unquoted::check(pool, &path, report);
            template::check(pool, &path, report);
        }
    }
}

/// Checks the version of both charts.
fn chart(profile: &Profile, report: &mut Report) {
    let path = Path::from(["scaleSets", "chartVersion"]);
    let shown = &profile.scale_sets.chart_version;
    let version = version::triple(shown);
    let tested = "use `0.14.2`";
    if version < OLDEST_CHART {
        report.error(
            path,
            format!("chart {shown} is older than 0.14: it sets no labels on scale sets, and its listener can stay deleted after a change of the minimum, for example by a schedule"),
            tested,
        );
    } else if version == OLDEST_CHART && profile.github.is_enterprise_server() {
        report.error(
            path,
            format!("chart {shown} gets no jobs from GitHub Enterprise Server"),
            tested,
        );
    } else if version < TESTED_CHART {
        report.advice(
            path,
            format!("the controller of chart {shown} has no health probes, can create its listeners again and again, and does not give them a changed credential"),
            tested,
        );
    } else if version >= UNKNOWN_CHART {
        report.advice(
            path,
            format!("this arcctl does not know chart {shown}: it writes the values of 0.15"),
            tested,
        );
    } else if version >= REWRITTEN_CHART {
        report.advice(
            path,
            format!("chart {shown} is a rewrite: it changes scale sets in place, has no update strategy, and has other rules for the phases of runners; arcctl knows these differences from its release notes only"),
            tested,
        );
    }
}

/// Checks what the profile has beside its pools.
fn beside(profile: &Profile, report: &mut Report) {
    if !profile.has_deployments() && profile.cert_manager != CertManager::default() {
        report.advice(
            Path::from(["certManager"]),
            "runner scale sets need no cert-manager, and every pool is one: it is not installed",
            "remove `certManager`",
        );
    }
    if profile.monitoring.is_some() && !profile.scale_sets.metrics {
        let path = Path::from(["monitoring"]);
        let instead = "write `scaleSets: {metrics: true}`";
        if profile.has_deployments() {
            report.advice(
                path,
                "GitHub's controller serves no metrics: alerts and the dashboard show no runner scale set, only the other pools",
                instead,
            );
        } else {
            report.error(
                path,
                "GitHub's controller serves no metrics, and every pool is a runner scale set: there is nothing to monitor",
                format!("{instead}, or remove `monitoring`"),
            );
        }
    }
}

fn container_mode(pool: &Pool, path: &Path, report: &mut Report) {
    let path = path.key("containerMode");
    match pool.container_mode {
        ContainerMode::Dood => report.error(
            path,
            "a scale set has no mode `dood`: its runners cannot use the docker daemon of the node",
            "use `dind`, or `kubernetes` with a work volume",
        ),
        ContainerMode::DindInRunner => report.error(
            path,
            "a scale set has no mode `dindInRunner`: its containers start only the runner, not docker",
            "use `dind`: arcctl puts the docker container beside the runner",
        ),
        ContainerMode::Dind | ContainerMode::None | ContainerMode::Kubernetes(_) => {}
    }
}

/// GitHub tells a scale set of each job: there is nothing to measure.
fn scaling(pool: &Pool, path: &Path, report: &mut Report) {
    let Some(scaling) = &pool.scaling else { return };
    let path = path.key("scaling");
    if scaling.metrics.is_empty()
        && scaling.triggers.is_empty()
        && scaling.scale_down_delay.is_none()
    {
        report.error(
            path.clone(),
            "a scale set has no `scaling`",
            "remove it: each job gets a runner of its own, up to `max`",
        );
    }
    for (given, key, what, instead) in [
        (
            !scaling.metrics.is_empty(),
            "metrics",
            "a scale set does not scale by metrics: GitHub assigns each job to it",
            "remove it: a runner is added for each job, up to `max`, and `min` of them wait idle",
        ),
        (
            !scaling.triggers.is_empty(),
            "triggers",
            "a scale set needs no webhook events: GitHub assigns each job to it",
            "remove it, and the webhook at GitHub when no other pool uses it",
        ),
        (
            scaling.scale_down_delay.is_some(),
            "scaleDownDelay",
            "a scale set removes a runner when its job is done, not after a delay",
            "remove it; for runners that wait for the next jobs raise `min`, or add a window to `schedule`",
        ),
    ] {
        if given {
            report.error(path.key(key), what, instead);
        }
    }
}

/// The images of the community's project start by a program of their own, which registers a runner by itself.
fn image(pool: &Pool, path: &Path, report: &mut Report) {
    let summerwind = Image::parse(&pool.image)
        .is_some_and(|it| it.repository.split('/').any(|part| part == "summerwind"));
    if summerwind {
        report.error(
            path.key("image"),
            "the images of `summerwind` do not run in a scale set: they register a runner themselves, and have no `/home/runner/run.sh`",
            "use `ghcr.io/actions/actions-runner` with a tag, or an image made from it with your tools",
        );
    }
}

/// Where the server's version is not known; [`on_server`] has the rules where it is.
fn labels(profile: &Profile, pool: &Pool, path: &Path, report: &mut Report) {
    if profile.github.is_enterprise_server() && has_labels(pool) {
        let path = path.key(if pool.labels.is_empty() {
            "instanceType"
        } else {
            "labels"
        });
        report.advice(
            path,
            format!("a GitHub Enterprise Server before 3.18 gives scale sets no labels, and one before 3.21 only with the feature flag `{LABELS_FLAG}`, which the server does not report"),
            format!("turn the flag on (`ghe-actions-console -s actions`), and use `runs-on: {}` in workflows, which always works", pool.name),
        );
    }
    for (index, label) in pool.labels.iter().enumerate() {
        if label.chars().count() == 256 {
            report.error(
                path.key("labels").index(index),
                "a scale set takes labels of at most 255 characters",
                "shorten it",
            );
        }
    }
}

fn metadata(pool: &Pool, path: &Path, report: &mut Report) {
    for key in pool.metadata.labels.keys() {
        if key.starts_with(OWN_DOMAIN) {
            report.error(
                path.key("metadata").key("labels").key(key),
                format!("labels of `{OWN_DOMAIN}` belong to the controller, and its chart leaves them out"),
                "use a domain of your own",
            );
        } else if OF_THE_CHART.contains(&key.as_str()) {
            report.error(
                path.key("metadata").key("labels").key(key),
                format!("the chart of a scale set writes the label `{key}` itself, and leaves this one out"),
                "use a domain of your own",
            );
        }
    }
    for key in pool.pod_metadata.labels.keys() {
        if key.starts_with(OWN_DOMAIN) {
            report.error(
                path.key("podMetadata").key("labels").key(key),
                format!("labels of `{OWN_DOMAIN}` belong to the controller: pods of a scale set are found by them"),
                "use a domain of your own",
            );
        }
    }
    for key in pool.metadata.annotations.keys() {
        if key.starts_with(OWN_DOMAIN) || key == ID {
            report.error(
                path.key("metadata").key("annotations").key(key),
                format!(
                    "the controller keeps what it knows of a scale set in the annotation `{key}`"
                ),
                "use a domain of your own",
            );
        }
    }
}

/// Whether its scale set has labels beside its name.
fn has_labels(pool: &Pool) -> bool {
    pool.instance_type.is_some() || !pool.labels.is_empty()
}

/// What a GitHub Enterprise Server of this version, major and minor, cannot do for the profile's scale sets.
pub fn on_server(profile: &Profile, (major, minor): (u64, u64)) -> Vec<Finding> {
    let mut report = Report::default();
    let version = (major, minor);
    for (index, pool) in profile.pools.iter().enumerate() {
        let path = Path::from(["pools"]).index(index);
        if !pool.is_scale_set() {
            continue;
        }
        if version < SCALE_SETS_SINCE {
            report.error(
                path.key("mode"),
                format!("GitHub Enterprise Server {major}.{minor} has no runner scale sets and no groups of them: 3.9 is the first"),
                "write `mode: runnerDeployment`",
            );
        } else if has_labels(pool) && version < LABELS_SINCE {
            report.error(
                path.key("labels"),
                format!("GitHub Enterprise Server {major}.{minor} gives scale sets no labels beside their name: 3.18 is the first"),
                format!("remove `labels` and `instanceType` (use `nodeSelector`), and use `runs-on: {}` in workflows", pool.name),
            );
        } else if has_labels(pool) && version < LABELS_ALWAYS_SINCE {
            report.advice(
                path.key("labels"),
                format!("GitHub Enterprise Server {major}.{minor} gives scale sets labels only with the feature flag `{LABELS_FLAG}`"),
                "turn it on with `ghe-actions-console -s actions`",
            );
        }
    }
    report.findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Severity;

    fn found(version: (u64, u64), labels: &str) -> Vec<(String, Severity)> {
        let text = format!(
            "apiVersion: arcctl.dev/v1\nname: test\ncluster: {{context: c}}\n\
             github: {{url: https://ghe.example, organization: o, token: {{env: TOKEN}}}}\n\
             pools: [{{name: a, mode: scaleSet, image: \"ghcr.io/actions/actions-runner:2.334.0\", labels: [{labels}], min: 0, max: 4}}]\n"
        );
        let profile = crate::profile::load(&text, "arcctl.yaml").unwrap().profile;
        let findings = on_server(&profile, version).into_iter();
        findings
            .map(|it| (it.path.to_string(), it.severity))
            .collect()
    }

    #[test]
    fn a_host_with_data_residency_is_no_server_with_a_version() {
        let told = |url: &str, mode: &str| {
            let text = format!(
                "apiVersion: arcctl.dev/v1\nname: test\ncluster: {{context: c}}\n\
                 github: {{url: \"{url}\", organization: o, token: {{env: TOKEN}}}}\n\
                 pools: [{{name: a, mode: {mode}, image: \"ghcr.io/actions/actions-runner:2.334.0\", labels: [gpu], min: 0, max: 4}}]\n"
            );
            let advice = crate::profile::load(&text, "arcctl.yaml").map(|it| it.advice);
            let of_servers = |it: &crate::profile::Problem| it.message.contains("Server");
            advice.map(|it| it.iter().any(of_servers))
        };
        assert!(!told("https://acme.ghe.com", "scaleSet").unwrap());
        assert!(told("https://ghe.example", "scaleSet").unwrap());
        assert!(told("https://acme.ghe.com", "runnerDeployment").is_err());
    }

    #[test]
    fn a_server_is_asked_for_nothing_that_it_cannot_do() {
        let error = |path: &str| vec![(format!("pools[0].{path}"), Severity::Error)];
        assert_eq!(found((3, 8), ""), error("mode"));
        assert_eq!(found((3, 17), "linux"), error("labels"));
        assert_eq!(found((3, 17), ""), []);
        assert_eq!(found((3, 20), "linux")[0].1, Severity::Advice);
        assert_eq!(found((3, 21), "linux"), []);
    }
}

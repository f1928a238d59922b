//! Runner scale sets beside a pool of the other mode, from nothing to nothing.

mod faults;
mod foreign;
mod life;
mod migration;
mod minor;
mod monitoring;
mod places;
mod removal;
mod schedules;
mod smoke;

use std::path::PathBuf;

use arcctl_sandbox::github::Owner;

use crate::harness::cluster::Cluster;

/// The namespace of the runners.
const RUNNERS: &str = "actions-runner";

/// The namespace of the controller and the listeners.
const SYSTEM: &str = "arc-systems";

/// The release of the scale set.
const RELEASE: &str = "helm-release/actions-runner/fast";

/// A pool that is a scale set.
const FAST: &str = "  - name: fast
    mode: scaleSet
    image: ghcr.io/actions/actions-runner:2.334.0
    labels: [gpu]
    min: 1
    max: 4
    containerMode: none
    resources:
      runner:
        requests: {cpu: 100m, memory: 256Mi}
        limits: {cpu: 500m, memory: 512Mi}

timeouts:";

/// The sandbox's profile with both pools, the scale set changed.
pub(crate) fn both(cluster: &Cluster, name: &str, edits: &[(&str, &str)]) -> PathBuf {
    edited(cluster, name, edits, &[])
}

/// The same, with changes of the rest of the profile. The server keeps the labels, as with its feature flag.
pub(crate) fn edited(
    cluster: &Cluster,
    name: &str,
    of_pool: &[(&str, &str)],
    of_rest: &[(&str, &str)],
) -> PathBuf {
    cluster.world().github().keep_scale_set_labels(true);
    let mut pool = FAST.to_owned();
    for (from, to) in of_pool {
        assert!(pool.contains(from), "the pool has no `{from}`");
        pool = pool.replace(from, to);
    }
    cluster.profile(name, &[of_rest, &[("timeouts:", pool.as_str())]].concat())
}

/// Both pools, installed; their profile.
fn installed(cluster: &Cluster) -> PathBuf {
    let profile = both(cluster, "arcctl", &[]);
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    profile
}

/// Who has the runners.
fn owner() -> Owner {
    Owner::enterprise("dogecompany")
}

/// The ids of the scale sets at GitHub that are called `fast`.
fn at_github(cluster: &Cluster) -> Vec<u64> {
    let sets = cluster.world().github().scale_sets().into_iter();
    sets.filter(|it| it.name == "fast")
        .map(|it| it.id)
        .collect()
}

/// `teardown` with a JSON result.
fn teardown(cluster: &Cluster, profile: &std::path::Path) -> crate::harness::cluster::Ended {
    let file = profile.to_str().unwrap();
    cluster.arcctl(&["teardown", "--yes", "-o", "json", "-f", file])
}

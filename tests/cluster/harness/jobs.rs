//! Jobs that are dispatched while arcctl runs, and counted.

use std::time::Duration;

use super::{
    cluster::{Cluster, Ended},
    waiting::until,
};

/// The repository of the jobs.
pub(crate) const REPOSITORY: &str = "dogecompany/app";

/// What every job asks for: the runners of a `RunnerDeployment` have both by themselves, a scale set must list them.
const LABELS: [&str; 2] = ["self-hosted", "ubuntu-22.04"];

/// Runs arcctl while a job is dispatched every second; `jobs` counts them.
pub(crate) fn dispatching(cluster: &Cluster, arguments: &[&str], jobs: &mut usize) -> Ended {
    let mut running = cluster.arcctl_in_background(arguments);
    while running.is_alive() {
        cluster.world().github().queue(REPOSITORY, &LABELS);
        *jobs += 1;
        std::thread::sleep(Duration::from_secs(1));
    }
    let ended = running.end();
    cluster.keep(&ended);
    ended
}

/// All `jobs` end, and none of them without its runner.
pub(crate) fn none_is_lost(cluster: &Cluster, jobs: usize) {
    let counts = || cluster.world().github().job_counts();
    until("all jobs to end", || {
        let now = counts();
        now.queued == 0 && now.running == 0
    });
    let counts = counts();
    assert_eq!((counts.done, counts.lost), (jobs, 0), "{counts:?}");
}

//! Runners are removed quickly once no job can reach them, and never with a job, whoever removes them.

use std::time::Duration;

use arcctl_sandbox::{github::ActionsFaults, proxy::System};
use serde_json::Value;

use crate::{
    harness::cluster::{Cluster, Ended},
    harness::waiting::until,
};

const RUNNERS: &str = "actions-runner";
const REPOSITORY: &str = "dogecompany/app";
const DRAIN: &str = "runner-deployment/actions-runner/basic";

/// How many seconds the step `id` took.
fn seconds(ended: &Ended, id: &str) -> f64 {
    let document = ended.document();
    let mut steps = document["steps"].as_array().unwrap().iter();
    let step = steps.find(|it| it["id"] == id);
    step.and_then(|it| it["seconds"].as_f64())
        .unwrap_or_else(|| panic!("no step {id}: {document:#}"))
}

fn up(cluster: &Cluster) -> String {
    let profile = cluster.profile("arcctl", &[]);
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    profile.to_str().unwrap().to_owned()
}

/// Has each job take so long from now on.
fn jobs_take(cluster: &Cluster, length: Duration) {
    cluster.world().github().set_actions_faults(ActionsFaults {
        length: Some(length),
        ..ActionsFaults::default()
    });
}

/// How the run `id` ended.
fn conclusion(cluster: &Cluster, id: u64) -> Option<String> {
    let runs = cluster.world().github().runs();
    let run = runs.into_iter().find(|it| it.id == id).unwrap();
    run.conclusion().map(str::to_owned)
}

fn busy(cluster: &Cluster) -> Option<String> {
    let runners = cluster.world().github().runners();
    runners.into_iter().find(|it| it.busy).map(|it| it.name)
}

/// Waits until arcctl asks GitHub to remove a runner.
fn asked_to_remove(cluster: &Cluster) -> bool {
    let github = cluster.world().proxy(System::GitHub).unwrap();
    let requests = github.requests();
    requests.iter().any(|it| it.method == "DELETE")
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_teardown_right_after_up_is_quick() {
    let cluster = Cluster::with_faults(&["controller:sync=1m"]);
    let file = up(&cluster);
    let ended = cluster.arcctl(&["teardown", "--yes", "-o", "json", "-f", &file]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    // The controller's own scale-down ends one or two sync periods later, which are a minute each, and the runners'
    // programs one after they were removed at GitHub.
    let took = seconds(&ended, DRAIN);
    assert!(took < 40.0, "the drain took {took} s: {}", ended.stderr);
    assert!(cluster.world().github().runners().is_empty());
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_job_that_begins_in_the_middle_of_a_teardown_ends() {
    let cluster = Cluster::fast();
    for by_hand in [false, true] {
        let file = up(&cluster);
        if by_hand {
            cluster.scale_controller(0);
        }
        a_job_begins_before_its_runner_is_removed(&cluster, &file);
    }
    cluster.finish();
}

/// GitHub is slow to remove a runner, and gives it a job meanwhile.
fn a_job_begins_before_its_runner_is_removed(cluster: &Cluster, file: &str) {
    jobs_take(cluster, Duration::from_secs(15));
    let github = cluster.world().proxy(System::GitHub).unwrap();
    github.reset_counts();
    let slow = github.add_fault("delay=3s@DELETE:/actions/runners/".parse().unwrap());
    let arguments = ["teardown", "--yes", "-o", "json", "-f", file];
    let mut run = cluster.arcctl_in_background(&arguments);
    until("a removal", || asked_to_remove(cluster));
    let id = cluster.world().github().queue(REPOSITORY, &["linux"]);
    until("a busy runner", || busy(cluster).is_some());
    let name = busy(cluster).unwrap();
    github.remove_fault(slow);
    run.wait_for(&format!("1 runner still has a job: `{name}`"));
    let ended = run.end();
    cluster.keep(&ended);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let conclusion = conclusion(cluster, id);
    assert_eq!(conclusion.as_deref(), Some("success"), "{}", ended.stderr);
    assert!(cluster.world().github().runners().is_empty());
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_is_not_known_to_be_idle_is_waited_for() {
    let cluster = Cluster::fast();
    let file = up(&cluster);
    cluster.scale_controller(0);
    github_does_not_answer(&cluster, &file);
    // Early: one that has run for two minutes is not waited for.
    one_that_may_register_yet_stays(&cluster, &file);
    a_lost_runner_with_a_job_stays(&cluster, &file);
    offline_ones_go(&cluster, &file);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_github_does_not_tell_is_waited_for_where_the_controller_runs_too() {
    let cluster = Cluster::fast();
    let file = up(&cluster);
    github_does_not_answer(&cluster, &file);
    cluster.finish();
}

fn teardown_in_vain(cluster: &Cluster, file: &str, because: &str) {
    let before = pods(cluster);
    let arguments = ["teardown", "--yes", "-o", "json", "-f", file, "--timeout"];
    // A run of seconds may be over before it has come so far; the next one continues.
    let mut said = String::new();
    until(because, || {
        let ended = cluster.arcctl(&[&arguments[..], &["6s"]].concat());
        assert_eq!(ended.expect(6)["outcome"], "timed-out", "{}", ended.stderr);
        said = ended.stderr;
        said.contains(because)
    });
    let killed: Vec<&String> = before
        .iter()
        .filter(|it| !is_running(cluster, it))
        .collect();
    assert!(killed.is_empty(), "{killed:?}: {said}");
}

fn pods(cluster: &Cluster) -> Vec<String> {
    let names = cluster.kubectl(&["-n", RUNNERS, "get", "pods", "-o", "name"], None);
    names.lines().map(str::to_owned).collect()
}

fn is_running(cluster: &Cluster, pod: &str) -> bool {
    let name = pod.trim_start_matches("pod/");
    let arguments = [
        "-n",
        RUNNERS,
        "get",
        "pod",
        name,
        "-o",
        "json",
        "--ignore-not-found",
    ];
    let pod: Value = serde_json::from_str(&cluster.kubectl(&arguments, None)).unwrap_or_default();
    pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null()
}

/// It knew the token a moment ago; whether runners have a job it does not say.
fn github_does_not_answer(cluster: &Cluster, file: &str) {
    let github = cluster.world().proxy(System::GitHub).unwrap();
    let away = github.add_fault("502@GET:/actions/runners?".parse().unwrap());
    teardown_in_vain(
        cluster,
        file,
        "cannot determine whether its runners have a job",
    );
    github.remove_fault(away);
}

/// Its node is gone, and GitHub takes its job for running until it notices.
fn a_lost_runner_with_a_job_stays(cluster: &Cluster, file: &str) {
    let github = cluster.world().github();
    let all = github.runners();
    for runner in &all {
        github.set_runner(runner.id, false, true);
    }
    teardown_in_vain(cluster, file, "2 runners still have a job: ");
    for runner in &all {
        github.set_runner(runner.id, true, false);
    }
}

/// Its container has just started, and GitHub does not list it.
fn one_that_may_register_yet_stays(cluster: &Cluster, file: &str) {
    let github = cluster.world().proxy(System::GitHub).unwrap();
    for pod in pods(cluster) {
        let forget = ["annotate", &pod, "actions-runner/id-"];
        cluster.kubectl(&[&["-n", RUNNERS][..], &forget].concat(), None);
    }
    let empty = r#"200={"total_count": 0, "runners": []}@GET:/actions/runners?"#;
    let fault = github.add_fault(empty.parse().unwrap());
    teardown_in_vain(cluster, file, "just started and may still register");
    github.remove_fault(fault);
}

fn offline_ones_go(cluster: &Cluster, file: &str) {
    let github = cluster.world().github();
    for runner in github.runners() {
        github.set_runner(runner.id, false, false);
    }
    let ended = cluster.arcctl(&["teardown", "--yes", "-o", "json", "-f", file]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert!(github.runners().is_empty());
}

/// A pool that the profile no longer has: its job ends too, and its other runner goes at once.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_removed_pool_goes_without_ending_a_job() {
    let cluster = Cluster::fast();
    let _file = up(&cluster);
    jobs_take(&cluster, Duration::from_secs(8));
    let id = cluster.world().github().queue(REPOSITORY, &["linux"]);
    until("a busy runner", || busy(&cluster).is_some());
    let renamed = cluster.profile("renamed", &[("- name: basic", "- name: other")]);
    let ended = cluster.up(&renamed, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert_eq!(conclusion(&cluster, id).as_deref(), Some("success"));
    let names: Vec<String> = pods(&cluster);
    assert!(names.iter().all(|it| it.contains("/other-")), "{names:?}");
    let again = cluster.up(&renamed, &[]);
    assert_eq!(again.expect(0)["changed"], 0, "{}", again.stderr);
    cluster.finish();
}

//! `arcctl smoke` against a GitHub that queues, runs and ends jobs on the runners that `up` has created.

use std::path::Path;

use arcctl_sandbox::github::{ActionsFaults, Owner};
use serde_json::Value;

use crate::harness::cluster::{Cluster, Ended, settled};

const FILE: &str = "arcctl-smoke.yaml";
const REPOSITORY: &str = "dogecompany/app";
const ROLE: &str = "the role in the runner";

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_job_is_followed_to_a_runner_of_the_profile_and_each_fault_is_named() {
    let cluster = Cluster::fast();
    // With more room the autoscaler would help where all runners are busy.
    let profile = cluster.profile("arcctl", &[("max: 16", "max: 2")]);
    let absent = smoke(&cluster, &profile, &[]);
    insta::assert_snapshot!("smoke_not_installed", absent.failure());
    let _installed = cluster.up(&profile, &[]).expect(0);

    let missing = smoke(&cluster, &profile, &[]);
    insta::assert_snapshot!("smoke_workflow_missing", missing.failure());
    commit(&cluster, "on: push\njobs: {}\n");
    let trigger = smoke(&cluster, &profile, &[]);
    insta::assert_snapshot!("smoke_trigger_missing", trigger.failure());
    assert!(cluster.world().github().runs().is_empty());

    let workflow = rendered(&cluster, &profile);
    commit(&cluster, &workflow);
    all_is_well(&cluster, &profile);
    a_step_fails(&cluster, &profile, &workflow);
    other_labels(&cluster, &profile, &workflow);
    no_runner_is_allowed(&cluster, &profile);
    all_are_busy(&cluster, &profile);
    interrupted_and_cancelled(&cluster, &profile);
    cluster.finish();
}

fn arguments(profile: &Path) -> [&str; 7] {
    let profile = profile.to_str().unwrap();
    [
        "smoke",
        "-f",
        profile,
        "--repository",
        REPOSITORY,
        "-o",
        "json",
    ]
}

pub(crate) fn smoke(cluster: &Cluster, profile: &Path, more: &[&str]) -> Ended {
    cluster.arcctl(&[&arguments(profile)[..], more].concat())
}

pub(crate) fn commit(cluster: &Cluster, text: &str) {
    let github = cluster.world().github();
    github.commit(REPOSITORY, FILE, text).unwrap();
}

/// The workflow as `render` writes it.
pub(crate) fn rendered(cluster: &Cluster, profile: &Path) -> String {
    let directory = profile.with_extension("rendered");
    let (profile, to) = (profile.to_str().unwrap(), directory.to_str().unwrap());
    let ended = cluster.arcctl(&["render", to, "-f", profile]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    std::fs::read_to_string(directory.join(".github/workflows").join(FILE)).unwrap()
}

/// The run that was dispatched last, as GitHub has it.
fn last_run(cluster: &Cluster) -> (String, Option<String>) {
    let runs = cluster.world().github().runs();
    let run = runs.last().unwrap();
    (run.status().to_owned(), run.conclusion().map(str::to_owned))
}

fn all_is_well(cluster: &Cluster, profile: &Path) {
    let before: Vec<String> = cluster
        .world()
        .github()
        .runners()
        .into_iter()
        .map(|it| it.name)
        .collect();
    let ended = smoke(cluster, profile, &["--pool", "basic"]);
    let document = ended.expect(0);
    assert_eq!(document["outcome"], "ok");
    assert_eq!(document["run"]["state"], "success");
    let pool = &document["pools"][0];
    let runner = pool["runner"].as_str().unwrap();
    assert!(before.iter().any(|it| it == runner), "{pool:#}");
    let replacement = pool["replacement"].as_str().unwrap();
    assert!(!before.iter().any(|it| it == replacement), "{pool:#}");
    let now = cluster.world().github().runners();
    assert!(now.iter().any(|it| it.name == replacement && it.online));
    assert!(!now.iter().any(|it| it.name == runner));
    let conclusions = |it: &Value| it["conclusion"] == "success";
    let steps = pool["steps"].as_array().unwrap();
    assert!(
        steps.len() == 2 && steps.iter().all(conclusions),
        "{pool:#}"
    );
    assert!(
        ended.stderr.contains("took the job after"),
        "{}",
        ended.stderr
    );
}

fn a_step_fails(cluster: &Cluster, profile: &Path, workflow: &str) {
    let step = format!("      - name: {ROLE}\n        run: x\n");
    commit(cluster, &format!("{workflow}{step}"));
    let github = cluster.world().github();
    github.set_actions_faults(ActionsFaults {
        failing_step: Some(ROLE.to_owned()),
        ..ActionsFaults::default()
    });
    let arguments = [
        "smoke",
        "--repository",
        REPOSITORY,
        "-f",
        profile.to_str().unwrap(),
    ];
    let ended = cluster.arcctl(&arguments);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let begin = ended.stderr.find("error:").unwrap();
    let shown = format!("{}\n{}", ended.stdout, &ended.stderr[begin..]);
    insta::assert_snapshot!("smoke_step_fails", run_settled(&shown));
    github.set_actions_faults(ActionsFaults::default());
    commit(cluster, workflow);
}

fn other_labels(cluster: &Cluster, profile: &Path, workflow: &str) {
    commit(
        cluster,
        &workflow.replace("\"ubuntu-22.04\"", "\"ubuntu-24.04\""),
    );
    let ended = smoke(cluster, profile, &[]);
    insta::assert_snapshot!("smoke_other_labels", ended.failure());
    assert_eq!(last_run(cluster).1.as_deref(), Some("cancelled"));
    commit(cluster, workflow);
}

fn no_runner_is_allowed(cluster: &Cluster, profile: &Path) {
    let github = cluster.world().github();
    let owner = Owner::enterprise("dogecompany");
    assert!(github.select(&owner, "Default", Some(&["others"])));
    let ended = smoke(cluster, profile, &[]);
    insta::assert_snapshot!("smoke_group", ended.failure());
    assert_eq!(last_run(cluster).1.as_deref(), Some("cancelled"));
    assert!(github.select(&owner, "Default", None));
}

fn all_are_busy(cluster: &Cluster, profile: &Path) {
    let github = cluster.world().github();
    let set = |busy| {
        for runner in github.runners() {
            assert!(github.set_runner(runner.id, true, busy));
        }
    };
    set(true);
    let ended = smoke(cluster, profile, &["--timeout", "4s"]);
    insta::assert_snapshot!("smoke_busy", ended.failure());
    assert_eq!(ended.document()["run"]["cancelled"], true);
    assert_eq!(last_run(cluster).1.as_deref(), Some("cancelled"));
    set(false);
}

fn interrupted_and_cancelled(cluster: &Cluster, profile: &Path) {
    let github = cluster.world().github();
    github.set_actions_faults(ActionsFaults {
        never_assign: true,
        ..ActionsFaults::default()
    });
    let mut running = cluster.arcctl_in_background(&arguments(profile));
    running.wait_for("to none of the 2 idle runners");
    running.interrupt();
    let ended = running.end();
    cluster.keep(&ended);
    let document = ended.expect(130);
    assert_eq!(document["run"]["cancelled"], true);
    assert_eq!(
        last_run(cluster),
        ("completed".into(), Some("cancelled".into()))
    );

    let mut running = cluster.arcctl_in_background(&arguments(profile));
    running.wait_for("to none of the 2 idle runners");
    github.cancel_runs();
    let ended = running.end();
    cluster.keep(&ended);
    insta::assert_snapshot!("smoke_cancelled", run_settled(&ended.failure()));
}

/// Without what differs from run to run.
fn run_settled(text: &str) -> String {
    let text = regex::Regex::new(r"\d+(\.\d)? s\b")
        .unwrap()
        .replace_all(text, "N s");
    let text = regex::Regex::new(r"/(runs|jobs|job)/\d+")
        .unwrap()
        .replace_all(&text, "/$1/ID");
    settled(&text)
}

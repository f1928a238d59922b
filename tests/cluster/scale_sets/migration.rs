//! A pool moves from one mode to the other and back, while a job is dispatched every second, and a run is killed at its writes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use arcctl_sandbox::{
    github::ActionsFaults,
    proxy::{Effect, System as Remote},
};
use serde_json::Value;

use super::*;
use crate::{
    harness::jobs::{REPOSITORY, dispatching, none_is_lost},
    pools::smoke::{commit, rendered},
    torture::ground::Ground,
};

/// What a pool of the sandbox's profile needs, and what one without docker does: many of them have room.
const LARGE: &str = "    containerMode: dind
    sharedTmp: true
    resources:
      runner:
        requests: {cpu: 500m, memory: 1Gi}
        limits: {cpu: 1500m, memory: 6Gi}
      docker:
        requests: {cpu: 250m, memory: 512Mi}
";
const SMALL: &str = "    containerMode: none
    resources:
      runner:
        requests: {cpu: 100m, memory: 256Mi}
        limits: {cpu: 500m, memory: 512Mi}
";

/// How the pool of the sandbox's profile scales.
const SCALING: &str = "    scaling:
      metrics:
        - type: PercentageRunnersBusy
          scaleUp: {threshold: 0.75, factor: 2}
          scaleDown: {threshold: 0.25, factor: 0.5}
      scaleDownDelay: 5m
";

/// The Secret with the old pool.
const SECRET: &str = "arcctl-dogecompany-migration";

/// The way there, and the way back of one that has ended.
const THERE: [&str; 4] = ["migrate", "basic", "--to", "scaleSet"];
const BACK: [&str; 4] = ["migrate", "basic-ss", "--to", "runnerDeployment"];

/// A cluster with one pool of the other mode, and jobs of three seconds.
fn installed(cluster: &Cluster) -> PathBuf {
    with_minimum(cluster, 2)
}

/// The same, with this minimum.
fn with_minimum(cluster: &Cluster, minimum: u32) -> PathBuf {
    let github = cluster.world().github();
    github.keep_scale_set_labels(true);
    github.set_actions_faults(ActionsFaults {
        length: Some(Duration::from_secs(3)),
        ..ActionsFaults::default()
    });
    let text = format!("    min: {minimum}\n");
    let mut edits = vec![(LARGE, SMALL), ("    min: 2\n", &text)];
    if minimum == 0 {
        // An enterprise has no metric that leaves 0.
        edits.push((SCALING, ""));
    }
    let profile = cluster.profile("arcctl", &edits);
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    profile
}

fn arguments<'a>(command: &[&'a str], file: &'a Path) -> Vec<&'a str> {
    let more = ["--yes", "-o", "json", "-f", file.to_str().unwrap()];
    [command, &more].concat()
}

fn pools(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let names = text.lines().filter_map(|it| it.strip_prefix("  - name: "));
    names.map(str::to_owned).collect()
}

fn sets(cluster: &Cluster) -> Vec<String> {
    let sets = cluster.world().github().scale_sets().into_iter();
    sets.map(|it| it.name).collect()
}

/// No record of a migration is left, and `up` has nothing to do.
fn at_rest(cluster: &Cluster, file: &Path) {
    let inventory = cluster.get("configmap", "actions-runner-system", "arcctl-dogecompany");
    let data = inventory["data"].as_object().unwrap();
    assert!(
        !data.keys().any(|it| it.starts_with("migration.")),
        "{data:?}"
    );
    assert!(!data["resources"].as_str().unwrap().contains(SECRET));
    let secrets = [
        "-n",
        "actions-runner-system",
        "get",
        "secrets",
        "-o",
        "name",
    ];
    let secrets = cluster.kubectl(&secrets, None);
    assert!(!secrets.contains(SECRET), "{secrets}");
    let up = cluster.up(file, &[]);
    assert_eq!(up.expect(0)["changed"], 0, "{}", up.stderr);
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_pool_moves_there_and_back_while_jobs_run() {
    let cluster = Cluster::fast();
    let file = installed(&cluster);
    let mut jobs = 0;
    a_dry_run_writes_nothing(&cluster, &file);
    its_own_runner_does_not_go(&cluster, &file);
    let there = dispatching(&cluster, &arguments(&THERE, &file), &mut jobs);
    let told = there.expect(0);
    assert_eq!(told["newPool"], "basic-ss", "{told:#}");
    assert_eq!(told["stage"], Value::Null, "{told:#}");
    assert_eq!(told["workflows"]["lost"], serde_json::json!([]));
    assert_eq!(told["peaks"]["between"], 32);
    assert_eq!(
        (pools(&file), sets(&cluster)),
        (vec!["basic-ss".into()], vec!["basic-ss".into()])
    );
    none_is_lost(&cluster, jobs);
    at_rest(&cluster, &file);
    // Once more: it has ended.
    let again = cluster.arcctl(&arguments(&THERE, &file)).expect(0);
    assert_eq!(
        (&again["changed"], &again["written"]),
        (&0.into(), &false.into())
    );
    let back = dispatching(&cluster, &arguments(&BACK, &file), &mut jobs);
    assert_eq!(back.expect(0)["newPool"], "basic", "{}", back.stderr);
    assert_eq!(
        (pools(&file), sets(&cluster)),
        (vec!["basic".into()], Vec::new())
    );
    none_is_lost(&cluster, jobs);
    at_rest(&cluster, &file);
    cluster.finish();
}

/// The runner that runs the command would be removed with its pool.
fn its_own_runner_does_not_go(cluster: &Cluster, file: &Path) {
    let before = std::fs::read_to_string(file).unwrap();
    let writes = cluster.kubernetes_writes();
    let runner = cluster.world().github().runners()[0].name.clone();
    let inside = cluster.arcctl_with(&arguments(&THERE, file), &[("RUNNER_NAME", &runner)]);
    let document = inside.expect(7);
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains("a runner of pool `basic`"), "{message}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), before);
    assert_eq!(cluster.kubernetes_writes(), writes);
}

fn a_dry_run_writes_nothing(cluster: &Cluster, file: &Path) {
    let before = std::fs::read_to_string(file).unwrap();
    let writes = cluster.kubernetes_writes();
    let shown = [&THERE[..], &["--dry-run"]].concat();
    let told = cluster.arcctl(&arguments(&shown, file)).expect(0);
    assert!(told["changes"]["create"].as_u64().unwrap() > 5, "{told:#}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), before);
    assert_eq!(cluster.kubernetes_writes(), writes);
}

/// Both pools are kept in between, whatever a run with a copy of the profile from before does; and each command says so.
#[test]
#[ignore = "slow: `make test-slow`"]
fn in_between_every_command_knows_of_both_pools_and_it_goes_back() {
    let cluster = Cluster::fast();
    let file = installed(&cluster);
    let before = std::fs::read_to_string(&file).unwrap();
    let copy = cluster.file("copy.yaml", &before);
    let beside = [&THERE[..], &["--beside"]].concat();
    let told = cluster.arcctl(&arguments(&beside, &file)).expect(0);
    assert_eq!(told["stage"], "beside", "{told:#}");
    assert_eq!(pools(&file), ["basic", "basic-ss"]);
    let notice = "`arcctl migrate basic --back` undoes it";
    let stale = cluster.up(&copy, &[]);
    stale.expect(0);
    assert!(stale.stderr.contains(notice), "{}", stale.stderr);
    assert_eq!(sets(&cluster), ["basic-ss"]);
    for command in ["plan", "status", "doctor"] {
        let shown = cluster.arcctl(&[command, "-f", file.to_str().unwrap()]);
        assert!(shown.stderr.contains(notice), "{command}: {}", shown.stderr);
    }
    the_old_pool_is_in_a_secret(&cluster);
    // Another one is refused.
    let other = [
        "migrate",
        "basic-ss",
        "--to",
        "runnerDeployment",
        "--name",
        "x",
    ];
    let refused = cluster.arcctl(&arguments(&other, &file));
    assert_eq!(refused.expect(7)["error"]["code"], 7);
    let mut jobs = 0;
    let back = dispatching(
        &cluster,
        &arguments(&["migrate", "basic", "--back"], &file),
        &mut jobs,
    );
    assert_eq!(back.expect(0)["stage"], Value::Null, "{}", back.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    assert_eq!(sets(&cluster), [""; 0]);
    none_is_lost(&cluster, jobs);
    at_rest(&cluster, &file);
    cluster.finish();
}

/// A new pool of which no runner has started is no reason to remove the old one.
#[test]
#[ignore = "slow: `make test-slow`"]
fn without_a_minimum_the_old_pool_stays_until_a_job_has_run() {
    let cluster = Cluster::fast();
    let file = with_minimum(&cluster, 0);
    let ended = cluster.arcctl(&arguments(&THERE, &file));
    assert_eq!(ended.expect(0)["stage"], "beside", "{}", ended.stderr);
    let said = "none of its runners has started: both pools are kept; set a minimum";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert_eq!(pools(&file), ["basic", "basic-ss"]);

    commit(&cluster, &rendered(&cluster, &file));
    let proven = [&THERE[..], &["--smoke", REPOSITORY]].concat();
    let ended = cluster.arcctl(&arguments(&proven, &file));
    assert_eq!(ended.expect(0)["stage"], Value::Null, "{}", ended.stderr);
    assert_eq!(pools(&file), ["basic-ss"]);
    at_rest(&cluster, &file);
    cluster.finish();
}

/// Its environment may have what nobody must read who may read a `ConfigMap`.
fn the_old_pool_is_in_a_secret(cluster: &Cluster) {
    let inventory = cluster.get("configmap", "actions-runner-system", "arcctl-dogecompany");
    let data = &inventory["data"];
    let record = data["migration.actions-runner.basic"].as_str().unwrap();
    assert!(!record.contains("ubuntu-22.04"), "{record}");
    assert!(data["resources"].as_str().unwrap().contains(SECRET));
    let secret = cluster.get("secret", "actions-runner-system", SECRET);
    assert_eq!(
        secret["metadata"]["labels"]["arcctl.dev/profile"],
        "dogecompany"
    );
    assert!(secret["data"]["actions-runner.basic"].is_string());
}

/// Kills a migration before or after its `nth` write, and has it go on or back; what that write was.
fn killed(
    ground: &Ground,
    file: &Path,
    (nth, effect): (usize, Effect),
    back: bool,
) -> Option<String> {
    let cluster = &ground.cluster;
    let there = arguments(&THERE, file);
    let at = ground.killed_at(&there, &[], Remote::Kubernetes, nth, effect)?;
    ground.age();
    let mut jobs = cluster.world().github().runs().len();
    let goes_back = back && is_recorded(cluster);
    let next = if goes_back {
        arguments(&["migrate", "basic", "--back"], file)
    } else {
        there
    };
    let ended = dispatching(cluster, &next, &mut jobs);
    assert_eq!(
        ended.code, 0,
        "killed at write {nth}, {at}: {}",
        ended.stderr
    );
    let expected = if goes_back { "basic" } else { "basic-ss" };
    assert_eq!(pools(file), [expected], "killed at write {nth}, {at}");
    none_is_lost(cluster, jobs);
    at_rest(cluster, file);
    if !goes_back {
        let ended = dispatching(cluster, &arguments(&BACK, file), &mut jobs);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        none_is_lost(cluster, jobs);
    }
    assert_eq!(
        (pools(file), sets(cluster)),
        (vec!["basic".into()], Vec::new())
    );
    Some(at)
}

/// Kills the way back before or after its `nth` write, with both pools there, and goes on with it or forth again; what that
/// write was.
fn killed_on_the_way_back(
    ground: &Ground,
    file: &Path,
    (nth, effect): (usize, Effect),
    forth: bool,
) -> Option<String> {
    let cluster = &ground.cluster;
    let beside = [&THERE[..], &["--beside"]].concat();
    let made = cluster.arcctl(&arguments(&beside, file));
    assert_eq!(made.code, 0, "{}", made.stderr);
    let back = arguments(&["migrate", "basic", "--back"], file);
    let at = ground.killed_at(&back, &[], Remote::Kubernetes, nth, effect)?;
    ground.age();
    let mut jobs = cluster.world().github().runs().len();
    if forth || is_recorded(cluster) {
        let next = if forth { arguments(&THERE, file) } else { back };
        let ended = dispatching(cluster, &next, &mut jobs);
        assert_eq!(
            ended.code, 0,
            "killed at write {nth} of the way back, {at}: {}",
            ended.stderr
        );
    }
    none_is_lost(cluster, jobs);
    at_rest(cluster, file);
    if forth {
        assert_eq!(pools(file), ["basic-ss"], "killed at write {nth}, {at}");
        let ended = dispatching(cluster, &arguments(&BACK, file), &mut jobs);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        none_is_lost(cluster, jobs);
    }
    assert_eq!(
        (pools(file), sets(cluster)),
        (vec!["basic".into()], Vec::new()),
        "killed at write {nth} of the way back, {at}"
    );
    Some(at)
}

fn is_recorded(cluster: &Cluster) -> bool {
    let inventory = cluster.get("configmap", "actions-runner-system", "arcctl-dogecompany");
    inventory["data"]["migration.actions-runner.basic"].is_string()
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_killed_migration_goes_on_or_back() {
    let ground = Ground::new();
    let file = installed(&ground.cluster);
    for (nth, effect, back) in [
        (1, Effect::KillAfter, false),
        (6, Effect::Kill, true),
        (25, Effect::KillAfter, false),
    ] {
        let at = killed(&ground, &file, (nth, effect), back);
        assert!(at.is_some(), "no write {nth}");
    }
    for (nth, effect, forth) in [(1, Effect::KillAfter, false), (3, Effect::KillAfter, true)] {
        let at = killed_on_the_way_back(&ground, &file, (nth, effect), forth);
        assert!(at.is_some(), "no write {nth} of the way back");
    }
    ground.cluster.finish();
}

/// At every write, before and after it, on and back, until a migration comes to its end; and so on its way back.
#[test]
#[ignore = "it takes hours: `make torture`"]
fn a_migration_that_is_killed_at_any_write_goes_on_or_back() {
    let ground = Ground::new();
    let file = installed(&ground.cluster);
    let mut writes = Vec::new();
    'back: for nth in 1.. {
        for effect in [Effect::Kill, Effect::KillAfter] {
            for forth in [false, true] {
                let at = killed_on_the_way_back(&ground, &file, (nth, effect.clone()), forth);
                let Some(at) = at else { break 'back };
                writes.push(at);
            }
        }
    }
    // The last one has ended, and forgotten the migration.
    assert!(
        writes.len() > 20,
        "only {} kills of the way back: {writes:#?}",
        writes.len()
    );
    writes.clear();
    'all: for nth in 1.. {
        for effect in [Effect::Kill, Effect::KillAfter] {
            for back in [false, true] {
                let at = killed(&ground, &file, (nth, effect.clone()), back);
                let Some(at) = at else { break 'all };
                writes.push(at);
            }
        }
    }
    // Each of them has ended well, or the test had.
    assert!(
        writes.len() > 100,
        "only {} kills: {writes:#?}",
        writes.len()
    );
    ground.cluster.finish();
}

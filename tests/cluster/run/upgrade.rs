//! An upgrade of cert-manager over nine minor versions and of the controller while a job is dispatched every second; proofs that
//! fail; runs that are killed; the way back later.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use arcctl_sandbox::{
    github::ActionsFaults,
    proxy::{Effect, System as Remote},
};
use serde_json::Value;

use crate::{
    harness::{
        cluster::Cluster,
        jobs::{dispatching, none_is_lost},
        waiting::until,
    },
    torture::{ground::Ground, listing::differences},
};

const SYSTEM: &str = "actions-runner-system";
/// The versions of the blog, and the ones that arcctl installs by itself.
const OLD: [(&str, &str); 2] = [
    ("chartVersion: \"v1.21.1\"", "chartVersion: \"v1.12.0\""),
    ("chartVersion: \"0.23.7\"", "chartVersion: \"0.23.3\""),
];

/// A step fails within a minute where its pods are refused.
const SHORT: (&str, &str) = (
    "timeouts: {certManager: 5m, controller: 5m,",
    "timeouts: {certManager: 40s, controller: 40s,",
);

fn installed(cluster: &Cluster, more: &[(&str, &str)]) -> PathBuf {
    cluster.world().github().set_actions_faults(ActionsFaults {
        length: Some(Duration::from_secs(3)),
        ..ActionsFaults::default()
    });
    let profile = cluster.profile("arcctl", &[&OLD[..], more].concat());
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    profile
}

fn arguments<'a>(command: &[&'a str], file: &'a Path) -> Vec<&'a str> {
    let more = ["--yes", "-o", "json", "-f", file.to_str().unwrap()];
    [command, &more].concat()
}

fn versions(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text
        .lines()
        .filter_map(|it| it.trim().strip_prefix("chartVersion: "));
    lines.map(|it| it.trim_matches('"').to_owned()).collect()
}

/// The ids of the objects of the backup, by the cluster.
fn backup(cluster: &Cluster) -> usize {
    let all = ["-n", SYSTEM, "get", "configmaps,secrets", "-o", "name"];
    let names = cluster.kubectl(&all, None);
    names.lines().filter(|it| it.contains("-backup-")).count()
}

/// The record of the upgrade in the inventory.
fn record(cluster: &Cluster) -> Value {
    let inventory = cluster.get("configmap", SYSTEM, "arcctl-dogecompany");
    let text = inventory["data"]["upgrade"].as_str().unwrap_or("null");
    serde_json::from_str(text).unwrap()
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn an_upgrade_with_jobs_running_loses_none_and_goes_back_later() {
    let cluster = Cluster::fast();
    let file = installed(&cluster, &[]);
    let before = std::fs::read_to_string(&file).unwrap();
    let (mut jobs, writes) = (0, cluster.kubernetes_writes());
    let shown = cluster
        .arcctl(&arguments(&["upgrade", "--dry-run"], &file))
        .expect(0);
    let steps = shown["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 10, "{shown:#}");
    assert_eq!(steps[0]["to"], "v1.13.6");
    assert_eq!(
        (&steps[9]["of"], &steps[9]["to"]),
        (&"controller".into(), &"0.23.7".into())
    );
    assert_eq!(
        cluster.kubernetes_writes(),
        writes,
        "a dry run writes nothing"
    );

    let there = dispatching(&cluster, &arguments(&["upgrade"], &file), &mut jobs);
    let told = there.expect(0);
    assert_eq!(
        (&told["stage"], &told["written"]),
        (&"done".into(), &true.into()),
        "{told:#}"
    );
    assert_eq!(versions(&file), ["v1.21.1", "0.23.7"]);
    none_is_lost(&cluster, jobs);
    let parts = told["backup"].as_array().unwrap().len();
    assert_eq!(backup(&cluster), parts);
    assert_eq!(record(&cluster)["stage"], "done");
    // The backup is nothing that a run removes.
    let up = cluster.up(&file, &[]);
    assert_eq!(up.expect(0)["changed"], 0, "{}", up.stderr);
    assert_eq!(backup(&cluster), parts);
    let again = cluster.arcctl(&arguments(&["upgrade"], &file)).expect(0);
    assert_eq!(
        (&again["changed"], &again["steps"]),
        (&0.into(), &serde_json::json!([]))
    );

    refused_after_a_change(&cluster, &file);
    refused_with_a_lock(&cluster, "rollback", &file);
    let back = dispatching(&cluster, &arguments(&["rollback"], &file), &mut jobs);
    assert_eq!(back.expect(0)["wentBack"], true, "{}", back.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    none_is_lost(&cluster, jobs);
    assert_eq!((backup(&cluster), record(&cluster)), (0, Value::Null));
    let up = cluster.up(&file, &[]);
    assert_eq!(up.expect(0)["changed"], 0, "{}", up.stderr);
    let none = cluster.arcctl(&arguments(&["rollback"], &file));
    assert_eq!(none.expect(64)["error"]["code"], 64);
    cluster.finish();
}

/// Where something else has changed since, a way back is refused before the first write.
fn refused_after_a_change(cluster: &Cluster, file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    let other = cluster.file("other.yaml", &text.replace("max: 16", "max: 12"));
    let writes = cluster.kubernetes_writes();
    let refused = cluster.arcctl(&arguments(&["rollback"], &other)).expect(7);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("there were other changes after"),
        "{message}"
    );
    assert_eq!(cluster.kubernetes_writes(), writes);
}

/// Under a lock nothing is written, whatever is in it.
fn refused_with_a_lock(cluster: &Cluster, command: &str, file: &Path) {
    let lock = file.with_extension("lock");
    let text = r#"{"version": 1, "profile": "dogecompany", "charts": [], "images": []}"#;
    std::fs::write(&lock, text).unwrap();
    let writes = cluster.kubernetes_writes();
    let refused = cluster.arcctl(&arguments(&[command], file)).expect(7);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("pins the versions"), "{message}");
    assert_eq!(cluster.kubernetes_writes(), writes, "{command}");
    std::fs::remove_file(lock).unwrap();
}

/// Writes a key of the inventory, or removes it.
fn record_as(cluster: &Cluster, key: &str, value: &Value) {
    let value = match value {
        Value::Null => Value::Null,
        value => value.to_string().into(),
    };
    let patch = serde_json::json!({"data": {key: value}}).to_string();
    let inventory = ["-n", SYSTEM, "patch", "configmap", "arcctl-dogecompany"];
    let how = ["--type=merge", "-p", &patch];
    cluster.kubectl(&[&inventory[..], &how[..]].concat(), None);
}

/// An upgrade and a migration exclude each other, before the first write.
#[test]
#[ignore = "slow: `make test-slow`"]
fn an_upgrade_under_a_lock_and_beside_a_migration_is_refused() {
    let cluster = Cluster::fast();
    let file = installed(&cluster, &[]);
    refused_with_a_lock(&cluster, "upgrade", &file);
    let key = "migration.actions-runner.basic";
    let migration = serde_json::json!({
        "from": {"name": "basic", "namespace": "actions-runner", "image": "r:1", "min": 0, "max": 1},
        "to": "basic-ss", "mode": "scaleSet", "stage": "beside",
    });
    record_as(&cluster, key, &migration);
    let writes = cluster.kubernetes_writes();
    let refused = cluster.arcctl(&arguments(&["upgrade"], &file)).expect(7);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("is being migrated"), "{message}");
    assert_eq!(cluster.kubernetes_writes(), writes);
    record_as(&cluster, key, &Value::Null);

    let none = serde_json::json!({"charts": {}, "images": {}});
    let upgrade = serde_json::json!({
        "from": none, "now": none, "to": none, "stage": "forth", "began": "2026-11-27 09:00:00 UTC",
        "backup": [], "secret": null,
    });
    record_as(&cluster, "upgrade", &upgrade);
    let writes = cluster.kubernetes_writes();
    let migrate = ["migrate", "basic", "--to", "scaleSet"];
    let refused = cluster.arcctl(&arguments(&migrate, &file)).expect(7);
    let hint = refused["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("arcctl rollback"), "{hint}");
    assert_eq!(cluster.kubernetes_writes(), writes);
    record_as(&cluster, "upgrade", &Value::Null);
    cluster.finish();
}

/// A teardown takes the backup with it.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_teardown_removes_the_backup() {
    let cluster = Cluster::fast();
    let file = installed(&cluster, &[]);
    let to = ["upgrade", "--to", "cert-manager=v1.13.6,controller=0.23.3"];
    let told = cluster.arcctl(&arguments(&to, &file)).expect(0);
    assert_eq!(told["steps"].as_array().unwrap().len(), 1, "{told:#}");
    assert!(backup(&cluster) > 0);
    let gone = cluster.arcctl(&arguments(&["teardown"], &file));
    assert_eq!(gone.expect(0)["outcome"], "ok", "{}", gone.stderr);
    let all = ["get", "configmaps,secrets", "-A", "-o", "name"];
    let names = cluster.kubectl(&all, None);
    assert!(!names.contains("-backup-"), "{names}");
    cluster.finish();
}

/// Which pods are refused.
#[derive(Clone, Copy)]
enum Refused {
    /// Those of a dry run too: it is found out before the first write.
    Always,
    /// Only those that are made: a proof fails.
    WhenMade,
}

/// Refuses pods whose image ends with one of `tags`, from now on.
fn refuse_pods(cluster: &Cluster, tags: &[&str], when: Refused) {
    let unless = match when {
        Refused::Always => "",
        Refused::WhenMade => "(has(request.dryRun) && request.dryRun) || ",
    };
    let ends: Vec<String> = tags
        .iter()
        .map(|it| format!("it.image.endsWith(':{it}')"))
        .collect();
    let policy = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": "no-such-pods"},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
                }]},
                "validations": [{
                    "expression": format!("{unless}!object.spec.containers.exists(it, {})", ends.join(" || ")),
                    "message": "this image is not allowed",
                }],
            },
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": "no-such-pods"},
            "spec": {"policyName": "no-such-pods", "validationActions": ["Deny"]},
        },
    ]});
    cluster.kubectl(&["apply", "-f", "-"], Some(&policy.to_string()));
}

/// The tags of the images of each step, in order: the controller is last.
const TAGS: [&str; 10] = [
    "v1.13.6", "v1.14.7", "v1.15.5", "v1.16.5", "v1.17.4", "v1.18.6", "v1.19.6", "v1.20.4",
    "v1.21.1", "v0.27.6",
];

/// Has the proof of each of these steps fail, one after the other: each time all is as before.
fn each_fails(tags: &[&str]) {
    let ground = Ground::new();
    let cluster = &ground.cluster;
    // The jobs would have the autoscaler make more runners.
    let file = installed(cluster, &[SHORT, ("max: 16", "max: 2")]);
    let text = std::fs::read_to_string(&file).unwrap();
    let mut jobs = 0;
    for &tag in tags {
        refuse_pods(cluster, &[tag], Refused::WhenMade);
        let before = ground.settled();
        let ended = dispatching(cluster, &arguments(&["upgrade"], &file), &mut jobs);
        assert!([1, 6].contains(&ended.code), "{tag}: {}", ended.stderr);
        let told = ended.document();
        assert_eq!(told["wentBack"], true, "{tag}: {told:#}\n{}", ended.stderr);
        assert_eq!(told["stage"], Value::Null, "{tag}");
        // It failed at this step, and at none before.
        let steps = told["steps"].as_array().unwrap();
        let done = steps.iter().filter(|it| it["done"] == true).count();
        assert_eq!(TAGS.get(done).copied(), Some(tag), "{told:#}");
        none_is_lost(cluster, jobs);
        assert_eq!(differences(&before, &ground.settled()), [""; 0], "{tag}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "{tag}");
    }
    ground.cluster.finish();
}

/// The proof of the first, of a middle, of the last cert-manager and of the controller.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_proof_that_fails_brings_everything_back() {
    each_fails(&[TAGS[0], TAGS[3], TAGS[8], TAGS[9]]);
}

/// Each proof in turn.
#[test]
#[ignore = "it takes hours: `make torture`"]
fn each_proof_that_fails_brings_everything_back_matrix() {
    each_fails(&TAGS);
}

/// What is found out before a step changes anything leads nowhere: the upgrade stays, and goes on.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_step_that_cannot_begin_stays_where_it_is() {
    let cluster = Cluster::fast();
    let file = installed(&cluster, &[]);
    let to = ["upgrade", "--to", "cert-manager=v1.13.6,controller=0.23.3"];
    refuse_pods(&cluster, &["v1.13.6"], Refused::Always);
    let refused = cluster.arcctl(&arguments(&to, &file));
    let told = refused.expect(1);
    assert_eq!(
        (&told["wentBack"], &told["stage"]),
        (&false.into(), &"forth".into()),
        "{told:#}"
    );
    assert_eq!(record(&cluster)["stage"], "forth");
    cluster.kubectl(
        &["delete", "validatingadmissionpolicy", "no-such-pods"],
        None,
    );
    let ended = cluster.arcctl(&arguments(&to, &file)).expect(0);
    assert_eq!(ended["stage"], "done", "{ended:#}");
    cluster.finish();
}

/// Kills an upgrade before or after its `nth` write, and has it go on or back.
fn killed(ground: &Ground, file: &Path, (nth, effect): (usize, Effect), back: bool) {
    let cluster = &ground.cluster;
    let there = arguments(&["upgrade"], file);
    let at = ground.killed_at(&there, &[], Remote::Kubernetes, nth, effect);
    let at = at.unwrap_or_else(|| panic!("no write {nth}"));
    ground.age();
    let back = back && !record(cluster).is_null();
    let mut jobs = cluster.world().github().runs().len();
    let next = if back {
        arguments(&["rollback"], file)
    } else {
        there
    };
    let ended = dispatching(cluster, &next, &mut jobs);
    assert_eq!(
        ended.code, 0,
        "killed at write {nth}, {at}: {}",
        ended.stderr
    );
    let expected = if back {
        ["v1.12.0", "0.23.3"]
    } else {
        ["v1.21.1", "0.23.7"]
    };
    assert_eq!(versions(file), expected, "killed at write {nth}, {at}");
    let up = cluster.up(file, &[]);
    assert_eq!(up.expect(0)["changed"], 0, "{}", up.stderr);
    none_is_lost(cluster, jobs);
    if !back {
        let ended = dispatching(cluster, &arguments(&["rollback"], file), &mut jobs);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        none_is_lost(cluster, jobs);
    }
    assert_eq!((backup(cluster), record(cluster)), (0, Value::Null));
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_killed_upgrade_goes_on_or_back() {
    let ground = Ground::new();
    // On full nodes the controller keeps the runners of the template from before until all new ones run.
    let file = installed(&ground.cluster, &[("max: 16", "max: 2")]);
    for (nth, effect, back) in [
        (1, Effect::KillAfter, false),
        (5, Effect::Kill, true),
        (30, Effect::KillAfter, false),
        (60, Effect::Kill, true),
    ] {
        killed(&ground, &file, (nth, effect), back);
    }
    ground.cluster.finish();
}

/// Who runs an upgrade or a way back beside an upgrade is told so, before the first write; and an upgrade whose record is changed
/// nevertheless takes no further step.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_run_beside_an_upgrade_is_refused() {
    let cluster = Cluster::fast();
    let file = installed(&cluster, &[]);
    let command = arguments(&["upgrade"], &file);
    let running = cluster.arcctl_in_background(&command);
    until("the upgrade to take its steps", || {
        record(&cluster)["stage"] == "forth"
    });
    for other in ["rollback", "upgrade"] {
        let refused = cluster.arcctl(&arguments(&[other], &file)).expect(5);
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("another run of arcctl holds"), "{message}");
        assert_eq!(refused["changed"], 0, "{refused:#}");
    }
    let mut changed = record(&cluster);
    let began = std::mem::replace(&mut changed["began"], "2026-11-27 09:00:00 UTC".into());
    record_as(&cluster, "upgrade", &changed);
    let ended = running.end();
    cluster.keep(&ended);
    let told = ended.expect(5);
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("has changed the record"), "{message}");
    assert_eq!(told["wentBack"], false, "{told:#}");
    let mut changed = record(&cluster);
    assert_eq!(changed["stage"], "forth");
    changed["began"] = began;
    record_as(&cluster, "upgrade", &changed);
    let ended = cluster.arcctl(&command).expect(0);
    assert_eq!(ended["stage"], "done", "{ended:#}");
    cluster.finish();
}

/// A lock pins what would change; a pool on its way to the other mode is moved first.
#[test]
#[ignore = "slow: `make test-slow`"]
fn what_is_pending_is_told_before_the_first_write() {
    let cluster = Cluster::fast();
    let file = installed(&cluster, &[]);
    let text = std::fs::read_to_string(&file).unwrap();
    let other = cluster.file("other.yaml", &text.replace("max: 16", "max: 12"));
    let writes = cluster.kubernetes_writes();
    let pending = cluster.arcctl(&arguments(&["upgrade"], &other)).expect(1);
    let message = pending["error"]["message"].as_str().unwrap();
    assert!(message.contains("differs from the cluster"), "{message}");
    let older = ["upgrade", "--to", "controller=0.23.0"];
    let older = cluster.arcctl(&arguments(&older, &file)).expect(64);
    assert!(
        older["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("arcctl rollback")
    );
    assert_eq!(cluster.kubernetes_writes(), writes);
    cluster.finish();
}

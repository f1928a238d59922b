//! Images are pulled ahead beside the run: it does not wait for them at its end, never fails because of them, and leaves nothing.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use arcctl_sandbox::proxy::{Effect, Fault, FaultId, Matching, MethodMatch, Nth, System};
use serde_json::{Value, json};

use crate::{
    aws::kubernetes_role::{ACCOUNT, ROLES, bind},
    harness::cluster::{Cluster, Ended},
    harness::waiting::until,
    install::refusals::kubeconfig_of,
};

const NAMESPACE: &str = "actions-runner";

/// The step that pulls.
const PULL: &str = "daemon-set/actions-runner/arcctl-images-basic";

const RUNNERS: &str = "runner-deployment/actions-runner/basic";

const IMAGE: &str = "summerwind/actions-runner:v2.306.0-ubuntu-22.04";

/// Another image, that no node has.
fn image(tag: &str) -> (&'static str, String) {
    (IMAGE, format!("own/runner:{tag}-ubuntu-22.04"))
}

/// The profile with that image.
fn with_image(cluster: &Cluster, tag: &str) -> std::path::PathBuf {
    let (from, to) = image(tag);
    cluster.profile(tag, &[(from, &to)])
}

/// Has each node list only what is on every new node.
fn nodes_are_bare(cluster: &Cluster) {
    let images =
        json!({"status": {"images": [{"names": ["registry.k8s.io/pause:3.10"], "sizeBytes": 1}]}});
    let nodes = cluster.kubectl(&["get", "nodes", "-o", "name"], None);
    for node in nodes.lines() {
        let patch = images.to_string();
        let status = ["--subresource=status", "--type=merge", "-p", &patch];
        cluster.kubectl(&[&["patch", node][..], &status].concat(), None);
    }
}

/// A step of a run's document.
fn step<'a>(document: &'a Value, id: &str) -> Option<&'a Value> {
    let mut steps = document["steps"].as_array().unwrap().iter();
    steps.find(|it| it["id"] == id)
}

fn daemon_sets(cluster: &Cluster) -> String {
    cluster.kubectl(&["-n", NAMESPACE, "get", "daemonsets", "-o", "name"], None)
}

/// Neither the `DaemonSet` nor its record is left.
#[track_caller]
fn assert_nothing_left(cluster: &Cluster) {
    assert_eq!(daemon_sets(cluster), "");
    let inventory = cluster.get("configmap", "actions-runner-system", "arcctl-dogecompany");
    let recorded = inventory["data"]["resources"].as_str().unwrap();
    assert!(!recorded.contains("daemon-set"), "{recorded}");
}

/// The image in the `RunnerDeployment`.
fn rolled_out(cluster: &Cluster) -> String {
    let live = cluster.get("runnerdeployment", NAMESPACE, "basic");
    let image = live["spec"]["template"]["spec"]["image"].as_str();
    image.unwrap().to_owned()
}

/// Has arcctl not learn how far the pods are: as if the nodes pulled for a long time.
fn pulls_take_long(cluster: &Cluster) -> FaultId {
    let fault = Fault {
        matching: Matching {
            method: Some(MethodMatch::Reads),
            substring: "arcctl.dev%2Fimages".into(),
            ..Matching::default()
        },
        nth: Nth::Every,
        effect: Effect::Hang,
    };
    let proxy = cluster.world().proxy(System::Kubernetes).unwrap();
    proxy.add_fault(fault)
}

fn as_before(cluster: &Cluster, fault: FaultId) {
    let proxy = cluster.world().proxy(System::Kubernetes).unwrap();
    assert!(proxy.remove_fault(fault));
}

fn up(file: &Path) -> Vec<&str> {
    let file = file.to_str().unwrap();
    vec!["up", "-f", file, "--yes", "-o", "json"]
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn images_are_pulled_beside_the_run_and_nothing_is_left() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    nodes_are_bare(&cluster);
    let plan = cluster.arcctl(&["plan", "-f", profile.to_str().unwrap()]);
    let line = format!(
        "create  {PULL}  pulls `{IMAGE}` and `docker:28-dind` ahead on 2 nodes; removed again in the same run"
    );
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words(&plan.stdout).contains(&words(&line)),
        "{}",
        plan.stdout
    );

    // A fresh run ends when the runners are online, however long the nodes pull.
    let fault = pulls_take_long(&cluster);
    let began = Instant::now();
    let ended = cluster.up(&profile, &[]);
    as_before(&cluster, fault);
    let document = ended.expect(0);
    let pull = step(&document, PULL).unwrap();
    assert_eq!(
        (&pull["action"], &pull["outcome"]),
        (&json!("create"), &json!("ok"))
    );
    assert!(
        !ended.stderr.contains("advice: `daemon-set"),
        "{}",
        ended.stderr
    );
    assert!(
        began.elapsed() < Duration::from_mins(2),
        "{:?}",
        began.elapsed()
    );
    assert_nothing_left(&cluster);
    let events = ["-n", NAMESPACE, "get", "events", "-o", "name"];
    let of_it = "involvedObject.kind=DaemonSet,reason=SuccessfulCreate";
    let events = cluster.kubectl(&[&events[..], &["--field-selector", of_it]].concat(), None);
    assert_eq!(events.lines().count(), 2, "it has had no pods: {events}");

    // With nothing to do the nodes' images are of no interest.
    nodes_are_bare(&cluster);
    let writes = cluster.kubernetes_writes();
    let again = cluster.up(&profile, &[]);
    assert_eq!(step(&again.expect(0), PULL), None);
    assert_eq!(cluster.kubernetes_writes(), writes);

    // Another image is there before the runners are replaced.
    let changed = cluster.up(&with_image(&cluster, "v1"), &[]);
    let document = changed.expect(0);
    assert_eq!(changed.changed(), [PULL, RUNNERS], "{}", changed.stderr);
    let (pull, runners) = (step(&document, PULL), step(&document, RUNNERS));
    let time = |step: Option<&Value>, key: &str| step.unwrap()[key].as_f64().unwrap();
    assert!(time(runners, "begin") > time(pull, "begin"), "{document:#}");
    assert_nothing_left(&cluster);

    // Where the nodes have the images, and where the profile says so, nothing is pulled.
    let never = [("charts:", "images: {prepull: never}\ncharts:")];
    let (from, to) = image("v2");
    let never = cluster.profile("never", &[never[0], (from, &to)]);
    let planned = cluster.arcctl(&["plan", "-v", "-f", never.to_str().unwrap()]);
    let why = "the images of pool `basic` are not pulled ahead: `images.prepull` is `never`";
    assert!(planned.stderr.contains(why), "{}", planned.stderr);
    assert!(!planned.stdout.contains("daemon-set"), "{}", planned.stdout);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn runs_that_end_early_leave_nothing_that_pulls() {
    let cluster = Cluster::fast();
    cluster.up(&cluster.profile("arcctl", &[]), &[]).expect(0);
    let first = rolled_out(&cluster);

    // The runners are not replaced while the nodes pull, and an interrupted run takes away what it has made.
    nodes_are_bare(&cluster);
    let fault = pulls_take_long(&cluster);
    let profile = with_image(&cluster, "v1");
    let mut run = cluster.arcctl_in_background(&up(&profile));
    run.wait_for(&format!("create {PULL}"));
    until("the DaemonSet", || !daemon_sets(&cluster).is_empty());
    std::thread::sleep(Duration::from_secs(3));
    assert!(run.is_alive());
    assert_eq!(rolled_out(&cluster), first);
    let ended = run.end_on("INT");
    cluster.keep(&ended);
    ended.expect(130);
    assert_eq!(rolled_out(&cluster), first);
    assert_nothing_left(&cluster);

    // A run that is killed leaves it to the next one, and to a teardown.
    nodes_are_bare(&cluster);
    killed(&cluster, &profile);
    as_before(&cluster, fault);
    let ended = cluster.up(&profile, &[]);
    ended.expect(0);
    assert!(
        ended.changed().contains(&PULL.to_owned()),
        "{}",
        ended.stderr
    );
    assert_nothing_left(&cluster);

    let fault = pulls_take_long(&cluster);
    nodes_are_bare(&cluster);
    killed(&cluster, &with_image(&cluster, "v2"));
    // Also one that has nothing else to do.
    let ended = cluster.up(&profile, &[]);
    ended.expect(0);
    assert_eq!(ended.changed(), [PULL], "{}", ended.stderr);
    assert_nothing_left(&cluster);

    nodes_are_bare(&cluster);
    killed(&cluster, &with_image(&cluster, "v3"));
    as_before(&cluster, fault);
    let file = profile.to_str().unwrap();
    let ended = cluster.arcctl(&["teardown", "-f", file, "--yes", "-o", "json"]);
    ended.expect(0);
    assert!(
        ended.changed().contains(&PULL.to_owned()),
        "{}",
        ended.stderr
    );
    let left = cluster.kubectl(&["get", "daemonsets", "-A", "-o", "name"], None);
    assert_eq!(left, "");
    let namespaces = cluster.kubectl(&["get", "namespaces", "-o", "name"], None);
    assert!(!namespaces.contains(NAMESPACE), "{namespaces}");
    cluster.finish();
}

/// Kills a run of `profile` once its `DaemonSet` is there, and lets its lease run out.
#[track_caller]
fn killed(cluster: &Cluster, profile: &Path) {
    let mut run = cluster.arcctl_in_background(&up(profile));
    run.wait_for(&format!("create {PULL}"));
    until("the DaemonSet", || !daemon_sets(cluster).is_empty());
    run.kill();
    cluster.keep(&run.end());
    assert_ne!(daemon_sets(cluster), "");
    let patch = json!({"spec": {"leaseDurationSeconds": 1}}).to_string();
    let lease = [
        "patch",
        "lease",
        "arcctl-dogecompany",
        "--type",
        "merge",
        "-p",
        &patch,
    ];
    cluster.kubectl(
        &[&["-n", "actions-runner-system"][..], &lease].concat(),
        None,
    );
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_refuses_the_pull_refuses_no_run() {
    let cluster = Cluster::with_faults(&["image:pull-fails=missing/*"]);
    let kubeconfig = without_rights(&cluster);
    nodes_are_bare(&cluster);
    let profile = cluster.profile("arcctl", &[]);
    let by_account = ["--kubeconfig", &kubeconfig, "-v"];
    let ended = cluster.arcctl(&[&up(&profile)[..], &by_account].concat());
    assert_eq!(step(&ended.expect(0), PULL), None);
    let why = "the images of pool `basic` are not pulled ahead: this user may not get, create, patch, delete daemonsets.apps";
    assert!(ended.stderr.contains(why), "{}", ended.stderr);

    let quota = ["-n", NAMESPACE, "create", "quota", "q", "--hard=pods=40"];
    cluster.kubectl(&quota, None);
    let planned = plan(&cluster, "v1");
    assert!(
        planned.stderr.contains("has a ResourceQuota"),
        "{}",
        planned.stderr
    );
    assert!(!planned.stdout.contains(PULL), "{}", planned.stdout);
    cluster.kubectl(&["-n", NAMESPACE, "delete", "quota", "q"], None);

    let theirs = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "arcctl-images-basic", "namespace": NAMESPACE},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
            "spec": {"nodeSelector": {"no": "node"}, "containers": [{"name": "a", "image": "a:1"}]}}},
    });
    cluster.kubectl(&["create", "-f", "-"], Some(&theirs.to_string()));
    let planned = plan(&cluster, "v1");
    assert!(
        planned.stderr.contains("is not arcctl's"),
        "{}",
        planned.stderr
    );
    assert!(!planned.stdout.contains(PULL), "{}", planned.stdout);
    cluster.kubectl(
        &[
            "-n",
            NAMESPACE,
            "delete",
            "daemonset",
            "arcctl-images-basic",
        ],
        None,
    );

    // A policy that refuses the DaemonSet, and one that refuses its pods.
    for (tag, group, resource, kind) in [
        ("v1", "apps", "daemonsets", "the DaemonSet"),
        ("v2", "", "pods", "its pods"),
    ] {
        let name = deny(&cluster, group, resource);
        nodes_are_bare(&cluster);
        let ended = cluster.up(&with_image(&cluster, tag), &[]);
        assert_eq!(ended.expect(0)["outcome"], "ok", "{kind}");
        let advice = format!("advice: `{PULL}`: images are not pulled ahead everywhere: ");
        assert!(ended.stderr.contains(&advice), "{kind}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("no images here"),
            "{kind}: {}",
            ended.stderr
        );
        assert_nothing_left(&cluster);
        for kind in [
            "validatingadmissionpolicybinding",
            "validatingadmissionpolicy",
        ] {
            cluster.kubectl(&["delete", kind, &name], None);
        }
    }

    // An image that cannot be pulled: the run goes on, and fails because its own pods cannot pull it either.
    nodes_are_bare(&cluster);
    let edits = [
        (IMAGE, "missing/runner:v1-ubuntu-22.04"),
        ("runners: 5m", "runners: 20s"),
    ];
    let ended = cluster.up(&cluster.profile("missing", &edits), &[]);
    let document = ended.expect(6);
    assert_eq!(step(&document, PULL).unwrap()["outcome"], "ok");
    assert!(
        ended.stderr.contains("image `missing/runner"),
        "{}",
        ended.stderr
    );
    assert_nothing_left(&cluster);
    cluster.finish();
}

/// An account with all documented rights but those about `DaemonSets`; its kubeconfig.
fn without_rights(cluster: &Cluster) -> String {
    cluster.kubectl(&["create", "serviceaccount", ACCOUNT], None);
    let right = "resources: [daemonsets]\n    verbs: [get, create, patch, delete]";
    assert!(ROLES.contains(right));
    let without = ROLES.replace(right, "resources: [deployments]\n    verbs: [get]");
    cluster.kubectl(&["apply", "-f", "-"], Some(&without));
    bind(cluster, "arcctl");
    bind(cluster, "arcctl-install");
    kubeconfig_of(cluster, ACCOUNT)
}

/// The plan of another image, with its decisions.
fn plan(cluster: &Cluster, tag: &str) -> Ended {
    nodes_are_bare(cluster);
    let profile = with_image(cluster, tag);
    let ended = cluster.arcctl(&["plan", "-v", "-f", profile.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    ended
}

/// A policy that refuses what pulls images; its name.
fn deny(cluster: &Cluster, group: &str, resource: &str) -> String {
    let name = format!("no-{resource}");
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": [group], "apiVersions": ["v1"],
                "operations": ["CREATE"], "resources": [resource]}]},
            "validations": [{
                "expression": "!object.metadata.?name.orValue('').startsWith('arcctl-images') && \
                    !object.metadata.?generateName.orValue('').startsWith('arcctl-images')",
                "message": "no images here",
            }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    });
    for object in [policy, binding] {
        cluster.kubectl(&["create", "-f", "-"], Some(&object.to_string()));
    }
    // A policy is in force a moment after it has been made.
    let probe = json!({
        "apiVersion": if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") },
        "kind": if resource == "pods" { "Pod" } else { "DaemonSet" },
        "metadata": {"name": "arcctl-images-probe", "namespace": NAMESPACE},
        "spec": if resource == "pods" {
            json!({"containers": [{"name": "a", "image": "a:1"}]})
        } else {
            json!({"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "a", "image": "a:1"}]}}})
        },
    });
    let create = ["create", "--dry-run=server", "-f", "-"];
    until("the policy", || {
        let tried = cluster.try_tool("kubectl", &create, Some(&probe.to_string()));
        tried.is_err_and(|said| said.contains("no images here"))
    });
    name
}

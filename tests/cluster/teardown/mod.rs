//! A teardown deletes all of arcctl's resources, in order, and no others.

pub(crate) mod drains;
pub(crate) mod users;

use std::{collections::BTreeMap, time::Duration};

use arcctl_sandbox::github::{NewRunner, Owner};
use serde_json::{Value, json};

use crate::{
    harness::cluster::{Cluster, Ended},
    harness::waiting::until,
};

const RUNNERS: &str = "actions-runner";
const SYSTEM: &str = "actions-runner-system";
const WEBHOOKS: &str = "mutatingwebhookconfigurations,validatingwebhookconfigurations";

/// Objects by address; those that the cluster itself writes all the time only by name.
pub(crate) fn objects(cluster: &Cluster, crds: bool) -> BTreeMap<String, String> {
    let resources = cluster.kubectl(
        &[
            "api-resources",
            "--verbs=list",
            "-o",
            "name",
            "--cached=false",
        ],
        None,
    );
    let mut found = BTreeMap::new();
    let kinds: Vec<&str> = resources
        .lines()
        .filter(|it| !it.starts_with("events"))
        .filter(|it| crds || !it.starts_with("customresourcedefinitions"))
        // An APIService is what a CRD's group is served by.
        .filter(|it| crds || !it.starts_with("apiservices"))
        .collect();
    let list = cluster.kubectl(&["get", &kinds.join(","), "-A", "-o", "json"], None);
    let list: Value = serde_json::from_str(&list).unwrap();
    for object in list["items"].as_array().unwrap() {
        let metadata = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let address = [&object["kind"], &metadata["namespace"], &metadata["name"]].map(text);
        let mut content = object.clone();
        content["status"] = Value::Null;
        for key in ["resourceVersion", "managedFields"] {
            content["metadata"][key] = Value::Null;
        }
        let content = match object["kind"].as_str() {
            Some("Lease" | "Node" | "FlowSchema" | "PriorityLevelConfiguration") => String::new(),
            _ => content.to_string(),
        };
        found.insert(address.join("/"), content);
    }
    found
}

/// The same once the cluster's own controllers have made all that they make by themselves.
pub(crate) fn settled_objects(cluster: &Cluster, crds: bool) -> BTreeMap<String, String> {
    let mut last = objects(cluster, crds);
    for _ in 0..30 {
        std::thread::sleep(Duration::from_secs(2));
        let now = objects(cluster, crds);
        let begun = now.contains_key("ServiceAccount/kube-system/default")
            && now.contains_key("ConfigMap/default/kube-root-ca.crt");
        if begun && now == last {
            return now;
        }
        last = now;
    }
    panic!("the cluster does not settle");
}

/// GitHub's runners: name, and whether it is online and busy.
pub(crate) fn at_github(cluster: &Cluster) -> Vec<(String, bool, bool)> {
    let runners = cluster.world().github().runners();
    runners
        .into_iter()
        .map(|it| (it.name, it.online, it.busy))
        .collect()
}

#[track_caller]
fn assert_same(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    let differing: Vec<&String> = before
        .keys()
        .chain(after.keys())
        .filter(|it| before.get(*it) != after.get(*it))
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

fn teardown(cluster: &Cluster, more: &[&str]) -> Ended {
    cluster.arcctl(&[&["teardown", "--yes", "-o", "json"], more].concat())
}

/// Makes things that look like arcctl's and are not.
fn look_alikes(cluster: &Cluster) {
    let list: Vec<Value> = ["default", "elsewhere"]
        .iter()
        .flat_map(|namespace| {
            let at = |name: &str| json!({"name": name, "namespace": namespace});
            [
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": at("controller-manager")}),
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": at("arcctl-dogecompany")}),
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": at("actions-runner-controller")}),
                json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": at("actions-runner-controller")}),
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {
                    "name": "sh.helm.release.v1.actions-runner-controller.v1", "namespace": namespace,
                    "labels": {"owner": "helm", "name": "other"},
                }}),
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
                    "name": "of-another-profile", "namespace": namespace,
                    "labels": {"app.kubernetes.io/managed-by": "arcctl", "arcctl.dev/profile": "other"},
                }}),
            ]
        })
        .collect();
    cluster.kubectl(&["create", "namespace", "elsewhere"], None);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": list});
    cluster.kubectl(&["create", "-f", "-"], Some(&list.to_string()));
    for name in ["basic-abcde-fghij", "basic", "basic-2"] {
        let runner = NewRunner {
            name: name.into(),
            ..NewRunner::default()
        };
        let owner = Owner::enterprise("dogecompany");
        cluster.world().github().add_runner(&owner, runner).unwrap();
    }
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn after_a_teardown_all_is_as_it_was_before() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let file = profile.to_str().unwrap();
    look_alikes(&cluster);
    let (before, runners) = (settled_objects(&cluster, true), at_github(&cluster));
    let nothing = teardown(&cluster, &["-f", file]);
    assert_eq!(nothing.expect(0)["changed"], 0, "{}", nothing.stderr);

    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    let planned = cluster.arcctl(&["plan", "--teardown", "-f", file]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    insta::assert_snapshot!("plan_of_a_teardown", planned.stdout);
    let ended = teardown(&cluster, &["-f", file]);
    assert_eq!(
        ended.expect(0)["schema"],
        "arcctl.run/v1",
        "{}",
        ended.stderr
    );
    assert_same(
        &before
            .iter()
            .filter(|(it, _)| !is_of_crds(it))
            .map(|(a, b)| (a.clone(), b.clone()))
            .collect(),
        &objects(&cluster, false),
    );
    assert_eq!(at_github(&cluster), runners);

    let writes = cluster.kubernetes_writes();
    let again = teardown(&cluster, &["-f", file]);
    assert_eq!(again.expect(0)["changed"], 0, "{}", again.stderr);
    assert_eq!(cluster.kubernetes_writes(), writes);

    // The same from the inventory alone, and the CRDs.
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    let by_name = teardown(&cluster, &["--name", "dogecompany", "--crds"]);
    assert_eq!(by_name.expect(0)["outcome"], "ok", "{}", by_name.stderr);
    assert_same(&before, &objects(&cluster, true));
    assert_eq!(at_github(&cluster), runners);
    cluster.finish();
}

pub(crate) fn is_of_crds(address: &str) -> bool {
    address.starts_with("CustomResourceDefinition/") || address.starts_with("APIService/")
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_pool_goes_with_its_jobs_done() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let file = profile.to_str().unwrap();
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");

    // Renamed: the new one comes, then the old one goes.
    let renamed = cluster.profile("renamed", &[("- name: basic", "- name: other")]);
    let planned = cluster.plan(&renamed, &[]).planned();
    assert!(
        planned.contains("delete runner-deployment/actions-runner/basic"),
        "{planned}"
    );
    assert_eq!(cluster.up(&renamed, &[]).expect(0)["outcome"], "ok");
    let left = cluster.kubectl(
        &[
            "-n",
            RUNNERS,
            "get",
            "hra,rdeploy,runners,pods",
            "-o",
            "name",
        ],
        None,
    );
    assert!(!left.contains("/basic"), "{left}");
    assert!(
        at_github(&cluster)
            .iter()
            .all(|it| it.0.starts_with("other-")),
        "{:?}",
        at_github(&cluster)
    );
    let inventory = cluster.get("configmap", SYSTEM, "arcctl-dogecompany");
    assert!(
        !inventory["data"]["resources"]
            .as_str()
            .unwrap()
            .contains("basic"),
        "{inventory}"
    );
    assert_eq!(cluster.up(&renamed, &[]).expect(0)["changed"], 0);
    what_a_killed_run_took_away_is_forgotten(&cluster, &renamed);

    a_job_is_waited_for(&cluster, file);
    cluster.finish();
}

/// A run that was killed after it had taken a pool away and before it could say so: the next one finds nothing to do but
/// that, and the one after it nothing at all.
fn what_a_killed_run_took_away_is_forgotten(cluster: &Cluster, file: &std::path::Path) {
    let read = || cluster.get("configmap", SYSTEM, "arcctl-dogecompany")["data"].clone();
    let (id, before) = ("runner-deployment/actions-runner/basic", read());
    let (mut ids, mut details): (Vec<String>, Value) = (
        serde_json::from_str(before["resources"].as_str().unwrap()).unwrap(),
        serde_json::from_str(before["details"].as_str().unwrap()).unwrap(),
    );
    ids.push(id.into());
    details[id] = details["runner-deployment/actions-runner/other"].clone();
    assert!(details[id].is_object(), "{before}");
    let data = json!({"resources": json!(ids).to_string(), "details": details.to_string()});
    let patch = json!({"data": data}).to_string();
    let stale = [
        "-n",
        SYSTEM,
        "patch",
        "configmap",
        "arcctl-dogecompany",
        "--type=merge",
        "-p",
    ];
    let _said = cluster.kubectl(&[&stale[..], &[patch.as_str()]].concat(), None);
    let ended = cluster.up(file, &[]);
    assert_eq!(ended.expect(0)["changed"], 0);
    assert!(
        ended.stderr.contains(&format!(
            "taken off the inventory, since a run that was killed had taken it away: `{id}`"
        )),
        "{}",
        ended.stderr
    );
    assert_eq!(read()["resources"], before["resources"]);
    let writes = cluster.kubernetes_writes();
    let ended = cluster.up(file, &[]);
    assert!(!ended.stderr.contains("inventory"), "{}", ended.stderr);
    assert_eq!(cluster.kubernetes_writes(), writes);
}

/// Only --force ends a job.
fn a_job_is_waited_for(cluster: &Cluster, file: &str) {
    let github = cluster.world().github();
    let busy = github.runners()[0].clone();
    github.set_runner(busy.id, true, true);
    let arguments = ["teardown", "--yes", "-o", "json", "-f", file];
    let mut waiting = cluster.arcctl_in_background(&arguments);
    waiting.wait_for(&format!("1 runner still has a job: `{}`", busy.name));
    until("only the runner with a job is left", || {
        let pods = cluster.kubectl(&["-n", RUNNERS, "get", "pods", "-o", "name"], None);
        pods.trim() == format!("pod/{}", busy.name)
    });
    assert!(waiting.is_alive(), "it waits for the job");
    waiting.interrupt();
    let waited = waiting.end();
    cluster.keep(&waited);
    assert_eq!(waited.expect(130)["outcome"], "interrupted");
    let forced = teardown(cluster, &["-f", file, "--force"]);
    assert_eq!(forced.expect(0)["outcome"], "ok", "{}", forced.stderr);
    assert!(
        forced
            .stderr
            .contains(&format!("ends the job on runner `{}`", busy.name)),
        "{}",
        forced.stderr
    );
    assert_eq!(at_github(cluster), []);
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_is_broken_has_its_way_out() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let file = profile.to_str().unwrap();
    let before = settled_objects(&cluster, false);

    // The controller was taken away first: everything hangs on its webhooks and finalizers.
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    cluster.helm(
        &[
            "-n",
            SYSTEM,
            "uninstall",
            "actions-runner-controller",
            "--wait",
        ],
        None,
    );
    cluster.kubectl(&["delete", "namespace", RUNNERS, "--wait=false"], None);
    let ended = teardown(&cluster, &["-f", file]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the controller does not run"),
        "{}",
        ended.stderr
    );
    assert_same(&before, &objects(&cluster, false));
    assert_eq!(at_github(&cluster), []);

    // The token is no longer valid.
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    let token = cluster.tokens()[0].clone();
    cluster.world().github().revoke(&token);
    let refused = teardown(&cluster, &["-f", file]);
    assert_eq!(
        refused.expect(4)["outcome"],
        "unauthorized",
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("teardown --force"),
        "{}",
        refused.stderr
    );
    let forced = teardown(&cluster, &["-f", file, "--force"]);
    assert_eq!(forced.expect(0)["outcome"], "ok", "{}", forced.stderr);
    assert_same(&before, &objects(&cluster, false));
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_others_use_stays() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let file = profile.to_str().unwrap();
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    let issuer = json!({
        "apiVersion": "cert-manager.io/v1", "kind": "Issuer",
        "metadata": {"name": "theirs", "namespace": "default"}, "spec": {"selfSigned": {}},
    });
    cluster.kubectl(&["create", "-f", "-"], Some(&issuer.to_string()));
    cluster.kubectl(&["-n", RUNNERS, "create", "configmap", "theirs"], None);
    let runner = cluster.world().github().runners()[0].name.clone();
    let arguments = ["teardown", "--yes", "-o", "json", "-f", file];
    let inside = cluster.arcctl_with(&arguments, &[("RUNNER_NAME", &runner)]);
    assert_eq!(inside.expect(7)["outcome"], "refused", "{}", inside.stderr);
    another_profile_leaves_it_alone(&cluster);
    a_controller_without_records_is_nobodys(&cluster, file);

    let ended = teardown(&cluster, &["-f", file]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert!(
        ended.stderr.contains("Issuer `default/theirs` needs it"),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .stderr
            .contains("ConfigMap `theirs` in it is not arcctl's"),
        "{}",
        ended.stderr
    );
    cluster.get("configmap", RUNNERS, "theirs");
    cluster.get("deployment", "cert-manager", "cert-manager");
    cluster.get("issuer", "default", "theirs");
    let namespaces = cluster.kubectl(&["get", "namespaces", "-o", "name"], None);
    assert!(!namespaces.contains(SYSTEM), "{namespaces}");
    cluster.finish();
}

/// Also while its controller is down, when webhooks that answer nobody would be repaired.
fn another_profile_leaves_it_alone(cluster: &Cluster) {
    let other = cluster.profile("other", &[("name: dogecompany", "name: other")]);
    cluster.scale_controller(0);
    let before = cluster.kubectl(&["get", WEBHOOKS, "-o", "name"], None);
    assert!(before.contains("actions-runner-controller"), "{before}");
    let ended = teardown(cluster, &["-f", other.to_str().unwrap()]);
    assert_eq!(ended.expect(0)["changed"], 0, "{}", ended.stderr);
    let after = cluster.kubectl(&["get", WEBHOOKS, "-o", "name"], None);
    assert_eq!(before, after);
    cluster.scale_controller(2);
}

/// As Argo CD, kubectl or another storage driver of helm leave it: nothing says that it is this profile's.
fn a_controller_without_records_is_nobodys(cluster: &Cluster, file: &str) {
    let selector = "owner=helm,name=actions-runner-controller";
    let list = ["-n", SYSTEM, "get", "secrets", "-l", selector, "-o", "json"];
    let list: Value = serde_json::from_str(&cluster.kubectl(&list, None)).unwrap();
    let mut kept = list["items"].as_array().unwrap().clone();
    kept.push(cluster.get("configmap", SYSTEM, "arcctl-dogecompany"));
    cluster.kubectl(&["-n", SYSTEM, "delete", "secrets", "-l", selector], None);
    cluster.kubectl(
        &["-n", SYSTEM, "delete", "configmap", "arcctl-dogecompany"],
        None,
    );

    for more in [&[][..], &["--adopt"]] {
        let up = [&["up", "-f", file, "--yes", "-o", "json"], more].concat();
        let ended = cluster.arcctl(&up);
        assert_eq!(ended.expect(7)["outcome"], "refused", "{}", ended.stderr);
        assert!(
            ended.stderr.contains("helm has no release record of it"),
            "{}",
            ended.stderr
        );
    }
    let plan = cluster.arcctl(&["plan", "--teardown", "-f", file, "-o", "json"]);
    let plan = plan.expect(0);
    let steps = plan["steps"].as_array().unwrap();
    let releases: Vec<&str> = steps
        .iter()
        .filter(|step| step["kind"] == "helm-release" && step["action"] == "delete")
        .filter_map(|step| step["name"].as_str())
        .collect();
    // cert-manager has a user, and the controller no record.
    assert_eq!(releases, [""; 0]);
    for mut object in kept {
        object["metadata"]["resourceVersion"] = Value::Null;
        cluster.kubectl(&["create", "-f", "-"], Some(&object.to_string()));
    }
}

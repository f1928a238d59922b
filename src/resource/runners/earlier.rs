//! Finds runners of a pool's earlier templates that occupy the capacity for the newest ones. Pure: no I/O.
//!
//! The controller scales down the set of an earlier template only once all new runners are ready, and recreates what
//! is deleted before (`runnerdeployment_controller.go` and `runner_pod_owner.go` of ARC v0.27.6). If the earlier runners
//! never started, for example for an invalid image, and fill the nodes or a quota, this would be a deadlock.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    lack::Lack,
    leaving::{ID, LEFT_GITHUB, listed},
};

/// Waiting reasons of a container that does not start within moments.
const FAILS_TO_START: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
];

/// The objects of a pool's earlier templates.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Earlier {
    /// The sets whose runners never had a job.
    pub(super) never: Vec<Value>,
    /// The pods of these that are not terminating.
    pub(super) pods: Vec<Value>,
    /// The Runners of these that have no pod and are not terminating.
    pub(super) runners: Vec<Value>,
    /// The other sets with replicas, and the names of their pods.
    pub(super) others: Vec<(Value, Vec<String>)>,
}

/// The objects of `sets` with other templates than `newest`, a hash, where their pods block new ones by `lack`;
/// `at_github` are the names of the runners there.
pub(super) fn earlier(
    newest: &str,
    (sets, runners, pods): (&[Value], &[Value], &[Value]),
    at_github: &BTreeSet<String>,
    lack: &Lack,
) -> Earlier {
    let mut found = Earlier::default();
    let hashes: BTreeSet<&str> = sets.iter().map(hash).filter(|it| *it != newest).collect();
    for template in hashes {
        let of = |all: &[Value]| -> Vec<Value> {
            let own = all.iter().filter(|it| hash(it) == template);
            own.cloned().collect()
        };
        let (sets, runners, pods) = (of(sets), of(runners), of(pods));
        if *lack != Lack::Quota && !pods.iter().any(|it| lack.is_for(it)) {
            continue;
        }
        let known = |it: &Value| at_github.contains(name(it));
        let never =
            pods.iter().all(never_started) && !runners.iter().any(known) && !pods.iter().any(known);
        if never {
            let has_pod = |it: &Value| pods.iter().any(|pod| name(pod) == name(it));
            let bare = runners.iter().filter(|it| !has_pod(it) && stays(it));
            found.runners.extend(bare.cloned());
            found.pods.extend(pods.into_iter().filter(stays));
            found.never.extend(sets.into_iter().filter(stays));
        } else {
            let holding = pods.iter().filter(|it| lack.is_for(it));
            let names: Vec<String> = holding.map(|it| name(it).to_owned()).collect();
            let asking = sets.into_iter().filter(|it| stays(it) && asks(it));
            found.others.extend(asking.map(|it| (it, names.clone())));
        }
    }
    found
}

impl Earlier {
    /// The sets without a job that still have replicas.
    pub(super) fn to_empty(&self) -> impl Iterator<Item = &Value> {
        self.never.iter().filter(|it| asks(it))
    }

    /// Whether runners that never started still have to be removed.
    pub(super) fn is_to_go(&self) -> bool {
        !self.pods.is_empty() || !self.runners.is_empty()
    }

    /// The names of the runners that never started.
    pub(super) fn names(&self) -> Vec<String> {
        let all = self.pods.iter().chain(&self.runners);
        all.map(|it| name(it).to_owned()).collect()
    }

    /// The commands to remove what never started.
    pub(super) fn removal(&self, namespace: &str) -> String {
        let mut commands: Vec<String> = self.to_empty().map(|it| to_zero(namespace, it)).collect();
        for (kind, objects) in [("pod", &self.pods), ("runner", &self.runners)] {
            let names: Vec<&str> = objects.iter().map(name).collect();
            if !names.is_empty() {
                let names = names.join(" ");
                commands.push(format!("`kubectl -n {namespace} delete {kind} {names}`"));
            }
        }
        commands.join(", then ")
    }

    /// For sets whose runners have started or may start: their pods, and how to remove them before the new ones are
    /// ready; `None` where there are none.
    pub(super) fn others(&self, namespace: &str) -> Option<(String, String)> {
        let pods: Vec<String> = self.others.iter().flat_map(|it| it.1.clone()).collect();
        if pods.is_empty() {
            return None;
        }
        let commands: Vec<String> = self
            .others
            .iter()
            .map(|(set, _)| to_zero(namespace, set))
            .collect();
        Some((
            format!(
                "the controller ends the pods of the pool's earlier template only once all new ones run, and until then they hold their room: {}",
                listed(&pods)
            ),
            format!(
                "to let them go first, idle ones at once and busy ones after their job: {}",
                commands.join(", ")
            ),
        ))
    }
}

/// The command to scale a set to zero, whose kind has no `scale` subresource.
fn to_zero(namespace: &str, set: &Value) -> String {
    format!(
        "`kubectl -n {namespace} patch runnerreplicaset {} --type=merge -p '{{\"spec\":{{\"replicas\":0}}}}'`",
        name(set)
    )
}

/// Whether the runner in a pod never ran, and will not start within moments. Sidecars run no
/// jobs.
fn never_started(pod: &Value) -> bool {
    let noted = |key: &str| pod["metadata"]["annotations"][key].is_string();
    if pod["status"]["phase"] != "Pending" || noted(ID) || noted(LEFT_GITHUB) {
        return false;
    }
    let statuses = |list: &str| pod["status"][list].as_array().into_iter().flatten();
    let runner = statuses("containerStatuses").find(|it| it["name"] == "runner");
    let has_run = runner.is_some_and(|it| {
        let ran =
            |state: &str| it[state]["running"].is_object() || it[state]["terminated"].is_object();
        ran("state") || ran("lastState") || it["restartCount"].as_u64().unwrap_or(0) > 0
    });
    if has_run {
        return false;
    }
    // It is on no node.
    if pod["spec"]["nodeName"]
        .as_str()
        .unwrap_or_default()
        .is_empty()
    {
        return true;
    }
    let fails = |it: &Value| {
        let reason = it["state"]["waiting"]["reason"]
            .as_str()
            .unwrap_or_default();
        FAILS_TO_START.contains(&reason)
    };
    // Where an init container fails, the others wait for it.
    runner.is_some_and(fails) || statuses("initContainerStatuses").any(fails)
}

/// Whether a set has replicas.
fn asks(set: &Value) -> bool {
    set["spec"]["replicas"].as_u64().unwrap_or(1) > 0
}

fn stays(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_null()
}

pub(super) fn hash(object: &Value) -> &str {
    let labels = &object["metadata"]["labels"];
    labels["runner-template-hash"].as_str().unwrap_or_default()
}

pub(super) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, hash: &str) -> Value {
        json!({"metadata": {"name": name, "labels": {"runner-template-hash": hash}}})
    }

    fn set(name: &str, hash: &str, replicas: u64) -> Value {
        let mut set = object(name, hash);
        set["spec"] = json!({"replicas": replicas});
        set
    }

    fn pod(name: &str, hash: &str, runner: &Value) -> Value {
        let mut pod = object(name, hash);
        pod["spec"] = json!({"nodeName": "node-1"});
        pod["status"] = json!({"phase": "Pending", "containerStatuses": [
            {"name": "docker", "restartCount": 0, "state": {"running": {}}},
            {"name": "runner", "restartCount": 0, "state": runner},
        ]});
        pod
    }

    fn waiting(reason: &str) -> Value {
        json!({"waiting": {"reason": reason}})
    }

    fn found(pods: &[Value], at_github: &[&str]) -> Earlier {
        let sets = [set("old", "a", 2), set("new", "b", 2)];
        let runners: Vec<Value> = pods.iter().map(|it| object(name(it), hash(it))).collect();
        let at_github = at_github.iter().map(ToString::to_string).collect();
        earlier("b", (&sets, &runners, pods), &at_github, &Lack::Quota)
    }

    #[test]
    fn only_pods_in_the_way_hold_the_room() {
        let runs = json!({"running": {}});
        let mut nowhere = pod("y", "a", &Value::Null);
        nowhere["spec"] = json!({});
        nowhere["status"] = json!({"phase": "Pending"});
        let pods = [pod("x", "a", &runs), nowhere.clone()];
        let sets = [set("old", "a", 2), set("new", "b", 2)];
        let names = BTreeSet::new();
        let of = |pods: &[Value], lack: &Lack| earlier("b", (&sets, &[], pods), &names, lack);
        let on = |node: &str| Lack::Nodes([node.to_owned()].into());
        for lack in [on("node-1"), Lack::AnyNode] {
            let (who, _) = of(&pods, &lack).others("n").unwrap();
            assert!(who.ends_with(": `x`"), "{who}");
            // A pod without a node, of a set that never started.
            assert_eq!(
                of(std::slice::from_ref(&nowhere), &lack),
                Earlier::default()
            );
        }
        assert_eq!(of(&pods, &on("node-2")), Earlier::default());
        let (who, _) = of(&pods, &Lack::Quota).others("n").unwrap();
        assert!(who.ends_with(": `x`, `y`"), "{who}");
        // If a pod that never started is in the way, the others would take its place.
        let failed = pod("x", "a", &waiting("ErrImagePull"));
        let found = of(&[failed, nowhere], &on("node-1"));
        assert_eq!(found.names(), ["x", "y"]);
    }

    #[test]
    fn what_cannot_pull_its_image_goes_and_the_newest_stays() {
        let pulls = waiting("ImagePullBackOff");
        let pods = [
            pod("x", "a", &pulls),
            pod("y", "a", &waiting("ErrImagePull")),
            pod("z", "b", &pulls),
        ];
        let found = found(&pods, &["other"]);
        assert_eq!(found.names(), ["x", "y"]);
        assert!(found.is_to_go());
        assert_eq!(found.others("n"), None);
        assert_eq!(
            found.removal("n"),
            "`kubectl -n n patch runnerreplicaset old --type=merge -p '{\"spec\":{\"replicas\":0}}'`, then `kubectl -n n delete pod x y`"
        );
    }

    #[test]
    fn whatever_may_have_had_a_job_keeps_its_whole_set() {
        let pulls = pod("x", "a", &waiting("ImagePullBackOff"));
        let change = |path: &str, value: Value| {
            let mut pod = pod("y", "a", &waiting("ImagePullBackOff"));
            *pod.pointer_mut(path).unwrap() = value;
            pod
        };
        let runner = "/status/containerStatuses/1";
        let started = [
            change(&format!("{runner}/state"), json!({"running": {}})),
            change(&format!("{runner}/state"), json!({"terminated": {}})),
            change(&format!("{runner}/state"), waiting("ContainerCreating")),
            change(&format!("{runner}/restartCount"), json!(1)),
            change("/status/phase", json!("Running")),
            change("/status/phase", json!("Succeeded")),
            change(
                "/metadata",
                json!({"name": "y", "labels": {"runner-template-hash": "a"}, "annotations": {ID: "7"}}),
            ),
        ];
        for pod in started {
            let found = found(&[pulls.clone(), pod.clone()], &[]);
            assert!(!found.is_to_go(), "{pod:#}");
            let (who, how) = found.others("n").unwrap();
            assert!(who.ends_with(": `x`, `y`"), "{who}");
            assert!(how.contains("patch runnerreplicaset old"), "{how}");
        }
        // GitHub lists one of them.
        assert!(!found(&[pulls], &["x"]).is_to_go());
    }

    #[test]
    fn a_pod_without_a_node_and_a_runner_without_a_pod_have_not_started() {
        let mut nowhere = pod("x", "a", &Value::Null);
        nowhere["spec"] = json!({});
        nowhere["status"] = json!({"phase": "Pending"});
        let sets = [set("old", "a", 2), set("new", "b", 2)];
        let runners = [object("x", "a"), object("bare", "a"), object("new-1", "b")];
        let found = earlier(
            "b",
            (&sets, &runners, &[nowhere]),
            &BTreeSet::new(),
            &Lack::Quota,
        );
        assert_eq!(found.names(), ["x", "bare"]);
        assert!(
            found
                .removal("n")
                .ends_with("`kubectl -n n delete runner bare`")
        );
    }

    #[test]
    fn what_goes_already_is_not_removed_again() {
        let mut going = pod("x", "a", &waiting("ImagePullBackOff"));
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let sets = [set("old", "a", 0), set("new", "b", 2)];
        let found = earlier("b", (&sets, &[], &[going]), &BTreeSet::new(), &Lack::Quota);
        assert!(!found.is_to_go());
        assert_eq!(found.to_empty().count(), 0);
        // Sets whose runners are terminating already are left to the controller.
        let runs = pod("y", "a", &json!({"running": {}}));
        let found = earlier("b", (&sets, &[], &[runs]), &BTreeSet::new(), &Lack::Quota);
        assert_eq!(found.others("n"), None);
    }

    #[test]
    fn an_init_container_that_fails_holds_the_runner_back() {
        let mut pod = pod("x", "a", &waiting("PodInitializing"));
        pod["status"]["initContainerStatuses"] =
            json!([{"name": "init", "state": waiting("ErrImagePull")}]);
        assert!(found(&[pod], &[]).is_to_go());
    }
}

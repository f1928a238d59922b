//! Images that are pulled ahead: the `DaemonSet`, and how far its pods are.
//!
//! A failure here is no failure of the run: it is remembered as a remark, and counts as the end of the pull.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    clients::kube::{Selection, Target},
    desired::{
        names::object_id,
        pool::prepull::{LABEL, images},
        resource::{ImagePull, KubeObject},
    },
    diff::Difference,
    error::Result,
    resource::{
        context::Context,
        deletion::{self, ending},
        kubernetes::{ownership, rollout::newest_failed_create},
        observed::{Observed, Ownership, Present, Readiness},
    },
};

impl ImagePull {
    fn object(&self) -> KubeObject {
        KubeObject::new(self.daemon_set.clone())
    }

    fn text(&self, key: &str) -> &str {
        self.daemon_set["metadata"][key]
            .as_str()
            .unwrap_or_default()
    }

    /// The namespace of its `DaemonSet`.
    pub fn namespace(&self) -> &str {
        self.text("namespace")
    }

    fn target(&self) -> Target {
        let name = self.text("name");
        Target::namespaced("apps/v1", "DaemonSet", self.namespace(), name)
    }

    fn pods(&self) -> Selection {
        Selection::namespaced("v1", "Pod", self.namespace())
            .labelled(format!("{LABEL}={}", self.pool))
    }

    /// The watches until the images are pulled.
    pub(crate) fn selections(&self) -> Vec<Selection> {
        vec![self.pods()]
    }

    /// Ready means that each node has the images, or that it cannot get them. Someone else's object of that name is left
    /// as it is, and nothing is pulled.
    pub(crate) async fn observe(&self, context: &Context) -> Result<Observed> {
        let Some(live) = context.kube.get(&self.target()).await? else {
            return Ok(Observed::Absent);
        };
        if ownership::of_object(&live, &context.profile.name) != Ownership::Ours {
            self.remark(context, "an object of its name is not arcctl's");
            return Ok(Observed::Present(Present::same(Readiness::Ready)));
        }
        if let Some(reason) = ending(&live) {
            return Ok(Observed::Present(Present::same(Readiness::progressing(
                reason,
            ))));
        }
        let wanted: Vec<&str> = self.images().collect();
        let has: Vec<&str> = images(&live["spec"]["template"]["spec"]).collect();
        if has != wanted {
            let difference = Difference {
                path: "images".into(),
                from: has.into(),
                to: wanted.into(),
            };
            return Ok(Observed::Present(Present {
                differences: vec![difference],
                ..Present::same(Readiness::progressing("it pulls other images"))
            }));
        }
        let readiness = self.readiness(context, &live).await?;
        Ok(Observed::Present(Present::same(readiness)))
    }

    async fn readiness(&self, context: &Context, live: &Value) -> Result<Readiness> {
        let pods = context.kube.list(&self.pods()).await?;
        if !pods.is_empty() || is_settled(live) {
            let progress = Progress::of(&pods, &self.nodes);
            if !progress.is_over() || !is_settled(live) {
                return Ok(Readiness::progressing(progress.words()));
            }
            if let Some(said) = progress.failed.first() {
                self.remark(context, said);
            }
            return Ok(Readiness::Ready);
        }
        let events = context.events(self.namespace()).await?;
        let own = events.iter().filter(|it| {
            let about = &it["involvedObject"];
            about["uid"] == live["metadata"]["uid"]
        });
        let Some(said) = newest_failed_create(own) else {
            return Ok(Readiness::progressing("it has no pods yet"));
        };
        self.remark(context, &format!("its pods are refused: {said}"));
        Ok(Readiness::Ready)
    }

    /// Remembers why images are not pulled ahead.
    pub(crate) fn remark(&self, context: &Context, why: &str) {
        let id = object_id(&self.daemon_set);
        let said = format!(
            "images are not pulled ahead everywhere: {why}; the runners' pods pull them themselves"
        );
        context.remarks.say(id.as_str(), Some(said));
    }

    /// Makes the `DaemonSet`.
    pub(crate) async fn apply(&self, context: &Context) -> Result<()> {
        self.object().apply(context).await
    }

    /// What is left of the `DaemonSet`.
    pub(crate) async fn remains(&self, context: &Context) -> Result<Observed> {
        let live = context.kube.get(&self.target()).await?;
        Ok(deletion::of_object(live.as_ref(), &context.profile.name))
    }

    /// Deletes the `DaemonSet` if it is this profile's, whatever its status says: that changes with each of its pods.
    pub(crate) async fn delete(&self, context: &Context) -> Result<()> {
        let target = self.target();
        match context.kube.get(&target).await? {
            Some(live)
                if ownership::of_object(&live, &context.profile.name) == Ownership::Ours
                    && ending(&live).is_none() =>
            {
                context.kube.delete_same(&target, &live).await
            }
            _ => Ok(()),
        }
    }
}

/// Whether each node that the `DaemonSet` counts has a pod of its newest template.
fn is_settled(live: &Value) -> bool {
    let status = &live["status"];
    let count = |key: &str| status[key].as_u64().unwrap_or(0);
    status["observedGeneration"] == live["metadata"]["generation"]
        && count("updatedNumberScheduled") >= count("desiredNumberScheduled")
}

/// How far the pods are.
#[derive(Debug, Default)]
struct Progress {
    pulled: usize,
    pending: usize,
    failed: Vec<String>,
}

impl Progress {
    /// Of the pods on `nodes`; a node that came later is not waited for.
    fn of(pods: &[Value], nodes: &BTreeSet<String>) -> Self {
        let mut progress = Self::default();
        let live = pods
            .iter()
            .filter(|it| it["metadata"]["deletionTimestamp"].is_null());
        for (pod, node) in live.filter_map(|it| Some((it, node_of(it)?))) {
            if !nodes.contains(node) {
                continue;
            }
            match state(pod) {
                State::Pulled => progress.pulled += 1,
                State::Pending => progress.pending += 1,
                State::Failed(said) => progress.failed.push(format!("node `{node}`: {said}")),
            }
        }
        progress
    }

    fn is_over(&self) -> bool {
        self.pending == 0
    }

    fn words(&self) -> String {
        let all = self.pulled + self.pending + self.failed.len();
        format!("{} of {all} nodes have the images", self.pulled)
    }
}

/// The node of a pod; one that is not bound yet has it in the affinity that the `DaemonSet`'s controller gave it.
fn node_of(pod: &Value) -> Option<&str> {
    pod["spec"]["nodeName"].as_str().or_else(|| {
        let required = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
        pod.pointer(required)?.as_str()
    })
}

/// How far the images of a pod are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The node has all of them.
    Pulled,
    /// It does not have all of them yet.
    Pending,
    /// Why it cannot get one.
    Failed(String),
}

/// Why a pod has no node, in the words of the scheduler.
pub(super) fn unscheduled(pod: &Value) -> Option<&str> {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let is_it = |it: &&Value| it["type"] == "PodScheduled" && it["status"] == "False";
    let condition = conditions.find(is_it)?;
    Some(condition["message"].as_str().unwrap_or_default())
}

/// How far a pod is. A container that cannot be created or started has its image (kubernetes,
/// `kuberuntime.startContainer`: the image is pulled first).
pub(super) fn state(pod: &Value) -> State {
    let status = &pod["status"];
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    if status["phase"] == "Failed" {
        let (reason, message) = (text(status, "reason"), text(status, "message"));
        return State::Failed(format!("{reason}: {message}"));
    }
    if let Some(said) = unscheduled(pod) {
        return State::Failed(said.to_owned());
    }
    let containers = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    let statuses = status["containerStatuses"].as_array();
    let mut pulled = 0;
    for container in statuses.into_iter().flatten() {
        let waiting = &container["state"]["waiting"];
        let begun = container["state"]["running"].is_object()
            || container["state"]["terminated"].is_object()
            || container["lastState"]["terminated"].is_object();
        match waiting["reason"].as_str() {
            _ if begun => pulled += 1,
            Some(
                "CrashLoopBackOff"
                | "CreateContainerConfigError"
                | "CreateContainerError"
                | "RunContainerError",
            ) => pulled += 1,
            Some(
                "ErrImagePull"
                | "ErrImageNeverPull"
                | "ImageInspectError"
                | "ImagePullBackOff"
                | "InvalidImageName"
                | "RegistryUnavailable"
                | "SignatureValidationFailed",
            ) => {
                let (image, message) = (text(container, "image"), text(waiting, "message"));
                return State::Failed(format!("image `{image}`: {message}"));
            }
            _ => {}
        }
    }
    if containers > 0 && pulled >= containers {
        State::Pulled
    } else {
        State::Pending
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(node: &str, statuses: &[Value]) -> Value {
        json!({
            "metadata": {"name": "p"},
            "spec": {"nodeName": node, "containers": [{"image": "runner"}, {"image": "docker"}]},
            "status": {"phase": "Pending", "containerStatuses": statuses},
        })
    }

    fn waiting(reason: &str) -> Value {
        json!({"image": "runner", "state": {"waiting": {"reason": reason, "message": "said"}}})
    }

    fn running() -> Value {
        json!({"image": "runner", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}})
    }

    #[test]
    fn a_container_that_cannot_be_started_has_its_image() {
        let ended = json!({"state": {"waiting": {"reason": "ContainerCreating"}},
            "lastState": {"terminated": {"exitCode": 0}}});
        for second in [
            running(),
            ended,
            waiting("CreateContainerConfigError"),
            waiting("CreateContainerError"),
            waiting("RunContainerError"),
            waiting("CrashLoopBackOff"),
        ] {
            let pod = pod("a", &[running(), second]);
            assert_eq!(state(&pod), State::Pulled, "{pod}");
        }
        // A status comes later than its pod, and one container later than another.
        for statuses in [
            vec![],
            vec![running()],
            vec![running(), waiting("ContainerCreating")],
            vec![running(), waiting("PodInitializing")],
        ] {
            let pod = pod("a", &statuses);
            assert_eq!(state(&pod), State::Pending, "{pod}");
        }
    }

    #[test]
    fn what_cannot_be_pulled_ends_the_wait_for_its_node() {
        for reason in ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"] {
            let pod = pod("a", &[running(), waiting(reason)]);
            let said = State::Failed("image `runner`: said".into());
            assert_eq!(state(&pod), said, "{reason}");
        }
        let mut full = pod("a", &[]);
        full["status"] = json!({"phase": "Failed", "reason": "OutOfpods", "message": "no room"});
        assert_eq!(state(&full), State::Failed("OutOfpods: no room".into()));
        full["status"] = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "Too many pods"}]});
        assert_eq!(state(&full), State::Failed("Too many pods".into()));
    }

    #[test]
    fn only_the_nodes_that_lacked_an_image_are_waited_for() {
        let nodes: BTreeSet<String> = ["a", "b", "c"].map(str::to_owned).into();
        let mut bound_later = pod("", &[]);
        bound_later["spec"]["nodeName"] = Value::Null;
        bound_later["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!({"nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}]});
        let mut gone = pod("c", &[]);
        gone["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let pods = [
            pod("a", &[running(), running()]),
            bound_later,
            gone,
            pod("new", &[]),
        ];
        let progress = Progress::of(&pods, &nodes);
        assert!(!progress.is_over());
        assert_eq!(progress.words(), "1 of 2 nodes have the images");
        assert!(Progress::of(&pods[..1], &nodes).is_over());
    }

    #[test]
    fn the_daemon_sets_own_count_says_when_all_pods_are_there() {
        let live = |status: Value| json!({"metadata": {"generation": 2}, "status": status});
        let all = json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2});
        assert!(is_settled(&live(all)));
        // No node takes its pods after all: there is nothing to wait for.
        let none = json!({"observedGeneration": 2, "desiredNumberScheduled": 0});
        assert!(is_settled(&live(none)));
        for status in [
            json!({}),
            json!({"observedGeneration": 1, "desiredNumberScheduled": 1, "updatedNumberScheduled": 1}),
            json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 1}),
        ] {
            assert!(!is_settled(&live(status.clone())), "{status}");
        }
    }
}

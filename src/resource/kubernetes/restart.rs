//! Restarts the pods of a Deployment, like `kubectl rollout restart`.

use serde_json::{Value, json};

use crate::{
    clients::kube::{Selection, Target},
    desired::resource::Restart,
    diff::Difference,
    error::Result,
    resource::{
        context::Context,
        observed::{Observed, Present, Readiness},
    },
};

/// The annotation of the pod template that kubectl uses too.
const ANNOTATION: &str = "kubectl.kubernetes.io/restartedAt";

impl Restart {
    fn target(&self) -> Target {
        Target::namespaced("apps/v1", "Deployment", &self.namespace, &self.deployment)
    }

    /// The watches for the new pods.
    pub(crate) fn selections(&self) -> Vec<Selection> {
        let name = format!("metadata.name={}", self.deployment);
        vec![Selection::namespaced("apps/v1", "Deployment", &self.namespace).with_fields(name)]
    }

    /// Whether it was restarted since, and the new pods are ready.
    pub(crate) async fn observe(&self, context: &Context) -> Result<Observed> {
        let live = context.kube.get(&self.target()).await?;
        Ok(live.map_or(Observed::Absent, |it| self.judge(&it)))
    }

    fn judge(&self, live: &Value) -> Observed {
        let template = &live["spec"]["template"]["metadata"]["annotations"];
        let last = template[ANNOTATION].as_str();
        let at: Option<jiff::Timestamp> = last.and_then(|it| it.parse().ok());
        let status = &live["status"];
        let count = |key: &str| status[key].as_u64().unwrap_or(0);
        let wanted = live["spec"]["replicas"].as_u64().unwrap_or(1);
        let settled = status["observedGeneration"] == live["metadata"]["generation"]
            && count("updatedReplicas") >= wanted
            && count("readyReplicas") >= wanted
            && count("replicas") == count("updatedReplicas");
        let restarted = at.is_some_and(|it| it >= self.since);
        let difference = || Difference {
            path: format!("spec.template.metadata.annotations.{ANNOTATION}"),
            from: json!(last),
            to: json!(self.since.to_string()),
        };
        Observed::Present(Present {
            differences: (!restarted).then(difference).into_iter().collect(),
            ..Present::same(if settled {
                Readiness::Ready
            } else {
                Readiness::progressing(format!("{} starts its pods anew", self.target()))
            })
        })
    }

    /// Restarts the pods.
    pub(crate) async fn apply(&self, context: &Context) -> Result<()> {
        let annotations = json!({ANNOTATION: self.since.to_string()});
        let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        context.kube.merge(&self.target(), &patch).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_over_when_only_new_pods_are_there() {
        let restart = Restart {
            namespace: "n".into(),
            deployment: "d".into(),
            since: "2026-11-24T12:00:00Z".parse().unwrap(),
        };
        let judged = |at: &str, replicas: u32| {
            let live = json!({
                "metadata": {"generation": 3},
                "spec": {"replicas": 1, "template": {"metadata": {"annotations": {ANNOTATION: at}}}},
                "status": {"observedGeneration": 3, "replicas": replicas, "updatedReplicas": 1, "readyReplicas": 1},
            });
            match restart.judge(&live) {
                Observed::Present(it) => (it.differences.len(), it.readiness == Readiness::Ready),
                Observed::Absent => panic!("it is there"),
            }
        };
        assert_eq!(judged("2026-11-24T11:59:59Z", 1), (1, true));
        assert_eq!(judged("2026-11-24T12:00:00Z", 2), (0, false));
        assert_eq!(judged("2026-11-24T12:00:00Z", 1), (0, true));
    }
}

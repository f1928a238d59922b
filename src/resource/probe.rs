//! The probe's Job: made, waited for until its pod has ended, read, and taken away like any object.

use serde_json::Value;

use super::{
    KubeObject, Probe,
    context::Context,
    observed::{Observed, Present, Readiness},
    owner, pod_reason,
    removal::ending,
};
use crate::{
    clients::kube::{Selection, Target},
    desired::{
        names,
        probe::{Answer, answers},
    },
    error::{Error, Result, System},
};

impl Probe {
    /// The Job as an object, which knows how to be made and to go.
    pub(super) fn object(&self) -> KubeObject {
        KubeObject {
            manifest: self.job.clone(),
        }
    }

    fn name(&self) -> &str {
        self.job["metadata"]["name"].as_str().unwrap_or_default()
    }

    fn pods(&self) -> Selection {
        Selection::namespaced("v1", "Pod", names::RUNNER_NAMESPACE)
            .labelled(format!("batch.kubernetes.io/job-name={}", self.name()))
    }

    /// What a watch must look at to see it end.
    pub(super) fn selections(&self) -> Vec<Selection> {
        vec![self.pods()]
    }

    /// Ready is: its pod has ended.
    pub(super) async fn observe(&self, context: &Context) -> Result<Observed> {
        let target = Target::namespaced("batch/v1", "Job", names::RUNNER_NAMESPACE, self.name());
        let Some(live) = context.kube.get(&target).await? else {
            return Ok(Observed::Absent);
        };
        let readiness = match ending(&live) {
            Some(reason) => Readiness::progressing(reason),
            None => self.readiness(context).await?,
        };
        Ok(Observed::Present(Present {
            ownership: owner::of_object(&live, &context.profile.name),
            ..Present::same(readiness)
        }))
    }

    async fn readiness(&self, context: &Context) -> Result<Readiness> {
        let pods = context.kube.list(&self.pods()).await?;
        let Some(pod) = pods.first() else {
            return Ok(Readiness::progressing("the probe has no pod yet"));
        };
        match pod["status"]["phase"].as_str() {
            Some("Succeeded" | "Failed") => return Ok(Readiness::Ready),
            Some("Running") => return Ok(Readiness::progressing("the probe runs")),
            _ => {}
        }
        let events = Selection::namespaced("v1", "Event", names::RUNNER_NAMESPACE);
        Ok(pod_reason::readiness(
            pod,
            &context.kube.list(&events).await?,
        ))
    }

    /// What the pod that has ended said.
    pub async fn answers(&self, context: &Context) -> Result<Vec<Answer>> {
        let pods = context.kube.list(&self.pods()).await?;
        let terminated =
            |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["terminated"].clone();
        let ended = pods.first().map(terminated).unwrap_or_default();
        let found = answers(ended["message"].as_str().unwrap_or_default());
        if !found.is_empty() {
            return Ok(found);
        }
        let reason = ended["reason"].as_str().unwrap_or("no reason given");
        let code = ended["exitCode"].as_i64().unwrap_or(-1);
        Err(Error::failed(
            System::Kubernetes,
            "the probe's pod ended without an answer",
        )
        .object(format!("job/{}/{}", names::RUNNER_NAMESPACE, self.name()))
        .cause(format!("{reason}, exit code {code}"))
        .hint("the runners' image must have bash and curl: the probe runs in it"))
    }
}

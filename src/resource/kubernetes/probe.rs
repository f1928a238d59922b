//! The Job of the probe: created, observed until its pod has ended, read, and deleted.

use serde_json::Value;

use super::{ownership, rollout::newest_failed_create};
use crate::{
    clients::kube::{Selection, Target},
    desired::{
        pool::probe::{Answer, answers},
        resource::{KubeObject, Probe},
    },
    error::{Error, Result, System},
    resource::{
        context::Context,
        deletion::ending,
        observed::{Observed, Present, Readiness},
        pods::status,
    },
};

impl Probe {
    /// The Job as an object with the usual verbs.
    pub(crate) fn object(&self) -> KubeObject {
        KubeObject::new(self.job.clone())
    }

    fn name(&self) -> &str {
        self.job["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The pool's namespace.
    pub(super) fn namespace(&self) -> &str {
        self.job["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
    }

    fn pods(&self) -> Selection {
        Selection::namespaced("v1", "Pod", self.namespace())
            .labelled(format!("batch.kubernetes.io/job-name={}", self.name()))
    }

    /// The watches until it ends.
    pub(crate) fn selections(&self) -> Vec<Selection> {
        vec![self.pods()]
    }

    /// Ready means that its pod has ended.
    pub(crate) async fn observe(&self, context: &Context) -> Result<Observed> {
        let target = Target::namespaced("batch/v1", "Job", self.namespace(), self.name());
        let Some(live) = context.kube.get(&target).await? else {
            return Ok(Observed::Absent);
        };
        let readiness = match ending(&live) {
            Some(reason) => Readiness::progressing(reason),
            None => self.readiness(context).await?,
        };
        Ok(Observed::Present(Present {
            ownership: ownership::of_object(&live, &context.profile.name),
            ..Present::same(readiness)
        }))
    }

    async fn readiness(&self, context: &Context) -> Result<Readiness> {
        let pods = context.kube.list(&self.pods()).await?;
        let Some(pod) = pods.first() else {
            let events = context.events(self.namespace()).await?;
            let own = events.iter().filter(|it| {
                let about = &it["involvedObject"];
                about["kind"] == "Job" && about["name"] == self.name()
            });
            return Ok(newest_failed_create(own).map_or_else(
                || Readiness::progressing("the probe has no pod yet"),
                |said| {
                    Readiness::stuck(
                        format!("the API server refuses the probe's pod: {said}"),
                        "the probe's pod has no resources, labels or docker of the runners': change the policy or quota of the namespace for it, or leave --probe out",
                    )
                },
            ));
        };
        match pod["status"]["phase"].as_str() {
            Some("Succeeded" | "Failed") => return Ok(Readiness::Ready),
            Some("Running") => return Ok(Readiness::progressing("the probe runs")),
            _ => {}
        }
        let events = context.events(self.namespace()).await?;
        Ok(status::readiness(pod, &events))
    }

    /// The results in the log of the ended pod.
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
        .object(format!("job/{}/{}", self.namespace(), self.name()))
        .cause(format!("{reason}, exit code {code}"))
        .hint("the runners' image must have bash and curl: the probe runs in it"))
    }
}

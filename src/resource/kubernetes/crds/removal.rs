//! The removal of a chart's `CustomResourceDefinitions`: only arcctl's, and none that has an object.

use super::{API_VERSION, CHART, KIND, first_object};
use crate::{
    clients::kube::Target,
    desired::{names, resource::CrdSet},
    error::Result,
    resource::{
        context::Context,
        deletion::{ending, ours, stays},
        observed::{Observed, Readiness},
    },
};
use serde_json::Value;

impl CrdSet {
    /// Which CRDs of arcctl remain; all are kept if any of them has an object.
    pub(crate) async fn remains(&self, context: &Context) -> Result<Observed> {
        let mut left = Observed::Absent;
        for (_, live) in self.applied(context).await? {
            if let Some(object) = first_object(context, &live).await? {
                return Ok(stays(format!(
                    "{object} is of a kind that would go with it"
                )));
            }
            let ending = ending(&live).map_or(Readiness::Ready, Readiness::progressing);
            left = match left {
                Observed::Present(found) if found.readiness == Readiness::Ready => {
                    Observed::Present(found)
                }
                _ => ours(ending),
            };
        }
        Ok(left)
    }

    /// Deletes those without objects.
    pub(crate) async fn delete(&self, context: &Context) -> Result<()> {
        for (target, live) in self.applied(context).await? {
            if ending(&live).is_none() && first_object(context, &live).await?.is_none() {
                context.kube.delete_exactly(&target, &live).await?;
            }
        }
        Ok(())
    }

    /// The CRDs with arcctl's annotations for this chart.
    async fn applied(&self, context: &Context) -> Result<Vec<(Target, Value)>> {
        let mut found = Vec::new();
        for name in &self.names {
            let target = Target::cluster(API_VERSION, KIND, name);
            if let Some(live) = context.kube.get(&target).await? {
                let metadata = &live["metadata"];
                let chart = metadata["annotations"][CHART].as_str().unwrap_or_default();
                if metadata["labels"][names::MANAGED_BY] == "arcctl"
                    && chart.starts_with(&format!("{}-", self.chart.name))
                {
                    found.push((target, live));
                }
            }
        }
        Ok(found)
    }
}

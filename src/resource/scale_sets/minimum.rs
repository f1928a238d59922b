//! The minimum in force of a scale set with windows: one field, of its own field manager.
//!
//! It is not in helm's values: an upgrade would set it back, and each change of a value restarts the listener (reference:
//! scale-sets.md 12). The reconciler in the cluster writes it at the edges of the windows, arcctl where it differs.

use serde_json::{Value, json};

use super::API_VERSION;
use crate::{
    desired::{names, resource::scale_set::ScaleSet},
    diff::Difference,
    error::{Error, Result, System},
    resource::{
        context::Context,
        deletion::ending,
        observed::{Observed, Present, Readiness},
    },
};

impl ScaleSet {
    /// Compares the live minimum with the one in force now.
    pub(crate) async fn observe_minimum(&self, context: &Context) -> Result<Observed> {
        let live = context.kube.get(&self.target()).await?;
        Ok(match live {
            None => Observed::Absent,
            Some(live) => compared(&live, self.minimum_now()),
        })
    }

    /// Writes it, and no other field. A set that has gone in between is not made by this.
    pub(crate) async fn apply_minimum(&self, context: &Context) -> Result<()> {
        let target = self.target();
        let Some(live) = context.kube.get(&target).await? else {
            return Err(
                Error::failed(System::Kubernetes, format!("{target} does not exist yet"))
                    .object(target.to_string().replace('`', ""))
                    .hint("run the same command again: it installs the scale set first")
                    .passing(true),
            );
        };
        let manifest = json!({
            "apiVersion": API_VERSION,
            "kind": "AutoscalingRunnerSet",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "uid": live["metadata"]["uid"],
            },
            "spec": {"minRunners": self.minimum_now()},
        });
        match context
            .kube
            .apply_part(&manifest, names::SCHEDULE_MANAGER)
            .await
        {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.about(&target)),
        }
    }
}

fn compared(live: &Value, wanted: u32) -> Observed {
    if let Some(reason) = ending(live) {
        return Observed::Present(Present::same(Readiness::progressing(reason)));
    }
    let mut present = Present::same(Readiness::Ready);
    let now = &live["spec"]["minRunners"];
    // Without the field the minimum is 0 (reference: scale-sets.md 2.1).
    if now.as_u64().unwrap_or(0) != u64::from(wanted) {
        present.differences = vec![Difference {
            path: "spec.minRunners".into(),
            from: now.clone(),
            to: json!(wanted),
        }];
    }
    Observed::Present(present)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minimum_that_is_not_set_is_zero() {
        let differs = |spec: Value, wanted| match compared(&json!({"spec": spec}), wanted) {
            Observed::Present(present) => !present.differences.is_empty(),
            Observed::Absent => panic!("it is there"),
        };
        assert!(!differs(json!({}), 0) && differs(json!({}), 1));
        assert!(!differs(json!({"minRunners": 3}), 3) && differs(json!({"minRunners": 3}), 0));
    }
}

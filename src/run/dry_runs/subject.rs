//! Whose pods are tried: the runners' of each pool, and those of what a plan writes.

use std::{collections::BTreeSet, slice, sync::Arc};

use serde_json::Value;

use crate::{
    desired::{
        Desired,
        resource::{HelmRelease, Registration, Resource},
        scale_set::values::listener_pod,
    },
    error::Result,
    resource::{
        context::Context,
        helm::manifest::objects,
        pods::{
            dry_run::Trial,
            new_namespace::{Foreseen, StandIn},
            parts::{Part, PartPod, of_objects},
            quotas::Quotas,
        },
    },
};

/// Whose pod is tried.
pub(super) enum Subject {
    /// A runner's.
    Pool(Registration),
    /// Of a controller, a listener or a schedule.
    Part(PartPod),
}

impl Subject {
    /// Where the pod is.
    pub(super) fn namespace(&self) -> &str {
        match self {
            Self::Pool(pool) => &pool.namespace,
            Self::Part(part) => part.namespace(),
        }
    }

    /// The id of the resource that waits for the pods.
    pub(super) fn object(&self) -> String {
        match self {
            Self::Pool(pool) => format!("runner-pods/{}/{}", pool.namespace, pool.pool),
            Self::Part(part) => part.id.to_string(),
        }
    }

    /// Whose it is, in short.
    pub(super) fn short(&self) -> String {
        match self {
            Self::Pool(pool) => format!("pool `{}`", pool.pool),
            Self::Part(part) => format!("`{}`", part.maker),
        }
    }

    /// Whose pods they are.
    pub(super) fn pods(&self) -> String {
        match self {
            Self::Pool(pool) => format!("the runner pods of pool `{}`", pool.pool),
            Self::Part(part) => format!("the pods of `{}`", part.maker),
        }
    }

    /// Its pod, and how many there are at least.
    pub(super) fn manifest(&self, context: &Context) -> Option<(Arc<Value>, u32)> {
        match self {
            Self::Pool(registration) => {
                let profile = &context.profile;
                let pool = profile.pool(&registration.namespace, &registration.pool)?;
                let pod = context.runner_pod(pool).ok()?;
                Some((pod, registration.min_now()))
            }
            Self::Part(part) => Some((Arc::new(part.pod.clone()), part.pods)),
        }
    }

    /// Creates the pod as a dry run.
    pub(super) async fn try_pod(
        &self,
        context: &Context,
        coming: &BTreeSet<String>,
        quotas: &Quotas,
    ) -> Trial {
        match self {
            Self::Pool(pool) => pool.try_pod(context, coming, quotas).await,
            Self::Part(part) => part.try_pod(context, quotas).await,
        }
    }

    /// Finds out what it can while the namespace does not exist.
    pub(super) async fn foresee(&self, context: &Context, stand_in: &StandIn) -> Foreseen {
        match self {
            Self::Pool(pool) => pool.foresee(context, stand_in).await,
            Self::Part(part) => part.foresee(context, stand_in).await,
        }
    }
}

/// The pods that a resource of the plan would have made.
pub(super) async fn parts(context: &Context, desired: &Desired) -> Result<Vec<PartPod>> {
    match &desired.resource {
        Resource::Release(release) => {
            let Some(part) = Part::of_chart(&release.chart.name) else {
                return Ok(listener(context, desired, release).into_iter().collect());
            };
            let text = context.helm.render(release, context.kubernetes).await?;
            let objects = objects(&text, &format!("chart `{}`", release.chart.name))?;
            Ok(of_objects(part, &desired.id, &objects, &release.namespace))
        }
        Resource::Object(object) => {
            let namespace = desired.id.namespace().unwrap_or_default();
            let objects = slice::from_ref(&object.manifest);
            Ok(of_objects(Part::Own, &desired.id, objects, namespace))
        }
        _ => Ok(Vec::new()),
    }
}

/// The pod of the listener of a scale set's release. A profile without a valid one has its own error.
fn listener(context: &Context, desired: &Desired, release: &HelmRelease) -> Option<PartPod> {
    let profile = &context.profile;
    let pool = profile.pool(&release.namespace, &release.name)?;
    let mut pod = listener_pod(profile, pool).ok()?;
    context.pins.pin(&mut pod);
    Some(PartPod {
        part: Part::Listener,
        id: desired.id.clone(),
        maker: format!("AutoscalingListener/{}", pool.name),
        pods: 1,
        pod,
    })
}

//! Reads the facts of the cluster that need more than a list: cert-manager in any namespace, dry runs of the runners'
//! pods, and webhooks whose Service is missing.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use serde_json::Value;

use super::{Parts, got, listed, within};
use crate::{
    clients::kube::{Kube, Selection, Target},
    desired::{
        names,
        resource::{Registration, Resource},
    },
    doctor::snapshot::{Fact, PodTrial, Refused},
    observe::CONCURRENT,
    resource::{
        aws::node_groups,
        cert_manager_namespace,
        pods::{dry_run::Trial, quotas::Quotas, refusal::Lasts},
        services,
    },
};

/// The objects of cert-manager, in any namespace.
pub(super) struct CertManager {
    pub(super) namespace: Fact<String>,
    pub(super) deployments: Fact<Vec<Value>>,
    pub(super) pods: Fact<Vec<Value>>,
    pub(super) events: Fact<Vec<Value>>,
}

pub(super) async fn cert_manager(kube: &Fact<Kube>) -> CertManager {
    let found = async {
        let kind = "ValidatingWebhookConfiguration";
        let selection = Selection::all("admissionregistration.k8s.io/v1", kind);
        let found = cert_manager_namespace(&listed(kube, &selection).await?);
        Ok(found.unwrap_or_else(|| names::CERT_MANAGER_NAMESPACE.to_owned()))
    };
    let namespace = match within("list webhook configurations", found).await {
        Ok(namespace) => namespace,
        Err(error) => {
            return CertManager {
                namespace: Err(error.clone()),
                deployments: Err(error.clone()),
                pods: Err(error.clone()),
                events: Err(error),
            };
        }
    };
    let list = |version, kind| {
        let selection = Selection::namespaced(version, kind, &namespace);
        async move { within("list objects", listed(kube, &selection)).await }
    };
    let (deployments, pods, events) = tokio::join!(
        list("apps/v1", "Deployment"),
        list("v1", "Pod"),
        list("v1", "Event")
    );
    CertManager {
        namespace: Ok(namespace),
        deployments,
        pods,
        events,
    }
}

/// The dry run of a runner's pod of a pool.
pub(super) struct Tried {
    pub(super) pool: Registration,
    pub(super) trial: Fact<Trial>,
}

impl Tried {
    /// The pod as the API server admits it, with the defaults of `LimitRanges` and what webhooks make of it.
    pub(super) fn admitted(&self) -> Option<&Value> {
        match &self.trial {
            Ok(Trial::Admitted(pod)) => Some(&**pod),
            _ => None,
        }
    }

    fn refused(self) -> Fact<Option<Refused>> {
        match self.trial? {
            Trial::Admitted(_) | Trial::TooEarly => Ok(None),
            Trial::Unknown(error) => Err(error),
            Trial::Refused(refusal) => Ok(Some(Refused {
                lacks_room: refusal.lasts == Lasts::UntilRoom,
                said: refusal.said,
                fix: refusal.hint,
            })),
        }
    }
}

/// Tries a pod of each pool. Prerequisites that a run would create first do not count as missing.
pub(super) async fn tried_pods(parts: &Parts) -> Fact<Vec<Tried>> {
    let context = parts.context.as_ref().map_err(Clone::clone)?;
    let desired = parts.desired.as_ref().map_err(Clone::clone)?;
    let coming: BTreeSet<String> = desired.iter().map(|it| it.id.to_string()).collect();
    let (coming, quotas) = (&coming, &Quotas::default());
    let pools = desired.iter().filter_map(|it| match &it.resource {
        Resource::RunnerPods(pool) => Some(pool.clone()),
        Resource::ScaleSetRunners(set) => Some(set.as_pool()),
        _ => None,
    });
    let pools: Vec<Registration> = pools.collect();
    let trials = stream::iter(pools)
        .map(|pool| async move {
            let what = format!("try a runner pod of pool {}", pool.pool);
            let tried = Box::pin(async { Ok(pool.try_pod(context, coming, quotas).await) });
            let trial = within(&what, tried).await;
            Tried { pool, trial }
        })
        .buffered(CONCURRENT);
    Ok(trials.collect().await)
}

/// What the dry runs have shown.
pub(super) fn pod_trials(tried: Fact<Vec<Tried>>) -> Fact<Vec<PodTrial>> {
    let told = tried?.into_iter().map(|it| PodTrial {
        namespace: it.pool.namespace.clone(),
        pool: it.pool.pool.clone(),
        refused: it.refused(),
    });
    Ok(told.collect())
}

pub(super) async fn nodes_at_aws(parts: &Parts) -> Fact<Vec<String>> {
    let context = parts.context.as_ref().map_err(Clone::clone)?;
    let read = async { node_groups(context).await.unwrap_or(Ok(Vec::new())) };
    within("read the security groups of the nodes", read).await
}

/// The webhook configurations of the controller and cert-manager, and their missing Services.
pub(super) async fn webhooks(kube: &Fact<Kube>) -> (Fact<Vec<Value>>, Fact<BTreeSet<String>>) {
    let mut found = Vec::new();
    for kind in [
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ] {
        let selection = Selection::all("admissionregistration.k8s.io/v1", kind);
        match within("list webhook configurations", listed(kube, &selection)).await {
            Ok(all) => found.extend(all.into_iter().filter(concerns).map(|mut it| {
                it["kind"] = kind.into();
                it
            })),
            Err(error) => return (Err(error.clone()), Err(error)),
        }
    }
    let called: BTreeSet<(String, String)> = found
        .iter()
        .flat_map(services)
        .map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
        .collect();
    let mut missing = BTreeSet::new();
    for (namespace, name) in called {
        let target = Target::namespaced("v1", "Service", &namespace, &name);
        match within("read a Service", got(kube, &target)).await {
            Ok(Some(_)) => {}
            Ok(None) => drop(missing.insert(format!("{namespace}/{name}"))),
            Err(error) => return (Ok(found), Err(error)),
        }
    }
    (Ok(found), Ok(missing))
}

fn concerns(configuration: &Value) -> bool {
    let mut webhooks = configuration["webhooks"].as_array().into_iter().flatten();
    webhooks.any(|it| {
        let name = it["name"].as_str().unwrap_or_default();
        name.ends_with(".actions.summerwind.dev") || name.ends_with("webhook.cert-manager.io")
    })
}

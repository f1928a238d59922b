//! What the nodes hold of each pool, from facts that are read anyway: only the pods of other namespaces, and what adds
//! nodes, are read for it.

use jiff::Timestamp;
use serde_json::Value;

use super::{Parts, cluster::Tried, listed, within};
use crate::{
    desired::{
        capacity::{PoolRoom, Seen, with_default_requests},
        pool::dry_run_pod::runner_pod,
    },
    doctor::snapshot::Fact,
    error::{Error, ErrorKind, System},
    observe::capacity::{bound_pods, node_pools},
    profile::{Pool, Profile},
};

/// What is read for it.
pub(super) struct Read {
    /// The pods in the namespaces without runners.
    pods: Vec<Value>,
    node_pools: Vec<Value>,
}

pub(super) async fn read(parts: &Parts) -> Fact<Read> {
    let pods = bound_pods(&parts.profile.runner_namespaces());
    // Whole objects: their requirements are read.
    let node_pools = async {
        let kube = parts.kube.as_ref().map_err(Clone::clone)?;
        kube.list(&node_pools()).await
    };
    let (pods, node_pools) = tokio::join!(
        within("list the pods on the nodes", listed(&parts.kube, &pods)),
        within("list the NodePools", node_pools)
    );
    Ok(Read {
        pods: pods?,
        node_pools: node_pools?,
    })
}

/// What the nodes hold, with `runners`, the pods in the runners' namespaces, and those that were `tried`.
pub(super) fn rooms(
    parts: &Parts,
    nodes: &Fact<Vec<Value>>,
    (runners, tried): (&Fact<Vec<Value>>, &Fact<Vec<Tried>>),
    read: Fact<Read>,
    now: Timestamp,
) -> Fact<Vec<PoolRoom>> {
    let (nodes, runners, read) = (known(nodes)?, known(runners)?, read?);
    let mut seen = Seen::default();
    for node in nodes {
        seen.node(node);
    }
    for pod in runners.iter().chain(&read.pods) {
        seen.pod(pod);
    }
    seen.node_pools = read.node_pools;
    let all = parts.profile.pools.iter();
    let tried = tried.as_deref().unwrap_or_default();
    let pools: Fact<Vec<_>> = all.map(|it| with_pod(&parts.profile, it, tried)).collect();
    Ok(seen.rooms(&pools?, now))
}

/// A pool with the pod of one of its runners, as the API server admits it: a `LimitRange` may give it requests. Where it was
/// not tried or not admitted, it is that of the profile.
fn with_pod<'a>(profile: &Profile, pool: &'a Pool, tried: &[Tried]) -> Fact<(&'a Pool, Value)> {
    let is_of_pool = |it: &&Tried| it.pool.pool == pool.name && it.pool.namespace == pool.namespace;
    let admitted = tried.iter().find(is_of_pool).and_then(Tried::admitted);
    if let Some(admitted) = admitted {
        return Ok((pool, admitted.clone()));
    }
    let pod = runner_pod(profile, pool).map_err(|error| {
        Error::new(
            ErrorKind::InvalidProfile,
            System::Profile,
            error.to_string(),
        )
        .hint("correct the profile")
    })?;
    Ok((pool, with_default_requests(&pod)))
}

fn known<T>(fact: &Fact<T>) -> Result<&T, Error> {
    fact.as_ref().map_err(Clone::clone)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        desired::resource::Registration,
        resource::pods::{
            dry_run::Trial,
            refusal::{Lasts, Refusal},
        },
    };

    fn tried(pool: &Pool, trial: Trial) -> Tried {
        Tried {
            pool: Registration {
                namespace: pool.namespace.clone(),
                pool: pool.name.clone(),
                min: pool.min,
                schedule: None,
                labels: Vec::new(),
            },
            trial: Ok(trial),
        }
    }

    /// A `LimitRange` gives requests to containers that have none in the profile.
    #[test]
    fn the_pod_of_a_pool_is_the_admitted_one_where_it_was_tried() {
        let text = include_str!("../../../profiles/reference.yaml");
        let profile = crate::profile::load(text, "reference").unwrap().profile;
        let pool = &profile.pools[0];
        let admitted = json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "3"}}}]}});
        let found = tried(pool, Trial::Admitted(Box::new(admitted.clone())));
        assert_eq!(with_pod(&profile, pool, &[found]).unwrap().1, admitted);

        let own = with_default_requests(&runner_pod(&profile, pool).unwrap());
        let refusal = Refusal {
            said: "exceeded quota".into(),
            hint: "raise it".into(),
            lasts: Lasts::UntilRoom,
        };
        let refused = tried(pool, Trial::Refused(refusal));
        assert_eq!(with_pod(&profile, pool, &[refused]).unwrap().1, own);
        let elsewhere = Pool {
            namespace: "elsewhere".into(),
            ..pool.clone()
        };
        let other = tried(&elsewhere, Trial::Admitted(Box::new(admitted)));
        assert_eq!(with_pod(&profile, pool, &[other]).unwrap().1, own);
    }
}

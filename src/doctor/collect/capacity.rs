//! What the nodes hold of each pool, from facts that are read anyway: only the pods of other namespaces, and what adds
//! nodes, are read for it.

use serde_json::Value;

use super::{Parts, listed, within};
use crate::{
    desired::{
        capacity::{PoolRoom, Seen, with_default_requests},
        pool::pod::runner_pod,
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

/// What the nodes hold, with `runners`, the pods in the runners' namespaces.
pub(super) fn rooms(
    parts: &Parts,
    nodes: &Fact<Vec<Value>>,
    runners: &Fact<Vec<Value>>,
    read: Fact<Read>,
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
    let pools: Fact<Vec<_>> = all.map(|it| with_pod(&parts.profile, it)).collect();
    Ok(seen.rooms(&pools?))
}

/// A pool with the pod of one of its runners.
fn with_pod<'a>(profile: &Profile, pool: &'a Pool) -> Fact<(&'a Pool, Value)> {
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

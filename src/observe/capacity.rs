//! Reads what the nodes hold of each pool.

use serde_json::Value;

use crate::{
    clients::kube::{Kube, Selection},
    desired::capacity::{PoolRoom, Seen},
    error::Result,
    profile::Pool,
};

/// Karpenter's `NodePools`.
pub(crate) fn node_pools() -> Selection {
    Selection::all("karpenter.sh/v1", "NodePool")
}

/// The pods that use something of a node, but those in these namespaces.
pub(crate) fn bound_pods(but_in: &[&str]) -> Selection {
    let mut fields = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed".to_owned();
    for namespace in but_in {
        fields.push_str(",metadata.namespace!=");
        fields.push_str(namespace);
    }
    Selection::all("v1", "Pod").with_fields(fields)
}

/// What the nodes hold of each of `pools`, with the pod of one of its runners.
pub(crate) async fn rooms(kube: &Kube, pools: &[(&Pool, Value)]) -> Result<Vec<PoolRoom>> {
    let mut seen = Seen::default();
    let nodes = Selection::all("v1", "Node");
    kube.each(&nodes, |it| seen.node(it)).await?;
    // Page by page: whole pods of thousands of runners would take hundreds of megabytes.
    kube.each(&bound_pods(&[]), |it| seen.pod(it)).await?;
    seen.node_pools = kube.list(&node_pools()).await?;
    Ok(seen.rooms(pools))
}

//! Reads what the nodes hold of each pool.

use serde_json::Value;

use crate::{
    clients::kube::{Kube, Selection, Target},
    desired::capacity::{PoolRoom, Seen},
    error::Result,
    profile::Pool,
};

/// What adds nodes to a cluster.
pub(crate) struct Autoscalers {
    /// Karpenter's `NodePools`.
    pub(crate) node_pools: Vec<Value>,
    /// Whether Cluster Autoscaler has written its status.
    pub(crate) cluster_autoscaler: bool,
}

impl Autoscalers {
    /// Reads them.
    pub(crate) async fn read(kube: &Kube) -> Result<Self> {
        let node_pools = Selection::all("karpenter.sh/v1", "NodePool");
        let status = Target::namespaced(
            "v1",
            "ConfigMap",
            "kube-system",
            "cluster-autoscaler-status",
        );
        let (node_pools, status) = tokio::join!(kube.list(&node_pools), kube.get(&status));
        Ok(Self {
            node_pools: node_pools?,
            cluster_autoscaler: status?.is_some(),
        })
    }

    /// Adds them to what was seen.
    pub(crate) fn add_to(self, seen: &mut Seen) {
        seen.node_pools = self.node_pools;
        seen.cluster_autoscaler = self.cluster_autoscaler;
    }
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
    Autoscalers::read(kube).await?.add_to(&mut seen);
    Ok(seen.rooms(pools))
}

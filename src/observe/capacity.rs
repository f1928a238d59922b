//! Reads the nodes, what is on them, and what adds some.

use crate::{
    clients::kube::{Kube, Selection},
    desired::capacity::Seen,
    error::Result,
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

/// Reads the nodes, what is on them, and what adds some.
pub(crate) async fn seen(kube: &Kube) -> Result<Seen> {
    let mut seen = Seen::default();
    let nodes = Selection::all("v1", "Node");
    kube.each(&nodes, |it| seen.node(it)).await?;
    // Page by page: whole pods of thousands of runners would take hundreds of megabytes.
    kube.each(&bound_pods(&[]), |it| seen.pod(it)).await?;
    seen.node_pools = kube.list(&node_pools()).await?;
    Ok(seen)
}

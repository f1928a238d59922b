//! Reads the security groups of the cluster's nodes, for hints that name a group to open.

use std::collections::BTreeSet;

use crate::{clients::kube::Selection, error::Result, resource::context::Context};

/// How many nodes are read: other nodes have the same groups, or there are too many groups for a message.
const NODES: usize = 100;

/// The security groups of the nodes, sorted; `None` where the profile does not use AWS.
pub async fn node_groups(context: &Context) -> Option<Result<Vec<String>>> {
    context.aws.as_ref()?;
    Some(read(context).await)
}

async fn read(context: &Context) -> Result<Vec<String>> {
    let Some(aws) = &context.aws else {
        return Ok(Vec::new());
    };
    let nodes = context.kube.list(&Selection::all("v1", "Node")).await?;
    let ids: Vec<String> = nodes
        .iter()
        .filter_map(|it| it["spec"]["providerID"].as_str())
        .filter_map(|it| it.strip_prefix("aws://")?.rsplit('/').next())
        .filter(|it| it.starts_with("i-"))
        .take(NODES)
        .map(str::to_owned)
        .collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let interfaces = aws.interfaces(&ids).await?;
    let groups: BTreeSet<String> = interfaces.into_iter().flat_map(|it| it.groups).collect();
    Ok(groups.into_iter().collect())
}

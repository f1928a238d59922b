//! What the nodes hold of a pool, in words. Pure: no I/O.

use std::fmt::Write;

use super::{Growth, Lack, PoolRoom};

impl Lack {
    /// Whether some of the runners would stay Pending, and nobody is seen to add nodes for all of them.
    pub fn is_short(&self) -> bool {
        self.lacking > 0
            && match &self.growth {
                Growth::None | Growth::NotReady { .. } => true,
                Growth::NodePools { most, .. } => most.is_some_and(|it| it < self.lacking),
                Growth::ClusterAutoscaler { .. } => false,
            }
    }

    /// Whether Cluster Autoscaler must add nodes: how many it may add is not read.
    pub fn depends_on_groups(&self) -> bool {
        self.lacking > 0 && matches!(self.growth, Growth::ClusterAutoscaler { .. })
    }
}

impl PoolRoom {
    /// How many of its runners fit, and why those that are missing would stay Pending.
    pub fn found(&self, lack: &Lack) -> String {
        let Self {
            pool, placed, fits, ..
        } = self;
        let have = if *placed == 1 { "has" } else { "have" };
        let fit = if *fits == 1 { "fits" } else { "fit" };
        let which = if *lack == self.maximum {
            "at most"
        } else {
            "its schedule needs"
        };
        let runners = runners(lack.wanted.into());
        let mut text = format!(
            "pool `{pool}`: {which} {runners}; {placed} {have} a node, and {fits} more {fit} now"
        );
        if lack.lacking > 0 {
            // By itself it has room, and not beside the pools that come first in the profile.
            let beside = if placed + fits >= u64::from(lack.wanted) {
                "with the pools before it, "
            } else {
                ""
            };
            // Writing to a String cannot fail.
            let _ignored = write!(
                text,
                "; {beside}{} would stay Pending ({})",
                lack.lacking, lack.pending
            );
        }
        if let Growth::NodePools {
            names,
            most: Some(most),
            shared,
        } = &lack.growth
        {
            let beside = if *shared {
                " beside the pools before it"
            } else {
                ""
            };
            let _ignored = write!(
                text,
                "; the limits of NodePool {} allow {most} more at most{beside}",
                quoted(names)
            );
        }
        text
    }

    /// What to do about it.
    pub fn fix(&self, lack: &Lack) -> String {
        let pool = &self.pool;
        let nodes = lack.needs.as_deref().unwrap_or("nodes that fit its pods");
        match &lack.growth {
            Growth::None => format!("add {nodes}, or lower the number in pool `{pool}`"),
            Growth::NodePools { names, .. } => format!(
                "raise spec.limits of NodePool {}, or lower the number in pool `{pool}`",
                quoted(names)
            ),
            Growth::NotReady { names } => format!(
                "see why these NodePools are not ready: {} (`kubectl describe nodepools`); until then Karpenter adds no nodes of them; or lower the number in pool `{pool}`",
                quoted(names)
            ),
            Growth::ClusterAutoscaler { labels } => format!(
                "its node group must be able to grow: {nodes}{}",
                from_zero(labels)
            ),
        }
    }

    /// Advice before its runners are made; nothing where all of them find a node.
    pub fn advice(&self) -> Option<String> {
        let missing = [&self.minimum, &self.maximum]
            .into_iter()
            .find(|it| it.is_short() || it.depends_on_groups());
        missing.map(|it| format!("{}; {}", self.found(it), self.fix(it)))
    }
}

fn runners(count: u64) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} runner{s}")
}

/// What Cluster Autoscaler must be told about a group that has no node.
fn from_zero(labels: &[String]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let tags: Vec<String> = labels
        .iter()
        .filter_map(|it| it.split_once('='))
        .map(|(key, value)| {
            format!("`k8s.io/cluster-autoscaler/node-template/label/{key}` = `{value}`")
        })
        .collect();
    format!(
        "; no node has the labels that it selects, so its Auto Scaling group needs the tag {} (a managed node group does not, if Cluster Autoscaler may call eks:DescribeNodegroup)",
        tags.join(" and ")
    )
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|it| format!("`{it}`")).collect();
    names.join(", ")
}

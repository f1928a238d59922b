//! What the nodes hold of a pool, in words. Pure: no I/O.

use std::fmt::Write;

use super::{Growth, PoolRoom};

impl PoolRoom {
    /// Whether some of its maximum would stay Pending, and nobody is seen to add nodes for all of them.
    pub fn is_short(&self) -> bool {
        self.lacking > 0
            && match &self.growth {
                Growth::None => true,
                Growth::NodePools { most, .. } => most.is_some_and(|it| it < self.lacking),
                Growth::ClusterAutoscaler { .. } => false,
            }
    }

    /// How many runners fit, and why the others would stay Pending.
    pub fn found(&self) -> String {
        let Self {
            pool,
            max,
            placed,
            fits,
            lacking,
            pending,
            ..
        } = self;
        let s = if *max == 1 { "" } else { "s" };
        let have = if *placed == 1 { "has" } else { "have" };
        let fit = if *fits == 1 { "fits" } else { "fit" };
        let mut text = format!(
            "pool `{pool}`: of at most {max} runner{s} {placed} {have} a node, and {fits} more {fit} now"
        );
        if *lacking > 0 {
            // Writing to a String cannot fail.
            let _ignored = write!(
                text,
                "; with the pools before it at their maximum, {lacking} would stay Pending ({pending})"
            );
        }
        if let Growth::NodePools {
            names,
            most: Some(most),
        } = &self.growth
        {
            let _ignored = write!(
                text,
                "; the limits of NodePool {} allow {most} more at most",
                quoted(names)
            );
        }
        text
    }

    /// What to do about it.
    pub fn fix(&self) -> String {
        let add = match &self.needs {
            Some(needs) => format!("add {needs}"),
            None => "add nodes that take its pods".to_owned(),
        };
        match &self.growth {
            Growth::NodePools { names, .. } => format!(
                "raise spec.limits of NodePool {}, or lower max of pool `{}`",
                quoted(names),
                self.pool
            ),
            Growth::ClusterAutoscaler { labels } => format!(
                "its node group must be able to grow: {}{}",
                add.trim_start_matches("add "),
                from_zero(labels)
            ),
            Growth::None => format!("{add}, or lower max of pool `{}`", self.pool),
        }
    }

    /// Advice before its runners are made; nothing where all of them find a node.
    pub fn advice(&self) -> Vec<String> {
        let mut all = self.losses.clone();
        let grows = matches!(self.growth, Growth::ClusterAutoscaler { .. });
        if self.is_short() || self.lacking > 0 && grows {
            all.insert(0, format!("{}; {}", self.found(), self.fix()));
        }
        all
    }
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

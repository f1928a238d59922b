//! Checks of the nodes' capacity: whether they hold each pool's largest minimum, and whether busy runners keep their node. Pure: no
//! I/O.

use crate::{
    desired::capacity::{PoolRoom, losses},
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::Snapshot,
    },
};

pub(crate) const CHECKS: &[Check] = &[
    Check {
        id: "nodes-hold-minimum",
        category: "runners",
        severity: Severity::Advice,
        claim: "the nodes have room for the largest minimum of each pool's schedule, or an autoscaler can add nodes",
        causes: &["api-server-answers", "nodes-ready", "pods-schedulable"],
        judge: hold,
    },
    Check {
        id: "busy-runners-keep-node",
        category: "runners",
        severity: Severity::Advice,
        claim: "no Karpenter NodePool can remove the node of a busy runner",
        causes: &["api-server-answers"],
        judge: keep,
    },
];

fn hold(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let rooms = known(&snapshot.rooms)?;
    let short: Vec<&PoolRoom> = rooms.iter().filter(|it| it.minimum.is_short()).collect();
    if !short.is_empty() {
        let found: Vec<String> = short.iter().map(|it| it.found(&it.minimum)).collect();
        let mut fixes: Vec<String> = short.iter().map(|it| it.fix(&it.minimum)).collect();
        fixes.truncate(3);
        return Ok(Verdict::unless(&found, &fixes.join("; ")));
    }
    Ok(match rooms.iter().find_map(not_computed) {
        Some(why) => Verdict::skipped(why),
        None => Verdict::Holds,
    })
}

/// Why the check does not apply to a pool.
fn not_computed(room: &PoolRoom) -> Option<String> {
    let pool = &room.pool;
    if let Some(why) = &room.not_known {
        return Some(format!("not computed for pool `{pool}`: {why}"));
    }
    room.minimum.depends_on_groups().then(|| {
        format!(
            "Cluster Autoscaler adds nodes for pool `{pool}`; arcctl does not read the maximum size of its node groups"
        )
    })
}

fn keep(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let found = losses(known(&snapshot.rooms)?);
    Ok(Verdict::unless(
        &found,
        "change the profile or the NodePool as described; then run `arcctl up`",
    ))
}

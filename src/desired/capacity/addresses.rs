//! Whether the subnets of the nodes have an address for each runner. Pure: no I/O.

use std::collections::BTreeMap;

use super::Seen;
use crate::profile::{Pool, Profile};

impl Seen {
    /// How many more runners the pools may have than have a node, and an address with it.
    pub fn to_come(&self, profile: &Profile) -> u64 {
        let more = |pool: &Pool| u64::from(pool.max).saturating_sub(self.placed(pool));
        profile.pools.iter().map(more).sum()
    }
}

/// Advice if the pools may have more runners, `to_come`, than the nodes' subnets have free IPv4 addresses; `free` is by
/// subnet id, and a subnet of which it is not known tells nothing. The VPC CNI gives each pod an address of its own.
/// Addresses that nodes already hold in reserve are not free, and serve pods all the same: so it is advice.
pub fn addresses(free: &BTreeMap<String, Option<u32>>, to_come: u64) -> Option<String> {
    if free.is_empty() {
        return None;
    }
    let known: Option<u64> = free.values().map(|it| it.map(u64::from)).sum();
    let left = known?;
    let subnets: Vec<String> = free.keys().map(|it| format!("`{it}`")).collect();
    (left < to_come).then(|| {
        format!(
            "the nodes' subnets ({}) have {left} free IPv4 addresses, and the pools may have {to_come} more runners: each pod needs one (the nodes hold some in reserve), and runners without one stay in ContainerCreating; lower `max`, or give the nodes larger subnets, prefix delegation from a reserved range, or IPv6",
            subnets.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::desired::tests::profile;

    #[test]
    fn subnets_with_fewer_addresses_than_runners_are_advice() {
        let of = |free: &[(&str, Option<u32>)]| {
            let free = free.iter().map(|(id, free)| ((*id).to_owned(), *free));
            addresses(&free.collect(), 4)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("subnet-1", Some(2)), ("subnet-2", Some(2))]), None);
        assert_eq!(of(&[("subnet-1", Some(2)), ("subnet-2", None)]), None);
        let told = of(&[("subnet-1", Some(2)), ("subnet-2", Some(1))]).unwrap();
        assert!(
            told.starts_with(
                "the nodes' subnets (`subnet-1`, `subnet-2`) have 3 free IPv4 addresses, and the pools may have 4 more runners"
            ),
            "{told}"
        );
    }

    #[test]
    fn runners_that_have_a_node_have_their_address() {
        // At most four runners.
        let profile = profile(&json!({}));
        let pool = &profile.pools[0];
        let mut seen = Seen::default();
        assert_eq!(seen.to_come(&profile), 4);
        seen.pod(&json!({
            "metadata": {"namespace": pool.namespace, "labels": {"runner-deployment-name": pool.name}},
            "spec": {"nodeName": "a"},
        }));
        assert_eq!(seen.to_come(&profile), 3);
    }
}

//! Whether the subnets of the nodes have an address for each runner. Pure: no I/O.

use std::collections::BTreeMap;

use crate::profile::Profile;

/// Advice if the pools may have more runners than the nodes' subnets have free IPv4 addresses; `free` is by subnet id, and
/// a subnet of which it is not known tells nothing. The VPC CNI gives each pod an address of its own. Addresses that nodes
/// already hold in reserve are not free, and serve pods all the same: so it is advice.
pub fn addresses(free: &BTreeMap<&str, Option<u32>>, profile: &Profile) -> Option<String> {
    if free.is_empty() {
        return None;
    }
    let known: Option<u64> = free.values().map(|it| it.map(u64::from)).sum();
    let left = known?;
    let most: u64 = profile.pools.iter().map(|it| u64::from(it.max)).sum();
    let subnets: Vec<String> = free.keys().map(|it| format!("`{it}`")).collect();
    (left < most).then(|| {
        format!(
            "the nodes' subnets ({}) have {left} free IPv4 addresses, and the pools may have {most} runners: each pod needs one, and beyond those that the nodes hold in reserve runners stay in ContainerCreating; lower `max`, or give the nodes larger subnets, prefix delegation from a reserved range, or IPv6",
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
        // At most four runners.
        let profile = profile(&json!({}));
        let of = |free: &[(&'static str, Option<u32>)]| {
            addresses(&free.iter().copied().collect(), &profile)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("subnet-1", Some(2)), ("subnet-2", Some(2))]), None);
        assert_eq!(of(&[("subnet-1", Some(2)), ("subnet-2", None)]), None);
        let told = of(&[("subnet-1", Some(2)), ("subnet-2", Some(1))]).unwrap();
        assert!(
            told.starts_with(
                "the nodes' subnets (`subnet-1`, `subnet-2`) have 3 free IPv4 addresses, and the pools may have 4 runners"
            ),
            "{told}"
        );
    }
}

//! Judges the facts of AWS.

use super::{findings, ids, worlds::healthy};

/// Whether a statement still fits is not known without the account's quota, where the policy is larger than the usual one.
#[test]
fn the_room_in_a_trust_policy_is_unknown_without_the_quota() {
    let mut world = healthy();
    let wiring = world.at_aws.wiring.as_mut().unwrap().as_mut().unwrap();
    let policy = wiring.trust_policy.as_mut().unwrap();
    (policy.size, policy.quota) = (3000, None);
    let found = findings(&world);
    assert_eq!(ids(&found, "unknown"), ["trust-policy-has-room"]);
    let told = format!(
        "{:?}",
        found.iter().find(|it| it.verdict.word() == "unknown")
    );
    assert!(told.contains("iam:GetAccountSummary"), "{told}");
}

//! Tests that every permission in docs/aws.md has a test case that denies it, and that raised quotas are used.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    denied::{cases, there},
    denying::Denying,
    samples::{foreign, role},
};
use crate::{
    clients::aws::Aws,
    resource::{aws::consistency::Writes, observed::Observed},
};

/// Permissions that a test of tests/cluster denies, because they need the nodes.
const IN_A_CLUSTER: [&str; 2] = ["ec2:DescribeInstances", "ec2:DescribeSubnets"];

/// Permissions that are needed for another call, and have no call of their own.
const WITH_ANOTHER: [&str; 3] = ["ec2:CreateTags", "eks:TagResource", "iam:PassRole"];

#[test]
fn each_documented_permission_has_a_case() {
    let text = include_str!("../../../../docs/aws.md");
    let blocks: Vec<Value> = text
        .split("```json")
        .skip(1)
        .map(|it| serde_json::from_str(it.split("```").next().unwrap()).unwrap())
        .collect();
    assert_eq!(blocks.len(), 2, "one for every day, one for a teardown");
    let statements = blocks
        .iter()
        .flat_map(|it| it["Statement"].as_array().unwrap());
    let documented: BTreeSet<&str> = statements
        .flat_map(|it| it["Action"].as_array().unwrap())
        .map(|it| it.as_str().unwrap())
        .collect();
    let cluster = include_str!("../../../../tests/data/aws-calls-of-up.json");
    let cluster: Vec<Value> = serde_json::from_str(cluster).unwrap();
    let denied = |it: &str| cluster.iter().any(|call| call["permission"] == it);
    assert!(IN_A_CLUSTER.into_iter().all(denied));
    // Reading the caller identity needs no permission.
    let cases = cases();
    let mut known: BTreeSet<&str> = cases
        .iter()
        .map(|it| it.0)
        .filter(|it| *it != "sts:GetCallerIdentity")
        .collect();
    known.extend(IN_A_CLUSTER);
    known.extend(WITH_ANOTHER);
    assert_eq!(documented, known);
}

#[tokio::test]
async fn what_an_account_was_granted_is_used() {
    let there = there(&vec![foreign(); 24], "");
    let wire = Denying {
        operation: String::new(),
        there,
    };
    let aws = Aws::answered_by(wire);
    let observed = role().observe(&aws, &Writes::default()).await.unwrap();
    let Observed::Present(present) = observed else {
        panic!("{observed:?}")
    };
    assert!(
        !present.differences.is_empty(),
        "our statement is not there yet"
    );
}

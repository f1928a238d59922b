//! The controller cannot reach GitHub because of a closed security group, and the profile does not configure one: `up` and
//! the doctor report the missing connection, with the nodes' groups and the profile key.

use crate::{
    doctor::{check, is_root, run},
    harness::cluster::Cluster,
};

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_controller_that_does_not_reach_github_is_told_with_the_groups_of_its_nodes() {
    let cluster = Cluster::with_aws();
    let kubelet = cluster.world().kubelet().unwrap();
    kubelet.cut_off(true);
    let profile = cluster.eks_profile("arcctl", &[("runners: 5m", "runners: 25s")]);
    let why = "cannot get a registration token";
    let error = cluster.up_until(&profile, &[], why).document()["error"].clone();
    let group = &cluster.world().cloud().unwrap().node_group;
    let hint = error["hint"].as_str().unwrap();
    for part in [group.as_str(), "`aws.githubServer`", "443"] {
        assert!(hint.contains(part), "`{part}`: {hint}");
    }
    let document = run(&cluster, &profile, &[]).expect(1);
    is_root(&document, "runners-register", 1);
    let fix = check(&document, "runners-register")["fix"].to_string();
    for part in [group.as_str(), "`aws.githubServer`"] {
        assert!(fix.contains(part), "`{part}`: {fix}");
    }
    kubelet.cut_off(false);
    let profile = cluster.eks_profile("good", &[]);
    cluster.up(&profile, &[]).expect(0);
    cluster.finish();
}

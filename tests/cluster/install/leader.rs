//! After a rollout, a run waits for a new leader and reports the reason: the previous leader's Lease, or the certificate
//! that the pods do not serve yet.

use std::path::Path;

use crate::harness::cluster::Cluster;

const SYSTEM: &str = "actions-runner-system";
const CONTROLLER: &str = "actions-runner-controller";

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_run_is_done_once_a_live_pod_leads_and_serves_the_new_certificate() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    leads(&cluster);
    a_rollout(&cluster);
    a_leader_that_was_deleted(&cluster, &profile);
    a_new_certificate(&cluster, &profile);
    cluster.finish();
}

fn holder(cluster: &Cluster) -> String {
    let lease = cluster.get("lease", SYSTEM, CONTROLLER);
    let identity = lease["spec"]["holderIdentity"].as_str().unwrap();
    identity.split('_').next().unwrap().to_owned()
}

fn leads(cluster: &Cluster) {
    let holder = holder(cluster);
    let pod = cluster.get("pod", SYSTEM, &holder);
    assert!(
        pod["metadata"]["deletionTimestamp"].is_null(),
        "{holder} is ending"
    );
}

fn a_rollout(cluster: &Cluster) {
    let before = holder(cluster);
    let slower = cluster.profile("slower", &[("syncPeriod: 1m", "syncPeriod: 2m")]);
    let ended = cluster.up(&slower, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert_ne!(holder(cluster), before);
    leads(cluster);
    let told = format!("the controller has no leader yet: `{before}`");
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    let profile = cluster.profile("arcctl", &[]);
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
}

fn a_leader_that_was_deleted(cluster: &Cluster, profile: &Path) {
    let before = holder(cluster);
    cluster.kubectl(&["-n", SYSTEM, "delete", "pod", &before], None);
    let ended = cluster.up(profile, &[]);
    let document = ended.expect(0);
    assert_eq!(
        (&document["changed"], &document["requests"]["helm"]),
        (&0.into(), &0.into())
    );
    assert_ne!(holder(cluster), before);
    leads(cluster);
}

fn a_new_certificate(cluster: &Cluster, profile: &Path) {
    let secret = "actions-runner-controller-serving-cert";
    cluster.kubectl(&["-n", SYSTEM, "delete", "secret", secret], None);
    let ended = cluster.up(profile, &[]);
    assert_eq!(ended.expect(0)["changed"], 0, "{}", ended.stderr);
    let told = "the controller's pods still serve the old certificate";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    assert!(!ended.stderr.contains("x509"), "{}", ended.stderr);
    assert_eq!(cluster.up(profile, &[]).expect(0)["changed"], 0);
}

//! A scale set at GitHub that another cluster made is never shared, and neither is a controller that somebody else has installed.

use super::{faults::doctor, *};
use crate::doctor::{cases::Elsewhere, check};

#[test]
fn a_scale_set_of_another_cluster_is_refused_before_the_first_write() {
    let cluster = Cluster::fast();
    let id = cluster
        .world()
        .github()
        .add_scale_set(&owner(), "fast", &["fast"]);
    let id = id.unwrap();
    let profile = both(&cluster, "arcctl", &[]);
    let refused = cluster.up(&profile, &[]);
    let document = refused.expect(7);
    assert_eq!(document["outcome"], "refused");
    let message = document["error"]["message"].as_str().unwrap();
    for part in [
        "scale-set/actions-runner/fast",
        &format!("id {id}"),
        "0 registered runners",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(cluster.kubernetes_writes(), 0, "a refused run wrote");
    assert_eq!(at_github(&cluster), [id]);

    // Once its owner has removed it, the same command goes on.
    assert!(cluster.world().github().remove_scale_set(id));
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert_eq!(at_github(&cluster).len(), 1);
    cluster.finish();
}

/// A controller works for all scale sets of the cluster, and deletes those of another minor version.
#[test]
#[ignore = "slow: `make test-slow`"]
fn another_controller_is_refused_before_the_first_write() {
    let cluster = Cluster::fast();
    let profile = both(&cluster, "arcctl", &[]);
    cluster.kubectl(&["create", "namespace", "team"], None);
    let theirs = r#"{"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "theirs-gha-rs-controller", "namespace": "team", "labels": {
            "app.kubernetes.io/part-of": "gha-rs-controller", "app.kubernetes.io/version": "0.13.1"}},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "theirs"}}, "template": {
            "metadata": {"labels": {"app": "theirs"}},
            "spec": {"containers": [{"name": "manager", "image": "controller:0.13.1"}]}}}}"#;
    cluster.kubectl(&["apply", "-f", "-"], Some(theirs));
    let before = cluster.kubernetes_writes();
    let refused = cluster.up(&profile, &[]);
    let document = refused.expect(7);
    assert_eq!(document["outcome"], "refused");
    let object = &document["error"]["object"];
    assert_eq!(object, "deployment/team/theirs-gha-rs-controller");
    assert_eq!(cluster.kubernetes_writes(), before, "a refused run wrote");

    let delete = [
        "-n",
        "team",
        "delete",
        "deployment",
        "theirs-gha-rs-controller",
    ];
    cluster.kubectl(&delete, None);
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);

    // Once arcctl's is there, an end would not help: the run goes on and says it.
    cluster.kubectl(&["apply", "-f", "-"], Some(theirs));
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let told =
        "another controller of runner scale sets (Deployment `team/theirs-gha-rs-controller`";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    let verdict = || {
        let document = doctor(&cluster, &profile);
        let found = check(&document, Elsewhere::ScaleSetControllersApart.id());
        found["verdict"].clone()
    };
    assert_eq!(verdict(), "broken");
    cluster.kubectl(&delete, None);
    assert_eq!(verdict(), "holds");
    cluster.finish();
}

/// The controller keeps the id of a set whose address changes: in the other scope it is nothing, or another scale set.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_scale_set_of_the_former_scope_is_neither_shared_nor_left() {
    let cluster = Cluster::fast();
    let profile = both(&cluster, "arcctl", &[]);
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let ids = at_github(&cluster);

    let before = cluster.kubernetes_writes();
    let moved = [(
        "mode: scaleSet",
        "mode: scaleSet\n    github: {organization: dogecompany}",
    )];
    let moved = both(&cluster, "moved", &moved);
    let refused = cluster.up(&moved, &[]);
    let document = refused.expect(7);
    let message = document["error"]["message"].as_str().unwrap();
    assert_eq!(document["error"]["object"], "scale-set/actions-runner/fast");
    for part in [&format!("(id {})", ids[0]), "/enterprises/dogecompany"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(cluster.kubernetes_writes(), before, "a refused run wrote");
    assert_eq!(at_github(&cluster), ids);

    // Without its controller, it is deleted in the scope of its record, whatever the profile says now.
    let controller = ["-n", SYSTEM, "scale", "deployment/arc-gha-rs-controller"];
    cluster.kubectl(&[&controller[..], &["--replicas=0"]].concat(), None);
    let ended = teardown(&cluster, &moved);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert_eq!(at_github(&cluster), [0; 0]);
    cluster.finish();
}

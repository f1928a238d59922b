//! A scale set at GitHub that another cluster made is never shared.

use super::*;

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

//! A controller image of one's own whose user is root, where the profile has another security context than arcctl's.

use crate::{
    doctor::{check, run},
    harness::cluster::Cluster,
};

/// Kubelet starts no container of it that must not be root.
const ROOT: &str = "kubelet:root=registry.example/own/*";

/// The words of the profile before which keys of the controller are put.
const REPLICAS: &str = "  replicas: 2\n";

#[test]
#[ignore = "slow: `make test-slow`"]
fn an_image_that_would_run_as_root_is_named_with_its_key() {
    let cluster = Cluster::with_faults(&[ROOT]);
    let context = |context: &str| {
        let image = "image: {repository: registry.example/own/controller, tag: v1}";
        format!("{REPLICAS}  values: {{{image}, podSecurityContext: {{{context}}}}}\n")
    };
    let limit = ("controller: 5m", "controller: 15s");
    let own = context("runAsNonRoot: true");
    let profile = cluster.profile("root", &[(REPLICAS, &own), limit]);
    let said = "container has runAsNonRoot and image will run as root";
    let ended = cluster.up_until(&profile, &[], said);
    let key = "`podSecurityContext` under `controller.values`";
    let hint = ended.document()["error"]["hint"].to_string();
    assert!(hint.contains(key), "{hint}");
    let document = run(&cluster, &profile, &[]).expect(1);
    let found = check(&document, "controller-runs");
    assert_eq!(found["verdict"], "broken", "{document:#}");
    assert!(found["found"].to_string().contains(said), "{found:#}");
    assert!(found["fix"].to_string().contains(key), "{found:#}");

    // What the fix says.
    let user = context("runAsNonRoot: true, runAsUser: 1000");
    let mended = cluster.profile("user", &[(REPLICAS, &user)]);
    let ended = cluster.up(&mended, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    cluster.finish();
}

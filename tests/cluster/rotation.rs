//! A changed token: proven by a fresh registration, or the old one is put back; and a run killed in between.

use std::{collections::BTreeSet, path::Path};

use arcctl_sandbox::github::Token;
use insta::assert_snapshot;
use serde_json::Value;

use crate::cluster::Cluster;

const SYSTEM: &str = "actions-runner-system";
const WRITTEN: &str = "✓ secret/actions-runner-system/controller-manager updated";

#[test]
fn a_changed_token_is_proven_or_the_old_one_is_put_back() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let watched = cluster.watch_processes();
    let first = cluster.tokens()[0].clone();
    up(&cluster, &profile, &first);
    let second = new_token(&cluster);
    good_to_good(&cluster, &profile, &second);
    good_to_revoked(&cluster, &profile, &second);
    let third = new_token(&cluster);
    killed_half_way(&cluster, &profile, &third);
    watched.assert_no_secret(&cluster.tokens());
    cluster.finish();
}

fn new_token(cluster: &Cluster) -> String {
    let token = cluster.world().github().add_token(Token::administrator());
    cluster.keep_secret(&token);
    token
}

fn arguments(profile: &Path) -> [&str; 7] {
    let file = profile.to_str().unwrap();
    ["up", "-f", file, "--yes", "-vvv", "-o", "json"]
}

fn up(cluster: &Cluster, profile: &Path, token: &str) -> Value {
    let ended = cluster.arcctl_with(&arguments(profile), &[("ARCCTL_GITHUB_TOKEN", token)]);
    ended.expect(0)
}

fn good_to_good(cluster: &Cluster, profile: &Path, token: &str) {
    let (before, controller) = (online(cluster), controller_pod(cluster));
    up(cluster, profile, token);
    cluster.assert_secret_is(token);
    assert_ne!(controller_pod(cluster), controller, "it was not restarted");
    let after = online(cluster);
    assert!(!after.is_subset(&before), "no fresh runner: {after:?}");
    assert_eq!(up(cluster, profile, token)["changed"], 0);
    assert_eq!(online(cluster), after, "an unchanged run replaced a runner");
}

fn good_to_revoked(cluster: &Cluster, profile: &Path, old: &str) {
    let doomed = new_token(cluster);
    let variables = [("ARCCTL_GITHUB_TOKEN", doomed.as_str())];
    let mut run = cluster.arcctl_in_background_with(&arguments(profile), &variables);
    run.wait_for(WRITTEN);
    cluster.world().github().revoke(&doomed);
    let ended = run.end();
    cluster.keep(&ended);
    let document = ended.expect(4);
    assert_eq!(document["outcome"], "unauthorized");
    let mut steps = document["steps"].as_array().unwrap().iter();
    let secret = steps.find(|it| it["id"] == "secret/actions-runner-system/controller-manager");
    assert_eq!(secret.unwrap()["outcome"], "unauthorized", "{document:#}");
    let changed = ended.changed();
    assert_eq!(document["changed"], changed.len(), "{document:#}");
    assert!(
        changed.iter().all(|it| !it.starts_with("secret/")),
        "{changed:?}"
    );
    assert_snapshot!("a_token_revoked_before_its_proof", ended.failure());
    cluster.assert_secret_is(old);
    assert_eq!(up(cluster, profile, old)["changed"], 0);
}

fn killed_half_way(cluster: &Cluster, profile: &Path, token: &str) {
    let controller = controller_pod(cluster);
    let variables = [("ARCCTL_GITHUB_TOKEN", token)];
    let mut run = cluster.arcctl_in_background_with(&arguments(profile), &variables);
    run.wait_for(WRITTEN);
    run.kill();
    cluster.keep(&run.end());
    cluster.assert_secret_is(token);
    assert_eq!(controller_pod(cluster), controller, "killed too late");
    up(cluster, profile, token);
    assert_ne!(controller_pod(cluster), controller, "it was not restarted");
    assert_eq!(up(cluster, profile, token)["changed"], 0);
}

fn online(cluster: &Cluster) -> BTreeSet<String> {
    let runners = cluster.world().github().runners();
    let online = runners.into_iter().filter(|it| it.online);
    online.map(|it| it.name).collect()
}

fn controller_pod(cluster: &Cluster) -> String {
    let label = "app.kubernetes.io/name=actions-runner-controller";
    let arguments = ["-n", SYSTEM, "get", "pods", "-l", label, "-o", "name"];
    cluster.kubectl(&arguments, None)
}

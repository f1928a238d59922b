//! A changed token: verified by a fresh registration, or the old one is restored; and runs killed in between.

use std::{collections::BTreeSet, path::Path};

use arcctl_sandbox::{
    github::Token,
    proxy::{Fault, System},
};
use insta::assert_snapshot;
use serde_json::Value;

use crate::{
    harness::cluster::{Cluster, Ended},
    torture::ground::Ground,
};

const SYSTEM: &str = "actions-runner-system";
const WRITTEN: &str = "✓ secret/actions-runner-system/controller-manager updated";

/// What a rotation writes, beside the lease and the inventory: the Secret, the controller with it, and room for a runner
/// that registers with it.
const WRITES: [&str; 3] = [
    "PATCH:/secrets/controller-manager",
    "PATCH:/deployments/actions-runner-controller",
    "DELETE:/runners/",
];

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_changed_token_is_proven_or_the_old_one_is_put_back() {
    let ground = Ground::new();
    let (cluster, profile) = (&ground.cluster, &ground.profile);
    let watched = cluster.watch_processes();
    let first = cluster.tokens()[0].clone();
    up(cluster, profile, &first);
    let second = new_token(cluster);
    good_to_good(cluster, profile, &second);
    good_to_revoked(cluster, profile, &second);
    for write in WRITES {
        killed_after(&ground, write);
    }
    watched.assert_no_secret(&cluster.tokens());
    ground.cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn whatever_fails_after_the_secret_was_written_the_old_token_is_put_back() {
    let cluster = Cluster::with_faults(&["image:pull-fails=mirror.example.com/*"]);
    let profile = cluster.profile("arcctl", &[]);
    let old = cluster.tokens()[0].clone();
    up(&cluster, &profile, &old);
    no_runner_comes(&cluster, &old);
    the_controller_does_not_come(&cluster, &old);
    an_interruption_ends_putting_back(&cluster, &old);
    assert_ne!(up(&cluster, &profile, &old)["changed"], 0);
    assert_eq!(up(&cluster, &profile, &old)["changed"], 0);
    cluster.finish();
}

/// Runs with a new token, which cannot be proven for another reason than itself.
fn not_proven(cluster: &Cluster, profile: &Path) -> Ended {
    let token = new_token(cluster);
    let ended = cluster.arcctl_with(&arguments(profile), &[("ARCCTL_GITHUB_TOKEN", &token)]);
    assert_eq!(ended.expect(6)["outcome"], "timed-out");
    assert!(ended.stderr.contains(WRITTEN), "{}", ended.stderr);
    let changed = ended.changed();
    assert!(
        changed.iter().all(|it| !it.starts_with("secret/")),
        "{changed:?}"
    );
    ended
}

/// GitHub shows no runners for a while: its listing is empty.
fn no_runner_comes(cluster: &Cluster, old: &str) {
    let soon = ("registration: 5m", "registration: 8s");
    let profile = cluster.profile("registration", &[soon]);
    let github = cluster.world().proxy(System::GitHub).unwrap();
    let empty = r#"200={"total_count": 0, "runners": []}@GET:/actions/runners?"#;
    let fault = github.add_fault(empty.parse().unwrap());
    let ended = not_proven(cluster, &profile);
    github.remove_fault(fault);
    assert_snapshot!("a_rotation_without_runners", ended.failure());
    cluster.assert_secret_is(old);
}

/// Its image is not to be had, so that going back does not bring it either; what runs is the pod of before.
fn the_controller_does_not_come(cluster: &Cluster, old: &str) {
    let before = controller_pod(cluster);
    let profile = without_image(cluster, "4s");
    let ended = not_proven(cluster, &profile);
    // Which step is not ready, and why, depends on how fast helm is.
    let failure = ended.failure();
    // Both waits for it are in the document: the run's, and that of putting the old token back.
    let document = ended.document();
    let steps = document["steps"].as_array().unwrap();
    // Each is four seconds, of which helm and the webhook have a part.
    let waited: f64 = steps.iter().filter_map(|it| it["seconds"].as_f64()).sum();
    assert!(waited > 7.0, "{document:#}");
    let back = "the Secret has the old one again; the controller is not seen to work with it: ";
    assert!(failure.contains(back), "{failure}");
    cluster.assert_secret_is(old);
    let now = controller_pod(cluster);
    assert!(now.contains(before.trim()), "{before} is gone: {now}");
}

/// A profile whose controller has an image that is not to be had, which is waited for so long.
fn without_image(cluster: &Cluster, limit: &str) -> std::path::PathBuf {
    let limit = format!("controller: {limit}");
    cluster.profile(
        "controller",
        &[
            ("controller: 5m", &limit),
            (
                "dockerImage: docker:28-dind\n",
                "dockerImage: docker:28-dind\n  values: {image: {repository: mirror.example.com/controller}}\n",
            ),
        ],
    )
}

/// Putting the old token back is a part of the run: a Ctrl-C reaches it.
fn an_interruption_ends_putting_back(cluster: &Cluster, old: &str) {
    let profile = without_image(cluster, "20s");
    let token = new_token(cluster);
    let variables = [("ARCCTL_GITHUB_TOKEN", token.as_str())];
    let mut run = cluster.arcctl_in_background_with(&arguments(&profile), &variables);
    run.wait_for(WRITTEN);
    run.wait_for(WRITTEN);
    let asked = std::time::Instant::now();
    run.interrupt();
    let ended = run.end();
    let took = asked.elapsed();
    assert!(took < std::time::Duration::from_secs(15), "{took:?}");
    cluster.keep(&ended);
    assert_eq!(ended.expect(6)["outcome"], "timed-out");
    let failure = ended.failure();
    assert!(
        failure.contains("the Secret has the old one again"),
        "{failure}"
    );
    cluster.assert_secret_is(old);
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

/// The next run, with the same token, makes it whole.
fn killed_after(ground: &Ground, write: &str) {
    let (cluster, profile) = (&ground.cluster, &ground.profile);
    let token = new_token(cluster);
    let controller = controller_pod(cluster);
    let variables = [("ARCCTL_GITHUB_TOKEN", token.as_str())];
    let mut fault: Fault = format!("kill-after@{write}#1").parse().unwrap();
    // The plan tries the same write.
    fault.matching.without.push("dryRun=All".into());
    let killed = ground.kill(&arguments(profile), &variables, System::Kubernetes, fault);
    assert!(killed, "not killed: {write}");
    cluster.assert_secret_is(&token);
    ground.age();
    up(cluster, profile, &token);
    cluster.assert_secret_is(&token);
    assert_ne!(
        controller_pod(cluster),
        controller,
        "{write}: not restarted"
    );
    assert!(online(cluster).len() >= 2, "{write}: a runner is missing");
    let ended = up(cluster, profile, &token);
    assert_eq!(ended["changed"], 0, "{write}: {ended:#}");
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

//! New pods of a pool are rejected while its runners run: all other changes are still made.

use std::path::{Path, PathBuf};

use arcctl_sandbox::github::Token;
use serde_json::json;

use crate::{
    harness::cluster::Cluster,
    harness::waiting::{pod, until},
    install::adoption::{RUNNERS, install_by_hand},
};

const NAMESPACE: &str = "actions-runner";
const ADVICE: &str = "the API server refuses new runner pods of pool `basic`";
const MODE: &str = "containerMode: dind";

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_pool_whose_pods_are_refused_keeps_nothing_else_from_being_done() {
    let cluster = Cluster::fast();
    let two = two_pools(&cluster);
    cluster.up(&two, &[]).expect(0);
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "pods", "namespace": NAMESPACE}, "spec": {"hard": {"pods": "1"}}});
    let apply = ["apply", "--server-side", "-f", "-"];
    cluster.kubectl(&apply, Some(&quota.to_string()));
    let used = |said: String| said.contains("exceeded quota: pods");
    until("the quota is used up", || {
        cluster.judged(&pod(NAMESPACE, &json!({}))).is_err_and(used)
    });

    // Nothing is to be done.
    for command in [&["plan"][..], &["up", "--yes"]] {
        let file = two.to_str().unwrap();
        let ended = cluster.arcctl(&[command, &["-f", file, "-o", "json"]].concat());
        ended.expect(0);
        assert!(ended.stderr.contains(ADVICE), "{}", ended.stderr);
    }

    // Another pool goes.
    let one = cluster.profile("one", &[]);
    let ended = cluster.up(&one, &[]);
    ended.expect(0);
    assert!(ended.stderr.contains(ADVICE), "{}", ended.stderr);
    let pools = ["-n", NAMESPACE, "get", "runnerdeployments", "-o", "name"];
    let left = cluster.kubectl(&pools, None);
    assert_eq!(left.trim(), "runnerdeployment.actions.summerwind.dev/basic");

    a_token_is_changed(&cluster, &one);

    // What makes new pods of the pool is refused before the first write.
    let other = [(
        "image: summerwind/actions-runner:v2.306.0",
        "image: summerwind/actions-runner:v2.307.0",
    )];
    let newer = cluster.profile("newer", &other);
    let writes = cluster.kubernetes_writes();
    let error = cluster.up(&newer, &[]).expect(1)["error"].clone();
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("refuses the runner pods of pool `basic`"),
        "{message}"
    );
    assert_eq!(cluster.kubernetes_writes(), writes);
    cluster.finish();
}

/// The sandbox's profile with a second pool of one runner.
fn two_pools(cluster: &Cluster) -> PathBuf {
    let text = std::fs::read_to_string(cluster.profile("one", &[])).unwrap();
    let (start, pool) = text.split_once("  - name: basic\n").unwrap();
    let end = pool
        .find("\n\n")
        .or_else(|| pool.find("\ntimeouts"))
        .unwrap();
    let (pool, rest) = pool.split_at(end + 1);
    let more = pool.replace("min: 2", "min: 1");
    let text = format!("{start}  - name: basic\n{pool}  - name: more\n{more}{rest}");
    cluster.file("two.yaml", &text)
}

/// No runner is deleted of which no other would come: GitHub's word is the proof.
fn a_token_is_changed(cluster: &Cluster, profile: &Path) {
    let runners = || {
        let runners = cluster.world().github().runners().into_iter();
        let mut names: Vec<String> = runners.filter(|it| it.online).map(|it| it.name).collect();
        names.sort();
        names
    };
    let before = runners();
    let token = cluster.world().github().add_token(Token::administrator());
    cluster.keep_secret(&token);
    let arguments = ["up", "-f", profile.to_str().unwrap(), "--yes", "-o", "json"];
    let ended = cluster.arcctl_with(&arguments, &[("ARCCTL_GITHUB_TOKEN", &token)]);
    ended.expect(0);
    cluster.assert_secret_is(&token);
    assert!(
        ended
            .stderr
            .contains("arcctl did not replace a runner of pool `basic`"),
        "{}",
        ended.stderr
    );
    assert_eq!(runners(), before);
    let old = cluster.tokens()[0].clone();
    let _back = cluster
        .arcctl_with(&arguments, &[("ARCCTL_GITHUB_TOKEN", &old)])
        .expect(0);
}

/// The runners that are there have no docker, which their namespace would refuse; the profile's would have one.
#[test]
#[ignore = "slow: `make test-slow`"]
fn what_is_taken_over_as_it_is_makes_no_pods_of_the_profile() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    install_by_hand(&cluster, &cluster.tokens()[0]);
    let label = "pod-security.kubernetes.io/enforce=baseline";
    cluster.kubectl(&["label", "namespace", NAMESPACE, label], None);
    let privileged = pod(NAMESPACE, &json!({"securityContext": {"privileged": true}}));
    until("the level is enforced", || {
        cluster.judged(&privileged).is_err()
    });
    let image = "image: summerwind/actions-runner:v2.306.0-ubuntu-22.04\n";
    let plain = RUNNERS.replace(image, &format!("{image}      dockerEnabled: false\n"));
    assert_ne!(plain, RUNNERS);
    cluster.kubectl(&["apply", "-f", "-"], Some(&plain));
    let ended = cluster.up(&profile, &["--adopt"]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert!(ended.stderr.contains(ADVICE), "{}", ended.stderr);
    // The next run would make them.
    let error = cluster.up(&profile, &[]).expect(1)["error"].clone();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("violates PodSecurity"), "{message}");
    let without = cluster.profile(
        "without",
        &[
            (MODE, "containerMode: none"),
            (
                "      docker:\n        requests: {cpu: 250m, memory: 512Mi}\n",
                "",
            ),
        ],
    );
    assert_eq!(cluster.up(&without, &[]).expect(0)["outcome"], "ok");
    cluster.finish();
}

//! The token in the cluster is invalid, and the profile has a valid one: the error names the token, not the network.

use std::path::Path;

use arcctl_sandbox::github::Token;

use crate::{
    doctor::{check, roots, run},
    harness::cluster::Cluster,
    install::adoption::{RUNNERS, install_by_hand},
};

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_dead_token_in_the_cluster_is_told_as_that() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let github = cluster.world().github();
    let old = github.add_token(Token::administrator());
    install_by_hand(&cluster, &old);
    github.revoke(&old);
    cluster.kubectl(&["apply", "-f", "-"], Some(RUNNERS));

    // Taken over as it is, the Secret gets no tokens; the next run writes it.
    let impatient = cluster.profile("impatient", &[("runners: 5m", "runners: 15s")]);
    let why = "contains another credential than the profile";
    let ended = cluster.up_until(&impatient, &["--adopt"], why);
    let error = ended.document()["error"].clone();
    let message = error["message"].as_str().unwrap();
    assert!(!message.contains("reach"), "{message}");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("`arcctl up` without --adopt"), "{hint}");

    let document = run(&cluster, &profile, &[]).expect(1);
    // An installation made by hand has other findings too.
    assert_eq!(check(&document, "runners-register")["verdict"], "broken");
    let fix = check(&document, "runners-register")["fix"]
        .as_str()
        .unwrap();
    assert!(fix.contains("contains another one"), "{fix}");
    assert!(!fix.contains("githubServer"), "{fix}");
    as_the_hint_says(&cluster, &profile);
    cluster.finish();
}

/// The credential and the template change in one run: runners of the old template get tokens too, and go.
fn as_the_hint_says(cluster: &Cluster, profile: &Path) {
    assert_eq!(cluster.up(profile, &[]).expect(0)["outcome"], "ok");
    cluster.assert_secret_is(&cluster.tokens()[0]);
    assert_eq!(cluster.up(profile, &[]).expect(0)["changed"], 0);
    let found = run(
        cluster,
        profile,
        &["--only", "runners-register,runners-online"],
    );
    assert_eq!(roots(&found.expect(0)), [""; 0]);
}

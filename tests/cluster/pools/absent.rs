//! Runners that do not start, and why: no node, no image, no registration.

use std::path::Path;

use arcctl_sandbox::{
    github::Owner,
    proxy::{Effect, Fault, Matching, MethodMatch, Nth, System},
};
use insta::assert_snapshot;

use crate::{
    harness::cluster::{Cluster, settled},
    harness::running::Running,
};

const MODE: &str = "containerMode: dind";
const IMAGE: &str = "image: summerwind/actions-runner:v2.306.0-ubuntu-22.04";
const MIRROR: &str = "image: mirror.example.com/actions-runner:v2.306.0-ubuntu-22.04";

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_pool_that_does_not_come_says_why() {
    let cluster = Cluster::with_faults(&["image:pull-fails=mirror.example.com/*"]);
    let soon = ("runners: 5m", "runners: 4s");
    let selector = format!("nodeSelector: {{disk: fast}}\n    {MODE}");
    let unschedulable = cluster.profile("unschedulable", &[soon, (MODE, &selector)]);
    let ended = cluster.up_until(&unschedulable, &[], "is unschedulable");
    assert_eq!(ended.expect(6)["outcome"], "timed-out");
    assert_snapshot!("an_unschedulable_pool", ended.failure());
    remove_pool(&cluster);

    let unpullable = cluster.profile("unpullable", &[soon, (IMAGE, MIRROR)]);
    let ended = cluster.up_until(&unpullable, &[], "cannot pull its image");
    assert_eq!(ended.expect(6)["outcome"], "timed-out");
    assert_snapshot!("an_image_that_never_pulls", ended.failure());
    remove_pool(&cluster);

    registration_is_refused_while_waiting(&cluster);

    let profile = cluster.profile("arcctl", &[]);
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    cluster.finish();
}

/// So that the next pool's pods are the only ones.
fn remove_pool(cluster: &Cluster) {
    let delete = ["-n", "actions-runner", "delete"];
    for kind in ["horizontalrunnerautoscaler", "runnerdeployment"] {
        cluster.kubectl(&[&delete[..], &[kind, "basic"]].concat(), None);
    }
    let wait = [
        "-n",
        "actions-runner",
        "wait",
        "pod",
        "--all",
        "--for=delete",
    ];
    cluster.kubectl(&[&wait[..], &["--timeout=5m"]].concat(), None);
}

/// The group is changed while its runners are waited for: the wait says so, and so does `status`.
fn the_group_shuts_everybody_out(cluster: &Cluster, profile: &Path, run: &mut Running) {
    let (github, owner) = (cluster.world().github(), Owner::enterprise("dogecompany"));
    assert!(github.select(&owner, "Default", Some(&[])));
    let said = "runner group `Default` is for selected ones only and admits no organization";
    run.wait_for(said);
    let status = cluster.arcctl(&["status", "-f", profile.to_str().unwrap()]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    let begin = status.stderr.find("no jobs:").unwrap_or_default();
    assert_snapshot!("status_of_a_group", settled(&status.stderr[begin..]));
    assert!(github.select(&owner, "Default", None));
}

/// A 401 that comes while runners are waited for is 4 and not a deadline (DESIGN 2).
fn registration_is_refused_while_waiting(cluster: &Cluster) {
    let github = cluster.world().proxy(System::GitHub).unwrap();
    let listing = |status: u16, body: Option<&str>| Fault {
        matching: Matching {
            method: Some(MethodMatch::Method("GET".to_owned())),
            substring: "/actions/runners?".to_owned(),
            ..Matching::default()
        },
        nth: Nth::Every,
        effect: Effect::Respond {
            status,
            body: body.map(str::to_owned),
            headers: Vec::new(),
        },
    };
    let nobody = github.add_fault(listing(200, Some(r#"{"total_count": 0, "runners": []}"#)));
    let profile = cluster.profile("refused", &[]);
    let arguments = ["up", "-f", profile.to_str().unwrap(), "--yes", "-o", "json"];
    let mut run = cluster.arcctl_in_background(&arguments);
    run.wait_for("of 2 runners of pool `basic` are online at GitHub");
    the_group_shuts_everybody_out(cluster, &profile, &mut run);
    github.remove_fault(nobody);
    let refused = github.add_fault(listing(401, None));
    let ended = run.end();
    cluster.keep(&ended);
    assert_eq!(ended.expect(4)["outcome"], "unauthorized");
    assert_snapshot!("a_token_revoked_while_waiting", ended.failure());
    github.remove_fault(refused);
}

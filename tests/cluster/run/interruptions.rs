//! Interrupted runs: a certificate that is never issued, another run's lease, deadlines and Ctrl-C. The next run continues
//! each of them.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::cluster::Cluster;

const SYSTEM: &str = "actions-runner-system";

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_run_that_does_not_come_to_its_end_says_why() {
    let cluster = Cluster::with_faults(&["certificate:never"]);
    let edit = ("controller: 5m,", "controller: 3s,");
    let profile = cluster.profile("arcctl", &[]);
    let impatient = cluster.profile("impatient", &[edit]);
    interrupted(&cluster, &profile);
    another_run_holds_the_lease(&cluster, &profile);
    the_certificate_never_comes(&cluster, &impatient);
    the_run_has_a_deadline(&cluster, &profile);
    cluster.finish();
}

fn another_run_holds_the_lease(cluster: &Cluster, profile: &Path) {
    let end = AtomicBool::new(false);
    hold_lease(cluster, jiff::Timestamp::now());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !end.load(Ordering::SeqCst) {
                hold_lease(cluster, jiff::Timestamp::now());
                std::thread::sleep(Duration::from_millis(700));
            }
        });
        let ended = cluster.up(profile, &[]);
        end.store(true, Ordering::SeqCst);
        assert_eq!(ended.expect(5)["outcome"], "locked");
        let times = regex::Regex::new(r"\d{4}-\d\d-\d\dT[0-9:.]+Z").unwrap();
        let failure = ended.failure();
        assert_snapshot!(
            "another_run_holds_the_lease",
            times.replace_all(&failure, "TIME")
        );
    });
    // What it says of its last renewal is not believed: it is silent, and waited for once.
    hold_lease(cluster, "2026-01-01T00:00:00Z".parse().unwrap());
}

fn hold_lease(cluster: &Cluster, renewed: jiff::Timestamp) {
    let time = renewed.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "arcctl-dogecompany", "namespace": SYSTEM},
        "spec": {
            "holderIdentity": "alice@laptop (process 1)",
            "leaseDurationSeconds": 15,
            "acquireTime": time,
            "renewTime": time,
        },
    });
    let arguments = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    cluster.kubectl(&arguments, Some(&lease.to_string()));
}

fn the_certificate_never_comes(cluster: &Cluster, profile: &Path) {
    let ended = cluster.up_until(profile, &[], "is not issued");
    let document = ended.document();
    assert_eq!(document["outcome"], "timed-out");
    assert_snapshot!("a_certificate_that_never_comes", ended.failure());
    let outcome = |id: &str| -> &Value {
        let steps = document["steps"].as_array().unwrap();
        &steps.iter().find(|step| step["id"] == id).unwrap()["outcome"]
    };
    assert_eq!(
        outcome("secret/actions-runner-system/controller-manager"),
        "ok"
    );
    assert_eq!(
        outcome("runner-deployment/actions-runner/basic"),
        "not-started"
    );
    assert_eq!(holder(cluster), "");
}

fn the_run_has_a_deadline(cluster: &Cluster, profile: &Path) {
    // The phase's own limit is five minutes.
    let started = Instant::now();
    let ended = cluster.up(profile, &["--timeout", "15s"]);
    assert_eq!(ended.expect(6)["outcome"], "timed-out");
    assert!(
        started.elapsed() < Duration::from_mins(1),
        "{:?}",
        started.elapsed()
    );
    assert_snapshot!("the_deadline_of_the_run", ended.failure());
}

fn interrupted(cluster: &Cluster, profile: &Path) {
    let file = profile.to_str().unwrap();
    let arguments = ["up", "-f", file, "--yes", "-o", "json"];
    let mut run = cluster.arcctl_in_background(&arguments);
    run.wait_for("is not issued");
    assert_ne!(holder(cluster), "", "it waits without a lease");
    let ended = run.end_on("INT");
    cluster.keep(&ended);
    assert_eq!(ended.expect(130)["outcome"], "interrupted");
    assert_snapshot!("interrupted", ended.failure());
    assert_eq!(holder(cluster), "");
}

fn holder(cluster: &Cluster) -> String {
    let lease = cluster.get("lease", SYSTEM, "arcctl-dogecompany");
    lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()
}

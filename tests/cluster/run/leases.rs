//! Two runs on one cluster: outages of the API server and clocks that differ. Each run decides by its own monotonic clock
//! who holds the lease.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use arcctl_sandbox::proxy::{Effect, Fault, System};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::cluster::Cluster;

const SYSTEM: &str = "actions-runner-system";
const NAME: &str = "arcctl-dogecompany";

/// How long a lease lasts.
const LASTS: Duration = Duration::from_secs(15);

fn holder(cluster: &Cluster) -> String {
    let lease = cluster.get("lease", SYSTEM, NAME);
    lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()
}

fn micro_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Writes the lease as alice's, renewed at `renewed` by her clock.
fn hold(cluster: &Cluster, renewed: Timestamp) {
    let time = micro_time(renewed);
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NAME, "namespace": SYSTEM},
        "spec": {
            "holderIdentity": "alice@laptop (process 1)",
            "leaseDurationSeconds": LASTS.as_secs(),
            "acquireTime": "2026-01-01T00:00:00.000000Z",
            "renewTime": time,
        },
    });
    let arguments = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    cluster.kubectl(&arguments, Some(&lease.to_string()));
}

/// A sandbox in which `up` waits for a certificate that never comes, holding its lease, and its profile.
fn waiting() -> (Cluster, std::path::PathBuf) {
    let cluster = Cluster::with_faults(&["certificate:never"]);
    let profile = cluster.profile("arcctl", &[]);
    (cluster, profile)
}

fn arguments(profile: &Path) -> [&str; 7] {
    let file = profile.to_str().unwrap();
    ["up", "-f", file, "--yes", "-v", "-o", "json"]
}

/// No call gets through to the API server for so long.
fn outage(cluster: &Cluster, length: Duration) {
    let proxy = cluster.world().proxy(System::Kubernetes).unwrap();
    let fault = proxy.add_fault(Fault::always(Effect::ResetBefore));
    std::thread::sleep(length);
    proxy.remove_fault(fault);
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_run_that_waits_outlives_an_outage_of_the_api_server() {
    let (cluster, profile) = waiting();
    let mut run = cluster.arcctl_in_background(&arguments(&profile));
    run.wait_for("is not issued");
    let before = holder(&cluster);
    for seconds in [7, 12, 20] {
        outage(&cluster, Duration::from_secs(seconds));
        // Two renewals later it is still the holder.
        std::thread::sleep(Duration::from_secs(6));
        assert!(run.is_alive(), "an outage of {seconds} s ended it");
        assert_eq!(holder(&cluster), before);
    }
    run.interrupt();
    let ended = run.end();
    cluster.keep(&ended);
    assert_eq!(ended.expect(130)["outcome"], "interrupted");
    assert_eq!(holder(&cluster), "");
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_run_whose_lease_was_taken_in_an_outage_ends() {
    let (cluster, profile) = waiting();
    let mut run = cluster.arcctl_in_background(&arguments(&profile));
    run.wait_for("is not issued");
    let proxy = cluster.world().proxy(System::Kubernetes).unwrap();
    let fault = proxy.add_fault(Fault::always(Effect::ResetBefore));
    std::thread::sleep(LASTS);
    // kubectl goes through the same proxy: the other run is written by the sandbox's own client.
    take(&cluster);
    proxy.remove_fault(fault);
    let ended = run.end();
    cluster.keep(&ended);
    assert_eq!(ended.expect(5)["outcome"], "locked");
    assert!(
        ended.stderr.contains("another run took it over"),
        "{}",
        ended.stderr
    );
    assert_eq!(holder(&cluster), "bob@desk (process 2)");
    cluster.finish();
}

/// Another run takes the lease over.
fn take(cluster: &Cluster) {
    let now = micro_time(Timestamp::now());
    let spec =
        json!({"holderIdentity": "bob@desk (process 2)", "acquireTime": now, "renewTime": now});
    let change = json!({"spec": spec}).to_string().into_bytes();
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/{NAME}");
    let request = http::Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .body(change)
        .unwrap();
    let client = cluster.world().kube();
    let _lease: Value = cluster.block_on(client.request(request)).unwrap();
}

/// Runs `up` while alice renews her lease each second by a clock that is wrong by `by`.
fn beside_alice(cluster: &Cluster, profile: &Path, by: SignedDuration) {
    let end = AtomicBool::new(false);
    let renew = || hold(cluster, Timestamp::now() + by);
    renew();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !end.load(Ordering::SeqCst) {
                renew();
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        let ended = cluster.up(profile, &[]);
        end.store(true, Ordering::SeqCst);
        assert_eq!(
            ended.expect(5)["outcome"],
            "locked",
            "{by}: {}",
            ended.stderr
        );
    });
    assert_eq!(holder(cluster), "alice@laptop (process 1)");
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_live_lease_is_not_taken_over_whatever_the_clocks_say() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    cluster.kubectl(&["create", "namespace", SYSTEM], None);
    for seconds in [-86_400, -75, 75, 86_400] {
        beside_alice(&cluster, &profile, SignedDuration::from_secs(seconds));
    }
    // Nobody renews it any more, and by its holder's clock it is from tomorrow: it is waited for once.
    hold(&cluster, Timestamp::now() + SignedDuration::from_hours(24));
    let started = Instant::now();
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert!(started.elapsed() >= LASTS, "{:?}", started.elapsed());
    assert!(ended.stderr.contains("alice@laptop"), "{}", ended.stderr);
    cluster.finish();
}

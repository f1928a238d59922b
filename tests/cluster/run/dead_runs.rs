//! Remains of dead runs, and ways to end a run: helm's locks, a lease, webhooks without a server, signals.

use std::time::{Duration, Instant};

use arcctl_sandbox::proxy::{Fault, Kind, Proxy, Record, System};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::harness::cluster::Cluster;

const SYSTEM: &str = "actions-runner-system";
const CONTROLLER: &str = "actions-runner-controller";
const RELEASE: &str = "helm-release/actions-runner-system/actions-runner-controller";

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_dead_runs_leave_is_put_right_and_signals_end_a_run() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let file = profile.to_str().unwrap();
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");

    for status in ["failed", "pending-rollback", "pending-upgrade"] {
        a_release_is_recovered(&cluster, file, status);
    }
    a_silent_helm_keeps_its_lock(&cluster, file);
    half_uninstalled(&cluster, file);
    terminated(&cluster, file);
    stopped_at_once(&cluster, file);
    without_github(&cluster, file);
    orphaned_webhooks(&cluster, file);
    cluster.finish();
}

/// Who has started a helm.
#[derive(Clone, Copy, PartialEq)]
enum Helm {
    /// arcctl, which gives its revision a label.
    Arcctl,
    /// A person: helm takes the labels of the revision before.
    ByHand,
}

/// Adds a revision with `status` to the controller's release, as a helm that died leaves it.
fn leave(cluster: &Cluster, helm: Helm, status: &str, modified: i64) -> String {
    let list = cluster.kubectl(
        &[
            "-n",
            SYSTEM,
            "get",
            "secrets",
            "-l",
            "owner=helm,name=actions-runner-controller",
            "-o",
            "json",
        ],
        None,
    );
    let list: Value = serde_json::from_str(&list).unwrap();
    let version = |it: &Value| -> u64 {
        it["metadata"]["labels"]["version"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    let newest = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .max_by_key(|it| version(it))
        .unwrap();
    let next = version(newest) + 1;
    let mut secret = newest.clone();
    let outer = STANDARD
        .decode(newest["data"]["release"].as_str().unwrap())
        .unwrap();
    let inner = STANDARD.decode(outer).unwrap();
    let mut record: Value =
        serde_json::from_reader(flate2::read::GzDecoder::new(inner.as_slice())).unwrap();
    record["info"]["status"] = json!(status);
    record["version"] = json!(next);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, record.to_string().as_bytes()).unwrap();
    let packed = STANDARD.encode(STANDARD.encode(packed.finish().unwrap()));
    secret["data"]["release"] = json!(packed);
    let labels = &newest["metadata"]["labels"];
    secret["metadata"] = json!({
        "name": format!("sh.helm.release.v1.{CONTROLLER}.v{next}"), "namespace": SYSTEM, "labels": labels,
    });
    for (key, value) in [
        ("status", status.to_owned()),
        ("version", next.to_string()),
        ("modifiedAt", modified.to_string()),
    ] {
        secret["metadata"]["labels"][key] = json!(value);
    }
    if helm == Helm::Arcctl {
        secret["metadata"]["labels"]["arcctl.dev/revision"] = json!(next.to_string());
    }
    cluster.kubectl(&["create", "-f", "-"], Some(&secret.to_string()));
    secret["metadata"]["name"].as_str().unwrap().to_owned()
}

/// A person's `helm upgrade --wait --timeout 10m` is silent for minutes: its lock stays.
fn a_silent_helm_keeps_its_lock(cluster: &Cluster, file: &str) {
    let now = jiff::Timestamp::now().as_second();
    let lock = leave(cluster, Helm::ByHand, "pending-upgrade", now - 400);
    let arguments = ["up", "-f", file, "--yes", "-o", "json", "--timeout", "20s"];
    let ended = cluster.arcctl(&arguments);
    assert_eq!(ended.expect(6)["outcome"], "timed-out");
    let way_out = format!("kubectl -n {SYSTEM} delete secret {lock}");
    assert!(ended.stderr.contains(&way_out), "{}", ended.stderr);
    let secret = cluster.get("secret", SYSTEM, &lock);
    assert_eq!(secret["metadata"]["labels"]["status"], "pending-upgrade");
    // Hours later it is surely gone.
    cluster.kubectl(&["-n", SYSTEM, "delete", "secret", &lock], None);
    leave(cluster, Helm::ByHand, "pending-upgrade", now - 7200);
    hold_lease(cluster);
    let ended = cluster.arcctl(&["up", "-f", file, "--yes", "-o", "json"]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert!(
        ended.stderr.contains("waiting 15 s to be sure"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.changed(), [RELEASE]);
}

/// An uninstallation that was killed: told by `plan`, and by `up` before it writes anything else.
fn half_uninstalled(cluster: &Cluster, file: &str) {
    let mark = |status: &str, age: i64| {
        let label = "owner=helm,name=actions-runner-controller";
        let list = cluster.kubectl(
            &["-n", SYSTEM, "get", "secrets", "-l", label, "-o", "name"],
            None,
        );
        let number = |it: &&str| {
            it.rsplit_once(".v")
                .and_then(|(_, it)| it.parse::<u64>().ok())
        };
        let newest = list.lines().max_by_key(number).unwrap();
        let status = format!("status={status}");
        let modified = format!("modifiedAt={}", jiff::Timestamp::now().as_second() - age);
        let set = [
            "-n",
            SYSTEM,
            "label",
            "--overwrite",
            newest,
            &status,
            &modified,
        ];
        cluster.kubectl(&set, None);
    };
    cluster.kubectl(
        &["-n", SYSTEM, "delete", "secret", "controller-manager"],
        None,
    );
    for (age, said) in [
        (
            5,
            "release `actions-runner-controller` is being uninstalled",
        ),
        (400, "was being uninstalled, and that did not end"),
    ] {
        mark("uninstalling", age);
        let writes = cluster.kubernetes_writes();
        for command in [&["plan"][..], &["up", "--yes"]] {
            let ended = cluster.arcctl(&[command, &["-f", file, "-o", "json"]].concat());
            let error = ended.expect(1)["error"].clone();
            assert!(error["message"].as_str().unwrap().contains(said), "{error}");
            let hint = error["hint"].as_str().unwrap();
            let way_out =
                "helm -n actions-runner-system uninstall actions-runner-controller --no-hooks";
            assert!(hint.contains(way_out), "{hint}");
        }
        assert_eq!(cluster.kubernetes_writes(), writes);
    }
    mark("deployed", 400);
    let ended = cluster.arcctl(&["up", "-f", file, "--yes", "-o", "json"]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
}

fn deployment_id(cluster: &Cluster) -> Value {
    cluster.get("deployment", SYSTEM, CONTROLLER)["metadata"]["uid"].clone()
}

fn a_release_is_recovered(cluster: &Cluster, file: &str, status: &str) {
    let now = jiff::Timestamp::now().as_second();
    let before = deployment_id(cluster);
    if status == "pending-upgrade" {
        // Of a live helm, as far as can be seen.
        let lock = leave(cluster, Helm::Arcctl, status, now);
        let ended = cluster.arcctl(&["up", "-f", file, "--yes", "-o", "json", "--timeout", "4s"]);
        assert_eq!(ended.expect(6)["outcome"], "timed-out");
        assert!(
            ended
                .stderr
                .contains("another helm process is working on the release (pending-upgrade"),
            "{}",
            ended.stderr
        );
        cluster.kubectl(&["-n", SYSTEM, "delete", "secret", &lock], None);
    }
    leave(cluster, Helm::Arcctl, status, now - 400);
    hold_lease(cluster);
    let ended = cluster.arcctl(&["up", "-f", file, "--yes", "-o", "json"]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert_eq!(ended.changed(), [RELEASE], "{status}");
    assert!(
        ended
            .stderr
            .contains("took over the lease of a run that has ended: alice@laptop"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        deployment_id(cluster),
        before,
        "{status}: what worked was deleted"
    );
    let status = cluster.helm(&["-n", SYSTEM, "status", CONTROLLER, "-o", "json"], None);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["info"]["status"], "deployed");
}

/// A dead run's lease: nobody renews it. It lasts a second, so that it need not be waited for as long as a real one.
fn hold_lease(cluster: &Cluster) {
    let patch = json!({"spec": {
        "holderIdentity": "alice@laptop (process 1)", "leaseDurationSeconds": 1,
    }});
    let arguments = [
        "-n",
        SYSTEM,
        "patch",
        "lease",
        "arcctl-dogecompany",
        "--type",
        "merge",
        "-p",
    ];
    cluster.kubectl(&[&arguments[..], &[&patch.to_string()]].concat(), None);
}

fn holder(cluster: &Cluster) -> Value {
    cluster.get("lease", SYSTEM, "arcctl-dogecompany")["spec"]["holderIdentity"].clone()
}

/// SIGTERM while a job is waited for: the run ends within seconds, says where, and gives its lease back.
fn terminated(cluster: &Cluster, file: &str) {
    let github = cluster.world().github();
    let busy = github.runners()[0].id;
    github.set_runner(busy, true, true);
    let mut run = cluster.arcctl_in_background(&["teardown", "-f", file, "--yes", "-o", "json"]);
    run.wait_for("runner still has a job");
    let ended = run.end_on("TERM");
    cluster.keep(&ended);
    let document = ended.expect(143);
    assert_eq!(document["outcome"], "interrupted");
    assert_eq!(
        document["error"]["object"],
        "runner-deployment/actions-runner/basic"
    );
    assert_eq!(holder(cluster), "");
    github.set_runner(busy, true, false);
}

/// Waits until a write to `path` has come to `proxy`, which does not answer it.
fn wait_for_write(proxy: &Proxy, path: &str) {
    let deadline = Instant::now() + crate::harness::waiting::PATIENCE;
    let came =
        |it: &Record| it.kind == Kind::Write && it.path.contains(path) && it.status.is_none();
    while !proxy.requests().iter().any(came) {
        assert!(Instant::now() < deadline, "no write to {path}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A second Ctrl-C does not wait for the write in flight.
fn stopped_at_once(cluster: &Cluster, file: &str) {
    let proxy = cluster.world().proxy(System::Kubernetes).unwrap();
    let hangs: Fault = "hang@write:/horizontalrunnerautoscalers".parse().unwrap();
    let fault = proxy.add_fault(hangs);
    let mut run = cluster.arcctl_in_background(&["up", "-f", file, "--yes", "-o", "json"]);
    run.wait_for("create horizontal-runner-autoscaler/actions-runner/basic");
    wait_for_write(proxy, "/horizontalrunnerautoscalers");
    run.signal("INT");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(run.is_alive(), "the first Ctrl-C cut a write off");
    run.signal("INT");
    let asked = Instant::now();
    let ended = run.end();
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
    cluster.keep(&ended);
    assert_eq!(ended.code, 130);
    proxy.remove_fault(fault);
    // Its lease is still held; it is long dead once time has passed.
    hold_lease(cluster);
    let ended = cluster.arcctl(&["up", "-f", file, "--yes", "-o", "json"]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
}

/// GitHub does not answer: nothing is begun, and what can be done without it is said.
fn without_github(cluster: &Cluster, file: &str) {
    let proxy = cluster.world().proxy(System::GitHub).unwrap();
    let fault = proxy.add_fault("down".parse::<Fault>().unwrap());
    let writes = cluster.kubernetes_writes();
    let ended = cluster.arcctl(&["teardown", "-f", file, "--yes", "-o", "json"]);
    assert_eq!(ended.expect(1)["outcome"], "failed", "{}", ended.stderr);
    assert!(
        ended.stderr.contains("arcctl teardown --force"),
        "{}",
        ended.stderr
    );
    assert_eq!(cluster.kubernetes_writes(), writes);
    proxy.remove_fault(fault);
}

/// Webhook configurations without a controller: they go, and nothing waits for their answers.
fn orphaned_webhooks(cluster: &Cluster, file: &str) {
    let kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations";
    let list = cluster.kubectl(&["get", kinds, "-o", "json"], None);
    let mut list: Value = serde_json::from_str(&list).unwrap();
    let items = list["items"].as_array_mut().unwrap();
    items.retain(|it| {
        it["metadata"]["name"]
            .as_str()
            .unwrap()
            .starts_with(CONTROLLER)
    });
    assert_eq!(items.len(), 2);
    for item in items {
        let annotations = item["metadata"]["annotations"].clone();
        item["metadata"] = json!({"name": item["metadata"]["name"], "annotations": annotations});
    }
    let teardown = || {
        let ended = cluster.arcctl(&["teardown", "-f", file, "--yes", "-o", "json"]);
        assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
        ended
    };
    assert!(!teardown().changed().is_empty());
    cluster.kubectl(&["create", "-f", "-"], Some(&list.to_string()));
    let called = list["items"][0]["webhooks"][0]["clientConfig"]["service"].clone();
    let [namespace, service] = ["namespace", "name"].map(|it| called[it].as_str().unwrap());
    cluster.kubectl(&["create", "namespace", namespace], None);
    let create = ["-n", namespace, "create", "service", "clusterip", service];
    cluster.kubectl(&[&create[..], &["--tcp=443"]].concat(), None);
    let ended = teardown();
    assert!(ended.changed().is_empty(), "{}", ended.stderr);
    let why = format!("service `{namespace}/{service}` is there");
    assert!(ended.stderr.contains(&why), "{}", ended.stderr);
    cluster.kubectl(&["delete", "namespace", namespace], None);
    let ended = teardown();
    assert!(!ended.changed().is_empty(), "{}", ended.stderr);
    let left = cluster.kubectl(&["get", kinds, "-o", "name"], None);
    assert!(!left.contains(CONTROLLER), "{left}");
}

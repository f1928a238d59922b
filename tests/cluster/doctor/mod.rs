//! `arcctl doctor` for a healthy installation, and for one with each fault: the root, and a fix that works.

pub(crate) mod cases;
pub(crate) mod cert_manager_parts;
pub(crate) mod elsewhere;
pub(crate) mod fixes;
pub(crate) mod mends;
pub(crate) mod monitoring;
pub(crate) mod own_image;
pub(crate) mod prometheus;
pub(crate) mod unreached;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use arcctl_sandbox::github::Token;
use serde_json::{Value, json};

use crate::{
    doctor::cases::Elsewhere,
    harness::cluster::{Cluster, Ended},
    run::in_actions::{a_doctor_with_findings, a_failed_up, a_good_up},
};

const SYSTEM: &str = "actions-runner-system";
const MODE: &str = "containerMode: dind";

#[test]
#[ignore = "slow: `make test-slow`"]
fn faults_are_named_by_their_root_and_mended_by_their_fix() {
    let cluster = Cluster::with_faults(&[]);
    let profile = cluster.profile("arcctl", &[]);
    nothing_is_installed(&cluster, &profile);
    a_good_up(&cluster, &profile);
    all_is_well(&cluster, &profile);

    an_expired_token(&cluster, &profile);
    no_api_server(&cluster, &profile);

    cluster.kubectl(
        &["-n", SYSTEM, "delete", "secret", "controller-manager"],
        None,
    );
    let document = doctor(&cluster, &profile);
    is_root(&document, "resources-there", 1);
    let missing = check(&document, "resources-there")["found"].to_string();
    assert!(
        missing.contains("secret/actions-runner-system/controller-manager"),
        "{missing}"
    );
    assert_eq!(
        check(&document, "secret-complete")["follows"],
        "resources-there"
    );
    up(&cluster, &profile);
    all_is_well(&cluster, &profile);

    cluster.scale_controller(0);
    a_doctor_with_findings(&cluster, &profile, "controller-scaled");
    let document = doctor(&cluster, &profile);
    is_root(&document, "controller-scaled", 1);
    assert_eq!(
        check(&document, "controller-runs")["follows"],
        "controller-scaled"
    );
    up(&cluster, &profile);
    all_is_well(&cluster, &profile);

    an_orphaned_webhook(&cluster, &profile);
    drift(&cluster, &profile);

    let selector = format!("nodeSelector: {{disk: fast}}\n    {MODE}");
    let edits = [("runners: 5m", "runners: 8s"), (MODE, selector.as_str())];
    let faulty = cluster.profile("unschedulable", &edits);
    let _told = cluster.up_until(&faulty, &[], "unschedulable");
    a_failed_up(&cluster, &faulty);
    is_root(&doctor(&cluster, &faulty), "pods-schedulable", 1);
    up(&cluster, &profile);
    delete_what_never_started(&cluster, &profile);
    all_is_well(&cluster, &profile);
    cluster.finish();
}

/// A pod of an earlier template that never started has no registration, whose end the controller waits for: it stays until
/// it is deleted, as the finding tells.
fn delete_what_never_started(cluster: &Cluster, profile: &Path) {
    let end = Instant::now() + crate::harness::waiting::PATIENCE;
    let command = loop {
        let document = doctor(cluster, profile);
        let found = check(&document, "pods-schedulable");
        let fix = found["fix"].as_str().unwrap_or_default();
        if let Some(command) = fix.split('`').nth(1)
            && command.starts_with("kubectl -n actions-runner delete pod ")
        {
            is_root(&document, "pods-schedulable", 1);
            break command.to_owned();
        }
        assert!(Instant::now() < end, "{document:#}");
        std::thread::sleep(Duration::from_millis(500));
    };
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    cluster.kubectl(&words, None);
}

pub(crate) fn run(cluster: &Cluster, profile: &Path, more: &[&str]) -> Ended {
    let arguments = ["doctor", "-f", profile.to_str().unwrap(), "-o", "json"];
    cluster.arcctl(&[&arguments[..], more].concat())
}

pub(crate) fn doctor(cluster: &Cluster, profile: &Path) -> Value {
    run(cluster, profile, &[]).document()
}

pub(crate) fn up(cluster: &Cluster, profile: &Path) {
    assert_eq!(cluster.up(profile, &[]).expect(0)["outcome"], "ok");
}

pub(crate) fn check<'a>(document: &'a Value, id: &str) -> &'a Value {
    let mut checks = document["checks"].as_array().unwrap().iter();
    checks.find(|it| it["id"] == id).unwrap()
}

/// The ids of what is broken or unknown and follows from nothing else.
pub(crate) fn roots(document: &Value) -> Vec<&str> {
    let checks = document["checks"].as_array().unwrap().iter();
    checks
        .filter(|it| matches!(it["verdict"].as_str(), Some("broken" | "unknown")))
        .filter(|it| it["follows"].is_null() && it["severity"] == "required")
        .map(|it| it["id"].as_str().unwrap())
        .collect()
}

#[track_caller]
pub(crate) fn is_root(document: &Value, id: &str, code: i32) {
    assert_eq!(roots(document), [id], "{document:#}");
    assert_eq!(check(document, id)["verdict"], "broken");
    assert!(check(document, id)["fix"].is_string());
    assert_eq!(document["error"]["code"], code, "{document:#}");
}

#[track_caller]
pub(crate) fn all_is_well(cluster: &Cluster, profile: &Path) {
    let writes = cluster.kubernetes_writes();
    let document = run(cluster, profile, &[]).expect(0);
    assert_eq!(roots(&document), [""; 0], "{document:#}");
    assert_eq!(document["summary"]["unknown"], 0, "{document:#}");
    assert_eq!(document["error"], Value::Null);
    assert_eq!(
        cluster.kubernetes_writes(),
        writes,
        "doctor wrote something"
    );
}

fn nothing_is_installed(cluster: &Cluster, profile: &Path) {
    let document = run(cluster, profile, &[]).expect(1);
    is_root(&document, "resources-there", 1);
    assert_eq!(check(&document, "github-credential")["verdict"], "holds");
}

/// A known 401 is 4, and the cluster is judged all the same.
fn an_expired_token(cluster: &Cluster, profile: &Path) {
    let expired = cluster
        .world()
        .github()
        .add_token(Token::administrator().expired());
    cluster.keep_secret(&expired);
    let arguments = ["doctor", "-f", profile.to_str().unwrap(), "-o", "json"];
    let ended = cluster.arcctl_with(&arguments, &[("ARCCTL_GITHUB_TOKEN", &expired)]);
    let document = ended.expect(4);
    assert_eq!(document["error"]["system"], "github");
    is_root(&document, "github-credential", 4);
    assert_eq!(check(&document, "webhook-answers")["verdict"], "holds");
}

/// Nothing listens where the kubeconfig says: what is known without the cluster is still told.
fn no_api_server(cluster: &Cluster, profile: &Path) {
    let text = cluster.kubectl(&["config", "view", "--raw", "-o", "json"], None);
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1");
    let path = cluster.file("nowhere.kubeconfig", &config.to_string());
    let document = run(cluster, profile, &["--kubeconfig", path.to_str().unwrap()]).expect(1);
    is_root(&document, Elsewhere::ApiServerAnswers.id(), 1);
    assert_eq!(check(&document, "github-credential")["verdict"], "holds");
    assert_eq!(check(&document, "webhook-answers")["verdict"], "unknown");
}

/// What an uninstalled controller leaves behind; the fix is the command that the report prints.
fn an_orphaned_webhook(cluster: &Cluster, profile: &Path) {
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "left-behind"},
        "webhooks": [{
            "name": "validate.runnerset.actions.summerwind.dev",
            "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"service": {"namespace": "default", "name": "gone", "path": "/"}},
            "rules": [{"apiGroups": ["actions.summerwind.dev"], "apiVersions": ["*"],
                "operations": ["CREATE"], "resources": ["runnersets"]}],
        }],
    });
    cluster.kubectl(&["create", "-f", "-"], Some(&configuration.to_string()));
    let document = doctor(cluster, profile);
    let id = Elsewhere::WebhooksNotOrphaned.id();
    is_root(&document, id, 1);
    let fix = check(&document, id)["fix"].as_str().unwrap();
    let command = fix.split_once("kubectl ").unwrap().1;
    cluster.kubectl(&command.split(' ').collect::<Vec<_>>(), None);
    all_is_well(cluster, profile);
}

/// A hand's change is advice: 0, and 3 with `--fail-on advice`.
fn drift(cluster: &Cluster, profile: &Path) {
    let patch = r#"{"spec": {"maxReplicas": 3}}"#;
    let what = [
        "patch",
        "horizontalrunnerautoscaler",
        "basic",
        "--type=merge",
        "-p",
        patch,
    ];
    cluster.kubectl(&[&["-n", "actions-runner"][..], &what[..]].concat(), None);
    let document = run(cluster, profile, &["--fail-on", "advice"]).expect(3);
    let drift = check(&document, "resources-unchanged");
    assert!(
        drift["found"].to_string().contains("spec.maxReplicas"),
        "{drift}"
    );
    let _fine = run(cluster, profile, &[]).expect(0);
    up(cluster, profile);
    let document = doctor(cluster, profile);
    assert_eq!(check(&document, "resources-unchanged")["verdict"], "holds");
}

//! Secrets that are not arcctl's: in the profile, in chart values, in live objects, in events and in policy messages. None
//! of them is in arcctl's output or bundles, nor is the token if a policy repeats the object that it rejects.

use std::{io::Read as _, path::Path};

use serde_json::{Value, json};

use crate::harness::cluster::Cluster;

/// Nothing in its form gives it away: its place has to.
const PLAIN: &str = "canary-horse-staple";

/// What its form gives away. Not the sandbox's token.
const FORMED: &str = "ghp_CaNaRyabcdefghij0123456789";

/// What others say, with canaries in it.
fn messages() -> Vec<String> {
    vec![
        format!("failed with {FORMED}"),
        format!("Get \"https://me:{PLAIN}@proxy:3128/\": EOF"),
        format!("denied: {{\"data\":{{\"db_password\":\"{PLAIN}\"}}}}"),
        format!("env DB_PASSWD={PLAIN} was set"),
        format!("GET https://x.example/?access_token={PLAIN}&page=1: 403"),
    ]
}

/// Takes the text of the sandbox's profile, with secrets in it.
fn profile(cluster: &Cluster) -> std::path::PathBuf {
    let path = cluster.profile("canaries", &[]);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut profile: Value = serde_saphyr::from_str(&text).unwrap();
    profile["controller"]["values"]["env"] = json!({"NPM_TOKEN": PLAIN, "DB_PASSWD": PLAIN, "PROXY": format!("http://me:{PLAIN}@proxy:3128")});
    profile["controller"]["values"]["githubWebhookServer"] =
        json!({"secret": {"github_webhook_secret_token": PLAIN}});
    profile["pools"][0]["env"] = json!([
        {"name": "AWS_SECRET_ACCESS_KEY", "value": PLAIN},
        {"name": "STRIPE_API_KEY", "value": PLAIN},
        {"name": "DATABASE_URL", "value": format!("postgres://me:{PLAIN}@db/x")},
    ]);
    cluster.file("canaries.yaml", &profile.to_string())
}

fn event(number: usize, message: &str) -> Value {
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("canary-{number}"), "namespace": "actions-runner"},
        "involvedObject": {"kind": "HorizontalRunnerAutoscaler", "namespace": "actions-runner", "name": "basic",
            "apiVersion": "actions.summerwind.dev/v1alpha1"},
        "type": "Warning", "reason": "RunnerAutoscalingFailure", "message": message,
        "firstTimestamp": now, "lastTimestamp": now, "count": 3, "source": {"component": "canary"},
    })
}

/// A policy that refuses the controller's Secret, and says of it all that it has. It takes a dry run, which has no values.
fn policy() -> Value {
    json!({
        "apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
                "metadata": {"name": "canary"},
                "spec": {
                    "failurePolicy": "Fail",
                    "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}]},
                    "matchConditions": [{"name": "it", "expression": "object.metadata.name == 'controller-manager'"}],
                    "validations": [{
                        "expression": "has(request.dryRun) && request.dryRun",
                        "messageExpression": "'the object {\"data\":{\"github_token\":\"' + string(object.data.github_token) + '\"}} in map[github_token:' + string(object.data.github_token) + '] and ' + string(object.data.github_token) + ' is refused'",
                    }],
                },
            },
            {
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
                "metadata": {"name": "canary"},
                "spec": {"policyName": "canary", "validationActions": ["Deny"]},
            },
        ],
    })
}

#[test]
fn what_is_secret_to_others_is_told_to_nobody() {
    let cluster = Cluster::fast();
    let profile = profile(&cluster);
    cluster.plan(&profile, &["-vv"]).expect(0);
    cluster.up(&profile, &["-vv"]).expect(0);
    for (number, message) in messages().iter().enumerate() {
        cluster.kubectl(
            &["apply", "-f", "-"],
            Some(&event(number, message).to_string()),
        );
    }
    let drift = json!({"spec": {"template": {"spec": {"env": [
        {"name": "AWS_SECRET_ACCESS_KEY", "value": format!("{PLAIN}-other")},
        {"name": "OTHER_TOKEN", "value": PLAIN},
    ]}}}});
    let patch = [
        "-n",
        "actions-runner",
        "patch",
        "runnerdeployment",
        "basic",
        "--type=merge",
        "-p",
    ];
    cluster.kubectl(&[&patch[..], &[drift.to_string().as_str()]].concat(), None);
    let file = profile.to_str().unwrap();
    for arguments in [
        &["plan", "-f", file, "-vv"][..],
        &["plan", "-f", file, "-o", "json"],
        &["status", "-f", file, "-v"],
        &["status", "-f", file, "-o", "json"],
        &["doctor", "-f", file, "-v"],
        &["doctor", "-f", file, "-o", "json"],
        &["doctor", "-f", file, "-o", "junit"],
    ] {
        let ended = cluster.arcctl(arguments);
        assert!([0, 1].contains(&ended.code), "{}", ended.stderr);
        assert!(!ended.stdout.is_empty(), "{arguments:?}");
    }
    let drifted = cluster.plan(&profile, &[]).document();
    assert!(
        drifted.to_string().contains("AWS_SECRET_ACCESS_KEY"),
        "{drifted:#}"
    );
    bundle(&cluster, file);
    a_policy_that_quotes(&cluster, &profile);
    for output in cluster.outputs() {
        for canary in [PLAIN, "CaNaRy"] {
            if let Some(at) = output.find(canary) {
                let from = output.floor_char_boundary(at.saturating_sub(300));
                panic!("`{canary}` was told: {}", &output[from..at]);
            }
        }
    }
    cluster.finish();
}

fn bundle(cluster: &Cluster, file: &str) {
    let path = cluster.file("unused", "").with_file_name("bundle.tar.gz");
    let ended = cluster.arcctl(&["doctor", "-f", file, "--bundle", path.to_str().unwrap()]);
    assert!([0, 1].contains(&ended.code), "{}", ended.stderr);
    let packed = std::fs::read(path).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("github_webhook_secret_token") && text.contains("canary-0"));
    for canary in [PLAIN, "CaNaRy"] {
        assert!(!text.contains(canary), "`{canary}` is in the bundle");
    }
}

/// The token that is refused is new: `cluster.finish` looks for it everywhere.
fn a_policy_that_quotes(cluster: &Cluster, profile: &Path) {
    let token = cluster
        .world()
        .github()
        .add_token(arcctl_sandbox::github::Token::administrator());
    cluster.keep_secret(&token);
    cluster.kubectl(&["apply", "-f", "-"], Some(&policy().to_string()));
    let file = profile.to_str().unwrap();
    let with = [("ARCCTL_GITHUB_TOKEN", token.as_str())];
    // A policy is in force some time after it was written.
    let deadline = std::time::Instant::now() + crate::harness::waiting::PATIENCE;
    loop {
        let ended = cluster.arcctl_with(&["up", "-f", file, "--yes", "-o", "json", "-vv"], &with);
        if ended.stderr.contains("is refused") {
            assert_eq!(ended.code, 1, "{}", ended.stderr);
            break;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "the policy is not in force"
        );
    }
    cluster.kubectl(&["delete", "-f", "-"], Some(&policy().to_string()));
}

//! What `render` writes, applied by kubectl and helm alone: `verify` finds working runners, and `plan` nothing to change but
//! the marks of an owner.

mod apply;

use std::path::{Path, PathBuf};

use arcctl_sandbox::github::Owner;
use serde_json::{Value, json};

use crate::harness::{
    cluster::{Cluster, Ended},
    waiting::until,
};
use apply::{apply_argo_cd, apply_files, apply_flux};

const SYSTEM: &str = "actions-runner-system";

/// A shipped profile with the sandbox's cluster, GitHub and charts. What is at AWS is not applied by kubectl and helm, and
/// the sandbox's controller knows no App.
fn shipped(cluster: &Cluster, name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("profiles/{name}.yaml"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut profile: Value = serde_saphyr::from_str(&text).unwrap();
    let github = cluster.world().github();
    for owner in [
        Owner::organization("example-org"),
        Owner::repository("example-org", "website"),
        Owner::repository("example-org", "backend"),
    ] {
        github.add_owner(owner);
    }
    profile["cluster"] = json!({"context": "sandbox"});
    profile["charts"] = json!({
        "certManager": cluster.charts_url(),
        "controller": cluster.charts_url(),
    });
    profile["github"]["url"] = json!(github.url());
    profile["github"]["token"] = json!({"env": "ARCCTL_GITHUB_TOKEN"});
    for (section, key) in [("github", "app"), ("", "aws")] {
        let section = if section.is_empty() {
            &mut profile
        } else {
            &mut profile[section]
        };
        section.as_object_mut().unwrap().remove(key);
    }
    cluster.file(&format!("{name}.yaml"), &profile.to_string())
}

/// Renders for a tool, with what a user gives it.
fn render(cluster: &Cluster, profile: &Path, format: &str) -> PathBuf {
    let directory = cluster
        .file("marker", "")
        .with_file_name(format!("rendered-{format}"));
    let (file, out) = (profile.to_str().unwrap(), directory.to_str().unwrap());
    let mut arguments = vec!["render", out, "-f", file, "-o", "json", "--format", format];
    if format != "files" {
        arguments.extend([
            "--path",
            "runners",
            "--verify-image",
            "registry.example.com/arcctl:1",
        ]);
        arguments.extend(["--repository", "https://git.example.com/runners.git"]);
    }
    let document = cluster.arcctl(&arguments).expect(0);
    if format != "files" {
        assert_eq!(document["placeholders"], json!([]), "{document:#}");
    }
    directory
}

/// The hole: the Secret, as its file says.
fn make_secret(cluster: &Cluster, namespace: &str) {
    let token = &cluster.tokens()[0];
    let arguments = [
        "-n",
        namespace,
        "create",
        "secret",
        "generic",
        "controller-manager",
    ];
    let from = ["--from-file=github_token=/dev/stdin"];
    cluster.kubectl(&[&arguments[..], &from].concat(), Some(token));
}

fn verify(cluster: &Cluster, profile: &Path, more: &[&str]) -> Ended {
    let profile = profile.to_str().unwrap();
    cluster.arcctl(&[&["verify", "-f", profile, "-o", "json"], more].concat())
}

/// Every proof holds, and nothing was written.
fn verified(cluster: &Cluster, profile: &Path) {
    let writes = cluster.kubernetes_writes();
    let document = verify(cluster, profile, &[]).expect(0);
    assert_eq!(cluster.kubernetes_writes(), writes);
    assert_eq!(document["schema"], "arcctl.run/v1");
    assert_eq!(document["outcome"], "ok");
    assert_eq!(document["changed"], 0);
    for system in ["kubernetes", "aws", "github"] {
        assert_eq!(document["requests"][system]["writes"], 0, "{document:#}");
    }
    assert_eq!(document["requests"]["helm"], 0);
    let steps = document["steps"].as_array().unwrap();
    let kinds: Vec<&str> = steps
        .iter()
        .map(|it| it["id"].as_str().unwrap().split('/').next().unwrap())
        .collect();
    for kind in ["webhook", "runner-pods", "registration"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    for step in steps {
        assert_eq!(
            (&step["outcome"], &step["action"]),
            (&json!("ok"), &json!("keep"))
        );
    }
    let human = cluster.arcctl(&["verify", "-f", profile.to_str().unwrap()]);
    assert_eq!(human.code, 0, "{}", human.stderr);
    let online =
        human.stdout.contains("checks passed, pool ") && human.stdout.contains(" online (");
    assert!(online, "{}", human.stdout);
}

/// The account of the hook's Job may do all that the proofs need: its own profile, in the Job's place.
fn verified_by_the_job(cluster: &Cluster, name: &str, folder: &Path) {
    let account = format!("arcctl-verify-{name}");
    let map = cluster.get("configmap", SYSTEM, &account);
    let profile = cluster.file("job.yaml", map["data"]["arcctl.yaml"].as_str().unwrap());
    let token = cluster.kubectl(&["-n", SYSTEM, "create", "token", &account], None);
    let config = cluster.kubectl(&["config", "view", "--raw", "-o", "json"], None);
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["users"][0]["user"] = json!({"token": token.trim()});
    let config = cluster.file("job.kubeconfig", &config.to_string());
    let arguments = [
        "verify",
        "--in-cluster",
        "-o",
        "json",
        "-f",
        profile.to_str().unwrap(),
    ];
    let variables = [
        ("KUBECONFIG", config.to_str().unwrap()),
        ("ARCCTL_GITHUB_TOKEN", ""),
    ];
    let ended = cluster.arcctl_with(&arguments, &variables);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", folder.display());
}

/// What is installed by hand has no mark of arcctl: the Secret's labels, and in the pod template of the controller the
/// version of the Secret, which no file can know. Nothing else would be written.
fn only_marks_differ(plan: &Ended, more: &[&str]) {
    let document = plan.expect(0);
    let steps = document["steps"].as_array().unwrap().iter();
    let changes: Vec<&Value> = steps
        .filter(|it| !matches!(it["action"].as_str(), Some("keep" | "later")))
        .collect();
    let ids: Vec<&str> = changes
        .iter()
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    let marked = [
        "secret/actions-runner-system/controller-manager",
        "helm-release/actions-runner-system/actions-runner-controller",
    ];
    assert_eq!(ids, [more, &marked].concat(), "{document:#}");
    for change in changes
        .iter()
        .filter(|it| !more.contains(&it["id"].as_str().unwrap()))
    {
        assert_eq!(change["action"], "update", "{change:#}");
        for difference in change["differences"].as_array().unwrap() {
            let path = difference["path"].as_str().unwrap();
            let marks = [
                "metadata.labels",
                "metadata.annotations",
                "values.podAnnotations",
            ];
            assert!(marks.iter().any(|it| path.starts_with(it)), "{change:#}");
        }
    }
}

/// Flux keeps helm's records: with `--adopt` there is nothing to change but the marks.
fn adopted_at_most(cluster: &Cluster, profile: &Path) {
    let refused = cluster.plan(profile, &[]);
    assert_eq!(refused.expect(7)["error"]["code"], 7);
    only_marks_differ(&cluster.plan(profile, &["--adopt"]), &[]);
}

/// Argo CD keeps none: helm would install over it, so `plan` refuses, and says which tool has it.
fn refused_without_records(cluster: &Cluster, profile: &Path) {
    let refused = cluster.plan(profile, &["--adopt"]).expect(7);
    let message = refused["error"]["hint"].to_string();
    assert!(message.contains("Argo CD"), "{refused:#}");
}

/// A webhook that does not answer: the proofs do not hold, and the cause is named.
fn broken(cluster: &Cluster, profile: &Path) {
    let scale = |replicas: &str| {
        let deployment = ["scale", "deployment", "cert-manager-webhook", replicas];
        cluster.kubectl(&[&["-n", "cert-manager"], &deployment[..]].concat(), None);
    };
    scale("--replicas=0");
    until("the webhook has gone", || {
        let pods = [
            "-n",
            "cert-manager",
            "get",
            "endpoints",
            "cert-manager-webhook",
        ];
        let format = ["-o", "jsonpath={.subsets[*].addresses[*].ip}"];
        cluster
            .kubectl(&[&pods[..], &format].concat(), None)
            .is_empty()
    });
    let writes = cluster.kubernetes_writes();
    let ended = verify(cluster, profile, &["--timeout", "30s"]);
    let document = ended.expect(6);
    assert_eq!(document["outcome"], "timed-out");
    assert_eq!(
        document["error"]["object"],
        "webhook/cert-manager/cert-manager-webhook"
    );
    assert_eq!(cluster.kubernetes_writes(), writes);
    scale("--replicas=1");
    let mended = verify(cluster, profile, &[]);
    assert_eq!(mended.expect(0)["outcome"], "ok");
}

fn round_trip_of_flux(cluster: &Cluster, name: &str, profile: &Path) {
    let folder = render(cluster, profile, "flux");
    apply_flux(cluster, &folder, &|namespace: &str| {
        make_secret(cluster, namespace);
    });
    verified(cluster, profile);
    verified_by_the_job(cluster, name, &folder);
    adopted_at_most(cluster, profile);
}

fn round_trip_of_argo_cd(cluster: &Cluster, name: &str, profile: &Path) {
    let folder = render(cluster, profile, "argocd");
    apply_argo_cd(cluster, &folder, &|namespace: &str| {
        make_secret(cluster, namespace);
    });
    verified(cluster, profile);
    verified_by_the_job(cluster, name, &folder);
    refused_without_records(cluster, profile);
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_flux_applies_is_verified_and_needs_no_change() {
    let cluster = Cluster::fast();
    let profile = shipped(&cluster, "reference");
    round_trip_of_flux(&cluster, "dogecompany", &profile);
    broken(&cluster, &profile);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_flux_applies_of_the_other_profiles_needs_no_change() {
    for name in ["organization-app", "repository"] {
        let cluster = Cluster::fast();
        let profile = shipped(&cluster, name);
        let own = if name == "repository" {
            "website"
        } else {
            "example-org"
        };
        round_trip_of_flux(&cluster, own, &profile);
        cluster.finish();
    }
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_argo_cd_applies_of_all_profiles_is_verified() {
    for (name, own) in [
        ("reference", "dogecompany"),
        ("organization-app", "example-org"),
        ("repository", "website"),
    ] {
        let cluster = Cluster::fast();
        let profile = shipped(&cluster, name);
        round_trip_of_argo_cd(&cluster, own, &profile);
        cluster.finish();
    }
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn the_plain_files_of_all_profiles_need_no_change() {
    for name in ["reference", "organization-app", "repository"] {
        let cluster = Cluster::fast();
        let profile = shipped(&cluster, name);
        let folder = render(&cluster, &profile, "files");
        apply_files(&cluster, &folder, &|namespace: &str| {
            make_secret(&cluster, namespace);
        });
        verified(&cluster, &profile);
        // The CRDs come from the charts as they are, without the mark of their chart.
        let crds = ["crds/-/actions-runner-controller"];
        only_marks_differ(&cluster.plan(&profile, &["--adopt"]), &crds);
        cluster.finish();
    }
}

/// Nothing is installed: each proof is waited for until the limit, and nothing is made.
#[test]
#[ignore = "slow: `make test-slow`"]
fn what_is_not_there_is_waited_for_and_not_made() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let writes = cluster.kubernetes_writes();
    let document = verify(&cluster, &profile, &["--timeout", "5s"]).expect(6);
    assert_eq!(document["outcome"], "timed-out");
    assert_eq!(document["changed"], 0);
    assert_eq!(cluster.kubernetes_writes(), writes);
    let namespaces = cluster.kubectl(&["get", "namespaces", "-o", "name"], None);
    assert!(!namespaces.contains("actions-runner"), "{namespaces}");

    // It goes on once the installation is there.
    let file = profile.to_str().unwrap();
    let mut waits = cluster.arcctl_in_background(&["verify", "-f", file]);
    waits.wait_for("does not exist yet");
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    let ended = waits.end();
    cluster.keep(&ended);
    assert_eq!(ended.code, 0, "{}", ended.stderr);

    // A known 401 ends it at once; so does Ctrl-C.
    cluster.world().github().revoke(&cluster.tokens()[0]);
    let refused = verify(&cluster, &profile, &[]);
    assert_eq!(refused.expect(4)["outcome"], "unauthorized");
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn an_interruption_ends_it() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let file = profile.to_str().unwrap();
    let mut waits = cluster.arcctl_in_background(&["verify", "-f", file, "-o", "json"]);
    waits.wait_for("does not exist yet");
    waits.interrupt();
    let ended = waits.end();
    cluster.keep(&ended);
    assert_eq!(ended.expect(130)["outcome"], "interrupted");
    cluster.finish();
}

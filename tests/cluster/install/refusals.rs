//! Errors before the first write: wrong usage, an invalid profile, insufficient tokens and permissions, charts that cannot
//! be downloaded.

use std::path::Path;

use arcctl_sandbox::github::Token;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::cluster::{Cluster, Ended};

#[test]
fn what_cannot_work_is_refused_before_the_first_write() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    wrong_usage(&cluster, &profile);
    an_invalid_profile(&cluster);
    tokens(&cluster, &profile);
    the_chart_repository_is_down(&cluster);
    helm(&cluster, &profile);
    what_the_cluster_lacks(&cluster);
    assert_eq!(cluster.kubernetes_writes(), 0);
    rights(&cluster, &profile);
    cluster.finish();
}

fn wrong_usage(cluster: &Cluster, profile: &Path) {
    let file = profile.to_str().unwrap();
    let ended = cluster.arcctl(&["up", "-f", file, "-o", "json"]);
    assert_eq!(ended.expect(64)["schema"], "arcctl.run/v1");
    assert_snapshot!("nobody_to_ask", ended.failure());
}

fn an_invalid_profile(cluster: &Cluster) {
    let edits = [("max: 16", "max: 1"), ("replicas: 2", "replicaCount: 2")];
    let profile = cluster.profile("invalid", &edits);
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(65)["outcome"], "failed");
    assert_snapshot!("an_invalid_profile", ended.failure());
}

fn tokens(cluster: &Cluster, profile: &Path) {
    let up = |profile: &Path, token: &str| {
        let arguments = ["up", "-f", profile.to_str().unwrap(), "--yes", "-o", "json"];
        let ended = cluster.arcctl_with(&arguments, &[("ARCCTL_GITHUB_TOKEN", token)]);
        assert_eq!(ended.expect(4)["outcome"], "unauthorized");
        assert_eq!(ended.document()["error"]["system"], "github");
        ended.failure()
    };
    let add = |token: Token| {
        let value = cluster.world().github().add_token(token);
        cluster.keep_secret(&value);
        value
    };
    let weak = add(Token::classic("arc-admin", &["repo"]));
    assert_snapshot!("a_token_without_scope", up(profile, &weak));
    let stranger = add(Token::classic("somebody", &["manage_runners:enterprise"]));
    assert_snapshot!("a_token_of_somebody_else", up(profile, &stranger));
    let expired = add(Token::administrator().expired());
    assert_snapshot!("an_expired_token", up(profile, &expired));
    let slug = ("enterprise: dogecompany", "enterprise: dogecorp");
    let elsewhere = cluster.profile("elsewhere", &[slug]);
    assert_snapshot!(
        "an_unknown_enterprise",
        up(&elsewhere, &cluster.tokens()[0])
    );
}

fn the_chart_repository_is_down(cluster: &Cluster) {
    // Nothing listens on a port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let edit = |url: &str| format!("controller: {url}");
    let edits = [(edit(&cluster.charts_url()), edit(&closed))];
    let edits = edits
        .each_ref()
        .map(|(from, to)| (from.as_str(), to.as_str()));
    let profile = cluster.profile("down", &edits);
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(1)["outcome"], "failed");
    assert_snapshot!("chart_repository_down", ended.failure());
}

/// No helm, and one that is too old.
fn helm(cluster: &Cluster, profile: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let file = profile.to_str().unwrap();
    let arguments = ["up", "-f", file, "--yes", "-o", "json"];
    let script = "#!/bin/sh\n[ \"$1\" = version ] && echo v3.5.0+g32c2223\n";
    let helm = cluster.file("helm", script);
    for (name, mode) in [("no_helm", 0o000), ("an_old_helm", 0o755)] {
        let path = match mode {
            0 => "/nowhere",
            _ => helm.parent().unwrap().to_str().unwrap(),
        };
        std::fs::set_permissions(&helm, std::fs::Permissions::from_mode(mode)).unwrap();
        let ended = cluster.arcctl_with(&arguments, &[("PATH", path)]);
        assert_eq!(ended.expect(1)["outcome"], "failed");
        assert_eq!(ended.document()["error"]["system"], "helm");
        assert_snapshot!(name, ended.failure());
    }
}

/// What the profile says is there, and is not.
fn what_the_cluster_lacks(cluster: &Cluster) {
    for (name, edit) in [
        ("no_cert_manager", ("install: auto", "install: never")),
        (
            "no_service_monitors",
            (
                "timeouts: {",
                "monitoring: {serviceMonitor: always, alerts: never, dashboard: never}\ntimeouts: {",
            ),
        ),
    ] {
        let profile = cluster.profile(name, &[edit]);
        let ended = cluster.up(&profile, &[]);
        assert_eq!(ended.expect(1)["profile"], "dogecompany");
        assert_snapshot!(name, ended.failure());
    }
}

/// A user without any right, and one who may look but not write.
fn rights(cluster: &Cluster, profile: &Path) {
    cluster.kubectl(&["create", "serviceaccount", "somebody"], None);
    let kubeconfig = kubeconfig_of(cluster, "somebody");
    let writes = cluster.kubernetes_writes();
    let up = || -> Ended {
        let ended = cluster.up(profile, &["--kubeconfig", &kubeconfig]);
        assert_eq!(ended.expect(4)["outcome"], "unauthorized");
        assert_eq!(ended.document()["error"]["system"], "kubernetes");
        ended
    };
    assert_snapshot!("no_right_to_look", up().failure());
    assert_eq!(cluster.kubernetes_writes(), writes);

    let role = [
        "create",
        "clusterrole",
        "looks",
        "--verb=get,list,watch",
        "--resource=*.*",
    ];
    cluster.kubectl(&role, None);
    let binding = [
        "create",
        "clusterrolebinding",
        "looks",
        "--clusterrole=looks",
    ];
    let whom = ["--serviceaccount=default:somebody"];
    cluster.kubectl(&[&binding[..], &whom[..]].concat(), None);
    let writes = cluster.kubernetes_writes();
    let ended = up();
    assert_snapshot!("no_right_to_write", ended.failure());
    let message = ended.document()["error"]["message"].to_string();
    for right in [
        "create, patch namespaces",
        "create, patch customresourcedefinitions.apiextensions.k8s.io",
        "create, delete, patch, update secrets in namespace actions-runner-system, cert-manager",
        "create, patch runnerdeployments.actions.summerwind.dev in namespace actions-runner",
    ] {
        assert!(message.contains(right), "`{right}` is not named: {message}");
    }
    assert_eq!(cluster.kubernetes_writes(), writes, "something was written");
}

/// The sandbox's kubeconfig with the credentials of a service account in `default`.
pub(crate) fn kubeconfig_of(cluster: &Cluster, account: &str) -> String {
    let text = cluster.kubectl(&["config", "view", "--raw", "-o", "json"], None);
    let mut config: Value = serde_json::from_str(&text).unwrap();
    let token = cluster.kubectl(&["create", "token", account], None);
    config["users"][0]["user"] = json!({"token": token.trim()});
    let path = cluster.file("somebody.kubeconfig", &config.to_string());
    path.to_str().unwrap().to_owned()
}

//! Odd worlds: what cannot be read is said, and the profile is written all the same.

use arcctl_sandbox::{
    github::{Mode, Owner, Token},
    proxy::{Effect, Fault, Matching, Nth, System},
    world::{Options, Pace},
};
use serde_json::Value;

use crate::{
    harness::cluster::{Cluster, Ended},
    init::{answer, folder},
    install::adoption::install_by_hand,
};

/// `init --yes` in a new folder.
fn init(cluster: &Cluster, name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let github = cluster.world().environment()["ARCCTL_SANDBOX_GITHUB_URL"].clone();
    let file = folder(cluster, name).join("arcctl.yaml");
    let common = [
        "init",
        "--yes",
        "-o",
        "json",
        "-f",
        file.to_str().unwrap(),
        "--github-url",
        &github,
    ];
    cluster.arcctl_with(&[&common[..], arguments].concat(), variables)
}

/// A finding: its value, or why there is none.
#[track_caller]
fn found<'a>(document: &'a Value, what: &str, key: &str) -> &'a str {
    let all = document["found"].as_array().unwrap();
    let one = all.iter().find(|it| it["what"] == what);
    let one = one.unwrap_or_else(|| panic!("no `{what}` in {document:#}"));
    one[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key}: {one:#}"))
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_a_credential_may_not_is_said() {
    let cluster = Cluster::start(Options {
        pace: Pace::Fast,
        github: Mode::EnterpriseServer("3.9.0".into()),
        ..Options::default()
    });
    let with = |token: Token| {
        let value = cluster.world().github().add_token(token);
        cluster.keep_secret(&value);
        value
    };
    // A server of version 3.9, and a token without any scope.
    let bare = with(Token::classic("me", &[]));
    let scope = ["--organization", "dogecompany"];
    let document = init(&cluster, "bare", &scope, &[("ARCCTL_GITHUB_TOKEN", &bare)]).expect(0);
    assert!(found(&document, "GitHub", "value").contains("GitHub Enterprise Server 3.9.0"));
    assert!(found(&document, "credential", "value").contains("of me, scopes: none"));
    assert!(
        found(&document, "organizations", "unknown").contains("may not read the organizations")
    );
    let refused = found(&document, "registration", "value");
    assert!(
        refused.starts_with("not possible") && refused.contains("admin:org"),
        "{refused}"
    );
    assert_eq!(document["planError"]["code"], 4, "{document:#}");

    // No organization is visible: none is a default, and the flag is named.
    let enterprise = Token::administrator().administering([Owner::enterprise("dogecompany")]);
    let blind = with(enterprise);
    let blind = [("ARCCTL_GITHUB_TOKEN", blind.as_str())];
    let ended = init(&cluster, "blind", &[], &blind);
    let error = &ended.expect(64)["error"];
    let hint = error["hint"].as_str().unwrap();
    assert!(
        hint.contains("--organization, --enterprise or --repository"),
        "{hint}"
    );
    let document = init(
        &cluster,
        "enterprise",
        &["--enterprise", "dogecompany"],
        &blind,
    )
    .expect(0);
    assert!(found(&document, "organizations", "value").starts_with("none visible"));
    assert_eq!(found(&document, "runner groups", "value"), "Default");

    // A token that the server does not know, and a variable that is not set.
    let document = init(
        &cluster,
        "revoked",
        &scope,
        &[("ARCCTL_GITHUB_TOKEN", "ghp_0123456789abcdefghij")],
    )
    .expect(0);
    assert!(found(&document, "credential", "unknown").contains("does not accept the token"));
    let unset = ["--organization", "dogecompany", "--token-from", "env:UNSET"];
    let document = init(&cluster, "unset", &unset, &[]).expect(0);
    assert!(found(&document, "credential", "unknown").contains("`UNSET` is not set"));
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_a_cluster_does_not_show_is_said() {
    let cluster = Cluster::start(Options {
        pace: Pace::Fast,
        nodes: Vec::new(),
        ..Options::default()
    });
    // Fargate only: each of its nodes runs one pod.
    let node = r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "fargate-ip-10-0-1-1",
        "labels": {"eks.amazonaws.com/compute-type": "fargate", "kubernetes.io/arch": "amd64"}}}"#;
    cluster.kubectl(&["create", "-f", "-"], Some(node));
    let scope = ["--organization", "dogecompany"];
    let document = init(&cluster, "fargate", &scope, &[]).expect(0);
    assert_eq!(found(&document, "nodes", "value"), "1 on Fargate");
    assert_eq!(answer(&document, "containers"), "none");

    // Nobody may list anything.
    let proxy = cluster.world().proxy(System::Kubernetes).unwrap();
    let body = r#"{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "nodes is forbidden: User \"me\" cannot list resource \"nodes\""}"#;
    let faults = [
        "/api/v1/nodes",
        "/apis/apps/v1/deployments",
        "/apis/actions.summerwind.dev",
    ]
    .map(|prefix| {
        proxy.add_fault(Fault {
            matching: Matching {
                prefix: prefix.into(),
                ..Matching::default()
            },
            nth: Nth::Every,
            effect: Effect::Respond {
                status: 403,
                body: Some(body.to_owned()),
                headers: vec![("content-type".into(), "application/json".into())],
            },
        })
    });
    let document = init(&cluster, "forbidden", &scope, &[]).expect(0);
    for what in ["nodes", "cert-manager", "runners"] {
        assert!(
            found(&document, what, "unknown").contains("forbidden"),
            "{document:#}"
        );
    }
    assert!(
        document["text"].as_str().unwrap().contains("max: 4\n"),
        "{document:#}"
    );

    // A cluster that is not there.
    let config = cluster.file("gone.config", "apiVersion: v1\nkind: Config\ncurrent-context: gone\nclusters: [{name: k, cluster: {server: 'https://127.0.0.1:1'}}]\ncontexts: [{name: gone, context: {cluster: k, user: u}}]\nusers: [{name: u, user: {}}]\n");
    let gone = [("KUBECONFIG", config.to_str().unwrap())];
    let document = init(&cluster, "gone", &scope, &gone).expect(0);
    assert!(!found(&document, "cluster", "unknown").is_empty());
    assert_eq!(answer(&document, "cluster"), "context:gone");
    for fault in faults {
        assert!(proxy.remove_fault(fault));
    }
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
#[expect(
    clippy::too_many_lines,
    reason = "one story, from the first key to its end"
)]
fn what_others_have_installed_is_said() {
    let cluster = Cluster::with_aws();
    let token = cluster.tokens()[0].clone();
    install_by_hand(&cluster, &token);
    // A second controller, for a namespace of its own.
    let values = serde_json::json!({
        "fullnameOverride": "theirs", "nameOverride": "theirs",
        "scope": {"singleNamespace": true, "watchNamespace": "theirs"},
        "authSecret": {"create": true, "name": "theirs", "github_token": "not one of ours"},
        "leaderElectionId": "theirs",
    });
    let charts = cluster.charts_url();
    let install = [
        "install",
        "theirs",
        "actions-runner-controller",
        "--repo",
        &charts,
        "--version",
        "0.23.3",
    ];
    let place = ["-n", "theirs", "--create-namespace", "-f", "-"];
    cluster.helm(&[&install[..], &place].concat(), Some(&values.to_string()));

    let place = [
        "--eks",
        "runners",
        "--region",
        "ap-northeast-2",
        "--organization",
        "dogecompany",
    ];
    let document = init(&cluster, "eks", &place, &[]).expect(0);
    let controllers = found(&document, "controllers", "value");
    assert!(
        controllers.contains(
            "in namespace actions-runner-system (release `actions-runner-controller` of helm"
        ),
        "{controllers}"
    );
    assert!(
        controllers
            .contains("in namespace theirs (release `theirs` of helm, watches namespace theirs"),
        "{controllers}"
    );
    let cert_manager = found(&document, "cert-manager", "value");
    assert_eq!(
        cert_manager,
        "v1.12.0 in namespace cert-manager, installed by helm (release `cert-manager`)"
    );
    // What is there is not arcctl's: the plan is refused, and the profile is written.
    assert_eq!(document["planError"]["code"], 7, "{document:#}");
    assert!(
        document["text"]
            .as_str()
            .unwrap()
            .contains("eks: runners\n")
    );

    // Without a cluster's name, EKS lists them, and the account may refuse that.
    let rules = cluster.world().aws_rules().unwrap();
    let scope = ["--organization", "dogecompany"];
    let none = [("KUBECONFIG", "/nonexistent")];
    let document = init(&cluster, "listed", &scope, &none).expect(0);
    assert_eq!(answer(&document, "cluster"), "eks:runners@ap-northeast-2");
    rules.allow_only(&serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"},
    ]}));
    let ended = init(&cluster, "denied", &scope, &none);
    let hint = ended.expect(64)["error"]["hint"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        hint.contains("--eks NAME --region REGION, or --context NAME"),
        "{hint}"
    );
    assert!(
        ended.stderr.contains("could not find out"),
        "{}",
        ended.stderr
    );
    rules.allow_all();
    cluster.finish();
}

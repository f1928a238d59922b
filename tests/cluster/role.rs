//! `docs/rbac.yaml` is enough for every command, and no more: what the API server's audit log does not show as used by these
//! runs has its reason here.

use std::{collections::BTreeSet, path::Path};

use arcctl_sandbox::{
    github::Token,
    world::{Options, Pace},
};
use serde_json::Value;

use crate::{
    cluster::{Cluster, Ended},
    monitoring::operator,
    refusals::kubeconfig_of,
};

const ROLE: &str = include_str!("../../docs/rbac.yaml");

/// Whose calls the sandbox's API server writes down.
const ACCOUNT: &str = "audited";

const SYSTEM: &str = "actions-runner-system";

const REPOSITORY: &str = "dogecompany/app";

/// What makes the controller's chart have a budget too, the objects for a Prometheus and a Grafana, and a role at AWS for
/// the runners.
const WITH_ALL: [(&str, &str); 4] = [
    ("eks: runners", "eks: runners\n  context: sandbox"),
    (
        "pools:\n",
        "aws:\n  podIdentity:\n    role: actions-runner-role\n    serviceAccount: runner\n\npools:\n",
    ),
    (
        "dockerImage: docker:28-dind\n",
        "dockerImage: docker:28-dind\n  values: {podDisruptionBudget: {enabled: true, maxUnavailable: 1}}\n",
    ),
    (
        "timeouts: {",
        "monitoring: {serviceMonitor: auto, alerts: auto, dashboard: auto}\ntimeouts: {",
    ),
];

/// Rights that these runs need not use: the resource, the verbs, and what does use them.
const ELSEWHERE: &[(&str, &[&str], &str)] = &[
    // Watches begin where a run has something to wait for.
    ("configmaps", &["list", "watch"], WAITED_FOR),
    ("namespaces", &["list", "watch"], WAITED_FOR),
    ("serviceaccounts", &["list", "watch"], WAITED_FOR),
    ("secrets", &["watch"], WAITED_FOR),
    ("jobs.batch", &["list", "watch"], WAITED_FOR),
    (
        "customresourcedefinitions.apiextensions.k8s.io",
        &["list", "watch"],
        WAITED_FOR,
    ),
    (
        "certificates.cert-manager.io",
        &["list", "watch"],
        WAITED_FOR,
    ),
    (
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        &["watch"],
        WAITED_FOR,
    ),
    (
        "horizontalrunnerautoscalers.actions.summerwind.dev",
        &["list", "watch"],
        WAITED_FOR,
    ),
    (
        "prometheusrules.monitoring.coreos.com",
        &["list", "watch"],
        WAITED_FOR,
    ),
    (
        "runnerdeployments.actions.summerwind.dev",
        &["list", "watch"],
        WAITED_FOR,
    ),
    (
        "roles.rbac.authorization.k8s.io",
        &["list", "watch"],
        WAITED_FOR,
    ),
    (
        "rolebindings.rbac.authorization.k8s.io",
        &["list", "watch"],
        WAITED_FOR,
    ),
    (
        "deployments.apps",
        &["list", "watch"],
        "doctor --fix: cert-manager's injector starts anew",
    ),
    // No calls of their own: they let helm's `create` of roles and bindings pass.
    (
        "clusterroles.rbac.authorization.k8s.io",
        &["escalate", "bind"],
        "rights that this user has not",
    ),
    (
        "roles.rbac.authorization.k8s.io",
        &["escalate", "bind"],
        "rights that this user has not",
    ),
    // Helm 3 patches what differs; helm 4 applies every object each time.
    ("services", &["patch"], CHANGED),
    ("serviceaccounts", &["patch"], CHANGED),
    (
        "clusterroles.rbac.authorization.k8s.io",
        &["patch"],
        CHANGED,
    ),
    (
        "clusterrolebindings.rbac.authorization.k8s.io",
        &["patch"],
        CHANGED,
    ),
    ("roles.rbac.authorization.k8s.io", &["patch"], CHANGED),
    (
        "rolebindings.rbac.authorization.k8s.io",
        &["patch"],
        CHANGED,
    ),
    ("servicemonitors.monitoring.coreos.com", &["patch"], CHANGED),
];

const WAITED_FOR: &str = "an object that is not ready, or not gone, at the first look";

const CHANGED: &str = "an object of a chart that another version or other values change";

/// The checks that a report has as broken.
fn broken(ended: &Ended) -> Vec<String> {
    let document = ended.document();
    let checks = document["checks"].as_array().into_iter().flatten();
    checks
        .filter(|it| it["verdict"] == "broken" && it["severity"] == "required")
        .filter_map(|it| it["id"].as_str().map(str::to_owned))
        .collect()
}

/// A right: the resource as `resource.group`, and the verb.
type Right = (String, String);

#[test]
fn the_documented_role_is_enough_and_no_more() {
    let cluster = Cluster::start(Options {
        pace: Pace::Fast,
        aws: true,
        ..Options::default()
    });
    let kubeconfig = kubeconfig_of_the_role(&cluster);
    cluster.kubectl(&["apply", "-f", "-"], Some(&operator()));
    let profile = cluster.eks_profile("arcctl", &WITH_ALL);
    let file = profile.to_str().unwrap();
    let run = |command: &[&str], variables: &[(&str, &str)]| -> Ended {
        let common = ["-f", file, "--kubeconfig", &kubeconfig, "-o", "json"];
        let ended = cluster.arcctl_with(&[command, &common].concat(), variables);
        // No pod of the sandbox has the token of Pod Identity, which is a file of an EKS node.
        let no_role = command.contains(&"--probe") && broken(&ended) == ["probe-takes-role"];
        assert_eq!(
            ended.code,
            i32::from(no_role),
            "{command:?}: {}{}",
            ended.stderr,
            ended.stdout
        );
        ended
    };
    let _made = run(&["up", "--yes"], &[]);
    let token = cluster.world().github().add_token(Token::administrator());
    cluster.keep_secret(&token);
    let rotated = [("ARCCTL_GITHUB_TOKEN", token.as_str())];
    let reads = [&["doctor"][..], &["status"], &["plan"]];
    for command in [&["up", "--yes"][..], &["doctor", "--probe"]]
        .into_iter()
        .chain(reads)
    {
        let _ended = run(command, &rotated);
    }
    commit_workflow(&cluster, file);
    let _smoked = run(&["smoke", "--repository", REPOSITORY], &rotated);
    let lose = ["-n", SYSTEM, "delete", "secret", "controller-manager"];
    cluster.kubectl(&lose, None);
    let _mended = run(&["doctor", "--fix", "--yes"], &rotated);
    // Without its controller a teardown does by hand what the controller would have done.
    let stop = [
        "scale",
        "deployment",
        "actions-runner-controller",
        "--replicas=0",
    ];
    cluster.kubectl(&[&["-n", SYSTEM][..], &stop].concat(), None);
    let _removed = run(&["teardown", "--yes", "--force", "--crds"], &rotated);
    assert_no_more_than_needed(&used(&cluster));
    cluster.finish();
}

/// Commits the workflow that `render` writes.
fn commit_workflow(cluster: &Cluster, file: &str) {
    let directory = Path::new(file).with_file_name("rendered");
    let rendered = cluster.arcctl(&["render", directory.to_str().unwrap(), "-f", file]);
    assert_eq!(rendered.code, 0, "{}", rendered.stderr);
    let name = "arcctl-smoke.yaml";
    let text = std::fs::read_to_string(directory.join(".github/workflows").join(name)).unwrap();
    let github = cluster.world().github();
    github.commit(REPOSITORY, name, &text).unwrap();
}

/// A kubeconfig of an account that has the documented role and nothing else.
fn kubeconfig_of_the_role(cluster: &Cluster) -> String {
    cluster.kubectl(&["create", "serviceaccount", ACCOUNT], None);
    cluster.kubectl(&["apply", "-f", "-"], Some(ROLE));
    let binding = [
        "create",
        "clusterrolebinding",
        "arcctl",
        "--clusterrole=arcctl",
    ];
    let whom = format!("--serviceaccount=default:{ACCOUNT}");
    cluster.kubectl(&[&binding[..], &[&whom]].concat(), None);
    kubeconfig_of(cluster, ACCOUNT)
}

/// What the account has done, by the API server's audit log. Nothing was forbidden.
fn used(cluster: &Cluster) -> BTreeSet<Right> {
    let path = cluster.world().directory().join("control-plane/audit.log");
    let log = std::fs::read_to_string(path).unwrap();
    let mut rights = BTreeSet::new();
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let decision = &event["annotations"]["authorization.k8s.io/decision"];
        assert_ne!(decision, "forbid", "{event:#}");
        let object = &event["objectRef"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let resource = named(&text(&object["resource"]), &text(&object["apiGroup"]));
        // What applies an object that is not there must have the right to create it.
        if event["verb"] == "patch" && event["responseStatus"]["code"] == 201 {
            rights.insert((resource.clone(), "create".to_owned()));
        }
        rights.insert((resource, text(&event["verb"])));
    }
    rights
}

fn named(resource: &str, group: &str) -> String {
    match group {
        "" => resource.to_owned(),
        group => format!("{resource}.{group}"),
    }
}

/// The rights of the role, in its order.
fn granted() -> Vec<Right> {
    let role: Value = serde_saphyr::from_str(ROLE).unwrap();
    let list = |value: &Value| -> Vec<String> {
        let items = value.as_array().unwrap().iter();
        items.map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                let verbs = list(&rule["verbs"]).into_iter();
                rights.extend(verbs.map(|verb| (named(&resource, &group), verb)));
            }
        }
    }
    rights
}

/// Each right is granted once, and either used or has its reason; each reason is one of a right that is granted.
fn assert_no_more_than_needed(used: &BTreeSet<Right>) {
    let granted = granted();
    let all: BTreeSet<&Right> = granted.iter().collect();
    assert_eq!(all.len(), granted.len(), "granted twice: {granted:?}");
    let reasons: BTreeSet<Right> = ELSEWHERE
        .iter()
        .flat_map(|(resource, verbs, _)| verbs.iter().map(|it| ((*resource).into(), (*it).into())))
        .collect();
    let known = |right: &Right| used.contains(right) || reasons.contains(right);
    // Used is: for what no other rule names.
    let everything = ("*.*".to_owned(), "list".to_owned());
    let unnamed = |it: &&Right| it.1 == "list" && !all.contains(it);
    assert!(
        used.iter().any(|it| unnamed(&it)),
        "no use of {everything:?}"
    );
    let unused: Vec<&Right> = granted
        .iter()
        .filter(|it| **it != everything && !known(it))
        .collect();
    let stale: Vec<&Right> = reasons.iter().filter(|it| !all.contains(it)).collect();
    assert!(
        unused.is_empty() && stale.is_empty(),
        "neither used nor with a reason: {unused:#?}\nreasons for what is not granted: {stale:#?}"
    );
}

//! The runners' role by EKS Pod Identity. moto has no associations: the sandbox's proxy stores them, and new pods get
//! theirs a moment after EKS has confirmed it.

use std::path::PathBuf;

use arcctl_sandbox::{cloud::ACCOUNT, proxy::System};
use serde_json::{Value, json};

use crate::{
    aws::{assert_unchanged, denied, ids, on},
    doctor::cases::Elsewhere,
    doctor::{check, run},
    harness::account::Account,
    harness::cluster::Cluster,
};
use arcctl_sandbox::proxy::Nth;

const ROLE: &str = "actions-runner-role";
const ACCOUNT_OF_RUNNERS: &str = "runner";
const ID: &str = "pod-identity-association/actions-runner/runner";

fn profile(cluster: &Cluster, name: &str, key: &str, role: &str) -> PathBuf {
    let aws = format!(
        "aws:\n  {key}:\n    role: {role}\n    serviceAccount: {ACCOUNT_OF_RUNNERS}\n\npools:\n"
    );
    cluster.eks_profile(name, &[("pools:\n", &aws)])
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn pods_get_their_role_by_an_association() {
    let cluster = Cluster::with_aws();
    let account = Account::of(&cluster);
    let file = profile(&cluster, "arcctl", "podIdentity", ROLE);
    each_missing_permission_is_named(&cluster, &file);
    // The runs before have made the rest; this one makes what is left, without the add-on.
    let ended = cluster.up(&file, &[]);
    ended.expect(0);
    assert!(
        ended.stderr.contains(
            "aws eks create-addon --cluster-name runners --addon-name eks-pod-identity-agent"
        ),
        "{}",
        ended.stderr
    );
    assert_made(&cluster, &account);
    the_doctor_sees_the_agent(&cluster, &file);
    assert_unchanged(&cluster, &file);
    let ended = cluster.plan(&file, &[]);
    assert!(!ended.stderr.contains("add-on"), "{}", ended.stderr);
    drift_is_mended(&cluster, &account, &file);
    the_doctor_sees_drift(&cluster, &account, &file);
    a_role_made_a_moment_ago_is_given(&cluster, &account, &file);
    another_s_is_left(&cluster, &account);
    from_irsa_and_back(&cluster, &account, &file);
    by_name_and_context(&cluster, &account);
    cluster.finish();
}

/// The calls that Pod Identity adds to a first `up`.
fn each_missing_permission_is_named(cluster: &Cluster, file: &std::path::Path) {
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    for (call, permission) in [
        (
            "GET /pod-identity-associations?",
            "eks:ListPodIdentityAssociations",
        ),
        (
            "POST /pod-identity-associations",
            "eks:CreatePodIdentityAssociation",
        ),
        (
            "GET /pod-identity-associations/a-",
            "eks:DescribePodIdentityAssociation",
        ),
    ] {
        let fault = on(cluster, call, Nth::Every, 403);
        let hint = denied(cluster, file);
        assert!(
            hint.contains(&format!("`{permission}` on `runners`")),
            "{hint}"
        );
        assert!(proxy.remove_fault(fault));
    }
}

fn assert_made(cluster: &Cluster, account: &Account) {
    let trust = account.trust(ROLE);
    let statement = &trust["Statement"][0];
    assert_eq!(statement["Principal"]["Service"], "pods.eks.amazonaws.com");
    assert_eq!(
        statement["Action"],
        json!(["sts:AssumeRole", "sts:TagSession"])
    );
    let tags = &statement["Condition"]["StringEquals"];
    let arn = format!("arn:aws:eks:ap-northeast-2:{ACCOUNT}:cluster/runners");
    assert_eq!(tags["aws:RequestTag/eks-cluster-arn"], arn);
    assert_eq!(
        account.providers(),
        Vec::<String>::new(),
        "no OIDC provider"
    );
    let found = account.association(ACCOUNT_OF_RUNNERS).unwrap();
    assert_eq!(found.tags().unwrap()["arcctl.dev/profile"], "dogecompany");
    let live = cluster.get("serviceaccount", "actions-runner", ACCOUNT_OF_RUNNERS);
    assert_eq!(live["metadata"]["annotations"], Value::Null);
    let pods = ["-n", "actions-runner", "get", "pods", "-o", "json"];
    let pods: Value = serde_json::from_str(&cluster.kubectl(&pods, None)).unwrap();
    for container in pods["items"][0]["spec"]["containers"].as_array().unwrap() {
        let mut names = container["env"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["name"]);
        assert!(
            names.any(|it| it == "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
            "{container}"
        );
    }
    let inventory = cluster.get("configmap", "actions-runner-system", "arcctl-dogecompany");
    let details: Value =
        serde_json::from_str(inventory["data"]["details"].as_str().unwrap()).unwrap();
    assert_eq!(details[ID]["cluster"], "runners");
}

/// The agent, on no node: there is none that it could give a role on.
fn make_agent(cluster: &Cluster) {
    let agent = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "eks-pod-identity-agent", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": {"app": "agent"}},
            "template": {
                "metadata": {"labels": {"app": "agent"}},
                "spec": {
                    "nodeSelector": {"no": "node"},
                    "containers": [{"name": "agent", "image": "agent"}],
                },
            },
        },
    });
    let _said = cluster.kubectl(&["create", "-f", "-"], Some(&agent.to_string()));
}

/// The agent is missing, as the add-on is; the fix's own command is AWS's, which would make what is made here.
fn the_doctor_sees_the_agent(cluster: &Cluster, file: &std::path::Path) {
    let id = Elsewhere::PodIdentityAgent.id();
    let look = || {
        let document = run(cluster, file, &["--only", id]).expect(0);
        check(&document, id).clone()
    };
    let missing = look();
    assert_eq!(missing["verdict"], "broken");
    let fix = missing["fix"].as_str().unwrap();
    assert!(
        fix.contains(
            "`aws eks create-addon --cluster-name runners --addon-name eks-pod-identity-agent`"
        ),
        "{fix}"
    );
    make_agent(cluster);
    assert_eq!(look()["verdict"], "holds");
}

/// An association that gives another role is told, and mended by the command that is printed, or by `--fix`; one of
/// somebody else's is known to be wrong, and left.
fn the_doctor_sees_drift(cluster: &Cluster, account: &Account, file: &std::path::Path) {
    let id = Elsewhere::PodIdentityAssociation.id();
    let look = |more: &[&str]| run(cluster, file, &[&["--only", id][..], more].concat());
    let other = format!("arn:aws:iam::{ACCOUNT}:role/other");
    for fixed in [false, true] {
        account.set_association_role(ACCOUNT_OF_RUNNERS, &other);
        let document = look(&[]).expect(1);
        let found = check(&document, id);
        assert!(found["found"].to_string().contains("roleArn"), "{found}");
        if fixed {
            let document = look(&["--fix", "--yes"]).expect(0);
            assert_eq!(document["fixed"], json!([id]));
        } else {
            assert!(found["fix"].to_string().contains("`arcctl up`"), "{found}");
            cluster.up(file, &[]).expect(0);
            let document = look(&[]).expect(0);
            assert_eq!(check(&document, id)["verdict"], "holds");
        }
        let found = account.association(ACCOUNT_OF_RUNNERS).unwrap();
        assert_ne!(found.role_arn(), Some(other.as_str()));
    }
}

fn drift_is_mended(cluster: &Cluster, account: &Account, file: &std::path::Path) {
    account.make_role("other", &account.trust(ROLE));
    account.set_association_role(
        ACCOUNT_OF_RUNNERS,
        &format!("arn:aws:iam::{ACCOUNT}:role/other"),
    );
    let planned = cluster.plan(file, &[]).planned();
    let expected = format!(
        "update {ID}\n  roleArn: \"arn:aws:iam::{ACCOUNT}:role/other\" -> \"arn:aws:iam::{ACCOUNT}:role/{ROLE}\""
    );
    assert_eq!(planned, expected);
    let update = on(
        cluster,
        "POST /pod-identity-associations/a-",
        Nth::Every,
        403,
    );
    let hint = denied(cluster, file);
    assert!(
        hint.contains("`eks:UpdatePodIdentityAssociation`"),
        "{hint}"
    );
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    assert!(proxy.remove_fault(update));
    assert_eq!(cluster.up(file, &[]).expect(0)["changed"], 1);
    assert_unchanged(cluster, file);
    // With a target, pods get that role in place of the one the profile names.
    let target = format!("arn:aws:iam::{ACCOUNT}:role/target");
    account.set_association_target(ACCOUNT_OF_RUNNERS, &target);
    let planned = cluster.plan(file, &[]).planned();
    assert!(
        planned.contains(&format!("targetRoleArn: \"{target}\" -> null")),
        "{planned}"
    );
    assert_eq!(cluster.up(file, &[]).expect(0)["changed"], 1);
    let found = account.association(ACCOUNT_OF_RUNNERS).unwrap();
    assert_eq!(found.target_role_arn(), None);
    assert_unchanged(cluster, file);
}

/// The association is changed to a role that EKS does not see yet.
fn a_role_made_a_moment_ago_is_given(cluster: &Cluster, account: &Account, file: &std::path::Path) {
    let rules = cluster.world().aws_rules().unwrap();
    rules.set_window(std::time::Duration::from_secs(9));
    let renamed = profile(cluster, "renamed", "podIdentity", "a-policy-of-roles");
    cluster.up(&renamed, &[]).expect(0);
    let found = account.association(ACCOUNT_OF_RUNNERS).unwrap();
    let role = format!("arn:aws:iam::{ACCOUNT}:role/a-policy-of-roles");
    assert_eq!(found.role_arn(), Some(role.as_str()));
    rules.set_window(std::time::Duration::from_secs(1));
    cluster.up(file, &[]).expect(0);
    assert_unchanged(cluster, file);
}

/// An association of somebody else's with another role is refused, and stays.
fn another_s_is_left(cluster: &Cluster, account: &Account) {
    let other = format!("arn:aws:iam::{ACCOUNT}:role/other");
    account.make_association("theirs", &other);
    let text = std::fs::read_to_string(profile(cluster, "theirs", "podIdentity", ROLE)).unwrap();
    let file = cluster.file(
        "theirs.yaml",
        &text.replace("serviceAccount: runner", "serviceAccount: theirs"),
    );
    let error = &cluster.up(&file, &[]).expect(7)["error"];
    assert_eq!(error["system"], "aws");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("its `roleArn` is "), "{message}");
    let hint = error["hint"].as_str().unwrap();
    assert!(
        hint.contains("aws eks delete-pod-identity-association"),
        "{hint}"
    );
    assert_eq!(
        account.association("theirs").unwrap().role_arn(),
        Some(other.as_str())
    );
}

/// The same role by the OIDC provider: our statement is replaced in place, and the association goes.
fn from_irsa_and_back(cluster: &Cluster, account: &Account, file: &std::path::Path) {
    let irsa = profile(cluster, "irsa", "irsa", ROLE);
    let document = cluster.up(&irsa, &[]).expect(0);
    assert_eq!(ids(&document, "delete"), [ID]);
    assert!(account.association(ACCOUNT_OF_RUNNERS).is_none());
    let trust = account.trust(ROLE);
    assert_eq!(trust["Statement"].as_array().unwrap().len(), 1);
    assert_eq!(
        trust["Statement"][0]["Action"],
        "sts:AssumeRoleWithWebIdentity"
    );
    assert_unchanged(cluster, &irsa);
    cluster.up(file, &[]).expect(0);
    assert_unchanged(cluster, file);
}

/// From the inventory alone, which leads to the account: the association, the role and the rule go, and what is another's
/// stays. A context that is not this cluster's takes nothing away.
fn by_name_and_context(cluster: &Cluster, account: &Account) {
    let theirs = account.association("theirs").unwrap();
    let before = account.listing();
    assert!(before.contains_key(&format!("role {ROLE}")), "{before:#?}");
    let teardown = |context: &str| {
        let arguments = ["teardown", "--yes", "-o", "json", "--name", "dogecompany"];
        cluster.arcctl(&[&arguments[..], &["--context", context]].concat())
    };
    assert_ne!(teardown("elsewhere").code, 0);
    assert_eq!(account.listing(), before);
    let document = teardown("sandbox").expect(0);
    let gone = ids(&document, "delete");
    for id in [ID.to_owned(), format!("iam-role/-/{ROLE}")] {
        assert!(gone.contains(&id), "{id}: {gone:#?}");
    }
    assert!(
        gone.iter().any(|it| it.starts_with("security-group-rule/")),
        "{gone:#?}"
    );
    assert!(account.association(ACCOUNT_OF_RUNNERS).is_none());
    let left = account.listing();
    assert!(!left.keys().any(|it| it.ends_with(ROLE)), "{left:#?}");
    assert!(left.contains_key("role other"), "{left:#?}");
    let rules = |listing: &std::collections::BTreeMap<String, String>| {
        let rules = listing.iter().filter(|(it, _)| it.starts_with("sgr-"));
        rules.filter(|(_, it)| it.contains("arcctl")).count()
    };
    assert!(rules(&before) > 0 && rules(&left) == 0, "{left:#?}");
    let kept = account.association("theirs").unwrap();
    assert_eq!(kept.association_id(), theirs.association_id());
}

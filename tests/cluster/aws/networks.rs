//! Roles and security groups of other owners: merged and recognized, never adopted, in one sandbox; and the networks of pods
//! whose nodes are not there yet.

use std::path::{Path, PathBuf};

use arcctl_sandbox::{
    cloud::{
        ACCOUNT,
        vpc_cni::{self, EniConfig},
    },
    kubelet::NodeSpec,
    proxy::{Nth, System},
    world::{Options, Pace},
};
use serde_json::{Value, json};

use crate::{
    aws::{assert_unchanged, denied, foreign, ids, on, sandbox},
    harness::account::Account,
    harness::cluster::Cluster,
};

const THEIRS: &str = "arn:aws:iam::123456789012:role/teams/theirs";
const BOUNDARY: &str = "arn:aws:iam::123456789012:policy/boundary";

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_others_have_is_used_and_left() {
    let cluster = Cluster::start(Options {
        pace: Pace::Fast,
        aws: true,
        nodes: (0..3).map(NodeSpec::numbered).collect(),
        ..Options::default()
    });
    let account = Account::of(&cluster);
    account.make_policy("boundary");
    account.make_policy("other");
    rules_are_made_where_they_are_missing(&cluster, &account);
    a_role_by_arn_is_merged_into(&cluster, &account);
    a_role_by_name_is_made_as_the_profile_says(&cluster, &account);
    cluster.finish();
}

fn profile(cluster: &Cluster, name: &str, aws: &str) -> PathBuf {
    let aws = format!("aws:\n{aws}\npools:\n");
    cluster.eks_profile(name, &[("pools:\n", &aws)])
}

/// A node group that begins with no node: only its `ENIConfig` says which network the pods there will have.
#[test]
#[ignore = "slow: `make test-slow`"]
fn pods_of_nodes_that_are_not_there_yet_get_their_rules() {
    let (cluster, account) = sandbox();
    let cloud = cluster.world().cloud().unwrap();
    let control = cloud.cluster_group.clone();
    let pods = account.make_group(&cloud.vpc, "pods");
    let gone = "sg-0123456789abcdef0";
    let config = |name: &str, groups: &[&str]| EniConfig {
        name: name.to_owned(),
        subnet: cloud.subnets[0].clone(),
        groups: groups.iter().map(ToString::to_string).collect(),
    };
    let configs = [
        config("pods", &[pods.as_str()]),
        config("gone", &[gone]),
        config("plain", &[]),
    ];
    let client = cluster.world().kube();
    cluster
        .block_on(vpc_cni::install(&client, &configs))
        .unwrap();
    let server = "  githubServer:\n    cidr: 192.0.2.0/24\n";
    let file = profile(&cluster, "networks", server);
    let of_pods = format!("security-group-rule/{pods}/ingress-9443-from-{control}");

    // The objects alone turn nothing on.
    let plan = cluster.plan(&file, &[]).expect(0);
    assert!(!ids(&plan, "create").contains(&of_pods), "{plan:#}");
    let set = ["-n", "kube-system", "set", "env", "daemonset/aws-node"];
    let switch = "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG=true";
    cluster.kubectl(&[&set[..], &[switch]].concat(), None);

    let ended = cluster.up(&file, &[]);
    let created = ids(&ended.expect(0), "create");
    assert!(created.contains(&of_pods), "{created:#?}");
    assert!(!created.iter().any(|it| it.contains(gone)), "{created:#?}");
    let advice = format!("ENIConfig `gone` names the security group `{gone}`");
    assert!(ended.stderr.contains(&advice), "{}", ended.stderr);
    assert_unchanged(&cluster, &file);
    cluster.finish();
}

/// A managed group (the nodes' own group), a self-managed one, and Karpenter's, whose nodes are in the cluster's group too.
fn rules_are_made_where_they_are_missing(cluster: &Cluster, account: &Account) {
    let cloud = cluster.world().cloud().unwrap();
    let (node, control) = (&cloud.node_group, &cloud.cluster_group);
    let own = account.make_group(&cloud.vpc, "self-managed");
    let karpenter = account.make_group(&cloud.vpc, "karpenter");
    let instances = account.instances();
    account.set_groups(&instances[1], &[&own]);
    account.set_groups(&instances[2], &[&karpenter, control]);
    // Somebody's wider rules: of ports and addresses here, for everything from its own group in the cluster's.
    account.allow_cidr(&own, (9000, 11000), "10.0.0.0/8");
    account.revoke_egress(&own);
    let file = profile(
        cluster,
        "outside",
        "  githubServer:\n    cidr: 192.0.2.0/24\n",
    );
    let plan = cluster.plan(&file, &[]).expect(0);
    let rules = |action: &str| -> Vec<String> {
        let mut found = ids(&plan, action);
        found.retain(|it| it.starts_with("security-group-rule/"));
        found.sort();
        found
    };
    let id = |group: &str, rule: &str| format!("security-group-rule/{group}/{rule}");
    let webhook = format!("ingress-9443-from-{control}");
    let out = "egress-443-to-192.0.2.0/24";
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(
        rules("create"),
        sorted(vec![id(node, &webhook), id(&own, out)])
    );
    let kept = vec![
        id(node, out),
        id(&own, &webhook),
        id(&karpenter, out),
        id(&karpenter, &webhook),
    ];
    assert_eq!(rules("keep"), sorted(kept));
    a_missing_rule_is_said(cluster, &file);
    cluster.up(&file, &[]).expect(0);
    assert_unchanged(cluster, &file);
    the_ports_of_eks_need_no_rule(cluster, &file);
}

/// Which rule is missing is said to whoever may not make it.
fn a_missing_rule_is_said(cluster: &Cluster, file: &Path) {
    let cloud = cluster.world().cloud().unwrap();
    let (node, control) = (&cloud.node_group, &cloud.cluster_group);
    let fault = on(
        cluster,
        "Action=AuthorizeSecurityGroupIngress&",
        Nth::Every,
        403,
    );
    let ended = cluster.up(file, &[]);
    let error = ended.expect(4)["error"].clone();
    cluster
        .world()
        .proxy(System::Aws)
        .unwrap()
        .remove_fault(fault);
    let rule = format!(
        "cannot add the rule `TCP 9443 from {control}` (the API server reaches the webhooks of the controller) to the security group `{node}`"
    );
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with(&rule), "{message}");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("or write `webhookPort: 10250`"), "{hint}");
}

fn the_ports_of_eks_need_no_rule(cluster: &Cluster, file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    let text = text.replace("webhookPort: 9443", "webhookPort: 10250");
    assert!(text.contains("10250"), "{text}");
    let plan = cluster
        .plan(&cluster.file("port.yaml", &text), &[])
        .expect(0);
    let mut created = ids(&plan, "create");
    created.retain(|it| it.starts_with("security-group-rule/"));
    assert_eq!(created, Vec::<String>::new());
}

fn a_role_by_arn_is_merged_into(cluster: &Cluster, account: &Account) {
    let by_arn = format!("  irsa:\n    role: {THEIRS}\n    serviceAccount: theirs\n");
    let file = profile(cluster, "by-arn", &by_arn);
    let missing = cluster.up(&file, &[]);
    let error = missing.expect(1)["error"].clone();
    assert_eq!(error["message"], "the IAM role `theirs` does not exist");
    assert!(
        error["hint"].as_str().unwrap().contains("create it"),
        "{error}"
    );
    let trust = json!({"Version": "2012-10-17", "Statement": foreign(2)});
    account.make_role_at("/teams/", "theirs", &trust, BOUNDARY);
    let before = account.role("theirs");
    cluster.up(&file, &[]).expect(0);
    let after = account.role("theirs");
    assert_eq!(after.path(), before.path());
    assert_eq!(after.permissions_boundary(), before.permissions_boundary());
    assert_eq!(after.tags(), before.tags(), "it is not marked as ours");
    let statements = account.trust("theirs")["Statement"].clone();
    assert_eq!(statements.as_array().unwrap()[..2], foreign(2));
    assert_eq!(statements.as_array().unwrap().len(), 3);
    let live = cluster.get("serviceaccount", "actions-runner", "theirs");
    assert_eq!(
        live["metadata"]["annotations"]["eks.amazonaws.com/role-arn"],
        THEIRS
    );
    assert_unchanged(cluster, &file);
    // Another account's is its owner's.
    let text = std::fs::read_to_string(&file).unwrap();
    let elsewhere = cluster.file("elsewhere.yaml", &text.replace(ACCOUNT, "444455556666"));
    let refused = cluster.up(&elsewhere, &[]).expect(7)["error"].clone();
    assert!(
        refused["hint"].as_str().unwrap().contains("arcctl render"),
        "{refused}"
    );
}

fn a_role_by_name_is_made_as_the_profile_says(cluster: &Cluster, account: &Account) {
    let named = format!(
        "  irsa:\n    role: made\n    serviceAccount: theirs\n    path: /ci/\n    permissionsBoundary: {BOUNDARY}\n"
    );
    let file = profile(cluster, "by-name", &named);
    cluster.up(&file, &[]).expect(0);
    let made = account.role("made");
    let boundary = |role: &aws_sdk_iam::types::Role| {
        let boundary = role.permissions_boundary().unwrap();
        boundary.permissions_boundary_arn().unwrap().to_owned()
    };
    assert_eq!((made.path(), boundary(&made).as_str()), ("/ci/", BOUNDARY));
    let live = cluster.get("serviceaccount", "actions-runner", "theirs");
    let arn: &Value = &live["metadata"]["annotations"]["eks.amazonaws.com/role-arn"];
    assert_eq!(*arn, format!("arn:aws:iam::{ACCOUNT}:role/ci/made"));
    assert_unchanged(cluster, &file);
    // The boundary of what arcctl made is kept.
    account.set_boundary("made", &format!("arn:aws:iam::{ACCOUNT}:policy/other"));
    let planned = cluster.plan(&file, &[]).planned();
    assert!(planned.contains("permissionsBoundary: "), "{planned}");
    let fault = on(
        cluster,
        "Action=PutRolePermissionsBoundary&",
        Nth::Every,
        403,
    );
    let hint = denied(cluster, &file);
    assert!(
        hint.contains("`iam:PutRolePermissionsBoundary` on `made`"),
        "{hint}"
    );
    cluster
        .world()
        .proxy(System::Aws)
        .unwrap()
        .remove_fault(fault);
    cluster.up(&file, &[]).expect(0);
    assert_eq!(boundary(&account.role("made")), BOUNDARY);
}

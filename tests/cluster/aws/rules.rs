//! Rules of AWS that moto lacks and the proxy before it enforces: a complete run for each rule.

use std::path::PathBuf;
use std::time::Duration;

use arcctl_sandbox::{cloud::rules::Told, proxy::System};
use serde_json::{Value, json};

use crate::{
    aws::{POLICY, ROLE, assert_unchanged, aws_writes, foreign, ids, profile, sandbox},
    harness::account::Account,
    harness::cluster::Cluster,
};

/// The sandbox's profile with a section `aws`.
fn with(cluster: &Cluster, name: &str, aws: &str) -> PathBuf {
    let aws = format!("aws:\n{aws}\npools:\n");
    cluster.eks_profile(name, &[("pools:\n", &aws)])
}

fn irsa(more: &str) -> String {
    format!("  irsa:\n    role: {ROLE}\n    serviceAccount: {ROLE}\n{more}")
}

fn rules(cluster: &Cluster, window: Duration) {
    cluster.world().aws_rules().unwrap().set_window(window);
}

/// Runs `plan`, which must fail before anything is written; message, cause and hint.
#[track_caller]
fn planned_failure(cluster: &Cluster, file: &std::path::Path) -> String {
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    proxy.reset_counts();
    let ended = cluster.plan(file, &[]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_eq!(aws_writes(cluster), 0);
    let error = ended.document()["error"].clone();
    error.to_string()
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn descriptions_are_of_characters_that_ec2_takes() {
    let (cluster, account) = sandbox();
    let file = profile(&cluster, &[]);
    cluster.up(&file, &[]).expect(0);
    let made = account.listing();
    // moto keeps no description of a rule that names a group: that it was sent in these characters is what the proxy demands.
    let rules = made
        .iter()
        .filter(|(id, it)| id.starts_with("sgr-") && it.contains("arcctl.dev/profile"));
    assert_eq!(rules.count(), 2, "{made:#?}");
    assert_unchanged(&cluster, &file);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn rules_by_networks_in_any_form_are_found_again() {
    let (cluster, account) = sandbox();
    let node = cluster.world().cloud().unwrap().node_group.clone();
    account.revoke_egress(&node);
    for (index, given) in [
        "192.0.2.77/24",
        "198.51.100.1/25",
        "2001:DB8:0::1/48",
        "2001:0db8:ffff::/47",
    ]
    .iter()
    .enumerate()
    {
        let before = account.listing();
        let server = format!("  githubServer:\n    cidr: {given:?}\n");
        let file = with(&cluster, &format!("network{index}"), &server);
        cluster.up(&file, &[]).expect(0);
        assert_ne!(account.listing(), before, "{given}");
        assert_unchanged(&cluster, &file);
        let file = file.to_str().unwrap();
        let ended = cluster.arcctl(&["teardown", "--yes", "-o", "json", "-f", file]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(account.listing(), before, "{given}: something is left");
    }
    cluster.finish();
}

/// EC2 adds no rule between groups of two VPCs that nothing joins.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_server_s_group_in_another_vpc_is_named_before_the_first_write() {
    let (cluster, account) = sandbox();
    let vpc = account.make_vpc("10.9.0.0/16");
    let group = account.make_group(&vpc, "elsewhere");
    let server = format!("  githubServer:\n    securityGroup: {group}\n");
    let file = with(&cluster, "elsewhere", &server);
    let planned = cluster.plan(&file, &[]);
    let told = format!(
        "the security group `{group}` (aws.githubServer.securityGroup) is in the VPC `{vpc}`"
    );
    assert!(planned.stderr.contains(&told), "{}", planned.stderr);
    let ended = cluster.up(&file, &[]);
    assert_ne!(ended.code, 0);
    let error = ended.document()["error"].to_string();
    assert!(error.contains("different networks"), "{error}");
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_a_colleague_wrote_a_moment_ago_is_not_lost() {
    let (cluster, account) = sandbox();
    let file = with(&cluster, "moment", &irsa(""));
    account.make_role(
        ROLE,
        &json!({"Version": "2012-10-17", "Statement": foreign(1)}),
    );
    // Slow enough that the run begins and ends with the old document on show.
    rules(&cluster, Duration::from_secs(12));
    let colleague = Account::colleague(&cluster);
    colleague.set_trust(
        ROLE,
        &json!({"Version": "2012-10-17", "Statement": foreign(3)}),
    );
    cluster.up(&file, &[]).expect(0);
    let trust = account.trust(ROLE);
    let statements = trust["Statement"].as_array().unwrap();
    assert_eq!(statements.len(), 4, "{trust:#}");
    assert_eq!(statements[..3], foreign(3));
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_a_colleague_took_out_a_moment_ago_stays_out() {
    let (cluster, account) = sandbox();
    let file = with(&cluster, "revoked", &irsa(""));
    let trust = |statements: &[Value]| json!({"Version": "2012-10-17", "Statement": statements});
    account.make_role(ROLE, &trust(&foreign(1)));
    rules(&cluster, Duration::from_secs(12));
    let colleague = Account::colleague(&cluster);
    // Two versions back are shown in turn.
    colleague.set_trust(ROLE, &trust(&foreign(3)));
    colleague.set_trust(ROLE, &trust(&foreign(2)));
    let theirs = foreign(4).split_off(3);
    colleague.set_trust(ROLE, &trust(&theirs));
    let ended = cluster.up(&file, &[]);
    ended.expect(0);
    let trust = account.trust(ROLE);
    let statements = trust["Statement"].as_array().unwrap();
    assert_eq!(statements.len(), 2, "{trust:#}");
    assert_eq!(statements[..1], theirs);
    // Each of them was seen before the write: there is nothing to tell.
    assert!(
        !ended.stderr.contains("another version"),
        "{}",
        ended.stderr
    );
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_role_that_iam_shows_late_gets_all_it_needs() {
    let (cluster, account) = sandbox();
    let file = profile(&cluster, &[]);
    rules(&cluster, Duration::from_secs(9));
    cluster.up(&file, &[]).expect(0);
    assert_eq!(account.attached(ROLE), [POLICY]);
    let policy = account.bucket_policy("runners.example");
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 2);
    rules(&cluster, Duration::ZERO);
    assert_unchanged(&cluster, &file);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_bucket_of_another_region_is_written_where_it_is() {
    let (cluster, account) = sandbox();
    let file = profile(&cluster, &[]);
    let aws_rules = cluster.world().aws_rules().unwrap();
    for told in [Told::Header, Told::Body, Told::ByHead] {
        aws_rules.place_bucket("runners.example", "eu-west-1", told);
        cluster.plan(&file, &[]).expect(0);
    }
    cluster.up(&file, &[]).expect(0);
    assert_unchanged(&cluster, &file);
    let file = file.to_str().unwrap();
    let ended = cluster.arcctl(&["teardown", "--yes", "-o", "json", "-f", file]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let here = arcctl_sandbox::moto::REGION;
    aws_rules.place_bucket("runners.example", here, Told::Header);
    assert_eq!(account.listing()["bucket runners.example"], "");
    cluster.finish();
}

/// A statement of others that lets a user in.
fn lets_in(user: &str, more: &Value) -> Value {
    let principal = format!(
        "arn:aws:iam::{}:user/{user}",
        arcctl_sandbox::cloud::ACCOUNT
    );
    let mut statement =
        json!({"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": principal}});
    for (key, value) in more.as_object().unwrap() {
        statement[key] = value.clone();
    }
    statement
}

#[test]
fn a_principal_that_is_gone_is_told_with_its_statement() {
    let (cluster, account) = sandbox();
    account.make_user("gone");
    let theirs = lets_in("gone", &json!({"Action": "sts:AssumeRole"}));
    account.make_role(
        ROLE,
        &json!({"Version": "2012-10-17", "Statement": [theirs]}),
    );
    account.delete_user("gone");
    let file = with(&cluster, "role", &irsa(""));
    let said = planned_failure(&cluster, &file);
    assert!(
        said.contains("the statement `Theirs`") && said.contains("AIDA"),
        "{said}"
    );
    assert!(said.contains("update-assume-role-policy"), "{said}");
    cluster.finish();
}

#[test]
fn so_it_is_in_the_policy_of_a_bucket() {
    let (cluster, account) = sandbox();
    account.make_user("gone");
    let bucket = "arn:aws:s3:::runners.example";
    let theirs = lets_in(
        "gone",
        &json!({"Action": "s3:ListBucket", "Resource": bucket}),
    );
    let document = json!({"Version": "2012-10-17", "Statement": [theirs]});
    account.put_bucket_policy("runners.example", &document.to_string());
    account.delete_user("gone");
    let said = planned_failure(&cluster, &profile(&cluster, &[]));
    assert!(
        said.contains("the statement `Theirs`") && said.contains("AIDA"),
        "{said}"
    );
    assert!(said.contains("put-bucket-policy"), "{said}");
    cluster.finish();
}

#[test]
fn quotas_are_told_by_the_plan() {
    let (cluster, account) = sandbox();
    let policy = |name: &str| format!("arn:aws:iam::123456789012:policy/{name}");
    let many: Vec<String> = (0..10).map(|it| policy(&format!("many{it}"))).collect();
    for index in 0..10 {
        account.make_policy(&format!("many{index}"));
    }
    // Before there is a role.
    let missing = irsa(&format!(
        "    managedPolicies: [\"{}\"]\n",
        policy("no-such")
    ));
    let missing = with(&cluster, "missing", &missing);
    let said = planned_failure(&cluster, &missing);
    assert!(said.contains("there is no managed policy"), "{said}");
    let bounded = irsa(&format!("    permissionsBoundary: {}\n", policy("no-such")));
    let said = planned_failure(&cluster, &with(&cluster, "bounded", &bounded));
    assert!(
        said.contains("permissions boundary") && said.contains("no-such"),
        "{said}"
    );
    let eleven = irsa(&format!(
        "    managedPolicies: [\"{}\", \"{POLICY}\"]\n",
        many.join("\", \"")
    ));
    let said = planned_failure(&cluster, &with(&cluster, "eleven", &eleven));
    assert!(
        said.contains("it would have 11, and 10 are allowed"),
        "{said}"
    );

    account.make_role(
        ROLE,
        &json!({"Version": "2012-10-17", "Statement": foreign(1)}),
    );
    for arn in &many {
        account.attach(ROLE, arn);
    }
    let attaching = irsa(&format!("    managedPolicies: [\"{POLICY}\"]\n"));
    let said = planned_failure(&cluster, &with(&cluster, "attached", &attaching));
    assert!(
        said.contains("it would have 11, and 10 are allowed"),
        "{said}"
    );

    // Somebody else's inline policy leaves no room for ours.
    let actions: Vec<String> = (0..420).map(|it| format!("s3:Action{it:012}")).collect();
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": actions, "Resource": "*"},
    ]});
    account.put_role_policy(ROLE, "theirs", &document.to_string());
    let buckets = irsa("    buckets:\n      - {name: runners.example, access: readWrite}\n");
    let said = planned_failure(&cluster, &with(&cluster, "inline", &buckets));
    assert!(said.contains("10240 are allowed"), "{said}");

    let said = planned_failure(&cluster, &missing);
    assert!(said.contains("there is no managed policy"), "{said}");
    cluster.finish();
}

#[test]
fn identities_are_compared_with_what_aws_says() {
    let (cluster, account) = sandbox();
    let trust = json!({"Version": "2012-10-17", "Statement": foreign(1)});
    account.make_role_at(
        "/teams/",
        ROLE,
        &trust,
        "arn:aws:iam::123456789012:policy/theirs",
    );
    let arn = |path: &str| {
        let role = format!("arn:aws:iam::123456789012:role{path}{ROLE}");
        format!("  irsa:\n    role: {role}\n    serviceAccount: {ROLE}\n")
    };
    let said = planned_failure(&cluster, &with(&cluster, "arn", &arn("/")));
    assert!(
        said.contains("the role of that name is `arn:aws:iam::123456789012:role/teams/"),
        "{said}"
    );
    cluster
        .plan(&with(&cluster, "right", &arn("/teams/")), &[])
        .expect(0);
    let written = |start: &str| {
        format!("  irsa:\n    role: {start}:role/teams/{ROLE}\n    serviceAccount: {ROLE}\n")
    };
    let elsewhere = with(&cluster, "account", &written("arn:aws:iam::999999999999"));
    let said = cluster.plan(&elsewhere, &[]).expect(7)["error"].to_string();
    assert!(
        said.contains("is not in the cluster's account 123456789012"),
        "{said}"
    );
    let china = with(
        &cluster,
        "partition",
        &written("arn:aws-cn:iam::123456789012"),
    );
    let refused = cluster.plan(&china, &[]);
    assert_eq!(refused.code, 65, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("is of the partition `aws-cn`"),
        "{}",
        refused.stderr
    );

    let plan = cluster.plan(&with(&cluster, "path", &irsa("    path: /ci/\n")), &[]);
    let said = plan.stderr.clone();
    plan.expect(0);
    assert!(said.contains("is there with the path `/teams/`"), "{said}");

    let server = "  githubServer:\n    securityGroup: sg-0123456789abcdef0\n";
    let said = planned_failure(&cluster, &with(&cluster, "group", server));
    assert!(
        said.contains("there is no security group `sg-0123456789abcdef0`"),
        "{said}"
    );
    cluster.finish();
}

fn created_rules(document: &Value) -> Vec<String> {
    let mut found = ids(document, "create");
    found.retain(|it| it.starts_with("security-group-rule/"));
    found
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn nodes_of_auto_mode_and_of_custom_networking_get_their_rules() {
    let (cluster, account) = sandbox();
    let cloud = cluster.world().cloud().unwrap();
    let (node, control) = (cloud.node_group.clone(), cloud.cluster_group.clone());
    let instances = account.instances();
    let pods = account.make_group(&cloud.vpc, "pods");
    account.add_interface(&instances[0], &pods);
    // In the interface's group alone, so that no rule of another group is enough for it.
    account.put_into(&instances[0], &pods);
    // Not for pods: it gets no rules.
    let storage = account.make_group(&cloud.vpc, "storage");
    let interface = account.add_interface(&instances[1], &storage);
    account.tag(&interface, "node.k8s.amazonaws.com/no_manage", "true");
    for id in &instances {
        cluster.world().aws_rules().unwrap().manage_instance(id);
    }
    let file = with(
        &cluster,
        "networks",
        "  githubServer:\n    cidr: 192.0.2.0/24\n",
    );
    let fresh = cluster.up(&file, &[]).expect(0);
    let created = created_rules(&fresh);
    for group in [&node, &pods] {
        let rule = format!("security-group-rule/{group}/ingress-9443-from-{control}");
        assert!(
            created.contains(&rule),
            "{rule}, nodes {node}, pods {pods}: {created:#?}"
        );
    }
    assert!(
        !created.iter().any(|it| it.contains(&storage)),
        "{created:#?}"
    );
    assert_unchanged(&cluster, &file);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn ways_out_that_others_made_are_recognised() {
    let (cluster, account) = sandbox();
    let cloud = cluster.world().cloud().unwrap().clone();
    let (node, server) = (&cloud.node_group, &cloud.server_group);
    let address = account.make_interface(&cloud.subnets[0], server);
    account.revoke_egress(node);
    let by_cidr = with(
        &cluster,
        "cidr",
        "  githubServer:\n    cidr: 192.0.2.0/24\n",
    );
    let by_group = with(
        &cluster,
        "group",
        &format!("  githubServer:\n    securityGroup: {server}\n"),
    );
    let out = |document: &Value| {
        let found = created_rules(document).into_iter();
        found.filter(|it| it.contains("/egress-")).count()
    };
    let planned = |file: &PathBuf| out(&cluster.plan(file, &[]).expect(0));
    assert_eq!((planned(&by_cidr), planned(&by_group)), (1, 1));
    // Halves of the network in a prefix list, then the server's own address.
    let list = account.make_prefix_list(&["192.0.2.0/25", "192.0.2.128/25"]);
    account.allow_out_to_list(node, &list);
    assert_eq!((planned(&by_cidr), planned(&by_group)), (0, 1));
    account.allow_out_to(node, "2001:db8::/32");
    assert_eq!(planned(&by_group), 1);
    account.allow_out_to(node, &format!("{address}/32"));
    assert_eq!(planned(&by_group), 0);
    let other = with(
        &cluster,
        "other",
        "  githubServer:\n    cidr: 203.0.113.0/24\n",
    );
    assert_eq!(planned(&other), 1);
    account.allow_out_to_group(node, server);
    assert_eq!((planned(&other), planned(&by_group)), (1, 0));
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_others_granted_is_used_and_nothing_is_written() {
    let (cluster, account) = sandbox();
    let issuer = account.issuer();
    let statement = json!({
        "Sid": "Terraform",
        "Effect": "Allow",
        "Principal": {"Federated": format!("arn:aws:iam::123456789012:oidc-provider/{issuer}")},
        "Action": ["sts:AssumeRoleWithWebIdentity"],
        "Condition": {
            "StringEquals": {format!("{issuer}:aud"): ["sts.amazonaws.com"]},
            "StringLike": {format!("{issuer}:sub"): "system:serviceaccount:actions-runner:*"},
        },
    });
    account.make_provider(&issuer, "sts.amazonaws.com");
    account.make_role(
        ROLE,
        &json!({"Version": "2012-10-17", "Statement": [statement]}),
    );
    account.attach(ROLE, POLICY);
    cluster.kubectl(&["create", "namespace", "actions-runner"], None);
    let annotated = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": ROLE, "namespace": "actions-runner",
        "labels": {"app.kubernetes.io/managed-by": "terraform"},
        "annotations": {"eks.amazonaws.com/role-arn": format!("arn:aws:iam::123456789012:role/{ROLE}")},
    }});
    cluster.kubectl(&["apply", "-f", "-"], Some(&annotated.to_string()));
    let file = with(
        &cluster,
        "theirs",
        &irsa(&format!("    managedPolicies: [\"{POLICY}\"]\n")),
    );
    let fresh = cluster.up(&file, &[]).expect(0);
    let kept = ids(&fresh, "keep");
    for id in [
        format!("iam-role/-/{ROLE}"),
        format!("oidc-provider/-/{issuer}"),
        format!("service-account/actions-runner/{ROLE}"),
    ] {
        assert!(kept.contains(&id), "{id}: {kept:#?}");
    }
    assert_eq!(
        account.trust(ROLE)["Statement"].as_array().unwrap().len(),
        1
    );
    let file = file.to_str().unwrap();
    let ended = cluster.arcctl(&["teardown", "--yes", "-o", "json", "-f", file]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let account = cluster.get("serviceaccount", "actions-runner", ROLE);
    assert_eq!(
        account["metadata"]["labels"],
        annotated["metadata"]["labels"]
    );
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_client_that_was_added_is_taken_back() {
    let (cluster, account) = sandbox();
    let issuer = account.issuer();
    account.make_provider(&issuer, "somebody-else");
    let before = account.listing();
    let file = with(&cluster, "client", &irsa(""));
    cluster.up(&file, &[]).expect(0);
    assert_eq!(
        account.clients(&issuer),
        ["somebody-else", "sts.amazonaws.com"]
    );
    assert_unchanged(&cluster, &file);
    let file = file.to_str().unwrap();
    let ended = cluster.arcctl(&["teardown", "--yes", "-o", "json", "-f", file]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(account.listing(), before);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_another_profile_may_have_added_a_moment_ago_stays() {
    let (cluster, account) = sandbox();
    let issuer = account.issuer();
    account.make_provider(&issuer, "somebody-else");
    let mark = "arcctl.dev/client/0123456789abcdef";
    account.add_client(&issuer, "sts.amazonaws.com", mark);
    let before = account.listing();
    let file = with(&cluster, "last", &irsa(""));
    cluster.up(&file, &[]).expect(0);
    let file = file.to_str().unwrap();
    let ended = cluster.arcctl(&["teardown", "--yes", "-o", "json", "-f", file]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    // The provider is younger than a run takes: that of the other profile may be at work. How an older one goes is in
    // `resource::aws::tests::providers`.
    assert_eq!(account.listing(), before);
    cluster.finish();
}

//! arcctl with exactly the two policies of docs/aws.md: the daily one and the one for a teardown. No call is denied, no
//! permission is unused, and no privilege escalation is possible. The proxy before moto evaluates the policies.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use arcctl_sandbox::cloud::{
    ACCOUNT,
    rules::{Ceiling, Rules},
};
use aws_sdk_ssm::types::ParameterType;
use serde_json::{Value, json};

use crate::{
    aws::eks::keep,
    aws::{POLICY, ROLE, foreign, sandbox},
    harness::account::Account,
    harness::cluster::{Cluster, Ended},
};

const BOUNDARY: &str = "arn:aws:iam::123456789012:policy/boundary";
const THEIRS: &str = "arn:aws:iam::123456789012:policy/theirs";
const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// The policies of the document, with the names of this sandbox in place of the words in capitals.
fn documented(cluster: &Cluster) -> [Value; 2] {
    let cloud = cluster.world().cloud().unwrap();
    let groups = [&cloud.node_group, &cloud.server_group]
        .map(|it| format!("\"arn:aws:ec2:*:{ACCOUNT}:security-group/{it}\""))
        .join(", ");
    let text = include_str!("../../../docs/aws.md");
    let blocks = text.split("```json").skip(1);
    let blocks = blocks.map(|it| it.split("```").next().unwrap());
    let filled = blocks.map(|text| {
        let one = "\"arn:aws:ec2:*:ACCOUNT:security-group/SECURITY_GROUP\"";
        let text = text
            .replace(one, &format!("[{groups}]"))
            .replace("ACCOUNT", ACCOUNT)
            .replace("CLUSTER", "runners")
            .replace("BOUNDARY", BOUNDARY)
            .replace("POLICY", POLICY)
            .replace("BUCKET", "runners.example")
            .replace("secret:SECRET", "secret:arcctl/token-??????")
            .replace("parameter/PARAMETER", "parameter/arcctl/token")
            .replace("role/ROLE", &format!("role/{ROLE}"));
        serde_json::from_str(&text).unwrap()
    });
    filled.collect::<Vec<Value>>().try_into().unwrap()
}

fn with(cluster: &Cluster, name: &str, via: &str, more: &str, edits: &[(&str, &str)]) -> PathBuf {
    let server = &cluster.world().cloud().unwrap().server_group;
    let aws = format!(
        "aws:\n  {via}:\n    role: {ROLE}\n    serviceAccount: {ROLE}\n    managedPolicies: [\"{POLICY}\"]\n{more}    \
         buckets:\n      - {{name: runners.example, access: readWrite, apply: true}}\n  \
         githubServer:\n    securityGroup: {server}\n\npools:\n"
    );
    let mut all = vec![("pools:\n", aws.as_str())];
    all.extend(edits);
    cluster.eks_profile(name, &all)
}

#[track_caller]
fn fine(ended: &Ended) {
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

fn run(cluster: &Cluster, command: &[&str], file: &Path) -> Ended {
    let file = ["-o", "json", "-f", file.to_str().unwrap()];
    cluster.arcctl(&[command, &file].concat())
}

#[track_caller]
fn teardown(cluster: &Cluster, file: &Path) {
    fine(&run(cluster, &["teardown", "--yes"], file));
}

#[track_caller]
fn all_used(rules: &Rules, policy: &Value) {
    assert_eq!(rules.unused(policy), Vec::<(String, String)>::new());
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn each_policy_is_enough_and_nothing_of_it_is_left_unused() {
    let (cluster, account) = sandbox();
    account.make_policy("boundary");
    let token = cluster.tokens()[0].clone();
    keep(&cluster, "arcctl/token", &token, None);
    keep(
        &cluster,
        "/arcctl/token",
        &token,
        Some(ParameterType::SecureString),
    );
    let bounded = format!("    permissionsBoundary: {BOUNDARY}\n");
    let source = |text: &'static str| [("env: ARCCTL_GITHUB_TOKEN", text)];
    let manager = source("secretsManager: arcctl/token");
    let irsa = with(&cluster, "daily", "irsa", &bounded, &manager);
    let parameter = source("ssm: /arcctl/token");
    let association = with(&cluster, "association", "podIdentity", &bounded, &parameter);
    let rules = cluster.world().aws_rules().unwrap();
    let [daily, removing] = documented(&cluster);
    let before = names(&account);

    rules.allow_only(&daily);
    by_association(&cluster, &account, &association);
    rules.allow_only(&removing);
    teardown(&cluster, &association);
    assert_eq!(names(&account), before);
    // A way out by a prefix list that does not lead to the server, and a group without any rule.
    let cloud = cluster.world().cloud().unwrap().clone();
    account.revoke_egress(&cloud.node_group);
    account.revoke_egress(&cloud.server_group);
    let list = account.make_prefix_list(&["192.0.2.0/24"]);
    account.allow_out_to_list(&cloud.node_group, &list);
    let before = names(&account);
    rules.allow_only(&daily);
    every_day(&cluster, &account, &irsa);
    no_way_to_administrator(&cluster);
    all_used(rules, &daily);
    rules.allow_only(&removing);
    teardown(&cluster, &irsa);
    rules.allow_all();
    assert_eq!(names(&account), before);

    // What others share goes in part.
    let issuer = account.issuer();
    account.make_provider(&issuer, "somebody-else");
    account.make_role(
        ROLE,
        &json!({"Version": "2012-10-17", "Statement": foreign(1)}),
    );
    let bucket = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::runners.example",
    }]});
    account.put_bucket_policy("runners.example", &bucket.to_string());
    let shared = with(&cluster, "shared", "irsa", "", &manager);
    fine(&cluster.up(&shared, &[]));
    rules.allow_only(&removing);
    teardown(&cluster, &shared);
    all_used(rules, &removing);
    rules.allow_all();
    assert_eq!(account.clients(&issuer), ["somebody-else"]);
    assert_eq!(account.trust(ROLE)["Statement"], json!(foreign(1)));
    assert_eq!(account.bucket_policy("runners.example"), bucket);
    cluster.finish();
}

/// What is denied, and the hint of the error.
#[track_caller]
fn denied(ended: &Ended) -> (String, String) {
    let error = &ended.expect(4)["error"];
    (
        error["message"].to_string(),
        error["hint"].as_str().unwrap().to_owned(),
    )
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_denial_names_the_permission_and_the_kind_of_policy() {
    let (cluster, account) = sandbox();
    account.make_policy("boundary");
    let bounded = format!("    permissionsBoundary: {BOUNDARY}\n");
    let file = with(&cluster, "denied", "podIdentity", &bounded, &[]);
    let rules = cluster.world().aws_rules().unwrap();

    // The call has its own permission, and lacks one that it needs beside it.
    let [mut daily, _] = documented(&cluster);
    let statements = daily["Statement"].as_array_mut().unwrap();
    statements.retain(|it| it["Sid"] != "RoleOfPodIdentity");
    rules.allow_only(&daily);
    let (_, hint) = denied(&cluster.up(&file, &[]));
    let lacks = format!("grant `iam:PassRole` on `arn:aws:iam::{ACCOUNT}:role/{ROLE}` to");
    assert!(hint.starts_with(&lacks), "{hint}");

    // Whoever may do everything is denied it by the organization, or by a boundary.
    let but = |action: &str| {
        json!({"Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": action, "Resource": "*"},
        ]})
    };
    for (ceiling, what) in [
        (Ceiling::ServiceControlPolicy, "a service control policy"),
        (Ceiling::PermissionsBoundary, "the permissions boundary"),
    ] {
        rules.allow_all();
        rules.cap(ceiling, &but("eks:CreatePodIdentityAssociation"));
        let (message, hint) = denied(&cluster.up(&file, &[]));
        assert!(message.contains("with an explicit deny in"), "{message}");
        assert!(
            hint.starts_with(what) && !hint.contains("grant `"),
            "{hint}"
        );
    }
    rules.allow_all();
    fine(&cluster.up(&file, &[]));
    cluster.finish();
}

/// What there is in the account.
fn names(account: &Account) -> BTreeSet<String> {
    account.listing().into_keys().collect()
}

fn by_association(cluster: &Cluster, account: &Account, file: &Path) {
    fine(&cluster.up(file, &[]));
    account.make_role(
        "other",
        &json!({"Version": "2012-10-17", "Statement": foreign(1)}),
    );
    account.set_association_role(ROLE, &format!("arn:aws:iam::{ACCOUNT}:role/other"));
    fine(&cluster.up(file, &[]));
    account.delete_role("other");
}

fn every_day(cluster: &Cluster, account: &Account, file: &Path) {
    fine(&cluster.plan(file, &[]));
    fine(&cluster.up(file, &[]));
    for command in ["plan", "status", "doctor"] {
        fine(&run(cluster, &[command], file));
    }
    // What others change is set right.
    account.set_client(&account.issuer(), "somebody-else");
    account.set_boundary(ROLE, THEIRS);
    account.detach(ROLE, POLICY);
    let trust = json!({"Version": "2012-10-17", "Statement": foreign(1)});
    account.set_trust(ROLE, &trust);
    fine(&cluster.up(file, &[]));
    assert_eq!(account.attached(ROLE), [POLICY]);
    // What the account was granted is asked where it matters.
    account.detach(ROLE, POLICY);
    let many: Vec<String> = (0..10).map(|it| format!("many{it}")).collect();
    for name in &many {
        account.make_policy(name);
        account.attach(ROLE, &format!("arn:aws:iam::{ACCOUNT}:policy/{name}"));
    }
    let full = cluster.plan(file, &[]);
    assert_eq!(full.code, 1, "{}", full.stderr);
    for name in &many {
        account.detach(ROLE, &format!("arn:aws:iam::{ACCOUNT}:policy/{name}"));
    }
    // And made again, it is arcctl's own.
    account.delete_provider(&account.issuer());
    account.set_trust(
        ROLE,
        &json!({"Version": "2012-10-17", "Statement": [
            account.trust(ROLE)["Statement"][1],
        ]}),
    );
    fine(&cluster.up(file, &[]));
}

/// Each step to more rights that IAM knows, as whoever has the policy for every day.
fn no_way_to_administrator(cluster: &Cluster) {
    let account = Account::colleague(cluster);
    let iam = &account.iam;
    let trust = json!({"Version": "2012-10-17", "Statement": foreign(1)}).to_string();
    let everything = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
    ]})
    .to_string();
    macro_rules! denied {
        ($($what:literal: $call:expr,)*) => {
            $(
                let code = account.code($call.send());
                assert_eq!(code.as_deref(), Some("AccessDenied"), $what);
            )*
        };
    }
    denied! {
        "another policy": iam.attach_role_policy().role_name(ROLE).policy_arn(ADMINISTRATOR),
        "another role": iam.create_role().role_name("mine").assume_role_policy_document(&trust).permissions_boundary(BOUNDARY),
        "a role without the boundary": iam.create_role().role_name(ROLE).assume_role_policy_document(&trust),
        "a role with another boundary": iam.create_role().role_name(ROLE).assume_role_policy_document(&trust).permissions_boundary(ADMINISTRATOR),
        "another boundary": iam.put_role_permissions_boundary().role_name(ROLE).permissions_boundary(ADMINISTRATOR),
        "no boundary": iam.delete_role_permissions_boundary().role_name(ROLE),
        "a wider boundary": iam.create_policy_version().policy_arn(BOUNDARY).policy_document(&everything).set_as_default(true),
        "a policy": iam.create_policy().policy_name("mine").policy_document(&everything),
        "rights of a user": iam.attach_user_policy().user_name("sandbox").policy_arn(ADMINISTRATOR),
        "an inline policy of a user": iam.put_user_policy().user_name("sandbox").policy_name("mine").policy_document(&everything),
        "a key of a user": iam.create_access_key().user_name("sandbox"),
        "the trust of another role": iam.update_assume_role_policy().role_name("other").policy_document(&trust),
        "a role that goes": iam.delete_role().role_name(ROLE),
        "a policy that goes": iam.detach_role_policy().role_name(ROLE).policy_arn(POLICY),
    }
    // And while the role has another boundary, nothing is put into it.
    let owner = Account::of(cluster);
    owner.set_boundary(ROLE, THEIRS);
    denied! {
        "an inline policy": iam.put_role_policy().role_name(ROLE).policy_name("mine").policy_document(&everything),
        "a policy of the profile": iam.attach_role_policy().role_name(ROLE).policy_arn(POLICY),
    }
    owner.set_boundary(ROLE, BOUNDARY);
    let group = &cluster.world().cloud().unwrap().node_group;
    let open = account
        .ec2
        .authorize_security_group_ingress()
        .group_id(group);
    let open = open.ip_permissions(Account::tcp().build());
    let code = account.code(open.send());
    assert_eq!(
        code.as_deref(),
        Some("UnauthorizedOperation"),
        "a rule without the tag"
    );
}

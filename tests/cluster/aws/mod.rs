//! `up` at AWS: fresh, unchanged, fixed, shared, rejected. AWS is moto, which checks no permissions and no quotas: the
//! proxy denies calls, and arcctl checks quotas.

pub(crate) mod eks;
pub(crate) mod kubernetes_role;
pub(crate) mod kubernetes_role_reasons;
pub(crate) mod networks;
pub(crate) mod permissions;
pub(crate) mod pod_identity;
pub(crate) mod removal;
pub(crate) mod rules;

use std::path::{Path, PathBuf};

use arcctl_sandbox::{
    cloud::ACCOUNT,
    proxy::{Effect, Fault, FaultId, Matching, Nth, System},
};
use serde_json::{Value, json};

use crate::{harness::account::Account, harness::cluster::Cluster};

pub(crate) const ROLE: &str = "actions-runner-role";
pub(crate) const POLICY: &str = "arn:aws:iam::123456789012:policy/pull";

pub(crate) fn sandbox() -> (Cluster, Account) {
    let cluster = Cluster::with_aws();
    let account = Account::of(&cluster);
    account.make_bucket("runners.example");
    account.make_policy("pull");
    account.make_policy("theirs");
    (cluster, account)
}

/// The sandbox's profile with a role, a policy, a bucket and a GitHub server in a security group.
pub(crate) fn profile(cluster: &Cluster, more: &[(&str, &str)]) -> PathBuf {
    let server = &cluster.world().cloud().unwrap().server_group;
    let aws = format!(
        "aws:\n  irsa:\n    role: {ROLE}\n    serviceAccount: {ROLE}\n    managedPolicies: [\"{POLICY}\"]\n    \
         buckets:\n      - {{name: runners.example, access: readWrite, apply: true}}\n  \
         githubServer:\n    securityGroup: {server}\n\npools:\n"
    );
    let mut edits = vec![("pools:\n", aws.as_str())];
    edits.extend(more);
    cluster.eks_profile("arcctl", &edits)
}

pub(crate) fn aws_writes(cluster: &Cluster) -> u64 {
    cluster.world().proxy(System::Aws).unwrap().counts().writes
}

/// A proxy's fault for one action of AWS.
pub(crate) fn on(cluster: &Cluster, call: &str, nth: Nth, status: u16) -> FaultId {
    let (method, substring) = call.split_once(' ').unwrap_or(("", call));
    let matching = Matching {
        method: (!method.is_empty())
            .then(|| arcctl_sandbox::proxy::MethodMatch::Method(method.into())),
        substring: substring.into(),
        ..Matching::default()
    };
    let effect = Effect::Respond {
        status,
        body: None,
        headers: Vec::new(),
    };
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    proxy.add_fault(Fault {
        matching,
        nth,
        effect,
    })
}

pub(crate) fn ids(document: &Value, action: &str) -> Vec<String> {
    let steps = document["steps"].as_array().unwrap().iter();
    steps
        .filter(|it| it["action"] == action)
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
pub(crate) fn assert_unchanged(cluster: &Cluster, file: &Path) {
    cluster.world().proxy(System::Aws).unwrap().reset_counts();
    let document = cluster.up(file, &[]).expect(0);
    assert_eq!(document["changed"], 0, "{document:#}");
    assert_eq!(document["requests"]["aws"]["writes"], 0);
    assert_eq!(aws_writes(cluster), 0);
}

#[test]
fn the_wiring_is_made_and_kept_and_mended() {
    let (cluster, account) = sandbox();
    let file = profile(&cluster, &[]);
    let fresh = cluster.up(&file, &[]).expect(0);
    assert_steps(&cluster, &fresh);
    assert_made(&cluster, &account);
    assert_unchanged(&cluster, &file);
    let trust = account.trust(ROLE);
    somebody_edits(&cluster, &account, &trust);
    assert_drift(&cluster, &file);
    // The provider's client (which the sandbox's proxy adds in moto's place), the role with its statement and its
    // policy, the rule, the bucket's policy.
    assert_eq!(cluster.up(&file, &[]).expect(0)["changed"], 4);
    let clients = account.clients(&account.issuer());
    assert_eq!(clients, ["somebody-else", "sts.amazonaws.com"]);
    assert_eq!(account.trust(ROLE), trust);
    assert_unchanged(&cluster, &file);

    // What arcctl attached goes when the profile no longer has it; what somebody else attached stays.
    let theirs = "arn:aws:iam::123456789012:policy/theirs";
    account.attach(ROLE, theirs);
    let listed = format!("managedPolicies: [\"{POLICY}\"]");
    let fewer = cluster_profile_without(&cluster, &listed);
    cluster.up(&fewer, &[]).expect(0);
    assert_eq!(account.attached(ROLE), [theirs]);
    assert_unchanged(&cluster, &fewer);
    cluster.finish();
}

fn cluster_profile_without(cluster: &Cluster, listed: &str) -> PathBuf {
    let text = std::fs::read_to_string(profile(cluster, &[])).unwrap();
    assert!(text.contains(listed), "{text}");
    cluster.file("fewer.yaml", &text.replace(listed, "managedPolicies: []"))
}

/// What is missing is created; what the groups let through already is left.
fn assert_steps(cluster: &Cluster, fresh: &Value) {
    let cloud = cluster.world().cloud().unwrap();
    let (server, node, control) = (&cloud.server_group, &cloud.node_group, &cloud.cluster_group);
    let created = ids(fresh, "create");
    for id in [
        format!("iam-role/-/{ROLE}"),
        format!("security-group-rule/{server}/ingress-443-from-{node}"),
        format!("security-group-rule/{node}/ingress-9443-from-{control}"),
    ] {
        assert!(created.contains(&id), "{id}: {created:#?}");
    }
    let kept = ids(fresh, "keep");
    let out = format!("security-group-rule/{node}/egress-443-to-{server}");
    assert!(kept.contains(&out), "{kept:#?}");
}

fn assert_made(cluster: &Cluster, account: &Account) {
    let statement = &account.trust(ROLE)["Statement"][0];
    let issuer = account.issuer();
    let equals = &statement["Condition"]["StringEquals"];
    let subject = format!("system:serviceaccount:actions-runner:{ROLE}");
    assert_eq!(equals[format!("{issuer}:sub")], subject);
    assert_eq!(equals[format!("{issuer}:aud")], "sts.amazonaws.com");
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}");
    let annotations =
        &cluster.get("serviceaccount", "actions-runner", ROLE)["metadata"]["annotations"];
    assert_eq!(annotations["eks.amazonaws.com/role-arn"], arn);
    assert_eq!(account.attached(ROLE), [POLICY]);
    assert_eq!(account.clients(&issuer), ["sts.amazonaws.com"]);
    let policy = account.bucket_policy("runners.example");
    assert_eq!(policy["Statement"][0]["Principal"]["AWS"], arn);
    let pods = ["-n", "actions-runner", "get", "pods", "-o", "json"];
    let pods: Value = serde_json::from_str(&cluster.kubectl(&pods, None)).unwrap();
    for container in pods["items"][0]["spec"]["containers"].as_array().unwrap() {
        let mut variables = container["env"].as_array().unwrap().iter();
        let has = variables.any(|it| it["name"] == "AWS_ROLE_ARN" && it["value"] == arn);
        assert!(has, "{container}");
    }
}

/// Somebody edits each of them.
fn somebody_edits(cluster: &Cluster, account: &Account, trust: &Value) {
    let cloud = cluster.world().cloud().unwrap();
    let issuer = account.issuer();
    let mut edited = trust.clone();
    edited["Statement"][0]["Condition"] =
        json!({"StringLike": {format!("{issuer}:sub"): "system:serviceaccount:*"}});
    account.set_trust(ROLE, &edited);
    account.detach(ROLE, POLICY);
    account.set_client(&issuer, "somebody-else");
    let description = "arcctl dogecompany: the runners reach the GitHub server";
    account.revoke(&cloud.server_group, 443, &cloud.node_group, description);
    account.delete_bucket_policy("runners.example");
}

#[track_caller]
fn assert_drift(cluster: &Cluster, file: &Path) {
    let plan = cluster.plan(file, &["--detailed-exitcode"]);
    let document = plan.expect(2);
    let created = ids(&document, "create");
    assert!(
        created.len() == 1 && created[0].contains("/ingress-443-from-"),
        "{created:#?}"
    );
    let planned = plan.planned();
    for words in [
        "].Condition.StringEquals",
        "].Condition.StringLike",
        &format!("managedPolicies[{POLICY}]: null -> \"attached\""),
        "clientIds[sts.amazonaws.com]: null -> \"sts.amazonaws.com\"",
        "update bucket-policy/-/runners.example",
    ] {
        assert!(planned.contains(words), "{words}: {planned}");
    }
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn pods_without_the_role_are_named() {
    let (cluster, _account) = sandbox();
    // The phase of the pods only: what comes before may take its time on a busy machine.
    let file = profile(&cluster, &[("runners: 5m", "runners: 15s")]);
    let webhook = [
        "delete",
        "mutatingwebhookconfiguration",
        arcctl_sandbox::pod_identity::NAME,
    ];
    let _said = cluster.kubectl(&webhook, None);
    let late = "were started before their service account had its role";
    let document = cluster.up_until(&file, &[], late).document();
    let error = &document["error"];
    assert_eq!(error["object"], "runner-pods/actions-runner/basic");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("container `runner` has no AWS_ROLE_ARN"),
        "{message}"
    );
    cluster.finish();
}

/// Foreign statements, as short as they come.
pub(crate) fn foreign(count: usize) -> Vec<Value> {
    let service = |index: usize| {
        json!({
            "Sid": format!("Foreign{index}"),
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": ["sts:AssumeRole"],
        })
    };
    (0..count).map(service).collect()
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_shared_role_keeps_what_is_foreign_and_its_quota() {
    let (cluster, account) = sandbox();
    let file = profile(&cluster, &[]);
    let shared = json!({"Version": "2012-10-17", "Statement": foreign(8)});
    account.make_role(ROLE, &shared);
    cluster.up(&file, &[]).expect(0);
    let trust = account.trust(ROLE);
    let statements = trust["Statement"].as_array().unwrap();
    assert_eq!(statements.len(), 9);
    assert_eq!(statements[..8], foreign(8));
    assert_unchanged(&cluster, &file);

    // Others fill it up: there is no room left, and nothing is written.
    let full = json!({"Version": "2012-10-17", "Statement": foreign(16)});
    account.set_trust(ROLE, &full);
    cluster.world().proxy(System::Aws).unwrap().reset_counts();
    let failed = cluster.up(&file, &[]);
    let error = &failed.expect(1)["error"];
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("has no room for the runners' statement; nothing was written"),
        "{message}"
    );
    assert!(message.contains("and 2048 are allowed"), "{message}");
    assert_eq!(aws_writes(&cluster), 0);
    assert_eq!(account.trust(ROLE), full);
    cluster.finish();
}

/// A call of a first `up`, and the permission that it takes.
#[derive(serde::Deserialize)]
struct Needed {
    call: String,
    permission: String,
}

/// Runs `up`, which must be denied by AWS; the hint.
#[track_caller]
pub(crate) fn denied(cluster: &Cluster, file: &Path) -> String {
    let ended = cluster.up(file, &[]);
    assert_eq!(ended.code, 4, "{}", ended.stderr);
    let error = &ended.document()["error"];
    assert_eq!(error["system"], "aws", "{error}");
    error["hint"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn each_permission_that_is_missing_is_named() {
    let (cluster, account) = sandbox();
    let file = profile(&cluster, &[]);
    let node_group = cluster.world().cloud().unwrap().node_group.clone();
    account.revoke_egress(&node_group);
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    // All at once: what runs concurrently would else be done before its own turn. Each run names one more.
    let calls = include_str!("../../data/aws-calls-of-up.json");
    let calls: Vec<Needed> = serde_json::from_str(calls).unwrap();
    let deny = |it: &Needed| on(&cluster, &it.call, Nth::Every, 403);
    let mut left: Vec<(&str, FaultId)> = calls
        .iter()
        .map(|it| (it.permission.as_str(), deny(it)))
        .collect();
    while !left.is_empty() {
        let hint = denied(&cluster, &file);
        let named = |(permission, _): &(&str, FaultId)| hint.contains(&format!("`{permission}`"));
        let Some(index) = left.iter().position(named) else {
            panic!("{hint} names none of {left:?}");
        };
        proxy.remove_fault(left.remove(index).1);
    }
    cluster.up(&file, &[]).expect(0);
    assert_unchanged(&cluster, &file);
    account.set_trust(
        ROLE,
        &json!({"Version": "2012-10-17", "Statement": foreign(1)}),
    );
    let fault = on(&cluster, "Action=UpdateAssumeRolePolicy&", Nth::Every, 403);
    let hint = denied(&cluster, &file);
    assert!(hint.contains("`iam:UpdateAssumeRolePolicy`"), "{hint}");
    proxy.remove_fault(fault);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn throttling_and_broken_answers_pass() {
    let (cluster, _account) = sandbox();
    let file = profile(&cluster, &[]);
    for (call, status) in [
        ("Action=GetRole&", 503),
        ("Action=CreateRole&", 500),
        ("Action=DescribeSecurityGroupRules&", 503),
        ("Action=AuthorizeSecurityGroupIngress&", 503),
        ("Action=CreateOpenIDConnectProvider&", 429),
        ("PUT ?policy", 503),
    ] {
        on(&cluster, call, Nth::Only(1), status);
    }
    cluster.up(&file, &[]).expect(0);
    assert_unchanged(&cluster, &file);
    cluster.finish();
}

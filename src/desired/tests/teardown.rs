//! Tests what teardowns and `up` delete, and in which order.

use serde_json::{Value, json};

use crate::{
    desired::{
        Desired, Phase,
        resource::Id,
        teardown::{Records, TeardownOptions, left_behind, teardown},
    },
    profile::Profile,
};

fn recorded() -> Records {
    let object = |kind: &str| json!({"apiVersion": "v1", "kind": kind});
    [
        ("namespace/-/actions-runner", object("Namespace")),
        ("helm-release/cert-manager/cert-manager", json!({})),
        (
            "helm-release/actions-runner-system/actions-runner-controller",
            json!({}),
        ),
        (
            "crds/-/cert-manager",
            json!({"chart": "cert-manager", "version": "v1", "names": ["a.b"]}),
        ),
        (
            "secret/actions-runner-system/controller-manager",
            json!({"managed": true}),
        ),
        (
            "runner-deployment/actions-runner/old",
            object("RunnerDeployment"),
        ),
        (
            "horizontal-runner-autoscaler/actions-runner/old",
            object("HorizontalRunnerAutoscaler"),
        ),
        (
            "job/actions-runner/arcctl-probe-old",
            json!({"apiVersion": "batch/v1", "kind": "Job"}),
        ),
        (
            "daemon-set/actions-runner/arcctl-images-old",
            json!({"apiVersion": "apps/v1", "kind": "DaemonSet"}),
        ),
    ]
    .map(|(id, details)| (id.to_owned(), details))
    .into()
}

fn profile() -> Profile {
    crate::desired::tests::profile(&json!({"name": "p"}))
}

fn ids(steps: &[Desired]) -> Vec<&str> {
    steps.iter().map(|it| it.id.as_str()).collect()
}

#[test]
fn a_teardown_goes_from_the_runners_to_the_namespaces() {
    let steps = teardown(&recorded(), &profile(), TeardownOptions::default());
    assert_eq!(
        ids(&steps),
        [
            "horizontal-runner-autoscaler/actions-runner/old",
            "runner-deployment/actions-runner/old",
            "helm-release/actions-runner-system/actions-runner-controller",
            "daemon-set/actions-runner/arcctl-images-old",
            "job/actions-runner/arcctl-probe-old",
            "secret/actions-runner-system/controller-manager",
            "helm-release/cert-manager/cert-manager",
            "namespace/-/actions-runner",
            "namespace/-/cert-manager",
            "offline-runners/github/p",
            "namespace/-/actions-runner-system",
            "config-map/actions-runner-system/arcctl-p",
            "lease/actions-runner-system/arcctl-p",
        ]
    );
    let with = |crds, repair| teardown(&recorded(), &profile(), TeardownOptions { crds, repair });
    assert!(ids(&with(true, false)).contains(&"crds/-/cert-manager"));
    assert_eq!(with(false, true)[0].phase, Phase::Repair);
}

#[test]
fn up_only_takes_pools_and_their_like_away() {
    let profile = crate::desired::tests::profile(&json!({}));
    let steps = left_behind(&recorded(), &[], &profile);
    assert_eq!(
        ids(&steps),
        [
            "daemon-set/actions-runner/arcctl-images-old",
            "horizontal-runner-autoscaler/actions-runner/old",
            "runner-deployment/actions-runner/old",
            "job/actions-runner/arcctl-probe-old",
        ]
    );
    assert_eq!(steps[2].after, [steps[1].id.clone()]);
    assert!(left_behind(&recorded(), &steps, &profile).is_empty());
}

/// A role with its policies and provider, and a rule for each kind of connection.
fn at_aws() -> Records {
    let sid = json!({"sid": "Arcctl1"});
    let rule = |direction: &str, port: u16, peer: Value| json!({"direction": direction, "port": port, "peer": peer, "sid": "Arcctl1"});
    let node = || json!({"group": "sg-node"});
    [
        (
            "oidc-provider/-/issuer",
            json!({"arn": "arn:p", "sid": "Arcctl1"}),
        ),
        ("iam-role/-/old", json!({"create": true, "sid": "Arcctl1"})),
        ("iam-role-policy/old/Arcctl1", sid),
        (
            "bucket-policy/-/b",
            json!({"account": "1", "sid": "Arcctl1"}),
        ),
        (
            "security-group-rule/sg-ghes/in",
            rule("ingress", 443, node()),
        ),
        (
            "security-group-rule/sg-node/out",
            rule("egress", 443, json!({"group": "sg-ghes"})),
        ),
        (
            "security-group-rule/sg-node/cidr",
            rule("egress", 443, json!({"cidr": "10.0.0.0/8"})),
        ),
        (
            "security-group-rule/sg-node/webhook",
            rule("ingress", 9443, json!({"group": "sg-cluster"})),
        ),
    ]
    .map(|(id, details)| (id.to_owned(), details))
    .into()
}

#[test]
fn at_aws_policies_go_before_roles_and_roles_before_the_provider() {
    let steps = teardown(&at_aws(), &profile(), TeardownOptions::default());
    let after = |id: &str| {
        let step = steps.iter().find(|it| it.id.as_str() == id).unwrap();
        assert_eq!(step.phase, Phase::Aws);
        step.after.iter().map(Id::as_str).collect::<Vec<_>>()
    };
    assert_eq!(
        after("iam-role/-/old"),
        ["bucket-policy/-/b", "iam-role-policy/old/Arcctl1"]
    );
    assert_eq!(after("oidc-provider/-/issuer"), ["iam-role/-/old"]);
    let memory = steps.iter().position(|it| it.phase == Phase::Memory);
    let last = steps.iter().rposition(|it| it.phase == Phase::Aws);
    assert!(
        last < memory,
        "what is gone at AWS is remembered until then"
    );
}

#[test]
fn a_rule_goes_when_the_profile_no_longer_asks_for_its_connection() {
    let left = |aws: Value| {
        let profile = crate::desired::tests::profile(&json!({"aws": aws}));
        let mut rules = ids(&left_behind(&at_aws(), &[], &profile))
            .into_iter()
            .filter_map(|it| it.strip_prefix("security-group-rule/"))
            .map(str::to_owned)
            .collect::<Vec<_>>();
        rules.sort();
        rules
    };
    // No rule is desired now, because there are no nodes; that is no reason to delete them.
    let both = json!({"githubServer": {"securityGroup": "sg-ghes", "cidr": "10.0.0.0/8"}});
    assert_eq!(left(both), [""; 0]);
    let cidr = json!({"githubServer": {"cidr": "10.0.0.0/8"}});
    assert_eq!(left(cidr), ["sg-ghes/in", "sg-node/out"]);
    assert_eq!(
        left(json!({})),
        ["sg-ghes/in", "sg-node/cidr", "sg-node/out"]
    );
    assert_eq!(
        left(Value::Null),
        [
            "sg-ghes/in",
            "sg-node/cidr",
            "sg-node/out",
            "sg-node/webhook"
        ]
    );
}

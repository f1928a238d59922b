//! Tests the desired AWS resources: in each partition, with each credential type.

use serde_json::{Value, json};

use super::profile;
use crate::{
    desired::{
        Desired, EksFacts, Facts,
        aws::{AwsFacts, NodeNetwork, is_for},
        desired, record, render,
        resource::{
            Resource,
            aws::{AwsResource, Peer, SecurityGroupRule},
        },
    },
    profile::Profile,
};

const ACCOUNT: &str = "111122223333";

fn network(groups: &[&str]) -> NodeNetwork {
    NodeNetwork {
        groups: groups.iter().map(ToString::to_string).collect(),
        subnets: vec!["10.0.1.0/24".into()],
    }
}

fn facts(partition: &str, region: &str, nodes: Vec<NodeNetwork>) -> Facts {
    Facts {
        eks: Some(EksFacts {
            name: "runners".into(),
            region: region.into(),
            account: ACCOUNT.into(),
            partition: partition.into(),
            issuer: Some(format!("https://oidc.eks.{region}.example/id/A")),
            ..EksFacts::default()
        }),
        aws: Some(AwsFacts {
            ipv6: false,
            control_plane_groups: vec!["sg-cluster".into()],
            control_plane_subnets: vec!["10.0.0.0/24".into()],
            nodes,
            ..AwsFacts::default()
        }),
        ..Facts::default()
    }
}

/// A profile on EKS in `region`, with `aws`.
fn on_eks(region: &str, aws: &Value) -> Profile {
    profile(&json!({
        "cluster": {"context": null, "eks": "runners", "region": region},
        "aws": aws,
    }))
}

fn at_aws(all: &[Desired]) -> Vec<&AwsResource> {
    let of = |it: &'_ Desired| matches!(it.resource, Resource::Aws(_));
    all.iter()
        .filter(|it| of(it))
        .filter_map(|it| match &it.resource {
            Resource::Aws(aws) => Some(aws),
            _ => None,
        })
        .collect()
}

fn rules(profile: &Profile, facts: &Facts) -> Vec<SecurityGroupRule> {
    let all = desired(profile, facts).unwrap();
    at_aws(&all)
        .into_iter()
        .filter_map(|it| match it {
            AwsResource::Rule(rule) => Some(rule.clone()),
            _ => None,
        })
        .collect()
}

fn role(partition: &str) -> Value {
    json!({
        "role": "runner", "serviceAccount": "runner", "path": "/ci/",
        "permissionsBoundary": format!("arn:{partition}:iam::{ACCOUNT}:policy/boundary"),
        "managedPolicies": [format!("arn:{partition}:iam::aws:policy/AmazonS3ReadOnlyAccess")],
        "buckets": [
            {"name": "own.example", "access": "readWrite", "apply": true},
            {"name": "other.example", "account": "444455556666", "access": "read"},
        ],
    })
}

/// All ARNs in rendered files and resources.
#[test]
fn all_arns_are_of_the_cluster_s_partition() {
    for (partition, region) in [
        ("aws", "ap-northeast-2"),
        ("aws-cn", "cn-north-1"),
        ("aws-us-gov", "us-gov-west-1"),
    ] {
        for key in ["irsa", "podIdentity"] {
            let profile = on_eks(region, &json!({key: role(partition)}));
            let known = facts(partition, region, vec![network(&["sg-node"])]);
            // Offline the partition follows from the region alone.
            for facts in [known, Facts::default()] {
                let mut texts = vec![format!("{:?}", desired(&profile, &facts).unwrap())];
                let rendered = render::files(&profile, &facts).unwrap();
                texts.extend(rendered.into_iter().map(|(_, text)| text));
                let all = texts.concat();
                let mut arns = all.split("arn:").filter(|it| it.starts_with("aws"));
                assert!(arns.clone().count() > 10, "{key} in {region}");
                let other = arns.find(|it| !it.starts_with(&format!("{partition}:")));
                let other = other.map(|it| it.chars().take(60).collect::<String>());
                assert_eq!(other, None, "{key} in {region}");
            }
        }
    }
}

#[test]
fn a_role_has_one_way_into_its_pods() {
    let kinds = |key: &str| {
        let profile = on_eks("ap-northeast-2", &json!({key: role("aws")}));
        let facts = facts("aws", "ap-northeast-2", Vec::new());
        let all = desired(&profile, &facts).unwrap();
        let mut kinds: Vec<String> = all
            .iter()
            .filter(|it| matches!(it.resource, Resource::Aws(_)))
            .map(|it| it.id.kind().to_owned())
            .collect();
        kinds.sort();
        kinds
    };
    let common = ["bucket-policy", "iam-role", "iam-role-policy"];
    assert_eq!(kinds("irsa"), [&common[..], &["oidc-provider"]].concat());
    let association = ["pod-identity-association"];
    assert_eq!(kinds("podIdentity"), [&common[..], &association].concat());
}

/// A teardown knows what is at AWS by the inventory alone.
#[test]
fn whatever_is_made_at_aws_is_read_back_from_its_record() {
    for key in ["irsa", "podIdentity"] {
        let server = json!({"cidr": "192.0.2.0/24"});
        let profile = on_eks(
            "ap-northeast-2",
            &json!({key: role("aws"), "githubServer": server}),
        );
        let facts = facts("aws", "ap-northeast-2", vec![network(&["sg-node"])]);
        let all = desired(&profile, &facts).unwrap();
        assert!(!at_aws(&all).is_empty());
        for it in &all {
            let is_made_at_aws = matches!(it.resource, Resource::Aws(_));
            assert_eq!(it.id.is_at_aws(), is_made_at_aws, "{}", it.id);
            if is_made_at_aws {
                let details = record::details(&it.resource).unwrap();
                let read = record::resource(&it.id, &details, "p");
                assert!(matches!(read, Some(Resource::Aws(_))), "{}", it.id);
            }
        }
    }
}

#[test]
fn the_association_is_for_the_role_that_is_there() {
    let profile = on_eks("ap-northeast-2", &json!({"podIdentity": role("aws")}));
    let mut facts = facts("aws", "ap-northeast-2", Vec::new());
    let arn = |facts: &Facts| {
        let all = desired(&profile, facts).unwrap();
        let found = at_aws(&all).into_iter().find_map(|it| match it {
            AwsResource::Association(it) => Some(it.role_arn.clone()),
            _ => None,
        });
        found.unwrap()
    };
    assert_eq!(
        arn(&facts),
        format!("arn:aws:iam::{ACCOUNT}:role/ci/runner")
    );
    let elsewhere = format!("arn:aws:iam::{ACCOUNT}:role/older/runner");
    facts.runner_role_arn = Some(elsewhere.clone());
    assert_eq!(arn(&facts), elsewhere);
}

#[test]
fn a_server_outside_aws_takes_a_rule_in_the_groups_of_the_nodes_only() {
    let profile = on_eks(
        "ap-northeast-2",
        &json!({"githubServer": {"cidr": "192.0.2.0/24"}}),
    );
    // Nodes of a managed group (the cluster's own group), self-managed ones, and Karpenter's with both.
    let nodes = vec![
        network(&["sg-cluster"]),
        network(&["sg-self"]),
        network(&["sg-cluster", "sg-karpenter"]),
    ];
    let found = rules(&profile, &facts("aws", "ap-northeast-2", nodes));
    let of_port = |port: u16| -> Vec<(&str, String)> {
        let of = found.iter().filter(|it| it.port == port);
        of.map(|it| {
            (
                it.group.as_str(),
                format!("{} {}", it.direction, it.peer.name()),
            )
        })
        .collect()
    };
    let out = |group| (group, "to 192.0.2.0/24".to_owned());
    assert_eq!(
        of_port(443),
        [out("sg-cluster"), out("sg-self"), out("sg-karpenter")]
    );
    let into = |group| (group, "from sg-cluster".to_owned());
    assert_eq!(
        of_port(9443),
        [into("sg-cluster"), into("sg-self"), into("sg-karpenter")]
    );
}

/// GitHub's own controller has no webhooks: a profile with scale sets only opens no port for them, and closes one from before.
#[test]
fn only_the_mode_with_webhooks_opens_their_port() {
    let of = |mode: &str| {
        profile(&json!({
            "cluster": {"context": null, "eks": "runners", "region": "ap-northeast-2"},
            "aws": {},
            "pools": [{"name": "linux", "mode": mode, "image": "ghcr.io/actions/actions-runner:2.334.0", "min": 1, "max": 2}],
        }))
    };
    let facts = facts("aws", "ap-northeast-2", vec![network(&["sg-node"])]);
    let (own, sets) = (of("runnerDeployment"), of("scaleSet"));
    let found = rules(&own, &facts);
    assert_eq!(found.iter().map(|it| it.port).collect::<Vec<_>>(), [9443]);
    assert!(is_for(&own, &found[0]) && !is_for(&sets, &found[0]));
    assert_eq!(rules(&sets, &facts), []);
}

/// Nodes that need the same rule get one; it must then cover all of them.
#[test]
fn a_rule_for_several_sets_of_groups_is_made_once() {
    let profile = on_eks(
        "ap-northeast-2",
        &json!({"githubServer": {"securityGroup": "sg-server"}}),
    );
    let nodes = vec![
        network(&["sg-a", "sg-node"]),
        network(&["sg-a", "sg-other"]),
    ];
    let found = rules(&profile, &facts("aws", "ap-northeast-2", nodes));
    let into: Vec<&SecurityGroupRule> = found.iter().filter(|it| it.group == "sg-server").collect();
    let [rule] = into.as_slice() else {
        panic!("{into:#?}")
    };
    assert_eq!(rule.peer, Peer::Group("sg-a".into()));
    // A rule for a group that only some of them have is not enough.
    assert_eq!(rule.peers, ["sg-a"]);
}

/// The ids of groups are random: which one gets the rule must not depend on them alone.
#[test]
fn of_several_groups_the_one_of_the_cluster_gets_the_rule_then_the_most_used_one() {
    let profile = on_eks(
        "ap-northeast-2",
        &json!({"githubServer": {"cidr": "192.0.2.0/24"}}),
    );
    let nodes = || {
        vec![
            network(&["sg-0ssh", "sg-1tagged", "sg-2shared"]),
            network(&["sg-2shared", "sg-3gpu"]),
        ]
    };
    let groups = |tagged: &[&str], nodes: Vec<NodeNetwork>| -> Vec<String> {
        let mut facts = facts("aws", "ap-northeast-2", nodes);
        let known = facts.aws.as_mut().unwrap();
        known.tagged_groups = tagged.iter().map(ToString::to_string).collect();
        let out = rules(&profile, &facts).into_iter();
        out.filter(|it| it.port == 443).map(|it| it.group).collect()
    };
    assert_eq!(
        groups(&["sg-1tagged"], nodes()),
        ["sg-1tagged", "sg-2shared"]
    );
    assert_eq!(groups(&[], nodes()), ["sg-2shared"]);
    let alone = || vec![network(&["sg-a", "sg-b"])];
    assert_eq!(groups(&["sg-b"], alone()), ["sg-b"]);
    assert_eq!(groups(&[], alone()), ["sg-a"]);
}

#[test]
fn the_workflow_passes_on_what_the_role_comes_by() {
    let workflow = |key: &str| {
        let profile = on_eks("ap-northeast-2", &json!({key: role("aws")}));
        let files = render::files(&profile, &Facts::default()).unwrap();
        let found = files
            .into_iter()
            .find(|(path, _)| path.starts_with(".github/workflows/"));
        found.unwrap().1
    };
    for (key, variables) in [
        ("irsa", ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"]),
        (
            "podIdentity",
            [
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            ],
        ),
    ] {
        let text = workflow(key);
        assert!(
            text.contains("-v /var/run/secrets:/var/run/secrets"),
            "{text}"
        );
        for variable in variables {
            assert!(text.contains(&format!("-e {variable} ")), "{text}");
        }
        assert_eq!(text.matches("-e AWS_").count(), 3, "{text}");
    }
}

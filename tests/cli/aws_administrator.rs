//! No privilege escalation from a pipeline's permissions at AWS to an administrator: the policies of docs/aws.md against
//! the known steps. That document lists the remaining ones, with the numbers that are counted here.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the document has failed"
)]

use arcctl_sandbox::cloud::rules::allows;
use serde_json::Value;

use crate::repository::text;

const ACCOUNT: &str = "123456789012";
const BOUNDARY: &str = "arn:aws:iam::123456789012:policy/boundary";
const POLICY: &str = "arn:aws:iam::123456789012:policy/runners";
const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
const OWN: &str = "arn:aws:iam::123456789012:role/runners";
const OTHER: &str = "arn:aws:iam::123456789012:role/other";
const USER: &str = "arn:aws:iam::123456789012:user/somebody";
const GROUP: &str = "arn:aws:iam::123456789012:group/administrators";
const ANY: &str = "*";

/// The policies of the document, for every day and for a teardown.
fn policies() -> [Value; 2] {
    let document = text("docs/aws.md");
    let blocks = document.split("```json").skip(1);
    let filled = blocks.map(|block| {
        let text = block
            .split("```")
            .next()
            .unwrap()
            .replace("ACCOUNT", ACCOUNT)
            .replace("CLUSTER", "runners")
            .replace("BOUNDARY", BOUNDARY)
            .replace("role/ROLE", "role/runners")
            .replace("\"POLICY\"", &format!("\"{POLICY}\""))
            .replace("SECURITY_GROUP", "sg-1")
            .replace("BUCKET", "artifacts")
            .replace("secret:SECRET", "secret:arcctl-??????")
            .replace("PARAMETER", "arcctl/token");
        serde_json::from_str(&text).unwrap()
    });
    filled.collect::<Vec<Value>>().try_into().unwrap()
}

type Step = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const BOUNDED: (&str, &str) = ("iam:PermissionsBoundary", BOUNDARY);
const UNBOUNDED: (&str, &str) = ("iam:PermissionsBoundary", ADMINISTRATOR);

/// Source: Rhino Security Labs, "AWS IAM Privilege Escalation – Methods and Mitigation"; the service authorization
/// reference for which condition keys a call has.
const STEPS: &[Step] = &[
    (
        "another version of the boundary",
        "iam:CreatePolicyVersion",
        BOUNDARY,
        &[],
    ),
    (
        "another version of a policy of the role",
        "iam:CreatePolicyVersion",
        POLICY,
        &[],
    ),
    (
        "an older version of a policy",
        "iam:SetDefaultPolicyVersion",
        POLICY,
        &[],
    ),
    (
        "a new policy",
        "iam:CreatePolicy",
        "arn:aws:iam::123456789012:policy/new",
        &[],
    ),
    ("a key of a user", "iam:CreateAccessKey", USER, &[]),
    ("a password of a user", "iam:CreateLoginProfile", USER, &[]),
    (
        "another password of a user",
        "iam:UpdateLoginProfile",
        USER,
        &[],
    ),
    (
        "a policy for a user",
        "iam:AttachUserPolicy",
        USER,
        &[("iam:PolicyARN", ADMINISTRATOR)],
    ),
    (
        "a policy for a group",
        "iam:AttachGroupPolicy",
        GROUP,
        &[("iam:PolicyARN", ADMINISTRATOR)],
    ),
    (
        "an inline policy for a user",
        "iam:PutUserPolicy",
        USER,
        &[],
    ),
    (
        "an inline policy for a group",
        "iam:PutGroupPolicy",
        GROUP,
        &[],
    ),
    ("into a group", "iam:AddUserToGroup", GROUP, &[]),
    (
        "no boundary of a user",
        "iam:DeleteUserPermissionsBoundary",
        USER,
        &[],
    ),
    (
        "AdministratorAccess for the role",
        "iam:AttachRolePolicy",
        OWN,
        &[("iam:PolicyARN", ADMINISTRATOR), BOUNDED],
    ),
    (
        "a policy of the profile for the role without its boundary",
        "iam:AttachRolePolicy",
        OWN,
        &[("iam:PolicyARN", POLICY)],
    ),
    (
        "a policy of the profile for another role",
        "iam:AttachRolePolicy",
        OTHER,
        &[("iam:PolicyARN", POLICY), BOUNDED],
    ),
    (
        "an inline policy in the role without its boundary",
        "iam:PutRolePolicy",
        OWN,
        &[],
    ),
    (
        "an inline policy in the role with another boundary",
        "iam:PutRolePolicy",
        OWN,
        &[UNBOUNDED],
    ),
    (
        "an inline policy in another role",
        "iam:PutRolePolicy",
        OTHER,
        &[BOUNDED],
    ),
    (
        "the trust policy of another role",
        "iam:UpdateAssumeRolePolicy",
        OTHER,
        &[],
    ),
    ("the role without a boundary", "iam:CreateRole", OWN, &[]),
    (
        "the role with another boundary",
        "iam:CreateRole",
        OWN,
        &[UNBOUNDED],
    ),
    ("another role", "iam:CreateRole", OTHER, &[BOUNDED]),
    (
        "another boundary of the role",
        "iam:PutRolePermissionsBoundary",
        OWN,
        &[UNBOUNDED],
    ),
    (
        "no boundary of the role",
        "iam:DeleteRolePermissionsBoundary",
        OWN,
        &[BOUNDED],
    ),
    ("another role taken on", "sts:AssumeRole", OTHER, &[]),
    (
        "another role handed to EKS",
        "iam:PassRole",
        OTHER,
        &[("iam:PassedToService", "pods.eks.amazonaws.com")],
    ),
    (
        "the role handed to EC2",
        "iam:PassRole",
        OWN,
        &[("iam:PassedToService", "ec2.amazonaws.com")],
    ),
    (
        "the role handed to Lambda",
        "iam:PassRole",
        OWN,
        &[("iam:PassedToService", "lambda.amazonaws.com")],
    ),
    (
        "the role in an instance profile",
        "iam:AddRoleToInstanceProfile",
        "arn:aws:iam::123456789012:instance-profile/x",
        &[],
    ),
    ("an instance", "ec2:RunInstances", ANY, &[]),
    (
        "another instance profile",
        "ec2:AssociateIamInstanceProfile",
        ANY,
        &[],
    ),
    (
        "an instance's start script",
        "ec2:ModifyInstanceAttribute",
        ANY,
        &[],
    ),
    ("a command on instances", "ssm:SendCommand", ANY, &[]),
    ("a shell on an instance", "ssm:StartSession", ANY, &[]),
    ("a function", "lambda:CreateFunction", ANY, &[]),
    (
        "another code of a function",
        "lambda:UpdateFunctionCode",
        ANY,
        &[],
    ),
    ("a stack", "cloudformation:CreateStack", ANY, &[]),
    ("a job of Glue", "glue:CreateJob", ANY, &[]),
    ("a notebook", "sagemaker:CreateNotebookInstance", ANY, &[]),
    ("a build", "codebuild:StartBuild", ANY, &[]),
    ("a task of ECS", "ecs:RunTask", ANY, &[]),
    (
        "a way into the cluster",
        "eks:CreateAccessEntry",
        "arn:aws:eks:eu-west-1:123456789012:cluster/runners",
        &[],
    ),
    (
        "an administrator of the cluster",
        "eks:AssociateAccessPolicy",
        "arn:aws:eks:eu-west-1:123456789012:access-entry/runners/role/1/x/y",
        &[],
    ),
    (
        "an association of somebody else",
        "eks:UpdatePodIdentityAssociation",
        "arn:aws:eks:eu-west-1:123456789012:podidentityassociation/runners/a-1",
        &[("aws:ResourceTag/app.kubernetes.io/managed-by", "terraform")],
    ),
    (
        "a provider of identities that is not EKS",
        "iam:CreateOpenIDConnectProvider",
        "arn:aws:iam::123456789012:oidc-provider/idp.example.com",
        &[],
    ),
    (
        "a provider of SAML",
        "iam:CreateSAMLProvider",
        "arn:aws:iam::123456789012:saml-provider/x",
        &[],
    ),
    (
        "the certificate of a provider",
        "iam:UpdateOpenIDConnectProviderThumbprint",
        "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/1",
        &[],
    ),
    (
        "another secret",
        "secretsmanager:GetSecretValue",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:root-AbCdEf",
        &[],
    ),
    (
        "another parameter",
        "ssm:GetParameter",
        "arn:aws:ssm:eu-west-1:123456789012:parameter/root",
        &[],
    ),
    (
        "the policy of another bucket",
        "s3:PutBucketPolicy",
        "arn:aws:s3:::terraform-state",
        &[],
    ),
    (
        "a policy of the organization",
        "organizations:DetachPolicy",
        ANY,
        &[],
    ),
    (
        "the trust policy of the role",
        "iam:UpdateAssumeRolePolicy",
        OWN,
        &[],
    ),
];

#[test]
fn the_policies_allow_no_step_to_administrator_but_the_one_that_is_told() {
    let document = text("docs/aws.md").replace('\n', " ");
    for (policy, name) in policies().iter().zip(["every day", "teardown"]) {
        let open: Vec<&str> = STEPS
            .iter()
            .filter(|(_, action, resource, context)| allows(policy, action, resource, context))
            .map(|(what, ..)| *what)
            .collect();
        assert_eq!(open, ["the trust policy of the role"], "{name}");
    }
    let numbers = format!(
        "Of {} known steps to an administrator's rights each policy allows 1",
        STEPS.len()
    );
    assert!(
        document.contains(&numbers),
        "docs/aws.md should say: {numbers}"
    );
}

#[test]
fn a_policy_without_its_conditions_is_seen_to_open_ways() {
    let [mut daily, _] = policies();
    for statement in daily["Statement"].as_array_mut().unwrap() {
        statement.as_object_mut().unwrap().remove("Condition");
    }
    let open = STEPS
        .iter()
        .filter(|(_, action, resource, context)| allows(&daily, action, resource, context));
    let open: Vec<&str> = open.map(|(what, ..)| *what).collect();
    for what in [
        "AdministratorAccess for the role",
        "an inline policy in the role without its boundary",
        "the role without a boundary",
        "another boundary of the role",
        "the role handed to EC2",
        "an association of somebody else",
    ] {
        assert!(open.contains(&what), "{what}: {open:?}");
    }
}

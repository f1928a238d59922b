//! Each call to AWS that may be denied, denied: the error names the permission and on what it is missing, and is a
//! matter of permission (exit code 4).

use std::{future::Future, pin::Pin};

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use serde_json::Value;

use super::{
    super::{Direction, writes::Writes},
    denying::{Denying, There},
    samples::{
        ATTACHED, MADE, MARK, association, attaching, bounded, bucket, document, foreign,
        live_rule, provider, role, role_policy, rule, statement,
    },
};
use crate::{
    clients::aws::Aws,
    error::{Error, ErrorKind, Result},
    resource::removal::Removal,
};

pub(super) type Call = for<'a> fn(&'a Aws) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// A call as a case: what runs, as a function of the clients.
macro_rules! call {
    (|$aws:ident, $writes:ident| $run:expr) => {
        |$aws| {
            Box::pin(async move {
                let $writes = &Writes::default();
                let _ = $writes;
                $run.await.map(drop)
            })
        }
    };
}

/// The permission, the resource of the hint, what is there, and what runs.
pub(super) type Case = (&'static str, &'static str, There, Call);

pub(super) fn cases() -> Vec<Case> {
    let all = [
        roles(),
        attachments(),
        providers(),
        policies(),
        rules(),
        associations(),
        account(),
    ];
    all.into_iter().flatten().collect()
}

/// A role whose trust policy has `statements`.
pub(super) fn there(statements: &[Value], more: &'static str) -> There {
    There {
        role: Some((document(statements), more)),
        ..There::default()
    }
}

fn roles() -> Vec<Case> {
    const ARN: &str = "arn:aws:iam::111122223333:role/r";
    let nothing = There::default;
    let ours = |more| there(&[statement()], more);
    vec![
        (
            "iam:GetRole",
            "r",
            nothing(),
            call!(|aws, writes| role().observe(aws, writes)),
        ),
        (
            "iam:ListAttachedRolePolicies",
            ARN,
            ours(""),
            call!(|aws, writes| role().observe(aws, writes)),
        ),
        (
            "iam:GetAccountSummary",
            "r",
            there(&vec![foreign(); 24], ""),
            call!(|aws, writes| role().observe(aws, writes)),
        ),
        (
            "iam:CreateRole",
            "r",
            nothing(),
            call!(|aws, writes| role().apply(aws, writes)),
        ),
        (
            "iam:UpdateAssumeRolePolicy",
            "r",
            there(&[foreign()], ""),
            call!(|aws, writes| role().apply(aws, writes)),
        ),
        (
            "iam:PutRolePermissionsBoundary",
            "r",
            ours(MADE),
            call!(|aws, writes| bounded().apply(aws, writes)),
        ),
        (
            "iam:ListRolePolicies",
            "r",
            ours(MADE),
            call!(|aws, writes| role().delete(aws, writes)),
        ),
        (
            "iam:ListInstanceProfilesForRole",
            "r",
            ours(MADE),
            call!(|aws, writes| role().delete(aws, writes)),
        ),
        (
            "iam:DeleteRole",
            "r",
            ours(MADE),
            call!(|aws, writes| role().delete(aws, writes)),
        ),
    ]
}

fn attachments() -> Vec<Case> {
    let ours = |more| there(&[statement()], more);
    let attached = There {
        attached: ATTACHED,
        ..ours(MARK)
    };
    vec![
        (
            "iam:TagRole",
            "r",
            ours(""),
            call!(|aws, writes| attaching().apply(aws, writes)),
        ),
        (
            "iam:AttachRolePolicy",
            "r",
            ours(MARK),
            call!(|aws, writes| attaching().apply(aws, writes)),
        ),
        (
            "iam:DetachRolePolicy",
            "r",
            attached.clone(),
            call!(|aws, writes| role().apply(aws, writes)),
        ),
        (
            "iam:UntagRole",
            "r",
            attached,
            call!(|aws, writes| role().apply(aws, writes)),
        ),
    ]
}

fn providers() -> Vec<Case> {
    const ARN: &str = "arn:aws:iam::111122223333:oidc-provider/i";
    let nothing = There::default;
    let with = |clients| There {
        provider: Some(clients),
        ..There::default()
    };
    let sts = || with("<member>sts.amazonaws.com</member>");
    vec![
        (
            "iam:GetOpenIDConnectProvider",
            ARN,
            nothing(),
            call!(|aws, writes| provider().observe(aws, writes)),
        ),
        (
            "iam:CreateOpenIDConnectProvider",
            ARN,
            nothing(),
            call!(|aws, writes| provider().apply(aws, writes)),
        ),
        (
            "iam:AddClientIDToOpenIDConnectProvider",
            ARN,
            with("<member>x</member>"),
            call!(|aws, writes| provider().apply(aws, writes)),
        ),
        (
            "iam:ListRoles",
            ARN,
            sts(),
            call!(|aws, writes| provider().delete(aws, writes, &Removal::default())),
        ),
        (
            "iam:DeleteOpenIDConnectProvider",
            ARN,
            sts(),
            call!(|aws, writes| provider().delete(aws, writes, &Removal::default())),
        ),
    ]
}

fn policies() -> Vec<Case> {
    let nothing = There::default;
    let written = || There {
        policy: Some(document(&[statement()])),
        ..There::default()
    };
    vec![
        (
            "iam:GetRolePolicy",
            "r",
            nothing(),
            call!(|aws, writes| role_policy(vec![statement()]).observe(aws, writes)),
        ),
        (
            "iam:PutRolePolicy",
            "r",
            nothing(),
            call!(|aws, writes| role_policy(vec![statement()]).apply(aws, writes)),
        ),
        (
            "iam:DeleteRolePolicy",
            "r",
            written(),
            call!(|aws, writes| role_policy(Vec::new()).apply(aws, writes)),
        ),
        (
            "s3:GetBucketPolicy",
            "b.example",
            nothing(),
            call!(|aws, writes| bucket().observe(aws, writes)),
        ),
        (
            "s3:PutBucketPolicy",
            "b.example",
            nothing(),
            call!(|aws, writes| bucket().apply(aws, writes)),
        ),
        (
            "s3:DeleteBucketPolicy",
            "b.example",
            written(),
            call!(|aws, writes| bucket().delete(aws, writes)),
        ),
    ]
}

fn rules() -> Vec<Case> {
    const IN: Direction = Direction::Ingress;
    const OUT: Direction = Direction::Egress;
    let nothing = There::default;
    let with = |egress| There {
        rules: live_rule(egress),
        ..There::default()
    };
    vec![
        (
            "ec2:DescribeSecurityGroupRules",
            "sg-1",
            nothing(),
            call!(|aws, writes| rule(IN).observe(aws, writes)),
        ),
        (
            "ec2:AuthorizeSecurityGroupIngress",
            "sg-1",
            nothing(),
            call!(|aws, writes| rule(IN).apply(aws, writes)),
        ),
        (
            "ec2:AuthorizeSecurityGroupEgress",
            "sg-1",
            nothing(),
            call!(|aws, writes| rule(OUT).apply(aws, writes)),
        ),
        (
            "ec2:RevokeSecurityGroupIngress",
            "sg-1",
            with(false),
            call!(|aws, writes| rule(IN).delete(aws, writes)),
        ),
        (
            "ec2:RevokeSecurityGroupEgress",
            "sg-1",
            with(true),
            call!(|aws, writes| rule(OUT).delete(aws, writes)),
        ),
    ]
}

fn associations() -> Vec<Case> {
    let nothing = There::default;
    let other = || There {
        association: Some("x"),
        ..There::default()
    };
    vec![
        (
            "eks:ListPodIdentityAssociations",
            "runners",
            nothing(),
            call!(|aws, writes| association().remains(aws, writes)),
        ),
        (
            "eks:DescribePodIdentityAssociation",
            "runners",
            other(),
            call!(|aws, writes| association().remains(aws, writes)),
        ),
        (
            "eks:CreatePodIdentityAssociation",
            "runners",
            nothing(),
            call!(|aws, writes| association().apply(aws, writes)),
        ),
        (
            "eks:UpdatePodIdentityAssociation",
            "runners",
            other(),
            call!(|aws, writes| association().apply(aws, writes)),
        ),
        (
            "eks:DeletePodIdentityAssociation",
            "runners",
            other(),
            call!(|aws, writes| association().delete(aws, writes)),
        ),
    ]
}

/// What is asked before there is anything.
fn account() -> Vec<Case> {
    let nothing = There::default;
    vec![
        (
            "eks:DescribeCluster",
            "cluster/runners",
            nothing(),
            call!(|aws, writes| aws.cluster("runners")),
        ),
        (
            "secretsmanager:GetSecretValue",
            "s",
            nothing(),
            call!(|aws, writes| aws.secret("s")),
        ),
        (
            "ssm:GetParameter",
            "s",
            nothing(),
            call!(|aws, writes| aws.parameter("s")),
        ),
        (
            "sts:GetCallerIdentity",
            "*",
            nothing(),
            call!(|aws, writes| aws.caller()),
        ),
    ]
}

#[tokio::test]
async fn each_denied_call_names_what_it_lacks() {
    for (permission, resource, there, call) in cases() {
        let operation = permission.split(':').nth(1).unwrap().to_owned();
        let wire = Denying { operation, there };
        let aws = Aws::answered_by(SharedHttpClient::new(wire));
        let error: Error = match call(&aws).await {
            Ok(()) => panic!("{permission} was not asked for"),
            Err(error) => error,
        };
        assert_eq!(
            error.kind,
            ErrorKind::Unauthorized,
            "{permission}: {error:?}"
        );
        let hint = error.hint.clone().unwrap_or_default();
        assert!(
            hint.contains(&format!("`{permission}` on `{resource}`")),
            "{permission}: {hint}"
        );
        let said = error.causes.join(" ");
        assert_eq!(
            said.matches("is not authorized to perform").count(),
            1,
            "{permission}: {said}"
        );
    }
}

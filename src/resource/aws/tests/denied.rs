//! Tests each AWS call with access denied: the error names the permission and the resource, and has
//! exit code 4 (missing permission).

use std::{future::Future, pin::Pin};

use serde_json::Value;

use super::{
    denied_networks,
    denying::{Denying, OURS, There},
    samples::{
        ATTACHED, CLIENT, MADE, MARK, POLICY, attaching, bounded, bucket, document, foreign,
        provider, role, role_policy, statement,
    },
};
use crate::{
    clients::aws::Aws,
    error::{Error, ErrorKind, Result},
    resource::deletion::Removal,
};

pub(super) type Call = for<'a> fn(&'a Aws) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// The permission, the resource in the hint, the state at AWS, and the call.
pub(super) type Case = (&'static str, &'static str, There, Call);

pub(super) fn cases() -> Vec<Case> {
    let all = [
        roles(),
        attachments(),
        providers(),
        policies(),
        denied_networks::rules(),
        denied_networks::associations(),
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

#[expect(clippy::too_many_lines, reason = "one table")]
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
            call!(|aws, writes| async {
                let role = role();
                let shown = document(&[foreign()]).to_string();
                writes.agreed(&role.trust_policy(aws).shared(), &shown);
                role.apply(aws, writes).await
            }),
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
            "iam:GetPolicy",
            POLICY,
            ours(""),
            call!(|aws, writes| attaching().observe(aws, writes)),
        ),
        (
            "iam:GetPolicy",
            POLICY,
            There::default(),
            call!(|aws, writes| bounded().observe(aws, writes)),
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

#[expect(clippy::too_many_lines, reason = "one table")]
fn providers() -> Vec<Case> {
    const ARN: &str = "arn:aws:iam::111122223333:oidc-provider/i";
    let nothing = There::default;
    let with = |clients| There {
        provider: Some((clients, OURS)),
        ..There::default()
    };
    let of_others = |clients, tags| There {
        provider: Some((clients, tags)),
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
            "iam:TagOpenIDConnectProvider",
            ARN,
            of_others("<member>x</member>", ""),
            call!(|aws, writes| provider().apply(aws, writes)),
        ),
        (
            "iam:RemoveClientIDFromOpenIDConnectProvider",
            ARN,
            of_others("<member>sts.amazonaws.com</member>", CLIENT),
            call!(|aws, writes| provider().delete(aws, writes, &Removal::default())),
        ),
        (
            "iam:UntagOpenIDConnectProvider",
            ARN,
            of_others("<member>sts.amazonaws.com</member>", CLIENT),
            call!(|aws, writes| provider().delete(aws, writes, &Removal::default())),
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
            call!(|aws, writes| async {
                writes.agreed(&bucket().shared(&bucket().key()), "");
                bucket().apply(aws, writes).await
            }),
        ),
        (
            "s3:DeleteBucketPolicy",
            "b.example",
            written(),
            call!(|aws, writes| async {
                let shown = document(&[statement()]).to_string();
                writes.agreed(&bucket().shared(&bucket().key()), &shown);
                bucket().delete(aws, writes).await
            }),
        ),
    ]
}

/// Calls before the account has any resource.
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
        let aws = Aws::answered_by(wire);
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

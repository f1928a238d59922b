//! Tests that the plan reports what IAM would reject of a role, and the deletion of one.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::{
    denying::OURS,
    samples::{ATTACHED, POLICY, document, foreign, role, statement},
};
use crate::{
    clients::aws::wire::{Wire, answer, field, of_iam, operation, refused_by_iam},
    desired::resource::aws::IamRole,
    error::{Error, Result},
    resource::{
        aws::consistency::Writes,
        deletion::Removal,
        observed::{Observed, Readiness},
    },
};

/// A managed policy that exists.
const THERE: &str = "arn:aws:iam::111122223333:policy/there";

/// IAM with or without the role, and with one managed policy.
fn iam(role: Option<&'static str>) -> Wire {
    Wire::new(move |request| {
        let operation = operation(request);
        match operation.as_str() {
            "GetRole" => match role {
                None => {
                    refused_by_iam(404, "NoSuchEntity", "The role with name r cannot be found.")
                }
                Some(more) => {
                    let trust = document(&[foreign()]).to_string().replace('"', "&quot;");
                    of_iam(
                        &operation,
                        &format!(
                            "<Role><Path>/</Path><RoleName>r</RoleName><RoleId>AROA</RoleId><Arn>arn:aws:iam::111122223333:role/r</Arn>\
                         <CreateDate>2026-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument>{more}</Role>"
                        ),
                    )
                }
            },
            "GetPolicy" => {
                let policy = field(request, "PolicyArn").unwrap();
                if policy.starts_with(THERE) {
                    of_iam(&operation, "<Policy><PolicyName>x</PolicyName></Policy>")
                } else {
                    let said = format!("Policy {policy} was not found.");
                    refused_by_iam(404, "NoSuchEntity", &said)
                }
            }
            "ListAttachedRolePolicies" => of_iam(&operation, "<IsTruncated>false</IsTruncated>"),
            "GetAccountSummary" => of_iam(
                &operation,
                "<SummaryMap><entry><key>AttachedPoliciesPerRoleQuota</key><value>10</value></entry></SummaryMap>",
            ),
            other => answer(500, format!("{other} is not expected")),
        }
    })
}

async fn observed(wire: &Wire, role: &IamRole) -> Result<Observed> {
    role.observe(&wire.aws(), &Writes::default()).await
}

async fn refused(wire: &Wire, role: &IamRole) -> Error {
    match observed(wire, role).await {
        Err(error) => error,
        Ok(found) => panic!("{found:?}"),
    }
}

fn with(policies: usize) -> IamRole {
    IamRole {
        managed_policies: (0..policies).map(|it| format!("{THERE}{it}")).collect(),
        ..role()
    }
}

fn bounded(boundary: &str) -> IamRole {
    IamRole {
        permissions_boundary: Some(boundary.into()),
        ..role()
    }
}

#[tokio::test]
async fn a_role_that_is_to_be_made_is_checked_before() {
    let absent = || iam(None);
    let missing = IamRole {
        managed_policies: vec![THERE.into(), POLICY.into()],
        ..role()
    };
    let error = refused(&absent(), &missing).await;
    assert_eq!(
        error.message,
        format!("there is no managed policy `{POLICY}`")
    );

    let error = refused(&absent(), &with(11)).await;
    assert_eq!(error.causes, ["it would have 11, and 10 are allowed"]);
    let hint = error.hint.unwrap();
    assert!(hint.starts_with("list fewer `managedPolicies`"), "{hint}");

    let error = refused(&absent(), &bounded(POLICY)).await;
    assert!(
        error.message.contains("permissions boundary") && error.message.contains(POLICY),
        "{error:?}"
    );
    assert!(error.hint.unwrap().contains("`permissionsBoundary`"));

    for fine in [role(), with(10), bounded(THERE)] {
        let found = observed(&absent(), &fine).await.unwrap();
        assert!(matches!(found, Observed::Absent), "{found:?}");
    }
}

#[tokio::test]
async fn a_name_that_differs_in_capitals_is_told() {
    let wire = Wire::new(|request| match operation(request).as_str() {
        "GetRole" => refused_by_iam(404, "NoSuchEntity", "The role with name r cannot be found."),
        _ => refused_by_iam(
            409,
            "EntityAlreadyExists",
            "Role with name r already exists.",
        ),
    });
    let applied = role().apply(&wire.aws(), &Writes::default()).await;
    let error = applied.unwrap_err();
    // It may also be a role that IAM shows late.
    assert!(error.passing, "{error:?}");
    assert!(error.hint.unwrap().contains("capital letters"));
}

#[tokio::test]
async fn so_is_another_boundary_of_a_role_that_arcctl_made() {
    const MADE: &str = super::samples::MADE;
    let error = refused(&iam(Some(MADE)), &bounded(POLICY)).await;
    assert!(error.message.contains("permissions boundary"), "{error:?}");
    let found = observed(&iam(Some(MADE)), &bounded(THERE)).await.unwrap();
    let Observed::Present(present) = found else {
        panic!("{found:?}")
    };
    let paths: Vec<&str> = present
        .differences
        .iter()
        .map(|it| it.path.as_str())
        .collect();
    assert!(paths.contains(&"permissionsBoundary"), "{paths:?}");
    // The boundary of a foreign role is not checked.
    observed(&iam(Some("")), &bounded(POLICY)).await.unwrap();
}

/// The tags of a role that arcctl made and attached a policy to, as members of a list.
const MARKED: &str = "<member><Key>arcctl.dev/attached/0000000000000000/737bec41a7eb16c5</Key><Value>x</Value></member>";

/// IAM with a role that arcctl made, with a policy attached to it. It shows no write; after the policy is detached, the role
/// has the statement of `joins`.
fn left(joins: Option<Value>) -> Wire {
    let detached = AtomicBool::new(false);
    Wire::new(move |request| {
        let operation = operation(request);
        let result = match operation.as_str() {
            "GetRole" => {
                let joins = joins.iter().filter(|_| detached.load(Ordering::Relaxed));
                let statements: Vec<Value> =
                    [statement()].into_iter().chain(joins.cloned()).collect();
                let trust = document(&statements).to_string().replace('"', "&quot;");
                format!(
                    "<Role><Path>/</Path><RoleName>r</RoleName><RoleId>AROA</RoleId><Arn>arn:aws:iam::111122223333:role/r</Arn>\
                     <CreateDate>2026-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument>\
                     <Tags>{OURS}{MARKED}</Tags></Role>"
                )
            }
            "ListAttachedRolePolicies" => format!(
                "<AttachedPolicies>{ATTACHED}</AttachedPolicies><IsTruncated>false</IsTruncated>"
            ),
            "ListRolePolicies" => "<PolicyNames/><IsTruncated>false</IsTruncated>".into(),
            "ListInstanceProfilesForRole" => {
                "<InstanceProfiles/><IsTruncated>false</IsTruncated>".into()
            }
            "DetachRolePolicy" => {
                detached.store(true, Ordering::Relaxed);
                String::new()
            }
            "DeleteRole" => String::new(),
            other => panic!("{other} is not expected"),
        };
        of_iam(&operation, &result)
    })
}

#[tokio::test]
async fn a_role_is_deleted_as_soon_as_its_policies_are_detached() {
    for (joins, deletes) in [(None, true), (Some(foreign()), false)] {
        let (wire, writes) = (left(joins), Writes::default());
        let aws = wire.aws();
        role().delete(&aws, &writes).await.unwrap();
        let mut asked = wire.asked();
        asked.retain(|it| !it.starts_with("Get") && !it.starts_with("List"));
        let all = ["DetachRolePolicy", "DeleteRole"];
        assert_eq!(asked, all[..=usize::from(deletes)]);
        assert_eq!(writes.is_out("r"), deletes);
        // The deletion ends once IAM shows it, and nothing is sent twice until then.
        if deletes {
            let left = role().remains(&aws, &writes, &Removal::default()).await;
            let Observed::Present(left) = left.unwrap() else {
                panic!("IAM still shows it")
            };
            assert_ne!(left.readiness, Readiness::Ready);
        }
    }
}

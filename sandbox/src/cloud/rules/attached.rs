//! Which name, managed policies and permissions boundary a role can have: reads moto.

use super::{call::Call, document, refusal::Refusal};
use crate::cloud::api::{Api, texts};

/// Names that differ only in upper and lower case are one name to IAM (IAM user guide, "IAM name requirements").
pub(super) async fn unique(call: &Call, moto: &Api) -> Result<(), Refusal> {
    let name = call.argument("RoleName").unwrap_or_default();
    let listed = moto.iam("ListRoles", &[]).await.unwrap_or_default();
    let other = |it: &String| it != name && it.eq_ignore_ascii_case(name);
    if !texts(&listed, "RoleName").any(|it| other(&it)) {
        return Ok(());
    }
    let said = format!("Role with name {name} already exists.");
    Err(Refusal::new(409, "EntityAlreadyExists", said))
}

/// A role has ten managed policies at most (IAM user guide, quotas).
pub(super) async fn attachable(call: &Call, moto: &Api) -> Result<(), Refusal> {
    let role = call.argument("RoleName").unwrap_or_default();
    let listed = moto
        .iam("ListAttachedRolePolicies", &[("RoleName", role)])
        .await;
    let listed: Vec<String> = texts(&listed.unwrap_or_default(), "PolicyArn").collect();
    let own = call.argument("PolicyArn").unwrap_or_default();
    if listed.len() < document::ATTACHED || listed.iter().any(|it| it == own) {
        return Ok(());
    }
    let said = format!(
        "Cannot exceed quota for PoliciesPerRole: {}",
        document::ATTACHED
    );
    Err(Refusal::new(409, "LimitExceeded", said))
}

/// A permissions boundary must be there; moto looks at its form only. What AWS itself makes, moto does not have (IAM API
/// reference, `CreateRole`: `NoSuchEntity`; its words: openshift/rosa's tests).
pub(super) async fn bounding(boundary: &str, moto: &Api) -> Result<(), Refusal> {
    let of_aws = boundary.starts_with("arn:aws:iam::aws:");
    if of_aws
        || moto
            .iam("GetPolicy", &[("PolicyArn", boundary)])
            .await
            .is_ok()
    {
        return Ok(());
    }
    let said = format!("Scope ARN: {boundary} does not exist or is not attachable.");
    Err(Refusal::new(404, "NoSuchEntity", said))
}

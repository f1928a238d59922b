//! Which managed policies and permissions boundaries a role can have: reads moto.

use super::{call::Call, document, refusal::Refusal};
use crate::cloud::api::{Api, texts};

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

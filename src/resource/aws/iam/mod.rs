//! IAM resources of the runners: role, trust policy, permissions, OIDC provider, Pod Identity.

pub(crate) mod attachments;
pub(crate) mod oidc_deletion;
pub(crate) mod oidc_provider;
pub(crate) mod pod_identity;
pub(crate) mod role;
pub(crate) mod role_deletion;
pub(crate) mod role_policy;
pub(crate) mod trust_policy;

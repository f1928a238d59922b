//! Maps AWS error codes to hints. For an unknown code the hint states that the cause is unknown, and names the next thing to
//! check. Pure: no I/O.
//!
//! Source of the codes: the service models of IAM, EC2, EKS, S3, Secrets Manager and SSM.

/// A concurrent change by another caller: a retry can succeed. Sources: service model of IAM (409), S3's list of error
/// codes.
const CONFLICTS: &[&str] = &[
    "ConcurrentModification",
    "ConcurrentModificationException",
    "ConditionalRequestConflict",
    "OperationAborted",
];

/// Suffixes of error codes and their hints; the first match wins.
const KNOWN: &[(&[&str], &str)] = &[
    (
        &[
            "NotFound",
            "NotFoundException",
            "NoSuchEntity",
            "NoSuchBucket",
            "NotFoundFault",
            "ParameterNotFound",
        ],
        "it is not in this account and region: `aws sts get-caller-identity` shows the account, cluster.region in the profile is the region",
    ),
    (
        &[
            "LimitExceeded",
            "LimitExceededException",
            "ServiceQuotaExceededException",
            "QuotaExceeded",
        ],
        "the account's quota is used up: raise it in the AWS console under Service Quotas, or remove what is not needed",
    ),
    (
        &[
            "MalformedPolicyDocument",
            "MalformedPolicy",
            "InvalidPolicyDocument",
        ],
        "AWS rejects the policy: its message shows the invalid part; if a statement names a deleted principal, remove that statement first",
    ),
    (
        CONFLICTS,
        "another client changes it at the same time: run the same command again in a minute; CloudTrail in the AWS console shows which one",
    ),
    (
        &[
            "ResourceInUseException",
            "DeleteConflict",
            "DependencyViolation",
        ],
        "another resource still uses it: CloudTrail in the AWS console shows who uses it; run the same command again after that",
    ),
    (
        &[
            "AlreadyExists",
            "EntityAlreadyExists",
            "ResourceInUse",
            "InvalidPermission.Duplicate",
            "InvalidGroup.Duplicate",
        ],
        "a resource of that name already exists: use another name in the profile, or take over the existing one",
    ),
    (
        &[
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
        ],
        "it is in another region than cluster.region in the profile",
    ),
    (
        &[
            "OpenIdIdpCommunicationError",
            "OpenIdIdpCommunicationErrorException",
        ],
        "IAM cannot reach the cluster's OIDC issuer: check that `/.well-known/openid-configuration` below its URL answers, and run the same command again in a minute",
    ),
    (
        &["DecryptionFailure", "KMSAccessDeniedException"],
        "grant `kms:Decrypt` on its key to the identity that `aws sts get-caller-identity` shows",
    ),
    (
        &[
            "InvalidParameterValue",
            "InvalidParameterException",
            "ValidationError",
            "ValidationException",
            "InvalidInput",
            "InvalidParameterCombination",
            "InvalidAMIID.Malformed",
            "InvalidGroupId.Malformed",
        ],
        "correct the value in this message under `aws` or `cluster` in the profile",
    ),
];

/// Whether `code` reports a concurrent change by another caller.
pub(super) fn is_conflict(code: &str) -> bool {
    CONFLICTS.contains(&code)
}

/// The hint for the error `code` about `resource`.
pub(super) fn hint(code: &str, resource: &str) -> String {
    let known = KNOWN.iter().find(|(codes, _)| {
        codes
            .iter()
            .any(|it| code.ends_with(it) || code.contains(&format!("{it}.")))
    });
    known.map_or_else(
        || {
            format!(
                "the cause is not known beyond this message: find the request in CloudTrail in the AWS console, by its time and `{resource}`"
            )
        },
        |(_, hint)| (*hint).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_chooses_the_hint() {
        for (code, expected) in [
            ("InvalidGroup.NotFound", "not in this account"),
            ("NoSuchEntity", "not in this account"),
            ("ResourceNotFoundException", "not in this account"),
            ("RulesPerSecurityGroupLimitExceeded", "quota"),
            ("LimitExceeded", "quota"),
            ("MalformedPolicyDocument", "policy"),
            ("OperationAborted", "changes it at the same time"),
            ("ConditionalRequestConflict", "changes it at the same time"),
            ("DependencyViolation", "uses it"),
            ("EntityAlreadyExists", "already exists"),
            ("PermanentRedirect", "another region"),
            ("OpenIdIdpCommunicationError", "OIDC issuer"),
            ("DecryptionFailure", "kms:Decrypt"),
            ("InvalidParameterValue", "correct the value"),
        ] {
            let hint = hint(code, "role/x");
            assert!(hint.contains(expected), "{code}: {hint}");
        }
        let unknown = hint("Teapot", "role/x");
        assert!(
            unknown.contains("not known") && unknown.contains("role/x"),
            "{unknown}"
        );
    }
}

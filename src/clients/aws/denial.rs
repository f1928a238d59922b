//! The hint for a call that AWS denies: which permission it lacks, and which kind of policy denies it. Pure: no I/O.
//!
//! Sources: IAM user guide, "Troubleshoot access denied error messages" (a message names one kind of policy, even if several
//! deny the call); S3 user guide, "Troubleshoot access denied (403 Forbidden) errors".

/// A kind of policy that denies a call although the identity has the permission.
struct Kind {
    /// Its words in AWS's message.
    words: &'static str,
    /// What denies the call.
    what: &'static str,
    /// What to do.
    todo: &'static str,
}

/// The first match counts: a VPC endpoint's policy can deny "transitively through a service control policy".
const KINDS: &[Kind] = &[
    Kind {
        words: "service control policy",
        what: "a service control policy of the AWS organization",
        todo: "ask the organization's administrator to allow it, or use an account that may do it",
    },
    Kind {
        words: "resource control policy",
        what: "a resource control policy of the AWS organization",
        todo: "ask the organization's administrator to allow it, or use an account that may do it",
    },
    Kind {
        words: "permissions boundary",
        what: "the permissions boundary of the identity",
        todo: "have the boundary's owner allow it, or use another identity",
    },
    Kind {
        words: "VPC endpoint policy",
        what: "the policy of the VPC endpoint between this machine and AWS",
        todo: "have the endpoint's owner allow it, or run arcctl in another network",
    },
    Kind {
        words: "public policies are",
        what: "S3 Block Public Access",
        todo: "narrow the public statement of others in the bucket's policy: `aws s3api get-bucket-policy --bucket BUCKET` shows it",
    },
    Kind {
        words: "explicit deny in an identity-based policy",
        what: "a `Deny` statement in a policy of the identity",
        todo: "meet its conditions (for example MFA or the network), have its owner take it out, or use another identity",
    },
    Kind {
        words: "resource-based policy",
        what: "the resource's own policy",
        todo: "have its owner allow it there",
    },
    Kind {
        words: "session",
        what: "the policy of the session",
        todo: "sign in without a session policy, or with one that allows it",
    },
];

/// The hint for a call that AWS denies with `message`. The call needs `action` on `resource`, and maybe more.
pub(super) fn hint(message: &str, action: &str, resource: &str) -> String {
    let (action, resource) = match named(message) {
        Some((other, on)) if !other.eq_ignore_ascii_case(action) => (other, on.unwrap_or(resource)),
        _ => (action, resource),
    };
    match kind(message) {
        Some(Kind { what, todo, .. }) => format!(
            "{what} does not allow `{action}` on `{resource}`, and granting it to the identity does not change that: {todo}"
        ),
        None => format!(
            "grant `{action}` on `{resource}` to the identity that `aws sts get-caller-identity` shows, or use another identity"
        ),
    }
}

/// The action that AWS's message names, and its resource. It is another one than the call's where a call needs several: to
/// associate a role with a service account takes `iam:PassRole`, to create something with tags the right to tag it.
fn named(message: &str) -> Option<(&str, Option<&str>)> {
    let (_, rest) = message.split_once("is not authorized to perform: ")?;
    let action = rest.split_whitespace().next()?;
    let (service, name) = action.split_once(':')?;
    let is_name = |it: &str| {
        let plain = |it: char| it.is_ascii_alphanumeric() || it == '-';
        !it.is_empty() && it.chars().all(plain)
    };
    if !is_name(service) || !is_name(name) {
        return None;
    }
    let resource = rest.split_once(" on resource: ");
    let resource = resource.and_then(|(_, it)| it.split_whitespace().next());
    Some((action, resource.map(|it| it.trim_matches('"'))))
}

/// The kind of policy that AWS names as the reason.
fn kind(message: &str) -> Option<&'static Kind> {
    let reasons = ["with an explicit deny in", "because "];
    let start = reasons.iter().find_map(|it| message.find(it))?;
    let reason = message.get(start..)?;
    KINDS.iter().find(|it| reason.contains(it.words))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reasons of AWS, and what each is in a hint.
    const NO_GRANT_HELPS: [(&str, &str); 11] = [
        (
            "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/service_control_policy/p-1",
            "a service control policy of the AWS organization does not allow",
        ),
        (
            "because no service control policy allows the iam:CreateRole action",
            "a service control policy",
        ),
        (
            "with an explicit deny in a VPC endpoint policy transitively through a service control policy",
            "a service control policy",
        ),
        (
            "with an explicit deny in a resource control policy",
            "a resource control policy",
        ),
        (
            "because no VPC endpoint policy allows the iam:CreateRole action",
            "the VPC endpoint",
        ),
        (
            "because no permissions boundary allows the iam:CreateRole action",
            "the permissions boundary of the identity",
        ),
        (
            "with an explicit deny in an identity-based policy: arn:aws:iam::1:policy/session",
            "a `Deny` statement",
        ),
        (
            "with an explicit deny in a resource-based policy",
            "the resource's own policy",
        ),
        (
            "with an explicit deny in a sessions policy",
            "the policy of the session",
        ),
        (
            "because public policies are blocked by the BlockPublicPolicy block public access setting.",
            "S3 Block Public Access",
        ),
        (
            "because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
            "S3 Block Public Access",
        ),
    ];

    fn denied(action: &str, reason: &str) -> String {
        format!(
            "User: arn:aws:sts::111122223333:assumed-role/session policy/me is not authorized to perform: {action} \
             on resource: \"arn:aws:iam::111122223333:role/r\" {reason}"
        )
    }

    #[test]
    fn a_grant_is_advised_only_where_it_helps() {
        for (reason, words) in NO_GRANT_HELPS {
            let message = denied("iam:CreateRole", reason);
            let hint = hint(&message, "iam:CreateRole", "r");
            assert!(hint.contains(words), "{reason}: {hint}");
            assert!(hint.contains("`iam:CreateRole` on `r`"), "{hint}");
            assert!(!hint.starts_with("grant "), "{reason}: {hint}");
        }
        for reason in [
            "",
            "because no identity-based policy allows the iam:CreateRole action",
        ] {
            let message = denied("iam:CreateRole", reason);
            let hint = hint(&message, "iam:CreateRole", "r");
            assert!(
                hint.starts_with("grant `iam:CreateRole` on `r` to the identity"),
                "{hint}"
            );
        }
    }

    #[test]
    fn what_a_call_needs_beside_its_own_permission_is_named() {
        let message = denied(
            "iam:PassRole",
            "because no identity-based policy allows the iam:PassRole action",
        );
        let hint = hint(&message, "eks:CreatePodIdentityAssociation", "runners");
        assert!(
            hint.starts_with("grant `iam:PassRole` on `arn:aws:iam::111122223333:role/r` to"),
            "{hint}"
        );
    }

    #[test]
    fn what_is_no_action_is_not_taken_for_one() {
        for message in [
            "no",
            "User: u is not authorized to perform: GetRole",
            "User: u is not authorized to perform: this `operation`:x",
            "User: u is not authorized to perform: ",
        ] {
            let hint = hint(message, "iam:GetRole", "r");
            assert!(hint.contains("`iam:GetRole` on `r`"), "{message}: {hint}");
        }
    }
}

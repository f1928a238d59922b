//! The IAM role of the runners: creates it, or adds to an existing one.

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::types::Role;
use serde_json::{Value, json};

use super::{
    attachments::{Attachments, is_there},
    oidc_provider::{is_made, tags},
    trust_policy::TrustPolicy,
};
use crate::{
    clients::aws::{Aws, error::Asked},
    desired::resource::aws::IamRole,
    diff::Difference,
    error::{Error, Result, System},
    policy::{Document, differences, is_granted, merged},
    resource::{
        aws::{
            ALREADY_EXISTS,
            consistency::{Verdict, Writes, failed_at_role},
            not_yet, refused_text,
        },
        observed::{Observed, Ownership, Present},
    },
    units::aws_limits::{ROLE_DESCRIPTION, ROLE_NAME, SID, TAG},
};

/// IAM returns no role of this name, and makes none either.
const CREATED_BEFORE: &str = "IAM says that a role of this name exists, and does not return it";

/// Names that differ only in upper and lower case are one name to IAM: IAM user guide, quotas ("IAM name requirements").
const SPELLED_OTHERWISE: &str = "IAM shows a new role everywhere after some seconds; if it does not appear, there is one with other capital letters: `aws iam list-roles` shows it, and `role` in the profile must be spelled like it";

/// What else a role that is not returned can be.
const SHOWN_LATER: &str = "IAM shows a new role everywhere after some seconds; CloudTrail in the AWS console tells whether somebody removes it";

impl IamRole {
    pub(crate) fn trust_policy<'a>(&'a self, aws: &'a Aws) -> TrustPolicy<'a> {
        TrustPolicy {
            iam: aws.iam(),
            role: &self.name,
            sid: &self.sid,
        }
    }

    pub(super) fn asked<'a>(&'a self, what: &'a str, action: &'a str) -> Asked<'a> {
        Asked {
            what,
            action,
            resource: &self.name,
        }
    }

    /// Compares its trust policy, its managed policies and, where arcctl owns it, its permissions boundary.
    pub(crate) async fn observe(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        self.check()?;
        let trust_policy = self.trust_policy(aws);
        let Some(role) = trust_policy.role().await? else {
            return match writes.judge(&self.name, false) {
                Verdict::Settles(reason) | Verdict::NotYet(reason) => Ok(not_yet(reason)),
                Verdict::Counts if self.create => {
                    // The plan reports what IAM would reject, before any write.
                    let to_come = Attachments::to_come(&self.sid, &self.managed_policies);
                    to_come.check(&trust_policy).await?;
                    self.check_boundary(aws).await?;
                    Ok(Observed::Absent)
                }
                Verdict::Counts => Err(self.missing()),
            };
        };
        self.check_identity(&role)?;
        let document = trust_policy.document(&role)?;
        let own = std::slice::from_ref(&self.trust);
        let mut found = if is_granted(&document, &self.sid, own) {
            Vec::new()
        } else {
            differences("trustPolicy", &document, &self.sid, own)
        };
        let shown = role.assume_role_policy_document().unwrap_or_default();
        let verdict = writes.judge_document(&trust_policy.shared(), shown, found.is_empty());
        if let Verdict::NotYet(reason) = verdict {
            return Ok(not_yet(reason));
        }
        // The plan reports a document that is too long or invalid, before any write.
        if let Some(wanted) = trust_policy.wanted(&document, own) {
            trust_policy.check_principals(&wanted, role.arn())?;
            trust_policy.check_size(&wanted, role.arn()).await?;
            // The first of the reads that must agree before the write.
            writes.agrees(&trust_policy.shared(), shown);
        }
        let attachments = self.attachments(aws, &role).await?;
        attachments.check(&trust_policy).await?;
        let attached = attachments.differences();
        if let Verdict::NotYet(reason) = writes.judge(&self.attached(), attached.is_empty()) {
            return Ok(not_yet(reason));
        }
        found.extend(attached);
        if let Some(boundary) = self.boundary(&role) {
            self.check_boundary(aws).await?;
            found.push(boundary);
        }
        Ok(Observed::Present(Present {
            differences: found,
            readiness: verdict.readiness(),
            ownership: Ownership::Ours,
        }))
    }

    /// A role is found by its name, without path and account: both are compared with the live role.
    fn check_identity(&self, role: &Role) -> Result<()> {
        let Some(given) = &self.arn else {
            return Ok(());
        };
        if role.arn() == given {
            return Ok(());
        }
        Err(Error::failed(
            System::Aws,
            format!("there is no IAM role `{given}`"),
        )
        .object(given)
        .cause(format!("the role of that name is `{}`", role.arn()))
        .hint(format!("write the ARN that `aws iam get-role --role-name {}` shows under `role` of aws.irsa or aws.podIdentity in the profile", self.name)))
    }

    /// Reports what IAM would reject before the first write.
    fn check(&self) -> Result<()> {
        let texts = [
            (ROLE_NAME, self.name.clone()),
            (ROLE_DESCRIPTION, self.description()),
            (TAG, self.profile.clone()),
            (SID, self.sid.clone()),
        ];
        for (constraint, text) in texts {
            constraint
                .check(&text)
                .map_err(|error| refused_text(&self.name, &error))?;
        }
        Ok(())
    }

    fn description(&self) -> String {
        format!("The runners of the arcctl profile {}", self.profile)
    }

    fn missing(&self) -> Error {
        Error::failed(
            System::Aws,
            format!("the IAM role `{}` does not exist", self.name),
        )
        .object(&self.name)
        .hint("a role given by its ARN is not made: create it, or give the runners a role by its name")
    }

    /// The role exists, but IAM does not return it in every read yet: a temporary error, without a write.
    fn unseen(&self, reason: &str, hint: &str) -> Error {
        let message = format!("the IAM role `{}` is not visible yet", self.name);
        Error::failed(System::Aws, message)
            .object(&self.name)
            .cause(reason)
            .hint(hint)
            .passing(true)
    }

    /// IAM rejects a permissions boundary that does not exist.
    async fn check_boundary(&self, aws: &Aws) -> Result<()> {
        let Some(boundary) = &self.permissions_boundary else {
            return Ok(());
        };
        if is_there(aws.iam(), boundary).await? {
            return Ok(());
        }
        Err(Error::failed(
            System::Aws,
            format!("there is no policy `{boundary}` for the permissions boundary of the IAM role `{}`", self.name),
        )
        .object(boundary)
        .hint("create it, or correct `permissionsBoundary` under aws.irsa or aws.podIdentity in the profile: `aws iam list-policies` lists those there are"))
    }

    /// The key of the writes of attachments.
    pub(super) fn attached(&self) -> String {
        format!("{}/attached", self.name)
    }

    async fn attachments(&self, aws: &Aws, role: &Role) -> Result<Attachments> {
        Attachments::read(aws.iam(), role, &self.sid, &self.managed_policies).await
    }

    /// Whether arcctl created it, for this cluster and profile.
    pub(super) fn is_ours(&self, role: &Role) -> bool {
        is_made(role.tags(), &self.sid)
    }

    fn boundary(&self, role: &Role) -> Option<Difference> {
        let live = role
            .permissions_boundary()
            .and_then(|it| it.permissions_boundary_arn());
        let wanted = self.permissions_boundary.as_deref();
        (self.is_ours(role) && wanted.is_some() && live != wanted).then(|| Difference {
            path: "permissionsBoundary".into(),
            from: live.map_or(Value::Null, |it| json!(it)),
            to: json!(wanted),
        })
    }

    /// Creates it, or adds our statement to its trust policy; then its managed policies.
    pub(crate) async fn apply(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let trust_policy = self.trust_policy(aws);
        let Some(role) = trust_policy.role().await? else {
            return match writes.judge(&self.name, false) {
                Verdict::Settles(reason) | Verdict::NotYet(reason) => {
                    Err(self.unseen(reason, SHOWN_LATER))
                }
                Verdict::Counts if self.create => self.make(aws, writes).await,
                Verdict::Counts => Err(self.missing()),
            };
        };
        trust_policy
            .write(std::slice::from_ref(&self.trust), writes)
            .await?;
        if self.boundary(&role).is_some() {
            self.set_boundary(aws).await?;
        }
        let attachments = self.attachments(aws, &role).await?;
        if !attachments.differences().is_empty() {
            writes.record(&self.attached());
            let applied = attachments.apply(aws.iam(), &self.name).await;
            if applied.is_err() {
                // The calls can be repeated: the current state is trusted.
                writes.forget(&self.attached());
            }
            return applied;
        }
        Ok(())
    }

    /// Creates the role; its managed policies are attached after the next read, which finds them missing.
    async fn make(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let empty = Document::empty();
        let document =
            merged(&empty, &self.sid, std::slice::from_ref(&self.trust)).unwrap_or(empty);
        self.trust_policy(aws)
            .check_size(&document, &self.name)
            .await?;
        let request = aws
            .iam()
            .create_role()
            .role_name(&self.name)
            .set_path(self.path.clone())
            .set_permissions_boundary(self.permissions_boundary.clone())
            .description(self.description())
            .assume_role_policy_document(document.text())
            .set_tags(Some(tags(&self.profile, &self.sid)?));
        writes.record(&self.name);
        match writes.answered(&self.name, request.send().await) {
            Ok(_) => Ok(()),
            // Another run created it first, or IAM shows it late: the next read that returns it merges.
            Err(error) if error.code() == Some(ALREADY_EXISTS) => {
                writes.record(&self.name);
                Err(self.unseen(CREATED_BEFORE, SPELLED_OTHERWISE))
            }
            Err(error) => Err(self
                .asked(
                    &format!("create the IAM role `{}`", self.name),
                    "iam:CreateRole",
                )
                .failed(&error)),
        }
    }

    async fn set_boundary(&self, aws: &Aws) -> Result<()> {
        let what = format!(
            "set the permissions boundary of the IAM role `{}`",
            self.name
        );
        aws.iam()
            .put_role_permissions_boundary()
            .role_name(&self.name)
            .set_permissions_boundary(self.permissions_boundary.clone())
            .send()
            .await
            .map(drop)
            .map_err(|error| {
                failed_at_role(self.asked(&what, "iam:PutRolePermissionsBoundary"), &error)
            })
    }
}

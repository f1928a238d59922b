//! The role of the runners: created, or merged into.

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::types::Role;
use serde_json::{Value, json};

use super::{
    ALREADY_EXISTS, IamRole,
    attachments::Attachments,
    not_yet,
    oidc_provider::{is_made, tags},
    trust_policy::TrustPolicy,
    writes::{Verdict, Writes},
};
use crate::{
    clients::aws::{Aws, failure::Asked},
    error::{Error, Result, System},
    policy::{Document, differences, merged},
    resource::{
        difference::Difference,
        observed::{Observed, Ownership, Present, Readiness},
    },
};

impl IamRole {
    pub(super) fn trust_policy<'a>(&'a self, aws: &'a Aws) -> TrustPolicy<'a> {
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

    /// Compares its trust policy, its managed policies and, where it is ours, its permissions boundary.
    pub(super) async fn observe(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let trust_policy = self.trust_policy(aws);
        let Some(role) = trust_policy.role().await? else {
            return match writes.judge(&self.name, "", false) {
                Verdict::NotYet(reason) => Ok(not_yet(reason)),
                Verdict::Counts if self.create => Ok(Observed::Absent),
                Verdict::Counts => Err(self.missing()),
            };
        };
        let document = trust_policy.document(&role)?;
        let mut found = differences(
            "trustPolicy",
            &document,
            &self.sid,
            std::slice::from_ref(&self.trust),
        );
        let shown = role.assume_role_policy_document().unwrap_or_default();
        if let Verdict::NotYet(reason) = writes.judge_document(&self.name, shown, found.is_empty())
        {
            return Ok(not_yet(reason));
        }
        // What does not fit is said by the plan, not found out by a run.
        if let Some(longer) = merged(&document, &self.sid, std::slice::from_ref(&self.trust)) {
            trust_policy.check_size(&longer, role.arn()).await?;
        }
        let attachments = self.attachments(aws, &role).await?;
        let attached = attachments.differences();
        let shown = format!("{attachments:?}");
        if let Verdict::NotYet(reason) = writes.judge(&self.attached(), &shown, attached.is_empty())
        {
            return Ok(not_yet(reason));
        }
        found.extend(attached);
        found.extend(self.boundary(&role));
        Ok(Observed::Present(Present {
            differences: found,
            readiness: Readiness::Ready,
            ownership: Ownership::Ours,
        }))
    }

    fn missing(&self) -> Error {
        Error::failed(
            System::Aws,
            format!("the IAM role `{}` is not there", self.name),
        )
        .object(&self.name)
        .hint("a role given by its ARN is not made: create it, or give the runners a role by its name")
    }

    /// What the writes of attachments are remembered by.
    pub(super) fn attached(&self) -> String {
        format!("{}/attached", self.name)
    }

    async fn attachments(&self, aws: &Aws, role: &Role) -> Result<Attachments> {
        Attachments::read(aws.iam(), role, &self.sid, &self.managed_policies).await
    }

    /// Whether arcctl made it, for this cluster and profile.
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

    /// Creates it, or puts our statement into its trust policy; then its managed policies.
    pub(super) async fn apply(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let trust_policy = self.trust_policy(aws);
        let Some(role) = trust_policy.role().await? else {
            return if self.create {
                self.make(aws, writes).await
            } else {
                Err(self.missing())
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
            writes.record(&self.attached(), &format!("{attachments:?}"));
            attachments.apply(aws.iam(), &self.name).await?;
        }
        Ok(())
    }

    /// Creates the role; its managed policies come with the next look, which finds them missing.
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
            .description(format!(
                "The runners of the arcctl profile {}",
                self.profile
            ))
            .assume_role_policy_document(document.text())
            .set_tags(Some(tags(&self.profile, &self.sid)?));
        writes.record(&self.name, "");
        match request.send().await {
            Ok(_) => Ok(()),
            // Another run was first, or IAM showed it late: the next look merges.
            Err(error) if error.code() == Some(ALREADY_EXISTS) => Ok(()),
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
                self.asked(&what, "iam:PutRolePermissionsBoundary")
                    .failed(&error)
            })
    }
}

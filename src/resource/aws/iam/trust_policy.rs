//! arcctl's statement in the trust policy of a role.
//!
//! IAM replaces the whole document, has no compare-and-swap, and shows the old version for many seconds: `documents` decides
//! when to write, and when a write is complete.

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::{Client, types::Role};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    clients::aws::error::Asked,
    error::{Error, ErrorKind, Result, System},
    policy::{
        Document, TRUST_POLICY_LIMIT, TRUST_POLICY_QUOTA, TooLarge, is_granted, merged, orphans,
    },
    resource::aws::{
        NO_SUCH_ENTITY,
        consistency::{Writes, failed_at_role},
        documents::{FRESH, Lateness, READINGS, Shared},
    },
};

/// The trust policy of one role.
#[derive(Clone, Copy)]
pub(crate) struct TrustPolicy<'a> {
    pub(crate) iam: &'a Client,
    /// The role's name.
    pub(crate) role: &'a str,
    /// The `Sid` of this cluster and profile.
    pub(crate) sid: &'a str,
}

impl TrustPolicy<'_> {
    fn asked<'a>(&'a self, what: &'a str, action: &'a str) -> Asked<'a> {
        Asked {
            what,
            action,
            resource: self.role,
        }
    }

    /// Its document, which other tools write too.
    pub(crate) fn shared(&self) -> Shared<'_> {
        let role = self.role;
        Shared {
            key: role,
            object: role,
            sid: self.sid,
            what: format!("the trust policy of the IAM role `{role}`"),
            shows: format!("aws iam get-role --role-name {role}"),
            writes: format!(
                "aws iam update-assume-role-policy --role-name {role} --policy-document file://…"
            ),
            lateness: Lateness::IAM,
        }
    }

    /// The role; `None` where it does not exist.
    pub(crate) async fn role(&self) -> Result<Option<Role>> {
        match self.iam.get_role().role_name(self.role).send().await {
            Ok(output) => Ok(output.role),
            Err(error) if error.code() == Some(NO_SUCH_ENTITY) => Ok(None),
            Err(error) => Err(self
                .asked(&format!("read the IAM role `{}`", self.role), "iam:GetRole")
                .failed(&error)),
        }
    }

    /// The document of `role`.
    pub(super) fn document(&self, role: &Role) -> Result<Document> {
        let text = role.assume_role_policy_document().unwrap_or_default();
        Document::parse(text).map_err(|error| {
            Error::failed(
                System::Aws,
                format!(
                    "cannot read the trust policy of the IAM role `{}`",
                    self.role
                ),
            )
            .object(role.arn())
            .cause(error)
            .hint(format!(
                "look at it with `aws iam get-role --role-name {}`, and correct it",
                self.role
            ))
        })
    }

    /// The document with the statements `own`, where it differs from `live`.
    pub(super) fn wanted(&self, live: &Document, own: &[Value]) -> Option<Document> {
        if is_granted(live, self.sid, own) {
            return None;
        }
        merged(live, self.sid, own)
    }

    /// Rejects a document that AWS would not accept: another tool's statement names a deleted principal.
    pub(super) fn check_principals(&self, document: &Document, object: &str) -> Result<()> {
        let Some(orphan) = orphans(document, self.sid).into_iter().next() else {
            return Ok(());
        };
        Err(self.shared().orphaned(&orphan).object(object))
    }

    /// Replaces our statements with `own`, and keeps those of other tools. Writes nothing where nothing changes.
    pub(super) async fn write(&self, own: &[Value], writes: &Writes) -> Result<()> {
        let shared = self.shared();
        for _ in 0..READINGS {
            let read = Instant::now();
            let Some(role) = self.role().await? else {
                return Err(shared.not_yet("the role does not exist (any more, or yet)"));
            };
            let Some(document) = self.wanted(&self.document(&role)?, own) else {
                return Ok(());
            };
            if document.statements.is_empty() {
                // IAM rejects a policy without statements: the role is left unchanged, or deleted as a whole.
                return Ok(());
            }
            self.check_principals(&document, role.arn())?;
            if !own.is_empty() {
                self.check_size(&document, role.arn()).await?;
            }
            let before = role.assume_role_policy_document().unwrap_or_default();
            if !writes.agrees(&shared, before) {
                return Err(shared.disagrees());
            }
            if read.elapsed() > FRESH {
                continue;
            }
            // Before the call: a call that returns an error may have succeeded.
            writes.record_document(&shared, before);
            self.update(&document.text(), writes).await?;
            if own.is_empty() {
                writes.took_out(self.role);
            }
            return Ok(());
        }
        Err(shared.too_slow())
    }

    async fn update(&self, text: &str, writes: &Writes) -> Result<()> {
        let what = format!("write the trust policy of the IAM role `{}`", self.role);
        let request = self
            .iam
            .update_assume_role_policy()
            .role_name(self.role)
            .policy_document(text);
        writes
            .answered(self.role, request.send().await)
            .map(drop)
            .map_err(|error| {
                failed_at_role(self.asked(&what, "iam:UpdateAssumeRolePolicy"), &error)
            })
    }

    /// Rejects a document that is too long. Reads the account's quota only if the document exceeds the default one.
    pub(super) async fn check_size(&self, document: &Document, object: &str) -> Result<()> {
        let size = document.size();
        if TooLarge::check(size, TRUST_POLICY_QUOTA).is_ok() {
            return Ok(());
        }
        let quota = self.quota().await?;
        TooLarge::check(size, quota).map_err(|error| {
            let hint = if quota < TRUST_POLICY_LIMIT {
                format!("take out statements of clusters that are gone, raise the quota `Role trust policy length` of IAM (up to {TRUST_POLICY_LIMIT}), or give the runners a role of their own: `role` under aws.irsa or aws.podIdentity")
            } else {
                "take out statements of clusters that are gone, or give the runners a role of their own: `role` under aws.irsa or aws.podIdentity".to_owned()
            };
            Error::new(
                ErrorKind::Failed,
                System::Aws,
                format!("the trust policy of the IAM role `{}` has no room for the runners' statement; nothing was written", self.role),
            )
            .object(object)
            .cause(error)
            .hint(hint)
        })
    }

    /// How many characters the account allows.
    pub(crate) async fn quota(&self) -> Result<usize> {
        let known = self.account_quota("AssumeRolePolicySizeQuota").await?;
        Ok(known.unwrap_or(TRUST_POLICY_QUOTA))
    }

    /// A quota of the account, by its IAM name.
    pub(super) async fn account_quota(&self, name: &str) -> Result<Option<usize>> {
        let output = self
            .iam
            .get_account_summary()
            .send()
            .await
            .map_err(|error| {
                let what = "read the quotas of IAM in this account";
                self.asked(what, "iam:GetAccountSummary").failed(&error)
            })?;
        Ok(output.summary_map().and_then(|map| {
            map.iter()
                .find(|(key, _)| key.as_str() == name)
                .and_then(|(_, value)| usize::try_from(*value).ok())
        }))
    }
}

//! Our statement in the trust policy of a role.
//!
//! IAM writes the whole document and knows no compare-and-swap. So a write is made from a fresh reading only, it is
//! read back, and it counts when nobody can replace it any more who read before it (see `writes`).

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::{Client, types::Role};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    NO_SUCH_ENTITY,
    writes::{FRESH, Writes},
};
use crate::{
    clients::aws::failure::Asked,
    error::{Error, ErrorKind, Result, System},
    policy::{Document, TRUST_POLICY_LIMIT, TRUST_POLICY_QUOTA, TooLarge, merged},
};

/// How often a reading may be too old to write from.
const READINGS: u32 = 5;

/// The trust policy of one role.
#[derive(Clone, Copy)]
pub(super) struct TrustPolicy<'a> {
    pub(super) iam: &'a Client,
    /// The role's name.
    pub(super) role: &'a str,
    /// The `Sid` of this cluster and profile.
    pub(super) sid: &'a str,
}

impl TrustPolicy<'_> {
    fn asked<'a>(&'a self, what: &'a str, action: &'a str) -> Asked<'a> {
        Asked {
            what,
            action,
            resource: self.role,
        }
    }

    /// The role; `None` where it is not there.
    pub(super) async fn role(&self) -> Result<Option<Role>> {
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
            .hint("look at it with `aws iam get-role`, and correct it")
        })
    }

    /// Puts `own` in place of our statements, and leaves those of others. Writes nothing where it is so already.
    pub(super) async fn write(&self, own: &[Value], writes: &Writes) -> Result<()> {
        for _ in 0..READINGS {
            let read = Instant::now();
            let Some(role) = self.role().await? else {
                return Err(self.passing("it is not there (any more, or yet)"));
            };
            let Some(document) = merged(&self.document(&role)?, self.sid, own) else {
                return Ok(());
            };
            if document.statements.is_empty() {
                // IAM takes no policy without statements: the role stays as it is, or goes as a whole.
                return Ok(());
            }
            if !own.is_empty() {
                self.check_size(&document, role.arn()).await?;
            }
            if read.elapsed() > FRESH {
                continue;
            }
            let before = role.assume_role_policy_document().unwrap_or_default();
            // Before the call: one that ends in an error may have been done.
            writes.record(self.role, before);
            return self.update(&document.text()).await;
        }
        Err(self.passing("AWS answers too slowly to write from a fresh reading"))
    }

    fn passing(&self, cause: &str) -> Error {
        Error::failed(
            System::Aws,
            format!(
                "cannot write the trust policy of the IAM role `{}`",
                self.role
            ),
        )
        .object(self.role)
        .cause(cause)
        .hint("run the same command again: it continues")
        .passing(true)
    }

    async fn update(&self, text: &str) -> Result<()> {
        let what = format!("write the trust policy of the IAM role `{}`", self.role);
        self.iam
            .update_assume_role_policy()
            .role_name(self.role)
            .policy_document(text)
            .send()
            .await
            .map(drop)
            .map_err(|error| {
                self.asked(&what, "iam:UpdateAssumeRolePolicy")
                    .failed(&error)
            })
    }

    /// Refuses what would not fit. Only where it is longer than what every account has is the account asked.
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

    /// The account's quota.
    async fn quota(&self) -> Result<usize> {
        let output = self
            .iam
            .get_account_summary()
            .send()
            .await
            .map_err(|error| {
                let what = "read how long a trust policy may be in this account";
                self.asked(what, "iam:GetAccountSummary").failed(&error)
            })?;
        let known = output.summary_map().and_then(|map| {
            map.iter()
                .find(|(key, _)| key.as_str() == "AssumeRolePolicySizeQuota")
                .and_then(|(_, value)| usize::try_from(*value).ok())
        });
        Ok(known.unwrap_or(TRUST_POLICY_QUOTA))
    }
}

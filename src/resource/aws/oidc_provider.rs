//! The IAM OIDC provider of the cluster's issuer.

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::{
    operation::get_open_id_connect_provider::GetOpenIdConnectProviderOutput, types::Tag,
};
use serde_json::{Value, json};

use super::{
    ALREADY_EXISTS, MANAGED_BY, NO_SUCH_ENTITY, OidcProvider, PROFILE, not_yet,
    writes::{Verdict, Writes},
};
use crate::{
    clients::aws::{Aws, failure::Asked},
    error::{Error, Result, System},
    policy::{AUDIENCE, Document},
    resource::{
        difference::Difference,
        observed::{Observed, Ownership, Present, Readiness},
    },
};

impl OidcProvider {
    fn asked(&self, what: &'static str, action: &'static str) -> Asked<'_> {
        Asked {
            what,
            action,
            resource: &self.arn,
        }
    }

    async fn live(&self, aws: &Aws) -> Result<Option<GetOpenIdConnectProviderOutput>> {
        let request = aws
            .iam()
            .get_open_id_connect_provider()
            .open_id_connect_provider_arn(&self.arn);
        match request.send().await {
            Ok(live) => Ok(Some(live)),
            Err(error) if error.code() == Some(NO_SUCH_ENTITY) => Ok(None),
            Err(error) => Err(self
                .asked(
                    "read the IAM OIDC provider of the cluster",
                    "iam:GetOpenIDConnectProvider",
                )
                .failed(&error)),
        }
    }

    /// Whether it is there, with STS among its clients.
    pub(super) async fn observe(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let live = self.live(aws).await?;
        let clients = live.as_ref().map(|it| it.client_id_list().to_vec());
        let as_wanted = clients.iter().flatten().any(|it| it == AUDIENCE);
        let shown = format!("{clients:?}");
        if let Verdict::NotYet(reason) = writes.judge(&self.arn, &shown, as_wanted) {
            return Ok(not_yet(reason));
        }
        if live.is_none() {
            return Ok(Observed::Absent);
        }
        let missing = Difference {
            path: format!("clientIds[{AUDIENCE}]"),
            from: Value::Null,
            to: json!(AUDIENCE),
        };
        Ok(Observed::Present(Present {
            differences: if as_wanted { Vec::new() } else { vec![missing] },
            readiness: Readiness::Ready,
            ownership: Ownership::Ours,
        }))
    }

    /// Creates it, or adds STS to its clients. Without a thumbprint: IAM trusts EKS's issuers through its own store of
    /// root authorities, and fetches one itself where it needs it.
    pub(super) async fn apply(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let live = self.live(aws).await?;
        let before = format!("{:?}", live.as_ref().map(|it| it.client_id_list().to_vec()));
        match live {
            Some(live) if live.client_id_list().iter().any(|it| it == AUDIENCE) => return Ok(()),
            Some(_) => self.add_client(aws).await?,
            None => self.create(aws).await?,
        }
        writes.record(&self.arn, &before);
        Ok(())
    }

    async fn create(&self, aws: &Aws) -> Result<()> {
        let request = aws
            .iam()
            .create_open_id_connect_provider()
            .url(format!("https://{}", self.issuer))
            .client_id_list(AUDIENCE)
            .set_tags(Some(tags(&self.profile)?));
        match request.send().await {
            Ok(_) => Ok(()),
            // Another run was first, or IAM showed it late.
            Err(error) if error.code() == Some(ALREADY_EXISTS) => Ok(()),
            Err(error) => Err(self
                .asked(
                    "create the IAM OIDC provider of the cluster",
                    "iam:CreateOpenIDConnectProvider",
                )
                .failed(&error)),
        }
    }

    async fn add_client(&self, aws: &Aws) -> Result<()> {
        aws.iam()
            .add_client_id_to_open_id_connect_provider()
            .open_id_connect_provider_arn(&self.arn)
            .client_id(AUDIENCE)
            .send()
            .await
            .map(drop)
            .map_err(|error| {
                self.asked(
                    "add sts.amazonaws.com to the clients of the IAM OIDC provider",
                    "iam:AddClientIDToOpenIDConnectProvider",
                )
                .failed(&error)
            })
    }

    /// Deletes it where arcctl made it and no role trusts it any more.
    pub(super) async fn delete(&self, aws: &Aws) -> Result<()> {
        let Some(live) = self.live(aws).await? else {
            return Ok(());
        };
        let ours = live
            .tags()
            .iter()
            .any(|it| it.key() == PROFILE && it.value() == self.profile);
        if !ours || self.is_trusted(aws).await? {
            return Ok(());
        }
        aws.iam()
            .delete_open_id_connect_provider()
            .open_id_connect_provider_arn(&self.arn)
            .send()
            .await
            .map(drop)
            .map_err(|error| {
                self.asked(
                    "delete the IAM OIDC provider of the cluster",
                    "iam:DeleteOpenIDConnectProvider",
                )
                .failed(&error)
            })
    }

    /// Whether a role of the account trusts it. A trust policy that cannot be read may.
    async fn is_trusted(&self, aws: &Aws) -> Result<bool> {
        let roles: Vec<_> = aws
            .iam()
            .list_roles()
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| {
                self.asked(
                    "see which roles trust the IAM OIDC provider",
                    "iam:ListRoles",
                )
                .failed(&error)
            })?;
        Ok(roles.iter().any(|role| {
            let text = role.assume_role_policy_document().unwrap_or_default();
            Document::parse(text).map_or(true, |document| {
                document
                    .statements
                    .iter()
                    .any(|it| it.value.to_string().contains(&self.arn))
            })
        }))
    }
}

/// The tags of what arcctl makes in IAM.
pub(super) fn tags(profile: &str) -> Result<Vec<Tag>> {
    [tag(MANAGED_BY, "arcctl"), tag(PROFILE, profile)]
        .into_iter()
        .collect()
}

/// One tag.
pub(super) fn tag(key: &str, value: &str) -> Result<Tag> {
    Tag::builder()
        .key(key)
        .value(value)
        .build()
        .map_err(|error| {
            Error::failed(System::Local, format!("the tag `{key}` cannot be made"))
                .cause(error)
                .hint("report this as a bug")
        })
}

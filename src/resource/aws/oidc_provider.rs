//! The IAM OIDC provider of the cluster's issuer.

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::{
    operation::get_open_id_connect_provider::GetOpenIdConnectProviderOutput,
    types::{Role, Tag},
};
use serde_json::{Value, json};

use super::{
    ALREADY_EXISTS, MANAGED_BY, NO_SUCH_ENTITY, OidcProvider, PROFILE, SID, not_yet,
    writes::{Verdict, Writes},
};
use crate::{
    clients::aws::{Aws, failure::Asked},
    error::{Error, ErrorKind, Result, System},
    policy::{AUDIENCE, Document, Statement, is_own},
    resource::{
        difference::Difference,
        observed::{Observed, Ownership, Present, Readiness},
        removal::{Removal, ours, stays},
    },
};

/// A role that trusts the provider.
enum User {
    /// By arcctl's statement alone, and it is on record.
    Own(String),
    /// By anything else, or by what cannot be read.
    Other(String),
}

/// What is shown of a provider.
fn shown(live: Option<&GetOpenIdConnectProviderOutput>) -> String {
    format!("{:?}", live.map(|it| it.client_id_list().to_vec()))
}

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
        let clients = live.as_ref().map_or(&[][..], |it| it.client_id_list());
        let as_wanted = clients.iter().any(|it| it == AUDIENCE);
        let shown = shown(live.as_ref());
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
        let before = shown(live.as_ref());
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
            .set_tags(Some(tags(&self.profile, &self.sid)?));
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

    /// What is left of it: it goes where arcctl made it and no role trusts it any more.
    pub(super) async fn remains(
        &self,
        aws: &Aws,
        writes: &Writes,
        removal: &Removal,
    ) -> Result<Observed> {
        let live = self.live(aws).await?;
        let Some(made) = live.as_ref().filter(|it| is_made(it.tags(), &self.sid)) else {
            return Ok(Observed::Absent);
        };
        if let Verdict::NotYet(reason) = writes.judge(&self.arn, &shown(Some(made)), false) {
            return Ok(ours(Readiness::progressing(reason)));
        }
        match self.user(aws, removal).await {
            Ok(None) => Ok(ours(Readiness::Ready)),
            Ok(Some(User::Own(role))) => Ok(ours(Readiness::progressing(format!(
                "the IAM role `{role}` trusts it until arcctl's statement is out of it"
            )))),
            Ok(Some(User::Other(role))) => Ok(stays(format!("the IAM role `{role}` trusts it"))),
            // What cannot be found out is no reason to delete it.
            Err(error) if error.kind == ErrorKind::Unauthorized => Ok(stays(format!(
                "{}: {}; {}",
                error.message,
                error.causes.join(": "),
                error.hint.unwrap_or_default()
            ))),
            Err(error) => Err(error),
        }
    }

    /// Deletes it where arcctl made it and no role trusts it any more.
    pub(super) async fn delete(&self, aws: &Aws, writes: &Writes, removal: &Removal) -> Result<()> {
        let Some(live) = self.live(aws).await? else {
            return Ok(());
        };
        if !is_made(live.tags(), &self.sid) || self.user(aws, removal).await?.is_some() {
            return Ok(());
        }
        writes.record(&self.arn, &shown(Some(&live)));
        let request = aws
            .iam()
            .delete_open_id_connect_provider()
            .open_id_connect_provider_arn(&self.arn);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(NO_SUCH_ENTITY) => Ok(()),
            Err(error) => Err(self
                .asked(
                    "delete the IAM OIDC provider of the cluster",
                    "iam:DeleteOpenIDConnectProvider",
                )
                .failed(&error)),
        }
    }

    /// A role of the account that trusts it; one of somebody else before one of our own. A trust policy that cannot be
    /// read may.
    async fn user(&self, aws: &Aws, removal: &Removal) -> Result<Option<User>> {
        let roles: Vec<Role> = aws
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
        let mut own = None;
        for role in &roles {
            let name = role.role_name().to_owned();
            let text = role.assume_role_policy_document().unwrap_or_default();
            let Ok(document) = Document::parse(text) else {
                return Ok(Some(User::Other(name)));
            };
            let goes = removal.goes(&format!("iam-role/-/{name}"));
            let names_it = |it: &&Statement| it.value.to_string().contains(&self.arn);
            for statement in document.statements.iter().filter(names_it) {
                if !goes || !is_own(statement, &self.sid) {
                    return Ok(Some(User::Other(name)));
                }
                own = Some(User::Own(name.clone()));
            }
        }
        Ok(own)
    }
}

/// The tags of what arcctl makes in IAM.
pub(super) fn tags(profile: &str, sid: &str) -> Result<Vec<Tag>> {
    [
        tag(MANAGED_BY, "arcctl"),
        tag(PROFILE, profile),
        tag(SID, sid),
    ]
    .into_iter()
    .collect()
}

/// Whether `tags` say that the run for `sid` made it.
pub(super) fn is_made(tags: &[Tag], sid: &str) -> bool {
    tags.iter().any(|it| it.key() == SID && it.value() == sid)
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

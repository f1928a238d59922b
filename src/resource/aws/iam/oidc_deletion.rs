//! Deletes the cluster's OIDC provider where arcctl created it; else only the client that arcctl added.

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::{
    operation::get_open_id_connect_provider::GetOpenIdConnectProviderOutput,
    types::{Role, Tag},
};
use serde_json::{Value, json};

use super::oidc_provider::{CLIENT_TAG, is_made};
use crate::{
    clients::aws::Aws,
    desired::resource::aws::OidcProvider,
    diff::Difference,
    error::{ErrorKind, Result},
    policy::{AUDIENCE, Document, Statement, is_own, only_for_other_clients},
    resource::{
        aws::{
            MANAGED_BY, NO_SUCH_ENTITY, PROFILE,
            consistency::{Verdict, Writes},
            shared,
        },
        deletion::{Removal, ours, stays},
        observed::{Observed, Readiness},
    },
};

/// How many seconds after another profile created the provider it is kept: that profile's role may not exist or not be
/// listed yet.
const NEW: i64 = 15 * 60;

/// A role that trusts the provider.
enum User {
    /// Only by arcctl's statement, and the role is in the inventory.
    Own(String),
    /// By another statement, or its trust policy cannot be read.
    Other(String),
}

/// The part of a provider to delete.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// None: arcctl created none of it.
    None,
    /// All: arcctl created it.
    Whole,
    /// The client that arcctl added to another tool's provider.
    Client,
}

/// The keys of the tags for a client that arcctl added, for any profile.
fn marks(live: &GetOpenIdConnectProviderOutput) -> Vec<String> {
    let keys = live.tags().iter().map(|it| it.key().to_owned());
    keys.filter(|it| it.starts_with(CLIENT_TAG)).collect()
}

impl OidcProvider {
    /// Profiles of one cluster share its provider: the last one to be removed deletes what any of them created.
    fn part(&self, live: &GetOpenIdConnectProviderOutput) -> Part {
        let made = |it: &Tag| it.key() == MANAGED_BY && it.value() == "arcctl";
        if is_made(live.tags(), &self.sid) || live.tags().iter().any(made) {
            Part::Whole
        } else if marks(live).is_empty() {
            Part::None
        } else {
            Part::Client
        }
    }

    /// Whether this profile created it, or added the client.
    fn is_own_part(&self, live: &GetOpenIdConnectProviderOutput) -> bool {
        is_made(live.tags(), &self.sid) || marks(live).contains(&self.client_key())
    }

    /// Why `part` is kept although no role trusts it: another profile has just created it, and its run may not be finished.
    fn may_be_awaited(&self, live: &GetOpenIdConnectProviderOutput, part: Part) -> Option<String> {
        let age = jiff::Timestamp::now().as_second() - live.create_date()?.secs();
        if self.is_own_part(live) || age >= NEW {
            return None;
        }
        let maker = live.tags().iter().find(|it| it.key() == PROFILE);
        let maker = maker.map_or_else(
            || "another profile".to_owned(),
            |it| format!("the profile `{}`", it.value()),
        );
        let (made, command) = if part == Part::Client {
            let command =
                format!("remove-client-id-from-open-id-connect-provider --client-id {AUDIENCE}");
            (
                format!("another profile added {AUDIENCE} to its clients"),
                command,
            )
        } else {
            (
                format!("{maker} made it"),
                "delete-open-id-connect-provider".to_owned(),
            )
        };
        Some(format!(
            "{made} less than {} minutes ago, and its role may still be to come: that profile's teardown takes it away, and where nobody needs it `aws iam {command} --open-id-connect-provider-arn {}`",
            NEW / 60,
            self.arn
        ))
    }

    /// What remains of it: what arcctl created is deleted once no role needs it.
    pub(crate) async fn remains(
        &self,
        aws: &Aws,
        writes: &Writes,
        removal: &Removal,
    ) -> Result<Observed> {
        let Some(live) = self.live(aws).await? else {
            return Ok(Observed::Absent);
        };
        let part = self.part(&live);
        if part == Part::None {
            return Ok(Observed::Absent);
        }
        if let Verdict::NotYet(reason) = writes.judge(&self.arn, false) {
            return Ok(ours(Readiness::progressing(reason)));
        }
        // A provider of another profile that is still used does not concern this one.
        let kept = |because: String| {
            if self.is_own_part(&live) {
                stays(because)
            } else {
                Observed::Absent
            }
        };
        let awaited = self.may_be_awaited(&live, part);
        match (self.user(aws, (writes, removal), part).await, awaited) {
            // Also while this profile's own role trusts it: the plan says what the run will find once that role is gone.
            (Ok(None | Some(User::Own(_))), Some(because)) => Ok(stays(because)),
            (Ok(None), None) if part == Part::Client => {
                let client = Difference {
                    path: format!("clientIds[{AUDIENCE}]"),
                    from: json!(AUDIENCE),
                    to: Value::Null,
                };
                Ok(shared(vec![client], "arcctl did not make it"))
            }
            (Ok(None), None) => Ok(ours(Readiness::Ready)),
            (Ok(Some(User::Own(role))), None) => Ok(ours(Readiness::progressing(format!(
                "the IAM role `{role}` trusts it until arcctl's statement is out of it"
            )))),
            (Ok(Some(User::Other(role))), _) => {
                Ok(kept(format!("the IAM role `{role}` trusts it")))
            }
            // If the roles cannot be read, it is kept.
            (Err(error), _) if error.kind == ErrorKind::Unauthorized => Ok(kept(format!(
                "{}: {}; {}",
                error.message,
                error.causes.join(": "),
                error.hint.unwrap_or_default()
            ))),
            (Err(error), _) => Err(error),
        }
    }

    /// Deletes what arcctl created of it, if no role needs it any more.
    pub(crate) async fn delete(&self, aws: &Aws, writes: &Writes, removal: &Removal) -> Result<()> {
        let Some(live) = self.live(aws).await? else {
            return Ok(());
        };
        let part = self.part(&live);
        if part == Part::None
            || self.may_be_awaited(&live, part).is_some()
            || self.user(aws, (writes, removal), part).await?.is_some()
        {
            return Ok(());
        }
        writes.record(&self.arn);
        let gone = match part {
            Part::Client => self.take_client_back(aws, marks(&live)).await,
            _ => self.delete_whole(aws).await,
        };
        if gone.is_err() {
            // The calls can be repeated: the current state is trusted.
            writes.forget(&self.arn);
        }
        gone
    }

    /// Removes the client first, then the tags for it.
    async fn take_client_back(&self, aws: &Aws, marks: Vec<String>) -> Result<()> {
        let request = aws
            .iam()
            .remove_client_id_from_open_id_connect_provider()
            .open_id_connect_provider_arn(&self.arn)
            .client_id(AUDIENCE);
        match request.send().await {
            Ok(_) => {}
            Err(error) if error.code() == Some(NO_SUCH_ENTITY) => {}
            Err(error) => {
                let asked = self.asked(
                    "take sts.amazonaws.com from the clients of the IAM OIDC provider",
                    "iam:RemoveClientIDFromOpenIDConnectProvider",
                );
                return Err(asked.failed(&error));
            }
        }
        let request = aws
            .iam()
            .untag_open_id_connect_provider()
            .open_id_connect_provider_arn(&self.arn)
            .set_tag_keys(Some(marks));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(NO_SUCH_ENTITY) => Ok(()),
            Err(error) => Err(self
                .asked(
                    "take a tag from the IAM OIDC provider of the cluster",
                    "iam:UntagOpenIDConnectProvider",
                )
                .failed(&error)),
        }
    }

    async fn delete_whole(&self, aws: &Aws) -> Result<()> {
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

    /// A role of the account that trusts it; foreign roles before our own. A role whose trust policy cannot be
    /// read counts as one. A statement of ours that this run has taken out does not: IAM shows it for some seconds more.
    async fn user(
        &self,
        aws: &Aws,
        (writes, removal): (&Writes, &Removal),
        part: Part,
    ) -> Result<Option<User>> {
        let asked = self.asked(
            "see which roles trust the IAM OIDC provider",
            "iam:ListRoles",
        );
        let pages = aws.iam().list_roles().into_paginator().items().send();
        let roles: Vec<Role> = asked.all(pages.try_collect()).await?;
        let mut own = None;
        for role in &roles {
            let name = role.role_name().to_owned();
            let text = role.assume_role_policy_document().unwrap_or_default();
            let Ok(document) = Document::parse(text) else {
                return Ok(Some(User::Other(name)));
            };
            let goes = removal.goes(&format!("iam-role/-/{name}"));
            // A statement that names only other clients does not need ours.
            let names_it = |it: &&Statement| {
                it.value.to_string().contains(&self.arn)
                    && (part == Part::Whole || !only_for_other_clients(&it.value, &self.issuer))
            };
            for statement in document.statements.iter().filter(names_it) {
                if !goes || !is_own(statement, &self.sid) {
                    return Ok(Some(User::Other(name)));
                }
                if !writes.is_out(&name) {
                    own = Some(User::Own(name.clone()));
                }
            }
        }
        Ok(own)
    }
}

//! The IAM OIDC provider of the cluster's issuer.

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::{
    operation::get_open_id_connect_provider::GetOpenIdConnectProviderOutput, types::Tag,
};
use serde_json::{Value, json};

use crate::{
    clients::aws::{Aws, error::Asked},
    desired::resource::aws::OidcProvider,
    diff::Difference,
    error::{Error, Result, System},
    policy::AUDIENCE,
    resource::{
        aws::{
            ALREADY_EXISTS, MANAGED_BY, NO_SUCH_ENTITY, PROFILE, SID,
            consistency::{Verdict, Writes, failed, failed_at_what_is_there},
            not_yet,
        },
        observed::{Observed, Ownership, Present, Readiness},
    },
};

/// IAM's error code for an issuer that it cannot reach: it fetches the thumbprint of the issuer's certificate itself. Source: IAM
/// API reference, `CreateOpenIDConnectProvider`. The issuer of a new cluster may not answer yet.
const NO_ISSUER: &str = "OpenIdIdpCommunicationError";

/// The key prefix of tags for the client STS that arcctl added to another tool's provider.
pub(super) const CLIENT_TAG: &str = "arcctl.dev/client/";

impl OidcProvider {
    pub(super) fn asked(&self, what: &'static str, action: &'static str) -> Asked<'_> {
        Asked {
            what,
            action,
            resource: &self.arn,
        }
    }

    pub(super) async fn live(&self, aws: &Aws) -> Result<Option<GetOpenIdConnectProviderOutput>> {
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

    /// Whether it exists, with STS among its clients.
    pub(crate) async fn observe(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let live = self.live(aws).await?;
        let clients = live.as_ref().map_or(&[][..], |it| it.client_id_list());
        let as_wanted = clients.iter().any(|it| it == AUDIENCE);
        if let Verdict::NotYet(reason) = writes.judge(&self.arn, as_wanted) {
            return Ok(not_yet(reason));
        }
        let Some(live) = live else {
            return Ok(Observed::Absent);
        };
        self.check_identity(&live)?;
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

    /// It is found by its ARN; its issuer is compared.
    fn check_identity(&self, live: &GetOpenIdConnectProviderOutput) -> Result<()> {
        let url = live
            .url()
            .map(|it| it.trim_start_matches("https://").trim_end_matches('/'));
        match url {
            Some(url) if url != self.issuer => Err(Error::failed(
                System::Aws,
                format!("the IAM OIDC provider `{}` is of another issuer", self.arn),
            )
            .object(&self.arn)
            .cause(format!("its URL is `{url}`, and the issuer of the cluster is `{}`", self.issuer))
            .hint(format!("`aws iam get-open-id-connect-provider --open-id-connect-provider-arn {}` shows it: delete it if nobody uses it", self.arn))),
            _ => Ok(()),
        }
    }

    /// The key of that tag for this cluster and profile.
    pub(super) fn client_key(&self) -> String {
        format!("{CLIENT_TAG}{}", self.sid.trim_start_matches("Arcctl"))
    }

    /// Creates it, or adds STS to its clients. Without a thumbprint: IAM trusts EKS issuers through its own root
    /// CAs, and fetches a thumbprint itself where it needs one.
    pub(crate) async fn apply(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let live = self.live(aws).await?;
        match live {
            Some(live) if live.client_id_list().iter().any(|it| it == AUDIENCE) => return Ok(()),
            Some(live) => {
                // Tagged first, so that an interrupted run leaves no untracked client.
                if !is_made(live.tags(), &self.sid) {
                    self.mark(aws).await?;
                }
                self.add_client(aws).await?;
            }
            None => self.create(aws).await?,
        }
        writes.record(&self.arn);
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
            // Another run created it first, or IAM showed it late.
            Err(error) if error.code() == Some(ALREADY_EXISTS) => Ok(()),
            Err(error) => {
                let asked = self.asked(
                    "create the IAM OIDC provider of the cluster",
                    "iam:CreateOpenIDConnectProvider",
                );
                Err(failed(asked, &error, error.code() == Some(NO_ISSUER)))
            }
        }
    }

    async fn mark(&self, aws: &Aws) -> Result<()> {
        aws.iam()
            .tag_open_id_connect_provider()
            .open_id_connect_provider_arn(&self.arn)
            .tags(tag(&self.client_key(), AUDIENCE)?)
            .send()
            .await
            .map(drop)
            .map_err(|error| {
                let asked = self.asked(
                    "tag the IAM OIDC provider of the cluster",
                    "iam:TagOpenIDConnectProvider",
                );
                failed_at_what_is_there(asked, &error)
            })
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
                let asked = self.asked(
                    "add sts.amazonaws.com to the clients of the IAM OIDC provider",
                    "iam:AddClientIDToOpenIDConnectProvider",
                );
                failed_at_what_is_there(asked, &error)
            })
    }
}

/// The tags of IAM resources that arcctl creates.
pub(super) fn tags(profile: &str, sid: &str) -> Result<Vec<Tag>> {
    [
        tag(MANAGED_BY, "arcctl"),
        tag(PROFILE, profile),
        tag(SID, sid),
    ]
    .into_iter()
    .collect()
}

/// Whether `tags` show that arcctl created it for `sid`.
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

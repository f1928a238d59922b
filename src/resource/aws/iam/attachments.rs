//! Managed policies of the role: which are attached, and which of them by arcctl (recorded in tags of the role).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::{Client, types::Role};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{oidc_provider::tag, trust_policy::TrustPolicy};
use crate::{
    clients::aws::error::Asked,
    diff::Difference,
    error::{Error, Result, System},
    policy::{ATTACHED_POLICIES_LIMIT, ATTACHED_POLICIES_QUOTA},
    resource::aws::{
        NO_SUCH_ENTITY,
        consistency::{failed_at_role, failed_at_what_is_there},
    },
    units::aws_limits::TAG,
};

/// The attached and the wanted policies of a role.
#[derive(Debug)]
pub(super) struct Attachments {
    live: BTreeSet<String>,
    /// Attached by arcctl for this cluster and profile: the policies, by the keys of their tags.
    tagged: BTreeMap<String, String>,
    wanted: BTreeMap<String, String>,
    prefix: String,
}

/// The key of the tag for a `policy` that arcctl attached.
fn key(prefix: &str, policy: &str) -> String {
    let digest = Sha256::digest(policy);
    let number = digest[..8]
        .iter()
        .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{prefix}{number:016x}")
}

/// Whether the managed policy `policy` exists.
pub(super) async fn is_there(iam: &Client, policy: &str) -> Result<bool> {
    match iam.get_policy().policy_arn(policy).send().await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(NO_SUCH_ENTITY) => Ok(false),
        Err(error) => Err(Asked {
            what: &format!("find the managed policy `{policy}`"),
            action: "iam:GetPolicy",
            resource: policy,
        }
        .failed(&error)),
    }
}

fn missing(policy: &str) -> Error {
    Error::failed(
        System::Aws,
        format!("there is no managed policy `{policy}`"),
    )
    .object(policy)
    .hint("create it, or correct `managedPolicies` under aws.irsa or aws.podIdentity in the profile: `aws iam list-policies` lists those there are")
}

impl Attachments {
    /// Reads the policies of `role`; `sid` selects the tags of this cluster and profile.
    pub(super) async fn read(
        iam: &Client,
        role: &Role,
        sid: &str,
        wanted: &[String],
    ) -> Result<Self> {
        let listed = iam
            .list_attached_role_policies()
            .role_name(role.role_name())
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await;
        let live: Vec<_> = match listed {
            Ok(live) => live,
            // A new role has none, and is not visible everywhere in IAM.
            Err(error) if error.code() == Some(NO_SUCH_ENTITY) => Vec::new(),
            Err(error) => {
                return Err(Asked {
                    what: &format!("see which policies the IAM role `{}` has", role.role_name()),
                    action: "iam:ListAttachedRolePolicies",
                    resource: role.arn(),
                }
                .failed(&error));
            }
        };
        let found = Self::to_come(sid, wanted);
        let tags = role.tags().iter();
        let tags = tags.map(|it| (it.key().to_owned(), it.value().to_owned()));
        Ok(Self {
            live: live.into_iter().filter_map(|it| it.policy_arn).collect(),
            tagged: tags
                .filter(|(key, _)| key.starts_with(&found.prefix))
                .collect(),
            ..found
        })
    }

    /// The policies of a role that does not exist yet.
    pub(super) fn to_come(sid: &str, wanted: &[String]) -> Self {
        let prefix = format!("arcctl.dev/attached/{}/", sid.trim_start_matches("Arcctl"));
        Self {
            live: BTreeSet::new(),
            tagged: BTreeMap::new(),
            wanted: wanted
                .iter()
                .map(|it| (it.clone(), key(&prefix, it)))
                .collect(),
            prefix,
        }
    }

    fn to_attach(&self) -> impl Iterator<Item = (&String, &String)> {
        self.wanted
            .iter()
            .filter(|(policy, _)| !self.live.contains(*policy))
    }

    /// Policies that arcctl attached and the profile no longer names.
    fn to_detach(&self) -> impl Iterator<Item = (&String, String)> {
        self.live
            .iter()
            .filter(|policy| !self.wanted.contains_key(*policy))
            .map(|policy| (policy, key(&self.prefix, policy)))
            .filter(|(_, key)| self.tagged.contains_key(key))
    }

    /// The tags of policies that arcctl attached and the profile no longer names, attached or not.
    fn to_untag(&self) -> impl Iterator<Item = (&String, &String)> {
        let wanted = |key: &String| self.wanted.values().any(|it| it == key);
        self.tagged.iter().filter(move |(key, _)| !wanted(key))
    }

    /// Whether a policy that arcctl attached is still attached.
    pub(super) fn is_attached(&self) -> bool {
        self.to_detach().next().is_some()
    }

    /// A policy that arcctl did not attach.
    pub(super) fn foreign(&self) -> Option<&String> {
        let ours = |policy: &String| self.tagged.contains_key(&key(&self.prefix, policy));
        self.live.iter().find(|it| !ours(it))
    }

    /// Reports in the plan what IAM would reject: a missing policy, or too many policies.
    pub(super) async fn check(&self, role: &TrustPolicy<'_>) -> Result<()> {
        let coming = self.to_attach().count();
        if coming == 0 {
            return Ok(());
        }
        for (policy, _) in self.to_attach() {
            if !is_there(role.iam, policy).await? {
                return Err(missing(policy));
            }
        }
        let count = self.live.len() - self.to_detach().count() + coming;
        if count <= ATTACHED_POLICIES_QUOTA {
            return Ok(());
        }
        let known = role.account_quota("AttachedPoliciesPerRoleQuota").await?;
        let quota = known.unwrap_or(ATTACHED_POLICIES_QUOTA);
        if count <= quota {
            return Ok(());
        }
        let name = role.role;
        let fewer = if self.live.is_empty() {
            "list fewer `managedPolicies` in the profile".to_owned()
        } else {
            format!(
                "detach what nobody needs (`aws iam list-attached-role-policies --role-name {name}`)"
            )
        };
        Err(Error::failed(
            System::Aws,
            format!("the IAM role `{name}` has no room for the managed policies of the profile; nothing was written"),
        )
        .object(name)
        .cause(format!("it would have {count}, and {quota} are allowed"))
        .hint(format!(
            "{fewer}, put several policies into one, or raise the quota `Managed policies attached to an IAM role` (up to {ATTACHED_POLICIES_LIMIT})"
        )))
    }

    /// The differences from the wanted policies.
    pub(super) fn differences(&self) -> Vec<Difference> {
        let path = |policy: &str| format!("managedPolicies[{policy}]");
        let attach = self.to_attach().map(|(policy, _)| Difference {
            path: path(policy),
            from: Value::Null,
            to: json!("attached"),
        });
        let detach = self.to_detach().map(|(policy, _)| Difference {
            path: path(policy),
            from: json!("attached"),
            to: Value::Null,
        });
        let detached: BTreeSet<String> = self.to_detach().map(|(_, key)| key).collect();
        let untag = self.to_untag().filter(|(key, _)| !detached.contains(*key));
        let untag = untag.map(|(key, policy)| Difference {
            path: format!("tags[{key}]"),
            from: json!(policy),
            to: Value::Null,
        });
        attach.chain(detach).chain(untag).collect()
    }

    /// Attaches missing policies, tagged first, and detaches those that arcctl attached and the profile no longer names.
    pub(super) async fn apply(&self, iam: &Client, role: &str) -> Result<()> {
        for (policy, key) in self.to_attach() {
            self.mark(iam, role, policy, key).await?;
            let request = iam.attach_role_policy().role_name(role).policy_arn(policy);
            request.send().await.map_err(|error| {
                let asked = Asked {
                    what: &format!("attach the policy `{policy}` to the IAM role `{role}`"),
                    action: "iam:AttachRolePolicy",
                    resource: role,
                };
                failed_at_what_is_there(asked, &error)
            })?;
        }
        self.detach(iam, role).await?;
        for (key, _) in self.to_untag() {
            let request = iam.untag_role().role_name(role).tag_keys(key);
            request.send().await.map_err(|error| {
                let asked = Asked {
                    what: &format!("take a tag from the IAM role `{role}`"),
                    action: "iam:UntagRole",
                    resource: role,
                };
                failed_at_role(asked, &error)
            })?;
        }
        Ok(())
    }

    /// Detaches policies that arcctl attached and the profile no longer names; keeps their tags.
    pub(super) async fn detach(&self, iam: &Client, role: &str) -> Result<()> {
        for (policy, _) in self.to_detach() {
            let request = iam.detach_role_policy().role_name(role).policy_arn(policy);
            match request.send().await {
                Ok(_) => {}
                Err(error) if error.code() == Some(NO_SUCH_ENTITY) => {}
                Err(error) => {
                    return Err(Asked {
                        what: &format!("detach the policy `{policy}` from the IAM role `{role}`"),
                        action: "iam:DetachRolePolicy",
                        resource: role,
                    }
                    .failed(&error));
                }
            }
        }
        Ok(())
    }

    async fn mark(&self, iam: &Client, role: &str, policy: &str, key: &str) -> Result<()> {
        if self.tagged.contains_key(key) {
            return Ok(());
        }
        // Only for information: the key identifies the policy.
        let value = TAG.fitted(policy);
        let request = iam.tag_role().role_name(role).tags(tag(key, &value)?);
        request.send().await.map(drop).map_err(|error| {
            let asked = Asked {
                what: &format!("tag the IAM role `{role}`"),
                action: "iam:TagRole",
                resource: role,
            };
            failed_at_role(asked, &error)
        })
    }
}

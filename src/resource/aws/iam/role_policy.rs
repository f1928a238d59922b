//! The inline policy of the role: S3 permissions of the runners.

use aws_sdk_iam::error::ProvideErrorMetadata;
use serde_json::json;

use crate::{
    clients::aws::{Aws, error::Asked},
    desired::resource::aws::RolePolicy,
    diff::Difference,
    error::{Error, Result, System},
    policy::{Document, ROLE_POLICIES_LIMIT, TooLarge, differences, is_own, merged, without},
    resource::{
        aws::{
            NO_SUCH_ENTITY,
            consistency::{Verdict, Writes, failed_at_role},
            not_yet, shared,
        },
        deletion::ours,
        observed::{Observed, Ownership, Present, Readiness},
    },
};

impl RolePolicy {
    fn asked<'a>(&'a self, what: &'a str, action: &'a str) -> Asked<'a> {
        Asked {
            what,
            action,
            resource: &self.role,
        }
    }

    fn object(&self) -> String {
        format!("{}/{}", self.role, self.name)
    }

    /// Its text; `None` where the policy or the role does not exist.
    async fn live(&self, aws: &Aws) -> Result<Option<String>> {
        let request = aws
            .iam()
            .get_role_policy()
            .role_name(&self.role)
            .policy_name(&self.name);
        match request.send().await {
            Ok(output) => Ok(Some(output.policy_document().to_owned())),
            Err(error) if error.code() == Some(NO_SUCH_ENTITY) => Ok(None),
            Err(error) => {
                let what = format!(
                    "read the policy `{}` of the IAM role `{}`",
                    self.name, self.role
                );
                Err(self.asked(&what, "iam:GetRolePolicy").failed(&error))
            }
        }
    }

    fn document(&self, text: &str) -> Result<Document> {
        Document::parse(text).map_err(|error| {
            Error::failed(
                System::Aws,
                format!(
                    "cannot read the policy `{}` of the IAM role `{}`",
                    self.name, self.role
                ),
            )
            .object(self.object())
            .cause(error)
            .hint(format!(
                "look at it with `aws iam get-role-policy --role-name {} --policy-name {}`, and delete or correct it",
                self.role, self.name
            ))
        })
    }

    /// Rejects a policy that exceeds the size limit together with the role's other inline policies.
    async fn check_size(&self, aws: &Aws, live: Option<&str>) -> Result<()> {
        let document = match live {
            Some(text) => self.document(text)?,
            None => Document::empty(),
        };
        let document = merged(&document, &self.sid, &self.statements).unwrap_or(document);
        let mut size = document.size();
        for name in self.others(aws).await? {
            let other = Self {
                name,
                ..self.clone()
            };
            if let Some(text) = other.live(aws).await? {
                size += other.document(&text)?.size();
            }
        }
        TooLarge::check(size, ROLE_POLICIES_LIMIT).map_err(|error| {
            Error::failed(
                System::Aws,
                format!(
                    "the inline policies of the IAM role `{}` have no room for what the runners may do with buckets; nothing was written",
                    self.role
                ),
            )
            .object(self.object())
            .cause(error)
            .hint(format!(
                "list fewer `buckets` in the profile and grant the rest by a managed policy (`managedPolicies`), or take out inline policies that nobody needs: `aws iam list-role-policies --role-name {}`",
                self.role
            ))
        })
    }

    /// The other inline policies of the role.
    async fn others(&self, aws: &Aws) -> Result<Vec<String>> {
        let request = aws.iam().list_role_policies().role_name(&self.role);
        let listed = request.into_paginator().items().send().try_collect().await;
        let names: Vec<String> = match listed {
            Ok(names) => names,
            // The role does not exist yet.
            Err(error) if error.code() == Some(NO_SUCH_ENTITY) => Vec::new(),
            Err(error) => {
                let what = format!("see the inline policies of the IAM role `{}`", self.role);
                return Err(self.asked(&what, "iam:ListRolePolicies").failed(&error));
            }
        };
        Ok(names.into_iter().filter(|it| *it != self.name).collect())
    }

    /// Compares it with the wanted statements; without any it must not exist.
    pub(crate) async fn observe(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let live = self.live(aws).await?;
        let found = match &live {
            Some(text) if self.statements.is_empty() => vec![Difference {
                path: "policy".into(),
                from: json!(self.document(text)?.text()),
                to: json!(null),
            }],
            Some(text) => differences("policy", &self.document(text)?, &self.sid, &self.statements),
            None => Vec::new(),
        };
        let as_wanted = found.is_empty() && live.is_none() == self.statements.is_empty();
        if let Verdict::NotYet(reason) = writes.judge(&self.object(), as_wanted) {
            return Ok(not_yet(reason));
        }
        // The plan reports a policy that is too long, before any write.
        if !as_wanted && !self.statements.is_empty() {
            self.check_size(aws, live.as_deref()).await?;
        }
        if live.is_none() && !self.statements.is_empty() {
            return Ok(Observed::Absent);
        }
        Ok(Observed::Present(Present {
            differences: found,
            readiness: Readiness::Ready,
            ownership: Ownership::Ours,
        }))
    }

    /// Writes it, or deletes it where no statement is wanted.
    pub(crate) async fn apply(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let live = self.live(aws).await?;
        writes.record(&self.object());
        if self.statements.is_empty() {
            return self.delete(aws, writes).await;
        }
        let document = match &live {
            Some(text) => self.document(text)?,
            None => Document::empty(),
        };
        let Some(document) = merged(&document, &self.sid, &self.statements) else {
            return Ok(());
        };
        self.put(aws, &document, writes).await
    }

    async fn put(&self, aws: &Aws, document: &Document, writes: &Writes) -> Result<()> {
        let what = format!(
            "write the policy `{}` of the IAM role `{}`",
            self.name, self.role
        );
        let request = aws
            .iam()
            .put_role_policy()
            .role_name(&self.role)
            .policy_name(&self.name)
            .policy_document(document.text());
        writes
            .answered(&self.object(), request.send().await)
            .map(drop)
            .map_err(|error| failed_at_role(self.asked(&what, "iam:PutRolePolicy"), &error))
    }

    /// What remains of it: our statements, and possibly those of other tools.
    pub(crate) async fn remains(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let Some(text) = self.live(aws).await? else {
            return Ok(Observed::Absent);
        };
        let document = self.document(&text)?;
        let own = differences("policy", &document, &self.sid, &[]);
        if let Verdict::NotYet(reason) = writes.judge(&self.object(), own.is_empty()) {
            return Ok(ours(Readiness::progressing(reason)));
        }
        Ok(match without(&document, &self.sid) {
            None => Observed::Absent,
            Some(rest) if rest.statements.is_empty() => ours(Readiness::Ready),
            Some(_) => shared(own, "others have statements in it"),
        })
    }

    /// Whether it contains statements of other tools.
    pub(super) async fn has_foreign(&self, aws: &Aws) -> Result<bool> {
        let Some(text) = self.live(aws).await? else {
            return Ok(false);
        };
        let statements = self.document(&text)?.statements;
        Ok(statements.iter().any(|it| !is_own(it, &self.sid)))
    }

    /// Removes our statements, and the policy where nothing else is in it.
    pub(crate) async fn delete(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let Some(text) = self.live(aws).await? else {
            return Ok(());
        };
        let Some(rest) = without(&self.document(&text)?, &self.sid) else {
            return Ok(());
        };
        writes.record(&self.object());
        if !rest.statements.is_empty() {
            return self.put(aws, &rest, writes).await;
        }
        let what = format!(
            "delete the policy `{}` of the IAM role `{}`",
            self.name, self.role
        );
        let request = aws
            .iam()
            .delete_role_policy()
            .role_name(&self.role)
            .policy_name(&self.name);
        match writes.answered(&self.object(), request.send().await) {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(NO_SUCH_ENTITY) => Ok(()),
            Err(error) => Err(self.asked(&what, "iam:DeleteRolePolicy").failed(&error)),
        }
    }
}

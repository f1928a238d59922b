//! The inline policy of the role: what the runners may do with buckets.

use aws_sdk_iam::error::ProvideErrorMetadata;
use serde_json::json;

use super::{
    NO_SUCH_ENTITY, RolePolicy, not_yet, shared,
    writes::{Verdict, Writes},
};
use crate::{
    clients::aws::{Aws, failure::Asked},
    error::{Error, Result, System},
    policy::{Document, differences, is_own, merged, without},
    resource::{
        difference::Difference,
        observed::{Observed, Ownership, Present, Readiness},
        removal::ours,
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

    /// Its text; `None` where the policy, or the role, is not there.
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
            .hint("look at it with `aws iam get-role-policy`, and delete or correct it")
        })
    }

    /// Compares it with the statements that are wanted; without any it is not to be there.
    pub(super) async fn observe(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
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
        let shown = live.clone().unwrap_or_default();
        if let Verdict::NotYet(reason) = writes.judge(&self.object(), &shown, as_wanted) {
            return Ok(not_yet(reason));
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

    /// Writes it, or takes it away where no statement is wanted.
    pub(super) async fn apply(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let live = self.live(aws).await?;
        writes.record(&self.object(), live.as_deref().unwrap_or_default());
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
        self.put(aws, &document).await
    }

    async fn put(&self, aws: &Aws, document: &Document) -> Result<()> {
        let what = format!(
            "write the policy `{}` of the IAM role `{}`",
            self.name, self.role
        );
        aws.iam()
            .put_role_policy()
            .role_name(&self.role)
            .policy_name(&self.name)
            .policy_document(document.text())
            .send()
            .await
            .map(drop)
            .map_err(|error| {
                // The role may have been made a moment ago, and be shown late.
                let late = error.code() == Some(NO_SUCH_ENTITY);
                let failed = self.asked(&what, "iam:PutRolePolicy").failed(&error);
                if late { failed.passing(true) } else { failed }
            })
    }

    /// What is left of it: our statements, and perhaps those of others.
    pub(super) async fn remains(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let Some(text) = self.live(aws).await? else {
            return Ok(Observed::Absent);
        };
        let document = self.document(&text)?;
        let own = differences("policy", &document, &self.sid, &[]);
        if let Verdict::NotYet(reason) = writes.judge(&self.object(), &text, own.is_empty()) {
            return Ok(ours(Readiness::progressing(reason)));
        }
        Ok(match without(&document, &self.sid) {
            None => Observed::Absent,
            Some(rest) if rest.statements.is_empty() => ours(Readiness::Ready),
            Some(_) => shared(own, "others have statements in it"),
        })
    }

    /// Whether somebody else has statements in it.
    pub(super) async fn has_foreign(&self, aws: &Aws) -> Result<bool> {
        let Some(text) = self.live(aws).await? else {
            return Ok(false);
        };
        let statements = self.document(&text)?.statements;
        Ok(statements.iter().any(|it| !is_own(it, &self.sid)))
    }

    /// Takes our statements away, and the policy where nothing else is in it.
    pub(super) async fn delete(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let Some(text) = self.live(aws).await? else {
            return Ok(());
        };
        let Some(rest) = without(&self.document(&text)?, &self.sid) else {
            return Ok(());
        };
        writes.record(&self.object(), &text);
        if !rest.statements.is_empty() {
            return self.put(aws, &rest).await;
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
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(NO_SUCH_ENTITY) => Ok(()),
            Err(error) => Err(self.asked(&what, "iam:DeleteRolePolicy").failed(&error)),
        }
    }
}

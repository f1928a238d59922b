//! Deletes the role if arcctl created it and no other tool uses it; else only arcctl's statement and the policies that
//! arcctl attached.

use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::types::Role;

use super::attachments::Attachments;
use crate::{
    clients::aws::Aws,
    desired::resource::aws::{IamRole, RolePolicy},
    diff::Difference,
    error::Result,
    policy::{Document, differences, is_own, orphans},
    resource::{
        aws::{NO_SUCH_ENTITY, consistency::Writes, shared},
        deletion::{Removal, ours, stays},
        observed::{Observed, Readiness},
    },
};

/// What remains of a role.
struct Left {
    role: Role,
    document: Document,
    /// Our statements in its trust policy.
    own: Vec<Difference>,
    attachments: Attachments,
}

/// The part of it to delete.
enum Part {
    /// None: nothing of it is arcctl's.
    None,
    /// All: only arcctl uses it.
    Whole,
    /// These differences: other tools use the rest.
    Some(Vec<Difference>, String),
    /// None, for this reason.
    Stays(String),
}

impl IamRole {
    async fn left(&self, aws: &Aws) -> Result<Option<Left>> {
        let trust_policy = self.trust_policy(aws);
        let Some(role) = trust_policy.role().await? else {
            return Ok(None);
        };
        let document = trust_policy.document(&role)?;
        let own = differences("trustPolicy", &document, &self.sid, &[]);
        let attachments = Attachments::read(aws.iam(), &role, &self.sid, &[]).await?;
        Ok(Some(Left {
            role,
            document,
            own,
            attachments,
        }))
    }

    /// What remains of it, and which part of that can be deleted.
    pub(crate) async fn remains(
        &self,
        aws: &Aws,
        writes: &Writes,
        removal: &Removal,
    ) -> Result<Observed> {
        let Some(left) = self.left(aws).await? else {
            return Ok(Observed::Absent);
        };
        let statements = left.role.assume_role_policy_document().unwrap_or_default();
        let trust_policy = self.trust_policy(aws);
        let shared_document = trust_policy.shared();
        for verdict in [
            writes.judge_document(&shared_document, statements, left.own.is_empty()),
            writes.judge(&self.attached(), !left.attachments.is_attached()),
        ] {
            if let Some(reason) = verdict.reason() {
                return Ok(ours(Readiness::progressing(reason)));
            }
        }
        // The first of the reads that must agree before the write.
        writes.agrees(&shared_document, statements);
        let part = self.part(aws, &left).await?;
        let trusts = !left.own.is_empty();
        let keeps_it = trusts && !matches!(part, Part::Whole) && self.held(&left).is_some();
        removal.learn(&format!("iam-role/-/{}", self.name), keeps_it);
        Ok(match part {
            Part::None => Observed::Absent,
            Part::Whole => ours(Readiness::Ready),
            Part::Some(differences, because) => shared(differences, because),
            Part::Stays(because) => stays(because),
        })
    }

    /// Why arcctl's statement cannot be removed from the trust policy; `None` if it can.
    fn held(&self, left: &Left) -> Option<String> {
        let document = &left.document;
        if left.own.is_empty() {
            return None;
        }
        if document.statements.iter().all(|it| is_own(it, &self.sid)) {
            return Some(format!(
                "and with it arcctl's statement in its trust policy, since IAM takes none without statements: \
                 give it another one, or delete the role with `aws iam delete-role --role-name {}`",
                self.name
            ));
        }
        let orphan = orphans(document, &self.sid).into_iter().next()?;
        Some(format!(
            "and with it arcctl's statement in its trust policy, since IAM takes none with a principal that is gone: \
             take `{}` out of {}, and run the same command again",
            orphan.principal, orphan.statement
        ))
    }

    async fn part(&self, aws: &Aws, left: &Left) -> Result<Part> {
        let made = self.create && self.is_ours(&left.role);
        let because = if made {
            match self.others(aws, left).await? {
                None => return Ok(Part::Whole),
                Some(because) => because,
            }
        } else {
            "arcctl did not make it".to_owned()
        };
        let mut found = left.attachments.differences();
        let held = self.held(left);
        if held.is_none() {
            found.extend(left.own.iter().cloned());
        }
        if !found.is_empty() {
            return Ok(Part::Some(found, because));
        }
        Ok(if let Some(held) = held {
            Part::Stays(format!("{because}; {held}"))
        } else if made {
            Part::Stays(because)
        } else {
            Part::None
        })
    }

    /// Parts of other tools in a role that arcctl created.
    async fn others(&self, aws: &Aws, left: &Left) -> Result<Option<String>> {
        let mut statements = left.document.statements.iter();
        if let Some(foreign) = statements.find(|it| !is_own(it, &self.sid)) {
            let name = foreign
                .sid()
                .map_or_else(|| "a statement".into(), |it| format!("statement `{it}`"));
            return Ok(Some(format!("{name} in its trust policy is not arcctl's")));
        }
        if let Some(policy) = left.attachments.foreign() {
            return Ok(Some(format!("others attached the policy `{policy}`")));
        }
        if let Some(policy) = self.foreign_policy(aws).await? {
            return Ok(Some(format!("its policy `{policy}` is not arcctl's")));
        }
        let profiles = self.instance_profiles(aws).await?;
        let profile = profiles.into_iter().next();
        Ok(profile.map(|it| format!("the instance profile `{it}` has it")))
    }

    /// An inline policy of another tool, or with its statements.
    async fn foreign_policy(&self, aws: &Aws) -> Result<Option<String>> {
        let request = aws.iam().list_role_policies().role_name(&self.name);
        let listed = request.into_paginator().items().send().try_collect().await;
        let names: Vec<String> = match listed {
            Ok(names) => names,
            Err(error) if error.code() == Some(NO_SUCH_ENTITY) => Vec::new(),
            Err(error) => {
                let what = format!("see the inline policies of the IAM role `{}`", self.name);
                return Err(self.asked(&what, "iam:ListRolePolicies").failed(&error));
            }
        };
        for name in names {
            let own = RolePolicy {
                role: self.name.clone(),
                name: self.sid.clone(),
                sid: self.sid.clone(),
                statements: Vec::new(),
            };
            if name != self.sid || own.has_foreign(aws).await? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    async fn instance_profiles(&self, aws: &Aws) -> Result<Vec<String>> {
        let request = aws
            .iam()
            .list_instance_profiles_for_role()
            .role_name(&self.name);
        let listed = request.into_paginator().items().send().try_collect().await;
        let found: Vec<_> = match listed {
            Ok(found) => found,
            Err(error) if error.code() == Some(NO_SUCH_ENTITY) => Vec::new(),
            Err(error) => {
                let what = format!("see the instance profiles of the IAM role `{}`", self.name);
                let asked = self.asked(&what, "iam:ListInstanceProfilesForRole");
                return Err(asked.failed(&error));
            }
        };
        Ok(found
            .into_iter()
            .map(|it| it.instance_profile_name)
            .collect())
    }

    /// Deletes arcctl's part of it, after a fresh read.
    pub(crate) async fn delete(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let Some(left) = self.left(aws).await? else {
            return Ok(());
        };
        match self.part(aws, &left).await? {
            Part::None | Part::Stays(_) => Ok(()),
            Part::Whole if left.attachments.is_attached() => {
                writes.record(&self.attached());
                let detached = left.attachments.detach(aws.iam(), &self.name).await;
                self.unless_failed(detached, writes)?;
                // A second read decides again: detaching took some time. That IAM may still show the policies does not matter.
                let Some(left) = self.left(aws).await? else {
                    return Ok(());
                };
                match self.part(aws, &left).await? {
                    Part::Whole => self.delete_role(aws, &left.role, writes).await,
                    _ => Ok(()),
                }
            }
            Part::Whole => self.delete_role(aws, &left.role, writes).await,
            Part::Some(..) => {
                if !left.own.is_empty() && self.held(&left).is_none() {
                    self.trust_policy(aws).write(&[], writes).await?;
                }
                if left.attachments.differences().is_empty() {
                    return Ok(());
                }
                writes.record(&self.attached());
                let applied = left.attachments.apply(aws.iam(), &self.name).await;
                self.unless_failed(applied, writes)
            }
        }
    }

    /// A failed write can be repeated: then the current state is trusted.
    fn unless_failed(&self, outcome: Result<()>, writes: &Writes) -> Result<()> {
        if outcome.is_err() {
            writes.forget(&self.attached());
        }
        outcome
    }

    async fn delete_role(&self, aws: &Aws, role: &Role, writes: &Writes) -> Result<()> {
        let before = role.assume_role_policy_document().unwrap_or_default();
        writes.record_document(&self.trust_policy(aws).shared(), before);
        let request = aws.iam().delete_role().role_name(&self.name);
        match writes.answered(&self.name, request.send().await) {
            Ok(_) => {
                writes.took_out(&self.name);
                Ok(())
            }
            Err(error) if error.code() == Some(NO_SUCH_ENTITY) => Ok(()),
            Err(error) => {
                // IAM may still show what was just removed from it.
                let conflict = error.code() == Some("DeleteConflict");
                let what = format!("delete the IAM role `{}`", self.name);
                let failed = self.asked(&what, "iam:DeleteRole").failed(&error);
                Err(if conflict {
                    failed.passing(true)
                } else {
                    failed
                })
            }
        }
    }
}

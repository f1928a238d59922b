//! The EKS Pod Identity association of the role with a service account.
//!
//! EKS allows one association per service account, and shows and uses a new one late: a dry run of a pod checks
//! whether it works. A policy in it reduces what the role gives, and EKS documents no way to take it out again (EKS API reference,
//! `UpdatePodIdentityAssociation`).

use std::collections::HashMap;

use aws_sdk_eks::{
    operation::{
        create_pod_identity_association::CreatePodIdentityAssociationError,
        delete_pod_identity_association::DeletePodIdentityAssociationError,
        describe_pod_identity_association::DescribePodIdentityAssociationError,
        update_pod_identity_association::UpdatePodIdentityAssociationError,
    },
    types::PodIdentityAssociation as Live,
};
use serde_json::json;

use crate::{
    clients::{
        aws::{Aws, error::Asked},
        kube::{Kube, Mode},
    },
    desired::resource::aws::PodIdentityAssociation,
    diff::Difference,
    error::{Error, ErrorKind, Result, System},
    profile::RoleVia,
    resource::{
        aws::{
            MANAGED_BY, PROFILE, SID,
            consistency::{Verdict, Writes, failed},
            not_yet,
        },
        deletion::ours,
        observed::{Observed, Ownership, Present, Readiness},
        pods::role,
    },
};

impl PodIdentityAssociation {
    fn asked<'a>(&'a self, what: &'a str, action: &'a str) -> Asked<'a> {
        Asked {
            what,
            action,
            resource: &self.cluster,
        }
    }

    /// Its service account, for messages.
    fn words(&self) -> String {
        let (namespace, account) = (&self.namespace, &self.service_account);
        format!("the Pod Identity association of service account `{namespace}/{account}`")
    }

    async fn live(&self, aws: &Aws) -> Result<Option<Live>> {
        let what = format!("list {}", self.words());
        let list = aws
            .eks()
            .list_pod_identity_associations()
            .cluster_name(&self.cluster)
            .namespace(&self.namespace)
            .service_account(&self.service_account);
        let asked = self.asked(&what, "eks:ListPodIdentityAssociations");
        let pages = list.into_paginator().items().send();
        let found = asked.all(pages.try_collect()).await?;
        let Some(id) = found.iter().find_map(|it| it.association_id()) else {
            return Ok(None);
        };
        let what = format!("read {}", self.words());
        let read = aws
            .eks()
            .describe_pod_identity_association()
            .cluster_name(&self.cluster)
            .association_id(id);
        match read.send().await {
            Ok(answer) => Ok(answer.association),
            // It was deleted in between.
            Err(error)
                if error.as_service_error().is_some_and(
                    DescribePodIdentityAssociationError::is_resource_not_found_exception,
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(self
                .asked(&what, "eks:DescribePodIdentityAssociation")
                .failed(&error)),
        }
    }

    fn is_ours(&self, live: &Live) -> bool {
        live.tags()
            .and_then(|it| it.get(SID))
            .is_some_and(|it| *it == self.sid)
    }

    /// The differences. Without session tags the statement in the role's trust policy never matches.
    fn differences(&self, live: &Live) -> Vec<Difference> {
        let role = live.role_arn() != Some(self.role_arn.as_str());
        let tags = live.disable_session_tags() == Some(true);
        let role = role.then(|| Difference {
            path: "roleArn".into(),
            from: json!(live.role_arn()),
            to: json!(self.role_arn),
        });
        let tags = tags.then(|| Difference {
            path: "disableSessionTags".into(),
            from: json!(true),
            to: json!(false),
        });
        // With a target role, pods get that role by role chaining.
        let target = live.target_role_arn().filter(|it| !it.is_empty());
        let target = target.map(|it| Difference {
            path: "targetRoleArn".into(),
            from: json!(it),
            to: json!(null),
        });
        let policy = policy_of(live).map(|it| Difference {
            path: "policy".into(),
            from: json!(it),
            to: json!(null),
        });
        let all = role.into_iter().chain(tags).chain(target);
        all.chain(policy).collect()
    }

    /// Whether arcctl can change it.
    fn is_changeable(&self, live: &Live) -> bool {
        self.is_ours(live) && policy_of(live).is_none()
    }

    /// Compares it, and checks whether new pods get the role.
    pub(crate) async fn observe(
        &self,
        aws: &Aws,
        kube: &Kube,
        writes: &Writes,
    ) -> Result<Observed> {
        let live = self.live(aws).await?;
        let differences = live.as_ref().map(|it| self.differences(it));
        let as_wanted = differences.as_ref().is_some_and(Vec::is_empty);
        if let Verdict::NotYet(reason) = writes.judge(&self.words(), as_wanted) {
            return Ok(not_yet(reason));
        }
        let (Some(live), Some(differences)) = (live, differences) else {
            return Ok(Observed::Absent);
        };
        if !as_wanted && !self.is_changeable(&live) {
            return Err(self.refused(&live, &differences));
        }
        let readiness = if as_wanted {
            self.readiness(kube).await
        } else {
            Readiness::Ready
        };
        Ok(Observed::Present(Present {
            differences,
            readiness,
            ownership: Ownership::Ours,
        }))
    }

    /// arcctl does not change it: another tool made it, or put a policy into it.
    fn refused(&self, live: &Live, differences: &[Difference]) -> Error {
        let (cluster, id) = (&self.cluster, live.association_id().unwrap_or_default());
        let found: Vec<String> = differences
            .iter()
            .map(|it| match it.path.as_str() {
                "policy" => "it has a policy, which reduces what the role allows".to_owned(),
                path => format!("its `{path}` is {} instead of {}", it.from, it.to),
            })
            .collect();
        let delete = format!(
            "`aws eks delete-pod-identity-association --cluster-name {cluster} --association-id {id}`"
        );
        let (what, hint) = if self.is_ours(live) {
            let hint = format!("delete it, and the next `arcctl up` makes it again: {delete}");
            ("has a policy that arcctl did not write", hint)
        } else {
            let hint = format!(
                "name another account under aws.podIdentity.serviceAccount, or delete it: {delete}"
            );
            (
                "was not made by arcctl, and is not as the profile says",
                hint,
            )
        };
        Error::new(
            ErrorKind::Refused,
            System::Aws,
            format!("{} {what}", self.words()),
        )
        .object(live.association_arn().unwrap_or_default())
        .cause(found.join("; "))
        .hint(hint)
    }

    /// Whether EKS adds the role to a pod in a dry run. If a policy rejects that pod, the check is left to the
    /// runners' own pods.
    async fn readiness(&self, kube: &Kube) -> Readiness {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"generateName": "arcctl-probe-", "namespace": self.namespace},
            "spec": {
                "serviceAccountName": self.service_account,
                "containers": [{"name": "probe", "image": "arcctl.invalid/probe"}],
            },
        });
        match kube.create(&pod, Mode::DryRun).await {
            Ok(admitted) => match role::missing_variable(&admitted, RoleVia::PodIdentity) {
                Some(_) => Readiness::progressing(
                    "EKS does not give the role to new pods yet, or its webhook `pod-identity-webhook` does not respond",
                ),
                None => Readiness::Ready,
            },
            Err(failure) if failure.said().contains("service account") => {
                Readiness::progressing(format!("a new pod cannot be tried: {}", failure.said()))
            }
            Err(_) => Readiness::Ready,
        }
    }

    /// Creates it, or sets the role of the profile where arcctl owns it.
    pub(crate) async fn apply(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let live = self.live(aws).await?;
        if let Some(live) = &live {
            let differences = self.differences(live);
            if differences.is_empty() {
                return Ok(());
            }
            if !self.is_changeable(live) {
                return Err(self.refused(live, &differences));
            }
        }
        writes.record(&self.words());
        let written = match &live {
            Some(live) => self.update(aws, live).await,
            None => self.create(aws).await,
        };
        if written.is_err() {
            // It can be written again: the current state is trusted.
            writes.forget(&self.words());
        }
        written
    }

    async fn update(&self, aws: &Aws, live: &Live) -> Result<()> {
        let what = format!("change {}", self.words());
        let request = aws
            .eks()
            .update_pod_identity_association()
            .cluster_name(&self.cluster)
            .association_id(live.association_id().unwrap_or_default())
            .role_arn(&self.role_arn)
            // An empty value removes the target role.
            .set_target_role_arn(live.target_role_arn().map(|_| String::new()))
            .disable_session_tags(false);
        let Err(error) = request.send().await else {
            return Ok(());
        };
        let late = match error.as_service_error() {
            Some(UpdatePodIdentityAssociationError::InvalidParameterException(it)) => {
                is_about_a_role(it.message())
            }
            _ => false,
        };
        let asked = self.asked(&what, "eks:UpdatePodIdentityAssociation");
        Err(failed(asked, &error, late))
    }

    async fn create(&self, aws: &Aws) -> Result<()> {
        let tags = [
            (MANAGED_BY, "arcctl"),
            (PROFILE, self.profile.as_str()),
            (SID, self.sid.as_str()),
        ];
        let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let request = aws
            .eks()
            .create_pod_identity_association()
            .cluster_name(&self.cluster)
            .namespace(&self.namespace)
            .service_account(&self.service_account)
            .role_arn(&self.role_arn)
            .set_tags(Some(HashMap::from(tags)));
        let Err(error) = request.send().await else {
            return Ok(());
        };
        let late = match error.as_service_error() {
            // Another run created it first, or EKS showed it late: the next read compares it.
            Some(CreatePodIdentityAssociationError::ResourceInUseException(_)) => return Ok(()),
            Some(CreatePodIdentityAssociationError::InvalidParameterException(it)) => {
                is_about_a_role(it.message())
            }
            _ => false,
        };
        let what = format!("create {}", self.words());
        let asked = self.asked(&what, "eks:CreatePodIdentityAssociation");
        Err(failed(asked, &error, late))
    }

    /// What remains of arcctl's association.
    pub(crate) async fn remains(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let live = self.live(aws).await?.filter(|it| self.is_ours(it));
        if live.is_none() {
            return Ok(Observed::Absent);
        }
        if let Verdict::NotYet(reason) = writes.judge(&self.words(), false) {
            return Ok(ours(Readiness::progressing(reason)));
        }
        Ok(ours(Readiness::Ready))
    }

    /// Deletes it if its tags show that arcctl created it.
    pub(crate) async fn delete(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let Some(live) = self.live(aws).await?.filter(|it| self.is_ours(it)) else {
            return Ok(());
        };
        writes.record(&self.words());
        let what = format!("delete {}", self.words());
        let request = aws
            .eks()
            .delete_pod_identity_association()
            .cluster_name(&self.cluster)
            .association_id(live.association_id().unwrap_or_default());
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(
                    DeletePodIdentityAssociationError::is_resource_not_found_exception,
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(self
                .asked(&what, "eks:DeletePodIdentityAssociation")
                .failed(&error)),
        }
    }
}

/// The policy in an association.
fn policy_of(live: &Live) -> Option<&str> {
    live.policy().filter(|it| !it.is_empty())
}

/// Whether EKS reports a missing role: EKS can see a role later than IAM.
fn is_about_a_role(said: Option<&str>) -> bool {
    said.is_some_and(|it| it.to_lowercase().contains("role"))
}

//! A Kubernetes object: applied server-side; its differences come from a dry-run apply (DESIGN 5).

use serde_json::{Value, json};

use super::{
    KubeObject, adoption,
    context::Context,
    difference::{Difference, differences, missing},
    observed::{Observed, Ownership, Present, Readiness},
    owner,
};
use crate::{
    clients::kube::{Mode, Target},
    error::{Error, ErrorKind, Result, System},
};

impl KubeObject {
    fn target(&self) -> Result<Target> {
        Target::of(&self.manifest).ok_or_else(|| {
            Error::failed(System::Local, "a manifest has no kind or no name")
                .hint("this is a defect of arcctl: please report it with the profile")
        })
    }

    /// Reads the live object and compares it.
    pub async fn observe(&self, context: &Context) -> Result<Observed> {
        let target = self.target()?;
        let Some(live) = context.kube.get(&target).await? else {
            return Ok(Observed::Absent);
        };
        if live["metadata"]["deletionTimestamp"].is_string() {
            return Ok(Observed::Present(Present::same(Readiness::progressing(
                format!("{target} is being deleted"),
            ))));
        }
        let ownership = owner::of_object(&live, &context.profile.name);
        if is_shared(&target, &ownership) {
            return Ok(Observed::Present(Present::same(Readiness::Ready)));
        }
        let differences = self.compare(context, &live, &ownership).await?;
        Ok(Observed::Present(Present {
            differences,
            readiness: Readiness::Ready,
            ownership,
        }))
    }

    async fn compare(
        &self,
        context: &Context,
        live: &Value,
        ownership: &Ownership,
    ) -> Result<Vec<Difference>> {
        if matches!(ownership, Ownership::Foreign { .. }) {
            let mut found = missing(live, &self.manifest);
            found.extend(adoption::removals(live, &self.manifest));
            return Ok(found);
        }
        match context.kube.apply(&self.manifest, Mode::DryRun).await {
            Ok(wanted) => Ok(differences(live, &wanted)),
            // A webhook that does not answer must not keep a plan from being made: the manifest itself is compared.
            Err(failure) if failure.code() == Some(500) => Ok(missing(live, &self.manifest)),
            Err(failure) => Err(failure.about(&self.target()?)),
        }
    }

    /// Applies the manifest. Whose the object is, is looked at once more: it may have come since the plan was made.
    pub(crate) async fn apply(&self, context: &Context) -> Result<()> {
        let target = self.target()?;
        let live = context.kube.get(&target).await?;
        if live.is_none() && target.kind.name() == "Namespace" {
            return self.create(context, &target).await;
        }
        if let Some(live) = live {
            match owner::of_object(&live, &context.profile.name) {
                Ownership::Ours | Ownership::Shared { .. } => {}
                Ownership::Foreign { .. } if context.adopt => {
                    adopt(context, &target, &live).await?;
                }
                Ownership::Foreign { evidence } => return Err(came_between(&target, &evidence)),
                Ownership::OtherProfile { name } => {
                    return Err(came_between(&target, &format!("of the profile `{name}`")));
                }
            }
        }
        match context.kube.apply(&self.manifest, Mode::Commit).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.about(&target)),
        }
    }

    /// Makes a namespace, which only one of two runs that start at once can: an apply would take over what the other
    /// profile has just made, and with it all that follows.
    async fn create(&self, context: &Context, target: &Target) -> Result<()> {
        match context.kube.create(&self.manifest, Mode::Commit).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.code() == Some(409) => match context.kube.get(target).await? {
                Some(live) if owner::of_object(&live, &context.profile.name) == Ownership::Ours => {
                    Ok(())
                }
                _ => Err(came_between(target, "it is there already")),
            },
            Err(failure) => Err(failure.about(target)),
        }
    }
}

fn came_between(target: &Target, whose: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        System::Kubernetes,
        format!("{target} was made by somebody else just now"),
    )
    .object(target.to_string().replace('`', ""))
    .cause(whose)
    .hint("run the same command again: it makes a new plan")
}

/// Whether it is a namespace that somebody else made: it is used as it is, not marked, and stays at teardown.
fn is_shared(target: &Target, ownership: &Ownership) -> bool {
    target.kind.name() == "Namespace" && matches!(ownership, Ownership::Foreign { .. })
}

/// Makes arcctl the manager of what was applied by hand.
async fn adopt(context: &Context, target: &Target, live: &Value) -> Result<()> {
    let Some(fields) = adoption::managed_fields(live) else {
        return Ok(());
    };
    let patch = json!({"metadata": {
        "managedFields": fields,
        "resourceVersion": live["metadata"]["resourceVersion"],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": null},
    }});
    context.kube.merge(target, &patch).await.map(|_| ())
}

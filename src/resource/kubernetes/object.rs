//! A Kubernetes object: applied server-side; its differences come from a dry-run apply (DESIGN 5).

use serde_json::{Value, json};

use super::{adoption, namespace::terminating, own_fields::own_differences, ownership};
use crate::{
    clients::kube::{Mode, Target},
    desired::{names::object_id, resource::KubeObject},
    diff::{Difference, missing},
    error::{Error, ErrorKind, Result, System},
    resource::{
        as_it_is::{AS_IT_IS, TAKEN_OVER, is_left, is_marked, mark_goes},
        context::Context,
        observed::{Observed, Ownership, Present, Readiness},
    },
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
            let readiness = match target.kind.name() {
                "Namespace" => terminating(&live),
                _ => Readiness::progressing(format!(
                    "{target} is being deleted{}",
                    why_it_stays(&live)
                )),
            };
            return Ok(Observed::Present(Present::same(readiness)));
        }
        let ownership = ownership::of_object(&live, &context.profile.name);
        if is_shared(&self.manifest, &live, &ownership) {
            return Ok(Observed::Present(Present::same(Readiness::Ready)));
        }
        let mut differences = self.compare(context, &live, &ownership).await?;
        if self.is_left(context, &ownership, &live) {
            let id = object_id(&self.manifest);
            context.remarks.defer(id.as_str(), differences.clone());
            if ownership == Ownership::Ours {
                return Ok(Observed::Present(Present::same(Readiness::Ready)));
            }
        } else if ownership == Ownership::Ours && is_marked(&live) {
            differences.push(mark_goes());
        }
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
        if matches!(ownership, Ownership::Foreign { .. }) || is_marked(live) {
            let mut found = missing(live, &self.manifest);
            found.extend(adoption::removals(live, &self.manifest));
            return Ok(found);
        }
        match context.kube.apply(&self.manifest, Mode::DryRun).await {
            Ok(wanted) => Ok(own_differences(&self.manifest, live, &wanted)),
            // A failing webhook must not block the plan: the manifest itself is compared.
            // The same for a field in newer CRDs, which an earlier step of the run installs.
            // And for a policy: if there is something to change, the run tries it before its first write.
            Err(failure) if matches!(failure.code(), Some(400 | 500)) || failure.is_by_policy() => {
                Ok(missing(live, &self.manifest))
            }
            Err(failure) => Err(failure.about(&self.target()?)),
        }
    }

    /// Applies the manifest. Checks the owner again: the object may have been created since the plan.
    pub(crate) async fn apply(&self, context: &Context) -> Result<()> {
        let target = self.target()?;
        let live = context.kube.get(&target).await?;
        if live.is_none() && target.kind.name() == "Namespace" {
            return self.create(context, &target).await;
        }
        let is_new = live.is_none();
        if let Some(live) = live {
            let ownership = ownership::of_object(&live, &context.profile.name);
            if self.is_left(context, &ownership, &live) {
                return self.mark(context, &target).await;
            }
            match ownership {
                Ownership::Ours if is_marked(&live) => adopt(context, &target, &live).await?,
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
        let applied = context.kube.apply(&self.manifest, Mode::Commit).await;
        let applied = applied.map_err(|failure| failure.about(&target))?;
        if is_new && let Some(pool) = &self.pool {
            begin(context, &applied, pool.min_now()).await;
        }
        Ok(())
    }

    /// Whether this run adopts it unchanged: an update of a `RunnerDeployment` replaces its runners.
    fn is_left(&self, context: &Context, ownership: &Ownership, live: &Value) -> bool {
        self.manifest["kind"] == "RunnerDeployment" && is_left(context.adopt, ownership, live)
    }

    /// Makes it arcctl's by its labels, and changes nothing else.
    async fn mark(&self, context: &Context, target: &Target) -> Result<()> {
        let metadata = &self.manifest["metadata"];
        let marks = json!({
            "apiVersion": self.manifest["apiVersion"],
            "kind": self.manifest["kind"],
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "labels": metadata["labels"],
                "annotations": {TAKEN_OVER: AS_IT_IS},
            },
        });
        match context.kube.apply(&marks, Mode::Commit).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.about(target)),
        }
    }

    /// Creates a namespace; of two concurrent runs only one succeeds. An apply would adopt the namespace that the other
    /// profile has just created, with everything in it.
    async fn create(&self, context: &Context, target: &Target) -> Result<()> {
        match context.kube.create(&self.manifest, Mode::Commit).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.code() == Some(409) => match context.kube.get(target).await? {
                Some(live)
                    if ownership::of_object(&live, &context.profile.name) == Ownership::Ours =>
                {
                    Ok(())
                }
                _ => Err(came_between(target, "it is there already")),
            },
            Err(failure) => Err(failure.about(target)),
        }
    }
}

/// Gives a new `RunnerDeployment` its first replicas: without any it begins with one, and the autoscaler makes the rest a
/// round later. The field is the autoscaler's from its first change on, and never in what arcctl applies; so this is a second
/// write, and not part of the first: a run that is killed in between leaves a `RunnerDeployment` that begins with one.
async fn begin(context: &Context, created: &Value, replicas: u32) {
    // The autoscaler may be faster, and without this its round is only waited for: no failure of the run.
    if let Err(failure) = context.kube.apply_first(&first(created, replicas)).await {
        tracing::info!(
            "the first replicas are left to the autoscaler: {}",
            failure.said()
        );
    }
}

/// The part of a new `RunnerDeployment` with its first replicas. By its uid the API server refuses it where the object is gone.
fn first(created: &Value, replicas: u32) -> Value {
    let metadata = &created["metadata"];
    json!({
        "apiVersion": created["apiVersion"],
        "kind": created["kind"],
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "spec": {"replicas": replicas},
    })
}

/// What the deletion of an object waits for.
fn why_it_stays(live: &Value) -> String {
    let finalizers = live["metadata"]["finalizers"].as_array();
    let names: Vec<&str> = finalizers
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!("; its finalizers are still there: `{}`", names.join("`, `")),
    }
}

fn came_between(target: &Target, whose: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        System::Kubernetes,
        format!("another client has just created {target}"),
    )
    .object(target.to_string().replace('`', ""))
    .cause(whose)
    .hint("run the same command again: it makes a new plan")
}

/// Whether it is used as another tool created it, without labels, and kept at teardown: always for a namespace, and for a
/// service account that is as wanted (two tools that both write it would undo each other: eksctl#3042).
fn is_shared(manifest: &Value, live: &Value, ownership: &Ownership) -> bool {
    if !matches!(ownership, Ownership::Foreign { .. }) {
        return false;
    }
    match manifest["kind"].as_str() {
        Some("Namespace") => true,
        Some("ServiceAccount") => {
            let mut wanted = manifest.clone();
            // Labels only show the owner.
            if let Some(metadata) = wanted["metadata"].as_object_mut() {
                metadata.remove("labels");
            }
            missing(live, &wanted).is_empty()
        }
        _ => false,
    }
}

/// Makes arcctl the field manager of manually applied fields.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn account(annotations: &Value) -> Value {
        json!({"kind": "ServiceAccount", "metadata": {
            "name": "runner", "namespace": "actions-runner", "annotations": annotations,
        }})
    }

    #[test]
    fn a_service_account_that_says_what_is_wanted_is_used_as_it_is() {
        let role = "arn:aws:iam::111122223333:role/runner";
        let mut wanted = account(&json!({"eks.amazonaws.com/role-arn": role}));
        wanted["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "arcctl"});
        let foreign = Ownership::Foreign {
            evidence: "terraform".into(),
        };
        let more = json!({"eks.amazonaws.com/role-arn": role, "a": "b"});
        assert!(is_shared(&wanted, &account(&more), &foreign));
        for other in [
            json!({}),
            json!({"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/other"}),
            json!({"eks.amazonaws.com/Role-arn": role}),
            Value::Null,
        ] {
            assert!(!is_shared(&wanted, &account(&other), &foreign), "{other}");
        }
        // Our own is kept as in the profile.
        assert!(!is_shared(&wanted, &account(&more), &Ownership::Ours));
        // Without an annotation (Pod Identity), whoever created it.
        assert!(is_shared(
            &account(&Value::Null),
            &account(&json!({})),
            &foreign
        ));
    }

    #[test]
    fn other_kinds_are_not() {
        let role = json!({"kind": "Role", "metadata": {"name": "a"}});
        let foreign = Ownership::Foreign {
            evidence: "x".into(),
        };
        assert!(!is_shared(&role, &role, &foreign));
        let namespace = json!({"kind": "Namespace", "metadata": {"name": "a"}});
        assert!(is_shared(&namespace, &namespace, &foreign));
    }
}

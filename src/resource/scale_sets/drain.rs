//! Removes a scale set: no new jobs, then those that run end, then its `AutoscalingRunnerSet` goes, while the controller that
//! deregisters it is there. The release is uninstalled after that.
//!
//! Deleting the set before the release keeps the roles by which the controller works; helm deletes both at once (reference:
//! scale-sets.md 10). Where the controller cannot do it, arcctl does (`by_hand`).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    going::{Going, Next, Way, busy, free, next_of_live, secret_of},
    objects::{Objects, Place, id},
    recorded::{elsewhere, scope_of, wanted_scope},
};
use crate::{
    clients::{
        github::{GitHub, RegisteredSet},
        kube::{Selection, Target},
    },
    desired::{
        names,
        resource::{
            OwnSecret, SecretContent,
            scale_set::{ScaleSetDrain, SetRecord},
        },
    },
    error::{Error, Result, System},
    profile::Scope,
    resource::{
        context::{Context, scope},
        deletion::{ending, ours},
        helm::uninstall,
        observed::{Observed, Ownership, Present, Readiness},
    },
};

/// The field manager of the limits while a set is drained: an `up` after an interrupted teardown must see them as drift.
const MANAGER: &str = "arcctl-drain";

/// The result of a look.
enum Look {
    /// It is not there, or of somebody else.
    NotOurs(Observed),
    /// What is there, and the next step.
    Ours(Box<Going>, Next),
}

/// Why a set is not that of this profile's release: the release may be gone, and another tool have made one of its name.
fn of_another(live: &Value, profile: &str) -> Option<String> {
    let metadata = &live["metadata"];
    match metadata["labels"][names::PROFILE_LABEL].as_str() {
        Some(label) if label == profile => None,
        Some(label) => Some(format!("its label `{}` is `{label}`", names::PROFILE_LABEL)),
        // One that was taken over has it after its first upgrade.
        None if metadata["annotations"]["meta.helm.sh/release-name"].is_string() => None,
        None => Some(format!("it has no label `{}`", names::PROFILE_LABEL)),
    }
}

impl ScaleSetDrain {
    /// The names of its objects.
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            namespace: &self.namespace,
            name: &self.name,
            controller_namespace: &self.controller_namespace,
        }
    }

    /// The watches for its deletion.
    pub(crate) fn selections(&self) -> Vec<Selection> {
        self.place().selections()
    }

    /// What remains of it, and what blocks its deletion.
    pub(crate) async fn remains(&self, context: &Context) -> Result<Observed> {
        Ok(match self.look(context).await? {
            Look::NotOurs(observed) => observed,
            Look::Ours(_, Next::Gone) => Observed::Absent,
            Look::Ours(_, Next::Wait(readiness)) => ours(readiness),
            Look::Ours(..) => ours(Readiness::Ready),
        })
    }

    /// What is there, and the next step, if it is this profile's: by its release, or by its recorded id.
    async fn look(&self, context: &Context) -> Result<Look> {
        let profile = &context.profile.name;
        let owner = uninstall::owner(context, &self.namespace, &self.name, profile).await?;
        let going = self.read(context).await?;
        match owner {
            Some(Ownership::Ours) => {}
            Some(ownership) => {
                return Ok(Look::NotOurs(Observed::Present(Present {
                    ownership,
                    ..Present::same(Readiness::Ready)
                })));
            }
            None if going.recorded.is_none() => return Ok(Look::NotOurs(Observed::Absent)),
            None => {}
        }
        if let Some(live) = going.objects.set.as_ref()
            && let Some(evidence) = of_another(live, profile)
        {
            return Ok(Look::NotOurs(Observed::Present(Present {
                ownership: Ownership::Foreign { evidence },
                ..Present::same(Readiness::Ready)
            })));
        }
        let next = self.next(context, &going).await?;
        Ok(Look::Ours(Box::new(going), next))
    }

    /// Runs the next step.
    pub(crate) async fn delete(&self, context: &Context) -> Result<()> {
        let Look::Ours(going, next) = self.look(context).await? else {
            return Ok(());
        };
        let target = super::objects::set(&self.namespace, &self.name);
        match (next, &going.objects.set) {
            (Next::Quiet, Some(live)) => {
                self.remember(context, &going, live).await?;
                let patch = json!({
                    "metadata": {"resourceVersion": live["metadata"]["resourceVersion"]},
                    "spec": {"minRunners": 0, "maxRunners": 0},
                });
                let patched = context.kube.merge_as(&target, &patch, MANAGER).await;
                patched.map(|_| ())
            }
            (Next::PutBack, Some(live)) => self.put_back(context, live).await,
            (Next::Delete, Some(live)) => {
                self.remember(context, &going, live).await?;
                context.kube.delete_same(&target, live).await
            }
            (Next::Free, _) => self.free(context, &going).await,
            (Next::Deregister(id), _) => self.deregister(context, &going, id).await,
            (Next::Forget, _) => self.place().record(context, None).await,
            _ => Ok(()),
        }
    }

    async fn read(&self, context: &Context) -> Result<Going> {
        let controller = Target::namespaced(
            "apps/v1",
            "Deployment",
            &self.controller_namespace,
            &self.controller,
        );
        let (objects, controller, recorded) = tokio::try_join!(
            Objects::read(&context.kube, self.place()),
            context.kube.get(&controller),
            self.place().recorded(context),
        )?;
        let has_secret = match objects.set.as_ref().and_then(secret_of) {
            Some(secret) => {
                let target = Target::namespaced("v1", "Secret", &self.namespace, secret);
                context.kube.get(&target).await?.is_some()
            }
            None => true,
        };
        Ok(Going {
            objects,
            controller,
            has_secret,
            recorded,
        })
    }

    /// Records the id before anything can remove it. What is recorded of the same id stays: the object says only where the set
    /// is to be registered, the record where it was.
    pub(super) async fn remember(
        &self,
        context: &Context,
        going: &Going,
        live: &Value,
    ) -> Result<()> {
        let Some(id) = id(live) else { return Ok(()) };
        let known = going.recorded.as_ref();
        if known.is_some_and(|it| it.id == id && it.scope.is_some()) {
            return Ok(());
        }
        if let Some(former) = known.filter(|it| it.id != id) {
            self.remove_former(context, going, former.id).await?;
        }
        let record = SetRecord {
            id,
            scope: scope_of(live).map(str::to_owned),
        };
        self.place().record(context, Some(&record)).await
    }

    /// Deletes the recorded scale set of an object that was registered again since, under another id or in another scope:
    /// nobody else knows it any more.
    async fn remove_former(&self, context: &Context, going: &Going, id: u64) -> Result<()> {
        if context.removal.without_github.is_some() {
            return Ok(());
        }
        match self.found(context, going, id).await {
            Ok(Some(found)) if found.name.eq_ignore_ascii_case(&self.name) => {
                self.deregister(context, going, id).await
            }
            Ok(_) => Ok(()),
            Err(_) if context.removal.force => Ok(()),
            Err(error) => Err(self.unreached(context, going, error)),
        }
    }

    /// The client, and the scope in which the set is registered: the profile may have another one by now.
    pub(super) fn registered_in<'a>(
        &self,
        context: &'a Context,
        going: &'a Going,
    ) -> Result<(&'a GitHub, Scope<'a>)> {
        let (github, profile) = context.github_of(&self.name);
        let recorded = going.recorded.as_ref().and_then(|it| it.scope.as_deref());
        if let Some(address) = recorded {
            let scope = github.scope_at(address).ok_or_else(|| {
                Error::failed(
                    System::GitHub,
                    format!("{address} is not at `{}`", github.base()),
                )
            });
            return Ok((github, scope?));
        }
        let live = going.objects.set.as_ref().and_then(scope_of);
        match live.and_then(|it| github.scope_at(it)) {
            Some(scope) => Ok((github, scope)),
            None => Ok((github, scope(profile)?)),
        }
    }

    /// The set as GitHub has it.
    async fn found(
        &self,
        context: &Context,
        going: &Going,
        id: u64,
    ) -> Result<Option<RegisteredSet>> {
        let (github, scope) = self.registered_in(context, going)?;
        github.scale_set(scope, id).await
    }

    async fn next(&self, context: &Context, going: &Going) -> Result<Next> {
        let objects = &going.objects;
        if objects.is_empty() {
            // The controller lets the roles go while it removes the set, and never after that.
            if self.holds_roles(context).await? {
                return Ok(Next::Free);
            }
            return self.at_github(context, going).await;
        }
        let hangs = going.hangs(Timestamp::now());
        let way = Way::of(&context.removal, going, hangs);
        if let Some(live) = objects.set.as_ref().filter(|it| ending(it).is_none()) {
            let next = next_of_live(live, going, way, context.removal.force);
            if matches!(next, Next::Delete)
                && let Some(waits) = self.jobs(context, going, live).await?
            {
                return Ok(Next::Wait(waits));
            }
            return Ok(next);
        }
        Ok(match way {
            Way::ByHand => free(going, context.removal.force),
            Way::Controller if !going.has_secret => Next::PutBack,
            Way::Controller => Next::Wait(match busy(going) {
                Some(busy) => busy,
                None => self.being_removed(context, objects, hangs),
            }),
            Way::Waiting => Next::Wait(self.without_controller()),
        })
    }

    /// The jobs that GitHub has given to the set: a runner shows its job only once it has begun.
    async fn jobs(
        &self,
        context: &Context,
        going: &Going,
        live: &Value,
    ) -> Result<Option<Readiness>> {
        let Some(id) = id(live) else { return Ok(None) };
        if context.removal.force || context.removal.without_github.is_some() {
            return Ok(None);
        }
        let found = self.found(context, going, id).await;
        let found = found.map_err(|error| self.unreached(context, going, error))?;
        let jobs = found.and_then(|it| it.statistics).unwrap_or_default();
        let count = jobs.total_assigned_jobs.max(jobs.total_busy_runners);
        Ok((count > 0).then(|| {
            Readiness::progressing(format!(
                "scale set `{}` has {count} jobs at GitHub",
                self.name
            ))
        }))
    }

    /// What the controller has still to remove; where it takes long, where its reason is.
    fn being_removed(&self, context: &Context, objects: &Objects, hangs: bool) -> Readiness {
        let reason = format!(
            "the controller removes scale set `{}`: {} left",
            self.name,
            objects.in_words()
        );
        if !hangs {
            return Readiness::progressing(reason);
        }
        let log = context.profile.scale_sets.log_command();
        Readiness::stuck(
            reason,
            format!(
                "the controller's log has the reason: `{log}`; or let arcctl remove it without the controller: `arcctl teardown --force`"
            ),
        )
    }

    /// Whether GitHub still has it, once nothing is left in the cluster. With `--force` a scope that the credential does not
    /// reach is left, and said.
    async fn at_github(&self, context: &Context, going: &Going) -> Result<Next> {
        let recorded = going.recorded.as_ref();
        let Some(record) = recorded.filter(|_| context.removal.without_github.is_none()) else {
            return Ok(Next::Gone);
        };
        match self.found(context, going, record.id).await {
            Ok(Some(found)) if found.name.eq_ignore_ascii_case(&self.name) => {
                Ok(Next::Deregister(record.id))
            }
            Ok(_) => Ok(Next::Forget),
            Err(error) if context.removal.force && self.is_elsewhere(context, going) => {
                let id = names::scale_set_id(&self.namespace, &self.name);
                let error = self.unreached(context, going, error);
                context.remarks.say(id.as_str(), Some(error.message));
                Ok(Next::Forget)
            }
            Err(error) => Err(self.unreached(context, going, error)),
        }
    }

    /// Whether it is recorded in another scope than the profile's.
    pub(super) fn is_elsewhere(&self, context: &Context, going: &Going) -> bool {
        let wanted = wanted_scope(context, &self.name);
        wanted.is_ok_and(|it| elsewhere(going.recorded.as_ref(), None, &it).is_some())
    }

    /// Names the scope in an error about a set that is registered in another one than the profile's.
    pub(super) fn unreached(&self, context: &Context, going: &Going, error: Error) -> Error {
        let Some(record) = going.recorded.as_ref() else {
            return error;
        };
        if !self.is_elsewhere(context, going) {
            return error;
        }
        let message = format!(
            "the profile's credential does not reach runner scale set `{}` ({}), which stays there: {}",
            self.name,
            record.in_words(),
            error.message
        );
        Error { message, ..error }.hint("write that scope in the profile again, with a credential that reaches it, and run the same command: it deletes the scale set there; `arcctl teardown --force` leaves it")
    }

    async fn deregister(&self, context: &Context, going: &Going, id: u64) -> Result<()> {
        let (github, scope) = self.registered_in(context, going)?;
        github.remove_scale_set(scope, id).await?;
        self.place().record(context, None).await
    }

    /// Creates the Secret again, from the credential of this run.
    async fn put_back(&self, context: &Context, live: &Value) -> Result<()> {
        let secret = OwnSecret {
            namespace: self.namespace.clone(),
            name: secret_of(live).unwrap_or_default().to_owned(),
            profile: context.profile.name.clone(),
            content: SecretContent::Credential {
                pool: self.name.clone(),
            },
        };
        secret.apply(context).await
    }

    fn without_controller(&self) -> Readiness {
        let (namespace, name) = (&self.controller_namespace, &self.controller);
        Readiness::stuck(
            format!(
                "the controller that deregisters scale set `{}`, Deployment `{namespace}/{name}`, has no available pod",
                self.name
            ),
            format!(
                "see why with `kubectl -n {namespace} describe deployment {name}`; or let arcctl remove it without the controller: `arcctl teardown --force`"
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_another_tool_with_its_name_is_not_ours() {
        let with = |metadata: Value| of_another(&json!({"metadata": metadata}), "mine");
        assert_eq!(
            with(json!({"labels": {"arcctl.dev/profile": "mine"}})),
            None
        );
        assert!(with(json!({"labels": {"arcctl.dev/profile": "theirs"}})).is_some());
        let by_helm = json!({"annotations": {"meta.helm.sh/release-name": "fast"}});
        assert_eq!(with(by_helm), None);
        assert!(with(json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}})).is_some());
    }
}

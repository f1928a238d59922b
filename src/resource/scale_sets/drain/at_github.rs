//! What GitHub has of a scale set that goes or is made again: its jobs, its record, its end.

use serde_json::Value;

use super::super::{
    going::{Going, Next},
    minor,
    objects::{Objects, id, set, version},
    recorded::{elsewhere, scope_of, wanted_scope},
};
use crate::{
    clients::github::{GitHub, RegisteredSet},
    desired::{
        names,
        resource::scale_set::{ScaleSetDrain, SetRecord},
        scale_set::scale_set,
    },
    error::{Error, Result, System},
    profile::Scope,
    resource::{
        context::{Context, scope},
        observed::Readiness,
    },
};

impl ScaleSetDrain {
    /// Whether what GitHub has of the set stays for the one that is made again: where it is as the profile wants it. Labels are
    /// written only when it is made there (reference: scale-sets.md 4).
    pub(super) async fn is_kept(
        &self,
        context: &Context,
        going: &Going,
        live: &Value,
    ) -> Result<bool> {
        let pool = context.profile.pool(&self.namespace, &self.name);
        let pool = pool.filter(|it| it.is_scale_set() && self.successor.is_some());
        let Some((pool, id)) = pool.zip(id(live)) else {
            return Ok(false);
        };
        let found = self.found(context, going, id).await?;
        let wanted = scale_set(&context.profile, pool);
        Ok(found.is_some_and(|it| wanted.mismatch(&it).is_none()))
    }

    /// Whether it is made again already: its set is none that the controller of that version deletes.
    pub(super) fn is_back(&self, objects: &Objects) -> bool {
        let (Some(successor), Some(live)) = (&self.successor, &objects.set) else {
            return false;
        };
        version(live).is_none_or(|its| !minor::deletes(successor, its))
    }

    /// Has the controller leave what GitHub has of a set that is being deleted.
    pub(super) async fn keep_registration(
        &self,
        context: &Context,
        going: &Going,
        live: &Value,
    ) -> Result<()> {
        self.remember(context, going, live).await?;
        let target = set(&self.namespace, &self.name);
        match self.forget_id(context, live).await {
            Err(error) if context.kube.get(&target).await?.is_some() => Err(error),
            // It has gone in between.
            _ => Ok(()),
        }
    }

    /// Records the id before anything can remove it. What is recorded of the same id stays: the object says only where the set
    /// is to be registered, the record where it was.
    pub(in crate::resource::scale_sets) async fn remember(
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
    pub(super) async fn remove_former(
        &self,
        context: &Context,
        going: &Going,
        id: u64,
    ) -> Result<()> {
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
    pub(in crate::resource::scale_sets) fn registered_in<'a>(
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
    pub(super) async fn found(
        &self,
        context: &Context,
        going: &Going,
        id: u64,
    ) -> Result<Option<RegisteredSet>> {
        let (github, scope) = self.registered_in(context, going)?;
        github.scale_set(scope, id).await
    }

    /// The jobs of the set that run, as GitHub has them: a runner shows its job only once its listener has told it.
    pub(super) async fn jobs(
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
        let count = found.map_or(0, |it| running_jobs(&it));
        Ok((count > 0).then(|| {
            Readiness::progressing(format!(
                "scale set `{}` has {count} running jobs at GitHub",
                self.name
            ))
        }))
    }

    /// Whether GitHub still has it, once nothing is left in the cluster. With `--force` a scope that the credential does not
    /// reach is left, and said.
    pub(super) async fn at_github(&self, context: &Context, going: &Going) -> Result<Next> {
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
    pub(in crate::resource::scale_sets) fn is_elsewhere(
        &self,
        context: &Context,
        going: &Going,
    ) -> bool {
        let wanted = wanted_scope(context, &self.name);
        wanted.is_ok_and(|it| elsewhere(going.recorded.as_ref(), None, &it).is_some())
    }

    /// Names the scope in an error about a set that is registered in another one than the profile's.
    pub(in crate::resource::scale_sets) fn unreached(
        &self,
        context: &Context,
        going: &Going,
        error: Error,
    ) -> Error {
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

    pub(super) async fn deregister(&self, context: &Context, going: &Going, id: u64) -> Result<()> {
        let (github, scope) = self.registered_in(context, going)?;
        github.remove_scale_set(scope, id).await?;
        self.place().record(context, None).await
    }
}

/// How many jobs of a scale set run. Those that are assigned to it and have not begun are not waited for: with a maximum of 0
/// its listener asks for no runner, so they never begin (`setDesiredWorkerState` in `cmd/ghalistener/scaler/scaler.go` of Actions
/// Runner Controller: no more than the maximum, whatever is assigned). They wait at GitHub: for the set that is made again, or,
/// once this one is deleted there, for any that fits.
fn running_jobs(found: &RegisteredSet) -> u64 {
    let jobs = found.statistics.unwrap_or_default();
    jobs.total_running_jobs.max(jobs.total_busy_runners)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_that_cannot_begin_any_more_is_not_waited_for() {
        let count = |statistics: Value| {
            let found = json!({"id": 3, "name": "fast", "statistics": statistics});
            running_jobs(&serde_json::from_value(found).unwrap())
        };
        assert_eq!(count(json!({"totalAssignedJobs": 2})), 0);
        assert_eq!(
            count(json!({"totalAssignedJobs": 3, "totalRunningJobs": 1})),
            1
        );
        // The runner has it, and the job has not told that it runs.
        assert_eq!(
            count(json!({"totalAssignedJobs": 1, "totalBusyRunners": 1})),
            1
        );
        assert_eq!(count(Value::Null), 0);
    }
}

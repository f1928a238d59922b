//! Finds the workflow run by its nonce, and follows its jobs.

use tokio::time::Instant;

use super::{
    APPEARS, DOUBT, HEARTBEAT, Smoking, Stage, fault,
    job_report::{self, Pods, PoolStory},
    queue_reason::{Queue, why_queued},
};
use crate::{
    clients::{github::Job, kube::Selection},
    desired::{names, render::workflow},
    error::{Error, ErrorKind, Result, System},
    profile::Pool,
};

impl Smoking<'_> {
    /// Looks for the run.
    pub(super) async fn find(&mut self) -> Result<String> {
        let repository = &self.request.repository.full_name;
        let runs = self.clients.actions.dispatched_runs(repository).await?;
        let name = workflow::run_name(self.request.nonce);
        if let Some(run) = runs.into_iter().find(|it| it.display_title == name) {
            self.event(format!("run {}: {}", run.id, run.html_url));
            self.run = Some(run);
            self.stage = Stage::Following;
            return Ok("the run begins".into());
        }
        let since = self.dispatched.map(|it| it.elapsed()).unwrap_or_default();
        match &self.doubt {
            Some(error) if since >= DOUBT => Err(error.clone().passing(false)),
            None if since >= APPEARS => Err(Error::new(
                ErrorKind::TimedOut,
                System::GitHub,
                format!("GitHub took the dispatch, and no run `{name}` has appeared in {} s", since.as_secs()),
            )
            .object(format!("repository/{repository}"))
            .hint(format!(
                "the workflow there may lack its `run-name`: commit `DIR/{}` as `arcctl render DIR` writes it now",
                workflow::PATH
            ))),
            _ => Ok("the run has not appeared yet".into()),
        }
    }

    /// Looks at the run and its jobs.
    pub(super) async fn follow(&mut self) -> Result<String> {
        let Some(id) = self.run.as_ref().map(|it| it.id) else {
            self.stage = Stage::Finding;
            return Ok("the run has not appeared yet".into());
        };
        let (actions, name) = (self.clients.actions, &self.request.repository.full_name);
        let (run, jobs) = tokio::try_join!(actions.run(name, id), actions.jobs(name, id))?;
        self.jobs = jobs;
        let pods = self.current_pods().await?;
        self.recall().await?;
        self.tell_who();
        let over = run.status.as_deref() == Some("completed");
        self.run = Some(run);
        if over {
            return Ok(self.judge());
        }
        // Stop now if waiting cannot help; a failed job is no reason to stop following the other jobs.
        let goes_on = |name: &str| {
            let mut jobs = self.jobs.iter();
            jobs.any(|job| job.name == name && !job_report::is_over(job))
        };
        let stories = self.stories();
        let mut errors = stories.iter().flat_map(PoolStory::errors);
        if let Some((_, error)) = errors.find(|(job, _)| goes_on(job)) {
            return Err(error.clone());
        }
        self.waits_for(&pods).await
    }

    /// Adds runners of scale sets whose pods came and went between two looks: the name of a runner begins with that of its
    /// `EphemeralRunnerSet` (reference: scale-sets.md 3).
    async fn recall(&mut self) -> Result<()> {
        let runners = self.jobs.iter().filter_map(job_report::runner);
        let unknown: Vec<String> = runners
            .filter(|it| !self.pods.contains_key(*it))
            .map(str::to_owned)
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        for pool in self.request.profile.scale_set_pools() {
            let sets = Selection::namespaced(
                names::SCALE_SET_API_VERSION,
                "EphemeralRunnerSet",
                &pool.namespace,
            );
            let sets = sets.labelled(format!("{}={}", names::SCALE_SET_LABEL, pool.name));
            for set in self.clients.kube.list(&sets).await? {
                let set = set["metadata"]["name"].as_str().unwrap_or_default();
                let mine = unknown.iter().filter(|it| is_of(set, it));
                let mine = mine.map(|it| (it.clone(), pool.name.clone()));
                self.pods.extend(mine);
            }
        }
        Ok(())
    }

    /// Reports once per job which runner runs it.
    fn tell_who(&mut self) {
        for job in self.jobs.clone() {
            let Some(runner) = job_report::runner(&job) else {
                continue;
            };
            if self.told.insert(job.name.clone()) {
                let queued = job_report::queued(&job).unwrap_or_default().as_secs();
                self.event(format!(
                    "pool {}: {runner} took the job after {queued} s",
                    job.name
                ));
            }
        }
    }

    /// The run is over: errors are reported after the runners of successful jobs are replaced.
    fn judge(&mut self) -> String {
        self.over = Some(Instant::now());
        let stories = self.stories();
        let good = stories
            .iter()
            .filter(|it| it.first_error().is_none())
            .count();
        self.stage = if good == 0 {
            Stage::Done
        } else {
            Stage::Replacing
        };
        "the runners are to be replaced".into()
    }

    async fn waits_for(&mut self, pods: &Pods) -> Result<String> {
        let state = self.run.as_ref().and_then(|it| it.status.clone());
        let mut jobs: Vec<(&Pool, &Job)> = Vec::new();
        for pool in self.pools.iter().copied() {
            let of_pool = workflow::jobs(self.request.profile, pool).into_iter();
            let found = of_pool.filter_map(|job| self.jobs.iter().find(|it| it.name == job.name));
            jobs.extend(found.map(|it| (pool, it)));
        }
        let queued = jobs
            .iter()
            .find(|(_, job)| job_report::runner(job).is_none() && !job_report::is_over(job))
            .map(|(pool, job)| (*pool, (*job).clone()));
        if let Some((pool, job)) = queued {
            return self.queued(pool, &job, pods).await;
        }
        self.cause = None;
        let running = jobs.iter().find(|(_, job)| !job_report::is_over(job));
        if let Some((pool, job)) = running {
            let runner = job_report::runner(job).unwrap_or_default();
            return Ok(format!("pool {}: {runner} runs the job", pool.name));
        }
        if let Some(job) = self.left() {
            return Err(fault::of_no_pool(job, &self.place()));
        }
        Ok(format!(
            "the run is `{}` at GitHub",
            state.unwrap_or_default()
        ))
    }

    /// A queued job that is of no pool and no label of the profile.
    fn left(&self) -> Option<&Job> {
        let pools = self.request.profile.pools.iter();
        let known: Vec<String> = pools
            .flat_map(|it| workflow::jobs(self.request.profile, it))
            .map(|it| it.name)
            .collect();
        self.jobs.iter().find(|it| {
            !job_report::is_over(it)
                && job_report::runner(it).is_none()
                && !known.contains(&it.name)
        })
    }

    /// Why a job is queued. The runners are only listed now and then.
    async fn queued(&mut self, pool: &Pool, job: &Job, pods: &Pods) -> Result<String> {
        let recent = |it: &Instant| it.elapsed() < HEARTBEAT;
        if self.looked.as_ref().is_some_and(recent)
            && let Some(cause) = &self.cause
        {
            return Ok(cause.reason.clone());
        }
        self.looked = Some(Instant::now());
        let (request, client) = (self.request, self.clients.runners);
        let Some(scope) = request.profile.github.scope() else {
            return Ok(format!("pool {}: the job is queued", pool.name));
        };
        let runners = client.runners(scope).await?;
        let group = pool.group.as_deref();
        let access = client
            .group_access(scope, group, request.repository, workflow::PATH)
            .await;
        let set = if pool.is_scale_set() {
            let found = client.scale_set_named(scope, group, &pool.name).await;
            Some(found.map(|it| it.map(|set| set.labels().map(str::to_owned).collect())))
        } else {
            None
        };
        let cause = why_queued(&Queue {
            pool: &pool.name,
            set: set.as_ref(),
            labels: &job.labels,
            runners: &runners,
            pods,
            group,
            access: access.as_ref(),
            groups_page: &client.groups_page(scope),
            repository: &request.repository.full_name,
            max: pool.max,
        });
        if cause.hopeless {
            return Err(Error::failed(
                System::GitHub,
                format!("no runner will take the job of pool `{}`", pool.name),
            )
            .object(format!("job/{}", job.name))
            .cause(cause.reason)
            .hint(cause.hint));
        }
        let reason = cause.reason.clone();
        self.cause = Some(cause);
        Ok(reason)
    }
}

/// Whether a runner is of the `EphemeralRunnerSet` of this name.
fn is_of(set: &str, runner: &str) -> bool {
    let rest = runner.strip_prefix(set);
    let rest = rest.and_then(|it| it.strip_prefix("-runner-"));
    rest.is_some_and(|it| !it.contains('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_is_of_the_set_that_its_name_begins_with() {
        assert!(is_of("a-x1y2z", "a-x1y2z-runner-abcde"));
        assert!(!is_of("a", "a-x1y2z-runner-abcde"));
        assert!(
            !is_of("a", "a-runner-runner-abcde"),
            "that is set a-runner's"
        );
        assert!(!is_of("b", "a-runner-abcde"));
    }
}

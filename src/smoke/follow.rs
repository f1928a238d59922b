//! Finds the workflow run by its nonce, and follows its jobs.

use tokio::time::Instant;

use super::{
    APPEARS, DOUBT, HEARTBEAT, Smoking, Stage,
    job_report::{self, Pods, PoolStory},
    queue_reason::{Queue, why_queued},
};
use crate::{
    clients::github::Job,
    desired::render::workflow,
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
        self.tell_who();
        let over = run.status.as_deref() == Some("completed");
        self.run = Some(run);
        if over {
            return Ok(self.judge());
        }
        // Stop now if waiting cannot help; a failed job is no reason to stop following the other jobs.
        let goes_on = |it: &PoolStory| {
            let mut jobs = self.jobs.iter();
            jobs.any(|job| job.name == it.pool && !job_report::is_over(job))
        };
        let mut going = self.stories().into_iter().filter(goes_on);
        if let Some(error) = going.find_map(|it| it.error) {
            return Err(error);
        }
        self.waits_for(&pods).await
    }

    /// Reports once per job which runner runs it.
    fn tell_who(&mut self) {
        for job in self.jobs.clone() {
            let Some(runner) = job_report::runner(&job) else {
                continue;
            };
            if self.told.insert(job.name.clone()) {
                let story = job_report::story(
                    &job.name,
                    &job.labels,
                    Some(&job),
                    &self.pods,
                    &self.place(),
                );
                let queued = story.queued.unwrap_or_default().as_secs();
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
        let good = stories.iter().filter(|it| it.error.is_none()).count();
        self.stage = if good == 0 {
            Stage::Done
        } else {
            Stage::Replacing
        };
        "the runners are to be replaced".into()
    }

    async fn waits_for(&mut self, pods: &Pods) -> Result<String> {
        let state = self.run.as_ref().and_then(|it| it.status.clone());
        let job = |pool: &Pool| self.jobs.iter().find(|it| it.name == pool.name);
        let pools = self.pools.iter().copied();
        let jobs: Vec<(&Pool, &Job)> = pools.filter_map(|it| Some((it, job(it)?))).collect();
        let queued = jobs
            .iter()
            .find(|(_, job)| job_report::runner(job).is_none() && !job_report::is_over(job))
            .map(|(pool, job)| (*pool, (*job).clone()));
        if let Some((pool, job)) = queued {
            return self.queued(pool, &job, pods).await;
        }
        self.cause = None;
        let running = jobs.iter().find(|(_, job)| !job_report::is_over(job));
        Ok(match running {
            Some((pool, job)) => format!(
                "pool {}: {} runs the job",
                pool.name,
                job_report::runner(job).unwrap_or_default()
            ),
            None => format!("the run is `{}` at GitHub", state.unwrap_or_default()),
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
        let access = client.group_access(scope, group, request.repository).await;
        let cause = why_queued(&Queue {
            pool: &pool.name,
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

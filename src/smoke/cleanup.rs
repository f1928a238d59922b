//! The end of the command: reports the result, and cancels a workflow run that is still in progress.

use tokio::time::timeout;

use super::{
    CANCELLING, Smoke, SmokeRun, Smoking, Stage,
    fault::{Asked, Place},
    job_report::{self, LabelStory, PoolStory},
};
use crate::{
    clients::github::Run,
    desired::{
        pool::dry_run_pod::{DOCKER, RUNNER},
        render::workflow,
        scale_set::pod::DOCKER as DIND,
    },
    error::{Error, ErrorKind, System},
    execute::Stop,
    profile::{ContainerMode, KubeDuration, Pool},
};

/// The container of a runner's pod in which docker runs.
fn docker_of(pool: &Pool) -> &'static str {
    match pool.container_mode {
        ContainerMode::DindInRunner => RUNNER,
        _ if pool.is_scale_set() => DIND,
        _ => DOCKER,
    }
}

impl Smoking<'_> {
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            repository: &self.request.repository.full_name,
            run: self.run.as_ref().map_or("", |it| &it.html_url),
            namespace: self.pools.first().map_or("", |it| &it.namespace),
            docker: DOCKER,
        }
    }

    pub(super) fn stopped(&self, stop: Stop) -> Error {
        let (kind, word) = stop
            .signal()
            .unwrap_or((ErrorKind::Interrupted, "interrupted"));
        Error::new(kind, System::Local, format!("{word} while waiting"))
            .cause(&self.reason)
            .hint("run the same command again")
    }

    pub(super) fn timed_out(&self, limit: KubeDuration) -> Error {
        let what = match self.stage {
            Stage::Finding => "the run has not appeared",
            Stage::Following => "the run has not ended",
            Stage::Replacing | Stage::Done => "the runners are not replaced",
        };
        let error = Error::new(
            ErrorKind::TimedOut,
            System::GitHub,
            format!("after {limit}, {what}"),
        )
        .object(format!("repository/{}", self.request.repository.full_name))
        .cause(&self.reason);
        let cause = self.cause.as_ref();
        match cause.filter(|_| self.stage == Stage::Following) {
            Some(cause) => error.hint(&cause.hint),
            None => error
                .hint("`arcctl doctor` looks at the runners; a longer `--timeout` waits longer"),
        }
    }

    /// Cancels the workflow run, which may have appeared only in the meantime.
    pub(super) async fn cancel(&mut self) {
        let over = |run: &Run| run.status.as_deref() == Some("completed");
        if self.dispatched.is_none() || self.run.as_ref().is_some_and(over) {
            return;
        }
        let repository = &self.request.repository.full_name;
        let actions = self.clients.actions;
        let work = async {
            if self.run.is_none() {
                self.find().await?;
            }
            match &self.run {
                Some(run) => actions.cancel(repository, run.id).await.map(|()| true),
                None => Ok(false),
            }
        };
        let done = timeout(CANCELLING, work).await;
        let page = self.run.as_ref().map(|it| it.html_url.clone());
        match (done, page) {
            (Ok(Ok(true)), _) => {
                self.cancelled = true;
                self.event("asked GitHub to cancel the run".into());
            }
            (Ok(Err(error)), Some(page)) => {
                self.event(format!("the run stays: it could not be cancelled ({}); cancel it at {page}", error.message));
            }
            (Err(_), Some(page)) => self.event(format!("the run stays: GitHub did not answer; cancel it at {page}")),
            _ if self.doubt.is_some() => {}
            _ => self.event(format!(
                "no run is there to be cancelled; should `{}` appear in {repository}, cancel it there",
                workflow::run_name(self.request.nonce)
            )),
        }
    }

    pub(super) fn finish(mut self, error: Option<Error>) -> Smoke {
        let stories = self.stories();
        let first = stories.iter().find_map(PoolStory::first_error).cloned();
        let run = self.run.take().map(|it| SmokeRun {
            id: it.id,
            url: it.html_url,
            state: it.conclusion.or(it.status).unwrap_or_default(),
            cancelled: self.cancelled,
        });
        Smoke {
            profile: self.request.profile.name.clone(),
            repository: self.request.repository.full_name.clone(),
            reference: self.request.reference().to_owned(),
            nonce: self.request.nonce.to_owned(),
            run,
            pools: stories,
            elapsed: self.began.elapsed(),
            error: error.or(first),
        }
    }

    /// The report of each pool.
    pub(super) fn stories(&self) -> Vec<PoolStory> {
        if self.run.is_none() {
            return Vec::new();
        }
        let place = self.place();
        let story = |pool: &&Pool| {
            let place = Place {
                namespace: &pool.namespace,
                docker: docker_of(pool),
                ..place
            };
            let mut story = self.story(pool, &place);
            if let Some((after, by)) = self.replaced.get(&pool.name) {
                story.replaced = Some(*after);
                story.replacement.clone_from(by);
                story.proven = story.first_error().is_none();
            }
            story
        };
        self.pools.iter().map(story).collect()
    }

    /// The report of a pool's jobs.
    fn story(&self, pool: &Pool, place: &Place<'_>) -> PoolStory {
        let mut story = PoolStory {
            pool: pool.name.clone(),
            ..PoolStory::default()
        };
        let mut labels = Vec::new();
        for job in workflow::jobs(self.request.profile, pool) {
            let found = self.jobs.iter().find(|it| it.name == job.name);
            let asked = Asked::of(&pool.name, &job);
            // GitHub lists the jobs a moment after the run.
            let listed = found.is_some() || self.over.is_some();
            match &job.label {
                None if listed => story = job_report::story(asked, found, &self.pods, place),
                Some(_) if listed => {
                    let of_label =
                        job_report::label_story(asked, &job.name, found, &self.pods, place);
                    labels.push(of_label);
                }
                None => {}
                Some(label) => labels.push(LabelStory {
                    label: label.clone(),
                    job: job.name.clone(),
                    ..LabelStory::default()
                }),
            }
        }
        story.labels = labels;
        story
    }
}

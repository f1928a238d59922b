//! The end of the command: reports the result, and cancels a workflow run that is still in progress.

use tokio::time::timeout;

use super::{
    CANCELLING, Smoke, SmokeRun, Smoking, Stage,
    job_report::{self, Place, PoolStory},
};
use crate::{
    clients::github::Run,
    desired::render::workflow,
    error::{Error, ErrorKind, System},
    execute::Stop,
    profile::{KubeDuration, Pool},
};

impl Smoking<'_> {
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            repository: &self.request.repository.full_name,
            run: self.run.as_ref().map_or("", |it| &it.html_url),
            namespace: self.pools.first().map_or("", |it| &it.namespace),
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
        let first = stories.iter().find_map(|it| it.error.clone());
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
            let labels = workflow::job_labels(pool);
            let job = self.jobs.iter().find(|it| it.name == pool.name);
            // GitHub lists the jobs a moment after the run.
            if job.is_none() && self.over.is_none() {
                return PoolStory {
                    pool: pool.name.clone(),
                    ..PoolStory::default()
                };
            }
            let place = Place {
                namespace: &pool.namespace,
                ..place
            };
            let mut story = job_report::story(&pool.name, &labels, job, &self.pods, &place);
            if let Some((after, by)) = self.replaced.get(&pool.name) {
                story.replaced = Some(*after);
                story.replacement.clone_from(by);
                story.proven = story.error.is_none();
            }
            story
        };
        self.pools.iter().map(story).collect()
    }
}

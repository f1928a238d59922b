//! How long a command may take as a whole (`--timeout`): what comes before the first step counts too, the time in which
//! a person thinks about a question does not.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use tokio::time::Instant;

use crate::{
    error::{Error, ErrorKind, Result, System},
    profile::KubeDuration,
};

/// The end of a run.
pub(super) struct RunLimit {
    limit: KubeDuration,
    deadline: Instant,
}

impl RunLimit {
    /// `limit` from now on.
    pub(super) fn new(limit: KubeDuration) -> Self {
        Self {
            limit,
            deadline: Instant::now() + limit.get(),
        }
    }

    /// When the run ends.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Puts the end off, by the time in which a person was asked.
    pub(super) fn extend(&mut self, by: Duration) {
        self.deadline += by;
    }

    /// What `work` gives, unless the run is over before.
    pub(super) fn within<'a, T>(
        &self,
        work: impl Future<Output = Result<T>> + 'a,
    ) -> LocalBoxFuture<'a, Result<T>> {
        within(self.deadline, self.limit.get(), work)
    }
}

/// What `work` gives, unless `deadline` comes before it; `limit` is for the message. Boxed, since `work` is all of a
/// session.
pub(super) fn within<'a, T>(
    deadline: Instant,
    limit: Duration,
    work: impl Future<Output = Result<T>> + 'a,
) -> LocalBoxFuture<'a, Result<T>> {
    Box::pin(async move {
        tokio::time::timeout_at(deadline, work)
            .await
            .unwrap_or_else(|_| Err(over(limit)))
    })
}

fn over(limit: Duration) -> Error {
    let limit = KubeDuration::from_secs(limit.as_secs());
    Error::new(
        ErrorKind::TimedOut,
        System::Local,
        format!("the time for this run, {limit}, is over"),
    )
    .cause("it was still reading the cluster, AWS and GitHub")
    .hint("run the same command again, with a longer `--timeout`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_does_not_answer_ends_with_the_run() {
        let limit = RunLimit::new(KubeDuration::from_secs(5));
        let error = limit
            .within(std::future::pending::<Result<()>>())
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::TimedOut);
        assert!(error.message.contains("5s"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_a_person_thinks_does_not_count() {
        let mut limit = RunLimit::new(KubeDuration::from_secs(5));
        tokio::time::advance(Duration::from_mins(1)).await;
        limit.extend(Duration::from_mins(1));
        let work = async {
            tokio::task::yield_now().await;
            Ok(())
        };
        assert!(limit.within(work).await.is_ok());
    }
}

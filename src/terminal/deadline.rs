//! The deadline of a whole command (`--timeout`), from its start; excludes the prompt. A signal ends the command too,
//! and slow work is reported.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};

use super::{
    output::{DIM, Output, paint},
    signals::{StopSender, stop_on_signals},
};
use crate::{
    error::{Error, ErrorKind, Result, System},
    execute::{
        LEASE_LOST, Options, Stop,
        lease::{Hold, Lease},
    },
    profile::{KubeDuration, Timeouts},
};

/// The interval of heartbeat messages (DESIGN 2: at least every 15 s).
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The timeout of reading if none is given: each call has its own timeout, so this one is never reached.
const READING_LIMIT: KubeDuration = KubeDuration::from_secs(15 * 60);

/// The deadline or the stop signal of a run.
pub(crate) struct RunLimit {
    limit: KubeDuration,
    deadline: Instant,
    stop: StopSender,
    /// Set while a lease is not renewed; that of every run of the command, because the lease may be held for all of them.
    paused: watch::Sender<bool>,
    /// The lease that the command holds for all of its runs.
    lease: Option<Lease>,
    output: Output,
}

impl RunLimit {
    /// `limit` from now on, or earlier if `stop` is set.
    pub(crate) fn new(limit: KubeDuration, stop: StopSender, output: Output) -> Self {
        Self {
            limit,
            deadline: Instant::now() + limit.get(),
            stop,
            paused: watch::Sender::new(false),
            lease: None,
            output,
        }
    }

    /// For a command that only reads.
    pub(crate) fn reading(output: Output) -> Self {
        Self::looking(stop_on_signals(), output)
    }

    /// For the read part of a command that may write too.
    pub(crate) fn looking(stop: StopSender, output: Output) -> Self {
        Self::new(READING_LIMIT, stop, output)
    }

    /// When the run ends.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What is left of the time, at least a second: for a part of the run that has a limit of its own.
    pub(crate) fn rest(&self) -> KubeDuration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        KubeDuration::from_secs(left.as_secs().max(1))
    }

    /// The options of a run that has the rest of this time, and the same stop signal.
    pub(crate) fn options<'a>(
        &self,
        timeouts: &'a Timeouts,
        adopt: bool,
        may_write: bool,
    ) -> Options<'a> {
        Options {
            adopt,
            may_write,
            looks_only: false,
            deadline: self.deadline,
            limit: self.limit.get(),
            timeouts,
            stop: self.stop.clone(),
            paused: self.paused.clone(),
        }
    }

    /// The signals of a lease that is held for several runs: those of each of them.
    pub(crate) fn hold(&self) -> Hold {
        Hold {
            stop: self.stop.clone(),
            paused: self.paused.clone(),
        }
    }

    /// Keeps a lease for all that follows: no run of the command takes one of its own.
    pub(crate) fn keep_lease(&mut self, lease: Lease) {
        self.lease = Some(lease);
    }

    /// Whether the command holds the lease for all of its runs.
    pub(crate) const fn has_lease(&self) -> bool {
        self.lease.is_some()
    }

    /// Releases the lease that is kept.
    pub(crate) async fn release_lease(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release().await;
        }
    }

    /// Gives the whole time again, from now on, after a step has failed.
    pub(crate) fn begin_again(&mut self) {
        self.clear_failure();
        self.deadline = Instant::now() + self.limit.get();
    }

    /// Clears the stop that a failed step has set; a signal is final.
    pub(crate) fn clear_failure(&self) {
        self.stop
            .send_if_modified(|it| it.take_if(|it| *it == Stop::Failed).is_some());
    }

    /// Extends the deadline by the time of a prompt.
    pub(super) fn extend(&mut self, by: Duration) {
        self.deadline += by;
    }

    /// The error of a run that a signal has ended.
    pub(crate) fn stopped(&self) -> Result<()> {
        match *self.stop.borrow() {
            Some(stop) => Err(stopped(stop, None)),
            None => Ok(()),
        }
    }

    /// The result of `work`, unless the run ends before; `doing` describes it for heartbeat messages. Boxed, since
    /// `work` is large.
    pub(crate) fn within<'a, T>(
        &'a self,
        doing: &'a str,
        work: impl Future<Output = Result<T>> + 'a,
    ) -> LocalBoxFuture<'a, Result<T>> {
        Box::pin(async move {
            let mut stop = self.stop.subscribe();
            let mut work = std::pin::pin!(work);
            let began = Instant::now();
            let mut beat = tokio::time::interval_at(began + HEARTBEAT, HEARTBEAT);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    done = &mut work => return done,
                    stop = stop.wait_for(Option::is_some) => {
                        let stop = stop.ok().and_then(|it| *it).unwrap_or(Stop::Interrupted);
                        return Err(stopped(stop, Some(doing)));
                    }
                    () = tokio::time::sleep_until(self.deadline) => {
                        return Err(over(self.limit, doing));
                    }
                    _ = beat.tick() => self.output.note(paint(
                        DIM,
                        format!("… {doing} ({} s)", began.elapsed().as_secs()),
                    )),
                }
            }
        })
    }
}

/// The error of a run that was ended before its first step: by a signal, or because its lease was lost.
fn stopped(stop: Stop, doing: Option<&str>) -> Error {
    let (kind, message) = match stop {
        Stop::LeaseLost => (ErrorKind::Locked, LEASE_LOST.to_owned()),
        stop => {
            let signal = stop.signal();
            let (kind, word) = signal.unwrap_or((ErrorKind::Interrupted, "interrupted"));
            (kind, format!("{word} before the first step"))
        }
    };
    let error = Error::new(kind, System::Local, message);
    let error = match doing {
        Some(doing) => error.cause(format!("it was {doing}")),
        None => error,
    };
    error.hint("run the same command again")
}

fn over(limit: KubeDuration, doing: &str) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        System::Local,
        format!("the run timed out after {limit}"),
    )
    .cause(format!("it was still {doing}"))
    .hint("run the same command again, with a longer `--timeout` if the command has this option")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::output::{Color, Format};

    fn limit(stop: Option<Stop>) -> RunLimit {
        let output = Output::new(Format::Human, Color::Never, -1);
        RunLimit::new(KubeDuration::from_secs(5), watch::Sender::new(stop), output)
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_of_a_run_has_the_rest_of_its_time() {
        let limit = limit(None);
        assert_eq!(limit.rest(), KubeDuration::from_secs(5));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(limit.rest(), KubeDuration::from_secs(2));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(limit.rest(), KubeDuration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_answer_ends_with_the_run() {
        let error = limit(None)
            .within("reading the cluster", std::future::pending::<Result<()>>())
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::TimedOut);
        assert!(error.message.contains("5s"), "{error}");
        assert!(error.to_string().contains("reading the cluster"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_ends_what_does_not_answer() {
        let limit = limit(Some(Stop::Terminated));
        let work = limit.within("reading the cluster", std::future::pending::<Result<()>>());
        let error = work.await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Terminated);
        assert!(error.to_string().contains("reading the cluster"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_lost_is_no_signal() {
        let error = limit(Some(Stop::LeaseLost)).stopped().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Locked);
        assert!(error.message.contains("lost its lease"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_follows_a_failed_step_has_the_whole_time_again() {
        let mut limit = limit(Some(Stop::Failed));
        tokio::time::advance(Duration::from_secs(4)).await;
        limit.begin_again();
        assert!(limit.stopped().is_ok());
        assert_eq!(limit.rest(), KubeDuration::from_secs(5));
        // A signal is final.
        let mut limit = self::limit(Some(Stop::Interrupted));
        limit.begin_again();
        assert!(limit.stopped().is_err());
    }

    /// The lease of a command pauses each of its runs.
    #[tokio::test(start_paused = true)]
    async fn the_runs_of_a_command_have_the_signals_of_its_lease() {
        let (limit, timeouts) = (limit(None), Timeouts::default());
        let hold = limit.hold();
        let options = limit.options(&timeouts, false, true);
        hold.paused.send_replace(true);
        assert!(*options.paused.borrow());
        hold.stop.send_replace(Some(Stop::LeaseLost));
        assert!(limit.stopped().is_err());
        assert!(!limit.has_lease());
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_a_person_thinks_does_not_count() {
        let mut limit = limit(None);
        tokio::time::advance(Duration::from_mins(1)).await;
        limit.extend(Duration::from_mins(1));
        let work = async {
            tokio::task::yield_now().await;
            Ok(())
        };
        assert!(limit.within("thinking", work).await.is_ok());
    }
}

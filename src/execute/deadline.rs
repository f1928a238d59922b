//! The deadline of a phase, and what extends it. Pure but for the clock.

use std::time::Duration;

use tokio::time::Instant;

use super::Options;
use crate::{desired::Phase, profile::KubeDuration};

/// The timeout of the base phase: it creates small objects, and waits for a namespace that is being deleted. The API
/// server retries the deletion of a non-empty one after up to a minute, several times if it is busy.
const BASE: Duration = Duration::from_mins(5);

/// The timeout of each phase that deletes resources, except those that wait for jobs and for GitHub.
const REMOVAL: Duration = Duration::from_mins(5);

/// How long images are pulled ahead at most. A runner's image is more than a gigabyte.
const PULL: Duration = Duration::from_mins(5);

/// How long the end of a run waits until what pulls images is gone: one call, usually.
const PULL_REMOVAL: Duration = Duration::from_secs(10);

/// A timeout, and where it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// How long.
    pub(super) length: Duration,
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A key of the profile.
    Key(&'static str),
    /// `--timeout`.
    Run,
    /// arcctl itself: more time would not help.
    Fixed,
}

impl Limit {
    /// What extends the timeout; `None` for phases that take seconds if all is well.
    pub(super) fn longer(self) -> Option<String> {
        match self.source {
            Source::Key(key) => Some(format!(
                "raise `timeouts.{key}` in the profile to wait longer"
            )),
            Source::Run => Some("raise `--timeout` to wait longer".to_owned()),
            Source::Fixed => None,
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        KubeDuration::from_secs(self.length.as_secs()).fmt(formatter)
    }
}

/// The deadline of a phase: its own, or that of the run if that is earlier.
pub(super) fn of_phase(phase: Phase, options: &Options<'_>) -> (Instant, Limit) {
    let timeouts = options.timeouts;
    let (length, source) = match phase {
        Phase::Preflight | Phase::Base => (BASE, Source::Fixed),
        Phase::Wiring => (timeouts.cert_manager.get(), Source::Key("certManager")),
        Phase::Controller => (timeouts.controller.get(), Source::Key("controller")),
        Phase::Runners => (timeouts.runners.get(), Source::Key("runners")),
        Phase::Registration | Phase::Deregistration => {
            (timeouts.registration.get(), Source::Key("registration"))
        }
        Phase::Upgrade | Phase::Drain => (timeouts.drain.get(), Source::Key("drain")),
        _ => (REMOVAL, Source::Fixed),
    };
    let own = Instant::now() + length;
    if own <= options.deadline {
        (own, Limit { length, source })
    } else {
        let limit = Limit {
            length: options.limit,
            source: Source::Run,
        };
        (options.deadline, limit)
    }
}

/// The deadline for images that are pulled ahead: half of the time that the run has left at most, since replaced runners
/// start after it.
pub(super) fn of_pull(options: &Options<'_>) -> (Instant, Limit) {
    let left = options.deadline.saturating_duration_since(Instant::now());
    fixed(PULL.min(left / 2))
}

/// The deadline for the removal of what pulls images: also where the run has no time left.
pub(super) fn of_pull_removal() -> (Instant, Limit) {
    fixed(PULL_REMOVAL)
}

fn fixed(length: Duration) -> (Instant, Limit) {
    let source = Source::Fixed;
    (Instant::now() + length, Limit { length, source })
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::profile::Timeouts;

    #[tokio::test(start_paused = true)]
    async fn what_gives_longer_is_the_limit_that_applied() {
        let timeouts = Timeouts::default();
        let longer = |phase, run: Duration| {
            let options = Options {
                adopt: false,
                may_write: true,
                looks_only: false,
                deadline: Instant::now() + run,
                limit: run,
                timeouts: &timeouts,
                stop: watch::Sender::new(None),
                paused: watch::Sender::new(false),
            };
            of_phase(phase, &options).1.longer()
        };
        let hours = Duration::from_hours(9);
        for (phase, key) in [
            (Phase::Wiring, "timeouts.certManager"),
            (Phase::Controller, "timeouts.controller"),
            (Phase::Runners, "timeouts.runners"),
            (Phase::Registration, "timeouts.registration"),
            (Phase::Drain, "timeouts.drain"),
        ] {
            assert!(
                longer(phase, hours).is_some_and(|it| it.contains(key)),
                "{phase:?}"
            );
            let run = longer(phase, Duration::from_secs(1));
            assert!(run.is_some_and(|it| it.contains("--timeout")), "{phase:?}");
        }
        assert_eq!(longer(Phase::Base, hours), None);
    }
}

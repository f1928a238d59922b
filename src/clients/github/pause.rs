//! How long to wait before a call is made again.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::answer::Answer;

/// How often a call that only met a busy server or a bad moment of the network is made.
pub(super) const ATTEMPTS: u32 = 3;

/// The longest pause that is waited for; with a longer one the user decides.
const LONGEST: Duration = Duration::from_secs(10);

/// The pause after attempt `attempt` (from 1): doubling, and spread, so that many clients do not come back together.
pub(super) fn backoff(attempt: u32) -> Duration {
    let base = Duration::from_millis(250 << attempt.min(6));
    let spread = RandomState::new().build_hasher().finish() % 1000;
    base / 2 + base * u32::try_from(spread).unwrap_or_default() / 1000
}

/// The pause that an answer asks for, if it is a short one.
pub(super) fn asked(answer: &Answer) -> Option<Duration> {
    let (_, until) = answer.limit()?;
    let pause = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
    // The server's seconds are whole ones.
    (pause <= LONGEST).then(|| pause + Duration::from_millis(50))
}

/// Waits.
pub(super) async fn pause(length: Duration) {
    until(Instant::now() + length).await;
}

async fn until(end: Instant) {
    tokio::time::interval_at(end, LONGEST).tick().await;
}

/// What all calls of a client pass: a pause that GitHub asks one of them for is a pause for all.
#[derive(Default)]
pub(super) struct Gate(Mutex<Option<Instant>>);

impl Gate {
    /// Nobody passes for so long.
    pub(super) fn close(&self, length: Duration) {
        let end = Instant::now() + length;
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = (*closed).max(Some(end));
    }

    /// Waits until it is open.
    pub(super) async fn pass(&self) {
        loop {
            let closed = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match closed {
                Some(end) if end > Instant::now() => until(end).await,
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::answer::tests::answer, *};

    #[test]
    fn a_long_pause_is_not_waited_for() {
        let mut long = answer(403, &[("retry-after", "11")]);
        long.received = Timestamp::now();
        assert_eq!(asked(&long), None);
        let mut short = answer(429, &[("retry-after", "2")]);
        short.received = Timestamp::now();
        assert!(asked(&short).is_some_and(|it| it > Duration::from_secs(1)));
    }

    #[test]
    fn pauses_double_and_are_spread() {
        for attempt in 1..=3 {
            let base = Duration::from_millis(250 << attempt);
            let pauses: Vec<Duration> = (0..50).map(|_| backoff(attempt)).collect();
            assert!(
                pauses
                    .iter()
                    .all(|it| *it >= base / 2 && *it <= base * 3 / 2)
            );
            assert!(pauses.iter().any(|it| *it != pauses[0]));
        }
    }
}

//! Backoff: the pause before a retry, for all systems.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use tokio::time::Instant;

/// The longest pause that arcctl waits; for a longer one the call fails.
pub(super) const LONGEST: Duration = Duration::from_secs(10);

/// The pause after attempt `attempt` (from 1): exponential, with jitter, so that clients do not retry together.
pub(super) fn backoff(attempt: u32) -> Duration {
    let base = Duration::from_millis(250 << attempt.min(6));
    let spread = RandomState::new().build_hasher().finish() % 1000;
    base / 2 + base * u32::try_from(spread).unwrap_or_default() / 1000
}

/// Waits.
pub(super) async fn pause(length: Duration) {
    until(Instant::now() + length).await;
}

/// Waits until `end`.
pub(super) async fn until(end: Instant) {
    tokio::time::interval_at(end, LONGEST).tick().await;
}

#[cfg(test)]
mod tests {
    use super::*;

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

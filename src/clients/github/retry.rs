//! Pauses that GitHub requests; they apply to all calls of a client.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::response::Answer;
use crate::clients::retry::{LONGEST, until};

/// The maximum number of attempts of a call after a busy server or a network error.
pub(super) const ATTEMPTS: u32 = 3;

/// The pause that a response requests, if it is short.
pub(super) fn asked(answer: &Answer) -> Option<Duration> {
    let (_, until) = answer.limit()?;
    let pause = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
    // The server rounds to seconds.
    (pause <= LONGEST).then(|| pause + Duration::from_millis(50))
}

/// A gate for all calls of a client: a pause that GitHub requests for one call applies to all.
#[derive(Default)]
pub(super) struct Gate(Mutex<Option<Instant>>);

impl Gate {
    /// Closes the gate for this time.
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
    use super::{super::response::tests::answer, *};

    #[test]
    fn a_long_pause_is_not_waited_for() {
        let mut long = answer(403, &[("retry-after", "11")]);
        long.received = Timestamp::now();
        assert_eq!(asked(&long), None);
        let mut short = answer(429, &[("retry-after", "2")]);
        short.received = Timestamp::now();
        assert!(asked(&short).is_some_and(|it| it > Duration::from_secs(1)));
    }
}

//! Reads what `arcctl init` asks nothing about. Each read has a deadline, and its failure is a finding too.

pub(super) mod cluster;
pub(super) mod github;
pub(super) mod places;

use std::time::Duration;

use super::facts::Read;
use crate::error::{Error, Result};

/// The deadline of one read: somebody waits for the next question.
const DEADLINE: Duration = Duration::from_secs(15);

/// The result of `work`, or why there is none.
pub(super) async fn within<T>(work: impl Future<Output = Result<T>>) -> Read<T> {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(reason(&error)),
        Err(_) => Err(format!("no answer within {} s", DEADLINE.as_secs())),
    }
}

/// An error in one line.
pub(super) fn reason(error: &Error) -> String {
    let words = error.document().message;
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_does_not_answer_is_told_in_time() {
        let silent = std::future::pending::<Result<()>>();
        assert_eq!(within(silent).await, Err("no answer within 15 s".into()));
    }
}

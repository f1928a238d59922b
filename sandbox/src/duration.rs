//! Reads durations of the command line.
//!
//! Pure: no I/O.

use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::fmt::friendly::SpanParser;

/// Reads `5s`, `500ms`, `2m` and what else jiff takes.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    SpanParser::new()
        .parse_unsigned_duration(text)
        .with_context(|| {
            format!("`{text}` is not a duration: write for example `5s`, `500ms` or `2m`")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        for (text, expected) in [("500ms", 500), ("5s", 5000), ("2m", 120_000)] {
            let expected = Duration::from_millis(expected);
            assert_eq!(duration(text).unwrap(), expected);
        }
        for text in ["", "5", "s", "-5s", "soon"] {
            let error = duration(text).unwrap_err().to_string();
            assert!(error.contains("write for example `5s`"), "{error}");
        }
    }
}

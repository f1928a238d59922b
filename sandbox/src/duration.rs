//! Reads durations of the command line, and writes them as Go does.
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

/// A duration in whole milliseconds, as Go's `Duration` writes it: `796ms`, `1.5s`, `1m2s`.
pub(crate) fn as_go(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    if milliseconds < 1_000 {
        return format!("{milliseconds}ms");
    }
    let (minutes, rest) = (milliseconds / 60_000, milliseconds % 60_000);
    let seconds = format!("{}.{:03}", rest / 1_000, rest % 1_000);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
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

    #[test]
    fn go_writes_no_zeros_at_the_end() {
        for (milliseconds, expected) in [
            (0, "0s"),
            (796, "796ms"),
            (1_500, "1.5s"),
            (21_826, "21.826s"),
            (60_000, "1m0s"),
            (119_596, "1m59.596s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(as_go(Duration::from_millis(milliseconds)), expected);
        }
    }
}

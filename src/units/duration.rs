//! Durations in Kubernetes' text form (Go's `time.Duration`). Pure.

use std::{borrow::Cow, fmt, str::FromStr, sync::LazyLock, time::Duration};

use jiff::fmt::{
    StdFmtWrite,
    friendly::{Spacing, SpanParser, SpanPrinter},
};
use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A positive duration of whole seconds, written `90s`, `5m` or `1h30m`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubeDuration(Duration);

/// The pattern of the text form, also for the JSON Schema: jiff alone takes more, such as `1 hour`.
const PATTERN: &str = "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$";

static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(PATTERN).ok());

impl KubeDuration {
    /// A duration of `seconds`.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// As a standard library type.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Whole seconds.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }
}

impl FromStr for KubeDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || format!("`{text}` is not a duration; write it as 90s, 5m or 1h30m");
        let fits = FORM.as_ref().is_some_and(|it| it.is_match(text));
        if text.is_empty() || !fits {
            return Err(refuse());
        }
        let duration = SpanParser::new().parse_unsigned_duration(text);
        duration.map(Self).map_err(|_| refuse())
    }
}

impl fmt::Display for KubeDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        SpanPrinter::new()
            .spacing(Spacing::None)
            .print_unsigned_duration(&self.0, StdFmtWrite(formatter))
            .map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for KubeDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for KubeDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KubeDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for KubeDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 2, "pattern": PATTERN, "patternErrorMessage": "a duration, for example 90s, 5m or 1h30m"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in ["0s", "90s", "5m", "1h30m", "2h", "1h1m1s", "999999h"] {
            let parsed: KubeDuration = text.parse().unwrap();
            let expected = if text == "90s" { "1m30s" } else { text };
            assert_eq!(parsed.to_string(), expected);
        }
        let most: KubeDuration = "999999h999999m999999s".parse().unwrap();
        assert_eq!(most.as_secs(), 999_999 * 3661);
        let padded: KubeDuration = "00h05m".parse().unwrap();
        assert_eq!(padded, KubeDuration::from_secs(300));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "5m1h",
            "5m5m",
            "1d",
            "99999999999999999999h",
            "9999999s",
            "1 hour",
            "1h 30m",
            "1:30:00",
            "1.5h",
            "1ms",
            "5m\n",
        ] {
            assert!(text.parse::<KubeDuration>().is_err(), "{text}");
        }
    }
}

//! Durations in Kubernetes' text form (Go's `time.Duration`). Pure.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A positive duration of whole seconds, written `90s`, `5m` or `1h30m`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubeDuration(Duration);

/// The pattern of the text form, for the JSON Schema.
const PATTERN: &str = "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$";

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
        let (mut total, mut digits, mut last_unit) = (0_u64, String::new(), u64::MAX);
        for character in text.chars() {
            if character.is_ascii_digit() {
                digits.push(character);
                continue;
            }
            let unit = match character {
                'h' => 3600,
                'm' => 60,
                's' => 1,
                _ => return Err(refuse()),
            };
            let count: u64 = digits.parse().map_err(|_| refuse())?;
            if unit >= last_unit {
                return Err(refuse());
            }
            total = count
                .checked_mul(unit)
                .and_then(|seconds| seconds.checked_add(total))
                .ok_or_else(refuse)?;
            last_unit = unit;
            digits.clear();
        }
        if !digits.is_empty() || last_unit == u64::MAX {
            return Err(refuse());
        }
        Ok(Self::from_secs(total))
    }
}

impl fmt::Display for KubeDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.as_secs();
        let (hours, minutes, rest) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
        if hours > 0 {
            write!(formatter, "{hours}h")?;
        }
        if minutes > 0 {
            write!(formatter, "{minutes}m")?;
        }
        if rest > 0 || seconds == 0 {
            write!(formatter, "{rest}s")?;
        }
        Ok(())
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
        for text in ["0s", "90s", "5m", "1h30m", "2h", "1h1m1s"] {
            let parsed: KubeDuration = text.parse().unwrap();
            let expected = if text == "90s" { "1m30s" } else { text };
            assert_eq!(parsed.to_string(), expected);
        }
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
        ] {
            assert!(text.parse::<KubeDuration>().is_err(), "{text}");
        }
    }
}

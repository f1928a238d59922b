//! Kubernetes quantities: whether a text is one, and which of two is more. Pure.

use std::cmp::Ordering;

/// Digits after which Kubernetes itself cannot tell two quantities apart.
const DIGITS: usize = 27;

/// A quantity that is not negative, in units of 10⁻⁹.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

impl Amount {
    /// Both together; no more than the largest there is.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Whether nothing of it is smaller than one.
    pub const fn is_whole(self) -> bool {
        self.0 % 1_000_000_000 == 0
    }

    /// Reads `500m`, `1.5`, `6Gi`, `1e3`; `None` for what Kubernetes refuses, and for negative ones, which mean nothing
    /// here.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0
            || whole.len() + fraction.len() > DIGITS
            || fraction.contains('.')
        {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let places = i32::try_from(fraction.len()).ok()?;
        let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
            .iter()
            .position(|known| *known == suffix);
        let (factor, power) = match binary {
            Some(index) => (1024_i128.pow(u32::try_from(index + 1).ok()?), 0),
            None => (1, decimal_power(suffix)?),
        };
        let nanos = digits.checked_mul(factor)?;
        let power = power - places + 9;
        let shift = 10_i128.checked_pow(power.unsigned_abs())?;
        // Kubernetes rounds up what is smaller than it can keep.
        Some(Self(if power >= 0 {
            nanos.checked_mul(shift)?
        } else {
            (nanos + shift - 1) / shift
        }))
    }
}

fn decimal_power(suffix: &str) -> Option<i32> {
    Some(match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let exponent: i32 = exponent
                .strip_prefix('+')
                .unwrap_or(exponent)
                .parse()
                .ok()?;
            return (-18..=18).contains(&exponent).then_some(exponent);
        }
    })
}

/// Compares two quantities; `None` when one of them is none.
pub fn compare(one: &str, other: &str) -> Option<Ordering> {
    Some(Amount::parse(one)?.cmp(&Amount::parse(other)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_refuses_is_none() {
        for text in [
            "", ".", "m", "1 Gi", "1gi", "1K", "-1", "+1", "1.2.3", "1e", "1e99", "1Gb", "0x1", "½",
        ] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_compare_across_units() {
        for (less, more) in [
            ("500m", "1"),
            ("1G", "1Gi"),
            ("1023Mi", "1Gi"),
            ("0", "1n"),
            ("999k", "1e6"),
            (".5", "0.6"),
        ] {
            assert_eq!(compare(less, more), Some(Ordering::Less), "{less} {more}");
        }
        for (one, other) in [
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1E3", "1k"),
            ("2.", "2"),
            ("100000n", "100u"),
        ] {
            assert_eq!(compare(one, other), Some(Ordering::Equal), "{one} {other}");
        }
        assert_eq!(compare("1", "one"), None);
    }
}

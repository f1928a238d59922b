//! Kubernetes quantities: parsed, compared, and written in the form that the API server stores. Pure.
//!
//! The controller's webhooks decode and encode `RunnerDeployments`, so that `0.5` is stored as `500m`: arcctl sends that
//! form, so that an unchanged profile does not show a difference.

use std::cmp::Ordering;

const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Kubernetes itself cannot compare quantities with more digits exactly.
const DIGITS: usize = 27;

/// With more digits the arithmetic of [`canonical`] could overflow.
const CANONICAL_DIGITS: usize = 18;

/// The factor of a suffix.
enum Suffix {
    /// A power of ten, by its letter.
    Decimal(i32),
    /// A power of ten, as in `1e3`.
    Exponent(i32),
    /// A power of 1024.
    Binary(u32),
}

/// A quantity as it is written.
struct Written {
    /// Its digits without the point.
    digits: i128,
    /// How many digits it has.
    length: usize,
    /// How many of them come after the point.
    places: i32,
    suffix: Suffix,
}

impl Written {
    /// Reads `500m`, `1.5`, `6Gi`, `1e3`; `None` for what Kubernetes refuses, and for negative quantities.
    fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let length = whole.len() + fraction.len();
        if length == 0 || length > DIGITS || fraction.contains('.') {
            return None;
        }
        Some(Self {
            digits: format!("{whole}{fraction}").parse().ok()?,
            length,
            places: i32::try_from(fraction.len()).ok()?,
            suffix: Suffix::parse(suffix)?,
        })
    }
}

impl Suffix {
    fn parse(text: &str) -> Option<Self> {
        if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == text) {
            return Some(Self::Decimal(*power));
        }
        if let Some(power) = BINARY.iter().position(|name| *name == text) {
            return Some(Self::Binary(u32::try_from(power).ok()?));
        }
        let exponent = text.strip_prefix(['e', 'E'])?;
        let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
        let exponent: i32 = exponent.parse().ok()?;
        (-18..=18)
            .contains(&exponent)
            .then_some(Self::Exponent(exponent))
    }
}

/// A quantity that is not negative, in units of 10⁻⁹.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

impl Amount {
    /// The sum; at most the largest amount.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// In thousandths, rounded up.
    pub fn thousandths(self) -> i128 {
        div_ceil(self.0, 1_000_000)
    }

    /// In whole units, rounded up.
    pub fn units(self) -> i128 {
        div_ceil(self.0, 1_000_000_000)
    }

    /// Whether it is a whole number.
    pub const fn is_whole(self) -> bool {
        self.0 % 1_000_000_000 == 0
    }

    /// The amount of `500m`, `1.5`, `6Gi`, `1e3`; `None` for what Kubernetes refuses, and for negative quantities.
    pub fn parse(text: &str) -> Option<Self> {
        let written = Written::parse(text)?;
        let (factor, power) = match written.suffix {
            Suffix::Binary(power) => (1024_i128.pow(power), 0),
            Suffix::Decimal(power) | Suffix::Exponent(power) => (1, power),
        };
        let nanos = written.digits.checked_mul(factor)?;
        let power = power - written.places + 9;
        let shift = 10_i128.checked_pow(power.unsigned_abs())?;
        Some(Self(if power >= 0 {
            nanos.checked_mul(shift)?
        } else {
            div_ceil(nanos, shift)
        }))
    }
}

/// Compares two quantities; `None` if one of them is not a quantity.
pub fn compare(one: &str, other: &str) -> Option<Ordering> {
    Some(Amount::parse(one)?.cmp(&Amount::parse(other)?))
}

/// The form of `text` that the API server stores. A text that is not a quantity, or has an exponent (`1e3`), is returned
/// unchanged: the schema check reports it.
pub fn canonical(text: &str) -> String {
    let Some(written) = Written::parse(text).filter(|it| it.length <= CANONICAL_DIGITS) else {
        return text.to_owned();
    };
    match written.suffix {
        Suffix::Decimal(power) => decimal(written.digits, power - written.places),
        Suffix::Exponent(_) => text.to_owned(),
        Suffix::Binary(power) => {
            let bytes = div_ceil(
                written.digits * 1024_i128.pow(power),
                10_i128.pow(written.places.unsigned_abs()),
            );
            if bytes < 1024 {
                decimal(bytes, 0)
            } else {
                binary(bytes)
            }
        }
    }
}

/// `digits * 10^power` with the largest suffix that leaves a whole number.
fn decimal(mut digits: i128, mut power: i32) -> String {
    if digits == 0 {
        return "0".into();
    }
    if power < -9 {
        digits = div_ceil(digits, 10_i128.pow((-9 - power).unsigned_abs()));
        power = -9;
    }
    while digits % 10 == 0 && power < 18 {
        digits /= 10;
        power += 1;
    }
    while power.rem_euclid(3) != 0 || power > 18 {
        digits *= 10;
        power -= 1;
    }
    let suffix = DECIMAL
        .iter()
        .find(|(_, known)| *known == power)
        .map_or("", |(name, _)| name);
    format!("{digits}{suffix}")
}

fn binary(mut bytes: i128) -> String {
    let mut power = 0;
    while bytes % 1024 == 0 && power + 1 < BINARY.len() {
        bytes /= 1024;
        power += 1;
    }
    format!("{bytes}{}", BINARY[power])
}

/// Rounds up, like Kubernetes.
fn div_ceil(dividend: i128, divisor: i128) -> i128 {
    (dividend + divisor - 1) / divisor
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

    #[test]
    fn an_amount_is_counted_up() {
        let amount = |text: &str| Amount::parse(text).unwrap();
        assert_eq!(amount("1930m").thousandths(), 1930);
        assert_eq!(amount("100u").thousandths(), 1);
        assert_eq!(amount("0").thousandths(), 0);
        assert_eq!(amount("1Ki").units(), 1024);
        assert_eq!(amount("500m").units(), 1);
    }

    #[test]
    fn what_is_no_quantity_stays() {
        for text in [
            "",
            ".",
            "abc",
            "1 Gi",
            "-1",
            "1e3",
            "1.2.3",
            "1234567890123456789012",
        ] {
            assert_eq!(canonical(text), text);
        }
    }

    #[test]
    fn quantities_are_written_as_kubernetes_writes_them() {
        for (text, expected) in [
            ("0.5", "500m"),
            ("1.5", "1500m"),
            ("1500m", "1500m"),
            ("2000m", "2"),
            ("1.0", "1"),
            ("0", "0"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("0.0001", "100u"),
            ("0.1n", "1n"),
            ("50M", "50M"),
            ("1000M", "1G"),
            ("6Gi", "6Gi"),
            ("6144Mi", "6Gi"),
            ("1.5Gi", "1536Mi"),
            ("1536Mi", "1536Mi"),
            ("0.5Ki", "512"),
            ("1024", "1024"),
            ("1000000E", "1000000E"),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }
}

//! Kubernetes quantities in the form the API server stores them. Pure: no I/O.
//!
//! The controller's webhooks decode and encode `RunnerDeployments`, so `0.5` comes back as `500m`: sent in that form
//! from the start, an unchanged profile is an unchanged object.

/// What a suffix multiplies by.
enum Suffix {
    /// A power of ten.
    Decimal(i32),
    /// A power of 1024.
    Binary(u32),
}

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
/// More digits than this and the arithmetic could overflow.
const DIGITS: usize = 18;

/// The canonical form of `text`; a text that is not a quantity, or has an exponent (`1e3`), is returned as it is: the
/// schema check names what is wrong with it.
pub fn canonical(text: &str) -> String {
    parse(text).map_or_else(
        || text.to_owned(),
        |(digits, scale, suffix)| format(digits, scale, &suffix),
    )
}

/// Digits without the point, the power of ten that puts it back, and the suffix.
fn parse(text: &str) -> Option<(i128, i32, Suffix)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > DIGITS {
        return None;
    }
    let decimal = DECIMAL.iter().find(|(name, _)| *name == suffix);
    let suffix = if let Some((_, power)) = decimal {
        Suffix::Decimal(*power)
    } else {
        let power = BINARY.iter().position(|name| *name == suffix)?;
        Suffix::Binary(u32::try_from(power).ok()?)
    };
    Some((
        digits.parse().ok()?,
        -i32::try_from(fraction.len()).ok()?,
        suffix,
    ))
}

fn format(digits: i128, scale: i32, suffix: &Suffix) -> String {
    match suffix {
        Suffix::Decimal(power) => decimal(digits, scale + power),
        Suffix::Binary(power) => {
            let bytes = div_ceil(
                digits * 1024_i128.pow(*power),
                10_i128.pow(scale.unsigned_abs()),
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

/// Kubernetes rounds up what it cannot represent.
fn div_ceil(dividend: i128, divisor: i128) -> i128 {
    (dividend + divisor - 1) / divisor
}

#[cfg(test)]
mod tests {
    use super::*;

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

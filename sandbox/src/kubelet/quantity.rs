//! Kubernetes quantities as whole thousandths. Pure: no I/O.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// A quantity in thousandths, rounded up as Kubernetes does; what cannot be read is nothing.
pub(super) fn milli(quantity: &Quantity) -> i128 {
    parse(&quantity.0).unwrap_or(0)
}

fn parse(text: &str) -> Option<i128> {
    let end = text
        .find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (numerator, denominator) = factor(suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let top = digits.checked_mul(numerator)?;
    let bottom = scale.checked_mul(denominator)?;
    Some(top.div_euclid(bottom) + i128::from(top.rem_euclid(bottom) != 0))
}

/// What a suffix multiplies with, in thousandths, as a fraction.
fn factor(suffix: &str) -> Option<(i128, i128)> {
    let binary = |power: u32| Some((1000 * 1024_i128.pow(power), 1));
    match suffix {
        "n" => Some((1, 1_000_000)),
        "u" => Some((1, 1000)),
        "m" => Some((1, 1)),
        "" => Some((1000, 1)),
        "k" => Some((1_000_000, 1)),
        "M" => Some((1_000_000_000, 1)),
        "G" => Some((1_000_000_000_000, 1)),
        "T" => Some((1_000_000_000_000_000, 1)),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let scale = 10_i128.checked_pow(power.unsigned_abs())?;
            Some(if power < 0 {
                (1000, scale)
            } else {
                (1000_i128.checked_mul(scale)?, 1)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "x", "1Q", "1.2.3", "1e"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn suffixes_and_fractions_are_exact() {
        for (text, expected) in [
            ("500m", 500),
            ("1.5", 1500),
            (".5", 500),
            ("1Gi", 1_073_741_824_000),
            ("1.5Ki", 1_536_000),
            ("2e3", 2_000_000),
            ("1n", 1),
            ("1500u", 2),
            ("6G", 6_000_000_000_000),
        ] {
            assert_eq!(parse(text), Some(expected), "{text:?}");
        }
    }
}

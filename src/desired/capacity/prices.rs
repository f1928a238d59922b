//! What an hour of a node costs on demand. Pure: no I/O.

use crate::units::table;

/// Region, instance type, price and its date; its header names the sources.
const TABLE: &str = include_str!("../data/prices.tsv");

/// In place of a date that is not known.
const UNKNOWN: &str = "-";

/// A price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Millionths of a US dollar for an hour, without taxes, discounts, storage and traffic.
    pub micro_usd: u64,
    /// The same, as it is written: `0.0936`.
    pub usd: &'static str,
    /// The date of its source; `None` if that is not known.
    pub date: Option<&'static str>,
}

/// The price of `instance_type` with Linux in `region`; `None` if it is not in the table.
pub fn price(region: &str, instance_type: &str) -> Option<Price> {
    table::rows(TABLE).find_map(|mut fields| {
        let is_it = fields.next()? == region && fields.next()? == instance_type;
        let usd = fields.next().filter(|_| is_it)?;
        Some(Price {
            micro_usd: micro(usd)?,
            usd,
            date: fields.next().filter(|it| *it != UNKNOWN),
        })
    })
}

/// The millionths in `1.25`; `None` for anything else.
fn micro(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.')?;
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 6 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::desired::pool::instance_type;

    #[test]
    fn a_price_is_that_of_the_type_in_the_region() {
        let found = price("us-east-1", "m5.xlarge").unwrap();
        assert_eq!((found.micro_usd, found.usd), (192_000, "0.192"));
        assert_eq!(found.date, Some("2026-01-19"));
        let seoul = price("ap-northeast-2", "t3a.large").unwrap();
        assert_eq!((seoul.usd, seoul.date), ("0.0936", None));
        assert_eq!(price("us-east-1", "m5.xlarg"), None);
        assert_eq!(price("", ""), None);
        assert_eq!(price("mars-north-1", "m5.xlarge"), None);
        assert_eq!(price("# Region", "instance type"), None);
    }

    #[test]
    fn every_row_is_a_known_type_with_a_price_and_a_date() {
        let mut seen = BTreeSet::new();
        for row in table::rows(TABLE) {
            let row: Vec<&str> = row.collect();
            let [region, name, usd, date] = row.as_slice() else {
                panic!("{row:?}");
            };
            assert!(seen.insert((*region, *name)), "{row:?} is there twice");
            assert!(instance_type::lookup(name).is_some(), "{row:?}");
            assert!(micro(usd).is_some_and(|it| it > 0), "{row:?}");
            let is_date = date.parse::<jiff::civil::Date>().is_ok();
            assert!(is_date || *date == UNKNOWN, "{row:?}");
            assert!(price(region, name).is_some(), "{row:?}");
        }
        assert!(seen.len() > 30);
    }

    #[test]
    fn a_price_is_read_to_the_millionth() {
        assert_eq!(micro("0.0936"), Some(93_600));
        assert_eq!(micro("12.000001"), Some(12_000_001));
        for text in ["", "1", ".5", "1.", "-1.5", "1.0000001", "1,5"] {
            assert_eq!(micro(text), None, "{text}");
        }
    }
}

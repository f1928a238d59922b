//! The overrides of a schedule as a table that a shell can evaluate: for runner scale sets, whose controller knows no
//! windows. Pure.
//!
//! The first line is `base MINIMUM`, each other one is an override, `START END MINIMUM PERIOD UNTIL`: instants in seconds
//! since 1970, the period in seconds, 0 for none. The first override that is active wins, as at the community's
//! controller; `templates/scale_set_minimum/reconcile.sh` evaluates it.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};

use super::{Frequency, Override, zoned};

/// The first word of the line with the minimum outside every override.
const BASE: &str = "base";

/// The table.
pub fn table(base_min: u32, overrides: &[Override]) -> String {
    let mut text = format!("{BASE} {base_min}\n");
    for entry in overrides {
        let (start, end) = (entry.start.timestamp(), entry.end.timestamp());
        let period = entry.frequency.map_or(0, |it| it.length().as_secs());
        let until = entry.until.map_or(0, Timestamp::as_second);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{} {} {} {period} {until}",
            start.as_second(),
            end.as_second(),
            entry.min
        );
    }
    text
}

/// Reads a table; `None` if it has something that arcctl never writes: then it is replaced.
pub fn parse_table(text: &str) -> Option<(u32, Vec<Override>)> {
    let mut lines = text.lines();
    let (word, base_min) = lines.next()?.split_once(' ')?;
    let base_min = base_min.parse().ok().filter(|_| word == BASE)?;
    let overrides = lines.map(parse_line).collect::<Option<Vec<_>>>()?;
    Some((base_min, overrides))
}

fn parse_line(line: &str) -> Option<Override> {
    let numbers: Vec<i64> = line
        .split(' ')
        .map(|it| it.parse().ok())
        .collect::<Option<_>>()?;
    let &[start, end, min, period, until] = numbers.as_slice() else {
        return None;
    };
    let frequency = match period {
        0 => None,
        _ => Some(
            [Frequency::Daily, Frequency::Weekly]
                .into_iter()
                .find(|it| it.length().as_secs() == period)?,
        ),
    };
    let instant = |second: i64| Timestamp::from_second(second).ok();
    let at = |second: i64| Some(zoned(instant(second)?, &TimeZone::UTC));
    Some(Override {
        name: String::new(),
        start: at(start)?,
        end: at(end)?,
        min: u32::try_from(min).ok()?,
        frequency,
        until: if until == 0 {
            None
        } else {
            Some(instant(until)?)
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::schedule::{overrides, verify};

    fn night(zone: &str) -> Vec<Override> {
        let schedule = verify::tests::night(zone);
        overrides(&schedule, "2026-11-23T10:00:00Z".parse().unwrap()).unwrap()
    }

    #[test]
    fn an_endless_recurrence_is_one_line() {
        assert_eq!(
            table(4, &night("Asia/Seoul")),
            "base 4\n1704106800 1704150000 1 86400 0\n"
        );
    }

    #[test]
    fn a_table_says_what_its_overrides_say() {
        for zone in ["Asia/Seoul", "Europe/Berlin"] {
            let text = table(4, &night(zone));
            let (base_min, read) = parse_table(&text).unwrap();
            assert_eq!(base_min, 4);
            assert_eq!(table(4, &read), text);
        }
    }

    #[test]
    fn what_arcctl_does_not_write_is_no_table() {
        for text in [
            "",
            "base",
            "base x",
            "basis 1",
            "base 1\n1 2 3",
            "base 1\n1 2 3 4 5",
            "base 1\n1 2 -3 0 0",
        ] {
            assert_eq!(parse_table(text), None, "{text}");
        }
    }
}

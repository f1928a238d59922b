//! Tests of the table, and of the verdicts: each state, at github.com and at a GitHub Enterprise Server.

use jiff::{Timestamp, civil::date, tz::TimeZone};
use proptest::prelude::*;

use super::{
    freshness::{ENFORCED, end_after},
    *,
};

#[test]
fn every_line_of_the_table_is_read_and_they_are_in_order() {
    assert_eq!(RELEASES.all.len(), table::rows(TABLE).count());
    assert!(table::rows(TABLE).all(|mut row| { matches!(row.nth(2), Some("published" | "seen")) }));
    assert!(
        RELEASES
            .all
            .is_sorted_by(|one, other| { one.version < other.version && one.day <= other.day })
    );
    assert!(RELEASES.as_of >= RELEASES.newest().unwrap().day);
    assert!(RELEASES.as_of.year() >= 2026);
}

#[test]
fn versions_are_read_and_compared_as_numbers() {
    let read = |text| RunnerVersion::parse(text);
    assert_eq!(read("v2.306.0"), Some(RunnerVersion(2, 306, 0)));
    assert!(read("2.99.0") < read("2.306.0"));
    for text in ["", "v", "2.306", "2.306.0.1", "1.2.3", "2..0", "2.306.x"] {
        assert_eq!(read(text), None, "{text}");
    }
    assert_eq!(RunnerVersion(2, 329, 0).to_string(), "2.329.0");
}

#[test]
fn a_table_without_a_day_knows_nothing_of_today() {
    assert_eq!(Releases::parse("2.329.0\t2025-10-14\n").as_of, Date::ZERO);
}

/// A table that does not change with the program's.
fn table() -> Releases {
    Releases::parse(
        "# as of\t2026-12-20\n2.329.0\t2025-10-14\tpublished\n2.340.0\t2026-11-01\tpublished\n2.341.0\t2026-12-01\tpublished\n2.342.0\t2026-12-20\tseen\n",
    )
}

fn at_github(image: &str, today: Date) -> Asked {
    Asked {
        image: RunnerVersion::parse(image),
        running: None,
        refuses: true,
        offered: None,
        today,
    }
}

fn judged(asked: Asked) -> (State, String) {
    let found = asked.judge_by(&table());
    (found.state, found.reason)
}

#[test]
fn a_version_that_was_followed_ends_thirty_days_later() {
    let found = at_github("2.340.0", date(2026, 12, 11)).judge_by(&table());
    assert_eq!(found.state, State::Ending);
    assert_eq!(found.jobs_end, Some(date(2026, 12, 31)));
    assert_eq!(found.days, Some(40));
    assert!(found.ends_soon(date(2026, 12, 11)) && !found.ends_soon(date(2026, 12, 1)));
    assert_eq!(
        found.told(),
        "2.340.0, released on 2026-11-01 (40 days ago)"
    );
    assert!(
        found.reason.contains("from 2026-12-31 on (in 20 days)"),
        "{}",
        found.reason
    );
    let day_before = at_github("2.340.0", date(2026, 12, 30)).judge_by(&table());
    assert_eq!(day_before.state, State::Ending);
    let that_day = at_github("2.340.0", date(2026, 12, 31)).judge_by(&table());
    assert_eq!(that_day.state, State::Refused);
    // Nothing was refused before the rules were enforced.
    let old = at_github("2.329.0", date(2026, 12, 31)).judge_by(&table());
    assert_eq!(old.jobs_end, Some(date(2026, 12, 1)));
    assert_eq!(end_after(date(2026, 1, 1)), ENFORCED);
}

/// Somebody saw 2.342.0 on that day: it may have been there some days before, and never later.
#[test]
fn a_day_that_is_not_exact_is_told_as_that_and_nothing_is_refused_before_it_is_sure() {
    let at = |image, today| at_github(image, today).judge_by(&table());
    let newest = at("2.342.0", date(2026, 12, 22));
    assert_eq!(
        newest.told(),
        "2.342.0, released about 2026-12-20 (2 days ago)"
    );
    let before = at("2.341.0", date(2027, 1, 18));
    assert_eq!(before.state, State::Ending);
    assert_eq!(
        before.reason,
        "2.342.0 followed about 2026-12-20: GitHub refuses jobs for 2.341.0 from 2027-01-19 on at the latest (in 1 day)"
    );
    let after = at("2.341.0", date(2027, 1, 20));
    assert_eq!(after.state, State::Refused);
    assert!(
        after
            .reason
            .ends_with("since 2027-01-19 at the latest (1 day)"),
        "{}",
        after.reason
    );
    // Whatever the day was, GitHub has refused nothing before it began to.
    let table = Releases::parse(
        "# as of\t2026-09-30\n2.336.0\t2026-07-20\tseen\n2.337.0\t2026-08-26\tseen\n",
    );
    let enforced = at_github("2.336.0", date(2026, 9, 26)).judge_by(&table);
    assert!(
        enforced.reason.ends_with("since 2026-09-25 (1 day)"),
        "{}",
        enforced.reason
    );
}

#[test]
fn an_old_version_cannot_register() {
    let found = at_github("2.306.0", ENFORCED).judge_by(&table());
    assert_eq!(
        (found.state, found.registration_ends),
        (State::Refused, Some(ENFORCED))
    );
    let before = at_github("2.306.0", date(2026, 9, 24)).judge_by(&table());
    assert_eq!(before.state, State::Ending);
    // The table does not have it: nothing is said of its day.
    assert_eq!((before.released, before.days), (None, None));
}

#[test]
fn what_is_not_known_is_never_fine() {
    let today = date(2027, 3, 1);
    let (state, reason) = judged(Asked {
        image: None,
        ..at_github("", today)
    });
    assert_eq!(state, State::Unknown, "{reason}");
    // Newer than the table.
    let (state, reason) = judged(at_github("2.350.0", date(2026, 12, 21)));
    assert_eq!(state, State::Unknown, "{reason}");
    // The newest of the table, and the table is old.
    let (state, reason) = judged(at_github("2.342.0", today));
    assert_eq!(state, State::Unknown, "{reason}");
    assert_eq!(
        judged(at_github("2.342.0", date(2026, 12, 21))).0,
        State::Current
    );
    // GitHub offers one whose day is not known.
    let (state, reason) = judged(Asked {
        offered: RunnerVersion::parse("2.350.0"),
        ..at_github("2.342.0", date(2026, 12, 21))
    });
    assert_eq!(state, State::Unknown);
    assert!(reason.contains("2.350.0"), "{reason}");
}

#[test]
fn what_github_itself_offers_is_current() {
    for image in ["2.340.0", "2.341.0", "2.350.0"] {
        let (state, _) = judged(Asked {
            offered: RunnerVersion::parse("2.340.0"),
            ..at_github(image, date(2027, 3, 1))
        });
        assert_eq!(state, State::Current, "{image}");
    }
}

#[test]
fn jobs_depend_on_what_runs_and_registration_on_the_image() {
    let asked = Asked {
        running: RunnerVersion::parse("2.341.0"),
        ..at_github("2.340.0", date(2027, 1, 2))
    };
    let found = asked.judge_by(&table());
    assert_eq!(found.jobs_end, Some(date(2027, 1, 19)));
    assert_eq!(found.version(), RunnerVersion::parse("2.340.0"));
    let old = Asked {
        running: RunnerVersion::parse("2.341.0"),
        ..at_github("2.306.0", date(2027, 1, 2))
    };
    assert_eq!(judged(old).0, State::Refused);
    // An image of one's own: its runners tell.
    let own = Asked {
        running: RunnerVersion::parse("2.340.0"),
        ..at_github("", date(2026, 12, 11))
    };
    assert_eq!(judged(own).0, State::Ending);
}

#[test]
fn an_enterprise_server_is_compared_with_its_own_runner() {
    let at = |image: &str, shipped: &str| {
        let asked = Asked {
            refuses: false,
            offered: RunnerVersion::parse(shipped),
            ..at_github(image, date(2030, 1, 1))
        };
        let found = asked.judge_by(&table());
        assert_eq!((found.jobs_end, found.registration_ends), (None, None));
        found.state
    };
    assert_eq!(at("2.306.0", "2.323.0"), State::Behind);
    assert_eq!(at("2.323.0", "2.323.0"), State::Current);
    assert_eq!(at("2.350.0", "2.323.0"), State::Current);
    assert_eq!(at("2.323.0", ""), State::Unknown);
    assert_eq!(at("", "2.323.0"), State::Unknown);
}

#[test]
fn the_end_by_the_table_needs_no_clock() {
    let newest = RELEASES.newest().unwrap().version;
    assert_eq!(jobs_end_by_table(newest), None, "no release follows it");
    assert_eq!(jobs_end_by_table(RunnerVersion(2, 306, 0)), None);
    assert_eq!(jobs_end_by_table(RunnerVersion(2, 329, 0)), Some(ENFORCED));
}

proptest! {
    /// The time zone of the machine does not matter, and neither does the order of the days: nothing panics, and what is refused
    /// stays refused.
    #[test]
    fn a_refused_version_stays_refused(
        minor in 0_u64..400,
        offered in proptest::option::of(0_u64..400),
        second in 0_i64..4_000_000_000,
        later in 0_i64..400_000_000,
    ) {
        let day = |second: i64| {
            TimeZone::UTC.to_datetime(Timestamp::from_second(second).unwrap()).date()
        };
        let at = |today| Asked {
            image: Some(RunnerVersion(2, minor, 0)),
            running: None,
            refuses: true,
            offered: offered.map(|it| RunnerVersion(2, it, 0)),
            today,
        }
        .judge_by(&table());
        let (first, second) = (at(day(second)), at(day(second + later)));
        if first.state == State::Refused {
            prop_assert_eq!(second.state, State::Refused);
        }
        prop_assert_eq!(first.ends(), second.ends());
        prop_assert!(!first.reason.is_empty());
    }
}

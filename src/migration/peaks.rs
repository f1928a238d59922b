//! How many runners there are at most, before, during and after a migration. Pure: no I/O.
//!
//! In a scale set `min` counts idle runners: with 5 jobs and `min: 2` there are 7 (docs/scale-sets.md). In the other mode busy
//! ones count too.

use jiff::Timestamp;
use serde::Serialize;

use crate::profile::Pool;

/// The number of jobs in the example of the text.
const EXAMPLE: u32 = 5;

/// The most runners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Peaks {
    /// Of the old pool.
    pub before: u32,
    /// While both are there.
    pub between: u32,
    /// Of the new pool.
    pub after: u32,
    /// By how many runners the new pool can exceed the old one with the same jobs; negative where it has fewer.
    pub difference: i64,
}

/// How many runners a pool has at least at an instant, whatever jobs there are. With 0, nothing but a job starts one.
pub fn minimum_at(pool: &Pool, at: Timestamp) -> u32 {
    let schedule = pool.schedule.as_ref();
    let minimum = schedule.map_or(pool.min, |it| it.min_at(pool.min, at));
    minimum.min(pool.max)
}

/// The highest minimum of a pool, its windows included.
fn highest_minimum(pool: &Pool) -> u32 {
    let windows = pool.schedule.iter().flat_map(|it| &it.windows);
    windows.map(|it| it.min).fold(pool.min, u32::max)
}

/// The runners of a pool with so many jobs, in the highest of its windows.
pub fn runners(pool: &Pool, jobs: u32) -> u32 {
    let minimum = highest_minimum(pool);
    let wanted = if pool.is_scale_set() {
        minimum.saturating_add(jobs)
    } else {
        minimum.max(jobs)
    };
    wanted.min(pool.max)
}

/// The difference that is largest for some number of jobs.
fn difference(old: &Pool, new: &Pool) -> i64 {
    // Between these points both grow evenly or not at all.
    let edges = [old, new].into_iter().flat_map(|it| {
        let minimum = highest_minimum(it);
        [0, minimum, it.max, it.max.saturating_sub(minimum)]
    });
    let of = |jobs| i64::from(runners(new, jobs)) - i64::from(runners(old, jobs));
    edges.map(of).max_by_key(|it| it.abs()).unwrap_or_default()
}

impl Peaks {
    /// The peaks of a migration from `old` to `new`.
    pub fn of(old: &Pool, new: &Pool) -> Self {
        Self {
            before: old.max,
            between: old.max.saturating_add(new.max),
            after: new.max,
            difference: difference(old, new),
        }
    }

    /// The peaks in words.
    pub fn text(&self, old: &Pool, new: &Pool) -> String {
        let text = format!(
            "maximum number of runners: {} now, {} while both pools exist, {} afterwards",
            self.before, self.between, self.after
        );
        let (now, then) = (runners(old, EXAMPLE), runners(new, EXAMPLE));
        let example = format!("with {EXAMPLE} jobs: {now} runners now, {then} then");
        let (count, name) = (self.difference.abs(), &new.name);
        match self.difference {
            0 => text,
            1.. => format!(
                "{text}; with the same jobs up to {count} more, because `min` of a scale set counts idle runners ({example}): lower `min` or `max` of `{name}` if that is too many"
            ),
            _ => format!(
                "{text}; with the same jobs up to {count} fewer, because `min` also counts busy runners ({example}): raise `min` of `{name}` if jobs then wait"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::profile::Mode;

    fn pool(mode: Mode, min: u32, max: u32) -> Pool {
        Pool {
            name: "x".into(),
            mode,
            min,
            max,
            ..Pool::default()
        }
    }

    #[test]
    fn a_minimum_of_zero_in_force_is_that_of_the_window_that_is_open() {
        let schedule = json!({
            "timeZone": "UTC",
            "windows": [{"name": "night", "from": "20:00", "to": "06:00", "min": 0}],
        });
        let pool = Pool {
            schedule: Some(serde_json::from_value(schedule).unwrap()),
            ..pool(Mode::ScaleSet, 2, 16)
        };
        let at = |time: &str| minimum_at(&pool, time.parse().unwrap());
        assert_eq!(at("2026-03-02T12:00:00Z"), 2);
        assert_eq!(at("2026-03-02T23:00:00Z"), 0);
    }

    #[test]
    fn idle_runners_come_on_top_up_to_the_maximum() {
        let (old, new) = (
            pool(Mode::RunnerDeployment, 2, 16),
            pool(Mode::ScaleSet, 2, 16),
        );
        assert_eq!((runners(&old, 5), runners(&new, 5)), (5, 7));
        assert_eq!((runners(&old, 16), runners(&new, 16)), (16, 16));
        let there = Peaks::of(&old, &new);
        assert_eq!(
            (there.before, there.between, there.after, there.difference),
            (16, 32, 16, 2)
        );
        assert_eq!(Peaks::of(&new, &old).difference, -2);
        assert!(there.text(&old, &new).contains("up to 2 more"));
        let back = Peaks::of(&new, &old);
        assert!(back.text(&new, &old).contains("up to 2 fewer"));
    }

    #[test]
    fn a_minimum_of_none_makes_no_difference() {
        let (old, new) = (
            pool(Mode::RunnerDeployment, 0, 4),
            pool(Mode::ScaleSet, 0, 4),
        );
        let peaks = Peaks::of(&old, &new);
        assert_eq!(peaks.difference, 0);
        assert_eq!(
            peaks.text(&old, &new),
            "maximum number of runners: 4 now, 8 while both pools exist, 4 afterwards"
        );
    }

    #[test]
    fn the_minimum_of_a_window_counts() {
        let mut new = pool(Mode::ScaleSet, 1, 10);
        new.schedule = Some(
            serde_json::from_value(serde_json::json!({
                "timeZone": "Asia/Seoul",
                "windows": [{"name": "day", "from": "08:00", "to": "18:00", "min": 6}],
            }))
            .unwrap(),
        );
        assert_eq!(runners(&new, 3), 9);
    }

    proptest! {
        /// No number of jobs has a larger difference than what is told.
        #[test]
        fn the_difference_is_the_largest(
            (min, max) in (0u32..20, 0u32..40),
            (other_min, other_max) in (0u32..20, 0u32..40),
            jobs in 0u32..80,
        ) {
            let old = pool(Mode::RunnerDeployment, min.min(max), max);
            let new = pool(Mode::ScaleSet, other_min.min(other_max), other_max);
            let told = Peaks::of(&old, &new).difference;
            let seen = i64::from(runners(&new, jobs)) - i64::from(runners(&old, jobs));
            prop_assert!(seen.abs() <= told.abs(), "{seen} with {jobs} jobs, {told} told");
        }
    }
}

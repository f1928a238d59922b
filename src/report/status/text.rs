//! The state as one screen, and its changes. Pure: no I/O.

use std::fmt::Write;

use super::{PoolStatus, ReleaseStatus, RunnerStatus, Status};
use crate::{profile::Mode, report::strip::week};

/// Up to how many pools are listed one by one.
const MANY: usize = 20;

/// How many incomplete pools are listed if there are many pools: with the rest, 24 lines.
const LACKING: usize = 6;

/// The longest name that has its numbers on the same line; those of a longer one are on the next line.
const NAME: usize = 30;

/// A column of numbers.
struct Column {
    heading: &'static str,
    width: usize,
    number: fn(&PoolStatus) -> String,
}

/// The columns of numbers, in their order.
const COLUMNS: [Column; 6] = [
    Column {
        heading: "MIN",
        width: 5,
        number: |it| it.min.to_string(),
    },
    Column {
        heading: "MAX",
        width: 5,
        number: |it| it.max.to_string(),
    },
    Column {
        heading: "DESIRED",
        width: 8,
        number: |it| count(it.desired),
    },
    Column {
        heading: "RUNNING",
        width: 8,
        number: |it| count(it.running),
    },
    Column {
        heading: "REGISTERED",
        width: 11,
        number: |it| count(it.registered),
    },
    Column {
        heading: "BUSY",
        width: 5,
        number: |it| count(it.busy),
    },
];

/// One screen, at most 80 columns wide with names of usual length. If there are many pools, only the incomplete ones,
/// unless `verbose`.
pub fn text(status: &Status, verbose: bool) -> String {
    let mut text = String::new();
    installation(&mut text, status);
    if status.pools.len() <= MANY || verbose {
        let shown: Vec<&PoolStatus> = status.pools.iter().collect();
        pools(&mut text, &shown);
        return text;
    }
    let mut lacking: Vec<&PoolStatus> = status.pools.iter().filter(|it| it.missing() > 0).collect();
    lacking.sort_by_key(|it| std::cmp::Reverse(it.missing()));
    let (shown, more) = lacking.split_at(lacking.len().min(LACKING));
    let width = pools(&mut text, shown);
    let all = total(&status.pools);
    row(&mut text, width, "all", |it| (it.number)(&all));
    line(&mut text, "");
    match more.len() {
        0 => {}
        1 => line(&mut text, "1 more pool lacks runners"),
        count => line(&mut text, &format!("{count} more pools lack runners")),
    }
    let (all, fine) = (status.pools.len(), status.pools.len() - lacking.len());
    line(
        &mut text,
        &format!("{fine} of {all} pools have the runners they should have"),
    );
    let concerns = super::concerns(status).count();
    if concerns > 0 {
        let told = format!("{concerns} of {all} pools have a runner version to look at");
        line(&mut text, &told);
    }
    line(&mut text, "-v shows all, --pool NAME one");
    text
}

/// The releases and the certificate.
fn installation(text: &mut String, status: &Status) {
    let names = status.releases.iter().map(|it| it.name.chars().count());
    let width = names.max().unwrap_or(0);
    for it in &status.releases {
        let (name, version, status) = (&it.name, &it.version, &it.status);
        let release = format!("release      {name:<width$}  {version:<7}  {status}");
        line(text, &release);
    }
    if status.releases.is_empty() {
        line(text, "release      none: `arcctl up` installs them");
    }
    let certificate = match &status.certificate {
        None => "none".to_owned(),
        Some(it) => format!(
            "{}, until {}",
            if it.ready { "ready" } else { "not ready" },
            it.not_after.as_deref().unwrap_or("?")
        ),
    };
    line(text, &format!("certificate  {certificate}\n"));
}

/// A pool's numbers and below them its schedule; with the width of the name column.
fn pools(text: &mut String, pools: &[&PoolStatus]) -> usize {
    let names = pools.iter().map(|it| it.name.chars().count());
    let width = names.filter(|it| *it <= NAME).max().unwrap_or(0).max(5);
    row(text, width, "POOL", |it| it.heading.to_owned());
    for pool in pools {
        row(text, width, &pool.name, |it| (it.number)(pool));
        let zone = pool.moment.time_zone.as_ref();
        let zone = zone.map_or_else(String::new, |it| format!("  ({it})"));
        // The other mode is the usual one, and a column for it would not fit.
        let mode = match pool.mode {
            Mode::RunnerDeployment => "",
            Mode::ScaleSet => "scale set; ",
        };
        line(text, &format!("       {mode}{}{zone}", pool.moment));
        for bars in week(pool.schedule.as_ref(), pool.moment.at) {
            line(text, &format!("       {bars}"));
        }
        for told in pool.runner.iter().flat_map(RunnerStatus::lines) {
            line(text, &format!("       {told}"));
        }
    }
    width
}

/// The changes, one per line.
pub fn changes(before: &Status, now: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    let releases = |status: &Status| -> Vec<String> {
        let shown = |it: &ReleaseStatus| format!("{} {} {}", it.name, it.version, it.status);
        status.releases.iter().map(shown).collect()
    };
    let (old, new) = (releases(before), releases(now));
    lines.extend(
        new.iter()
            .filter(|it| !old.contains(it))
            .map(|it| format!("release {it}")),
    );
    if new.len() < old.len() {
        lines.push(format!("{} of {} releases are left", new.len(), old.len()));
    }
    let certificate = |status: &Status| {
        status.certificate.as_ref().map_or(
            "none",
            |it| {
                if it.ready { "ready" } else { "not ready" }
            },
        )
    };
    if certificate(before) != certificate(now) {
        lines.push(format!("certificate {}", certificate(now)));
    }
    for pool in &now.pools {
        let Some(old) = before.pools.iter().find(|it| it.name == pool.name) else {
            continue;
        };
        let changed: Vec<String> = COLUMNS
            .iter()
            .map(|it| {
                (
                    it.heading.to_lowercase(),
                    (it.number)(old),
                    (it.number)(pool),
                )
            })
            .filter(|(_, old, new)| old != new)
            .map(|(name, old, new)| format!("{name} {old} -> {new}"))
            .collect();
        if !changed.is_empty() {
            lines.push(format!("{}: {}", pool.name, changed.join(", ")));
        }
    }
    lines
}

impl PoolStatus {
    /// How many runners are missing: those that should be registered and run. Unknown counts as missing.
    fn missing(&self) -> u64 {
        let number = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
        let (Some(desired), Some(running), Some(registered)) =
            (self.desired, self.running, self.registered)
        else {
            return u64::from(self.min.max(1));
        };
        let registered = u64::from(self.min).saturating_sub(number(registered));
        registered.max(desired.saturating_sub(number(running)))
    }
}

/// The sum of all pools; a count that is unknown for one pool is unknown.
fn total(pools: &[PoolStatus]) -> PoolStatus {
    let sum = |of: fn(&PoolStatus) -> u32| pools.iter().map(of).fold(0, u32::saturating_add);
    PoolStatus {
        name: "all".into(),
        mode: Mode::default(),
        min: sum(|it| it.min),
        max: sum(|it| it.max),
        desired: pools.iter().map(|it| it.desired).sum(),
        running: pools.iter().map(|it| it.running).sum(),
        registered: pools.iter().map(|it| it.registered).sum(),
        busy: pools.iter().map(|it| it.busy).sum(),
        moment: crate::profile::schedule::moment(None, 0, jiff::Timestamp::UNIX_EPOCH),
        schedule: None,
        runner: None,
    }
}

/// A line of the table: a name, and what `cell` gives for each column.
fn row(text: &mut String, width: usize, name: &str, cell: impl Fn(&Column) -> String) {
    let padded = |it: &Column| format!("{:>1$}", cell(it), it.width);
    let numbers: Vec<String> = COLUMNS.iter().map(padded).collect();
    let numbers = numbers.join(" ");
    if name.chars().count() > width {
        line(text, name);
        line(text, &format!("{:<width$}  {numbers}", ""));
    } else {
        line(text, &format!("{name:<width$}  {numbers}"));
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ignored = writeln!(text, "{line}");
}

/// A count, or `?` if it is unknown.
fn count(number: Option<impl std::fmt::Display>) -> String {
    number.map_or_else(|| "?".into(), |it| it.to_string())
}

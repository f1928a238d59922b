//! The state of an installation as one screen and as `arcctl.status/v1`. Pure: no I/O.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

pub use super::status_changes::changes;
use super::strip::week;
use crate::{
    error::Error,
    profile::{Mode, Schedule, schedule::Moment},
};

/// The state of an installation.
#[derive(Debug, Default)]
pub struct Status {
    /// The profile's name.
    pub profile: String,
    /// The Helm releases.
    pub releases: Vec<ReleaseStatus>,
    /// The webhook's certificate, where there is one.
    pub certificate: Option<CertificateStatus>,
    /// The pools.
    pub pools: Vec<PoolStatus>,
}

/// A Helm release.
#[derive(Debug, Serialize)]
pub struct ReleaseStatus {
    /// `namespace/name`.
    pub name: String,
    /// The chart's version.
    pub version: String,
    /// Helm's name of its state.
    pub status: String,
}

/// The webhook's certificate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Whether cert-manager reports it as ready.
    pub ready: bool,
    /// When it expires (RFC 3339).
    pub not_after: Option<String>,
}

/// A pool; unknown counts are `None`.
#[derive(Debug)]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// Which controller runs it.
    pub mode: Mode,
    /// The minimum in force now.
    pub min: u32,
    /// The maximum.
    pub max: u32,
    /// The replicas that the autoscaler requests.
    pub desired: Option<u64>,
    /// Running pods.
    pub running: Option<usize>,
    /// Runners that are registered at GitHub.
    pub registered: Option<usize>,
    /// Runners that run a job.
    pub busy: Option<usize>,
    /// The current and the next period of its schedule.
    pub moment: Moment,
    /// Its schedule and the minimum outside every window; `None` without a schedule.
    pub schedule: Option<(Schedule, u32)>,
}

/// The JSON document.
pub fn document(status: &Status) -> Value {
    let pools: Vec<Value> = status.pools.iter().map(pool).collect();
    json!({
        "schema": "arcctl.status/v1",
        "profile": status.profile,
        "releases": status.releases,
        "certificate": status.certificate,
        "pools": pools,
        "error": null,
    })
}

/// The JSON document of a failure.
pub fn failure(profile: &str, error: &Error) -> Value {
    json!({
        "schema": "arcctl.status/v1",
        "profile": profile,
        "releases": [],
        "certificate": null,
        "pools": [],
        "error": error.document(),
    })
}

fn pool(pool: &PoolStatus) -> Value {
    let active = pool.moment.active.as_ref().map(
        |it| json!({"name": it.name, "min": it.min, "until": it.until.timestamp().to_string()}),
    );
    let next =
        pool.moment.next.as_ref().map(
            |it| json!({"at": it.at.timestamp().to_string(), "window": it.window, "min": it.min}),
        );
    json!({
        "name": pool.name,
        "mode": pool.mode,
        "min": pool.min,
        "max": pool.max,
        "desired": pool.desired,
        "running": pool.running,
        "registered": pool.registered,
        "busy": pool.busy,
        "schedule": {"timeZone": pool.moment.time_zone, "active": active, "next": next},
    })
}

/// Up to how many pools are listed one by one.
const MANY: usize = 20;

/// How many incomplete pools are listed if there are many pools: with the rest, 24 lines.
const LACKING: usize = 6;

/// The longest name that has its numbers on the same line; those of a longer one are on the next line.
const NAME: usize = 30;

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
    row(&mut text, width, "all", &total(&status.pools).numbers());
    line(&mut text, "");
    if !more.is_empty() {
        line(
            &mut text,
            &format!("{} more pools lack runners", more.len()),
        );
    }
    let (all, fine) = (status.pools.len(), status.pools.len() - lacking.len());
    line(
        &mut text,
        &format!("{fine} of {all} pools have the runners they should have"),
    );
    line(&mut text, "-v shows all, --pool NAME one");
    text
}

/// The releases and the certificate.
fn installation(text: &mut String, status: &Status) {
    for release in &status.releases {
        let ReleaseStatus {
            name,
            version,
            status,
        } = release;
        line(text, &format!("release      {name}  {version}  {status}"));
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
    let head = ["MIN", "MAX", "DESIRED", "RUNNING", "REGISTERED", "BUSY"];
    row(text, width, "POOL", &head.map(str::to_owned));
    for pool in pools {
        row(text, width, &pool.name, &pool.numbers());
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
    }
    width
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

    /// Its numbers, `?` for unknown ones.
    pub(super) fn numbers(&self) -> [String; 6] {
        [
            self.min.to_string(),
            self.max.to_string(),
            count(self.desired),
            count(self.running),
            count(self.registered),
            count(self.busy),
        ]
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
    }
}

fn row(text: &mut String, width: usize, name: &str, numbers: &[String; 6]) {
    let [min, max, desired, running, registered, busy] = numbers;
    let numbers = format!("{min:>5} {max:>5} {desired:>8} {running:>8} {registered:>11} {busy:>5}");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::schedule::moment;

    fn pool(name: &str, registered: Option<usize>) -> PoolStatus {
        PoolStatus {
            name: name.into(),
            mode: Mode::default(),
            min: 50,
            max: 80,
            desired: Some(50),
            running: Some(50),
            registered,
            busy: Some(7),
            moment: moment(None, 50, jiff::Timestamp::UNIX_EPOCH),
            schedule: None,
        }
    }

    fn status(pools: Vec<PoolStatus>) -> Status {
        Status {
            profile: "p".into(),
            pools,
            ..Status::default()
        }
    }

    #[test]
    fn two_hundred_pools_are_one_screen_with_those_that_lack_runners() {
        let mut pools: Vec<PoolStatus> = (0..200)
            .map(|it| pool(&format!("pool-{it}"), Some(50)))
            .collect();
        pools[17].registered = Some(48);
        pools[150].registered = Some(0);
        pools[99].running = None;
        let all = status(pools);
        let short = text(&all, false);
        assert!(short.lines().count() <= 14, "{short}");
        assert!(short.lines().all(|it| it.chars().count() <= 80), "{short}");
        let at = |name: &str| short.find(&format!("\n{name} ")).unwrap();
        assert!(
            at("pool-150") < at("pool-17") && at("pool-99") < at("pool-17"),
            "{short}"
        );
        assert!(!short.contains("pool-18 "), "{short}");
        assert!(
            short.contains("197 of 200 pools have the runners they should have"),
            "{short}"
        );
        let total = short.lines().find(|it| it.starts_with("all ")).unwrap();
        let total: Vec<&str> = total.split_whitespace().collect();
        assert_eq!(
            total,
            ["all", "10000", "16000", "10000", "?", "9948", "1400"]
        );
        assert_eq!(text(&all, true).matches("\npool-").count(), 200);
    }

    #[test]
    fn more_than_a_screen_of_lacking_pools_is_counted() {
        let pools = (0..200)
            .map(|it| pool(&format!("p{it}"), Some(0)))
            .collect();
        let text = text(&status(pools), false);
        assert!(text.lines().count() <= 21, "{text}");
        assert!(
            text.contains("194 more pools lack runners\n0 of 200"),
            "{text}"
        );
    }

    #[test]
    fn a_long_name_is_neither_cut_nor_wraps_its_numbers() {
        let name = "a".repeat(60);
        let text = text(&status(vec![pool(&name, Some(50)), pool("b", None)]), false);
        assert!(text.lines().all(|it| it.chars().count() <= 80), "{text}");
        assert!(text.lines().any(|it| it == name), "{text}");
        assert!(text.contains(" ?     7\n"), "{text}");
    }

    #[test]
    fn a_scale_set_is_told_from_the_other_mode() {
        let mut set = pool("fast", Some(50));
        set.mode = Mode::ScaleSet;
        let status = status(vec![pool("basic", Some(50)), set]);
        let text = text(&status, false);
        assert_eq!(text.matches("scale set; ").count(), 1, "{text}");
        let document = document(&status);
        assert_eq!(document["pools"][0]["mode"], "runnerDeployment");
        assert_eq!(document["pools"][1]["mode"], "scaleSet");
    }

    #[test]
    fn a_change_is_a_line_and_the_same_is_none() {
        let before = status(vec![pool("a", Some(1)), pool("b", Some(1))]);
        let mut now = status(vec![pool("a", Some(2)), pool("b", Some(1))]);
        now.certificate = Some(CertificateStatus {
            ready: true,
            not_after: None,
        });
        assert_eq!(
            changes(&before, &now),
            ["certificate ready", "a: registered 1 -> 2"]
        );
        assert!(changes(&now, &now).is_empty());
    }
}

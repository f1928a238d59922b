//! Checks pass-through chart values against the values that the chart reads. Pure: no I/O.
//!
//! helm merges any key, and templates read only those that they know: a misspelt one has no effect, without an error.
//! The tables in `data/` have the keys of the oldest and the newest chart that arcctl installs; for versions between,
//! keys of either are accepted.

mod contents;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    profile::{
        Profile, Severity,
        lint::{Finding, kept_value},
        path::Path,
    },
    units::{table, version},
};

const CONTROLLER: &str = include_str!("../../data/values-controller.tsv");
const CERT_MANAGER: &str = include_str!("../../data/values-cert-manager.tsv");
const SCALE_SETS: &str = include_str!("../../data/values-scale-set-controller.tsv");

/// The first chart of the controller with the new values.
const CONTROLLER_NEW: (u64, u64, u64) = (0, 23, 5);
/// The last chart of the controller.
const CONTROLLER_LAST: (u64, u64, u64) = (0, 23, 7);
/// The versions of cert-manager's charts in the tables.
const CERT_MANAGER_OLD: (u64, u64) = (1, 12);
const CERT_MANAGER_NEW: (u64, u64) = (1, 21);
/// The version of the scale sets' charts in the table, and the first with the new values.
const SCALE_SETS_OLD: (u64, u64, u64) = (0, 14, 2);
const SCALE_SETS_NEW: (u64, u64, u64) = (0, 15, 0);
/// The minimum similarity of a suggestion (Jaro-Winkler).
const ALIKE: f64 = 0.88;

/// The type of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A map with known keys.
    Keys,
    /// A map that the chart passes to Kubernetes unchanged.
    Map,
    List,
    Bool,
    /// Text or a number.
    Value,
    /// More than one of these types.
    Any,
}

/// The known keys of a chart.
struct Chart {
    name: &'static str,
    version: String,
    /// Whether the table is for this version, and the chart is the project's own.
    exact: bool,
    keys: BTreeMap<&'static str, Kind>,
}

/// The problems of `controller.values`, `certManager.values` and `scaleSets.values`.
pub(crate) fn check(profile: &Profile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (section, chart, values) in [
        (
            "certManager",
            cert_manager(profile),
            &profile.cert_manager.values,
        ),
        (
            "controller",
            controller(profile),
            &profile.controller.values,
        ),
        ("scaleSets", scale_sets(profile), &profile.scale_sets.values),
    ] {
        let path = Path::root().key(section).key("values");
        chart.walk(values, "", &path, &mut findings);
        chart.check_contents(values, &path, &mut findings);
    }
    findings
}

fn controller(profile: &Profile) -> Chart {
    let version = &profile.controller.chart_version;
    let triple = version::triple(version);
    Chart {
        name: "actions-runner-controller",
        version: version.clone(),
        exact: profile.charts.controller.is_none() && triple <= CONTROLLER_LAST,
        keys: table(
            CONTROLLER,
            triple < CONTROLLER_NEW,
            triple >= CONTROLLER_NEW,
        ),
    }
}

fn cert_manager(profile: &Profile) -> Chart {
    let version = &profile.cert_manager.chart_version;
    let (major, minor, _) = version::triple(version);
    let (old, new) = (
        (major, minor) < CERT_MANAGER_NEW,
        (major, minor) > CERT_MANAGER_OLD,
    );
    Chart {
        name: "cert-manager",
        version: version.clone(),
        exact: profile.charts.cert_manager.is_none()
            && [CERT_MANAGER_OLD, CERT_MANAGER_NEW].contains(&(major, minor)),
        keys: table(CERT_MANAGER, old, new),
    }
}

fn scale_sets(profile: &Profile) -> Chart {
    let version = &profile.scale_sets.chart_version;
    let triple = version::triple(version);
    Chart {
        name: "gha-runner-scale-set-controller",
        version: version.clone(),
        exact: profile.charts.scale_sets.is_none() && triple == SCALE_SETS_OLD,
        keys: table(
            SCALE_SETS,
            triple < SCALE_SETS_NEW,
            triple >= SCALE_SETS_NEW,
        ),
    }
}

/// The rows of a table: those of both versions, and those of one version if requested.
fn table(text: &'static str, old: bool, new: bool) -> BTreeMap<&'static str, Kind> {
    let row = |mut parts: std::str::Split<'static, char>| {
        let (key, kind, only) = (parts.next()?, parts.next()?, parts.next().unwrap_or(""));
        let kind = match kind {
            "keys" => Kind::Keys,
            "map" => Kind::Map,
            "list" => Kind::List,
            "bool" => Kind::Bool,
            "value" => Kind::Value,
            _ => Kind::Any,
        };
        let wanted = match only {
            "old" => old,
            "new" => new,
            _ => true,
        };
        wanted.then_some((key, kind))
    };
    let mut keys = BTreeMap::new();
    for (key, kind) in table::rows(text).filter_map(row) {
        // If two versions disagree about a key, either type is accepted.
        let kind = match keys.get(key) {
            Some(known) if *known != kind => Kind::Any,
            _ => kind,
        };
        keys.insert(key, kind);
    }
    keys
}

/// `key` below `at`, which is empty for the values themselves.
fn dotted(at: &str, key: &str) -> String {
    if at.is_empty() {
        key.to_owned()
    } else {
        format!("{at}.{key}")
    }
}

impl Chart {
    fn walk(&self, values: &Map<String, Value>, at: &str, path: &Path, found: &mut Vec<Finding>) {
        for (key, value) in values {
            let dotted = dotted(at, key);
            let path = path.key(key);
            match (self.keys.get(dotted.as_str()), value) {
                // helm deletes a default that is null.
                (Some(_), Value::Null) | (Some(Kind::Any | Kind::Map), Value::Object(_)) => {}
                (Some(Kind::Keys), Value::Object(below)) => self.walk(below, &dotted, &path, found),
                (Some(kind), _) => {
                    if let Some(wanted) = wrong_kind(*kind, value) {
                        found.push(Finding {
                            message: format!(
                                "`{dotted}` must be {wanted}, but this is {}",
                                what(value)
                            ),
                            hint: Some("correct it: the chart would fail, or ignore it".into()),
                            severity: Severity::Error,
                            path,
                        });
                    }
                }
                (None, _) => found.push(self.unknown(key, at, &dotted, path)),
            }
        }
    }

    fn unknown(&self, key: &str, at: &str, dotted: &str, path: Path) -> Finding {
        let meant = self.meant(key, at);
        let severity = if meant.is_some() && self.exact {
            Severity::Error
        } else {
            Severity::Advice
        };
        let section = match self.name {
            "cert-manager" => "certManager",
            "gha-runner-scale-set-controller" => "scaleSets",
            _ => "controller",
        };
        // The suggested key may be one that the profile sets: then suggest the profile's key.
        let hint = match (meant, meant.and_then(|it| kept_value(section, it))) {
            (_, Some(instead)) => instead.to_owned(),
            (Some(meant), None) => format!("did you mean `{meant}`?"),
            (None, None) => format!(
                "remove it, or look for it with `helm show values` of {}",
                self.name
            ),
        };
        Finding {
            path,
            message: format!(
                "`{dotted}` is no value that chart {} {} reads: it would have no effect",
                self.name, self.version
            ),
            hint: Some(hint),
            severity,
        }
    }

    /// The key that was probably meant: a similar one of the same map, else the same key elsewhere.
    fn meant(&self, key: &str, at: &str) -> Option<&'static str> {
        let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
        let wanted = plain(key);
        let split = |dotted: &'static str| dotted.rsplit_once('.').unwrap_or(("", dotted));
        let beside = self
            .keys
            .keys()
            .map(|dotted| (*dotted, split(dotted)))
            .filter(|(_, (above, _))| *above == at)
            .map(|(dotted, (_, name))| (strsim::jaro_winkler(&wanted, &plain(name)), dotted))
            .filter(|(alike, _)| *alike >= ALIKE)
            .max_by(|left, right| left.0.total_cmp(&right.0));
        if let Some((_, dotted)) = beside {
            return Some(dotted);
        }
        let elsewhere = self
            .keys
            .keys()
            .map(|dotted| (*dotted, split(dotted)))
            .filter(|(_, (_, name))| plain(name) == wanted)
            .map(|(dotted, _)| dotted);
        // The one nearest to the root; `None` if several are equally near.
        let mut candidates: Vec<&'static str> = elsewhere.collect();
        candidates.sort_by_key(|dotted| dotted.matches('.').count());
        match candidates.as_slice() {
            [only] => Some(only),
            [first, second, ..] if first.matches('.').count() < second.matches('.').count() => {
                Some(first)
            }
            _ => None,
        }
    }
}

/// The type that a key requires instead of `value`; `None` if it may be right.
fn wrong_kind(kind: Kind, value: &Value) -> Option<&'static str> {
    match (kind, value) {
        (Kind::Any, _)
        | (Kind::Keys | Kind::Map, Value::Object(_))
        | (Kind::List, Value::Array(_))
        | (Kind::Bool, Value::Bool(_))
        | (Kind::Value, Value::String(_) | Value::Number(_) | Value::Bool(_)) => None,
        (Kind::Keys | Kind::Map, _) => Some("a map"),
        (Kind::List, _) => Some("a list"),
        (Kind::Bool, _) => Some("`true` or `false`"),
        (Kind::Value, _) => Some("text or a number"),
    }
}

const fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests;

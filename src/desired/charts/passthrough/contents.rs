//! Rules for values that a chart passes on unchanged: those that Kubernetes rejects, and those that prevent a program
//! from starting. Pure: no I/O.
//!
//! Sources: `ValidateResourceRequirements` and `ValidateLabels` of the API server; the flags of the controller (its
//! `main.go` and `logging`, which exit on an unknown level or format) and of cert-manager (numbers for `--v`).

use serde_json::{Map, Value};

use super::{Chart, dotted, what};
use crate::{
    desired::pool::pod_rules,
    profile::{Severity, lint::Finding, object_names, path::Path},
    units::quantity::Amount,
};

/// Suffixes of the keys of maps with text values.
const TEXTS: [&str; 4] = ["nodeSelector", "Labels", "Annotations", "annotations"];

/// Durations that Go parses.
const TIMES: [&str; 5] = [
    SCALE_DOWN_DELAY,
    "githubAPICacheDuration",
    "global.leaderElection.leaseDuration",
    "global.leaderElection.renewDeadline",
    "global.leaderElection.retryPeriod",
];

/// The only duration that its chart passes on even if empty (`--default-scale-down-delay=`, which ends the program);
/// for the others, and for a level, an empty value means "not set".
const SCALE_DOWN_DELAY: &str = "defaultScaleDownDelay";

/// cert-manager's three programs, by the path of their values.
const PARTS: [(&str, &str); 3] = [
    ("", "controller"),
    ("webhook", "webhook"),
    ("cainjector", "CA injector"),
];

impl Chart {
    /// Checks the values of known keys.
    pub(super) fn check_contents(
        &self,
        values: &Map<String, Value>,
        path: &Path,
        found: &mut Vec<Finding>,
    ) {
        let mut look = Look {
            is_cert_manager: self.name == "cert-manager",
            found,
        };
        look.map(values, "", path);
        if look.is_cert_manager {
            look.parts(values, path);
        }
    }
}

struct Look<'a> {
    is_cert_manager: bool,
    found: &'a mut Vec<Finding>,
}

impl Look<'_> {
    fn error(&mut self, path: Path, message: String, hint: impl Into<String>) {
        self.found.push(Finding {
            path,
            message,
            hint: Some(hint.into()),
            severity: Severity::Error,
        });
    }

    fn map(&mut self, values: &Map<String, Value>, at: &str, path: &Path) {
        for (key, value) in values {
            let dotted = dotted(at, key);
            let path = path.key(key);
            match value {
                Value::Object(map) if TEXTS.iter().any(|it| key.ends_with(it)) => {
                    self.texts(key, map, &path);
                }
                Value::Object(_) if key == "resources" => self.resources(value, &path),
                Value::Object(map) => {
                    if key == "podDisruptionBudget" {
                        self.budget(map, &path);
                    }
                    self.map(map, &dotted, &path);
                }
                Value::Array(list) if key == "tolerations" => {
                    let rules = pod_rules::tolerations(list, &path);
                    self.found.extend(rules);
                }
                Value::Array(_) | Value::Null => {}
                plain => self.plain(key, &dotted, plain, path),
            }
        }
    }

    /// Checks labels, annotations, selectors: Kubernetes requires text, and YAML parses `true` and `1` without quotes
    /// otherwise.
    fn texts(&mut self, of: &str, map: &Map<String, Value>, path: &Path) {
        for (key, value) in map {
            let at = path.key(key);
            let Value::String(text) = value else {
                if !value.is_null() {
                    let hint = match value {
                        Value::Bool(_) | Value::Number(_) => format!("write `\"{value}\"`"),
                        _ => "write one text".to_owned(),
                    };
                    self.error(
                        at,
                        format!("`{key}` is {}, and Kubernetes takes text here", what(value)),
                        hint,
                    );
                }
                continue;
            };
            if !object_names::is_key(key) {
                self.error(
                    at,
                    format!("`{key}` cannot be the name of a label or an annotation"),
                    format!("write {}", object_names::KEY),
                );
            } else if !of.to_lowercase().ends_with("annotations")
                && !object_names::is_label_value(text)
            {
                self.error(
                    at,
                    format!("`{text}` cannot be the value of a label"),
                    format!("write {}", object_names::VALUE),
                );
            }
        }
    }

    fn resources(&mut self, resources: &Value, path: &Path) {
        for key in ["requests", "limits"] {
            let amounts = resources.get(key).and_then(Value::as_object);
            for (name, amount) in amounts.into_iter().flatten() {
                let text = as_written(amount);
                if Amount::parse(&text).is_none() && !amount.is_null() {
                    self.error(
                        path.key(key).key(name),
                        format!("`{text}` is not a quantity"),
                        "write a number with a unit of Kubernetes, for example `500m`, `2` or `6Gi`",
                    );
                }
            }
        }
        self.found.extend(pod_rules::resources(resources, path));
    }

    /// A disruption budget has one of the two. The charts create one only if it is `enabled`.
    fn budget(&mut self, map: &Map<String, Value>, path: &Path) {
        if map.get("enabled") != Some(&Value::Bool(true)) {
            return;
        }
        let is_given = |key: &str| map.get(key).is_some_and(|it| !it.is_null() && *it != "");
        if is_given("minAvailable") && is_given("maxUnavailable") {
            self.error(
                path.key("maxUnavailable"),
                "`minAvailable` is there too, and a PodDisruptionBudget has one of them".into(),
                "keep one of them",
            );
        }
    }

    fn plain(&mut self, key: &str, dotted: &str, value: &Value, path: Path) {
        let text = as_written(value);
        if text.is_empty()
            && (key == "logLevel" || (TIMES.contains(&dotted) && dotted != SCALE_DOWN_DELAY))
        {
            return;
        }
        let number = text.parse::<i64>();
        match key {
            "timeoutSeconds"
                if ["webhook", "admissionWebHooks"]
                    .iter()
                    .any(|it| dotted == format!("{it}.timeoutSeconds"))
                    && !number.clone().is_ok_and(|it| (1..=30).contains(&it)) =>
            {
                self.error(
                    path,
                    format!("the API server waits from 1 to 30 seconds for a webhook, and this is {text}"),
                    "correct the number",
                );
            }
            "logLevel" if self.is_cert_manager && number.is_err() => {
                self.error(
                    path,
                    format!("cert-manager's level of logging is a number, and this is `{text}`"),
                    "write 2, or 4 for more",
                );
            }
            "logLevel" if !self.is_cert_manager => {
                let known = ["debug", "info", "warn", "error"];
                if !known.contains(&&*text) && number.is_err() {
                    self.error(
                        path,
                        format!("the controller does not start with the level `{text}`"),
                        "write `debug`, `info`, `warn` or `error`, or a number such as -2 for more than `debug`",
                    );
                }
            }
            "logFormat" if !["", "text", "json"].contains(&&*text) => self.error(
                path,
                format!("the controller does not start with the format `{text}`"),
                "write `text` or `json`",
            ),
            _ if TIMES.contains(&dotted) && !is_time(&text) => self.error(
                path,
                format!("`{text}` is no time that the program reads, and it would not start"),
                "write it with a unit, for example `5m`",
            ),
            _ => {}
        }
    }

    /// Checks the values of each of cert-manager's programs.
    fn parts(&mut self, values: &Map<String, Value>, path: &Path) {
        let values = Value::Object(values.clone());
        let of = |part: &str, key: &str| {
            let place = if part.is_empty() {
                &values
            } else {
                &values[part]
            };
            place.get(key).cloned().unwrap_or_default()
        };
        for (part, name) in PARTS {
            let count = of(part, "replicaCount");
            if count == 0 || count == "0" {
                let place = if part.is_empty() {
                    path.clone()
                } else {
                    path.key(part)
                };
                self.error(
                    place.key("replicaCount"),
                    format!(
                        "without its {name} cert-manager does nothing for the controller's webhooks"
                    ),
                    "write at least 1",
                );
            }
        }
        for key in ["nodeSelector", "tolerations", "affinity"] {
            let is_given = |value: &Value| {
                value.as_object().is_some_and(|it| !it.is_empty())
                    || value.as_array().is_some_and(|it| !it.is_empty())
            };
            let others: Vec<&str> = ["webhook", "cainjector"]
                .into_iter()
                .filter(|part| !is_given(&of(part, key)))
                .collect();
            if is_given(&of("", key)) && !others.is_empty() && !is_given(&of("global", key)) {
                let others: Vec<String> = others.iter().map(|it| format!("`{it}.{key}`")).collect();
                self.found.push(Finding {
                    path: path.key(key),
                    message: format!("`{key}` is for cert-manager's controller only, and its other pods go without"),
                    hint: Some(format!("write {} too", others.join(" and "))),
                    severity: Severity::Advice,
                });
            }
        }
    }
}

/// The text that a chart renders for a scalar.
fn as_written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether Go parses it as a duration: numbers with units, or 0.
fn is_time(text: &str) -> bool {
    let mut rest = text;
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let number = rest.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.');
        let units = ["ns", "us", "ms", "s", "m", "h"];
        let Some(after) = units.iter().find_map(|it| number.strip_prefix(it)) else {
            return false;
        };
        if number.len() == rest.len() {
            return false;
        }
        rest = after;
    }
    true
}

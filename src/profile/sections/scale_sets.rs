//! GitHub's own controller, for the pools that are runner scale sets. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::profile::SCALE_SET_NAMESPACE;

/// GitHub's own controller, for the pools of `mode: scaleSet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ScaleSets {
    /// The version of the charts `gha-runner-scale-set-controller` and `gha-runner-scale-set`.
    #[schemars(
        regex(pattern = r"^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$"),
        extend("patternErrorMessage" = "an exact version, for example `0.14.2`")
    )]
    pub chart_version: String,
    /// How many controller pods; one of them leads.
    #[schemars(range(min = 1, max = 9))]
    pub replicas: u32,
    /// The namespace of the controller and of the listeners.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"),
        extend("patternErrorMessage" = "the name of a namespace: 1 to 63 characters of a-z, 0-9 and `-`, with a letter or digit at both ends")
    )]
    pub namespace: String,
    /// Whether the controller and the listeners serve metrics, on port 8080 at `/metrics`.
    pub metrics: bool,
    /// How much the controller and the listeners write to their logs.
    pub log_level: LogLevel,
    /// Passed through to the controller's chart; what arcctl sets itself is an error here.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub values: Map<String, Value>,
}

/// How much a program writes to its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens.
    #[default]
    Info,
    /// What may be wrong.
    Warn,
    /// What is wrong.
    Error,
}

impl Default for ScaleSets {
    fn default() -> Self {
        Self {
            chart_version: "0.14.2".into(),
            replicas: 1,
            namespace: SCALE_SET_NAMESPACE.into(),
            metrics: false,
            log_level: LogLevel::default(),
            values: Map::new(),
        }
    }
}

impl LogLevel {
    /// Its name in the chart's values.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

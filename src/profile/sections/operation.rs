//! Monitoring, hardening and timeouts. Pure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::profile::{Auto, KubeDuration};

/// Metrics, alerts and the dashboard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Monitoring {
    /// A `ServiceMonitor` through the chart of the community's controller.
    pub service_monitor: Auto,
    /// `PodMonitors` of GitHub's own controller and of its listeners, with `scaleSets.metrics`.
    pub pod_monitor: Auto,
    /// A `PrometheusRule` with alerts and each pool's minimum in force.
    pub alerts: Auto,
    /// A Grafana dashboard in a labelled `ConfigMap`.
    pub dashboard: Auto,
    /// Labels of the monitors, the `PrometheusRule` and the dashboard, for example the one that Prometheus selects.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Objects that protect the controllers and the listeners, beside their charts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Hardening {
    /// `NetworkPolicies`: the controllers and the listeners are called at the ports of their webhooks and metrics only.
    pub network_policies: bool,
    /// `PodDisruptionBudgets`: one pod of a controller is evicted at a time.
    pub pod_disruption_budgets: bool,
}

/// How long each step may take once it can begin; `--timeout` caps the whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Timeouts {
    /// Until cert-manager's webhooks answer.
    pub cert_manager: KubeDuration,
    /// Until the controller's webhooks answer.
    pub controller: KubeDuration,
    /// Until the runner pods run.
    pub runners: KubeDuration,
    /// Until the runners are online at GitHub.
    pub registration: KubeDuration,
    /// Until busy runners are done, where pools or scale sets are removed.
    pub drain: KubeDuration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let five = KubeDuration::from_secs(300);
        Self {
            cert_manager: five,
            controller: five,
            runners: five,
            registration: five,
            drain: KubeDuration::from_secs(600),
        }
    }
}

//! The scaling of a pool: metrics, triggers, scheduled windows. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::profile::KubeDuration;

/// When the controller adds and removes runners.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scaling {
    /// One metric, or `PercentageRunnersBusy` and then `TotalNumberOfQueuedAndInProgressWorkflowRuns`; may be left out
    /// beside `triggers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub metrics: Vec<Metric>,
    /// Runners for each job that GitHub tells of by webhook; exactly one, where there is any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1))]
    pub triggers: Vec<Trigger>,
    /// How long after adding runners none is removed; 10m where left out (the controller's default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay: Option<KubeDuration>,
}

/// Runners that are added for each event that GitHub sends to the controller's webhook server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Trigger {
    /// The event of a job that is queued and whose labels the pool has; written as `{}`.
    pub workflow_job: WorkflowJob,
    /// Has no effect: the controller adds one runner for each job.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub amount: u32,
    /// How long they are kept for it, where its end is never told; 10m where left out (the controller's default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<KubeDuration>,
}

const fn one() -> u32 {
    1
}

/// The event `workflow_job`, the only one that works since app 0.27 (reference: arc.md 2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkflowJob {}

/// One measure of need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Metric {
    /// What is measured.
    #[serde(rename = "type")]
    pub kind: MetricType,
    /// For `TotalNumberOfQueuedAndInProgressWorkflowRuns` in an organization: the repositories to ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// When and by how much runners are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<Step>,
    /// When and by how much runners are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<Step>,
}

/// What the controller can measure (reference: `HorizontalRunnerAutoscaler.spec.metrics[].type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MetricType {
    /// The share of runners with a job.
    PercentageRunnersBusy,
    /// Jobs waiting and running, asked of GitHub.
    TotalNumberOfQueuedAndInProgressWorkflowRuns,
}

/// A threshold with a factor or an adjustment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Step {
    /// The share of busy runners, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub threshold: Option<f64>,
    /// The number of runners is multiplied by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// This many runners are added or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub adjustment: Option<u32>,
}

/// Windows of wall-clock time in which another minimum holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Schedule {
    /// An IANA time zone, for example Asia/Seoul.
    pub time_zone: String,
    /// The first window that is open wins.
    #[schemars(length(min = 1))]
    pub windows: Vec<Window>,
}

/// One window: daily (`HH:MM`), on days of the week (`days`, or `Ddd HH:MM`), or dated (`YYYY-MM-DD HH:MM`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Window {
    /// What it is called in `status` and `schedule`.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The days on which a window of `HH:MM` opens, for example `Mon-Fri` or `Sat, Sun`; every day where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(-(Mon|Tue|Wed|Thu|Fri|Sat|Sun))?(, ?(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(-(Mon|Tue|Wed|Thu|Fri|Sat|Sun))?)*$"),
        extend("patternErrorMessage" = "days and ranges of days, for example `Mon-Fri` or `Sat, Sun`")
    )]
    pub days: Option<String>,
    /// When it opens.
    #[schemars(
        regex(pattern = r"^((Mon|Tue|Wed|Thu|Fri|Sat|Sun) |[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]) )?([01][0-9]|2[0-3]):[0-5][0-9]$"),
        extend("patternErrorMessage" = "`HH:MM` for every day (or those in `days`), `Ddd HH:MM` for every week, for example `Sat 00:00`, or `YYYY-MM-DD HH:MM` for a date")
    )]
    pub from: String,
    /// When it closes.
    #[schemars(
        regex(pattern = r"^((Mon|Tue|Wed|Thu|Fri|Sat|Sun) |[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]) )?([01][0-9]|2[0-3]):[0-5][0-9]$"),
        extend("patternErrorMessage" = "`HH:MM` for every day (or those in `days`), `Ddd HH:MM` for every week, for example `Sat 00:00`, or `YYYY-MM-DD HH:MM` for a date")
    )]
    pub to: String,
    /// How a dated window comes back; once where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// The last date on which it opens, for a window that comes back; for ever where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"),
        extend("patternErrorMessage" = "a date, for example `2027-03-01`")
    )]
    pub until: Option<String>,
    /// The fewest runners while it is open.
    #[schemars(range(min = 0, max = 10000))]
    pub min: u32,
}

/// When it is open, in the words of the profile.
impl std::fmt::Display for Window {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(days) = &self.days {
            write!(formatter, "{days} ")?;
        }
        write!(formatter, "from {} to {}", self.from, self.to)?;
        match self.repeat {
            Some(Repeat::Monthly) => formatter.write_str(", every month")?,
            Some(Repeat::Yearly) => formatter.write_str(", every year")?,
            None => {}
        }
        if let Some(until) = &self.until {
            write!(formatter, ", until {until}")?;
        }
        Ok(())
    }
}

/// How a dated window comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Repeat {
    /// On the same day of each month that has it.
    Monthly,
    /// On the same date of each year that has it.
    Yearly,
}

//! A run as `arcctl.run/v1` and as a closing line. Pure: no I/O.

pub mod critical_path;
pub mod pause;

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use self::pause::pauses;
use crate::{
    clients::requests::Counts,
    error::{Error, ErrorDocument},
    execute::StepResult,
    plan::Action,
    profile::{Mode, Pool},
};

/// The calls of a run, by system.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Requests {
    /// To the API server.
    pub kubernetes: Counts,
    /// To AWS.
    pub aws: Counts,
    /// To GitHub.
    pub github: Counts,
    /// Helm processes.
    pub helm: u64,
}

/// How many pools have a line of their own after a run.
const SHOWN_POOLS: usize = 3;

/// A run that ended.
pub struct Run {
    /// The profile's name.
    pub profile: String,
    /// The steps, in the order they ended.
    pub steps: Vec<StepResult>,
    /// When it began, by the local clock.
    pub began: Instant,
    /// How long it took.
    pub elapsed: Duration,
    /// The calls it made.
    pub requests: Requests,
    /// Why it did not succeed.
    pub error: Option<Error>,
}

#[derive(Serialize)]
struct StepDocument {
    id: String,
    action: Action,
    outcome: &'static str,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    begin: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDocument>,
}

/// Seconds with milliseconds.
pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

impl Run {
    /// A run that failed before it began.
    pub fn refused(profile: &str, began: Instant, error: Error) -> Self {
        Self {
            profile: profile.into(),
            steps: Vec::new(),
            began,
            elapsed: began.elapsed(),
            requests: Requests::default(),
            error: Some(error),
        }
    }

    /// How many resources were written, those included whose step then failed.
    pub fn changed(&self) -> usize {
        self.steps.iter().filter(|it| it.written).count()
    }

    /// Whether it has changed something, or a step of its own has failed: only then an error says something of what it makes.
    pub fn has_tried(&self) -> bool {
        let errors = self.steps.iter().filter_map(|it| it.error.as_ref());
        let mut own = errors.filter(|it| !it.passing && !it.consequence);
        self.changed() > 0 || own.next().is_some()
    }

    /// Whether any step was started: none if the user answered no.
    pub fn is_started(&self) -> bool {
        self.steps.is_empty() || self.steps.iter().any(|it| it.action.is_some())
    }

    /// The result, as in the JSON document.
    pub fn outcome(&self) -> &'static str {
        match &self.error {
            Some(error) => error.kind.outcome(),
            None if self.is_started() => "ok",
            None => "not-started",
        }
    }

    /// The JSON document.
    pub fn document(&self) -> Value {
        let steps: Vec<StepDocument> = self.steps.iter().map(|it| step(it, self.began)).collect();
        json!({
            "schema": "arcctl.run/v1",
            "profile": self.profile,
            "outcome": self.outcome(),
            "changed": self.changed(),
            "seconds": seconds(self.elapsed),
            "steps": steps,
            "pauses": pauses(&self.steps),
            "requests": self.requests,
            "error": self.error.as_ref().map(Error::document),
        })
    }

    /// Where to look after a run of `up` that has changed something, line by line.
    pub fn next(&self, pools: &[Pool]) -> Vec<String> {
        if self.changed() == 0 {
            return vec!["see `arcctl status` for the runners".to_owned()];
        }
        let mut lines = vec![
            "next: `arcctl status` shows the runners, `arcctl doctor` checks all of it".to_owned(),
        ];
        lines.extend(pools.iter().take(SHOWN_POOLS).map(|pool| {
            let runs_on = match pool.mode {
                // GitHub gives a scale set its name as a label, and not `self-hosted`.
                Mode::ScaleSet => pool.name.clone(),
                Mode::RunnerDeployment => {
                    let labels = pool.labels.iter().map(String::as_str);
                    let all: Vec<&str> = std::iter::once("self-hosted").chain(labels).collect();
                    format!("[{}]", all.join(", "))
                }
            };
            format!("a job on pool {}: `runs-on: {runs_on}`", pool.name)
        }));
        lines
    }

    /// The closing line of a teardown that succeeded.
    pub fn removed(&self) -> String {
        let removed = match self.changed() {
            0 => "nothing to remove".to_owned(),
            1 => "1 resource removed".to_owned(),
            count => format!("{count} resources removed"),
        };
        format!("{removed}, {:.1} s\n", self.elapsed.as_secs_f64())
    }

    /// The closing line of a verification that succeeded.
    pub fn verified(&self, online: &str) -> String {
        let checks = match self.steps.len() {
            1 => "1 check passed".to_owned(),
            count => format!("{count} checks passed"),
        };
        format!("{checks}, {online}, {:.1} s\n", self.elapsed.as_secs_f64())
    }

    /// The closing line for people, of a run that succeeded.
    pub fn text(&self, online: &str) -> String {
        let changed = match self.changed() {
            0 => "nothing to change".to_owned(),
            1 => "1 resource changed".to_owned(),
            count => format!("{count} resources changed"),
        };
        format!("{changed}, {online}, {:.1} s\n", self.elapsed.as_secs_f64())
    }
}

fn step(result: &StepResult, began: Instant) -> StepDocument {
    let since = |at: Instant| seconds(at.saturating_duration_since(began));
    let outcome = match (&result.error, result.action) {
        (Some(error), _) => error.kind.outcome(),
        (None, Some(_)) => "ok",
        (None, None) => "not-started",
    };
    StepDocument {
        id: result.id.to_string(),
        action: result.action.unwrap_or(Action::Later),
        outcome,
        seconds: seconds(result.elapsed),
        begin: result.span.as_ref().map(|it| since(it.began)),
        end: result.span.as_ref().map(|it| since(it.ended)),
        error: result.error.as_ref().map(Error::document),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{desired::resource::Id, error::System};

    fn run(written: bool, error: Option<Error>) -> Run {
        let step = StepResult {
            id: Id::new("helm-release", Some("a"), "b"),
            action: Some(Action::Keep),
            written,
            elapsed: Duration::ZERO,
            span: None,
            error,
        };
        Run {
            steps: vec![step],
            ..Run::refused("x", Instant::now(), Error::failed(System::Local, "y"))
        }
    }

    #[test]
    fn a_job_finds_a_pool_of_each_mode() {
        let profile = crate::profile::load(
            "apiVersion: arcctl.dev/v1\nname: x\ncluster: {context: c}\n\
             github: {organization: o, token: {env: T}}\npools:\n\
             - {name: a, image: \"r:v2.336.0-ubuntu-22.04\", labels: [gpu], min: 1, max: 2}\n\
             - {name: linux, mode: scaleSet, image: \"r:v2.336.0-ubuntu-22.04\", min: 1, max: 2}\n",
            "x",
        )
        .unwrap()
        .profile;
        let lines = run(true, None).next(&profile.pools);
        assert_eq!(
            lines[1..],
            [
                "a job on pool a: `runs-on: [self-hosted, gpu]`",
                "a job on pool linux: `runs-on: linux`",
            ]
        );
    }

    #[test]
    fn a_run_has_tried_what_it_has_written_or_waited_for() {
        let error = || Error::failed(System::Kubernetes, "not ready");
        assert!(!run(false, None).has_tried(), "refused before its steps");
        assert!(run(true, None).has_tried());
        assert!(run(false, Some(error())).has_tried());
        let consequence = Error {
            consequence: true,
            ..error()
        };
        assert!(!run(false, Some(consequence)).has_tried());
    }
}

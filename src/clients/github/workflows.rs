//! Workflows and their runs: dispatch, find, watch, cancel.

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    GitHub,
    auth::app::Purpose,
    error::workflow::{Asked, WorkflowCase, workflow_refusal},
    hidden,
    request::With,
    response::Answer,
    runners::PAGE,
};
use crate::{clients::requests::Call, error::Result};

/// A repository, with the fields that dispatching needs.
#[derive(Clone, Debug, Deserialize)]
pub struct Repository {
    /// `OWNER/NAME`, as GitHub spells it.
    pub full_name: String,
    /// The default branch.
    pub default_branch: String,
    /// Whether it is private.
    #[serde(default)]
    pub private: bool,
    /// The token's permissions there; GitHub does not return them for every kind of token.
    #[serde(default)]
    pub permissions: Option<RepositoryPermissions>,
}

/// A token's permissions in a repository.
#[derive(Clone, Debug, Deserialize)]
pub struct RepositoryPermissions {
    /// Read access. For an App's token both are false, whatever its permissions are.
    pub pull: bool,
    /// Write access.
    pub push: bool,
}

/// A run of a workflow.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: u64,
    /// Its `run-name`.
    #[serde(default)]
    pub display_title: String,
    /// `queued`, `in_progress`, `completed`, `waiting` and others.
    pub status: Option<String>,
    /// Its conclusion, once completed.
    pub conclusion: Option<String>,
    /// Its page.
    pub html_url: String,
}

/// A job of a run.
#[derive(Clone, Debug, Deserialize)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// `queued`, `in_progress`, `completed`, `waiting` and others.
    pub status: String,
    /// Its conclusion, once completed.
    pub conclusion: Option<String>,
    /// Its `runs-on` labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The name of its runner; empty for a job without a runner.
    pub runner_name: Option<String>,
    /// When it was queued.
    pub created_at: Option<Timestamp>,
    /// When a runner started it; meaningless before.
    pub started_at: Option<Timestamp>,
    /// When it was completed.
    pub completed_at: Option<Timestamp>,
    /// The URL of its page, with the log.
    pub html_url: Option<String>,
    /// Its steps, including those that GitHub adds.
    #[serde(default)]
    pub steps: Vec<JobStep>,
}

/// A step of a job.
#[derive(Clone, Debug, Deserialize)]
pub struct JobStep {
    /// Its name.
    pub name: String,
    /// Its conclusion, once completed.
    pub conclusion: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Runs {
    pub(super) workflow_runs: Vec<Run>,
}

#[derive(Deserialize)]
pub(super) struct Jobs {
    pub(super) jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct Workflow {
    state: String,
}

impl GitHub {
    /// The repository `name` (`OWNER/NAME`).
    pub async fn repository(&self, name: &str) -> Result<Repository> {
        let path = format!("repos/{name}");
        let answer = self.look(name, Asked::Repository, &path).await?;
        self.json(&answer, "the repository")
    }

    /// Dispatches the workflow in `file` on `reference`. GitHub returns no run id (up to GHES 3.19); the run is found by its
    /// name. Never retried: each call would start another run.
    pub async fn dispatch(
        &self,
        name: &str,
        file: &str,
        reference: &str,
        inputs: &Value,
    ) -> Result<()> {
        let path = format!("repos/{name}/actions/workflows/{file}/dispatches");
        let body = json!({"ref": reference, "inputs": inputs});
        let bearer = self.bearer(Purpose::Workflows(name)).await?;
        let answer = self
            .attempt_with(
                Call::Write,
                &Method::POST,
                &path,
                With::Body(&body),
                &bearer,
            )
            .await?;
        if answer.is_taken() {
            return Ok(());
        }
        let disabled = if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
            self.is_disabled(name, file).await
        } else {
            None
        };
        let asked = Asked::Dispatch {
            file,
            reference,
            disabled,
        };
        Err(self.no(&answer, name, asked).await)
    }

    /// Whether a workflow is disabled, by a user or by GitHub after 60 days; `None` where GitHub does not return it.
    async fn is_disabled(&self, name: &str, file: &str) -> Option<bool> {
        let path = format!("repos/{name}/actions/workflows/{file}");
        let answer = self.look(name, Asked::Run, &path).await.ok()?;
        let workflow: Workflow = self.json(&answer, "the workflow").ok()?;
        Some(workflow.state.starts_with("disabled"))
    }

    /// The newest runs with the event `workflow_dispatch`.
    pub async fn dispatched_runs(&self, name: &str) -> Result<Vec<Run>> {
        let path = format!("repos/{name}/actions/runs?event=workflow_dispatch&per_page={PAGE}");
        let answer = self.look(name, Asked::Run, &path).await?;
        let runs: Runs = self.json(&answer, "the list of runs")?;
        Ok(runs.workflow_runs)
    }

    /// The run `id`.
    pub async fn run(&self, name: &str, id: u64) -> Result<Run> {
        let path = format!("repos/{name}/actions/runs/{id}");
        let answer = self.look(name, Asked::Run, &path).await?;
        self.json(&answer, "the run")
    }

    /// The jobs of the latest attempt of the run `id`.
    pub async fn jobs(&self, name: &str, id: u64) -> Result<Vec<Job>> {
        let mut jobs = Vec::new();
        for page in 1.. {
            let path = format!("repos/{name}/actions/runs/{id}/jobs?per_page={PAGE}&page={page}");
            let answer = self.look(name, Asked::Run, &path).await?;
            let answer: Jobs = self.json(&answer, "the list of jobs")?;
            let count = answer.jobs.len();
            jobs.extend(answer.jobs);
            if count < PAGE {
                break;
            }
        }
        Ok(jobs)
    }

    /// Cancels the run `id`; succeeds if it is already completed.
    pub async fn cancel(&self, name: &str, id: u64) -> Result<()> {
        let path = format!("repos/{name}/actions/runs/{id}/cancel");
        let bearer = self.bearer(Purpose::Workflows(name)).await?;
        let answer = self
            .attempt(Call::Write, &Method::POST, &path, &bearer)
            .await?;
        if answer.status.is_success() || answer.status == StatusCode::CONFLICT {
            return Ok(());
        }
        Err(self.no(&answer, name, Asked::Cancel).await)
    }

    async fn look(&self, name: &str, asked: Asked<'_>, path: &str) -> Result<Answer> {
        let bearer = self.bearer(Purpose::Workflows(name)).await?;
        let answer = self
            .attempt(Call::Read, &Method::GET, path, &bearer)
            .await?;
        if answer.is_taken() {
            return Ok(answer);
        }
        Err(self.no(&answer, name, asked).await)
    }

    async fn no(&self, answer: &Answer, name: &str, asked: Asked<'_>) -> crate::error::Error {
        let case = WorkflowCase {
            server: &self.server,
            kind: self.kind,
            repository: name,
            asked,
        };
        let error = workflow_refusal(answer, &case);
        match self.bearer(Purpose::Workflows(name)).await {
            Ok(bearer) => hidden(error, &bearer),
            Err(error) => error,
        }
    }
}

//! Workflows and their runs, as a smoke test needs them: dispatch, list, follow, cancel.
//!
//! Pure: no I/O.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::access::may;
use super::call::{Answer, Call};
use super::examples::{DEFAULT_BRANCH, Examples};
use super::jobs::Job;
use super::owner::Owner;
use super::refusal::Refusal;
use super::state::State;
use super::token::Token;

/// A run of a workflow.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its id.
    pub id: u64,
    /// Its repository, `OWNER/NAME`.
    pub repository: String,
    /// The workflow's file.
    pub workflow: String,
    /// What the run is called in lists.
    pub title: String,
    /// The branch it was dispatched on.
    pub reference: String,
    /// When it was dispatched.
    pub created_at: Timestamp,
    /// Its jobs.
    pub jobs: Vec<Job>,
}

impl Run {
    /// `queued`, `in_progress` or `completed`.
    pub fn status(&self) -> &'static str {
        let over = |job: &Job| job.status() == "completed";
        if self.jobs.iter().all(over) {
            "completed"
        } else if self.jobs.iter().all(|job| job.status() == "queued") {
            "queued"
        } else {
            "in_progress"
        }
    }

    /// How it ended: as the worst of its jobs.
    pub fn conclusion(&self) -> Option<&str> {
        let ended = |word: &str| {
            self.jobs
                .iter()
                .any(|job| job.conclusion.as_deref() == Some(word))
        };
        match self.status() {
            "completed" => ["failure", "cancelled", "success"]
                .into_iter()
                .find(|word| ended(word))
                .or(Some("skipped")),
            _ => None,
        }
    }
}

/// Answers `repos/O/R/actions/workflows…` and `…/runs…`; `rest` is what follows `actions`.
pub(super) fn answer(
    state: &mut State,
    call: &Call<'_>,
    token: &Token,
    owner: &Owner,
    rest: &[&str],
    examples: &Examples<'_>,
) -> Result<Answer, Refusal> {
    let Owner::Repository(login, name) = owner else {
        return Err(Refusal::NotFound);
    };
    let repository = format!("{login}/{name}");
    let write = *call.method != Method::GET;
    may(state, token, owner, Some("actions"), write)?;
    let find = |state: &State, id: &str| {
        let run = id
            .parse()
            .ok()
            .and_then(|id: u64| state.runs.get(&id).cloned());
        run.filter(|run| run.repository == repository)
            .ok_or(Refusal::NotFound)
    };
    match (call.method, rest) {
        (&Method::POST, ["workflows", file, "dispatches"]) => {
            dispatch(state, call, &repository, file)
        }
        (&Method::GET, ["workflows", file]) => {
            let known = state.workflow(&repository, file).ok_or(Refusal::NotFound)?;
            Ok(Answer::ok(json!({
                "id": 1, "name": known.file, "path": format!(".github/workflows/{file}"), "state": "active",
            })))
        }
        (&Method::GET, ["runs"]) => {
            let runs = state
                .runs
                .values()
                .rev()
                .filter(|run| run.repository == repository);
            let shown = runs
                .filter(|run| listed(run, call))
                .map(|run| examples.run(run));
            Ok(call.page("workflow_runs", &shown.collect::<Vec<_>>()))
        }
        (&Method::GET, ["runs", id]) => Ok(Answer::ok(examples.run(&find(state, id)?))),
        (&Method::GET, ["runs", id, "jobs"]) => {
            let run = find(state, id)?;
            let jobs: Vec<Value> = run
                .jobs
                .iter()
                .map(|job| examples.job(state, &run, job))
                .collect();
            Ok(call.page("jobs", &jobs))
        }
        (&Method::POST, ["runs", id, "cancel"]) => {
            let id = find(state, id)?.id;
            let run = state.runs.get_mut(&id).ok_or(Refusal::NotFound)?;
            if run.status() == "completed" {
                return Err(Refusal::Conflict(
                    "Cannot cancel a workflow run that is completed.".to_owned(),
                ));
            }
            run.jobs.iter_mut().for_each(Job::cancel);
            Ok(Answer::accepted(json!({})))
        }
        _ => Err(Refusal::NotFound),
    }
}

fn dispatch(
    state: &mut State,
    call: &Call<'_>,
    repository: &str,
    file: &str,
) -> Result<Answer, Refusal> {
    let workflow = state
        .workflow(repository, file)
        .cloned()
        .ok_or(Refusal::NotFound)?;
    let body = call.json()?;
    let inputs = body["inputs"].as_object().cloned().unwrap_or_default();
    if let Some(reason) = workflow.refuses(&inputs) {
        return Err(Refusal::Unprocessable(reason));
    }
    let reference = body["ref"].as_str().unwrap_or_default();
    if reference != DEFAULT_BRANCH {
        return Err(Refusal::Unprocessable(format!(
            "No ref found for: {reference}"
        )));
    }
    let jobs = workflow.jobs(&inputs);
    let jobs = jobs
        .iter()
        .map(|(template, runs)| Job::new(state.new_id(), template, *runs));
    let jobs = jobs.collect();
    let id = state.new_id();
    let run = Run {
        id,
        repository: repository.to_owned(),
        workflow: file.to_owned(),
        title: workflow.title(&inputs),
        reference: reference.to_owned(),
        created_at: Timestamp::now(),
        jobs,
    };
    state.runs.insert(id, run);
    Ok(Answer::no_content())
}

/// Whether the query's filters let a run through. Of `created`, only `>=TIME` is known.
fn listed(run: &Run, call: &Call<'_>) -> bool {
    let since = call
        .query
        .get("created")
        .and_then(|text| text.strip_prefix(">="));
    let since = since.and_then(|text| text.parse::<Timestamp>().ok());
    let is = |name: &str, value: &str| call.query.get(name).is_none_or(|asked| asked == value);
    is("event", "workflow_dispatch")
        && (is("status", run.status()) || run.conclusion().is_some_and(|c| is("status", c)))
        && is("branch", &run.reference)
        && since.is_none_or(|since| run.created_at.as_second() >= since.as_second())
}

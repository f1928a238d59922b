//! Workflows and their runs, as far as a smoke test sees them: dispatch, list, follow.
//!
//! Pure: no I/O.

use http::Method;
use jiff::Timestamp;

use super::access::may;
use super::call::{Answer, Call};
use super::examples::Examples;
use super::owner::Owner;
use super::refusal::Refusal;
use super::state::State;
use super::token::Token;

/// A workflow that can be dispatched.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// Its repository, `OWNER/NAME`.
    pub repository: String,
    /// Its file in `.github/workflows`.
    pub file: String,
    /// Its `run-name`; `${{ inputs.NAME }}` is filled in. Without one, the file's name.
    pub run_name: Option<String>,
    /// The labels its one job asks for.
    pub runs_on: Vec<String>,
}

/// A run of a workflow; it has one job. Nothing moves it on but the test (or the kubelet's stand-in).
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
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// `success`, `failure` or `cancelled`, once completed.
    pub conclusion: Option<String>,
    /// When it was dispatched.
    pub created_at: Timestamp,
    /// The labels its job asks for.
    pub labels: Vec<String>,
    /// The name of the runner its job is on.
    pub runner: Option<String>,
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
            Ok(call.page("jobs", &[examples.job(state, &run)]))
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
    let known = |workflow: &&Workflow| {
        workflow.repository.eq_ignore_ascii_case(repository) && workflow.file == file
    };
    let workflow = state
        .workflows
        .iter()
        .find(known)
        .cloned()
        .ok_or(Refusal::NotFound)?;
    let body = call.json()?;
    let mut title = workflow.run_name.unwrap_or_else(|| file.to_owned());
    for (name, value) in body["inputs"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        title = title.replace(&format!("${{{{ inputs.{name} }}}}"), value);
    }
    let id = state.new_id();
    let run = Run {
        id,
        repository: repository.to_owned(),
        workflow: file.to_owned(),
        title,
        reference: body["ref"].as_str().unwrap_or_default().to_owned(),
        status: "queued".to_owned(),
        conclusion: None,
        created_at: Timestamp::now(),
        labels: workflow.runs_on,
        runner: None,
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
        && (is("status", &run.status) || run.conclusion.as_ref().is_some_and(|c| is("status", c)))
        && is("branch", &run.reference)
        && since.is_none_or(|since| run.created_at.as_second() >= since.as_second())
}

//! A run: observes, plans, prompts and executes for a session, and records the result.

pub(crate) mod backup;
pub(crate) mod doctor_fix;
pub(crate) mod doctor_probe;
pub(crate) mod dry_runs;
pub(crate) mod install;
pub(crate) mod ordinary;
pub(crate) mod permissions;
mod prune;
mod rollback;
pub(crate) mod teardown;
pub(crate) mod verify;

use std::{collections::BTreeMap, time::Instant};

use crate::{
    clients::requests::Counts,
    desired::Desired,
    error::{Error, Result},
    execute::{
        StepResult,
        lease::{Hold, Lease},
    },
    plan::Action,
    report::run::{Requests, Run},
    session::Session,
    terminal::{args::GlobalArgs, deadline::RunLimit, environment::variable, output::Output},
};

/// The description of the work before there is a plan.
pub(crate) const READING: &str = "reading the cluster and GitHub";

/// The report of a run with a session.
pub(crate) fn ended(
    session: &Session,
    started: Instant,
    steps: Vec<StepResult>,
    error: Option<Error>,
) -> Run {
    Run {
        profile: session.context.profile.name.clone(),
        steps,
        began: started,
        elapsed: started.elapsed(),
        requests: requests(session),
        error,
    }
}

/// Writes a run where GitHub Actions and `-o json` want it, and its error. The exit code of a failure; `None` where it
/// succeeded.
pub(crate) fn tell(run: &Run, command: &str, global: &GlobalArgs, output: Output) -> Option<u8> {
    global.actions.run(run, command);
    if output.is_json() {
        output.document(&run.document());
    }
    let error = run.error.as_ref()?;
    output.print_error(error);
    Some(error.kind.exit_code())
}

/// The result of a run: its steps, and its error.
pub(crate) type Ended = (Vec<StepResult>, Option<Error>);

/// Reports remarks about resources that are new since `before`: earlier ones are in the plan.
pub(crate) fn say_remarks(session: &Session, before: &BTreeMap<String, String>, output: Output) {
    for (id, remark) in session.context.remarks.all() {
        if before.get(&id) != Some(&remark) {
            output.note(format!("advice: `{id}`: {remark}"));
        }
    }
}

/// Acquires the lease of a run; `None` where the command holds it for all of its runs.
async fn lease(session: &Session, limit: &RunLimit, hold: Hold) -> Result<Option<Lease>> {
    if limit.has_lease() {
        return Ok(None);
    }
    let (kube, profile) = (&session.context.kube, &session.context.profile);
    let home = &profile.controller.namespace;
    let lease = Lease::acquire(kube, home, &profile.name, &holder(), hold).await?;
    Ok(Some(lease))
}

/// Reports that the run has taken over the lease of a run that has ended.
pub(crate) fn say_taken_over(lease: &Lease, output: Output) {
    if let Some(dead) = &lease.taken_over {
        output.note(format!(
            "took over the lease of a run that has ended: {dead}"
        ));
    }
}

/// The steps of a run without changes.
pub(crate) fn kept(session: &Session) -> Vec<StepResult> {
    untouched(&session.desired, Some(Action::Keep))
}

pub(crate) fn not_started(desired: &[Desired]) -> Vec<StepResult> {
    untouched(desired, None)
}

fn untouched(desired: &[Desired], action: Option<Action>) -> Vec<StepResult> {
    let step = |desired: &Desired| StepResult {
        id: desired.id.clone(),
        action,
        written: false,
        elapsed: std::time::Duration::ZERO,
        span: None,
        error: None,
    };
    desired.iter().map(step).collect()
}

/// The holder name of this run in its lease.
pub(crate) fn holder() -> String {
    let user = variable("USER")
        .or_else(|| variable("LOGNAME"))
        .unwrap_or_else(|| "somebody".into());
    let host = variable("HOSTNAME")
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok())
        .unwrap_or_else(|| "a host".into());
    format!("{user}@{} (process {})", host.trim(), std::process::id())
}

fn requests(session: &Session) -> Requests {
    Requests {
        kubernetes: session.context.kube.requests.snapshot(),
        aws: session
            .context
            .aws
            .as_ref()
            .map_or_else(Counts::default, |aws| aws.requests.snapshot()),
        github: session.context.github_requests(),
        helm: session.context.helm.processes(),
    }
}

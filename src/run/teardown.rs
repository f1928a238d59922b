//! A run of `teardown`: prompts, and deletes in order.

use super::{
    Ended, holder, kept, not_started, permissions::check_permissions, say_remarks, say_taken_over,
};
use crate::{
    clients::kube::Target,
    desired::{Desired, Phase},
    error::Result,
    execute::{self, Options, StepResult, lease::Lease},
    plan::Plan,
    report::{self, plan::Layout},
    session::Session,
    terminal::{deadline::RunLimit, output::Output, progress::Progress, prompt},
};

/// Prompts, and executes.
pub(crate) async fn attempt(
    yes: bool,
    session: &Session,
    plan: &Plan,
    limit: &mut RunLimit,
    output: Output,
) -> Result<Ended> {
    let text = report::plan::text(plan, output.verbosity > 0, Layout::InOrder);
    if plan.is_unchanged() {
        output.note(text.trim_end());
        return Ok((kept(session), None));
    }
    if !prompt::confirmed(text.trim_end(), "Remove all this?", yes, limit, output)? {
        return Ok((not_started(&session.desired), None));
    }
    let allowed = check_permissions(session, plan);
    limit.within("asking for permissions", allowed).await?;
    let options = limit.options(&session.context.profile.timeouts, false, true);
    let before = session.context.remarks.all();
    let ended = execute(session, &options, limit, output).await;
    say_remarks(session, &before, output);
    Ok(ended)
}

/// Runs all phases under the lease; last, without it, deletes the inventory, and the namespace of both.
async fn execute(
    session: &Session,
    options: &Options<'_>,
    limit: &RunLimit,
    output: Output,
) -> Ended {
    let context = &session.context;
    let mut progress = Progress::new(output, &session.desired);
    let mut on_event = |event: &execute::Event| progress.event(event);
    let (memory, rest): (Vec<Desired>, Vec<Desired>) = session
        .desired
        .iter()
        .cloned()
        .partition(|it| it.phase == Phase::Memory);
    let lease = match lease(session, options, limit).await {
        Ok(lease) => lease,
        Err(error) => return (not_started(&session.desired), Some(error)),
    };
    match &lease {
        Some(lease) => say_taken_over(lease, output),
        None => output.note("advice: there is no namespace to hold a lease in: make sure that nobody else runs arcctl on this cluster now"),
    }
    let mut steps = execute::execute(&rest, context, options, &mut on_event).await;
    let failed = |steps: &[StepResult]| execute::ending(steps, options);
    if let Some(error) = failed(&steps) {
        if let Some(lease) = lease {
            lease.release().await;
        }
        steps.extend(not_started(&memory));
        return (steps, Some(error));
    }
    if let Some(lease) = lease {
        lease.keep().await;
    }
    steps.extend(execute::execute(&memory, context, options, &mut on_event).await);
    let error = failed(&steps);
    (steps, error)
}

/// The lease; `None` if its namespace is deleted or terminating.
async fn lease(
    session: &Session,
    options: &Options<'_>,
    limit: &RunLimit,
) -> Result<Option<Lease>> {
    let kube = &session.context.kube;
    let home = &session.context.profile.controller.namespace;
    let namespace = Target::cluster("v1", "Namespace", home);
    let taken = async {
        match kube.get(&namespace).await? {
            Some(live) if live["metadata"]["deletionTimestamp"].is_null() => {}
            _ => return Ok(None),
        }
        let profile = &session.context.profile.name;
        Lease::acquire(kube, home, profile, &holder(), options.hold())
            .await
            .map(Some)
    };
    limit.within("waiting for the lease", taken).await
}

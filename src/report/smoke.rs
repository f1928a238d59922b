//! The result of `arcctl smoke`, as text and as `arcctl.smoke/v1`. Pure: no I/O.

use std::{fmt::Write, time::Duration};

use serde_json::{Value, json};

use crate::{
    desired::render::workflow,
    error::Error,
    smoke::{LabelStory, PoolStory, Smoke, Step},
};

/// The JSON document.
pub fn document(smoke: &Smoke) -> Value {
    let run = smoke.run.as_ref().map(
        |it| json!({"id": it.id, "url": it.url, "state": it.state, "cancelled": it.cancelled}),
    );
    let pools: Vec<Value> = smoke.pools.iter().map(|it| pool(smoke, it)).collect();
    json!({
        "schema": "arcctl.smoke/v1",
        "profile": smoke.profile,
        "outcome": smoke.error.as_ref().map_or("ok", |it| it.kind.outcome()),
        "repository": smoke.repository,
        "workflow": workflow::PATH,
        "ref": smoke.reference,
        "nonce": smoke.nonce,
        "run": run,
        "pools": pools,
        "seconds": tenths(smoke.elapsed),
        "error": smoke.error.as_ref().map(Error::document),
    })
}

/// The JSON document of a failure before the dispatch.
pub fn failure(profile: &str, error: &Error) -> Value {
    json!({
        "schema": "arcctl.smoke/v1",
        "profile": profile,
        "outcome": error.kind.outcome(),
        "repository": null,
        "workflow": workflow::PATH,
        "ref": null,
        "nonce": null,
        "run": null,
        "pools": [],
        "seconds": 0.0,
        "error": error.document(),
    })
}

fn pool(smoke: &Smoke, pool: &PoolStory) -> Value {
    let steps: Vec<Value> = pool
        .steps
        .iter()
        .map(|it| json!({"name": it.name, "conclusion": it.conclusion}))
        .collect();
    json!({
        "name": pool.pool,
        "outcome": outcome(smoke, pool),
        "url": pool.url,
        "state": pool.state,
        "queuedSeconds": pool.queued.map(|it| it.as_secs()),
        "ranSeconds": pool.ran.map(|it| it.as_secs()),
        "runner": pool.runner,
        "steps": steps,
        "replacedSeconds": pool.replaced.map(tenths),
        "replacement": pool.replacement,
        "labels": pool.labels.iter().map(label).collect::<Vec<_>>(),
        "error": pool.first_error().map(Error::document),
    })
}

fn label(label: &LabelStory) -> Value {
    json!({
        "label": label.label,
        "url": label.url,
        "state": label.state,
        "queuedSeconds": label.queued.map(|it| it.as_secs()),
        "runner": label.runner,
        "error": label.error.as_ref().map(Error::document),
    })
}

/// A pool that is not verified and has no error of its own gets the result of the run.
fn outcome(smoke: &Smoke, pool: &PoolStory) -> &'static str {
    let of_the_run = smoke.error.as_ref().filter(|_| !pool.proven);
    match pool.first_error().or(of_the_run) {
        Some(error) => error.kind.outcome(),
        None if pool.proven => "ok",
        None => "not-started",
    }
}

fn tenths(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}

/// One block for each pool, and a summary; at most 80 columns wide with names of usual length.
pub fn text(smoke: &Smoke) -> String {
    let mut text = String::new();
    for pool in &smoke.pools {
        let mark = if pool.proven { "✓" } else { "✗" };
        let _ignored = writeln!(text, "{mark} pool {}", pool.pool);
        let mut line = |name: &str, value: &str| {
            let _ignored = writeln!(text, "    {name:<9} {value}");
        };
        match &pool.runner {
            Some(runner) => line("runner", runner),
            None => line("runner", "none took the job"),
        }
        if let Some(queued) = pool.queued {
            let ran = pool.ran.map_or_else(
                || "it has not ended".to_owned(),
                |it| format!("it ran {} s", it.as_secs()),
            );
            line("job", &format!("queued {} s, {ran}", queued.as_secs()));
        }
        for step in &pool.steps {
            line("step", &format!("{} {}", step.name, ended(step)));
        }
        for label in &pool.labels {
            line("label", &proof(label));
        }
        match (pool.replaced, &pool.replacement) {
            (Some(after), Some(new)) => {
                line(
                    "replaced",
                    &format!("by {new} after {:.1} s", after.as_secs_f64()),
                );
            }
            (Some(after), None) => {
                line(
                    "replaced",
                    &format!("the pool is complete after {:.1} s", after.as_secs_f64()),
                );
            }
            (None, _) => {}
        }
        if let Some(error) = pool.first_error() {
            line("fault", &error.message);
        }
    }
    if let Some(run) = &smoke.run {
        let _ignored = writeln!(text, "run {}", run.url);
    }
    if smoke.pools.is_empty() {
        return text;
    }
    let proven = smoke.pools.iter().filter(|it| it.proven).count();
    let _ignored = writeln!(
        text,
        "{proven} of {} pools ran a job, {:.1} s",
        smoke.pools.len(),
        smoke.elapsed.as_secs_f64()
    );
    text
}

/// Whether a job that asked for a label ran.
fn proof(label: &LabelStory) -> String {
    let name = &label.label;
    match (&label.runner, label.state.as_deref()) {
        (Some(runner), Some("success")) if label.error.is_none() => format!("{name} ✓ {runner}"),
        (Some(runner), Some(state)) => format!("{name} {state}, {runner}"),
        (_, Some(state)) => format!("{name} {state}, none took the job"),
        (_, None) => format!("{name} has no job yet"),
    }
}

fn ended(step: &Step) -> &str {
    match step.conclusion.as_deref() {
        Some("success") => "✓",
        Some("failure") => "✗ failed",
        Some(other) => other,
        None => "…",
    }
}

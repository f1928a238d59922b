//! `arcctl doctor --probe`: a short-lived Job that tests a runner's requirements from a runner's place. It is recorded
//! before it is created, under the lease, and always deleted, also after a Ctrl-C. The Job of a killed run is deleted by
//! the next probe, the next `up`, a teardown, or two minutes after its end.

use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use futures::future::join_all;
use tokio::{sync::watch, time::Instant};

use super::holder;
use crate::{
    clients::kube::Target,
    desired::{
        Desired, Goal, Phase,
        lock::Pins,
        names,
        pool::probe::jobs,
        resource::{Probe, Resource},
    },
    doctor::snapshot::{Fact, Probed},
    error::{Error, Result, System},
    execute::{
        self, Options, StepResult,
        lease::{Hold, Lease},
    },
    inventory,
    profile::Profile,
    resource::context::Context,
    session::wanted_error,
    terminal::{output::Output, progress::Progress, signals::StopSender},
};

/// The timeout of the pods.
const LIMIT: Duration = Duration::from_secs(90);

/// The timeout of their deletion.
const REMOVAL_LIMIT: Duration = Duration::from_secs(30);

/// Runs the Jobs, and returns the results of their pods.
pub(crate) async fn run(context: &Context, stop: &StopSender, output: Output) -> Fact<Vec<Probed>> {
    for name in context.profile.namespaces() {
        let target = Target::cluster("v1", "Namespace", name);
        if context.kube.get(&target).await?.is_none() {
            return Err(Error::failed(
                System::Kubernetes,
                format!("{target} does not exist: there is nowhere to run a probe"),
            )
            .object(format!("namespace/-/{name}"))
            .hint("create it with `arcctl up`"));
        }
    }
    let profile = &context.profile;
    let steps = steps(profile, &context.pins)?;
    let hold = Hold {
        stop: stop.clone(),
        paused: watch::Sender::new(false),
    };
    let lease = Lease::acquire(
        &context.kube,
        &profile.controller.namespace,
        &profile.name,
        &holder(),
        hold.clone(),
    )
    .await?;
    let probed = recorded(context, &steps, &hold, output).await;
    lease.release().await;
    probed
}

/// The Jobs, with the images of the lock, and the pool that each is for.
fn steps(profile: &Profile, pins: &Pins) -> Result<Vec<(String, Desired)>> {
    let jobs = jobs(profile).map_err(|it| wanted_error(&it))?.into_iter();
    let pinned = jobs.map(|(pool, mut job)| {
        pins.pin(&mut job);
        (pool, step(job))
    });
    Ok(pinned.collect())
}

fn step(job: serde_json::Value) -> Desired {
    Desired {
        id: names::object_id(&job),
        phase: Phase::Preflight,
        after: Vec::new(),
        resource: Resource::Probe(Probe { job }),
        goal: Goal::Present,
    }
}

async fn recorded(
    context: &Context,
    steps: &[(String, Desired)],
    hold: &Hold,
    output: Output,
) -> Fact<Vec<Probed>> {
    let (kube, profile) = (&context.kube, &context.profile);
    let desired: Vec<Desired> = steps.iter().map(|(_, it)| it.clone()).collect();
    inventory::record(kube, profile, &desired).await?;
    // The Job of a killed run would return old results.
    remove(context, &desired, hold, output).await?;
    let results = make(context, &desired, hold, output).await;
    let mut probed = Vec::new();
    for ((pool, desired), result) in steps.iter().zip(results) {
        probed.push(Probed {
            pool: pool.clone(),
            said: match (result.and_then(|it| it.error), &desired.resource) {
                (Some(error), _) => Err(error),
                (None, Resource::Probe(probe)) => probe.answers(context).await,
                (None, _) => Ok(Vec::new()),
            },
        });
    }
    match remove(context, &desired, hold, output).await {
        Ok(()) => {
            let ids: BTreeSet<String> = desired.iter().map(|it| it.id.to_string()).collect();
            inventory::forget(kube, profile, &ids).await?;
        }
        Err(error) => output.note(format!(
            "advice: the probe stays for now: {}; the next `arcctl up` takes it away",
            error.document().message
        )),
    }
    Ok(probed)
}

/// Each separately: a pod of one pool without a node proves nothing about other pools.
async fn make(
    context: &Context,
    desired: &[Desired],
    hold: &Hold,
    output: Output,
) -> Vec<Option<StepResult>> {
    let progress = RefCell::new(Progress::new(output, desired));
    let stops: Vec<StopSender> = desired.iter().map(|_| watch::Sender::new(None)).collect();
    let runs = desired.iter().zip(&stops).map(|(desired, stop)| {
        let progress = &progress;
        async move {
            let options = options(context, LIMIT, stop.clone(), hold);
            let mut on_event = |event: &execute::Event| progress.borrow_mut().event(event);
            let desired = std::slice::from_ref(desired);
            let ended = execute::execute(desired, context, &options, &mut on_event).await;
            ended.into_iter().next()
        }
    });
    let mut runs = Box::pin(join_all(runs));
    let mut stopped = hold.stop.subscribe();
    let why = tokio::select! {
        results = &mut runs => return results,
        why = stopped.wait_for(Option::is_some) => why.ok().and_then(|it| *it),
    };
    // Not dropped: a write in flight completes, so that the created Job is known, and deleted.
    for stop in &stops {
        stop.send_replace(why.or(Some(execute::Stop::Failed)));
    }
    runs.await
}

/// Deletes the Jobs, whatever stopped the rest.
async fn remove(context: &Context, desired: &[Desired], hold: &Hold, output: Output) -> Result<()> {
    let gone: Vec<Desired> = desired
        .iter()
        .map(|it| Desired {
            goal: Goal::Absent,
            ..it.clone()
        })
        .collect();
    let options = options(context, REMOVAL_LIMIT, watch::Sender::new(None), hold);
    let mut progress = Progress::new(output, desired);
    let mut on_event = |event: &execute::Event| match event {
        // Do not report that there was nothing to delete.
        execute::Event::Finished { .. } => {}
        event => progress.event(event),
    };
    let steps = execute::execute(&gone, context, &options, &mut on_event).await;
    execute::first_error(&steps).map_or(Ok(()), |error| Err(error.clone()))
}

fn options<'a>(
    context: &'a Context,
    limit: Duration,
    stop: StopSender,
    hold: &Hold,
) -> Options<'a> {
    Options {
        adopt: false,
        may_write: true,
        looks_only: false,
        deadline: Instant::now() + limit,
        limit,
        timeouts: &context.profile.timeouts,
        stop,
        paused: hold.paused.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{desired::lock::Lock, profile::load};

    #[test]
    fn a_probe_has_the_image_of_the_lock() {
        let text = include_str!("../../profiles/reference.yaml");
        let profile = load(text, "reference").unwrap().profile;
        let image = |steps: &[(String, Desired)]| {
            let Resource::Probe(probe) = &steps[0].1.resource else {
                panic!("{:?}", steps[0].1.resource);
            };
            let pod = &probe.job["spec"]["template"]["spec"];
            pod["containers"][0]["image"].as_str().unwrap().to_owned()
        };
        let plain = image(&steps(&profile, &Pins::default()).unwrap());
        let locked = json!({"image": plain, "digest": "sha256:1", "from": [], "locked": "2026-11-27T00:00:00Z"});
        let lock = json!({"version": 1, "profile": "x", "charts": [], "images": [locked]});
        let pins = Pins::of(&Lock::parse(&lock.to_string()).unwrap());
        let pinned = image(&steps(&profile, &pins).unwrap());
        assert_eq!(pinned, format!("{plain}@sha256:1"));
    }
}

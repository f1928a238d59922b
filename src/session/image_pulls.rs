//! Adds to a plan the images that are pulled ahead: of pools that get new pods, where nodes lack them.
//!
//! Without an answer of the API server nothing is pulled: it only saves time. `-v` says why.

use std::{collections::BTreeMap, slice};

use futures::{StreamExt, stream};

use super::{Session, set_order};
use crate::{
    clients::kube::Selection,
    desired::{
        Desired, Phase,
        names::pool_id,
        pool::prepull::{Candidate, images},
        resource::{Id, Resource},
    },
    error::{Error, Result},
    observe::CONCURRENT,
    plan::{Action, Plan, Step, consequence::new_pods, planned},
    resource::{
        kubernetes::access::{by_resource, to_pull_ahead},
        observed::{Observed, Ownership},
        pods::{
            dry_run::Trial,
            parts::{Part, of_objects},
            quotas::Quotas,
        },
    },
};

/// A pull, and the pools that it is for, with what happens to their runners.
type Pull = (Candidate, Vec<(Id, Action)>);

/// Adds the steps to the session and to `plan`.
pub(crate) async fn add(session: &mut Session, plan: &mut Plan) -> Result<()> {
    let pulls = candidates(session, plan);
    if pulls.is_empty() {
        return Ok(());
    }
    let found = match Box::pin(steps(session, pulls)).await {
        Ok(found) => found,
        Err(error) => {
            not_pulled("the images of all pools", &error.document().message);
            return Ok(());
        }
    };
    for (desired, step, pools) in found {
        let replaced = pools.iter().filter(|it| it.1 == Action::Update);
        for (id, _) in replaced {
            let mut runners = session.desired.iter_mut();
            if let Some(runners) = runners.find(|it| it.id == *id) {
                // Its runners work until their successors can start.
                runners.after.push(desired.id.clone());
            }
        }
        // What a run that was killed has left is used, and removed then.
        session.desired.retain(|it| it.id != desired.id);
        plan.steps.retain(|it| it.id != desired.id.as_str());
        let at = |phases: &mut dyn Iterator<Item = Phase>| {
            let before = phases.take_while(|it| *it < desired.phase);
            before.count()
        };
        let place = at(&mut session.desired.iter().map(|it| it.phase));
        session.desired.insert(place, desired.clone());
        let place = at(&mut plan.steps.iter().map(|it| it.phase));
        plan.steps.insert(place, step);
    }
    set_order(&mut session.desired)
}

/// The pools of the profile that get new pods by `plan`: one candidate for those with the same images and placement.
fn candidates(session: &Session, plan: &Plan) -> Vec<Pull> {
    let profile = &session.context.profile;
    let mut found: Vec<Pull> = Vec::new();
    for pool in &profile.pools {
        let id = pool_id(&pool.namespace, &pool.name);
        let is_left = session.context.remarks.deferred(id.as_str()).is_some();
        let Some(action) = new_pods(plan, &pool.namespace, &pool.name).filter(|_| !is_left) else {
            continue;
        };
        // The dry runs have computed the pod before.
        let runner = session.context.runner_pod(pool);
        let runner = runner.map_err(|error| error.to_string());
        let candidate = runner.and_then(|runner| {
            Candidate::of(profile, pool, &runner).map_err(|why| why.to_string())
        });
        let candidate = match candidate {
            Ok(candidate) => candidate,
            Err(why) => {
                not_pulled(&of_pool(&pool.name), &why);
                continue;
            }
        };
        let same =
            |it: &&mut Pull| it.0.namespace == candidate.namespace && it.0.pod == candidate.pod;
        match found.iter_mut().find(same) {
            Some(known) => known.1.push((id, action)),
            None => found.push((candidate, vec![(id, action)])),
        }
    }
    found
}

type Found = (Desired, Step, Vec<(Id, Action)>);

/// The steps of the pulls that are possible and of use.
async fn steps(session: &Session, mut pulls: Vec<Pull>) -> Result<Vec<Found>> {
    let kube = &session.context.kube;
    let nodes = Selection::all("v1", "Node");
    kube.each(&nodes, |node| {
        for it in &mut pulls {
            it.0.see(node);
        }
    })
    .await?;
    let mut wanted = Vec::new();
    for (candidate, pools) in pulls {
        match candidate.decide(&session.context.profile) {
            Ok(desired) => wanted.push((candidate, desired, pools)),
            Err(why) => not_pulled(&of_pool(&candidate.pool), &why.to_string()),
        }
    }
    let mut refused: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (candidate, ..) in &wanted {
        if !refused.contains_key(&candidate.namespace) {
            let why = refused_in(session, &candidate.namespace).await?;
            refused.insert(candidate.namespace.clone(), why);
        }
    }
    wanted.retain(|(candidate, ..)| {
        let why = refused.get(&candidate.namespace).and_then(Option::as_ref);
        why.inspect(|why| not_pulled(&of_pool(&candidate.pool), why))
            .is_none()
    });
    let mut admitted = Vec::new();
    for (candidate, desired, pools) in wanted {
        match refused_pod(session, &desired).await {
            Some(why) => not_pulled(&of_pool(&candidate.pool), &why),
            None => admitted.push((candidate, desired, pools)),
        }
    }
    let steps = stream::iter(admitted)
        .map(|(candidate, desired, pools)| async move {
            let step = step(session, &candidate, &desired).await?;
            Ok::<_, Error>(step.map(|step| (desired, step, pools)))
        })
        .buffered(CONCURRENT)
        .collect::<Vec<_>>()
        .await;
    let steps: Result<Vec<Option<Found>>> = steps.into_iter().collect();
    Ok(steps?.into_iter().flatten().collect())
}

/// Why pods that pull cannot be made in a namespace, or must not: they would use up a quota that the runners need.
async fn refused_in(session: &Session, namespace: &str) -> Result<Option<String>> {
    let kube = &session.context.kube;
    let quotas = Selection::namespaced("v1", "ResourceQuota", namespace);
    if !kube.list(&quotas).await?.is_empty() {
        return Ok(Some(format!(
            "namespace `{namespace}` has a ResourceQuota, which the runners need for themselves"
        )));
    }
    let needed = to_pull_ahead(namespace);
    let answers = needed.iter().map(|it| async move {
        let allowed = kube.allows(&it.review()).await?;
        Ok::<_, Error>((!allowed).then_some(it))
    });
    let answers = futures::future::try_join_all(answers).await?;
    let lacking: Vec<_> = answers.into_iter().flatten().collect();
    Ok((!lacking.is_empty()).then(|| {
        format!(
            "this user may not {} (docs/rbac.yaml has these rights)",
            by_resource(&lacking).join("; ")
        )
    }))
}

/// Why the API server would refuse the pods that pull, by a dry run; `None` as well where their namespace does not exist yet,
/// or nobody can tell: then the `DaemonSet` shows it.
async fn refused_pod(session: &Session, desired: &Desired) -> Option<String> {
    let Resource::ImagePull(pull) = &desired.resource else {
        return None;
    };
    let makers = slice::from_ref(&pull.daemon_set);
    let pod = of_objects(Part::Own, &desired.id, makers, pull.namespace()).pop()?;
    match pod.try_pod(&session.context, &Quotas::default()).await {
        Trial::Refused(refusal) => Some(format!("its pods are refused: {}", refusal.said)),
        _ => None,
    }
}

/// The step in the plan; `None` where an object of its name is somebody else's.
async fn step(session: &Session, candidate: &Candidate, desired: &Desired) -> Result<Option<Step>> {
    let Resource::ImagePull(pull) = &desired.resource else {
        return Ok(None);
    };
    let left = pull.remains(&session.context).await?;
    if let Observed::Present(present) = &left
        && present.ownership != Ownership::Ours
    {
        let why = "an object of its name is not arcctl's";
        not_pulled(&of_pool(&candidate.pool), why);
        return Ok(None);
    }
    let nodes = pull.nodes.len();
    let images: Vec<String> = images(&candidate.pod).map(|it| format!("`{it}`")).collect();
    let s = if nodes == 1 { "" } else { "s" };
    let mut step = planned(desired, &Observed::Absent, false)?;
    // What a run that was killed has left is used.
    if !matches!(left, Observed::Absent) {
        step.action = Action::Update;
    }
    step.note = Some(format!(
        "pulls {} ahead on {nodes} node{s}; removed again in the same run",
        images.join(" and ")
    ));
    tracing::info!(
        "{} is made: {}",
        desired.id,
        step.note.as_deref().unwrap_or_default()
    );
    Ok(Some(step))
}

fn of_pool(pool: &str) -> String {
    format!("the images of pool `{pool}`")
}

fn not_pulled(what: &str, why: &str) {
    tracing::info!("{what} are not pulled ahead: {why}");
}

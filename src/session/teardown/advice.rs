//! Messages of a teardown before its prompt, and the error if it would delete the runner that runs this process.

use serde_json::Value;

use super::in_namespaces_of_pools;
use crate::{
    clients::kube::{Kube, Target},
    desired::{
        Desired, Goal, record,
        resource::{Id, Resource},
        teardown::{self, Records},
    },
    error::{Error, ErrorKind, Result, System},
    resource::{context::Context, deletion::Removal, scale_sets::objects::set_of},
    terminal::{environment::variable, output::Output},
};

/// Reports the recorded CRDs that stay without `--crds`.
pub(super) fn say_crds(records: &Records, output: Output) {
    let charts: Vec<String> = records
        .keys()
        .filter_map(|id| Id::parse(id).filter(|it| it.kind() == "crds"))
        .map(|it| format!("`{}`", it.name()))
        .collect();
    if !charts.is_empty() {
        output.note(format!(
            "advice: the CRDs of {} stay, because objects of others may be of these kinds; `--crds` deletes them too",
            charts.join(", ")
        ));
    }
}

/// Reports resources that cannot be deleted since their records are incomplete.
pub(in crate::session) fn say_what_stays(records: &Records, profile: &str, output: Output) {
    for (id, details) in records.iter().filter(|(id, _)| teardown::is_at_aws(id)) {
        let known = Id::parse(id).and_then(|it| record::resource(&it, details, profile));
        if known.is_none() {
            output.note(format!(
                "advice: `{id}` stays at AWS: its record does not say what of it is arcctl's; remove it by hand"
            ));
        }
    }
}

/// Reports why arcctl removes the runners instead of the controller.
pub(super) fn say_by_hand(removal: &Removal, output: Output) {
    if let Some(why) = &removal.by_hand {
        output.note(format!(
            "advice: {why}: arcctl itself removes the runners at GitHub and their finalizers"
        ));
    }
}

/// Fails if the run would delete the runner that runs this process.
pub(crate) async fn refuse_own_runner(context: &Context, desired: &[Desired]) -> Result<()> {
    for it in desired.iter().filter(|it| it.goal == Goal::Absent) {
        let pool = match &it.resource {
            Resource::Drain(drain) => (&drain.namespace, &drain.pool),
            Resource::ScaleSetDrain(drain) => (&drain.namespace, &drain.name),
            _ => continue,
        };
        refuse_runner_of(&context.kube, (pool.0, pool.1)).await?;
    }
    Ok(())
}

/// Fails if this process runs on a runner of the pool, by its namespace and name, which a command is to remove.
pub(crate) async fn refuse_runner_of(kube: &Kube, (namespace, pool): (&str, &str)) -> Result<()> {
    let Some(name) = variable("RUNNER_NAME") else {
        return Ok(());
    };
    let target = Target::namespaced("v1", "Pod", namespace, &name);
    let pod = kube.get(&target).await?;
    let is_of_it = |it: &Value| {
        it["metadata"]["labels"]["runner-deployment-name"] == *pool || set_of(it) == Some(pool)
    };
    if !pod.as_ref().is_some_and(is_of_it) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Refused,
        System::Local,
        format!("arcctl runs in `{name}`, a runner of pool `{pool}`, which this command removes"),
    )
    .object(format!("pod/{namespace}/{name}"))
    .hint("run it on your own machine, or on a runner that is not deleted"))
}

/// Reports which jobs `--force` ends.
pub(super) async fn say_jobs(context: &Context, output: Output) -> Result<()> {
    if context.removal.without_github.is_some() {
        output.note(
            "advice: --force ends all jobs on the runners; arcctl cannot query GitHub for them",
        );
        return Ok(());
    }
    let pods = in_namespaces_of_pools(context.removal.recorded.iter(), "v1", "Pod");
    let pods = context.kube.list_each(&pods).await?;
    for runner in context.runners().await?.iter().filter(|it| it.busy) {
        if pods.iter().any(|it| it["metadata"]["name"] == runner.name) {
            output.note(format!(
                "advice: --force ends the job on runner `{}`; GitHub lists the runner until it detects that",
                runner.name
            ));
        }
    }
    Ok(())
}

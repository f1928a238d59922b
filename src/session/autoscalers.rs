//! The autoscalers that others have for the pools, or under their names. Pure: no I/O.

use serde_json::Value;

use super::conflicts::name;
use crate::{
    desired::{names, pool::autoscaler::scales_a_set},
    error::{Error, ErrorKind, Result, System},
    profile::Profile,
};

/// Fails where the autoscaler of a `RunnerSet` has the name that the one of a pool gets: the `RunnerSet` would lose it.
pub(super) fn check_names(autoscalers: &[Value], profile: &Profile) -> Result<()> {
    let taken = autoscalers.iter().find(|it| {
        let namespace = it["metadata"]["namespace"].as_str().unwrap_or_default();
        let pool = profile.pool(namespace, name(it));
        scales_a_set(it) && pool.is_some_and(|it| !it.is_scale_set())
    });
    let Some(taken) = taken else {
        return Ok(());
    };
    let (namespace, autoscaler) = (&taken["metadata"]["namespace"], name(taken));
    let namespace = namespace.as_str().unwrap_or_default();
    let set = taken["spec"]["scaleTargetRef"]["name"]
        .as_str()
        .unwrap_or_default();
    Err(Error::new(
        ErrorKind::Refused,
        System::Kubernetes,
        format!("HorizontalRunnerAutoscaler `{autoscaler}` scales RunnerSet `{set}`, and pool `{autoscaler}` needs one of this name"),
    )
    .object(format!("horizontal-runner-autoscaler/{namespace}/{autoscaler}"))
    .hint("give the RunnerSet's autoscaler another name (create it anew, then delete this one), or the pool another name"))
}

/// The autoscalers of another name on the `RunnerDeployments` of the profile's pools. A `RunnerSet` may have the same name.
pub(super) fn rivals(autoscalers: &[Value], profile: &Profile) -> Vec<Value> {
    let is_rival = |it: &&Value| {
        let namespace = it["metadata"]["namespace"].as_str().unwrap_or_default();
        let target = it["spec"]["scaleTargetRef"]["name"].as_str();
        let is_of_a_pool = |it: &str| profile.pool(namespace, it).is_some();
        !scales_a_set(it) && target.is_some_and(|target| is_of_a_pool(target) && name(it) != target)
    };
    let whole = |it: &Value| {
        // The items of a list have no kind.
        let mut it = it.clone();
        it["apiVersion"] = names::ARC_API_VERSION.into();
        it["kind"] = "HorizontalRunnerAutoscaler".into();
        it
    };
    autoscalers.iter().filter(is_rival).map(whole).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile() -> Profile {
        crate::desired::tests::profile(&json!({}))
    }

    fn autoscaler(name: &str, kind: &str, target: &str) -> Value {
        json!({"metadata": {"namespace": "actions-runner", "name": name},
            "spec": {"scaleTargetRef": {"kind": kind, "name": target}}})
    }

    #[test]
    fn only_autoscalers_of_the_pools_own_objects_are_rivals() {
        let profile = profile();
        let pool = profile.pools[0].name.as_str();
        let all = [
            autoscaler("other", "RunnerDeployment", pool),
            autoscaler("sets", "RunnerSet", pool),
            autoscaler(pool, "RunnerDeployment", pool),
            autoscaler("far", "RunnerDeployment", "another"),
        ];
        let found = rivals(&all, &profile);
        assert_eq!(found.iter().map(name).collect::<Vec<_>>(), ["other"]);
    }

    #[test]
    fn a_runner_set_keeps_the_autoscaler_that_has_a_pools_name() {
        let profile = profile();
        let pool = profile.pools[0].name.as_str();
        let own = autoscaler(pool, "RunnerDeployment", pool);
        assert!(check_names(&[own, autoscaler("x", "RunnerSet", "x")], &profile).is_ok());
        let error = check_names(&[autoscaler(pool, "RunnerSet", "set")], &profile).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.message.contains("scales RunnerSet `set`"), "{error}");
    }
}

//! Checks whether pods have the role of their service account. Pure: no I/O.
//!
//! EKS adds it when a pod is created, and accepts the pod if it cannot: a pod from before the annotation or
//! the association, or while EKS's webhook was down, runs without the role and without an error (reference: arc.md 9).

use serde_json::Value;

use crate::{profile::RoleVia, resource::observed::Readiness};

/// Which of `pods` lack the role; `None` where none does. `kind` is what is deleted, by the pod's name, so that its controller
/// starts another: the pod, or what has the pod.
pub(crate) fn without_role(pods: &[Value], via: RoleVia, kind: &str) -> Option<Readiness> {
    let lacking: Vec<(&str, String)> = pods
        .iter()
        .filter_map(|pod| {
            Some((
                pod["metadata"]["name"].as_str()?,
                missing_variable(pod, via)?,
            ))
        })
        .collect();
    let (_, first) = lacking.first()?;
    let names: Vec<&str> = lacking.iter().map(|(name, _)| *name).collect();
    let namespace = pods[0]["metadata"]["namespace"]
        .as_str()
        .unwrap_or_default();
    Some(Readiness::stuck(
        format!(
            "these pods were started before their service account had its role, or without EKS's webhook `pod-identity-webhook`: {} ({first})",
            names.join(", ")
        ),
        format!(
            "once their jobs have ended: `kubectl -n {namespace} delete {kind} {}`; the controller starts new ones",
            names.join(" ")
        ),
    ))
}

/// What `pod` lacks of its role, and where.
pub(crate) fn missing_variable(pod: &Value, via: RoleVia) -> Option<String> {
    let mut containers = pod["spec"]["containers"].as_array()?.iter();
    containers.find_map(|container| {
        let has = |variable: &str| {
            let mut variables = container["env"].as_array().into_iter().flatten();
            variables.any(|it| it["name"] == variable)
        };
        let variable = via.variables().into_iter().find(|it| !has(it))?;
        let name = container["name"].as_str().unwrap_or_default();
        Some(format!("container `{name}` has no {variable}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, runner: &[&str], docker: &[&str]) -> Value {
        let env =
            |names: &[&str]| -> Vec<Value> { names.iter().map(|it| json!({"name": it})).collect() };
        json!({"metadata": {"name": name, "namespace": "n"}, "spec": {"containers": [
            {"name": "runner", "env": env(runner)},
            {"name": "docker", "env": env(docker)},
        ]}})
    }

    #[test]
    fn both_containers_must_have_the_role() {
        for via in [RoleVia::Irsa, RoleVia::PodIdentity] {
            let [first, second] = via.variables();
            let whole = pod("a", &via.variables(), &via.variables());
            assert_eq!(without_role(std::slice::from_ref(&whole), via, "pod"), None);
            let half = pod("b", &via.variables(), &[first]);
            let found = without_role(&[whole, half], via, "pod").unwrap();
            let Readiness::Stuck { reason, hint, .. } = found else {
                panic!("{found:?}")
            };
            let missing = format!("b (container `docker` has no {second})");
            assert!(reason.ends_with(&missing), "{reason}");
            assert!(hint.contains("`kubectl -n n delete pod b`"), "{hint}");
        }
    }

    #[test]
    fn one_way_is_not_the_other() {
        let irsa = pod("a", &RoleVia::Irsa.variables(), &RoleVia::Irsa.variables());
        assert!(without_role(&[irsa], RoleVia::PodIdentity, "pod").is_some());
    }
}

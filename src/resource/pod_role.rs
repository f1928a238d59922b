//! Whether pods carry the role of their service account. Pure: no I/O.
//!
//! EKS adds it while a pod is created, and lets the pod pass where it cannot: a pod that came before the annotation, or
//! while EKS's webhook was away, runs without the role and says nothing (reference: arc.md 9).

use serde_json::Value;

use super::observed::Readiness;

/// The variables of the role that every container must have.
const VARIABLES: [&str; 2] = ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"];

/// Which of `pods` lack the role; `None` where none does.
pub(super) fn without_role(pods: &[Value]) -> Option<Readiness> {
    let lacking: Vec<(String, String)> = pods.iter().filter_map(lacks).collect();
    let (_, first) = lacking.first()?;
    let names: Vec<&str> = lacking.iter().map(|(name, _)| name.as_str()).collect();
    let namespace = pods[0]["metadata"]["namespace"]
        .as_str()
        .unwrap_or_default();
    Some(Readiness::stuck(
        format!(
            "these pods were started before their service account had its role, or without EKS's webhook `pod-identity-webhook`: {} ({first})",
            names.join(", ")
        ),
        format!(
            "once their jobs have ended: `kubectl -n {namespace} delete pod {}`; the controller starts new ones",
            names.join(" ")
        ),
    ))
}

/// The name of a pod that lacks it, and what is missing where.
fn lacks(pod: &Value) -> Option<(String, String)> {
    let mut containers = pod["spec"]["containers"].as_array()?.iter();
    let missing = containers.find_map(|container| {
        let has = |variable: &str| {
            let mut variables = container["env"].as_array().into_iter().flatten();
            variables.any(|it| it["name"] == variable)
        };
        let variable = VARIABLES.iter().find(|it| !has(it))?;
        let name = container["name"].as_str().unwrap_or_default();
        Some(format!("container `{name}` has no {variable}"))
    })?;
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    Some((name.to_owned(), missing))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, docker: &[&str]) -> Value {
        let env =
            |names: &[&str]| -> Vec<Value> { names.iter().map(|it| json!({"name": it})).collect() };
        json!({"metadata": {"name": name, "namespace": "n"}, "spec": {"containers": [
            {"name": "runner", "env": env(&VARIABLES)},
            {"name": "docker", "env": env(docker)},
        ]}})
    }

    #[test]
    fn both_containers_must_have_the_role() {
        assert_eq!(without_role(&[pod("a", &VARIABLES)]), None);
        let found = without_role(&[pod("a", &VARIABLES), pod("b", &["AWS_ROLE_ARN"])]).unwrap();
        let Readiness::Stuck { reason, hint, .. } = found else {
            panic!("{found:?}")
        };
        let missing = "b (container `docker` has no AWS_WEB_IDENTITY_TOKEN_FILE)";
        assert!(reason.ends_with(missing), "{reason}");
        assert!(hint.contains("`kubectl -n n delete pod b`"), "{hint}");
    }
}

//! What of the installed releases does not run: the state of a release at helm says nothing about its pods.

use serde_json::Value;

use crate::clients::kube::{Kube, Selection};

/// A line of advice for each Deployment of `release` that lacks pods, or for what could not be read.
pub(super) async fn of_release(kube: &Kube, namespace: &str, release: &str) -> Vec<String> {
    let deployments = Selection::namespaced("apps/v1", "Deployment", namespace);
    let deployments = deployments.labelled(format!("app.kubernetes.io/instance={release}"));
    match kube.list(&deployments).await {
        Ok(found) => found.iter().filter_map(lacking).collect(),
        Err(error) => vec![format!(
            "advice: it is not known whether the pods of release `{release}` run: {}",
            error.document().message
        )],
    }
}

fn lacking(deployment: &Value) -> Option<String> {
    let metadata = &deployment["metadata"];
    let (namespace, name) = (metadata["namespace"].as_str()?, metadata["name"].as_str()?);
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let ready = deployment["status"]["readyReplicas"].as_u64().unwrap_or(0);
    let found = match (wanted, ready) {
        (0, _) => "is scaled to 0".to_owned(),
        (wanted, ready) if ready < wanted => format!("has {ready} of {wanted} pods ready"),
        _ => return None,
    };
    Some(format!(
        "advice: Deployment `{namespace}/{name}` {found}; `arcctl doctor` finds the cause"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_that_lacks_pods_is_named() {
        let told = |replicas: Value, ready: Value| {
            lacking(&json!({
                "metadata": {"namespace": "a", "name": "b"},
                "spec": {"replicas": replicas},
                "status": {"readyReplicas": ready},
            }))
        };
        assert_eq!(told(json!(2), json!(2)), None);
        assert_eq!(told(Value::Null, json!(1)), None);
        assert!(
            told(json!(2), Value::Null)
                .unwrap()
                .contains("has 0 of 2 pods ready")
        );
        assert!(
            told(json!(0), Value::Null)
                .unwrap()
                .contains("is scaled to 0")
        );
    }
}

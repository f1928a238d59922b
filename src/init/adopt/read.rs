//! Reads an installation made by hand. Of the controller's Secret only the names of its keys are kept.

use std::collections::BTreeSet;

use serde_json::Value;

use super::found::{Controller, Installation, place};
use crate::{
    clients::kube::{Kube, Selection, Target},
    desired::names,
    error::{Error, ErrorKind, Result, System},
    resource::{newest_release, other_controllers::all},
};

/// Reads the installation; `wanted` is the controller's NAMESPACE/RELEASE, where there are several.
pub(super) async fn installation(kube: &Kube, wanted: Option<&str>) -> Result<Installation> {
    let controller = controller(kube, wanted).await?;
    let list = |kind| objects(kube, kind);
    let (mut deployments, mut autoscalers, mut sets) = tokio::try_join!(
        list("RunnerDeployment"),
        list("HorizontalRunnerAutoscaler"),
        list("RunnerSet")
    )?;
    // Another controller's runners are not this installation's.
    let watched = controller.watched();
    for found in [&mut deployments, &mut autoscalers, &mut sets] {
        found.retain(|it| watched.is_none_or(|watched| place(it).0 == watched));
    }
    if deployments.is_empty() {
        return Err(without_deployments(watched, sets.len()));
    }
    let accounts = accounts(kube, &deployments).await?;
    let secret = Target::namespaced(
        "v1",
        "Secret",
        &controller.namespace,
        secret_name(&controller),
    );
    let secret = kube.get(&secret).await?.unwrap_or_default();
    let keys = secret["data"].as_object().into_iter().flatten();
    Ok(Installation {
        secret_keys: keys.map(|(key, _)| key.clone()).collect(),
        controller,
        deployments,
        autoscalers,
        sets,
        accounts,
    })
}

/// There is nothing that could become a pool; `sets` is the number of `RunnerSets`.
fn without_deployments(watched: Option<&str>, sets: usize) -> Error {
    let place = watched.map_or_else(
        || "this cluster".to_owned(),
        |it| format!("namespace `{it}`, the only one that the controller watches"),
    );
    let hint = "`arcctl init` without --from-cluster asks questions and writes a profile";
    let hint = match sets {
        0 => hint.to_owned(),
        _ => format!("a RunnerSet ({sets} found) cannot be a pool of a profile; {hint}"),
    };
    let message = format!("there is no RunnerDeployment in {place}");
    Error::failed(System::Kubernetes, message).hint(hint)
}

async fn objects(kube: &Kube, kind: &str) -> Result<Vec<Value>> {
    kube.list(&Selection::all(names::ARC_API_VERSION, kind))
        .await
}

/// The name of the Secret with the credential.
fn secret_name(controller: &Controller) -> &str {
    let named = controller.values["authSecret"]["name"].as_str();
    named
        .filter(|it| !it.is_empty())
        .unwrap_or(names::CONTROLLER_SECRET)
}

fn refused(message: &str, hint: String) -> Error {
    Error::new(ErrorKind::Refused, System::Kubernetes, message).hint(hint)
}

/// The only release of a controller; `is_bare` where there is no controller at all.
fn only(releases: &[(String, String)], is_bare: bool) -> Result<(String, String)> {
    match releases {
        [one] => Ok(one.clone()),
        [] if is_bare => {
            Err(Error::failed(
                System::Kubernetes,
                "there is no Actions Runner Controller in this cluster",
            )
            .hint("`arcctl init` without --from-cluster asks questions and writes a profile"))
        }
        [] => {
            Err(refused(
                "helm has no release of this cluster's Actions Runner Controller",
                "arcctl takes over what helm installed: uninstall the controller with the tool that installed it, keep the CRDs, and run `arcctl init`".into(),
            ))
        }
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|it| format!("{}/{}", it.0, it.1))
                .collect();
            Err(refused(
                "there is more than one Actions Runner Controller in this cluster",
                format!(
                    "name one: --controller {}",
                    names.join(", or --controller ")
                ),
            ))
        }
    }
}

async fn controller(kube: &Kube, wanted: Option<&str>) -> Result<Controller> {
    let group = "admissionregistration.k8s.io/v1";
    let selection = Selection::all(group, "ValidatingWebhookConfiguration");
    let there = all(&kube.list(&selection).await?);
    let mut releases: Vec<(String, String)> =
        there.iter().filter_map(|it| it.release.clone()).collect();
    if let Some(wanted) = wanted {
        releases.retain(|(namespace, release)| format!("{namespace}/{release}") == wanted);
    }
    let (namespace, release) = only(&releases, there.is_empty())?;
    let record = newest_release(kube, &namespace, &release).await?;
    let Some(record) = record else {
        return Err(refused(
            "helm has no record of the controller's release",
            format!(
                "look for it with `helm -n {namespace} list --deployed --failed --pending --uninstalled`"
            ),
        ));
    };
    let configuration = there
        .iter()
        .find(|it| it.release.as_ref() == Some(&(namespace.clone(), release.clone())));
    let name = configuration
        .and_then(|it| {
            it.configuration
                .strip_suffix("-validating-webhook-configuration")
        })
        .unwrap_or(&release);
    let target = Target::namespaced("apps/v1", "Deployment", &namespace, name);
    let deployment = kube.get(&target).await?.unwrap_or_default();
    Ok(Controller {
        namespace,
        release,
        chart_version: record.chart_version,
        values: record.values,
        deployment,
    })
}

/// The `ServiceAccounts` that the runners use.
async fn accounts(kube: &Kube, deployments: &[Value]) -> Result<Vec<Value>> {
    let named: BTreeSet<(&str, &str)> = deployments
        .iter()
        .filter_map(|it| {
            let name = it["spec"]["template"]["spec"]["serviceAccountName"].as_str()?;
            Some((place(it).0, name))
        })
        .collect();
    let mut found = Vec::new();
    for (namespace, name) in named {
        let target = Target::namespaced("v1", "ServiceAccount", namespace, name);
        found.extend(kube.get(&target).await?);
    }
    Ok(found)
}

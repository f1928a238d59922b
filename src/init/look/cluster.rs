//! Reads a cluster: nodes, cert-manager, controllers, runners.

use serde_json::Value;

use super::within;
use crate::{
    clients::kube::{Kube, Selection, Target},
    desired::names,
    error::Result,
    init::{
        answers::Place,
        facts::{CertManager, ClusterFacts, Controller, Installer, Nodes, Read},
    },
    profile::Cluster,
    resource::other_controllers::{OtherController, all},
    session::connection::Connection,
    terminal::{args::GlobalArgs, environment::hidden_variables},
};

/// The kinds of objects that are runners, or make them.
const RUNNERS: [(&str, &str); 3] = [
    (names::ARC_API_VERSION, "RunnerDeployment"),
    (names::ARC_API_VERSION, "RunnerSet"),
    ("actions.github.com/v1alpha1", "AutoscalingRunnerSet"),
];

/// The cluster in a profile's words.
pub(crate) fn section(place: &Place) -> Cluster {
    match place {
        Place::Eks { name, region } => Cluster {
            eks: Some(name.clone()),
            region: Some(region.clone()),
            context: None,
        },
        Place::Context(name) => Cluster {
            context: Some(name.clone()),
            ..Cluster::default()
        },
    }
}

/// Connects to the cluster and reads it; the error is that of the connection.
pub(crate) async fn cluster(
    global: &GlobalArgs,
    place: &Place,
) -> (Option<Connection>, Read<ClusterFacts>) {
    let hidden = hidden_variables(&[]);
    let connection = match Box::pin(connect(global, place, hidden)).await {
        Ok(connection) => connection,
        Err(why) => return (None, Err(why)),
    };
    let facts = Box::pin(read(&connection.kube)).await;
    // A server that answers nothing is one finding, not seven.
    if let (Err(why), Err(_)) = (&facts.version, &facts.nodes) {
        return (None, Err(why.clone()));
    }
    (Some(connection), Ok(facts))
}

async fn connect(
    global: &GlobalArgs,
    place: &Place,
    hidden: Vec<String>,
) -> Result<Connection, String> {
    let section = section(place);
    Box::pin(within(Connection::to_cluster(global, &section, hidden))).await
}

async fn read(kube: &Kube) -> ClusterFacts {
    let (version, nodes, node_pools, cert_manager, controllers, runners, profiles) = tokio::join!(
        within(kube.version()),
        within(nodes(kube)),
        within(node_pools(kube)),
        within(cert_manager(kube)),
        within(controllers(kube)),
        within(runners(kube)),
        within(profiles(kube)),
    );
    ClusterFacts {
        version,
        nodes,
        node_pools,
        cert_manager,
        controllers,
        runners,
        profiles,
    }
}

async fn nodes(kube: &Kube) -> Result<Nodes> {
    let all = kube.list(&Selection::all("v1", "Node")).await?;
    Ok(Nodes::of(&all))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

async fn node_pools(kube: &Kube) -> Result<Vec<String>> {
    let found = kube
        .list(&Selection::all("karpenter.sh/v1", "NodePool"))
        .await?;
    Ok(found
        .iter()
        .filter_map(|it| text(&it["metadata"]["name"]))
        .collect())
}

/// cert-manager, by its Deployment: each way to install it has the same labels.
async fn cert_manager(kube: &Kube) -> Result<Option<CertManager>> {
    let labels = "app.kubernetes.io/name=cert-manager";
    let selection = Selection::all("apps/v1", "Deployment").labelled(labels);
    let found = kube.list(&selection).await?;
    Ok(found.first().map(installed))
}

fn installed(deployment: &Value) -> CertManager {
    let metadata = &deployment["metadata"];
    let labels = &metadata["labels"];
    let managers = metadata["managedFields"].as_array().into_iter().flatten();
    // EKS applies its add-ons as the field manager `eks`.
    let is_addon = managers.into_iter().any(|it| it["manager"] == "eks");
    let release = text(&metadata["annotations"]["meta.helm.sh/release-name"]);
    CertManager {
        namespace: text(&metadata["namespace"]).unwrap_or_default(),
        by: match release {
            Some(release) => Installer::Helm(release),
            None if is_addon => Installer::Addon,
            None => Installer::Kubectl,
        },
        version: text(&labels["app.kubernetes.io/version"]),
    }
}

async fn controllers(kube: &Kube) -> Result<Vec<Controller>> {
    let group = "admissionregistration.k8s.io/v1";
    let selection = Selection::all(group, "ValidatingWebhookConfiguration");
    let configurations = kube.list(&selection).await?;
    let mut found = Vec::new();
    for other in all(&configurations) {
        found.push(controller(kube, &other).await);
    }
    Ok(found)
}

/// A controller; what this user may not read of it stays unknown.
async fn controller(kube: &Kube, other: &OtherController) -> Controller {
    let namespace = other
        .services
        .first()
        .map(|it| it.0.clone())
        .unwrap_or_default();
    let name = other
        .configuration
        .strip_suffix("-validating-webhook-configuration")
        .unwrap_or(names::CONTROLLER);
    let target = Target::namespaced("apps/v1", "Deployment", &namespace, name);
    let live = kube.get(&target).await.ok().flatten().unwrap_or_default();
    let containers = live["spec"]["template"]["spec"]["containers"].as_array();
    let variables = containers
        .into_iter()
        .flatten()
        .flat_map(|it| it["env"].as_array().into_iter().flatten());
    let mut urls = variables.filter(|it| it["name"] == "GITHUB_ENTERPRISE_URL");
    let url = urls.next().and_then(|it| text(&it["value"]));
    Controller {
        namespace,
        release: other.release.as_ref().map(|it| it.1.clone()),
        watches: other.watches.clone(),
        github_url: url
            .map(|it| it.trim_end_matches('/').to_owned())
            .filter(|it| !it.is_empty()),
    }
}

async fn runners(kube: &Kube) -> Result<Vec<(&'static str, String)>> {
    let mut found = Vec::new();
    for (version, kind) in RUNNERS {
        let list = kube.list(&Selection::all(version, kind)).await?;
        found.extend(list.iter().map(|it| {
            let part = |key: &str| it["metadata"][key].as_str().unwrap_or_default();
            (kind, format!("{}/{}", part("namespace"), part("name")))
        }));
    }
    Ok(found)
}

/// The profiles with an inventory.
async fn profiles(kube: &Kube) -> Result<Vec<String>> {
    let labels = format!("{}=arcctl,{}", names::MANAGED_BY, names::PROFILE_LABEL);
    let selection = Selection::all("v1", "ConfigMap").labelled(labels);
    let found = kube.list(&selection).await?;
    let mut profiles: Vec<String> = found
        .iter()
        .filter_map(|it| {
            let profile = text(&it["metadata"]["labels"][names::PROFILE_LABEL])?;
            (it["metadata"]["name"] == format!("arcctl-{profile}")).then_some(profile)
        })
        .collect();
    profiles.sort_unstable();
    Ok(profiles)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_installed_cert_manager_is_seen() {
        let deployment = |more: Value| {
            let mut it = json!({"metadata": {
                "namespace": "cert-manager",
                "labels": {"app.kubernetes.io/version": "v1.20.0"},
            }});
            for (key, value) in more.as_object().into_iter().flatten() {
                it["metadata"][key] = value.clone();
            }
            installed(&it).words()
        };
        let helm = json!({"annotations": {"meta.helm.sh/release-name": "cm"},
            "managedFields": [{"manager": "helm"}]});
        assert_eq!(
            deployment(helm),
            "v1.20.0 in namespace cert-manager, installed by helm (release `cm`)"
        );
        let addon = json!({"managedFields": [{"manager": "eks"}]});
        assert!(deployment(addon).ends_with("as an EKS add-on"));
        let kubectl = json!({"managedFields": [{"manager": "kubectl-client-side-apply"}]});
        assert!(deployment(kubectl).ends_with("by kubectl"));
    }
}

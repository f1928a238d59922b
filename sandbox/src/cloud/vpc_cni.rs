//! The VPC CNI as EKS installs it, as far as other programs see it: its `DaemonSet`, and the `ENIConfigs` of custom networking,
//! each with the subnet and the security groups of pods. No node runs it: the simulated nodes have no network.
//!
//! Its names are those of aws/amazon-vpc-cni-k8s, `config/master/aws-k8s-cni.yaml`.

use std::time::{Duration, Instant};

use anyhow::Result;
use kube::Client;
use serde_json::json;

use crate::objects::{Kind, Objects};

const CRD: Kind = Kind::new(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
);
const DAEMON_SET: Kind = Kind::new("apps", "v1", "daemonsets", "DaemonSet");
const ENI_CONFIG: Kind = Kind::new(
    "crd.k8s.amazonaws.com",
    "v1alpha1",
    "eniconfigs",
    "ENIConfig",
);

/// How long the API server may need to serve a new kind.
const SERVED: Duration = Duration::from_mins(2);

/// Networks of pods.
#[derive(Clone, Debug)]
pub struct EniConfig {
    /// Its name: that of a zone, or what a label of the nodes says.
    pub name: String,
    /// The subnet.
    pub subnet: String,
    /// The security groups; without any, pods have those of their node.
    pub groups: Vec<String>,
}

/// Installs it without custom networking, as EKS does, and makes `configs`, which mean nothing until a variable of the
/// `DaemonSet` turns it on.
pub async fn install(client: &Client, configs: &[EniConfig]) -> Result<()> {
    let objects = Objects::new(client.clone(), "vpc-cni");
    let marks = json!({"arcctl-sandbox": "simulated"});
    let plugin = json!({
        "metadata": {"name": "aws-node", "annotations": marks},
        "spec": {
            "selector": {"matchLabels": {"k8s-app": "aws-node"}},
            "template": {
                "metadata": {"labels": {"k8s-app": "aws-node"}},
                "spec": {
                    "nodeSelector": {"no": "node"},
                    "containers": [{"name": "aws-node", "image": "amazon-k8s-cni",
                        "env": [{"name": "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "value": "false"}]}],
                },
            },
        },
    });
    objects.create(&DAEMON_SET, "kube-system", &plugin).await?;
    let crd = json!({
        "metadata": {"name": "eniconfigs.crd.k8s.amazonaws.com", "annotations": marks},
        "spec": {
            "group": "crd.k8s.amazonaws.com",
            "scope": "Cluster",
            "names": {"plural": "eniconfigs", "singular": "eniconfig", "kind": "ENIConfig"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    objects.create(&CRD, "", &crd).await?;
    let end = Instant::now() + SERVED;
    for config in configs {
        let mut spec = json!({"subnet": config.subnet});
        if !config.groups.is_empty() {
            spec["securityGroups"] = json!(config.groups);
        }
        let object = json!({"metadata": {"name": config.name}, "spec": spec});
        while let Err(error) = objects.create(&ENI_CONFIG, "", &object).await {
            if Instant::now() > end {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

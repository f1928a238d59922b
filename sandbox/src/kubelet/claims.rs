//! The persistent volume claims of a pod before it is bound: the scheduler's message for one that is missing or has no
//! volume, and a provisioner for those whose storage class has one.
//!
//! The messages and their order are those of kube-scheduler's plugin `VolumeBinding`: a missing claim, one of an ephemeral
//! volume that its controller has not created yet, one of a class with immediate binding and without a volume, and one of a
//! class that waits for the pod and has no provisioner.

use anyhow::Result;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

/// What keeps the scheduler from binding a pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Obstacle {
    /// It says why.
    Said(String),
    /// The volume is being made; nothing is said.
    Provisioning,
}

/// The provisioner of classes whose volumes are made by hand.
const BY_HAND: &str = "kubernetes.io/no-provisioner";

/// The scheduler's words for what keeps a pod off every node alike.
pub(super) fn on_no_node(nodes: usize, reason: &str) -> String {
    if nodes == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    format!(
        "0/{nodes} nodes are available: {reason}. no new claims to deallocate, preemption: 0/{nodes} nodes are available: {nodes} Preemption is not helpful for scheduling."
    )
}

/// The first obstacle among a pod's claims. Volumes of classes that have a provisioner are made on the way.
pub(super) async fn obstacle(client: &Client, pod: &Pod) -> Result<Option<Obstacle>> {
    let namespace = pod.namespace().unwrap_or_default();
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
    let volumes = pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten());
    for volume in volumes {
        let Some((name, is_ephemeral)) = claim_of(pod, volume) else {
            continue;
        };
        let Some(claim) = claims.get_opt(&name).await? else {
            let said = if is_ephemeral {
                format!(
                    "waiting for ephemeral volume controller to create the persistentvolumeclaim {name:?}"
                )
            } else {
                format!("persistentvolumeclaim {name:?} not found")
            };
            return Ok(Some(Obstacle::Said(said)));
        };
        if claim.metadata.deletion_timestamp.is_some() {
            let said = format!("persistentvolumeclaim {name:?} is being deleted");
            return Ok(Some(Obstacle::Said(said)));
        }
        if is_bound(&claim) {
            continue;
        }
        let class = class_of(client, &claim).await?;
        if let Some(class) = class.as_ref().filter(|class| class.provisioner != BY_HAND) {
            provision(client, &claim, class).await?;
        }
        return Ok(Some(of_unbound(class.as_ref())));
    }
    Ok(None)
}

/// What the scheduler makes of a claim without a volume, by its class.
fn of_unbound(class: Option<&StorageClass>) -> Obstacle {
    let waits = |class: &&StorageClass| {
        class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
    };
    match class.filter(waits) {
        None => Obstacle::Said("pod has unbound immediate PersistentVolumeClaims".to_owned()),
        Some(class) if class.provisioner == BY_HAND => {
            Obstacle::Said("node(s) didn't find available persistent volumes to bind".to_owned())
        }
        Some(_) => Obstacle::Provisioning,
    }
}

/// The name of a volume's claim, and whether a controller makes it for this pod.
fn claim_of(pod: &Pod, volume: &Volume) -> Option<(String, bool)> {
    if let Some(claim) = &volume.persistent_volume_claim {
        return Some((claim.claim_name.clone(), false));
    }
    volume.ephemeral.as_ref()?;
    Some((format!("{}-{}", pod.name_any(), volume.name), true))
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let phase = claim
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    phase == Some("Bound")
}

async fn class_of(client: &Client, claim: &PersistentVolumeClaim) -> Result<Option<StorageClass>> {
    let name = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.storage_class_name.as_deref());
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let classes: Api<StorageClass> = Api::all(client.clone());
    Ok(classes.get_opt(name).await?)
}

/// Makes the volume for a claim; the controller manager binds the two.
async fn provision(
    client: &Client,
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
) -> Result<()> {
    let (uid, spec) = (claim.uid().unwrap_or_default(), claim.spec.clone());
    let spec = spec.unwrap_or_default();
    let size = spec.resources.and_then(|resources| resources.requests);
    let name = format!("pvc-{uid}");
    let volume: PersistentVolume = serde_json::from_value(json!({
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": class.provisioner}},
        "spec": {
            "accessModes": spec.access_modes, "capacity": size,
            "storageClassName": class.name_any(), "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "uid": uid,
                "namespace": claim.namespace(), "name": claim.name_any()},
            "csi": {"driver": class.provisioner, "volumeHandle": name},
        },
    }))?;
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    match volumes.create(&PostParams::default(), &volume).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(provisioner: &str, mode: &str) -> StorageClass {
        serde_json::from_value(json!({
            "metadata": {"name": "c"}, "provisioner": provisioner, "volumeBindingMode": mode,
        }))
        .unwrap()
    }

    #[test]
    fn a_claim_without_a_volume_holds_the_pod_by_its_class() {
        let unbound = Obstacle::Said("pod has unbound immediate PersistentVolumeClaims".to_owned());
        assert_eq!(of_unbound(None), unbound);
        assert_eq!(
            of_unbound(Some(&class("ebs.csi.aws.com", "Immediate"))),
            unbound
        );
        assert_eq!(
            of_unbound(Some(&class("ebs.csi.aws.com", "WaitForFirstConsumer"))),
            Obstacle::Provisioning
        );
        let by_hand = of_unbound(Some(&class(BY_HAND, "WaitForFirstConsumer")));
        assert_eq!(
            by_hand,
            Obstacle::Said("node(s) didn't find available persistent volumes to bind".to_owned())
        );
    }

    #[test]
    fn an_ephemeral_volume_has_a_claim_of_the_pods_name() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [], "volumes": [
                {"name": "work", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
                {"name": "cache", "persistentVolumeClaim": {"claimName": "shared"}},
                {"name": "tmp", "emptyDir": {}},
            ]},
        }))
        .unwrap();
        let volumes = pod.spec.as_ref().unwrap().volumes.as_ref().unwrap();
        let found: Vec<_> = volumes
            .iter()
            .map(|volume| claim_of(&pod, volume))
            .collect();
        assert_eq!(
            found,
            [
                Some(("p-work".to_owned(), true)),
                Some(("shared".to_owned(), false)),
                None
            ]
        );
    }
}

//! A stand-in for the provisioners of storage drivers: makes the volumes that the controller manager asks for.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{Api, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher;
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::Failed;

/// A volume that could not be made is made again after this time.
const RETRY: Duration = Duration::from_millis(500);

/// Who is to make the volume of a claim. The controller manager sets it: at once, or, for a class with the binding mode
/// `WaitForFirstConsumer`, once the scheduler has chosen a node (kubernetes, `pkg/controller/volume/persistentvolume`).
const ASKED: &str = "volume.kubernetes.io/storage-provisioner";

/// The provisioner of classes whose volumes are made by hand.
const BY_HAND: &str = "kubernetes.io/no-provisioner";

/// Makes volumes until it is dropped.
pub(super) async fn run(client: Client) {
    let claims: Api<PersistentVolumeClaim> = Api::all(client.clone());
    Controller::new(claims, watcher::Config::default())
        .run(
            reconcile,
            |_, _, _| Action::requeue(RETRY),
            Arc::new(client),
        )
        .for_each(async |_| {})
        .await;
}

async fn reconcile(
    claim: Arc<PersistentVolumeClaim>,
    client: Arc<Client>,
) -> Result<Action, Failed> {
    if let Some(volume) = volume(&claim)? {
        let volumes: Api<PersistentVolume> = Api::all((*client).clone());
        match volumes.create(&PostParams::default(), &volume).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(anyhow::Error::from(error).into()),
        }
    }
    Ok(Action::await_change())
}

/// The volume that a claim asks for; the controller manager binds the two.
fn volume(claim: &PersistentVolumeClaim) -> Result<Option<PersistentVolume>> {
    let asked = claim
        .annotations()
        .get(ASKED)
        .filter(|it| *it != BY_HAND && claim.metadata.deletion_timestamp.is_none());
    let (Some(provisioner), Some(spec)) = (asked, &claim.spec) else {
        return Ok(None);
    };
    if spec.volume_name.is_some() {
        return Ok(None);
    }
    let uid = claim.uid().unwrap_or_default();
    let size = spec.resources.as_ref().and_then(|it| it.requests.as_ref());
    let name = format!("pvc-{uid}");
    Ok(Some(serde_json::from_value(json!({
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": provisioner}},
        "spec": {
            "accessModes": spec.access_modes, "capacity": size,
            "storageClassName": spec.storage_class_name, "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "uid": uid,
                "namespace": claim.namespace(), "name": claim.name_any()},
            "csi": {"driver": provisioner, "volumeHandle": name},
        },
    }))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value};

    fn claim(annotations: &Value, volume: Option<&str>) -> PersistentVolumeClaim {
        from_value(json!({
            "metadata": {"name": "work", "namespace": "n", "uid": "u", "annotations": annotations},
            "spec": {"storageClassName": "gp3", "accessModes": ["ReadWriteOnce"], "volumeName": volume,
                "resources": {"requests": {"storage": "1Gi"}}},
        }))
        .unwrap()
    }

    #[test]
    fn nothing_is_made_that_nobody_asked_for() {
        let asked = json!({ASKED: "ebs.csi.aws.com"});
        assert_eq!(volume(&claim(&json!({}), None)).unwrap(), None);
        assert_eq!(
            volume(&claim(&json!({ASKED: BY_HAND}), None)).unwrap(),
            None
        );
        assert_eq!(volume(&claim(&asked, Some("pv"))).unwrap(), None);
        let mut going = claim(&asked, None);
        going.metadata.deletion_timestamp = from_value(json!("2026-11-27T09:00:00Z")).unwrap();
        assert_eq!(volume(&going).unwrap(), None);
    }

    #[test]
    fn a_volume_is_for_its_claim_only() {
        let asked = json!({ASKED: "ebs.csi.aws.com"});
        let made = volume(&claim(&asked, None)).unwrap().unwrap();
        let spec = made.spec.unwrap();
        assert_eq!(spec.claim_ref.unwrap().uid.as_deref(), Some("u"));
        assert_eq!(spec.csi.unwrap().driver, "ebs.csi.aws.com");
        assert_eq!(spec.capacity.unwrap()["storage"].0, "1Gi");
    }
}

//! The Job that proves that images can be pulled in a cluster. Pure: no I/O.
//!
//! Its pod has a container for each image, which sleeps. It has no rights, no token and no capabilities, runs wherever there
//! is room, and goes by itself: arcctl may be killed, and before the first write there is no inventory that it could be
//! recorded in.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    desired::{lock::Lock, names},
    profile::Profile,
};

/// After how many seconds its pod ends, whatever it does.
pub const DEADLINE: u32 = 600;

/// How many seconds the Job stays after that, for when arcctl was killed.
const KEPT: u32 = 30;

/// How often a container may be started again: one whose image has no `sleep` ends at once.
const STARTS: u32 = 100;

/// A user and a group of no image: `nobody`.
const NOBODY: u32 = 65534;

/// The images that must be proven to be pulled; none without a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToPull {
    /// The references, with their digests.
    pub images: BTreeSet<String>,
    /// The architecture of the node, where the images have only one in common.
    pub architecture: Option<String>,
}

impl ToPull {
    /// The images of a lock.
    pub fn of(lock: &Lock) -> Self {
        let images = lock.images.iter().map(|it| {
            if it.image.contains('@') {
                it.image.clone()
            } else {
                format!("{}@{}", it.image, it.digest)
            }
        });
        Self {
            images: images.collect(),
            architecture: architecture(lock),
        }
    }

    /// The name of the Job, of a profile.
    pub fn name(profile: &Profile) -> String {
        // It is also a label value.
        let name = format!("arcctl-pull-proof-{}", profile.name);
        let name: String = name.chars().take(63).collect();
        name.trim_end_matches('-').to_owned()
    }

    /// The Job, with the pull secrets that the profile has for pods in `namespace`.
    pub fn job(&self, profile: &Profile, namespace: &str) -> Value {
        let labels = names::labels(&profile.name);
        let containers = self.images.iter().enumerate();
        let containers: Vec<Value> = containers
            .map(|(index, image)| container(index, image))
            .collect();
        let mut pod = json!({
            "restartPolicy": "OnFailure",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "imagePullSecrets": secrets(profile, namespace),
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": NOBODY,
                "runAsGroup": NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": containers,
        });
        if let Some(architecture) = &self.architecture {
            pod["nodeSelector"] = json!({"kubernetes.io/arch": architecture});
        }
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": names::metadata(profile, Some(namespace), &Self::name(profile)),
            "spec": {
                "backoffLimit": STARTS,
                "activeDeadlineSeconds": DEADLINE,
                "ttlSecondsAfterFinished": KEPT,
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        })
    }
}

/// The only architecture that all images have, if there is only one.
fn architecture(lock: &Lock) -> Option<String> {
    let known = lock.images.iter().filter(|it| !it.platforms.is_empty());
    let sets = known.map(|image| {
        let platforms = image.platforms.keys();
        let architectures = platforms.filter_map(|it| it.split('/').nth(1));
        architectures.collect::<BTreeSet<&str>>()
    });
    let common = sets.reduce(|one, other| one.intersection(&other).copied().collect())?;
    let mut common = common.into_iter();
    let first = common.next()?;
    common.next().is_none().then(|| first.to_owned())
}

fn container(index: usize, image: &str) -> Value {
    json!({
        "name": format!("image-{}", index + 1),
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        // An image without this program is pulled as well, and cannot be started.
        "command": ["sleep", "3600"],
        // For nodes that are full. A policy may ask for limits.
        "resources": {
            "requests": {"cpu": "1m", "memory": "4Mi"},
            "limits": {"cpu": "100m", "memory": "32Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        },
    })
}

fn secrets(profile: &Profile, namespace: &str) -> Vec<Value> {
    let of_profile = profile.images.iter().flat_map(|it| &it.pull_secrets);
    let pools = profile.pools.iter().filter(|it| it.namespace == namespace);
    let of_pools = pools.flat_map(|it| &it.image_pull_secrets);
    let all: BTreeSet<&String> = of_profile.chain(of_pools).collect();
    all.into_iter().map(|it| json!({"name": it})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(images: &[(&str, &[&str])]) -> Lock {
        let images: Vec<Value> = images
            .iter()
            .map(|(image, platforms)| {
                let platforms = platforms.iter().map(|it| ((*it).to_owned(), json!("d")));
                let platforms: serde_json::Map<String, Value> = platforms.collect();
                json!({"image": image, "digest": "sha256:1", "platforms": platforms, "from": [],
                    "locked": "2026-11-27T00:00:00Z"})
            })
            .collect();
        let lock = json!({"version": 1, "profile": "x", "charts": [], "images": images});
        Lock::parse(&lock.to_string()).unwrap()
    }

    #[test]
    fn images_are_pulled_by_their_digests_on_a_node_that_can_run_them() {
        for (platforms, expected) in [
            (&["linux/amd64"][..], Some("amd64")),
            (&["linux/amd64", "linux/arm64/v8"][..], None),
            (&[][..], None),
        ] {
            let both = lock(&[
                ("r.example/a:1", platforms),
                ("r.example/b@sha256:2", platforms),
            ]);
            let to_pull = ToPull::of(&both);
            assert_eq!(to_pull.architecture.as_deref(), expected);
            let images: Vec<&String> = to_pull.images.iter().collect();
            assert_eq!(images, ["r.example/a:1@sha256:1", "r.example/b@sha256:2"]);
        }
        let one = lock(&[
            ("a:1", &["linux/amd64", "linux/arm64"]),
            ("b:1", &["linux/arm64"]),
            ("c:1", &[]),
        ]);
        assert_eq!(ToPull::of(&one).architecture.as_deref(), Some("arm64"));
    }
}

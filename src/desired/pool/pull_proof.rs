//! The Job that proves that images can be pulled in a cluster. Pure: no I/O.
//!
//! Its pod has a container for each image, which sleeps. It has no rights, no token and no capabilities, runs where the pools'
//! pods may run, and goes by itself: arcctl may be killed, and before the first write there is no inventory that it could be
//! recorded in.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{both_modes::add_pod, prepull::sleeper};
use crate::{
    desired::{lock::Lock, names},
    profile::{Pool, Profile},
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

    /// The Job, with the pull secrets and the account that the profile has for pods in `namespace`, on nodes of its pools.
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
            "imagePullSecrets": secrets(profile, namespace),
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": NOBODY,
                "runAsGroup": NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": containers,
        });
        let (mut selector, tolerations) = placement(profile, namespace);
        selector.insert("kubernetes.io/os".into(), "linux".into());
        if let Some(architecture) = &self.architecture {
            selector.insert("kubernetes.io/arch".into(), architecture.as_str().into());
        }
        pod["nodeSelector"] = selector.into();
        pod["tolerations"] = tolerations.into();
        // An existing account may have pull secrets; the one that the run makes has none.
        let account = pools(profile, namespace).find_map(|it| it.service_account.as_deref());
        if let Some(account) = account {
            pod["serviceAccountName"] = account.into();
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
    let mut container = sleeper(index, &image.into());
    // With the policy IfNotPresent a node that has it from elsewhere would prove nothing.
    container["imagePullPolicy"] = "Always".into();
    container
}

/// The pools whose pods run in `namespace`.
fn pools<'a>(profile: &'a Profile, namespace: &'a str) -> impl Iterator<Item = &'a Pool> {
    let pools = profile.pools.iter();
    pools.filter(move |it| it.namespace == namespace)
}

/// Where a pod runs that stands for the pools of `namespace`, or for all where it has none yet: the labels of nodes that all of them
/// select, and the taints that one of them tolerates.
fn placement(profile: &Profile, namespace: &str) -> (Map<String, Value>, Vec<Value>) {
    let mut own: Vec<&Pool> = pools(profile, namespace).collect();
    if own.is_empty() {
        own = profile.pools.iter().collect();
    }
    let mut common: Option<Map<String, Value>> = None;
    let mut tolerations = Vec::new();
    for pool in own {
        let mut spec = Map::new();
        add_pod(&mut spec, profile, pool);
        let selector = spec.get("nodeSelector").and_then(Value::as_object);
        let selector = selector.cloned().unwrap_or_default();
        common = Some(match common {
            None => selector,
            Some(mut common) => {
                common.retain(|key, value| selector.get(key) == Some(&*value));
                common
            }
        });
        let tolerated = spec.get("tolerations").and_then(Value::as_array);
        for one in tolerated.into_iter().flatten() {
            if !tolerations.contains(one) {
                tolerations.push(one.clone());
            }
        }
    }
    (common.unwrap_or_default(), tolerations)
}

fn secrets(profile: &Profile, namespace: &str) -> Vec<Value> {
    let of_profile = profile.images.iter().flat_map(|it| &it.pull_secrets);
    let of_pools = pools(profile, namespace).flat_map(|it| &it.image_pull_secrets);
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

    fn profile(pools: &Value) -> Profile {
        let profile = json!({
            "apiVersion": "arcctl.dev/v1", "name": "x", "cluster": {"context": "c"},
            "github": {"organization": "o", "token": {"env": "T"}}, "pools": pools,
        });
        serde_json::from_value(profile).unwrap()
    }

    /// The spec of the pod in `namespace`.
    fn pod(pools: &Value, namespace: &str) -> Value {
        let to_pull = ToPull {
            images: ["r.example/a@sha256:1".to_owned()].into(),
            architecture: Some("arm64".into()),
        };
        to_pull.job(&profile(pools), namespace)["spec"]["template"]["spec"].clone()
    }

    #[test]
    fn the_pod_runs_where_the_pools_of_its_namespace_run() {
        let gpu = json!({"key": "gpu", "operator": "Exists"});
        let pool = |name: &str, namespace: &str, more: &Value| {
            let mut pool =
                json!({"name": name, "namespace": namespace, "image": "r:1", "min": 0, "max": 1});
            let more = more.as_object().unwrap().clone();
            pool.as_object_mut().unwrap().extend(more);
            pool
        };
        let pools = json!([
            pool(
                "a",
                "one",
                &json!({"nodeSelector": {"team": "ci", "disk": "ssd"}})
            ),
            pool(
                "b",
                "one",
                &json!({
                    "nodeSelector": {"team": "ci", "disk": "hdd"}, "tolerations": [gpu], "serviceAccount": "puller",
                })
            ),
            pool("c", "two", &json!({})),
        ]);
        let one = pod(&pools, "one");
        assert_eq!(
            one["nodeSelector"],
            json!({"team": "ci", "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"})
        );
        assert_eq!(one["tolerations"], json!([gpu]));
        assert_eq!(one["serviceAccountName"], "puller");
        assert_eq!(one["automountServiceAccountToken"], false);
        assert_eq!(one["containers"][0]["imagePullPolicy"], "Always");
        let two = pod(&pools, "two");
        assert_eq!(
            two["nodeSelector"],
            json!({"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"})
        );
        assert_eq!(two["tolerations"], json!([]));
        assert!(two["serviceAccountName"].is_null());
        // No namespace of a pool is there yet, and so is no account.
        let none = pod(&pools, "default");
        assert_eq!(none["tolerations"], json!([gpu]));
        assert!(none["serviceAccountName"].is_null());
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

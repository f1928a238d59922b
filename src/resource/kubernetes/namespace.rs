//! Deletes a namespace, only if it contains nothing but objects that are deleted with it.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use serde_json::Value;

use super::ownership;
use crate::{
    clients::kube::{Kind, Selection, Target},
    desired::names,
    error::{ErrorKind, Result},
    profile::{Profile, full_name},
    resource::{
        context::Context,
        deletion::{ours, stays},
        observed::{Observed, Ownership, Readiness},
    },
};

/// Kinds of status objects, or of objects that the API generates.
const NO_CONTENT: [&str; 3] = ["Event", "PodMetrics", "LocalSubjectAccessReview"];

/// How many kinds are listed at a time.
const CONCURRENT: usize = 8;

/// What remains of `live`, a namespace of this profile: it is kept if it contains a release that is kept, or foreign
/// objects.
pub(crate) async fn remains(context: &Context, live: &Value) -> Result<Observed> {
    let name = live["metadata"]["name"].as_str().unwrap_or_default();
    if live["metadata"]["deletionTimestamp"].is_string() {
        return Ok(ours(terminating(live)));
    }
    if context.removal.stays(name) {
        return Ok(stays("a release stays in it"));
    }
    Ok(match foreign(context, name).await? {
        Some(why) => stays(why),
        None => ours(Readiness::Ready),
    })
}

/// Deletes the namespace if it still is this profile's, and empty.
pub(crate) async fn delete(context: &Context, target: &Target) -> Result<()> {
    let Some(live) = context.kube.get(target).await? else {
        return Ok(());
    };
    let own = ownership::of_object(&live, &context.profile.name) == Ownership::Ours;
    if !own || live["metadata"]["deletionTimestamp"].is_string() {
        return Ok(());
    }
    if foreign(context, &target.name).await?.is_some() {
        return Ok(());
    }
    context.kube.delete_exactly(target, &live).await
}

/// What the deletion of a namespace waits for: the API server reports it in conditions.
pub(super) fn terminating(live: &Value) -> Readiness {
    let conditions = live["status"]["conditions"].as_array();
    // Separate conditions list the remaining objects and finalizers.
    let said: Vec<&str> = conditions
        .into_iter()
        .flatten()
        .filter(|it| {
            let kind = it["type"].as_str().unwrap_or_default();
            it["status"] == "True" && kind.starts_with("Namespace")
        })
        .filter_map(|it| it["message"].as_str())
        .collect();
    let said = (!said.is_empty()).then(|| said.join("; "));
    match said {
        Some(said) => Readiness::stuck(
            format!("it is being deleted: {said}"),
            "remove what holds it: an object's finalizers with `kubectl edit`, or an API that does not respond, which `kubectl get apiservices` shows",
        ),
        None => Readiness::progressing("it is being deleted"),
    }
}

/// Why the namespace is kept: it contains foreign objects, or objects that this user cannot read.
async fn foreign(context: &Context, namespace: &str) -> Result<Option<String>> {
    let kinds: Vec<Kind> = context.kube.namespaced_kinds().await?;
    let listed = kinds
        .iter()
        .filter(|it| !NO_CONTENT.contains(&it.name()))
        .cloned();
    let mut lists = stream::iter(listed)
        .map(|kind| async move {
            let selection = Selection {
                kind,
                namespace: Some(namespace.into()),
                labels: None,
                fields: None,
            };
            let found = context.kube.list(&selection).await;
            (selection.kind, found)
        })
        .buffered(CONCURRENT);
    let mut things = Vec::new();
    while let Some((kind, found)) = lists.next().await {
        let found = match found {
            Ok(found) => found,
            // Objects that this user cannot read may be foreign.
            Err(error) if error.kind == ErrorKind::Unauthorized => {
                let plural = kind.plural();
                return Ok(Some(format!(
                    "this user may not list the {plural} in it, so that they may be somebody's"
                )));
            }
            Err(error) => return Err(error),
        };
        let profile = &context.profile;
        things.extend(found.iter().map(|it| {
            let mut thing = Thing::of(&kind, it, profile);
            let is_lease = kind.name() == "Lease";
            thing.goes |= is_lease && context.removal.knows_lease(namespace, &thing.name);
            thing
        }));
    }
    let staying = first_staying(&things, &kinds);
    Ok(staying.map(|it| format!("{} `{}` in it is not arcctl's", it.kind, it.name)))
}

/// An object in the namespace.
struct Thing {
    kind: String,
    name: String,
    uid: String,
    /// Whether it is deleted automatically.
    goes: bool,
    owners: Vec<Owner>,
}

/// An owner reference of an object.
struct Owner {
    group: String,
    kind: String,
    uid: String,
}

impl Thing {
    fn of(kind: &Kind, live: &Value, profile: &Profile) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &live["metadata"];
        let owner = |it: &Value| {
            let version = text(&it["apiVersion"]);
            let group = version.rsplit_once('/').map_or("", |it| it.0);
            Owner {
                group: group.to_owned(),
                kind: text(&it["kind"]),
                uid: text(&it["uid"]),
            }
        };
        let owners = metadata["ownerReferences"].as_array();
        Self {
            kind: kind.name().to_owned(),
            name: text(&metadata["name"]),
            uid: text(&metadata["uid"]),
            goes: goes_along(kind, live, profile),
            owners: owners.into_iter().flatten().map(owner).collect(),
        }
    }
}

/// The first object that is kept. An owned object is deleted only with all its owners: those in the namespace that are deleted
/// too, or those that are gone already, so that the garbage collector deletes it. A cluster-scoped owner, or one of a kind that is
/// not served, keeps what it owns.
fn first_staying<'a>(things: &'a [Thing], namespaced: &[Kind]) -> Option<&'a Thing> {
    let there: BTreeSet<&str> = things.iter().map(|it| it.uid.as_str()).collect();
    let (going, mut staying): (Vec<&Thing>, Vec<&Thing>) = things.iter().partition(|it| it.goes);
    let mut going: BTreeSet<&str> = going.iter().map(|it| it.uid.as_str()).collect();
    let is_namespaced = |owner: &Owner| {
        let mut kinds = namespaced.iter();
        kinds.any(|it| it.group() == owner.group && it.name() == owner.kind)
    };
    loop {
        let goes = |owner: &Owner| {
            let uid = owner.uid.as_str();
            going.contains(uid) || !there.contains(uid) && is_namespaced(owner)
        };
        let (more, rest): (Vec<&Thing>, Vec<&Thing>) = staying
            .iter()
            .partition(|it| !it.owners.is_empty() && it.owners.iter().all(goes));
        if more.is_empty() {
            let mut owners = rest.iter().filter(|it| it.owners.is_empty());
            return owners.next().or_else(|| rest.first()).copied();
        }
        going.extend(more.iter().map(|it| it.uid.as_str()));
        staying = rest;
    }
}

/// Whether an object, without its owners, is this profile's, or created by the cluster or controllers in it.
fn goes_along(kind: &Kind, live: &Value, profile: &Profile) -> bool {
    let releases = [
        (
            profile.controller.release.as_str(),
            profile.controller.namespace.as_str(),
        ),
        ("cert-manager", profile.cert_manager.namespace.as_str()),
        (
            names::SCALE_SET_RELEASE,
            profile.scale_sets.namespace.as_str(),
        ),
    ];
    let of_scale_sets = profile.scale_sets.full_name();
    let (release, profile) = (profile.controller.release.as_str(), profile.name.as_str());
    let metadata = &live["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    let annotation = |key: &str| metadata["annotations"][key].as_str();
    // Another team's release can have the same name in its own namespace.
    let of_helm = annotation("meta.helm.sh/release-name").is_some_and(|name| {
        let home = annotation("meta.helm.sh/release-namespace");
        releases
            .iter()
            .any(|(own, place)| *own == name && home.is_none_or(|it| it == *place))
    });
    let of_cluster = matches!(
        (kind.name(), name),
        ("ConfigMap", "kube-root-ca.crt") | ("ServiceAccount", "default")
    );
    let by_product = match kind.name() {
        "Secret" => {
            metadata["labels"]["owner"] == "helm"
                && metadata["labels"][names::PROFILE_LABEL] == profile
                || annotation("cert-manager.io/certificate-name")
                    .is_some_and(|it| it == format!("{}-serving-cert", full_name(release)))
                || name == "cert-manager-webhook-ca"
        }
        "Lease" => [
            &*full_name(release),
            "cert-manager-controller",
            &*of_scale_sets,
        ]
        .contains(&name),
        "Endpoints" | "EndpointSlice" => true,
        _ => false,
    };
    of_helm || of_cluster || by_product || ownership::of_object(live, profile) == Ownership::Ours
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile() -> Profile {
        crate::desired::tests::profile(&json!({"name": "p"}))
    }

    #[test]
    fn only_what_came_with_something_else_goes_along() {
        let goes = |kind: &str, metadata: Value| {
            goes_along(
                &Kind::new("v1", kind),
                &json!({"metadata": metadata}),
                &profile(),
            )
        };
        assert!(goes("ConfigMap", json!({"name": "kube-root-ca.crt"})));
        assert!(goes(
            "Lease",
            json!({"name": "x", "labels": {names::PROFILE_LABEL: "p"}})
        ));
        // The owner is evaluated, not only its existence.
        assert!(!goes(
            "Pod",
            json!({"name": "x", "ownerReferences": [{"name": "y"}]})
        ));
        assert!(!goes("ConfigMap", json!({"name": "mine"})));
        assert!(!goes(
            "Secret",
            json!({"name": "x", "labels": {names::PROFILE_LABEL: "q"}})
        ));
        assert!(!goes(
            "Secret",
            json!({"name": "x", "labels": {"owner": "helm"}})
        ));
        let released = |name: &str, namespace: &str| json!({"name": "x", "annotations": {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace}});
        assert!(goes(
            "Role",
            released("actions-runner-controller", "actions-runner-system")
        ));
        assert!(goes("Role", released("cert-manager", "cert-manager")));
        // Another team's release of the same name.
        assert!(!goes(
            "Role",
            released("actions-runner-controller", "team-b")
        ));
        assert!(!goes("Role", released("cert-manager", "infra")));
    }

    /// The first kept object; each is its kind, its uid, and its owners as `kind/uid`.
    fn staying(things: &[(&str, &str, &[&str])]) -> Option<String> {
        let kinds = [
            Kind::new("v1", "Pod"),
            Kind::new("v1", "ConfigMap"),
            Kind::new("apps/v1", "Deployment"),
            Kind::new("apps/v1", "ReplicaSet"),
        ];
        let things: Vec<Thing> = things
            .iter()
            .map(|(kind, uid, owners)| {
                let owners = owners.iter().map(|it| {
                    let (kind, uid) = it.split_once('/').unwrap();
                    let version = if matches!(kind, "Deployment" | "ReplicaSet") {
                        "apps/v1"
                    } else {
                        "v1"
                    };
                    json!({"apiVersion": version, "kind": kind, "uid": uid})
                });
                let labels = if uid.starts_with("own") {
                    json!({names::PROFILE_LABEL: "p"})
                } else {
                    json!({})
                };
                let metadata = json!({"name": uid, "uid": uid, "labels": labels,
                    "ownerReferences": owners.collect::<Vec<_>>()});
                Thing::of(
                    &Kind::new("v1", kind),
                    &json!({"metadata": metadata}),
                    &profile(),
                )
            })
            .collect();
        first_staying(&things, &kinds).map(|it| it.uid.clone())
    }

    #[test]
    fn what_is_owned_goes_only_with_its_owners() {
        let chain: [(&str, &str, &[&str]); 3] = [
            ("Pod", "pod", &["ReplicaSet/set"]),
            ("ReplicaSet", "set", &["Deployment/own"]),
            ("Deployment", "own", &[]),
        ];
        assert_eq!(staying(&chain), None);
        // The foreign object is reported, not what it owns.
        let foreign: [(&str, &str, &[&str]); 3] = [
            ("Pod", "pod", &["ReplicaSet/set"]),
            ("ReplicaSet", "set", &["Deployment/theirs"]),
            ("Deployment", "theirs", &[]),
        ];
        assert_eq!(staying(&foreign), Some("theirs".into()));
        // Its owner is gone: the garbage collector will delete it.
        assert_eq!(staying(&[("Pod", "pod", &["ReplicaSet/gone"])]), None);
        // One of two owners is kept.
        let two: [(&str, &str, &[&str]); 3] = [
            (
                "ConfigMap",
                "shared",
                &["Deployment/own", "Deployment/theirs"],
            ),
            ("Deployment", "own", &[]),
            ("Deployment", "theirs", &[]),
        ];
        assert_eq!(staying(&two), Some("theirs".into()));
        assert_eq!(
            staying(&[two[0], two[1], ("Deployment", "theirs", &["Node/n"])]),
            Some("shared".into())
        );
        // A Node is cluster-scoped, and the other kind is not served: neither is known to be gone.
        for owner in ["Node/n", "Thing/t"] {
            assert_eq!(staying(&[("Pod", "pod", &[owner])]), Some("pod".into()));
        }
        // In a cycle no owner is deleted.
        let circle: [(&str, &str, &[&str]); 2] =
            [("Pod", "a", &["Pod/b"]), ("Pod", "b", &["Pod/a"])];
        assert_eq!(staying(&circle), Some("a".into()));
    }

    #[test]
    fn a_namespace_that_hangs_says_what_holds_it() {
        let live = json!({"status": {"conditions": [
            {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "fine"},
            {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "runner x"},
        ]}});
        let Readiness::Stuck { reason, .. } = terminating(&live) else {
            panic!("it is not stuck");
        };
        assert_eq!(reason, "it is being deleted: runner x");
    }
}

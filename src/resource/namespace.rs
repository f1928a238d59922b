//! A namespace that goes: only where nothing is in it but what came with what goes.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::{
    context::Context,
    observed::{Observed, Ownership, Readiness},
    owner,
    removal::{ours, stays},
};
use crate::{
    clients::kube::{Kind, Selection, Target},
    error::Result,
};

/// Kinds that only tell of other things, or that the API makes up.
const NO_CONTENT: [&str; 3] = ["Event", "PodMetrics", "LocalSubjectAccessReview"];

/// How many kinds are listed at a time.
const CONCURRENT: usize = 8;

/// What is left of `live`, a namespace of this profile: it stays where a release stays in it, or anything that is not
/// arcctl's and not made by what goes.
pub(super) async fn remains(context: &Context, live: &Value) -> Result<Observed> {
    let name = live["metadata"]["name"].as_str().unwrap_or_default();
    if live["metadata"]["deletionTimestamp"].is_string() {
        return Ok(ours(terminating(live)));
    }
    if context.removal.stays(name) {
        return Ok(stays("a release stays in it"));
    }
    Ok(match foreign(context, name).await? {
        Some(thing) => stays(format!("{thing} in it is not arcctl's")),
        None => ours(Readiness::Ready),
    })
}

/// Deletes the namespace where it still is this profile's, and empty.
pub(super) async fn delete(context: &Context, target: &Target) -> Result<()> {
    let Some(live) = context.kube.get(target).await? else {
        return Ok(());
    };
    let own = owner::of_object(&live, &context.profile.name) == Ownership::Ours;
    if !own || live["metadata"]["deletionTimestamp"].is_string() {
        return Ok(());
    }
    if foreign(context, &target.name).await?.is_some() {
        return Ok(());
    }
    context.kube.delete_exactly(target, &live).await
}

/// What a namespace that is being deleted waits for: the API server says it in conditions.
fn terminating(live: &Value) -> Readiness {
    let conditions = live["status"]["conditions"].as_array();
    let said = conditions.into_iter().flatten().find(|it| {
        it["status"] == "True"
            && it["type"]
                .as_str()
                .is_some_and(|it| it.starts_with("Namespace"))
    });
    let said = said.and_then(|it| it["message"].as_str());
    match said {
        Some(said) => Readiness::stuck(
            format!("it is being deleted: {said}"),
            "take away what holds it; `kubectl get apiservices` shows an API that does not answer",
        ),
        None => Readiness::progressing("it is being deleted"),
    }
}

/// Something in the namespace that does not go with what arcctl takes away.
async fn foreign(context: &Context, namespace: &str) -> Result<Option<String>> {
    let kinds: Vec<Kind> = context.kube.namespaced_kinds().await?;
    let kinds = kinds
        .into_iter()
        .filter(|it| !NO_CONTENT.contains(&it.name()));
    let mut lists = stream::iter(kinds)
        .map(|kind| async move {
            let selection = Selection {
                kind,
                namespace: Some(namespace.into()),
                labels: None,
                fields: None,
            };
            let found = context.kube.list(&selection).await?;
            Ok::<_, crate::error::Error>((selection.kind, found))
        })
        .buffered(CONCURRENT);
    while let Some((kind, found)) = lists.try_next().await? {
        let profile = &context.profile.name;
        if let Some(live) = found.iter().find(|it| !goes_along(&kind, it, profile)) {
            let name = live["metadata"]["name"].as_str().unwrap_or_default();
            return Ok(Some(format!("{} `{name}`", kind.name())));
        }
    }
    Ok(None)
}

/// Whether an object is this profile's, made by something else that is in the namespace, or made by the cluster and the
/// programs that were in it.
fn goes_along(kind: &Kind, live: &Value, profile: &str) -> bool {
    let metadata = &live["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    let annotation = |key: &str| metadata["annotations"][key].as_str();
    let owned = metadata["ownerReferences"]
        .as_array()
        .is_some_and(|it| !it.is_empty());
    let of_helm = annotation("meta.helm.sh/release-name")
        .is_some_and(|it| matches!(it, "actions-runner-controller" | "cert-manager"));
    let of_cluster = matches!(
        (kind.name(), name),
        ("ConfigMap", "kube-root-ca.crt") | ("ServiceAccount", "default")
    );
    let by_product = match kind.name() {
        "Secret" => {
            metadata["labels"]["owner"] == "helm" && metadata["labels"][owner::PROFILE] == profile
                || annotation("cert-manager.io/certificate-name")
                    .is_some_and(|it| it == "actions-runner-controller-serving-cert")
                || name == "cert-manager-webhook-ca"
        }
        "Lease" => {
            matches!(
                name,
                "actions-runner-controller" | "cert-manager-controller"
            )
        }
        "Endpoints" | "EndpointSlice" => true,
        _ => false,
    };
    owned
        || of_helm
        || of_cluster
        || by_product
        || owner::of_object(live, profile) == Ownership::Ours
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_came_with_something_else_goes_along() {
        let goes = |kind: &str, metadata: Value| {
            goes_along(&Kind::new("v1", kind), &json!({"metadata": metadata}), "p")
        };
        assert!(goes("ConfigMap", json!({"name": "kube-root-ca.crt"})));
        assert!(goes(
            "Lease",
            json!({"name": "x", "labels": {owner::PROFILE: "p"}})
        ));
        assert!(goes(
            "Pod",
            json!({"name": "x", "ownerReferences": [{"name": "y"}]})
        ));
        assert!(!goes("ConfigMap", json!({"name": "mine"})));
        assert!(!goes(
            "Secret",
            json!({"name": "x", "labels": {owner::PROFILE: "q"}})
        ));
        assert!(!goes(
            "Secret",
            json!({"name": "x", "labels": {"owner": "helm"}})
        ));
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

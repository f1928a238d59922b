//! Lists all objects of a cluster, without fields that differ between two equal runs: listings are equal if the clusters
//! are equivalent.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    discovery::{Discovery, verbs},
};
use regex::Regex;
use serde_json::{Value, json};

/// What is there, by address.
pub(crate) type Listing = BTreeMap<String, String>;

/// Kinds that only tell of other things.
const NOT_LISTED: [&str; 4] = ["Event", "ComponentStatus", "IPAddress", "PodMetrics"];

/// Kinds whose objects are made by controllers, with names and contents of their own: they are counted.
const COUNTED: [&str; 15] = [
    "AutoscalingListener",
    "CertificateRequest",
    "ControllerRevision",
    "EndpointSlice",
    "Endpoints",
    "EphemeralRunner",
    "EphemeralRunnerSet",
    "FlowSchema",
    "Lease",
    "Node",
    "Pod",
    "PriorityLevelConfiguration",
    "ReplicaSet",
    "Runner",
    "RunnerReplicaSet",
];

/// Every object of the cluster, as its API gives it, with its kind.
pub(crate) async fn objects(client: &Client) -> Vec<Value> {
    let discovery = Discovery::new(client.clone())
        .run_aggregated()
        .await
        .unwrap();
    let resources = discovery
        .groups()
        .flat_map(kube::discovery::ApiGroup::recommended_resources)
        .filter(|(resource, can)| {
            can.supports_operation(verbs::LIST) && !NOT_LISTED.contains(&resource.kind.as_str())
        });
    let lists = resources.map(|(resource, _)| {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        async move {
            // A kind whose CRD has just gone.
            let found = api.list(&ListParams::default()).await.ok()?;
            let named = found.items.iter().map(|it| {
                let mut object = serde_json::to_value(it).unwrap();
                object["kind"] = json!(resource.kind);
                object["apiVersion"] = json!(resource.api_version);
                object
            });
            Some(named.collect::<Vec<_>>())
        }
    });
    let lists = futures::future::join_all(lists).await;
    lists.into_iter().flatten().flatten().collect()
}

/// What is in the cluster.
pub(crate) async fn listing(client: &Client) -> Listing {
    settled(&objects(client).await)
}

fn settled(objects: &[Value]) -> Listing {
    let secret_version = objects
        .iter()
        .find(|it| it["kind"] == "Secret" && it["metadata"]["name"] == "controller-manager")
        .and_then(|it| it["metadata"]["resourceVersion"].as_str())
        .unwrap_or("none");
    // As a word: it is a number, and longer ones have it in them.
    let secret_version = Regex::new(&format!(r"\b{secret_version}\b")).unwrap();
    let settled = |content: String| {
        let content = secret_version.replace_all(&content, "SECRET-VERSION");
        content.into_owned()
    };
    let ids: BTreeSet<&str> = objects
        .iter()
        .filter_map(|it| it["metadata"]["uid"].as_str())
        .collect();
    let mut listing = Listing::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for object in objects {
        let metadata = &object["metadata"];
        let kind = text(&object["kind"]);
        let at = |name: &str| format!("{kind}/{}/{name}", text(&metadata["namespace"]));
        let name = text(&metadata["name"]);
        if object["type"] == "helm.sh/release.v1" {
            continue;
        }
        // Each runner of a scale set has a Secret of its own.
        let of_runner = metadata["ownerReferences"][0]["kind"] == "EphemeralRunner";
        if COUNTED.contains(&kind.as_str()) || of_runner {
            // An old revision of a Deployment that is scaled to nothing; or the garbage collector's work to come.
            if kind == "ReplicaSet" && object["spec"]["replicas"] == 0 || is_garbage(object, &ids) {
                continue;
            }
            *counts.entry(at(&without_random_end(&name))).or_default() += 1;
        } else {
            listing.insert(at(&name), settled(content(object).to_string()));
        }
    }
    for (address, content) in releases(objects) {
        listing.insert(address, settled(content));
    }
    listing.extend(
        counts
            .into_iter()
            .map(|(address, count)| (address, count.to_string())),
    );
    listing
}

/// Whether all owners of `object` are gone, so that the cluster's garbage collector takes it: of kinds that are new to it
/// it hears only after half a minute.
fn is_garbage(object: &Value, ids: &BTreeSet<&str>) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.is_some_and(|owners| {
        owners
            .iter()
            .all(|it| it["uid"].as_str().is_some_and(|uid| !ids.contains(uid)))
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

/// A name as controllers make it, without what the API server adds to it: consonants and digits. A runner of a scale set
/// has the name of its set of runners in its own, which has such an end too.
fn without_random_end(name: &str) -> String {
    let of_set = "-[bcdfghjklmnpqrstvwxz2456789]{5}-runner-[bcdfghjklmnpqrstvwxz2456789]{5}$";
    let of_set = Regex::new(of_set).unwrap();
    if of_set.is_match(name) {
        return of_set.replace(name, "-runner").into_owned();
    }
    let end = Regex::new(r"(-[bcdfghjklmnpqrstvwxz2456789]{5,10}){1,2}$").unwrap();
    end.replace(name, "").into_owned()
}

/// What was asked for, without what the API server and time add to it.
fn content(object: &Value) -> Value {
    let mut content = object.clone();
    content["status"] = Value::Null;
    let metadata = content["metadata"].as_object_mut().unwrap();
    for key in [
        "resourceVersion",
        "uid",
        "creationTimestamp",
        "generation",
        "managedFields",
    ] {
        metadata.remove(key);
    }
    let owners = metadata
        .get_mut("ownerReferences")
        .and_then(Value::as_array_mut);
    for owner in owners.into_iter().flatten() {
        owner["uid"] = Value::Null;
    }
    content["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = Value::Null;
    content["metadata"]["annotations"]["runner-scale-set-id"] = Value::Null;
    let name = text(&content["metadata"]["name"]);
    if name.ends_with("-listener") || name.ends_with("-listener-config") {
        // They name the set of runners, and its id at GitHub.
        (content["rules"], content["data"]) = (Value::Null, Value::Null);
    }
    for key in ["clusterIP", "clusterIPs"] {
        if content["spec"][key].is_string() || content["spec"][key].is_array() {
            content["spec"][key] = Value::Null;
        }
    }
    for webhook in content["webhooks"].as_array_mut().into_iter().flatten() {
        webhook["clientConfig"]["caBundle"] = Value::Null;
    }
    if content["kind"] == "RunnerDeployment" {
        content["spec"]["effectiveTime"] = Value::Null;
    }
    // The names of runners that are gone, and the ids of scale sets.
    for (key, value) in content["data"].as_object_mut().into_iter().flatten() {
        if key.starts_with("runners.") || key.starts_with("scaleSet.") {
            *value = Value::Null;
        }
    }
    // Of an inventory: it only saves time, and a run that was killed leaves it to the next one that writes.
    if content["kind"] == "ConfigMap"
        && let Some(data) = content["data"].as_object_mut()
    {
        data.remove("crds");
    }
    if content["kind"] == "Secret" {
        // Keys and certificates are new each time; the names of the keys are not.
        for (key, value) in content["data"].as_object_mut().into_iter().flatten() {
            if key.starts_with("tls.") || key == "ca.crt" {
                *value = Value::Null;
            }
        }
        let annotations = content["metadata"]["annotations"].as_object_mut();
        for (key, value) in annotations.into_iter().flatten() {
            if key == "cert-manager.io/certificate-revision" {
                *value = Value::Null;
            }
        }
    }
    content
}

/// The releases by their newest revisions, and each that is unfinished.
fn releases(objects: &[Value]) -> Listing {
    let mut listing = Listing::new();
    let mut newest: BTreeMap<String, (u64, &Value)> = BTreeMap::new();
    for object in objects
        .iter()
        .filter(|it| it["type"] == "helm.sh/release.v1")
    {
        let (metadata, labels) = (&object["metadata"], &object["metadata"]["labels"]);
        let revision = text(&labels["version"]).parse().unwrap_or(0);
        let address = format!(
            "Release/{}/{}",
            text(&metadata["namespace"]),
            text(&labels["name"])
        );
        if text(&labels["status"]).starts_with("pending") {
            listing.insert(
                format!("{address}/{}", text(&labels["status"])),
                String::new(),
            );
        }
        let newest = newest.entry(address).or_insert((revision, object));
        if newest.0 <= revision {
            *newest = (revision, object);
        }
    }
    listing.extend(
        newest
            .into_iter()
            .map(|(address, (_, secret))| (address, release(secret).to_string())),
    );
    listing
}

/// What a release is: not which revision, nor when.
fn release(secret: &Value) -> Value {
    let labels = &secret["metadata"]["labels"];
    let outer = STANDARD.decode(text(&secret["data"]["release"])).unwrap();
    let inner = STANDARD.decode(outer).unwrap();
    let record: Value =
        serde_json::from_reader(flate2::read::GzDecoder::new(inner.as_slice())).unwrap();
    json!({
        "status": labels["status"], "profile": labels["arcctl.dev/profile"],
        "chart": record["chart"]["metadata"]["version"], "values": record["config"], "manifest": record["manifest"],
    })
}

/// How two listings differ, in words; empty when they do not.
pub(crate) fn differences(wanted: &Listing, found: &Listing) -> Vec<String> {
    let addresses = wanted
        .keys()
        .chain(found.keys().filter(|it| !wanted.contains_key(*it)));
    addresses
        .filter_map(|address| match (wanted.get(address), found.get(address)) {
            (Some(wanted), Some(found)) if wanted == found => None,
            (Some(wanted), Some(found)) => {
                let (wanted, found) = around_first_difference(wanted, found);
                Some(format!("{address}: {found} and not {wanted}"))
            }
            (Some(_), None) => Some(format!("{address} is missing")),
            (None, _) => Some(format!("{address} is too many")),
        })
        .collect()
}

fn around_first_difference(wanted: &str, found: &str) -> (String, String) {
    let same = wanted
        .bytes()
        .zip(found.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let part = |text: &str| -> String {
        let bytes: Vec<u8> = text
            .bytes()
            .skip(same.saturating_sub(60))
            .take(140)
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    (part(wanted), part(found))
}

#[test]
fn names_lose_their_random_ends_only() {
    for (name, settled) in [
        ("basic", "basic"),
        ("basic-x7kq9", "basic"),
        ("basic-x7kq9-2bcdf", "basic"),
        ("cert-manager-6d4f8b7c9d-x2x2x", "cert-manager"),
        ("fast-x7kq9-runner-2bcdf", "fast-runner"),
        ("cert-manager-webhook", "cert-manager-webhook"),
    ] {
        assert_eq!(without_random_end(name), settled);
    }
}

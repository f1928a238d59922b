//! Names, labels, versions and finalizers of the controller's objects. Pure: no I/O.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::objects::{self, ALPHABET, at, text};

/// On a set: its id at GitHub.
pub(super) const ID: &str = "runner-scale-set-id";
pub(super) const GROUP_NAME: &str = "actions.github.com/runner-group-name";
pub(super) const SET_NAME: &str = "actions.github.com/runner-scale-set-name";
pub(super) const VALUES_HASH: &str = "actions.github.com/values-hash";
pub(super) const SPEC_HASH: &str = "actions.github.com/runner-spec-hash";
/// On a set that is outdated: the spec that was.
pub(super) const CHANGE_HASH: &str = "actions.github.com/change-hash";
/// On a runner: with which patch of the listener it was made.
pub(super) const PATCH: &str = "actions.github.com/patch-id";

/// Holds a set until everything of it is gone.
pub(super) const OF_SET: &str = "autoscalingrunnerset.actions.github.com/finalizer";
pub(super) const OF_LISTENER: &str = "autoscalinglistener.actions.github.com/finalizer";
pub(super) const OF_RUNNER: &str = "ephemeralrunner.actions.github.com/finalizer";
/// Holds a runner until it has left GitHub.
pub(super) const OF_REGISTRATION: &str =
    "ephemeralrunner.actions.github.com/runner-registration-finalizer";
/// Holds what the chart made and the controller needs to clean up.
pub(super) const PROTECTION: &str = "actions.github.com/cleanup-protection";

/// A version of controller and charts.
pub(super) type Version = (u64, u64, u64);

/// Reads `0.14.2`; what is no number is 0.
pub(super) fn version(text: &str) -> Version {
    let mut numbers = text.split(['.', '-']).map(|it| it.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

/// Whether a controller works for a set of this version: since 0.12 another patch will do.
pub(super) fn is_allowed(set: &str, controller: Version) -> bool {
    if set.starts_with("dev") || set.starts_with("canary") {
        return true;
    }
    let set = version(set);
    if controller < (0, 12, 0) {
        return set == controller;
    }
    (set.0, set.1) == (controller.0, controller.1)
}

/// The name of a set's listener.
pub(super) fn listener(set: &Value) -> String {
    let group = text(set, "/spec/runnerGroup");
    let url = text(set, "/spec/githubConfigUrl");
    let hash = fnv(&format!("{}@{group}@{url}", at(set).0));
    format!("{}-{hash}-listener", at(set).1)
}

/// Eight letters and digits of the FNV-1a hash of a text, in the alphabet of generated names.
pub(super) fn fnv(text: &str) -> String {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let digits = hash.to_string();
    let safe = digits
        .bytes()
        .map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]));
    safe.take(8).collect()
}

/// The hash of some fields of an object.
pub(super) fn hash(parts: &[&Value]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.to_string());
        hasher.update([0]);
    }
    let bytes = hasher.finalize();
    bytes
        .iter()
        .take(5)
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

pub(super) fn annotation<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"]["annotations"][name]
        .as_str()
        .unwrap_or_default()
}

/// The id of a set at GitHub, once it is registered.
pub(super) fn id(set: &Value) -> Option<u64> {
    annotation(set, ID).parse().ok().filter(|id| *id > 0)
}

/// The labels that an object of a set gets: the set's own, apart from those of some prefixes, and what they say of it.
pub(super) fn labels(set: &Value, component: &str, excluded: &[String]) -> Map<String, Value> {
    let own = set["metadata"]["labels"].as_object();
    let mut labels: Map<String, Value> = own
        .into_iter()
        .flatten()
        .filter(|(name, _)| !excluded.iter().any(|it| name.starts_with(it.as_str())))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let (namespace, name) = at(set);
    let facts = [
        ("app.kubernetes.io/component", component.to_owned()),
        (
            "app.kubernetes.io/part-of",
            "gha-runner-scale-set".to_owned(),
        ),
        ("actions.github.com/scale-set-name", name.to_owned()),
        (
            "actions.github.com/scale-set-namespace",
            namespace.to_owned(),
        ),
    ];
    for (name, value) in facts {
        labels.insert(name.to_owned(), value.into());
    }
    labels.extend(of_place(set));
    labels
}

/// The labels that say where a set is registered.
pub(super) fn of_place(set: &Value) -> Map<String, Value> {
    let url = text(set, "/spec/githubConfigUrl").parse::<http::Uri>();
    let path = url.map(|url| url.path().trim_matches('/').to_owned());
    let place = match *path.unwrap_or_default().split('/').collect::<Vec<_>>() {
        ["enterprises", slug] => vec![("enterprise", trimmed(slug))],
        [login, name] => vec![
            ("organization", trimmed(login)),
            ("repository", trimmed(name)),
        ],
        [login] => vec![("organization", trimmed(login))],
        _ => Vec::new(),
    };
    place
        .into_iter()
        .map(|(name, value)| (format!("actions.github.com/{name}"), value.into()))
        .collect()
}

/// A label's value has at most 63 characters.
fn trimmed(value: &str) -> String {
    const END: &str = "-trim";
    if value.len() <= 63 {
        return value.to_owned();
    }
    let kept: String = value.chars().take(63 - END.len()).collect();
    format!("{kept}{END}")
}

/// A patch that adds finalizers to an object.
pub(super) fn with_finalizers(object: &Value, finalizers: &[&str]) -> Value {
    let known = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    let known = known.into_iter().flatten().filter_map(Value::as_str);
    let all: Vec<&str> = known.chain(finalizers.iter().copied()).collect();
    let version = object.pointer("/metadata/resourceVersion");
    json!({ "metadata": { "finalizers": all, "resourceVersion": version } })
}

/// Whether the runner of a status has a job.
pub(super) fn has_job(runner: &Value) -> bool {
    !text(runner, "/status/jobId").is_empty()
}

/// How old an object is, for an order: by its creation, then by its name.
pub(super) fn age(object: &Value) -> (&str, &str) {
    let created = text(object, "/metadata/creationTimestamp");
    (created, objects::at(object).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_may_differ_and_a_minor_may_not() {
        assert!(is_allowed("0.14.1", (0, 14, 2)));
        assert!(!is_allowed("0.13.1", (0, 14, 2)));
        assert!(!is_allowed("0.15.1", (0, 14, 2)));
        assert!(!is_allowed("0.11.0", (0, 11, 1)));
        assert!(!is_allowed("", (0, 14, 2)));
        assert!(is_allowed("canary-abc", (0, 14, 2)));
    }

    #[test]
    fn a_listener_is_named_by_all_that_makes_a_scale_set_one() {
        let set = |group: &str| {
            json!({ "metadata": { "name": "basic", "namespace": "arc" }, "spec": {
                "runnerGroup": group, "githubConfigUrl": "https://github.com/o" } })
        };
        let name = listener(&set("a"));
        assert!(
            name.starts_with("basic-") && name.ends_with("-listener"),
            "{name}"
        );
        assert_ne!(name, listener(&set("b")));
        assert_eq!(name, listener(&set("a")));
    }

    #[test]
    fn labels_say_where_a_set_is_registered() {
        let set = json!({
            "metadata": { "name": "basic", "namespace": "arc", "labels": { "team": "x", "argocd/instance": "y" } },
            "spec": { "githubConfigUrl": format!("https://github.com/o/{}", "r".repeat(70)) },
        });
        let labels = labels(&set, "runner", &["argocd/".to_owned()]);
        assert_eq!(labels["team"], "x");
        assert!(!labels.contains_key("argocd/instance"));
        assert_eq!(labels["actions.github.com/organization"], "o");
        let repository = labels["actions.github.com/repository"].as_str().unwrap();
        assert!(
            repository.len() == 63 && repository.ends_with("-trim"),
            "{repository}"
        );
    }
}

//! The configuration of a controller's pod: its version, and its arguments. Pure: no I/O.

use serde_json::Value;

use super::names::{Version, version};
use crate::objects::{at, text};

/// What a controller works with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Configuration {
    /// Where it is, and where its listeners go.
    pub(super) namespace: String,
    /// The account it works as.
    pub(super) account: String,
    pub(super) version: Version,
    /// The image of its listeners: its own.
    pub(super) image: String,
    pub(super) pull_secrets: Vec<String>,
    pub(super) watch_namespace: Option<String>,
    /// The Lease, where it is one of several.
    pub(super) lease: Option<String>,
    /// Whether a change waits for the runners to end.
    pub(super) eventual: bool,
    /// Labels with these prefixes stay on the set.
    pub(super) excluded: Vec<String>,
    /// The address and the path of the listeners' metrics.
    pub(super) metrics: Option<(String, String)>,
    pub(super) log: (String, String),
}

/// Reads the configuration of a pod of the controller.
pub(super) fn of_pod(pod: &Value) -> Configuration {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    let manager = containers.and_then(|all| all.iter().find(|one| one["name"] == "manager"));
    let manager = manager.cloned().unwrap_or_default();
    let args: Vec<&str> = manager["args"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let all = |name: &str| -> Vec<String> {
        let start = format!("--{name}=");
        let values = args.iter().filter_map(|it| it.strip_prefix(start.as_str()));
        values.map(ToOwned::to_owned).collect()
    };
    let flag = |name: &str| all(name).pop().filter(|it| !it.is_empty());
    let metrics = flag("listener-metrics-addr").filter(|it| it != "0");
    let endpoint = flag("listener-metrics-endpoint").unwrap_or_default();
    Configuration {
        namespace: at(pod).0.to_owned(),
        account: text(pod, "/spec/serviceAccountName").to_owned(),
        version: version(text(pod, "/metadata/labels/app.kubernetes.io~1version")),
        image: text(&manager, "/image").to_owned(),
        pull_secrets: all("auto-scaler-image-pull-secrets"),
        watch_namespace: flag("watch-single-namespace"),
        lease: flag("leader-election-id").filter(|_| args.contains(&"--enable-leader-election")),
        eventual: flag("update-strategy").as_deref() == Some("eventual"),
        excluded: all("exclude-label-propagation-prefix"),
        metrics: metrics.map(|address| (address, endpoint)),
        log: (
            flag("log-level").unwrap_or_else(|| "debug".to_owned()),
            flag("log-format").unwrap_or_else(|| "text".to_owned()),
        ),
    }
}

impl Configuration {
    /// Whether it is at least of this version.
    pub(super) fn since(&self, least: Version) -> bool {
        self.version >= least
    }

    /// Whether a binding is for its account.
    pub(super) fn is_bound_by(&self, binding: &Value) -> bool {
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        let mut accounts = subjects.filter(|it| it["kind"] == "ServiceAccount");
        accounts
            .any(|it| text(it, "/name") == self.account && text(it, "/namespace") == self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_are_read() {
        let pod = json!({
            "metadata": { "namespace": "arc-systems", "labels": { "app.kubernetes.io/version": "0.14.2" } },
            "spec": { "serviceAccountName": "arc", "containers": [{ "name": "manager", "image": "i:0.14.2", "args": [
                "--enable-leader-election", "--leader-election-id=arc", "--update-strategy=eventual",
                "--listener-metrics-addr=0", "--listener-metrics-endpoint=", "--exclude-label-propagation-prefix=a/",
            ] }] },
        });
        let configuration = of_pod(&pod);
        assert_eq!(configuration.version, (0, 14, 2));
        assert_eq!(configuration.lease.as_deref(), Some("arc"));
        assert!(configuration.eventual && configuration.metrics.is_none());
        assert_eq!(configuration.excluded, ["a/"]);
        let bound = |name: &str, namespace: &str| {
            let subject = json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace });
            configuration.is_bound_by(&json!({ "subjects": [subject] }))
        };
        assert!(bound("arc", "arc-systems"));
        assert!(!bound("other", "arc-systems") && !bound("arc", "arc-runners"));
        assert!(!configuration.is_bound_by(&json!({})));
    }
}

//! Finds the leader among the controller's pods: only the leader creates runners, and a new one starts only once the Lease
//! of the previous one has expired (findings: lab.md 8). Pure: no I/O.

use jiff::Timestamp;
use serde_json::Value;

use crate::resource::observed::Readiness;

/// The default name of the Lease, if the chart sets no other (main.go of the controller, `--leader-election-id`).
const DEFAULT_ID: &str = "actions-runner-controller";

/// The default duration of a Lease (client-go's default in controller-runtime).
const DEFAULT_SECONDS: u64 = 15;

/// The name of the leader election Lease of `deployment`'s pods; `None` without leader election.
pub(super) fn election(deployment: &Value) -> Option<String> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array()?;
    let arguments: Vec<&str> = containers
        .iter()
        .filter_map(|it| it["args"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let value = |flag: &str| {
        arguments.iter().find_map(|it| {
            let rest = it.strip_prefix(flag)?;
            rest.is_empty()
                .then_some("true")
                .or_else(|| rest.strip_prefix('='))
        })
    };
    let elects = value("--enable-leader-election").is_some_and(|it| it != "false");
    elects.then(|| {
        value("--leader-election-id")
            .unwrap_or(DEFAULT_ID)
            .to_owned()
    })
}

/// Whether one of `pods` is the leader, by the Lease `name`.
pub(super) fn leader(name: &str, lease: Option<&Value>, pods: &[Value]) -> Readiness {
    let spec = lease.map_or(&Value::Null, |it| &it["spec"]);
    let holder = spec["holderIdentity"].as_str().unwrap_or_default();
    if holder.is_empty() {
        return Readiness::progressing(format!(
            "the controller has no leader yet: no pod holds Lease `{name}`"
        ));
    }
    let host = host(holder);
    let seconds = spec["leaseDurationSeconds"]
        .as_u64()
        .unwrap_or(DEFAULT_SECONDS);
    let old = |why: &str| {
        Readiness::progressing(format!(
            "the controller has no leader yet: `{host}`, {why}, still holds Lease `{name}`; another pod becomes the leader when the Lease expires, after {seconds} s"
        ))
    };
    let Some(pod) = pods.iter().find(|it| host_name(it) == host) else {
        return old("which is gone");
    };
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return old("which is ending");
    }
    // Both times come from the pod's node.
    let renewed: Option<Timestamp> = spec["renewTime"].as_str().and_then(|it| it.parse().ok());
    match (renewed, started(pod)) {
        (Some(renewed), Some(started)) if renewed < started => old("before its restart"),
        _ => Readiness::Ready,
    }
}

/// The host name in an identity: host name, underscore, random part (controller-runtime, `leader_election.go`).
fn host(holder: &str) -> &str {
    holder.rsplit_once('_').map_or(holder, |(host, _)| host)
}

/// A controller of another release is the leader, by the same Lease: one of the `pods` of `release`'s namespace. It creates
/// the runners, and while it lives no pod of `release` can.
pub(super) fn led_by_another(
    name: &str,
    lease: Option<&Value>,
    pods: &[Value],
    release: &str,
) -> Option<Readiness> {
    let holder = host(lease?["spec"]["holderIdentity"].as_str()?);
    let pod = pods.iter().find(|it| host_name(it) == holder)?;
    let other = pod["metadata"]["labels"]["app.kubernetes.io/instance"].as_str()?;
    if other == release || !pod["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    Some(Readiness::stuck(
        format!(
            "pod `{holder}` of another controller, release `{other}` in the same namespace, holds Lease `{name}`: it makes the runners, with its own credential and values, and none of release `{release}` does"
        ),
        format!(
            "give the other a Lease of its own with the chart's value `leaderElectionId`, and a namespace of its own to look at (`scope.singleNamespace`, `scope.watchNamespace`); or, once its own runners are gone, `helm -n {namespace} uninstall {other}`"
        ),
    ))
}

/// The host name in a pod's containers.
fn host_name(pod: &Value) -> &str {
    let name = if pod["spec"]["hostNetwork"] == true {
        &pod["spec"]["nodeName"]
    } else {
        &pod["metadata"]["name"]
    };
    name.as_str().unwrap_or_default()
}

/// When the controller's container last started.
fn started(pod: &Value) -> Option<Timestamp> {
    let statuses = pod["status"]["containerStatuses"].as_array()?;
    let status = statuses.iter().find(|it| it["name"] == "manager")?;
    status["state"]["running"]["startedAt"]
        .as_str()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str) -> Value {
        json!({
            "metadata": {"name": name},
            "spec": {"nodeName": "node-1"},
            "status": {"containerStatuses": [
                {"name": "manager", "state": {"running": {"startedAt": "2026-01-01T00:00:10Z"}}},
            ]},
        })
    }

    fn lease(holder: &str, renewed: &str) -> Value {
        json!({"spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15}})
    }

    fn reason(lease: Option<&Value>, pods: &[Value]) -> String {
        leader("x", lease, pods)
            .reason()
            .unwrap_or("ready")
            .to_owned()
    }

    #[test]
    fn the_holder_must_be_a_pod_that_lives() {
        let later = "2026-01-01T00:00:11.5Z";
        let held = lease("a-1_uid", later);
        assert_eq!(reason(Some(&held), &[pod("a-1")]), "ready");
        assert!(reason(None, &[pod("a-1")]).contains("no pod holds Lease `x`"));
        assert!(reason(Some(&lease("", later)), &[pod("a-1")]).contains("no pod holds"));
        let gone = reason(Some(&held), &[pod("a-2")]);
        assert!(
            gone.contains("`a-1`, which is gone") && gone.contains("after 15 s"),
            "{gone}"
        );
        let mut ending = pod("a-1");
        ending["metadata"]["deletionTimestamp"] = json!(later);
        assert!(reason(Some(&held), &[ending]).contains("which is ending"));
        let before = lease("a-1_uid", "2026-01-01T00:00:09Z");
        assert!(reason(Some(&before), &[pod("a-1")]).contains("before its restart"));
    }

    #[test]
    fn a_leader_of_another_release_is_named() {
        let mut other = pod("team-1");
        other["metadata"]["labels"] = json!({"app.kubernetes.io/instance": "team"});
        other["metadata"]["namespace"] = json!("arc");
        let held = lease("team-1_uid", "2026-01-01T00:00:11Z");
        let led = |pod: &Value, release: &str| {
            led_by_another("arc/x", Some(&held), std::slice::from_ref(pod), release)
        };
        let Some(Readiness::Stuck { reason, hint, .. }) = led(&other, "ours") else {
            panic!("it is not told");
        };
        assert!(
            reason.contains("pod `team-1` of another controller, release `team`"),
            "{reason}"
        );
        assert!(hint.contains("`helm -n arc uninstall team`"), "{hint}");
        assert_eq!(led(&other, "team"), None);
        other["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:12Z");
        assert_eq!(led(&other, "ours"), None);
        assert_eq!(led(&pod("team-2"), "ours"), None);
    }

    #[test]
    fn a_pod_in_the_network_of_its_node_has_the_node_s_name() {
        let mut pod = pod("a-1");
        pod["spec"]["hostNetwork"] = json!(true);
        assert_eq!(
            reason(Some(&lease("node-1_uid", "2026-01-01T00:00:11Z")), &[pod]),
            "ready"
        );
    }

    #[test]
    fn the_election_is_what_the_pods_are_started_with() {
        let with = |arguments: Value| {
            election(
                &json!({"spec": {"template": {"spec": {"containers": [{"args": arguments}, {}]}}}}),
            )
        };
        assert_eq!(
            with(json!(["--enable-leader-election"])).as_deref(),
            Some(DEFAULT_ID)
        );
        assert_eq!(
            with(json!([
                "--enable-leader-election=true",
                "--leader-election-id=b"
            ]))
            .as_deref(),
            Some("b")
        );
        assert_eq!(with(json!(["--enable-leader-election=false"])), None);
        assert_eq!(with(json!(["--leader-election-id=b"])), None);
    }
}

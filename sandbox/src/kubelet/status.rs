//! A pod's status in each phase, as the kubelet writes it. Pure: no I/O.

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::command::Ended;
use super::history::Init;
use super::pod_state;

/// Where the pod is.
pub(super) struct Place<'a> {
    pub(super) host: &'a str,
    pub(super) pod: &'a str,
}

/// A time as Kubernetes writes it: whole seconds.
pub(super) fn time(now: Timestamp) -> String {
    format!("{now:.0}")
}

/// Containers wait: all of them for their start, and one of them for the reason of `cause`. `inits` are the init containers
/// that have been started.
pub(super) fn waiting(
    pod: &Pod,
    host: &str,
    now: Timestamp,
    inits: &[Init],
    cause: Option<&Cause<'_>>,
) -> Value {
    let reason = if init_containers(pod).is_empty() {
        "ContainerCreating"
    } else {
        "PodInitializing"
    };
    let waits = |container: &Container| match cause {
        Some(cause) if cause.container == container.name => {
            json!({"waiting": {"reason": cause.reason, "message": cause.message}})
        }
        _ => json!({"waiting": {"reason": reason}}),
    };
    let statuses: Vec<Value> = containers(pod)
        .iter()
        .map(|container| container_status(pod, container, &waits(container), false))
        .collect();
    let init_statuses: Vec<Value> = init_containers(pod)
        .iter()
        .enumerate()
        .map(|(number, container)| match inits.get(number) {
            Some(init) => init_status(pod, container, init),
            None => container_status(pod, container, &waits(container), false),
        })
        .collect();
    let incomplete = incomplete(pod, inits);
    let message = unready(pod);
    let mut status = json!({
        "phase": "Pending",
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "startTime": start_time(pod, now),
        "conditions": conditions(pod, now, true, incomplete.as_deref(), Some(&message)),
        "containerStatuses": statuses,
    });
    if !init_statuses.is_empty() {
        status["initContainerStatuses"] = json!(init_statuses);
    }
    json!({"status": status})
}

/// Why a container waits.
pub(super) struct Cause<'a> {
    pub(super) container: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: Option<&'a str>,
}

/// An init container that runs, or has ended well.
fn init_status(pod: &Pod, container: &Container, init: &Init) -> Value {
    let since = time(init.since);
    let (state, ready) = match init.ended {
        Some(ended) => {
            let state = json!({"terminated": {"exitCode": 0, "reason": "Completed",
                "startedAt": since, "finishedAt": time(ended)}});
            (state, true)
        }
        None => (
            json!({"running": {"startedAt": since}}),
            is_sidecar(container),
        ),
    };
    container_status(pod, container, &state, ready)
}

/// The message about the init containers that have not ended; `None` where all have.
fn incomplete(pod: &Pod, inits: &[Init]) -> Option<String> {
    let is_complete = |number: usize, container: &Container| {
        let init = inits.get(number);
        init.is_some_and(|init| init.ended.is_some() || is_sidecar(container))
    };
    let names: Vec<&str> = init_containers(pod)
        .iter()
        .enumerate()
        .filter(|(number, container)| !is_complete(*number, container))
        .map(|(_, container)| container.name.as_str())
        .collect();
    (!names.is_empty()).then(|| {
        let names = names.join(" ");
        format!("containers with incomplete status: [{names}]")
    })
}

/// Containers run; `ready` says which of them are ready.
pub(super) fn running(
    pod: &Pod,
    place: &Place<'_>,
    now: Timestamp,
    ready: impl Fn(&Container) -> bool,
) -> Value {
    let statuses: Vec<Value> = containers(pod)
        .iter()
        .map(|container| {
            let started = pod_state::status(pod, &container.name)
                .and_then(|status| status.state.as_ref()?.running.as_ref()?.started_at.clone())
                .map_or_else(|| time(now), |since| time(since.0));
            let state = json!({"running": {"startedAt": started}});
            container_status(pod, container, &state, ready(container))
        })
        .collect();
    let all = containers(pod).iter().all(&ready);
    let message = (!all).then(|| unready_where(pod, |container| !ready(container)));
    json!({"status": {
        "phase": "Running",
        "hostIP": place.host,
        "hostIPs": [{"ip": place.host}],
        "podIP": place.pod,
        "podIPs": [{"ip": place.pod}],
        "startTime": start_time(pod, now),
        "conditions": conditions(pod, now, false, None, message.as_deref()),
        "containerStatuses": statuses,
    }})
}

/// A container has ended, with an exit code, and waits to be started again.
pub(super) fn crashing(
    pod: &Pod,
    place: &Place<'_>,
    now: Timestamp,
    (name, code): (&str, i32),
) -> Value {
    let mut status = running(pod, place, now, |container| container.name != name);
    for container in status["status"]["containerStatuses"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        if container["name"] != name {
            continue;
        }
        let restarts = container["restartCount"].as_i64().unwrap_or(0);
        let reason = if code == 0 { "Completed" } else { "Error" };
        let ended = json!({"terminated": {"exitCode": code, "reason": reason,
            "startedAt": time(now), "finishedAt": time(now)}});
        // The first crash is shown once as an end, later ones as the wait between restarts.
        if container["lastState"]
            .as_object()
            .is_some_and(serde_json::Map::is_empty)
        {
            container["state"] = ended.clone();
        } else {
            let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            container["state"] = json!({"waiting": {"reason": "CrashLoopBackOff",
                "message": format!("back-off 10s restarting failed container={name} \
                    pod={pod_name}_{namespace}({uid})")}});
            container["restartCount"] = json!(restarts + 1);
        }
        container["lastState"] = ended;
        container["started"] = json!(false);
    }
    status
}

/// All containers have ended well.
pub(super) fn ended(pod: &Pod, now: Timestamp, how: &Ended) -> Value {
    let message = (!how.message.is_empty()).then_some(&how.message);
    let (phase, reason) = match how.code {
        0 => ("Succeeded", "Completed"),
        _ => ("Failed", "Error"),
    };
    let statuses: Vec<Value> = containers(pod)
        .iter()
        .map(|container| {
            let running = pod_state::status(pod, &container.name)
                .and_then(|status| status.state.as_ref()?.running.as_ref()?.started_at.clone());
            let state = json!({"terminated": {"exitCode": how.code, "reason": reason, "message": message,
                "startedAt": running.map(|since| time(since.0)), "finishedAt": time(now)}});
            container_status(pod, container, &state, false)
        })
        .collect();
    let condition = |kind: &str, status: &str| {
        json!({"type": kind, "status": status, "reason": "PodCompleted",
            "lastProbeTime": null, "lastTransitionTime": time(now)})
    };
    json!({"status": {
        "phase": phase,
        "conditions": [condition("Initialized", "True"), condition("Ready", "False"),
            condition("ContainersReady", "False")],
        "containerStatuses": statuses,
    }})
}

pub(super) fn containers(pod: &Pod) -> &[Container] {
    pod.spec
        .as_ref()
        .map(|spec| spec.containers.as_slice())
        .unwrap_or_default()
}

pub(super) fn init_containers(pod: &Pod) -> &[Container] {
    let spec = pod.spec.as_ref();
    let inits = spec.and_then(|spec| spec.init_containers.as_deref());
    inits.unwrap_or_default()
}

/// Whether an init container runs beside the others until the pod ends.
pub(super) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn container_status(pod: &Pod, container: &Container, state: &Value, ready: bool) -> Value {
    let before = pod_state::status(pod, &container.name);
    let is_running = state.get("running").is_some();
    let mut last = json!({});
    if let Some(ended) = before
        .and_then(|status| status.last_state.as_ref())
        .and_then(|state| state.terminated.as_ref())
    {
        last = json!({"terminated": ended});
    }
    json!({
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "ready": ready,
        "started": is_running,
        "restartCount": before.map_or(0, |status| status.restart_count),
        "state": state,
        "lastState": last,
    })
}

fn start_time(pod: &Pod, now: Timestamp) -> String {
    let known = pod
        .status
        .as_ref()
        .and_then(|status| status.start_time.as_ref());
    known.map_or_else(|| time(now), |known| time(known.0))
}

fn unready(pod: &Pod) -> String {
    unready_where(pod, |_| true)
}

fn unready_where(pod: &Pod, which: impl Fn(&Container) -> bool) -> String {
    let names = containers(pod)
        .iter()
        .filter(|one| which(one))
        .map(|one| one.name.as_str());
    format!(
        "containers with unready status: [{}]",
        names.collect::<Vec<_>>().join(" ")
    )
}

/// The conditions of a pod that is not done; a message makes it uninitialized or unready. A condition that keeps
/// its status keeps the time of its last transition.
fn conditions(
    pod: &Pod,
    now: Timestamp,
    starting: bool,
    incomplete: Option<&str>,
    unready: Option<&str>,
) -> Value {
    let since = |kind: &str, status: &str| {
        let known = pod
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref());
        known
            .and_then(|all| {
                all.iter()
                    .find(|one| one.type_ == kind && one.status == status)
            })
            .and_then(|one| one.last_transition_time.as_ref())
            .map_or_else(|| time(now), |since| time(since.0))
    };
    let condition = |kind: &str, is_true: bool, reason: &str, message: Option<&str>| {
        let status = if is_true { "True" } else { "False" };
        json!({"type": kind, "status": status, "lastProbeTime": null,
            "lastTransitionTime": since(kind, status),
            "reason": message.map(|_| reason), "message": message})
    };
    let ready = |kind| condition(kind, unready.is_none(), "ContainersNotReady", unready);
    let is_initialized = incomplete.is_none();
    json!([
        condition("PodReadyToStartContainers", !starting, "", None),
        condition(
            "Initialized",
            is_initialized,
            "ContainersNotInitialized",
            incomplete
        ),
        ready("Ready"),
        ready("ContainersReady"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_value;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn pod() -> Pod {
        from_value(json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {
            "containers": [{"name": "runner", "image": "r:1"}, {"name": "docker", "image": "d:1"}],
        }}))
        .unwrap()
    }

    fn place() -> Place<'static> {
        Place {
            host: "10.0.1.11",
            pod: "10.244.0.1",
        }
    }

    fn with(mut pod: Pod, patch: &Value) -> Pod {
        pod.status = from_value(patch["status"].clone()).unwrap();
        pod
    }

    #[test]
    fn one_unready_container_makes_the_pod_unready() {
        let status = running(&pod(), &place(), NOW, |container| {
            container.name == "docker"
        });
        let ready = &status["status"]["conditions"][2];
        assert_eq!(
            (&ready["type"], &ready["status"]),
            (&json!("Ready"), &json!("False"))
        );
        assert_eq!(ready["message"], "containers with unready status: [runner]");
    }

    #[test]
    fn a_running_pod_keeps_its_start() {
        let early = with(pod(), &running(&pod(), &place(), NOW, |_| true));
        let later = NOW + k8s_openapi::jiff::SignedDuration::from_secs(60);
        let status = running(&early, &place(), later, |_| true);
        let status = &status["status"];
        assert_eq!(status["startTime"], "1970-01-01T00:00:00Z");
        assert_eq!(
            status["conditions"][2]["lastTransitionTime"],
            "1970-01-01T00:00:00Z"
        );
        let state = &status["containerStatuses"][0]["state"];
        assert_eq!(state["running"]["startedAt"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_cause_stays_with_its_container() {
        let cause = Cause {
            container: "runner",
            reason: "ImagePullBackOff",
            message: Some("Back-off pulling image \"r:1\""),
        };
        let status = waiting(&pod(), "10.0.1.11", NOW, &[], Some(&cause));
        let statuses = &status["status"]["containerStatuses"];
        assert_eq!(
            statuses[0]["state"]["waiting"]["reason"],
            "ImagePullBackOff"
        );
        assert_eq!(
            statuses[1]["state"]["waiting"]["reason"],
            "ContainerCreating"
        );
    }

    #[test]
    fn init_containers_come_one_after_another() {
        let mut pod = pod();
        pod.spec.as_mut().unwrap().init_containers =
            from_value(json!([{"name": "first"}, {"name": "second"}])).unwrap();
        let shown = |inits: &[Init]| waiting(&pod, "10.0.1.11", NOW, inits, None)["status"].clone();
        let mut first = Init::new(NOW);
        let before = shown(&[]);
        let waits = &before["initContainerStatuses"][0]["state"]["waiting"];
        assert_eq!(waits["reason"], "PodInitializing");
        let running = shown(std::slice::from_ref(&first));
        assert!(running["initContainerStatuses"][0]["state"]["running"].is_object());
        assert_eq!(
            running["conditions"][1]["message"],
            "containers with incomplete status: [first second]"
        );
        first.ended = Some(NOW);
        let mut second = Init::new(NOW);
        second.ended = Some(NOW);
        let done = shown(&[first, second]);
        let ended = &done["initContainerStatuses"][1]["state"]["terminated"];
        assert_eq!(
            (&ended["exitCode"], &ended["reason"]),
            (&json!(0), &json!("Completed"))
        );
        assert_eq!(done["conditions"][1]["status"], "True");
        assert_eq!(
            done["containerStatuses"][0]["state"]["waiting"]["reason"],
            "PodInitializing"
        );
    }

    #[test]
    fn crashes_are_counted() {
        let first = with(pod(), &crashing(&pod(), &place(), NOW, ("runner", 1)));
        let status = crashing(&first, &place(), NOW, ("runner", 1));
        let runner = &status["status"]["containerStatuses"][0];
        assert_eq!(runner["restartCount"], 1);
        assert_eq!(runner["state"]["waiting"]["reason"], "CrashLoopBackOff");
        assert_eq!(runner["lastState"]["terminated"]["exitCode"], 1);
    }

    #[test]
    fn an_ended_pod_is_not_ready() {
        let status = ended(&pod(), NOW, &Ended::default());
        assert_eq!(status["status"]["phase"], "Succeeded");
        assert_eq!(status["status"]["conditions"][1]["status"], "False");
    }
}

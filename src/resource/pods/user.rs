//! Containers that do not start because of the user that they run as. Pure: no I/O.

use serde_json::Value;

use super::status::{Maker, maker};

/// What to do where the user that a container runs as is at fault: kubelet starts no container as root, or as a user without a
/// number, that must not be root (kubernetes, `pkg/kubelet/kuberuntime/security_context.go`), and another user than the image's
/// may not execute its program (runc).
pub(super) fn hint(pod: &Value, said: &str) -> Option<String> {
    let is_refused = said.contains("runAsNonRoot") || said.contains("breaks non-root policy");
    let is_denied = said.contains("exec: ") && said.contains("permission denied");
    if !is_refused && !is_denied {
        return None;
    }
    let keys = match maker(pod) {
        Maker::Pool => "`securityContext` under `template` of the pool in the profile",
        Maker::Controller => {
            "`podSecurityContext` under `controller.values` in the profile, which replaces that of arcctl as a whole"
        }
        Maker::CertManager => {
            "`securityContext` of the part under `certManager.values` in the profile"
        }
        Maker::ScaleSetController => {
            "`podSecurityContext` under `scaleSets.values` in the profile, which replaces that of arcctl as a whole"
        }
        Maker::Other => "its `securityContext`",
    };
    Some(format!(
        "set `runAsUser`, the number of the image's user, in {keys}; an image whose user is root (0) has to be built with another one"
    ))
}

/// Why a container could not be started the last time, which its waiting for the next time does not tell.
pub(super) fn start_error(pod: &Value) -> Option<(&str, &str)> {
    let statuses = pod["status"]["containerStatuses"].as_array()?;
    statuses.iter().find_map(|status| {
        let last = &status["lastState"]["terminated"];
        let reason = last["reason"].as_str().filter(|it| *it == "StartError")?;
        Some((reason, last["message"].as_str()?))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        desired::names,
        resource::{observed::Readiness, pods::status::readiness},
    };

    fn pod(status: &Value) -> Value {
        json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "status": status})
    }

    /// The words of kubelet and of runc.
    #[test]
    fn a_user_that_the_image_does_not_have_is_named_with_its_key() {
        let waits = |reason: &str, message: &str| {
            json!({"containerStatuses": [
            {"name": "manager", "state": {"waiting": {"reason": reason, "message": message}}}]})
        };
        let root = "container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: manager)";
        let named = "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root";
        let denied = "failed to create containerd task: runc create failed: unable to start container process: exec: \"/manager\": permission denied: unknown";
        let mut later = waits(
            "CrashLoopBackOff",
            "back-off 10s restarting failed container",
        );
        later["containerStatuses"][0]["lastState"] =
            json!({"terminated": {"reason": "StartError", "exitCode": 128, "message": denied}});
        for (status, said) in [
            (waits("CreateContainerConfigError", root), root),
            (waits("CreateContainerConfigError", named), named),
            (waits("RunContainerError", denied), denied),
            (later, denied),
        ] {
            for (label, value, key) in [
                (
                    "app.kubernetes.io/name",
                    names::CONTROLLER,
                    "`controller.values`",
                ),
                (
                    "app.kubernetes.io/part-of",
                    "gha-rs-controller",
                    "`scaleSets.values`",
                ),
                ("runner-deployment-name", "basic", "`template` of the pool"),
            ] {
                let mut pod = pod(&status);
                pod["metadata"]["labels"] = json!({label: value});
                let Readiness::Stuck { reason, hint, .. } = readiness(&pod, &[]) else {
                    panic!("it is not stuck");
                };
                assert!(reason.contains(said), "{reason}");
                assert!(hint.contains("`runAsUser`") && hint.contains(key), "{hint}");
            }
        }
        let other = pod(&waits(
            "CreateContainerConfigError",
            "secret \"a\" not found",
        ));
        let found = readiness(&other, &[]);
        let look = |it: &str| it.contains("describe pod p");
        assert!(matches!(found, Readiness::Stuck { hint, .. } if look(&hint)));
    }
}

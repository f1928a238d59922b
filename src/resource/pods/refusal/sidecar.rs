//! A sidecar that the API server takes for an ordinary init container. Pure: no I/O.
//!
//! Init containers have a `restartPolicy` from Kubernetes 1.29 on; before, the API server drops it unless a feature gate of 1.28
//! is on (kubernetes, `pkg/api/pod/util.go`, `dropDisabledFields`). What only a sidecar may have is then refused
//! (`pkg/apis/core/validation`, `validateInitContainers`). GitHub's own chart makes docker an ordinary container there.

use serde_json::Value;

use super::{DIND, list};

/// The fields of an init container that only a sidecar may have.
const OF_SIDECARS: [&str; 4] = [
    ".lifecycle",
    ".livenessProbe",
    ".readinessProbe",
    ".startupProbe",
];

/// A part of what the API server says of them, in every version: "must not be set for init containers", and since 1.28 "may not
/// be set for init containers without restartPolicy=Always".
const OF_INIT_CONTAINERS: &str = " be set for init containers";

/// The name of the sidecar of `pod` that has lost its `restartPolicy`, by the `fields` that are refused with the message `said`.
pub(in crate::resource) fn lost<'a>(
    pod: &'a Value,
    said: &str,
    fields: &[String],
) -> Option<&'a str> {
    if !said.contains(OF_INIT_CONTAINERS) {
        return None;
    }
    let entries = list(&pod["spec"]["initContainers"]);
    let refused = |field: &String| {
        let (index, rest) = field
            .strip_prefix("spec.initContainers[")?
            .split_once(']')?;
        let index: usize = index.parse().ok()?;
        entries.get(index).filter(|_| OF_SIDECARS.contains(&rest))
    };
    let mut refused = fields.iter().filter_map(refused);
    refused.find(|it| it["restartPolicy"] == "Always")?["name"].as_str()
}

/// The hint for the sidecar `name` of `pool`.
pub(super) fn hint(pool: &str, name: &str) -> String {
    let instead = match name {
        DIND => {
            format!("write `containerMode: none` or `mode: runnerDeployment` in pool `{pool}`")
        }
        name => format!(
            "move container `{name}` of pool `{pool}` from template.initContainers to template.containers"
        ),
    };
    format!(
        "an init container has `restartPolicy` from Kubernetes 1.29 on, and `{name}` needs it: upgrade the cluster, or {instead}; on a newer Kubernetes a webhook drops it: `kubectl get mutatingwebhookconfigurations` lists them"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{desired::tests::profile, resource::pods::refusal::Tried};

    const SAID: &str = "Pod \"fast-arcct-probe\" is invalid: spec.initContainers[1].startupProbe: Forbidden: may not be set for init containers without restartPolicy=Always";
    const BEFORE_1_28: &str = "Pod \"fast-arcct-probe\" is invalid: spec.initContainers[1].startupProbe: Invalid value: core.Probe{}: must not be set for init containers";
    const FIELD: &str = "spec.initContainers[1].startupProbe";

    #[test]
    fn docker_as_a_sidecar_is_told_with_what_to_write_instead() {
        let pool = json!({"name": "fast", "mode": "scaleSet", "image": "r:1", "min": 0, "max": 1, "containerMode": "dind"});
        let profile = profile(&json!({"pools": [pool]}));
        let pod =
            crate::desired::pool::dry_run_pod::runner_pod(&profile, &profile.pools[0]).unwrap();
        for said in [SAID, BEFORE_1_28] {
            let fields = [FIELD.to_owned()];
            let tried = Tried {
                pool: "fast",
                pods: 1,
                pod: &pod,
                fields: &fields,
            };
            let hint = tried.refusal(said, &[]).hint;
            assert!(hint.contains("from Kubernetes 1.29 on"), "{hint}");
            assert!(
                hint.contains("`mode: runnerDeployment` in pool `fast`"),
                "{hint}"
            );
        }
    }

    #[test]
    fn only_what_a_sidecar_may_have_shows_that_it_is_none() {
        let of = |said: &str, policy: &str, field: &str| {
            let init = json!([{"name": "a"}, {"name": "proxy", "restartPolicy": policy}]);
            let pod = json!({"spec": {"initContainers": init}});
            lost(&pod, said, &[field.to_owned()]).map(str::to_owned)
        };
        assert_eq!(of(SAID, "Always", FIELD).unwrap(), "proxy");
        assert_eq!(of(SAID, "Never", FIELD), None);
        assert_eq!(
            of(SAID, "Always", "spec.initContainers[0].startupProbe"),
            None
        );
        assert_eq!(of(SAID, "Always", "spec.initContainers[1].image"), None);
        let wrong = "spec.initContainers[1].startupProbe: Required value: must specify a handler";
        assert_eq!(of(wrong, "Always", FIELD), None);
        assert!(hint("fast", "proxy").contains("to template.containers"));
    }
}

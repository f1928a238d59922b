//! The pod that the controller creates for a Runner: its metadata, its volumes, and the fields that are copied.
//!
//! Pure: no I/O.

mod containers;

use serde_json::{Value, json};

use super::configuration::Configuration;
use crate::objects::{self, ALPHABET};

/// Holds a pod until its runner is removed at GitHub.
pub(super) const FINALIZER: &str = "actions.summerwind.dev/runner-pod";

/// Fields of a runner's spec that go to the pod's as they are.
const POD_FIELDS: [&str; 15] = [
    "affinity",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "ephemeralContainers",
    "hostAliases",
    "initContainers",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "securityContext",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
];

/// Builds the pod of a Runner, or says why the controller cannot. `web` is the address of GitHub that runners register at.
///
/// The rules are those of the controller's `newPod` and `newRunnerPodWithContainerMode` (`runner_controller.go`, v0.27).
pub(super) fn build(
    runner: &Value,
    configuration: &Configuration,
    web: &str,
) -> Result<Value, String> {
    let spec = &runner["spec"];
    let maker = Maker {
        runner,
        spec,
        configuration,
        web,
    };
    let mut pod = json!({
        "restartPolicy": "Never",
        "containers": containers::all(&maker)?,
        "volumes": maker.volumes()?,
    });
    for field in POD_FIELDS.iter().chain(&["topologySpreadConstraints"]) {
        if !spec[*field].is_null() {
            pod[*field] = spec[*field].clone();
        }
    }
    let secrets = maker.pull_secrets();
    if !secrets.is_empty() {
        pod["imagePullSecrets"] = secrets.into();
    }
    let (namespace, name) = objects::at(runner);
    let mut labels = runner
        .pointer("/metadata/labels")
        .cloned()
        .unwrap_or(json!({}));
    labels["actions-runner"] = "".into();
    labels["actions-runner-controller/inject-registration-token"] = "true".into();
    labels["pod-template-hash"] = hash(&pod).into();
    let annotations = runner
        .pointer("/metadata/annotations")
        .cloned()
        .unwrap_or(json!({}));
    Ok(json!({
        "metadata": {
            "name": name, "namespace": namespace, "labels": labels, "annotations": annotations,
            "finalizers": [FINALIZER], "ownerReferences": objects::owner_reference(runner),
        },
        "spec": pod,
    }))
}

/// A short hash of an object, in the letters that Kubernetes uses.
pub(super) fn hash(object: &Value) -> String {
    // FNV-1a; only sameness matters.
    let sum = object
        .to_string()
        .bytes()
        .fold(0x811c_9dc5_u32, |sum, byte| {
            (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    sum.to_string()
        .bytes()
        .map(|digit| char::from(ALPHABET[usize::from(digit) % 27]))
        .collect()
}

struct Maker<'a> {
    runner: &'a Value,
    spec: &'a Value,
    configuration: &'a Configuration,
    web: &'a str,
}

impl Maker<'_> {
    fn has_docker(&self) -> bool {
        self.spec["dockerEnabled"] != false && !self.runs_docker_inside() && !self.runs_job_pods()
    }

    fn runs_docker_inside(&self) -> bool {
        self.spec["dockerdWithinRunnerContainer"] == true && !self.runs_job_pods()
    }

    fn runs_job_pods(&self) -> bool {
        self.spec["containerMode"] == "kubernetes"
    }

    /// A size of nothing leaves the volume `runner` out.
    fn has_runner_volume(&self) -> bool {
        !["0", "0Mi", "0Gi"]
            .iter()
            .any(|zero| self.spec["volumeSizeLimit"] == *zero)
    }

    /// The controller's volumes, then the runner's own; of two called `work` the runner's own stays.
    fn volumes(&self) -> Result<Vec<Value>, String> {
        let own = self.list("volumes");
        let brings_work = own.iter().any(|volume| volume["name"] == "work");
        let mut volumes = Vec::new();
        if self.runs_job_pods() {
            if brings_work {
                return Err("volume \"work\" should be specified by workVolumeClaimTemplate in container mode kubernetes".to_owned());
            }
            let claim = &self.spec["workVolumeClaimTemplate"];
            if claim.is_null() {
                return Err(
                    "work volume claim template must be specified in container mode kubernetes"
                        .to_owned(),
                );
            }
            volumes.push(
                json!({ "name": "work", "ephemeral": { "volumeClaimTemplate": { "spec": claim } } }),
            );
        }
        if self.has_runner_volume() {
            let mut scratch = json!({});
            for (field, name) in [
                ("volumeStorageMedium", "medium"),
                ("volumeSizeLimit", "sizeLimit"),
            ] {
                if !self.spec[field].is_null() {
                    scratch[name] = self.spec[field].clone();
                }
            }
            volumes.push(json!({ "name": "runner", "emptyDir": scratch }));
        } else if self.has_docker() {
            return Err("runner volume can't be disabled because it is required to share the working directory between the runner and the dockerd containers".to_owned());
        }
        if self.has_docker() {
            if !brings_work {
                volumes.push(json!({ "name": "work", "emptyDir": {} }));
            }
            let limit = self.or("dockerVarRunVolumeSizeLimit", "1M");
            let directory = json!({ "medium": "Memory", "sizeLimit": limit });
            volumes.push(json!({ "name": "var-run", "emptyDir": directory }));
        }
        volumes.extend(own.iter().cloned());
        Ok(volumes)
    }

    fn pull_secrets(&self) -> Vec<Value> {
        let given = self.list("imagePullSecrets").to_vec();
        if !given.is_empty() {
            return given;
        }
        self.configuration
            .pull_secrets
            .iter()
            .map(|name| json!({ "name": name }))
            .collect()
    }

    fn work_directory(&self) -> String {
        self.or("workDir", "/runner/_work")
    }

    fn or(&self, field: &str, default: &str) -> String {
        let given = self.spec[field].as_str().filter(|value| !value.is_empty());
        given.unwrap_or(default).to_owned()
    }

    fn list(&self, field: &str) -> &[Value] {
        self.spec[field].as_array().map_or(&[], Vec::as_slice)
    }
}

//! The pod that the controller makes for a Runner.
//!
//! Pure: no I/O.

use serde_json::{Value, json};

use super::configuration::Configuration;
use crate::objects::{self, ALPHABET, text};

/// Holds a pod until its runner is removed at GitHub.
pub(super) const FINALIZER: &str = "actions.summerwind.dev/runner-pod";

/// What the docker container waits for before it stops.
const PRE_STOP: &str = "timeout \"${RUNNER_GRACEFUL_STOP_TIMEOUT:-15}\" /bin/sh -c \"echo 'Prestop hook started'; while [ -f /runner/.runner ]; do sleep 1; done; echo 'Waiting for dockerd to start'; while ! pgrep -x dockerd; do sleep 1; done; echo 'Prestop hook stopped'\" >/proc/1/fd/1 2>&1";

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

/// Builds the pod of a Runner. `web` is the address of GitHub that runners register at.
pub(super) fn build(runner: &Value, configuration: &Configuration, web: &str) -> Value {
    let spec = &runner["spec"];
    let maker = Maker {
        runner,
        spec,
        configuration,
        web,
    };
    let mut pod = json!({ "restartPolicy": "Never", "containers": maker.containers(), "volumes": maker.volumes() });
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
    json!({
        "metadata": {
            "name": name, "namespace": namespace, "labels": labels, "annotations": annotations,
            "finalizers": [FINALIZER], "ownerReferences": objects::owner_reference(runner),
        },
        "spec": pod,
    })
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
        self.spec["dockerdWithinRunnerContainer"] == true
    }

    fn runs_job_pods(&self) -> bool {
        self.spec["containerMode"] == "kubernetes"
    }

    fn containers(&self) -> Vec<Value> {
        let given = self.list("containers");
        let named = |name: &str| given.iter().find(|container| container["name"] == name);
        let mut containers = vec![self.runner_container(named("runner"))];
        if self.has_docker() {
            containers.push(self.docker_container(named("docker")));
        }
        let others = given
            .iter()
            .filter(|one| one["name"] != "runner" && one["name"] != "docker");
        containers.extend(others.cloned());
        containers.extend(self.list("sidecarContainers").iter().cloned());
        containers
    }

    fn runner_container(&self, given: Option<&Value>) -> Value {
        let mut container = given.cloned().unwrap_or(json!({}));
        let mut environment = array(&container["env"]);
        environment.extend(array(&self.spec["env"]));
        environment.extend(self.environment());
        let mut mounts = array(&container["volumeMounts"]);
        mounts.extend(array(&self.spec["volumeMounts"]));
        mounts.extend([
            json!({ "name": "runner", "mountPath": "/runner" }),
            json!({ "name": "work", "mountPath": self.work_directory() }),
        ]);
        if self.has_docker() {
            mounts.push(json!({ "name": "var-run", "mountPath": "/run" }));
        }
        container["name"] = "runner".into();
        container["image"] = self.image().into();
        container["imagePullPolicy"] = self.or("imagePullPolicy", "Always").into();
        container["env"] = environment.into();
        container["volumeMounts"] = mounts.into();
        container["securityContext"] = if self.runs_docker_inside() {
            json!({ "privileged": true })
        } else {
            json!({})
        };
        for field in ["envFrom", "resources"] {
            if !self.spec[field].is_null() {
                container[field] = self.spec[field].clone();
            }
        }
        container
    }

    fn environment(&self) -> Vec<Value> {
        let field = |name: &str| self.spec[name].as_str().unwrap_or_default().to_owned();
        let labels: Vec<&str> = self
            .list("labels")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let docker = self.has_docker() || self.runs_docker_inside();
        let mut variables = vec![
            ("RUNNER_ORG", field("organization")),
            ("RUNNER_REPO", field("repository")),
            ("RUNNER_ENTERPRISE", field("enterprise")),
            ("RUNNER_LABELS", labels.join(",")),
            ("RUNNER_GROUP", field("group")),
            ("DOCKER_ENABLED", docker.to_string()),
            ("DOCKERD_IN_RUNNER", self.runs_docker_inside().to_string()),
            ("GITHUB_URL", self.web.to_owned()),
            ("RUNNER_WORKDIR", self.work_directory()),
            (
                "RUNNER_EPHEMERAL",
                (self.spec["ephemeral"] != false).to_string(),
            ),
            (
                "RUNNER_STATUS_UPDATE_HOOK",
                self.configuration.status_update_hook.to_string(),
            ),
            (
                "GITHUB_ACTIONS_RUNNER_EXTRA_USER_AGENT",
                "actions-runner-controller/NA".to_owned(),
            ),
        ];
        if self.has_docker() {
            variables.push(("DOCKER_HOST", "unix:///run/docker.sock".to_owned()));
        }
        if self.runs_job_pods() {
            variables.push((
                "ACTIONS_RUNNER_CONTAINER_HOOKS",
                "/runner/k8s/index.js".to_owned(),
            ));
            variables.push(("ACTIONS_RUNNER_REQUIRE_JOB_CONTAINER", "true".to_owned()));
        }
        variables.push(("RUNNER_NAME", objects::at(self.runner).1.to_owned()));
        variables.push((
            "RUNNER_TOKEN",
            text(self.runner, "/status/registration/token").to_owned(),
        ));
        variables
            .into_iter()
            .map(|(name, value)| variable(name, &value))
            .collect()
    }

    fn docker_container(&self, given: Option<&Value>) -> Value {
        let mut container = given.cloned().unwrap_or(json!({}));
        let mut args = vec![
            "dockerd".to_owned(),
            "--host=unix:///run/docker.sock".to_owned(),
            "--group=$(DOCKER_GROUP_GID)".to_owned(),
        ];
        if let Some(mtu) = self.spec["dockerMTU"].as_i64() {
            args.push(format!("--mtu={mtu}"));
        }
        let mirror = self.or(
            "dockerRegistryMirror",
            &self.configuration.docker_registry_mirror,
        );
        if !mirror.is_empty() {
            args.push(format!("--registry-mirror={mirror}"));
        }
        let mut environment = array(&container["env"]);
        environment.extend(self.list("dockerEnv").iter().cloned());
        if !environment
            .iter()
            .any(|variable| variable["name"] == "DOCKER_GROUP_GID")
        {
            environment.insert(0, variable("DOCKER_GROUP_GID", self.docker_group()));
        }
        let mut mounts = array(&container["volumeMounts"]);
        mounts.extend(array(&self.spec["dockerVolumeMounts"]));
        mounts.extend([
            json!({ "name": "runner", "mountPath": "/runner" }),
            json!({ "name": "var-run", "mountPath": "/run" }),
            json!({ "name": "work", "mountPath": self.work_directory() }),
        ]);
        container["name"] = "docker".into();
        container["image"] = self.configuration.docker_image.clone().into();
        container["args"] = args.into();
        container["env"] = environment.into();
        container["volumeMounts"] = mounts.into();
        container["securityContext"] = json!({ "privileged": true });
        container["lifecycle"] =
            json!({ "preStop": { "exec": { "command": ["/bin/sh", "-c", PRE_STOP] } } });
        if !self.spec["dockerdContainerResources"].is_null() {
            container["resources"] = self.spec["dockerdContainerResources"].clone();
        }
        container
    }

    /// The controller knows the group of two images only, by their names.
    fn docker_group(&self) -> &str {
        let image = self.image();
        if image.contains("22.04") {
            "121"
        } else if image.contains("20.04") {
            "1001"
        } else {
            &self.configuration.docker_gid
        }
    }

    fn volumes(&self) -> Vec<Value> {
        let mut volumes = self.list("volumes").to_vec();
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
        volumes.push(if self.runs_job_pods() {
            let claim = &self.spec["workVolumeClaimTemplate"];
            json!({ "name": "work", "ephemeral": { "volumeClaimTemplate": { "spec": claim } } })
        } else {
            json!({ "name": "work", "emptyDir": scratch })
        });
        if self.has_docker() {
            let limit = self.or("dockerVarRunVolumeSizeLimit", "1M");
            let directory = json!({ "medium": "Memory", "sizeLimit": limit });
            volumes.push(json!({ "name": "var-run", "emptyDir": directory }));
        }
        volumes
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

    fn image(&self) -> String {
        self.or("image", &self.configuration.runner_image)
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

fn array(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// A variable; an empty value is not written, as in the recorded pods.
fn variable(name: &str, value: &str) -> Value {
    if value.is_empty() {
        json!({ "name": name })
    } else {
        json!({ "name": name, "value": value })
    }
}

//! The pod that the controller creates for a runner of a pool, as far as admission checks it. Pure: no I/O. What is
//! here is about `RunnerDeployments`; a scale set's pod is the one of its template.
//!
//! If the API server rejects a pod, the controller only logs it, so arcctl dry-runs the same pod first. Sources:
//! reference arc.md 2.1, the recorded pods, and `newPod` and `newRunnerPodWithContainerMode` of the controller v0.27.4
//! to v0.27.6 (`controllers/actions.summerwind.net/runner_controller.go`). It omits what belongs to one runner (its
//! token, its owner, its finalizer), which the API server's own admission does not check, and the label
//! `actions-runner-controller/inject-registration-token`: with it the controller's own webhook would request a token
//! from GitHub, which another check tests.

mod docker;
mod entries;

use serde_json::{Map, Value, json};

use super::runner_deployment;
use crate::{
    desired::{DesiredError, Facts, charts::controller, scale_set},
    profile::{Pool, Profile},
};
use entries::{has, inherit, inherit_resources, list, mount, object, push, remove};

/// The default work directory of a runner.
const WORK_DIRECTORY: &str = "/runner/_work";

/// Keys of the runner's spec that are copied to the pod unchanged.
const AS_THEY_ARE: [&str; 15] = [
    "affinity",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "ephemeralContainers",
    "hostAliases",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "securityContext",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
];

/// The pod of a runner of `pool`.
pub fn runner_pod(profile: &Profile, pool: &Pool) -> Result<Value, DesiredError> {
    if pool.is_scale_set() {
        return scale_set::pod::runner_pod(profile, pool);
    }
    let deployment = runner_deployment::runner_deployment(profile, pool)?;
    let template = &deployment["spec"]["template"];
    let values = controller::values(profile, &Facts::default());
    let maker = Maker {
        spec: &template["spec"],
        values: &values,
        url: profile.github.url.as_deref(),
    };
    let mut metadata = Map::new();
    // Generated names have no vowels: no runner has this name.
    metadata.insert("name".into(), format!("{}-arcct-probe", pool.name).into());
    metadata.insert(
        "namespace".into(),
        deployment["metadata"]["namespace"].clone(),
    );
    let mut labels = object(&template["metadata"]["labels"]);
    for (label, value) in [
        ("runner-deployment-name", pool.name.as_str()),
        ("runner-template-hash", "probe"),
        ("pod-template-hash", "probe"),
        ("actions-runner", ""),
    ] {
        labels.insert(label.into(), value.into());
    }
    metadata.insert("labels".into(), labels.into());
    let annotations = object(&template["metadata"]["annotations"]);
    if !annotations.is_empty() {
        metadata.insert("annotations".into(), annotations.into());
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": maker.pod(),
    }))
}

/// The pod with the account `default`: if an earlier step of the run creates its account, admission would reject it as
/// missing.
pub fn with_default_account(pod: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(spec) = pod["spec"].as_object_mut() {
        spec.remove("serviceAccountName");
    }
    pod
}

/// The runner's container.
pub const RUNNER: &str = "runner";
/// The docker daemon's container.
pub const DOCKER: &str = "docker";

struct Maker<'a> {
    /// `spec.template.spec` of the `RunnerDeployment`.
    spec: &'a Value,
    /// The values of the controller's chart.
    values: &'a Value,
    /// The GitHub server, if it is not github.com.
    url: Option<&'a str>,
}

impl Maker<'_> {
    fn pod(&self) -> Value {
        let (mut runner, mut docker, mut others) = self.given();
        let mut volumes = Vec::new();
        let kubernetes = self.in_kubernetes_mode();
        if kubernetes {
            let claim = &self.spec["workVolumeClaimTemplate"];
            volumes.push(
                json!({"name": "work", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}),
            );
            push(&mut runner, "volumeMounts", self.work_mount());
        }
        self.fill_runner(&mut runner);
        if self.text("volumeSizeLimit").as_deref() != Some("0") {
            volumes.push(json!({"name": "runner", "emptyDir": self.scratch()}));
            push(&mut runner, "volumeMounts", mount("runner", "/runner"));
        }
        let mut containers = vec![];
        if self.has_sidecar() {
            self.add_docker(&mut runner, &mut docker, &mut volumes);
            containers.push(docker);
        }
        self.give_way_to_the_users(&mut runner, &mut volumes);
        containers.insert(0, runner);
        containers.append(&mut others);
        containers.extend(list(&self.spec["sidecarContainers"]));
        let mut pod = json!({
            "restartPolicy": "Never",
            "containers": containers,
            "volumes": volumes,
        });
        for key in AS_THEY_ARE {
            if !self.spec[key].is_null() {
                pod[key] = self.spec[key].clone();
            }
        }
        for (key, found) in [
            ("initContainers", list(&self.spec["initContainers"])),
            ("imagePullSecrets", self.pull_secrets()),
        ] {
            if !found.is_empty() {
                pod[key] = found.into();
            }
        }
        pod
    }

    /// The user's `containers`: the runner, docker, and the others. Without any, the controller begins with two empty
    /// ones.
    fn given(&self) -> (Value, Value, Vec<Value>) {
        let mut others = list(&self.spec["containers"]);
        let mut take = |name: &str| {
            let found = others.iter().position(|it| it["name"] == name);
            found.map_or_else(|| json!({"name": name}), |at| others.remove(at))
        };
        let has_own = !list(&self.spec["containers"]).is_empty();
        let (mut runner, mut docker) = (take(RUNNER), take(DOCKER));
        // Other fields of the spec apply only to containers in the list, or to the controller's own.
        let lists = |name: &str| {
            !has_own
                || list(&self.spec["containers"])
                    .iter()
                    .any(|it| it["name"] == name)
        };
        if lists(RUNNER) {
            for (key, from) in [
                ("imagePullPolicy", "imagePullPolicy"),
                ("envFrom", "envFrom"),
                ("env", "env"),
            ] {
                inherit(&mut runner, key, &self.spec[from]);
            }
            inherit_resources(&mut runner, &self.spec["resources"]);
        }
        if lists(DOCKER) {
            inherit(
                &mut docker,
                "volumeMounts",
                &self.spec["dockerVolumeMounts"],
            );
            inherit(&mut docker, "env", &self.spec["dockerEnv"]);
            inherit_resources(&mut docker, &self.spec["dockerdContainerResources"]);
        }
        (runner, docker, others)
    }

    fn fill_runner(&self, runner: &mut Value) {
        if let Some(image) = self.text("image").filter(|it| !it.is_empty()) {
            runner["image"] = image.into();
        }
        if runner["image"].is_null() {
            runner["image"] = self
                .value(
                    "/image/actionsRunnerRepositoryAndTag",
                    "summerwind/actions-runner:latest",
                )
                .into();
        }
        if runner["imagePullPolicy"].is_null() {
            runner["imagePullPolicy"] = "Always".into();
        }
        for (name, value) in self.environment() {
            push(runner, "env", json!({"name": name, "value": value}));
        }
        if runner["securityContext"].is_null() {
            runner["securityContext"] = json!({});
        }
        if self.runs_docker_inside() && !self.has_selinux_options() {
            runner["securityContext"]["privileged"] = true.into();
        }
    }

    /// The variables for the entry point of the runner's image; the token belongs to one runner, and admission does not
    /// need it.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |key: &str| self.text(key).unwrap_or_default();
        let labels: Vec<String> = list(&self.spec["labels"])
            .iter()
            .filter_map(|it| it.as_str().map(str::to_owned))
            .collect();
        let mut variables = vec![
            ("RUNNER_ORG", text("organization")),
            ("RUNNER_REPO", text("repository")),
            ("RUNNER_ENTERPRISE", text("enterprise")),
            ("RUNNER_LABELS", labels.join(",")),
            ("RUNNER_GROUP", text("group")),
            (
                "DOCKER_ENABLED",
                (self.has_sidecar() || self.runs_docker_inside()).to_string(),
            ),
            ("DOCKERD_IN_RUNNER", self.runs_docker_inside().to_string()),
            ("GITHUB_URL", self.web()),
            ("RUNNER_WORKDIR", self.work_directory()),
            (
                "RUNNER_EPHEMERAL",
                (self.spec["ephemeral"] != false).to_string(),
            ),
        ];
        if self.in_kubernetes_mode() {
            variables.push(("ACTIONS_RUNNER_REQUIRE_JOB_CONTAINER", "true".into()));
        }
        if self.runs_docker_inside() {
            variables.extend(self.mtu().map(|it| ("MTU", it)));
            variables.extend(self.mirror().map(|it| ("DOCKER_REGISTRY_MIRROR", it)));
        }
        if self.has_sidecar() {
            variables.push(("DOCKER_HOST", "unix:///run/docker.sock".into()));
        }
        variables
    }

    /// Appends the user's volumes and mounts; a user's volume or mount `work` replaces the controller's.
    fn give_way_to_the_users(&self, runner: &mut Value, volumes: &mut Vec<Value>) {
        let theirs = list(&self.spec["volumeMounts"]);
        let mut mounts = list(&runner["volumeMounts"]);
        if has(&theirs, "work") {
            remove(&mut mounts, "work");
        }
        mounts.extend(theirs);
        if !mounts.is_empty() {
            runner["volumeMounts"] = mounts.into();
        }
        let theirs = list(&self.spec["volumes"]);
        if has(&theirs, "work") {
            remove(volumes, "work");
        }
        volumes.extend(theirs);
    }

    fn scratch(&self) -> Value {
        let mut scratch = Map::new();
        for (key, name) in [
            ("volumeStorageMedium", "medium"),
            ("volumeSizeLimit", "sizeLimit"),
        ] {
            if !self.spec[key].is_null() {
                scratch.insert(name.into(), self.spec[key].clone());
            }
        }
        scratch.into()
    }

    fn pull_secrets(&self) -> Vec<Value> {
        let own = list(&self.spec["imagePullSecrets"]);
        if !own.is_empty() {
            return own;
        }
        let defaults = self.values.pointer("/image/actionsRunnerImagePullSecrets");
        let named = |it: &Value| {
            if it.is_string() {
                json!({"name": it})
            } else {
                it.clone()
            }
        };
        defaults
            .map(list)
            .unwrap_or_default()
            .iter()
            .map(named)
            .collect()
    }

    fn in_kubernetes_mode(&self) -> bool {
        self.spec["containerMode"] == "kubernetes"
    }

    fn runs_docker_inside(&self) -> bool {
        self.spec["dockerdWithinRunnerContainer"] == true && !self.in_kubernetes_mode()
    }

    fn has_sidecar(&self) -> bool {
        self.spec["dockerEnabled"] != false
            && !self.runs_docker_inside()
            && !self.in_kubernetes_mode()
    }

    fn has_selinux_options(&self) -> bool {
        !self.spec["securityContext"]["seLinuxOptions"].is_null()
    }

    fn work_mount(&self) -> Value {
        mount("work", &self.work_directory())
    }

    fn work_directory(&self) -> String {
        self.text("workDir")
            .filter(|it| !it.is_empty())
            .unwrap_or_else(|| WORK_DIRECTORY.into())
    }

    /// The GitHub URL at which runners register.
    fn web(&self) -> String {
        let url = self.url.unwrap_or("https://github.com");
        format!("{}/", url.trim_end_matches('/'))
    }

    fn mtu(&self) -> Option<String> {
        self.spec["dockerMTU"].as_i64().map(|it| it.to_string())
    }

    fn mirror(&self) -> Option<String> {
        self.text("dockerRegistryMirror")
            .or_else(|| {
                self.values["dockerRegistryMirror"]
                    .as_str()
                    .map(str::to_owned)
            })
            .filter(|it| !it.is_empty())
    }

    fn text(&self, key: &str) -> Option<String> {
        match &self.spec[key] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A value of the controller's chart.
    fn value(&self, pointer: &str, default: &str) -> String {
        match self.values.pointer(pointer) {
            Some(Value::String(text)) if !text.is_empty() => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => default.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;

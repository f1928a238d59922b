//! The containers of a runner's pod: those of the template, completed as the controller does it.
//!
//! Pure: no I/O. A container in the template's `containers` is copied, and gets only the missing ones of the runner's
//! fields; one that is not in it is created without any of them (`newPod`, `runner_controller.go`, v0.27).

use serde_json::{Value, json};

use super::Maker;
use crate::objects::{self, text};

/// What the docker container waits for before it stops.
const PRE_STOP: &str = "timeout \"${RUNNER_GRACEFUL_STOP_TIMEOUT:-15}\" /bin/sh -c \"echo 'Prestop hook started'; while [ -f /runner/.runner ]; do sleep 1; done; echo 'Waiting for dockerd to start'; while ! pgrep -x dockerd; do sleep 1; done; echo 'Prestop hook stopped'\" >/proc/1/fd/1 2>&1";

/// The containers, or why the controller cannot make them.
pub(super) fn all(maker: &Maker<'_>) -> Result<Vec<Value>, String> {
    let mut all = given(maker);
    if maker.runs_job_pods() {
        add_claim(maker, &mut all)?;
    }
    let mut runner_at = position(&all, "runner");
    let mut docker_at = position(&all, "docker");
    if maker.runs_job_pods() {
        if let Some(at) = docker_at {
            all.remove(at);
        }
        // The controller counts a docker container that is not there as the first one.
        if docker_at.unwrap_or(0) < runner_at.unwrap_or(0) {
            runner_at = runner_at.map(|at| at - 1);
        }
        docker_at = None;
    }
    let taken = |at: Option<usize>, name: &str| {
        at.map_or_else(|| json!({ "name": name }), |at| all[at].clone())
    };
    let runner = runner(maker, taken(runner_at, "runner"));
    let docker = docker(maker, taken(docker_at, "docker"), &runner);
    if let Some(at) = runner_at {
        all[at] = runner;
    } else {
        all.insert(0, runner);
        docker_at = docker_at.map(|at| at + 1);
    }
    if maker.has_docker() {
        match docker_at {
            Some(at) => all[at] = docker,
            None => all.push(docker),
        }
    }
    add_mounts(maker, &mut all)?;
    all.extend(maker.list("sidecarContainers").iter().cloned());
    Ok(all)
}

/// The template's containers, or the usual two, with what the runner's fields add to each.
fn given(maker: &Maker<'_>) -> Vec<Value> {
    let spec = maker.spec;
    let mut all = maker.list("containers").to_vec();
    if all.is_empty() {
        all.push(json!({ "name": "runner" }));
        if spec["dockerEnabled"] != false && spec["dockerdWithinRunnerContainer"] != true {
            all.push(json!({ "name": "docker" }));
        }
    }
    for container in &mut all {
        if container["name"] == "runner" {
            fill(container, "imagePullPolicy", &spec["imagePullPolicy"]);
            fill(container, "envFrom", &spec["envFrom"]);
            fill(container, "env", &spec["env"]);
            fill_resources(container, &spec["resources"]);
        } else if container["name"] == "docker" {
            fill(container, "volumeMounts", &spec["dockerVolumeMounts"]);
            fill(container, "env", &spec["dockerEnv"]);
            fill_resources(container, &spec["dockerdContainerResources"]);
        }
    }
    all
}

/// Sets a field that the container does not have.
fn fill(container: &mut Value, field: &str, value: &Value) {
    let lacks = match &container[field] {
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        other => other.is_null(),
    };
    if lacks && !value.is_null() {
        container[field] = value.clone();
    }
}

/// Requests and limits, each on its own.
fn fill_resources(container: &mut Value, resources: &Value) {
    if resources.is_null() {
        return;
    }
    if container["resources"].is_null() {
        container["resources"] = json!({});
    }
    for part in ["requests", "limits"] {
        let given = container["resources"][part].as_object();
        if given.is_none_or(serde_json::Map::is_empty) && !resources[part].is_null() {
            container["resources"][part] = resources[part].clone();
        }
    }
}

/// In container mode kubernetes the work directory is a claim of the runner's container.
fn add_claim(maker: &Maker<'_>, all: &mut [Value]) -> Result<(), String> {
    let Some(at) = position(all, "runner") else {
        return Err(
            "runner container is not present when applying work volume claim template".to_owned(),
        );
    };
    let mut mounts = array(&all[at]["volumeMounts"]);
    if has_mount(&mounts, "work") {
        return Err("volume mount \"work\" should not be present on the runner container in container mode kubernetes".to_owned());
    }
    mounts.push(json!({ "name": "work", "mountPath": maker.work_directory() }));
    all[at]["volumeMounts"] = mounts.into();
    Ok(())
}

fn runner(maker: &Maker<'_>, mut container: Value) -> Value {
    let image = maker.or("image", "");
    if !image.is_empty() {
        container["image"] = image.into();
    } else if text(&container, "/image").is_empty() {
        container["image"] = maker.configuration.runner_image.clone().into();
    }
    fill(&mut container, "imagePullPolicy", &json!("Always"));
    let mut environment = array(&container["env"]);
    environment.extend(controllers_environment(maker));
    for (name, value) in [
        ("RUNNER_NAME", objects::at(maker.runner).1),
        (
            "RUNNER_TOKEN",
            text(maker.runner, "/status/registration/token"),
        ),
    ] {
        let set = environment.iter().any(|one| {
            one["name"] == name && one["value"].as_str().is_some_and(|it| !it.is_empty())
        });
        if !set {
            environment.retain(|one| one["name"] != name);
            environment.push(variable(name, value));
        }
    }
    container["env"] = environment.into();
    let mut mounts = array(&container["volumeMounts"]);
    if maker.has_runner_volume() {
        mounts.push(json!({ "name": "runner", "mountPath": "/runner" }));
    }
    if maker.has_docker() {
        if !has_mount(&mounts, "work") {
            mounts.push(json!({ "name": "work", "mountPath": maker.work_directory() }));
        }
        if !has_mount(&mounts, "var-run") {
            mounts.push(json!({ "name": "var-run", "mountPath": "/run" }));
        }
    }
    container["volumeMounts"] = mounts.into();
    if container["securityContext"].is_null() {
        container["securityContext"] = json!({});
    }
    if maker.runs_docker_inside() && !has_selinux_options(maker) {
        container["securityContext"]["privileged"] = true.into();
    }
    container
}

/// What the controller sets after the runner's own variables: of two of one name the last one counts.
fn controllers_environment(maker: &Maker<'_>) -> Vec<Value> {
    let field = |name: &str| maker.spec[name].as_str().unwrap_or_default().to_owned();
    let labels: Vec<&str> = maker
        .list("labels")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let docker = maker.has_docker() || maker.runs_docker_inside();
    let mut variables = vec![
        ("RUNNER_ORG", field("organization")),
        ("RUNNER_REPO", field("repository")),
        ("RUNNER_ENTERPRISE", field("enterprise")),
        ("RUNNER_LABELS", labels.join(",")),
        ("RUNNER_GROUP", field("group")),
        ("DOCKER_ENABLED", docker.to_string()),
        ("DOCKERD_IN_RUNNER", maker.runs_docker_inside().to_string()),
        ("GITHUB_URL", maker.web.to_owned()),
        ("RUNNER_WORKDIR", maker.work_directory()),
        (
            "RUNNER_EPHEMERAL",
            (maker.spec["ephemeral"] != false).to_string(),
        ),
        (
            "RUNNER_STATUS_UPDATE_HOOK",
            maker.configuration.status_update_hook.to_string(),
        ),
        (
            "GITHUB_ACTIONS_RUNNER_EXTRA_USER_AGENT",
            "actions-runner-controller/NA".to_owned(),
        ),
    ];
    if maker.runs_job_pods() {
        variables.push((
            "ACTIONS_RUNNER_CONTAINER_HOOKS",
            "/runner/k8s/index.js".to_owned(),
        ));
        variables.push(("ACTIONS_RUNNER_REQUIRE_JOB_CONTAINER", "true".to_owned()));
    }
    if maker.runs_docker_inside() {
        if let Some(mtu) = maker.spec["dockerMTU"].as_i64() {
            variables.push(("MTU", mtu.to_string()));
        }
        let mirror = mirror(maker);
        if !mirror.is_empty() {
            variables.push(("DOCKER_REGISTRY_MIRROR", mirror));
        }
    }
    if maker.has_docker() {
        variables.push(("DOCKER_HOST", "unix:///run/docker.sock".to_owned()));
    }
    let plain = |(name, value): (&str, String)| variable(name, &value);
    variables.into_iter().map(plain).collect()
}

fn docker(maker: &Maker<'_>, mut container: Value, runner: &Value) -> Value {
    let mut args = vec![json!("dockerd"), json!("--host=unix:///run/docker.sock")];
    args.extend(array(&container["args"]));
    args.push(json!("--group=$(DOCKER_GROUP_GID)"));
    let mut environment = array(&container["env"]);
    if !environment
        .iter()
        .any(|variable| variable["name"] == "DOCKER_GROUP_GID")
    {
        environment.push(variable("DOCKER_GROUP_GID", docker_group(maker, runner)));
    }
    if let Some(mtu) = maker.spec["dockerMTU"].as_i64() {
        environment.push(variable(
            "DOCKERD_ROOTLESS_ROOTLESSKIT_MTU",
            &mtu.to_string(),
        ));
        args.extend([json!("--mtu"), json!(mtu.to_string())]);
    }
    let mirror = mirror(maker);
    if !mirror.is_empty() {
        args.push(format!("--registry-mirror={mirror}").into());
    }
    let mut mounts = array(&container["volumeMounts"]);
    let mut own = vec![json!({ "name": "runner", "mountPath": "/runner" })];
    if !has_mount(&mounts, "var-run") {
        own.push(json!({ "name": "var-run", "mountPath": "/run" }));
    }
    if !has_mount(&mounts, "work") {
        own.push(json!({ "name": "work", "mountPath": maker.work_directory() }));
    }
    mounts.extend(own);
    if text(&container, "/image").is_empty() {
        container["image"] = maker.configuration.docker_image.clone().into();
    }
    container["args"] = args.into();
    container["env"] = environment.into();
    container["volumeMounts"] = mounts.into();
    if container["securityContext"].is_null() {
        container["securityContext"] = json!({ "privileged": !has_selinux_options(maker) });
        if has_selinux_options(maker) {
            container["securityContext"]["seLinuxOptions"] =
                maker.spec["securityContext"]["seLinuxOptions"].clone();
        }
    }
    container["lifecycle"] =
        json!({ "preStop": { "exec": { "command": ["/bin/sh", "-c", PRE_STOP] } } });
    container
}

/// The runner's own mounts go to the first container, whichever that is; of two of `work` its own stays.
fn add_mounts(maker: &Maker<'_>, all: &mut [Value]) -> Result<(), String> {
    let own = maker.list("volumeMounts");
    let (Some(first), false) = (all.first_mut(), own.is_empty()) else {
        return Ok(());
    };
    let mut mounts = array(&first["volumeMounts"]);
    if has_mount(own, "work") {
        if maker.runs_job_pods() {
            return Err("volume mount \"work\" should be specified by workVolumeClaimTemplate in container mode kubernetes".to_owned());
        }
        if let Some(at) = mounts.iter().position(|mount| mount["name"] == "work") {
            mounts.remove(at);
        }
    }
    mounts.extend(own.iter().cloned());
    first["volumeMounts"] = mounts.into();
    Ok(())
}

/// The controller knows the group of two images only, by their names.
fn docker_group<'a>(maker: &'a Maker<'_>, runner: &Value) -> &'a str {
    let image = text(runner, "/image");
    if image.contains("22.04") {
        "121"
    } else if image.contains("20.04") {
        "1001"
    } else {
        &maker.configuration.docker_gid
    }
}

/// A given mirror, an empty one included, or the controller's.
fn mirror(maker: &Maker<'_>) -> String {
    let given = maker.spec["dockerRegistryMirror"].as_str();
    given.map_or_else(
        || maker.configuration.docker_registry_mirror.clone(),
        str::to_owned,
    )
}

fn has_selinux_options(maker: &Maker<'_>) -> bool {
    !maker.spec["securityContext"]["seLinuxOptions"].is_null()
}

fn position(containers: &[Value], name: &str) -> Option<usize> {
    containers
        .iter()
        .rposition(|container| container["name"] == name)
}

fn has_mount(mounts: &[Value], volume: &str) -> bool {
    mounts.iter().any(|mount| mount["name"] == volume)
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

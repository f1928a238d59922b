//! The pod of a runner in a scale set. Pure: no I/O.
//!
//! arcctl writes the docker container itself: that of the chart has a floating image, no resources and no mirror
//! (reference: scale-sets.md 6). The mode `kubernetes` is left to the chart, which has the rights for it.

use serde_json::{Map, Value, json};

use crate::{
    desired::{
        DesiredError,
        charts::overlay,
        names::RUNNER_LABEL,
        pool::{
            both_modes::{add_pod, pod_metadata},
            ca_bundle,
            containers::{
                self, insert_list, requirements, runner_resources, variable, work_volume,
            },
            image, proxy,
        },
    },
    profile::{ContainerMode, Pool, Profile},
};

/// The runner's container: the controller finds it by this name.
pub const RUNNER: &str = "runner";
/// The docker daemon's container.
pub const DOCKER: &str = "dind";
/// The container that brings the runner's own programs to the docker daemon.
const EXTERNALS: &str = "init-dind-externals";

/// The directory of jobs.
const WORK_DIRECTORY: &str = "/home/runner/_work";
/// The group of the docker socket, and that of the runner's user, in GitHub's image.
const DOCKER_GROUP: &str = "123";
const RUNNER_GROUP: u32 = 1001;
/// How long a runner waits for docker.
const DOCKER_WAIT_SECONDS: &str = "120";

/// The runner's own program ends a job as soon as it is told to stop (actions/runner#3308): its pod is told only once no
/// job runs.
const UNTIL_THE_JOB_ENDS: &str =
    "while grep -qs '^Runner\\.Worker' /proc/[0-9]*/comm; do sleep 1; done";

/// The template of the pods of `pool`: arcctl's spec with the profile's `template`, and the metadata.
pub fn template(profile: &Profile, pool: &Pool) -> Result<Value, DesiredError> {
    let mut spec = own_spec(profile, pool)?;
    // The lint reports collisions; here arcctl's values win.
    merge(&mut spec, &pool.template);
    let mut template = json!({"spec": spec});
    let metadata = pod_metadata(profile, pool);
    if !metadata.is_empty() {
        template["metadata"] = metadata.into();
    }
    Ok(template)
}

/// The paths in the pool's `template` that arcctl sets itself, for the lint.
pub fn template_collisions(profile: &Profile, pool: &Pool) -> Result<Vec<String>, DesiredError> {
    Ok(merge(&mut own_spec(profile, pool)?, &pool.template))
}

/// A whole pod of `pool`, as the API server gets it from the controller, for a dry run.
pub fn runner_pod(profile: &Profile, pool: &Pool) -> Result<Value, DesiredError> {
    let mut pod = template(profile, pool)?;
    let spec = &mut pod["spec"];
    spec["restartPolicy"] = "Never".into();
    if let ContainerMode::Kubernetes(mode) = &pool.container_mode {
        let claim = json!({"volumeClaimTemplate": {"spec": work_volume(&mode.work_volume)}});
        add(spec, "volumes", json!({"name": "work", "ephemeral": claim}));
        let runner = spec["containers"].as_array_mut();
        let runner = runner.and_then(|all| all.iter_mut().find(|it| it["name"] == RUNNER));
        if let Some(runner) = runner {
            add(runner, "volumeMounts", work_mount());
            let hooks = (
                "ACTIONS_RUNNER_CONTAINER_HOOKS",
                "/home/runner/k8s/index.js",
            );
            let required = ("ACTIONS_RUNNER_REQUIRE_JOB_CONTAINER", "true");
            for (name, value) in [hooks, required] {
                add(runner, "env", json!({"name": name, "value": value}));
            }
        }
    }
    // Generated names have no vowels: no runner has this name.
    let name = format!("{}-arcct-probe", pool.name);
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = name.into();
    pod["metadata"]["namespace"] = pool.namespace.as_str().into();
    pod["metadata"]["labels"][RUNNER_LABEL] = "True".into();
    Ok(pod)
}

/// The names and values of the variables that arcctl sets in the runner's container.
pub fn own_environment(profile: &Profile, pool: &Pool) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    if pool.container_mode == ContainerMode::Dind {
        variables.extend([
            pair("DOCKER_HOST", "unix:///var/run/docker.sock"),
            pair("RUNNER_WAIT_FOR_DOCKER_IN_SECONDS", DOCKER_WAIT_SECONDS),
        ]);
    }
    // The controller adds the lower-case ones from the scale set's proxy.
    let proxy = proxy::environment(profile.proxy.as_ref()).into_iter();
    variables.extend(proxy.filter(|(name, _)| name.starts_with(|it: char| it.is_uppercase())));
    if profile.github.ca_bundle.is_some() {
        variables.push(ca_bundle::runner_environment());
    }
    variables
}

/// The spec of the pods without the profile's `template`.
pub fn own_spec(profile: &Profile, pool: &Pool) -> Result<Map<String, Value>, DesiredError> {
    let mut spec = Map::new();
    add_pod(&mut spec, profile, pool);
    // The runner's user reads the token of its role by its group.
    spec.entry("securityContext")
        .or_insert_with(|| json!({"fsGroup": RUNNER_GROUP}));
    if let Some(period) = containers::grace_period(pool) {
        spec.insert("terminationGracePeriodSeconds".into(), period.into());
    }
    let (mut volumes, mut shared) = (Vec::new(), Vec::new());
    if pool.shared_tmp {
        volumes.push(json!({"name": "tmp", "emptyDir": {}}));
        shared.push(json!({"name": "tmp", "mountPath": "/tmp"}));
    }
    if profile.github.ca_bundle.is_some() {
        volumes.push(ca_bundle::volume());
        shared.push(ca_bundle::runner_mount());
    }
    let docker = pool.container_mode == ContainerMode::Dind;
    // In the mode `kubernetes` the chart adds the work volume.
    let works_here = !matches!(pool.container_mode, ContainerMode::Kubernetes(_));
    if works_here {
        volumes.push(json!({"name": "work", "emptyDir": {}}));
    }
    if docker {
        volumes.push(json!({"name": "dind-sock", "emptyDir": {}}));
        volumes.push(json!({"name": "dind-externals", "emptyDir": {}}));
        let init = vec![externals(profile, pool), daemon(profile, pool, &shared)];
        spec.insert("initContainers".into(), init.into());
    }
    let mut mounts = Vec::new();
    if works_here {
        mounts.push(work_mount());
    }
    if docker {
        mounts.push(socket_mount());
    }
    mounts.extend(shared);
    let runner = runner(profile, pool, mounts)?;
    spec.insert("containers".into(), vec![runner].into());
    insert_list(&mut spec, "volumes", volumes);
    Ok(spec)
}

fn runner(profile: &Profile, pool: &Pool, mounts: Vec<Value>) -> Result<Value, DesiredError> {
    let mut runner = Map::new();
    runner.insert("name".into(), RUNNER.into());
    runner.insert("image".into(), runner_image(profile, pool).into());
    runner.insert("command".into(), json!(["/home/runner/run.sh"]));
    let of_pool = |name: &str| {
        let mut theirs = pool.env.iter();
        theirs.any(|entry| entry.get("name").and_then(Value::as_str) == Some(name))
    };
    let mut variables = own_environment(profile, pool);
    variables.retain(|(name, _)| !of_pool(name));
    let own = variables.into_iter().map(variable);
    let theirs = pool.env.iter().map(|entry| Value::Object(entry.clone()));
    insert_list(&mut runner, "env", own.chain(theirs).collect());
    insert_list(&mut runner, "volumeMounts", mounts);
    if let Some(resources) = runner_resources(pool)? {
        runner.insert("resources".into(), requirements(&resources));
    }
    if pool.graceful_stop.is_some() {
        let command = json!(["/bin/sh", "-c", UNTIL_THE_JOB_ENDS]);
        runner.insert(
            "lifecycle".into(),
            json!({"preStop": {"exec": {"command": command}}}),
        );
    }
    Ok(runner.into())
}

/// The runner's own programs are on no docker image: containers of jobs get them by a mount of the daemon's.
fn externals(profile: &Profile, pool: &Pool) -> Value {
    json!({
        "name": EXTERNALS,
        "image": runner_image(profile, pool),
        "command": ["cp", "-r", "/home/runner/externals/.", "/home/runner/tmpDir/"],
        "volumeMounts": [{"name": "dind-externals", "mountPath": "/home/runner/tmpDir"}],
    })
}

/// The docker daemon: a sidecar of Kubernetes' own kind, which starts before the runner and ends after it.
fn daemon(profile: &Profile, pool: &Pool, shared: &[Value]) -> Value {
    let mut variables = vec![pair("DOCKER_GROUP_GID", DOCKER_GROUP)];
    variables.extend(proxy::environment(profile.proxy.as_ref()));
    let variables: Vec<Value> = variables.into_iter().map(variable).collect();
    let mut mounts = vec![
        work_mount(),
        socket_mount(),
        json!({"name": "dind-externals", "mountPath": "/home/runner/externals"}),
    ];
    mounts.extend_from_slice(shared);
    let docker = &profile.controller.docker_image;
    let mut daemon = json!({
        "name": DOCKER,
        "image": image::mirrored(profile.images.as_ref(), docker),
        "args": [
            "dockerd",
            "--host=unix:///var/run/docker.sock",
            "--group=$(DOCKER_GROUP_GID)",
        ],
        "env": variables,
        "securityContext": {"privileged": true},
        "restartPolicy": "Always",
        "startupProbe": {
            "exec": {"command": ["docker", "info"]},
            "failureThreshold": 24,
            "periodSeconds": 5,
        },
        "volumeMounts": mounts,
    });
    let resources = pool.resources.as_ref().and_then(|it| it.docker.as_ref());
    if let Some(resources) = resources {
        daemon["resources"] = requirements(resources);
    }
    daemon
}

/// The image of the runners, from the mirror if there is one.
pub fn runner_image(profile: &Profile, pool: &Pool) -> String {
    image::mirrored(profile.images.as_ref(), &pool.image)
}

/// Adds the profile's `template`. Its containers of the names of arcctl's are merged into those. The result are the paths
/// that both set.
fn merge(spec: &mut Map<String, Value>, template: &Map<String, Value>) -> Vec<String> {
    let mut rest = template.clone();
    let mut collisions = Vec::new();
    for list in ["containers", "initContainers"] {
        let (Some(Value::Array(theirs)), Some(Value::Array(ours))) =
            (rest.remove(list), spec.get_mut(list))
        else {
            // Without containers of arcctl's, or in another form, it is merged with the rest.
            if let Some(given) = template.get(list) {
                rest.insert(list.to_owned(), given.clone());
            }
            continue;
        };
        for (index, entry) in theirs.into_iter().enumerate() {
            let own = ours.iter_mut().find(|it| it["name"] == entry["name"]);
            match (own.and_then(Value::as_object_mut), &entry) {
                (Some(own), Value::Object(entry)) => {
                    let more = overlay::without(entry, &["name"]);
                    let both = overlay::merge(own, &more).into_iter();
                    collisions.extend(both.map(|path| format!("{list}[{index}].{path}")));
                }
                _ => ours.push(entry),
            }
        }
    }
    collisions.extend(overlay::merge(spec, &rest));
    collisions
}

fn work_mount() -> Value {
    json!({"name": "work", "mountPath": WORK_DIRECTORY})
}

fn socket_mount() -> Value {
    json!({"name": "dind-sock", "mountPath": "/var/run"})
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Appends to a list that may not be there.
fn add(map: &mut Value, key: &str, entry: Value) {
    match map[key].as_array_mut() {
        Some(list) => list.push(entry),
        None => map[key] = json!([entry]),
    }
}

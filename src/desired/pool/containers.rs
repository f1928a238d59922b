//! The containers of a runner pod: docker, volumes, environment, resources. Pure: no I/O.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{ca_bundle, image, instance_type, proxy};
use crate::{
    desired::DesiredError,
    profile::{
        AccessMode, ContainerMode, Pool, Profile, Quantity, ResourceRequirements, WorkVolume,
    },
    units::{quantity, version},
};

/// The docker daemon's socket on a node.
const NODE_SOCKET: &str = "/var/run/docker.sock";

/// The first chart whose CRDs have `dockerVarRunVolumeSizeLimit`.
const VAR_RUN_LIMIT_SINCE: (u64, u64, u64) = (0, 23, 5);
/// The margin on top of the graceful stop before kubelet kills: unregistering takes a few seconds.
const GRACE_MARGIN_SECONDS: u64 = 20;

/// Adds the keys of `spec.template.spec` that describe the pool's containers.
pub(super) fn add(
    spec: &mut Map<String, Value>,
    profile: &Profile,
    pool: &Pool,
) -> Result<(), DesiredError> {
    let sidecar = pool.container_mode == ContainerMode::Dind;
    add_mode(spec, profile, pool);
    add_volumes(spec, profile, pool, sidecar);
    insert_list(spec, "env", runner_environment(profile, pool));
    if sidecar {
        insert_list(spec, "dockerEnv", docker_environment(profile, pool));
    }
    if let Some(period) = grace_period(pool) {
        spec.insert("terminationGracePeriodSeconds".into(), period.into());
    }
    if let Some(resources) = runner_resources(pool)? {
        spec.insert("resources".into(), requirements(&resources));
    }
    let docker = pool
        .resources
        .as_ref()
        .and_then(|resources| resources.docker.as_ref());
    if let Some(resources) = docker.filter(|_| sidecar) {
        spec.insert("dockerdContainerResources".into(), requirements(resources));
    }
    Ok(())
}

/// The seconds after which kubelet kills a pod that is deleted.
pub(crate) fn grace_period(pool: &Pool) -> Option<u64> {
    let stop = pool.graceful_stop?;
    Some(stop.as_secs().saturating_add(GRACE_MARGIN_SECONDS))
}

fn add_mode(spec: &mut Map<String, Value>, profile: &Profile, pool: &Pool) {
    match &pool.container_mode {
        ContainerMode::Dind => {
            // The controller's default of 1M is too small for a busy daemon ("no space left on device").
            if version::triple(&profile.controller.chart_version) >= VAR_RUN_LIMIT_SINCE {
                spec.insert("dockerVarRunVolumeSizeLimit".into(), "50M".into());
            }
        }
        // `dockerEnabled` is not changed: without its own container, the daemon starts in the runner's.
        ContainerMode::DindInRunner => {
            spec.insert("dockerdWithinRunnerContainer".into(), true.into());
        }
        // The node's own daemon is the only one: the runner gets its socket (see `add_volumes`).
        ContainerMode::Dood | ContainerMode::None => {
            spec.insert("dockerEnabled".into(), false.into());
        }
        ContainerMode::Kubernetes(mode) => {
            spec.insert("containerMode".into(), "kubernetes".into());
            spec.insert(
                "workVolumeClaimTemplate".into(),
                work_volume(&mode.work_volume),
            );
        }
    }
}

/// The claim of the volume that the runner and the job share.
pub(crate) fn work_volume(volume: &WorkVolume) -> Value {
    let access_mode = match volume.access_mode {
        AccessMode::ReadWriteOnce => "ReadWriteOnce",
        AccessMode::ReadWriteMany => "ReadWriteMany",
    };
    json!({
        "storageClassName": volume.storage_class,
        "accessModes": [access_mode],
        "resources": {"requests": {"storage": quantity::canonical(&volume.size)}},
    })
}

fn add_volumes(spec: &mut Map<String, Value>, profile: &Profile, pool: &Pool, sidecar: bool) {
    let (mut volumes, mut mounts) = (Vec::new(), Vec::new());
    if pool.shared_tmp {
        volumes.push(json!({"name": "tmp", "emptyDir": {}}));
        mounts.push(json!({"name": "tmp", "mountPath": "/tmp"}));
    }
    if pool.container_mode == ContainerMode::Dood {
        let socket = json!({"path": NODE_SOCKET, "type": "Socket"});
        volumes.push(json!({"name": "docker-socket", "hostPath": socket}));
        mounts.push(json!({"name": "docker-socket", "mountPath": NODE_SOCKET}));
    }
    if profile.github.ca_bundle.is_some() {
        volumes.push(ca_bundle::volume());
        mounts.push(ca_bundle::runner_mount());
    }
    insert_list(spec, "volumes", volumes);
    if sidecar {
        insert_list(spec, "dockerVolumeMounts", mounts.clone());
    }
    insert_list(spec, "volumeMounts", mounts);
}

/// The variables that arcctl sets in the runner container.
pub(crate) fn own_environment(profile: &Profile, pool: &Pool) -> Vec<(String, String)> {
    let mut variables = shared_environment(profile, pool);
    if profile.github.ca_bundle.is_some() {
        variables.push(ca_bundle::runner_environment());
    }
    variables
}

/// arcctl's variables, then the pool's; the lint rejects a name in both.
fn runner_environment(profile: &Profile, pool: &Pool) -> Vec<Value> {
    let mut variables = own_environment(profile, pool);
    let of_pool = |name: &str| {
        pool.env
            .iter()
            .any(|entry| entry.get("name").and_then(Value::as_str) == Some(name))
    };
    variables.retain(|(name, _)| !of_pool(name));
    let own = variables.into_iter().map(variable);
    own.chain(pool.env.iter().map(|entry| Value::Object(entry.clone())))
        .collect()
}

fn docker_environment(profile: &Profile, pool: &Pool) -> Vec<Value> {
    let mut variables = shared_environment(profile, pool);
    // The controller searches the pod's reference, including the mirror.
    let reference = image::mirrored(profile.images.as_ref(), &pool.image);
    if let Some(group) = image::docker_group(&reference) {
        variables.push(("DOCKER_GROUP_GID".into(), group.to_string()));
    }
    variables.into_iter().map(variable).collect()
}

/// The variables of both the runner and the docker container.
fn shared_environment(profile: &Profile, pool: &Pool) -> Vec<(String, String)> {
    let stop = pool.graceful_stop.map(|stop| {
        (
            "RUNNER_GRACEFUL_STOP_TIMEOUT".to_owned(),
            stop.as_secs().to_string(),
        )
    });
    stop.into_iter()
        .chain(proxy::environment(profile.proxy.as_ref()))
        .collect()
}

/// A variable of a container.
pub(crate) fn variable((name, value): (String, String)) -> Value {
    json!({"name": name, "value": value})
}

/// The runner's resources: the pool's, else the fractions of its instance type, else none.
pub(crate) fn runner_resources(pool: &Pool) -> Result<Option<ResourceRequirements>, DesiredError> {
    let given = pool
        .resources
        .as_ref()
        .and_then(|resources| resources.runner.clone());
    match (given, &pool.instance_type) {
        (Some(given), _) => Ok(Some(given)),
        (None, None) => Ok(None),
        (None, Some(name)) => instance_type::lookup(name)
            .map(|found| Some(found.runner_resources()))
            .ok_or_else(|| DesiredError::UnknownInstanceType {
                pool: pool.name.clone(),
                instance_type: name.clone(),
            }),
    }
}

/// The resources of a container, in the form in which the API server keeps them.
pub(crate) fn requirements(resources: &ResourceRequirements) -> Value {
    let quantities = |map: &BTreeMap<String, Quantity>| -> Map<String, Value> {
        map.iter()
            .map(|(name, text)| (name.clone(), quantity::canonical(text).into()))
            .collect()
    };
    let mut result = Map::new();
    for (name, map) in [
        ("limits", &resources.limits),
        ("requests", &resources.requests),
    ] {
        if !map.is_empty() {
            result.insert(name.into(), quantities(map).into());
        }
    }
    result.into()
}

/// Sets a list that is not empty.
pub(crate) fn insert_list(spec: &mut Map<String, Value>, key: &str, list: Vec<Value>) {
    if !list.is_empty() {
        spec.insert(key.into(), list.into());
    }
}

//! The values of a scale set's release. Pure: no I/O.

use serde_json::{Map, Value, json};

use super::pod;
use crate::{
    desired::{
        DesiredError,
        charts::scale_sets,
        names,
        pool::{
            both_modes::{metadata_fields, runner_labels},
            containers::work_volume,
            proxy,
        },
    },
    profile::{ContainerMode, GitHub, Pool, Profile, Scope},
};

/// Where GitHub is, if the profile names no server.
const GITHUB: &str = "https://github.com";
/// The listener's container: the controller finds it by this name.
const LISTENER: &str = "listener";
/// What keeps Karpenter and the cluster autoscaler from a pod: without its listener a scale set gets no job.
const DO_NOT_DISRUPT: [(&str, &str); 2] = [
    ("karpenter.sh/do-not-disrupt", "true"),
    ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
];
/// The networks of the Services of an EKS cluster, unless its owner chose another one: the listener calls the API server
/// by an address in it, and not through a proxy (docs.aws.amazon.com/eks: "serviceIpv4Cidr").
const SERVICE_NETWORKS: [&str; 2] = ["10.100.0.0/16", "172.20.0.0/16"];

/// The values of the release of `pool`.
///
/// There is no `minRunners` where a schedule gives the minimum: a value that helm does not know it cannot put back.
pub fn values(profile: &Profile, pool: &Pool) -> Result<Value, DesiredError> {
    let mut values = Map::new();
    let mut set = |key: &str, value: Value| values.insert(key.into(), value);
    set(
        "githubConfigUrl",
        config_url(&profile.github_of(pool))?.into(),
    );
    set("githubConfigSecret", secret_name(pool).into());
    set("runnerScaleSetName", pool.name.as_str().into());
    if let Some(group) = &pool.group {
        set("runnerGroup", group.as_str().into());
    }
    let labels = runner_labels(pool);
    if !labels.is_empty() {
        set("scaleSetLabels", labels.into());
    }
    if pool.schedule.is_none() {
        set("minRunners", pool.min.into());
    }
    set("maxRunners", pool.max.into());
    // The chart would look for the controller in the cluster, and fail where there are two.
    set(
        "controllerServiceAccount",
        json!({
            "namespace": profile.scale_sets.namespace,
            "name": scale_sets::service_account(profile),
        }),
    );
    if let Some(proxy) = proxy_values(profile) {
        set("proxy", proxy);
    }
    if profile.github.ca_bundle.is_some() {
        // The runner gets the certificates by a mount of its own, as in the other mode.
        let key = json!({"name": names::CA_BUNDLE, "key": names::CA_BUNDLE_KEY});
        set(
            "githubServerTLS",
            json!({"certificateFrom": {"configMapKeyRef": key}}),
        );
    }
    if let ContainerMode::Kubernetes(mode) = &pool.container_mode {
        let claim = work_volume(&mode.work_volume);
        set(
            "containerMode",
            json!({"type": "kubernetes", "kubernetesModeWorkVolumeClaim": claim}),
        );
    }
    set("labels", json!({names::PROFILE_LABEL: profile.name}));
    let metadata = metadata_fields(&pool.metadata, &[]);
    if !metadata.is_empty() {
        set("resourceMeta", json!({"autoscalingRunnerSet": metadata}));
    }
    let template = pod::template(profile, pool)?;
    set("listenerTemplate", listener(profile, &template["spec"]));
    set("template", template);
    Ok(values.into())
}

/// The Secret with the pool's credential: its own, or the profile's.
pub fn secret_name(pool: &Pool) -> String {
    pool.credential_secret()
        .unwrap_or_else(|| names::SCALE_SET_SECRET.to_owned())
}

/// The address of the scope at GitHub.
pub fn config_url(github: &GitHub) -> Result<String, DesiredError> {
    let server = github.url.as_deref().unwrap_or(GITHUB);
    let server = server.trim_end_matches('/');
    Ok(match github.scope().ok_or(DesiredError::Scope)? {
        Scope::Enterprise(name) => format!("{server}/enterprises/{name}"),
        Scope::Organization(name) | Scope::Repository(name) => format!("{server}/{name}"),
    })
}

/// The listener runs where the runners do, and is left alone there. It has the security contexts of the controller, because
/// it has its image.
fn listener(profile: &Profile, runner: &Value) -> Value {
    let annotations: Map<String, Value> = DO_NOT_DISRUPT
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).into()))
        .collect();
    let controller = scale_sets::values(profile);
    let mut spec = json!({"containers": [{"name": LISTENER}]});
    // `null` leaves a field out in helm's values, and is no value in an AutoscalingRunnerSet.
    let (of_pod, of_container) = (
        &controller["podSecurityContext"],
        &controller["securityContext"],
    );
    if !of_pod.is_null() {
        spec["securityContext"] = of_pod.clone();
    }
    if !of_container.is_null() {
        spec["containers"][0]["securityContext"] = of_container.clone();
    }
    for key in ["nodeSelector", "tolerations"] {
        if !runner[key].is_null() {
            spec[key] = runner[key].clone();
        }
    }
    json!({"metadata": {"annotations": annotations}, "spec": spec})
}

/// The pod of the listener of `pool`, as the API server gets it from the controller, for a dry run. The controller adds its
/// command, its configuration and its account to the template (reference: scale-sets.md 3 and 6).
pub fn listener_pod(profile: &Profile, pool: &Pool) -> Result<Value, DesiredError> {
    let template = pod::template(profile, pool)?;
    let mut made = listener(profile, &template["spec"]);
    // Generated names end with `-listener`: no listener has this name.
    let name = format!("{}-arcct-probe", pool.name);
    made["apiVersion"] = "v1".into();
    made["kind"] = "Pod".into();
    made["metadata"]["name"] = name.as_str().into();
    made["metadata"]["namespace"] = profile.scale_sets.namespace.as_str().into();
    made["metadata"]["labels"] = json!({
        "app.kubernetes.io/component": "runner-scale-set-listener",
        "app.kubernetes.io/part-of": names::SCALE_SET_CHART,
    });
    let spec = &mut made["spec"];
    // The controller makes an account for each listener: with this name there is none yet.
    spec["serviceAccountName"] = name.into();
    spec["restartPolicy"] = "Never".into();
    spec["containers"][0]["image"] = scale_sets::image(profile).into();
    spec["containers"][0]["command"] = json!(["/ghalistener"]);
    Ok(made)
}

/// The proxy of the controller, the listener and the runners.
fn proxy_values(profile: &Profile) -> Option<Value> {
    let given = profile.proxy.as_ref()?;
    let mut values = Map::new();
    for (key, url) in [("http", &given.http), ("https", &given.https)] {
        if let Some(url) = url {
            values.insert(key.into(), json!({"url": url}));
        }
    }
    let mut direct: Vec<String> = proxy::direct(given)
        // A variable is not expanded here.
        .filter(|it| !it.starts_with('$'))
        .map(str::to_owned)
        .collect();
    for own in ["kubernetes.default"].iter().chain(&SERVICE_NETWORKS) {
        if !direct.iter().any(|it| it == own) {
            direct.push((*own).to_owned());
        }
    }
    values.insert("noProxy".into(), direct.into());
    Some(values.into())
}

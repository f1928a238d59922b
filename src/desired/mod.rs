//! Computes the desired resources from a profile and facts. Pure: no I/O. One file per area.

pub mod aws;
pub mod capacity;
pub mod charts;
pub mod crd_schema;
mod hardening;
pub mod lint;
pub mod lock;
pub mod monitoring;
pub mod names;
pub mod order;
mod phase;
pub mod placeholder;
pub mod pod_security;
pub mod pool;
pub mod pull_through;
pub mod record;
pub mod render;
pub mod resource;
pub mod scale_set;
mod secrets;
pub mod summary;
pub mod teardown;

pub use aws::eks_facts::EksFacts;
pub use phase::Phase;
pub use secrets::manages_secret;

use serde_json::{Value, json};

use resource::{HelmRelease, Id, KubeObject, Registration, Resource, WebhookProof};

use crate::profile::{Pool, Profile, schedule::ScheduleError};

/// The known state of the cluster and AWS. An unknown fact becomes a named placeholder in the result
/// (`${SECRET_VERSION}`), listed by `render` and `plan --offline`.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The time of this run.
    pub now: jiff::Timestamp,
    /// The API server's version, as (1, 36).
    pub kubernetes: Option<(u32, u32)>,
    /// The resourceVersion of the Secret `controller-manager`.
    pub secret_version: Option<String>,
    /// Whether the cluster has the CRD of `ServiceMonitor`.
    pub service_monitor_crd: Option<bool>,
    /// Whether it has the CRD of `PodMonitor`.
    pub pod_monitor_crd: Option<bool>,
    /// Whether it has the CRD of `PrometheusRule`.
    pub prometheus_rule_crd: Option<bool>,
    /// Whether the cluster has a working cert-manager that arcctl did not install.
    pub foreign_cert_manager: Option<bool>,
    /// Whether helm has no record of a cert-manager release, not even a failed one.
    pub no_cert_manager_release: bool,
    /// The contents of `github.caBundle`.
    pub ca_bundle: Option<String>,
    /// The networks of the cluster at AWS.
    pub aws: Option<aws::AwsFacts>,
    /// The properties of the EKS cluster, if `cluster.eks` names it.
    pub eks: Option<EksFacts>,
    /// The ARN of the runners' role, if the profile gives a name.
    pub runner_role_arn: Option<String>,
    /// The live scheduled overrides, by pool, as in the HRA (`spec.scheduledOverrides`): they are kept while they are
    /// equivalent to the profile (DESIGN 3).
    pub live_overrides: std::collections::BTreeMap<String, serde_json::Value>,
    /// The live tables of the minimums of scale sets, by pool, as in the `ConfigMap`: they are kept while they are
    /// equivalent to the profile.
    pub live_tables: std::collections::BTreeMap<String, String>,
    /// Other autoscalers of the pools' `RunnerDeployments`, as whole objects: they would overwrite arcctl's replica
    /// counts.
    pub rivals: Vec<Value>,
    /// The digests of a lock: images are pinned by them.
    pub pins: lock::Pins,
}

/// The desired state of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// It exists.
    Present,
    /// It does not exist.
    Absent,
    /// It does not exist, although another user owns it: refused without `--adopt`.
    Evicted,
}

/// A resource and its position in the run.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Its name.
    pub id: Id,
    /// Its phase: a label, and the limit that applies.
    pub phase: Phase,
    /// What must be done before: see [`order::connect`].
    pub after: Vec<Id>,
    /// The resource itself.
    pub resource: Resource,
    /// Whether it is to be present or absent.
    pub goal: Goal,
}

/// Why a profile has no resources. The lint reports these first; here they prevent an invalid manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DesiredError {
    /// None or several of enterprise, organization and repository.
    #[error(
        "`github` has no single scope; set exactly one of `enterprise`, `organization` and `repository`"
    )]
    Scope,
    /// The default resources cannot be computed.
    #[error(
        "pool `{pool}`: the instance type `{instance_type}` is not in arcctl's table; set `resources.runner` of the pool"
    )]
    UnknownInstanceType {
        /// The pool's name.
        pool: String,
        /// Its instance type.
        instance_type: String,
    },
    /// The schedule is invalid.
    #[error("pool `{pool}`: `schedule` cannot be used: {source}; correct the schedule")]
    Schedule {
        /// The pool's name.
        pool: String,
        /// The error.
        source: ScheduleError,
    },
    /// A chart is at a path, and the files are for a program that fetches charts itself.
    #[error(
        "`charts` names the path `{location}` for the chart {chart}: Flux and Argo CD fetch charts from a repository; name one with http, https or oci"
    )]
    ChartAtPath {
        /// The chart.
        chart: String,
        /// Its path.
        location: String,
    },
    /// A value cannot be written as YAML.
    #[error("`{object}` cannot be written as YAML: {reason}; report this as a bug")]
    Yaml {
        /// The file.
        object: String,
        /// The serializer's error.
        reason: String,
    },
}

/// All resources of `profile`, phase by phase; [`order::connect`] completes what each waits for.
pub fn desired(profile: &Profile, facts: &Facts) -> Result<Vec<Desired>, DesiredError> {
    let mut result = Vec::new();
    result.extend(
        namespaces(profile, facts)
            .into_iter()
            .map(|namespace| object(Phase::Base, namespace)),
    );
    result.extend(cert_manager_resources(profile, facts));
    result.extend(aws::resources(profile, facts));
    result.extend(wiring(profile, facts)?);
    result.extend(controller_resources(profile, facts));
    result.extend(scale_set::controller(profile));
    let around = monitoring::objects(profile, facts)?.into_iter();
    let around = around.chain(hardening::objects(profile));
    result.extend(around.map(|manifest| object(Phase::Controller, manifest)));
    for pool in &profile.pools {
        result.extend(if pool.is_scale_set() {
            scale_set::pool(profile, pool)?
        } else {
            deployment_pool(profile, pool, facts)?
        });
    }
    result.extend(scale_set::schedules(profile)?);
    result.extend(profile.pools.iter().map(|pool| {
        if pool.is_scale_set() {
            scale_set::online(profile, pool)
        } else {
            registration(pool)
        }
    }));
    facts.pins.apply(&mut result);
    Ok(result)
}

/// A pool of the community's controller: its `RunnerDeployment`, its autoscaler, and the proof of its pods.
fn deployment_pool(
    profile: &Profile,
    pool: &Pool,
    facts: &Facts,
) -> Result<Vec<Desired>, DesiredError> {
    let runners = runner_deployment(profile, pool)?;
    let mut autoscaler = object(
        Phase::Runners,
        pool::autoscaler::autoscaler(profile, pool, facts)?,
    );
    autoscaler.after.push(runners.id.clone());
    let mut result: Vec<Desired> = pool::autoscaler::rivals(pool, facts).collect();
    let rivals = result.iter().map(|it| it.id.clone());
    autoscaler.after.extend(rivals);
    let pods = named(
        Phase::Runners,
        Id::new("runner-pods", Some(&pool.namespace), &pool.name),
        Resource::RunnerPods(online(pool)),
    )
    .after(&autoscaler);
    result.extend([runners, autoscaler, pods]);
    Ok(result)
}

/// The namespaces; cert-manager's only if arcctl installs it.
pub(crate) fn namespaces(profile: &Profile, facts: &Facts) -> Vec<Value> {
    let cert_manager = charts::cert_manager::installs(profile, facts)
        .then_some(profile.cert_manager.namespace.as_str());
    let mut all: Vec<&str> = cert_manager.into_iter().collect();
    for name in profile.namespaces() {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all.into_iter()
        .map(|name| {
            let mut metadata = json!(names::metadata(profile, None, name));
            if let Some(label) = charts::controller::namespace_label(profile, name) {
                metadata["labels"][label] = name.into();
            }
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        })
        .collect()
}

fn cert_manager_resources(profile: &Profile, facts: &Facts) -> Vec<Desired> {
    if !profile.has_deployments() {
        return Vec::new();
    }
    let proof = named(
        Phase::Wiring,
        Id::new(
            "webhook",
            Some(&profile.cert_manager.namespace),
            "cert-manager-webhook",
        ),
        Resource::Webhook(WebhookProof::CertManager),
    );
    if !charts::cert_manager::installs(profile, facts) {
        return vec![proof];
    }
    let crds = named(
        Phase::Wiring,
        Id::new("crds", None, names::CERT_MANAGER),
        Resource::Crds(charts::cert_manager::crds(profile)),
    );
    let release = HelmRelease {
        name: names::CERT_MANAGER.into(),
        namespace: profile.cert_manager.namespace.clone(),
        chart: charts::cert_manager::chart(profile),
        values: charts::cert_manager::values(profile),
        profile: profile.name.clone(),
    };
    // A new program needs its CRDs first, and an upgrade of a release with CRDs in it would delete them (reference:
    // observed.md 9). A fresh one has only Kubernetes' own kinds, unless the values add others; its pods wait for the CRDs.
    let has_own_objects = release.values["extraObjects"]
        .as_array()
        .is_some_and(|it| !it.is_empty());
    let mut release = self::release(Phase::Wiring, release);
    if !facts.no_cert_manager_release || has_own_objects {
        release = release.after(&crds);
    }
    let proof = proof.after(&release).after(&crds);
    vec![crds, release, proof]
}

/// The prerequisites of the controller and the runners.
fn wiring(profile: &Profile, facts: &Facts) -> Result<Vec<Desired>, DesiredError> {
    let mut result = Vec::new();
    if profile.has_deployments() {
        result.push(named(
            Phase::Wiring,
            Id::new("crds", None, names::CONTROLLER),
            Resource::Crds(charts::controller::crds(profile)),
        ));
    }
    result.extend(secrets::all(profile));
    result.extend(
        wiring_objects(profile, facts)
            .into_iter()
            .map(|manifest| object(Phase::Wiring, manifest)),
    );
    result.extend(scale_set::wiring(profile, facts)?);
    Ok(result)
}

/// The `ConfigMaps` of the certificate authority and the service account.
pub(crate) fn wiring_objects(profile: &Profile, facts: &Facts) -> Vec<Value> {
    let mut result = Vec::new();
    if profile.github.ca_bundle.is_some() {
        let namespaces = profile.namespaces().into_iter();
        result.extend(namespaces.map(|name| pool::ca_bundle::config_map(profile, facts, name)));
    }
    if let Some(role) = profile.runner_role() {
        result.extend(pool::service_account::objects(profile, role, facts));
    }
    result
}

fn controller_resources(profile: &Profile, facts: &Facts) -> Vec<Desired> {
    if !profile.has_deployments() {
        return Vec::new();
    }
    let controller = &profile.controller;
    let release = self::release(
        Phase::Controller,
        HelmRelease {
            name: controller.release.clone(),
            namespace: controller.namespace.clone(),
            chart: charts::controller::chart(profile),
            values: charts::controller::values(profile, facts),
            profile: profile.name.clone(),
        },
    );
    let proof = WebhookProof::Controller {
        namespace: controller.namespace.clone(),
        release: controller.release.clone(),
        runner_namespace: profile
            .deployment_pools()
            .next()
            .map_or_else(|| names::RUNNER_NAMESPACE.into(), |it| it.namespace.clone()),
    };
    let service = controller.webhook_service();
    let proof = named(
        Phase::Controller,
        Id::new("webhook", Some(&controller.namespace), &service),
        Resource::Webhook(proof),
    )
    .after(&release);
    vec![release, proof]
}

fn registration(pool: &Pool) -> Desired {
    named(
        Phase::Registration,
        Id::new("registration", Some("github"), &pool.name),
        Resource::Registration(online(pool)),
    )
}

/// How many runners of a pool must be online, and their labels.
fn online(pool: &Pool) -> Registration {
    Registration {
        namespace: pool.namespace.clone(),
        pool: pool.name.clone(),
        min: pool.min,
        schedule: pool.schedule.clone(),
        labels: pool::both_modes::runner_labels(pool),
    }
}

fn runner_deployment(profile: &Profile, pool: &Pool) -> Result<Desired, DesiredError> {
    let manifest = pool::runner_deployment::runner_deployment(profile, pool)?;
    let id = names::object_id(&manifest);
    let object = KubeObject {
        pool: Some(online(pool)),
        ..KubeObject::new(manifest)
    };
    Ok(named(Phase::Runners, id, Resource::Object(object)))
}

fn object(phase: Phase, manifest: Value) -> Desired {
    named(
        phase,
        names::object_id(&manifest),
        Resource::Object(KubeObject::new(manifest)),
    )
}

fn release(phase: Phase, release: HelmRelease) -> Desired {
    let id = Id::new("helm-release", Some(&release.namespace), &release.name);
    named(phase, id, Resource::Release(release))
}

fn named(phase: Phase, id: Id, resource: Resource) -> Desired {
    Desired {
        id,
        phase,
        after: Vec::new(),
        resource,
        goal: Goal::Present,
    }
}

impl Desired {
    /// The same, after another resource.
    fn after(mut self, other: &Self) -> Self {
        self.after.push(other.id.clone());
        self
    }
}

#[cfg(test)]
pub(crate) mod tests;

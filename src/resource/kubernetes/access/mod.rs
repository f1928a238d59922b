//! The RBAC permissions that this user needs to write a resource. Pure: no I/O.
//!
//! Checked before the first write, so that a missing permission does not leave a partial installation (docs/rbac.yaml grants
//! them all).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Value, json};

use crate::{
    clients::kube::{Kind, Target},
    desired::{
        names::CONTROLLER,
        resource::{
            ControllerSecret, Drain, HelmRelease, OwnSecret, Resource, WebhookProof,
            aws::AwsResource,
        },
    },
    resource::scale_sets::access::{needed as of_scale_sets, of_chart, to_drain},
};

/// An RBAC permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    verb: &'static str,
    group: String,
    resource: String,
    namespace: Option<String>,
}

impl Permission {
    /// The permission for `verb` on `kind`; without a namespace: in all.
    pub(crate) fn new(verb: &'static str, kind: &Kind, namespace: Option<&str>) -> Self {
        Self {
            verb,
            group: kind.group().to_owned(),
            resource: kind.plural().to_owned(),
            namespace: namespace.map(str::to_owned),
        }
    }

    /// Its resource, as `kubectl` names it: `deployments.apps`.
    fn object(&self) -> String {
        match self.group.as_str() {
            "" => self.resource.clone(),
            group => format!("{}.{group}", self.resource),
        }
    }

    /// The `SelfSubjectAccessReview` for it.
    pub fn review(&self) -> Value {
        json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "metadata": {"name": ""},
            "spec": {"resourceAttributes": {
                "verb": self.verb,
                "group": self.group,
                "resource": self.resource,
                "namespace": self.namespace,
            }},
        })
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.verb, self.object())?;
        match &self.namespace {
            Some(namespace) => write!(formatter, " in namespace {namespace}"),
            None => Ok(()),
        }
    }
}

/// One line per resource, with all its missing permissions: `create, patch secrets in namespace a, b`.
pub fn by_resource(permissions: &[&Permission]) -> Vec<String> {
    let mut places: BTreeMap<(String, Option<&str>), Vec<&str>> = BTreeMap::new();
    for it in permissions {
        let place = (it.object(), it.namespace.as_deref());
        places.entry(place).or_default().push(it.verb);
    }
    let mut lines: BTreeMap<(String, Vec<&str>), Vec<&str>> = BTreeMap::new();
    for ((object, namespace), verbs) in places {
        let namespaces = lines.entry((object, verbs)).or_default();
        namespaces.extend(namespace);
    }
    let line = |((object, verbs), namespaces): (_, Vec<&str>)| {
        let (object, verbs): (String, Vec<&str>) = (object, verbs);
        let all = format!("{} {object}", verbs.join(", "));
        match namespaces.as_slice() {
            [] => all,
            some => format!("{all} in namespace {}", some.join(", ")),
        }
    };
    lines.into_iter().map(line).collect()
}

/// Kinds in the charts: the kind, and whether it is namespaced.
const OF_A_RELEASE: [(&str, &str, bool); 10] = [
    ("v1", "Secret", true),
    ("v1", "Service", true),
    ("v1", "ServiceAccount", true),
    ("apps/v1", "Deployment", true),
    ("rbac.authorization.k8s.io/v1", "Role", true),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", true),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", false),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", false),
    (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        false,
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        false,
    ),
];

/// Further kinds in the controller's chart (reference: arc.md 1.4).
const OF_THE_CONTROLLER: [&str; 2] = ["Certificate", "Issuer"];

/// The kinds of a pool's objects, with the verbs to read and watch them.
const OF_A_POOL: [(&str, &str, &[&str]); 4] = [
    ("v1", "Pod", &["list", "watch"]),
    ("v1", "Event", &["list"]),
    (
        "actions.summerwind.dev/v1alpha1",
        "Runner",
        &["list", "watch"],
    ),
    (
        "actions.summerwind.dev/v1alpha1",
        "RunnerReplicaSet",
        &["list"],
    ),
];

/// Permissions for a run that writes: its Lease and its inventory; a run that only `removes` does not create it.
pub fn needed_by_a_run(namespace: &str, removes: bool) -> BTreeSet<Permission> {
    let lease = Kind::new("coordination.k8s.io/v1", "Lease");
    let inventory = Kind::new("v1", "ConfigMap");
    let right = |kind: &Kind, verb: &'static str| Permission::new(verb, kind, Some(namespace));
    let of_the_lease = ["get", "create", "update"].map(|verb| right(&lease, verb));
    let of_the_inventory = ["get", "patch"].map(|verb| right(&inventory, verb));
    let made = (!removes).then(|| right(&inventory, "create"));
    let rights = of_the_lease.into_iter().chain(of_the_inventory);
    rights.chain(made).collect()
}

/// The permissions to write `resource`.
pub fn needed(resource: &Resource) -> BTreeSet<Permission> {
    let write = |kind: &Kind, namespace: Option<&str>| {
        ["create", "patch"].map(|verb| Permission::new(verb, kind, namespace))
    };
    match resource {
        Resource::Object(object) => Target::of(&object.manifest)
            .into_iter()
            .flat_map(|target| write(&target.kind, target.namespace.as_deref()))
            .collect(),
        Resource::Restart(restart) => {
            let kind = Kind::new("apps/v1", "Deployment");
            [Permission::new("patch", &kind, Some(&restart.namespace))].into()
        }
        Resource::Probe(probe) => {
            let kind = Kind::new("batch/v1", "Job");
            write(&kind, Some(probe.namespace())).into()
        }
        Resource::ControllerSecret(secret) => {
            let mut rights =
                BTreeSet::from(write(&Kind::new("v1", "Secret"), Some(&secret.namespace)));
            // A new registration proves a replaced credential: an idle runner is deleted for it.
            let runner = Kind::new("actions.summerwind.dev/v1alpha1", "Runner");
            let deletes = secret.runner_namespaces.iter();
            rights.extend(deletes.map(|it| Permission::new("delete", &runner, Some(it))));
            rights
        }
        Resource::Secret(secret) => {
            write(&Kind::new("v1", "Secret"), Some(&secret.namespace)).into()
        }
        Resource::Crds(_) => {
            let kind = Kind::new("apiextensions.k8s.io/v1", "CustomResourceDefinition");
            write(&kind, None).into()
        }
        Resource::Release(release) => of_a_release(release),
        Resource::Webhook(proof) => [of_a_dry_run(proof)].into(),
        Resource::RunnerPods(pool) | Resource::Registration(pool) => {
            of_a_pool(resource, &pool.namespace)
        }
        Resource::ScaleSet(_)
        | Resource::ScaleSetMinimum(_)
        | Resource::ScaleSetRunners(_)
        | Resource::ScaleSetOnline(_) => of_scale_sets(resource),
        // Its probe is a dry run too.
        Resource::Aws(AwsResource::Association(it)) => [Permission::new(
            "create",
            &Kind::new("v1", "Pod"),
            Some(&it.namespace),
        )]
        .into(),
        // What pulls images is only part of a plan if this user has the permissions in `to_pull_ahead`. AWS has no free and
        // reliable permission check; it returns an error at the call.
        Resource::ImagePull(_)
        | Resource::Aws(_)
        | Resource::Drain(_)
        | Resource::ScaleSetDrain(_)
        | Resource::Webhooks(_)
        | Resource::Ghosts { .. } => BTreeSet::new(),
    }
}

/// The proof of a webhook is a dry run, which needs the same permission as a real write.
fn of_a_dry_run(proof: &WebhookProof) -> Permission {
    match proof {
        WebhookProof::CertManager => {
            let kind = Kind::new("cert-manager.io/v1", "CertificateRequest");
            Permission::new("create", &kind, Some("default"))
        }
        WebhookProof::Controller {
            runner_namespace, ..
        } => {
            let kind = Kind::new("actions.summerwind.dev/v1alpha1", "RunnerDeployment");
            Permission::new("create", &kind, Some(runner_namespace))
        }
    }
}

/// Additional permissions to remove a pool's runners without the controller or with running jobs: arcctl deletes
/// their pods and removes the finalizers.
pub fn needed_by_hand(drain: &Drain) -> BTreeSet<Permission> {
    let kinds = [
        Kind::new("v1", "Pod"),
        Kind::new("actions.summerwind.dev/v1alpha1", "Runner"),
    ];
    let rights = kinds.iter().flat_map(|kind| {
        let right = |verb| Permission::new(verb, kind, Some(&drain.namespace));
        ["get", "patch", "delete"].map(right)
    });
    rights.collect()
}

/// The permissions to remove runners of earlier templates that never started and block new ones.
pub(crate) fn to_make_room(namespace: &str) -> [Permission; 3] {
    let arc = |kind| Kind::new("actions.summerwind.dev/v1alpha1", kind);
    [
        ("patch", arc("RunnerReplicaSet")),
        ("delete", arc("Runner")),
        ("delete", Kind::new("v1", "Pod")),
    ]
    .map(|(verb, kind)| Permission::new(verb, &kind, Some(namespace)))
}

/// The permissions to pull images ahead.
pub(crate) fn to_pull_ahead(namespace: &str) -> Vec<Permission> {
    let sets = Kind::new("apps/v1", "DaemonSet");
    let pods = Kind::new("v1", "Pod");
    let of = |kind: &Kind, verb| Permission::new(verb, kind, Some(namespace));
    let verbs = ["get", "create", "patch", "delete"].map(|verb| of(&sets, verb));
    let reads = ["list", "watch"].map(|verb| of(&pods, verb));
    verbs.into_iter().chain(reads).collect()
}

/// Read permissions for a pool; a dry run of a runner's pod needs the same permission as a real write.
fn of_a_pool(resource: &Resource, namespace: &str) -> BTreeSet<Permission> {
    let read = OF_A_POOL.iter().flat_map(|(version, kind, verbs)| {
        let kind = Kind::new(version, kind);
        verbs
            .iter()
            .map(move |verb| Permission::new(verb, &kind, Some(namespace)))
    });
    let tried = matches!(resource, Resource::RunnerPods(_))
        .then(|| Permission::new("create", &Kind::new("v1", "Pod"), Some(namespace)));
    read.chain(tried).collect()
}

/// The permissions to delete `resource`.
pub fn needed_to_delete(resource: &Resource) -> BTreeSet<Permission> {
    let right = |verb, kind: &Kind, namespace: Option<&str>| Permission::new(verb, kind, namespace);
    match resource {
        Resource::Object(object) => Target::of(&object.manifest)
            .map(|it| right("delete", &it.kind, it.namespace.as_deref()))
            .into_iter()
            .collect(),
        Resource::ControllerSecret(ControllerSecret { namespace, .. })
        | Resource::Secret(OwnSecret { namespace, .. }) => {
            [right("delete", &Kind::new("v1", "Secret"), Some(namespace))].into()
        }
        Resource::Crds(_) => {
            let kind = Kind::new("apiextensions.k8s.io/v1", "CustomResourceDefinition");
            [right("delete", &kind, None)].into()
        }
        // An uninstall by helm 4 that may not read what it has deleted ends early, as if all of it had gone.
        Resource::Release(release) => rights_of_a_chart(release, &["delete"]),
        Resource::Drain(drain) => {
            let kind = |kind| Kind::new("actions.summerwind.dev/v1alpha1", kind);
            let (pool, runner) = (kind("RunnerDeployment"), kind("Runner"));
            [("patch", &pool), ("delete", &pool), ("delete", &runner)]
                .map(|(verb, kind)| right(verb, kind, Some(&drain.namespace)))
                .into()
        }
        Resource::ScaleSetDrain(drain) => to_drain(drain),
        _ => BTreeSet::new(),
    }
}

/// The kinds of the objects of a release.
fn kinds_of(release: &HelmRelease) -> &'static [(&'static str, &'static str, bool)] {
    of_chart(&release.chart.name).unwrap_or(&OF_A_RELEASE)
}

/// These verbs on the objects of a release, and `get`: helm reads each object before it writes it, and while it waits for its
/// end. Of Secrets it has its records alone, which it lists.
fn rights_of_a_chart(release: &HelmRelease, verbs: &[&'static str]) -> BTreeSet<Permission> {
    let mut all = BTreeSet::new();
    for (version, kind, namespaced) in kinds_of(release) {
        let reads = (*kind != "Secret").then_some("get");
        let namespace = namespaced.then_some(release.namespace.as_str());
        let kind = Kind::new(version, kind);
        let verbs = verbs.iter().copied().chain(reads);
        all.extend(verbs.map(|verb| Permission::new(verb, &kind, namespace)));
    }
    all
}

/// Objects that helm writes for a release: the chart's objects, and the record Secrets, of which old ones are deleted.
fn of_a_release(release: &HelmRelease) -> BTreeSet<Permission> {
    let (namespace, name) = (release.namespace.as_str(), release.name.as_str());
    let mut all = rights_of_a_chart(release, &["create", "patch"]);
    let records = Kind::new("v1", "Secret");
    all.extend(
        ["list", "update", "delete"].map(|verb| Permission::new(verb, &records, Some(namespace))),
    );
    if name == CONTROLLER {
        for kind in OF_THE_CONTROLLER.map(|kind| Kind::new("cert-manager.io/v1", kind)) {
            let right = |verb| Permission::new(verb, &kind, Some(namespace));
            all.extend(["create", "get", "patch"].map(right));
        }
    }
    all
}

#[cfg(test)]
mod tests;

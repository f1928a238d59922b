//! The RBAC permissions for scale sets. Pure: no I/O.

use std::collections::BTreeSet;

use super::{
    API_VERSION,
    by_hand::{PROTECTED, RIGHTS},
    superseded::FORMER_LISTENERS,
};
use crate::{
    clients::kube::Kind,
    desired::{
        names,
        resource::{HelmRelease, Resource, scale_set::ScaleSetDrain},
    },
    diff::Difference,
    resource::kubernetes::access::Permission,
};

/// The objects of the controller's chart: the kind, and whether it is namespaced. Secrets are helm's records.
const OF_THE_CONTROLLER: [(&str, &str, bool); 7] = [
    ("v1", "Secret", true),
    ("v1", "ServiceAccount", true),
    ("apps/v1", "Deployment", true),
    ("rbac.authorization.k8s.io/v1", "Role", true),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", true),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", false),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", false),
];

/// Those of the chart of a scale set.
const OF_A_SET: [(&str, &str, bool); 5] = [
    ("v1", "Secret", true),
    ("v1", "ServiceAccount", true),
    ("rbac.authorization.k8s.io/v1", "Role", true),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", true),
    (names::SCALE_SET_API_VERSION, "AutoscalingRunnerSet", true),
];

/// The objects of a chart; `None` if it is not of scale sets.
pub(crate) fn of_chart(name: &str) -> Option<&'static [(&'static str, &'static str, bool)]> {
    match name {
        names::SCALE_SET_CONTROLLER_CHART => Some(&OF_THE_CONTROLLER),
        names::SCALE_SET_CHART => Some(&OF_A_SET),
        _ => None,
    }
}

fn kind(kind: &str) -> Kind {
    Kind::new(API_VERSION, kind)
}

/// The permissions to prove a scale set, and to write its minimum.
pub(crate) fn needed(resource: &Resource) -> BTreeSet<Permission> {
    match resource {
        Resource::ScaleSet(set) => {
            let mut rights = of_a_set(&set.namespace);
            rights.extend(of_a_listener(&set.controller_namespace));
            rights
        }
        Resource::ScaleSetMinimum(set) => {
            let kind = kind("AutoscalingRunnerSet");
            [Permission::new("patch", &kind, Some(&set.namespace))].into()
        }
        Resource::ScaleSetRunners(set) | Resource::ScaleSetOnline(set) => of_a_set(&set.namespace),
        _ => BTreeSet::new(),
    }
}

/// Read permissions for a scale set.
fn of_a_set(namespace: &str) -> BTreeSet<Permission> {
    let kinds = [
        "AutoscalingRunnerSet",
        "EphemeralRunnerSet",
        "EphemeralRunner",
    ];
    let mut rights = BTreeSet::new();
    for verb in ["list", "watch"] {
        rights.extend(kinds.map(|it| Permission::new(verb, &kind(it), Some(namespace))));
    }
    let lists = ["Pod", "Event"].map(|it| Kind::new("v1", it));
    rights.extend(lists.map(|it| Permission::new("list", &it, Some(namespace))));
    rights
}

/// Read permissions for a listener, in the controller's namespace.
fn of_a_listener(namespace: &str) -> [Permission; 6] {
    let listener = kind("AutoscalingListener");
    [
        ("list", listener.clone()),
        ("watch", listener),
        ("get", Kind::new("v1", "Pod")),
        // A scale set is not made while a controller of another minor version ends.
        ("list", Kind::new("v1", "Pod")),
        ("get", Kind::new("apps/v1", "Deployment")),
        ("list", Kind::new("v1", "Event")),
    ]
    .map(|(verb, kind)| Permission::new(verb, &kind, Some(namespace)))
}

/// The permission to delete the listener that a scale set had before its runner group changed. `namespace` is that of the
/// controller.
fn to_end_a_listener(namespace: &str) -> Permission {
    Permission::new("delete", &kind("AutoscalingListener"), Some(namespace))
}

/// The permission to remove what a change of a scale set's chart leaves. Its runner group is one of the chart's values.
pub(crate) fn after_a_change(release: &HelmRelease) -> Option<Permission> {
    let home = &release.values["controllerServiceAccount"]["namespace"];
    let home = home.as_str()?;
    (release.chart.name == names::SCALE_SET_CHART).then(|| to_end_a_listener(home))
}

/// The permission to remove what an earlier change has left of a scale set, where `differences` say that it is there.
pub(crate) fn to_end_former(resource: &Resource, differences: &[Difference]) -> Option<Permission> {
    let Resource::ScaleSet(set) = resource else {
        return None;
    };
    let mut differences = differences.iter();
    let is_left = differences.any(|it| it.path == FORMER_LISTENERS);
    is_left.then(|| to_end_a_listener(&set.controller_namespace))
}

/// The permissions to remove a scale set by its controller. A former listener, if there is one, goes first.
pub(crate) fn to_drain(drain: &ScaleSetDrain) -> BTreeSet<Permission> {
    let set = kind("AutoscalingRunnerSet");
    let mut rights = BTreeSet::from(
        ["get", "patch", "delete"].map(|verb| Permission::new(verb, &set, Some(&drain.namespace))),
    );
    rights.insert(to_end_a_listener(&drain.controller_namespace));
    rights
}

/// Additional permissions to remove it without the controller: arcctl deletes the objects and removes the finalizers.
pub(crate) fn to_free(drain: &ScaleSetDrain) -> BTreeSet<Permission> {
    let (runners, home) = (&*drain.namespace, &*drain.controller_namespace);
    let made = [kind("EphemeralRunner"), kind("EphemeralRunnerSet")];
    let listener = kind("AutoscalingListener");
    let mut rights = BTreeSet::new();
    for verb in ["patch", "delete"] {
        let of = |kind: &Kind| Permission::new(verb, kind, Some(runners));
        rights.extend(made.iter().map(of));
        rights.insert(Permission::new(verb, &listener, Some(home)));
    }
    for verb in ["list", "patch"] {
        let of = |kind: &Kind| Permission::new(verb, kind, Some(runners));
        rights.extend(PROTECTED.map(|(version, kind)| of(&Kind::new(version, kind))));
    }
    rights.extend(RIGHTS.map(|(version, kind)| {
        Permission::new("delete", &Kind::new(version, kind), Some(runners))
    }));
    rights
}

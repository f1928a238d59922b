//! The permissions of `docs/rbac.yaml` that the test runs do not use, each with its reason.

/// A right that these runs need not use: the resource, the verbs, and what does use it.
pub(crate) type Elsewhere = (&'static str, &'static [&'static str], &'static str);

/// What the daily commands need, and these runs do not use.
pub(crate) const DAILY: &[Elsewhere] = &[
    (
        "networkpolicies.networking.k8s.io",
        &["get", "list", "watch"],
        HARDENING,
    ),
    (
        "poddisruptionbudgets.policy",
        &["get", "list", "watch"],
        HARDENING,
    ),
    // Watches begin where a run has something to wait for.
    ("configmaps", &["list", "watch"], WAITED_FOR),
    ("serviceaccounts", &["list", "watch"], WAITED_FOR),
    ("deployments.apps", &["list", "watch"], WAITED_FOR),
    ("pods", &["watch"], WAITED_FOR),
    ("jobs.batch", &["list", "watch"], WAITED_FOR),
    (
        "certificates.cert-manager.io",
        &["list", "watch"],
        WAITED_FOR,
    ),
    (
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        &["watch"],
        WAITED_FOR,
    ),
    (
        "horizontalrunnerautoscalers.actions.summerwind.dev",
        &["list", "watch"],
        WAITED_FOR,
    ),
    (
        "runnerdeployments.actions.summerwind.dev",
        &["list", "watch"],
        WAITED_FOR,
    ),
    (
        "daemonsets.apps",
        &["get", "create", "patch", "delete"],
        "nodes that list their images, and lack those of a pool",
    ),
    ("persistentvolumeclaims", &["get", "create"], NAMED),
    ("secrets", &["get"], NAMED),
    ("priorityclasses.scheduling.k8s.io", &["get"], NAMED),
    ("runtimeclasses.node.k8s.io", &["get"], NAMED),
    ("storageclasses.storage.k8s.io", &["get"], NAMED),
    (
        "roles.rbac.authorization.k8s.io",
        &["get", "list", "watch", "patch", "delete"],
        KUBERNETES_MODE,
    ),
    (
        "rolebindings.rbac.authorization.k8s.io",
        &["get", "list", "watch", "patch", "delete"],
        KUBERNETES_MODE,
    ),
    (
        "eniconfigs.crd.k8s.amazonaws.com",
        &["list"],
        "custom networking of the VPC CNI",
    ),
    // What a profile gets or no longer has comes and goes with the next `up`.
    ("serviceaccounts", &["create", "delete"], COMES_AND_GOES),
    (
        "configmaps",
        &["get", "create", "patch", "delete"],
        COMES_AND_GOES,
    ),
    (
        "endpointslices.discovery.k8s.io",
        &["list"],
        "what serves the webhooks of a cert-manager that comes",
    ),
    (
        "prometheusrules.monitoring.coreos.com",
        &["list", "watch", "create", "delete"],
        COMES_AND_GOES,
    ),
    (
        "leases.coordination.k8s.io",
        &["create"],
        "a lease that somebody has deleted",
    ),
    (
        "runnerreplicasets.actions.summerwind.dev",
        &["patch"],
        "runners that never started, on full nodes (room.rs has it, with this role)",
    ),
    (
        "podmonitors.monitoring.coreos.com",
        &["get", "list", "watch", "create", "patch", "delete"],
        SCALE_SETS,
    ),
    ("secrets", &["list"], SCALE_SETS),
    ("pods", &["get", "list"], SCALE_SETS),
    ("events", &["list"], SCALE_SETS),
    ("deployments.apps", &["get", "list"], SCALE_SETS),
    ("serviceaccounts", &["get"], SCALE_SETS),
    (
        "cronjobs.batch",
        &["get", "list", "watch", "create", "patch", "delete"],
        SCALE_SETS,
    ),
    (
        "autoscalingrunnersets.actions.github.com",
        &["get", "list", "watch", "patch"],
        SCALE_SETS,
    ),
    (
        "ephemeralrunnersets.actions.github.com",
        &["list", "watch"],
        SCALE_SETS,
    ),
    (
        "ephemeralrunners.actions.github.com",
        &["list", "watch"],
        SCALE_SETS,
    ),
    (
        "autoscalinglisteners.actions.github.com",
        &["list", "watch"],
        SCALE_SETS,
    ),
];

/// What an installation needs beside, and these runs do not use.
pub(crate) const INSTALL: &[Elsewhere] = &[
    (
        "networkpolicies.networking.k8s.io",
        &["create", "patch"],
        HARDENING,
    ),
    (
        "poddisruptionbudgets.policy",
        &["create", "patch"],
        HARDENING,
    ),
    (
        "customresourcedefinitions.apiextensions.k8s.io",
        &["list", "watch"],
        WAITED_FOR,
    ),
    (
        "secrets",
        &["get", "patch", "delete"],
        "helm's records: of an upgrade, beyond its history, of a dead run, with a credential in their values, and taken over",
    ),
    // No calls of their own: they let helm's `create` of roles and bindings pass.
    (
        "clusterroles.rbac.authorization.k8s.io",
        &["escalate", "bind"],
        "rights that this user has not",
    ),
    (
        "roles.rbac.authorization.k8s.io",
        &["escalate", "bind"],
        "rights that this user has not",
    ),
    // Helm 3 patches what differs; helm 4 applies every object each time.
    ("services", &["patch"], CHANGED),
    ("serviceaccounts", &["patch"], CHANGED),
    (
        "deployments.apps",
        &["patch"],
        "another version or other values; doctor --fix: cert-manager's injector starts anew",
    ),
    (
        "clusterroles.rbac.authorization.k8s.io",
        &["patch"],
        CHANGED,
    ),
    (
        "clusterrolebindings.rbac.authorization.k8s.io",
        &["patch"],
        CHANGED,
    ),
    (
        "roles.rbac.authorization.k8s.io",
        &["create", "patch"],
        CHANGED,
    ),
    (
        "rolebindings.rbac.authorization.k8s.io",
        &["create", "patch"],
        CHANGED,
    ),
    ("servicemonitors.monitoring.coreos.com", &["patch"], CHANGED),
    ("secrets", &["create", "update"], SCALE_SETS),
    ("serviceaccounts", &["create"], SCALE_SETS),
    ("deployments.apps", &["create"], SCALE_SETS),
    ("resourcequotas", &["list"], SCALE_SETS),
    ("pods", &["create"], SCALE_SETS),
    (
        "autoscalingrunnersets.actions.github.com",
        &["create", "patch"],
        SCALE_SETS,
    ),
    (
        "autoscalinglisteners.actions.github.com",
        &["delete"],
        SCALE_SETS,
    ),
];

/// What a teardown needs, and these runs do not use.
pub(crate) const TEARDOWN: &[Elsewhere] = &[
    (
        "networkpolicies.networking.k8s.io",
        &["get", "delete"],
        HARDENING,
    ),
    ("poddisruptionbudgets.policy", &["delete"], HARDENING),
    // Seen with no call of these runs, which have helm 3; without them an uninstall by helm 4 ends early and leaves pods
    // (`role::they_are_enough_for_helm_4_too`).
    (
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        &["get"],
        OF_A_CHART,
    ),
    (
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        &["get"],
        OF_A_CHART,
    ),
    (
        "clusterroles.rbac.authorization.k8s.io",
        &["get"],
        OF_A_CHART,
    ),
    (
        "clusterrolebindings.rbac.authorization.k8s.io",
        &["get"],
        OF_A_CHART,
    ),
    ("services", &["get"], OF_A_CHART),
    ("serviceaccounts", &["get"], OF_A_CHART),
    ("deployments.apps", &["get"], OF_A_CHART),
    ("certificates.cert-manager.io", &["get"], OF_A_CHART),
    ("issuers.cert-manager.io", &["get"], OF_A_CHART),
    ("poddisruptionbudgets.policy", &["get"], OF_A_CHART),
    (
        "servicemonitors.monitoring.coreos.com",
        &["get"],
        OF_A_CHART,
    ),
    (
        "configmaps",
        &["get", "delete"],
        "in the runners' namespace: `github.caBundle`",
    ),
    (
        "gateways.gateway.networking.k8s.io",
        &["list"],
        "where the cluster has the Gateway API",
    ),
    ("pods", &["watch"], WAITED_FOR),
    ("runners.actions.summerwind.dev", &["watch"], WAITED_FOR),
    (
        "customresourcedefinitions.apiextensions.k8s.io",
        &["list", "watch"],
        WAITED_FOR,
    ),
    (
        "leases.coordination.k8s.io",
        &["create"],
        "a lease that somebody has deleted",
    ),
    (
        "daemonsets.apps",
        &["get", "delete"],
        "what an `up` that was killed while it pulled images has left",
    ),
    (
        "jobs.batch",
        &["get", "delete"],
        "what a `doctor --probe` that was killed has left",
    ),
    (
        "roles.rbac.authorization.k8s.io",
        &["get", "delete"],
        KUBERNETES_MODE,
    ),
    (
        "rolebindings.rbac.authorization.k8s.io",
        &["get", "delete"],
        KUBERNETES_MODE,
    ),
    (
        "secrets",
        &["get", "list", "create", "update", "patch", "delete"],
        SCALE_SETS,
    ),
    (
        "podmonitors.monitoring.coreos.com",
        &["get", "delete"],
        SCALE_SETS,
    ),
    ("serviceaccounts", &["list", "patch", "delete"], SCALE_SETS),
    ("deployments.apps", &["delete"], SCALE_SETS),
    ("pods", &["list"], SCALE_SETS),
    ("leases.coordination.k8s.io", &["get", "delete"], SCALE_SETS),
    ("cronjobs.batch", &["get", "delete"], SCALE_SETS),
    (
        "roles.rbac.authorization.k8s.io",
        &["list", "patch"],
        SCALE_SETS,
    ),
    (
        "rolebindings.rbac.authorization.k8s.io",
        &["list", "patch"],
        SCALE_SETS,
    ),
    (
        "autoscalingrunnersets.actions.github.com",
        &["get", "list", "watch", "patch", "delete"],
        SCALE_SETS,
    ),
    (
        "ephemeralrunnersets.actions.github.com",
        &["list", "watch", "patch", "delete"],
        SCALE_SETS,
    ),
    (
        "ephemeralrunners.actions.github.com",
        &["list", "watch", "patch", "delete"],
        SCALE_SETS,
    ),
    (
        "autoscalinglisteners.actions.github.com",
        &["list", "watch", "patch", "delete"],
        SCALE_SETS,
    ),
];

const WAITED_FOR: &str = "an object that is not ready, or not gone, at the first look";

const OF_A_CHART: &str =
    "an object of a chart that helm looks at before it deletes it; not seen with helm 3";

const CHANGED: &str = "an object of a chart that another version or other values change";

const COMES_AND_GOES: &str = "an object that the profile has since, or no longer asks for";

const HARDENING: &str = "a profile with `hardening`";

const NAMED: &str = "what a pool of the profile names";

const KUBERNETES_MODE: &str = "pools with containerMode kubernetes";

const SCALE_SETS: &str = "pools that are runner scale sets";

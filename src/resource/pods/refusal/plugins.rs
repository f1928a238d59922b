//! Messages of the API server's admission plugins, and the keys of a pool that fix them. Pure: data.

/// The keys of a profile that a policy can concern.
pub(super) const PLACES: &str =
    "labels and annotations: podMetadata; the rest: image, resources, fsGroup, template";

/// Messages of specific plugins of the API server, the keys of a pool to change, and who else can help
/// (kubernetes, `plugin/pkg/admission`: `podnodeselector`, `podtolerationrestriction`, `imagepolicy`, `resourcequota`,
/// `serviceaccount`).
pub(super) const PLUGINS: &[(&str, &str, &str)] = &[
    (
        "conflicts with its namespace node label selector",
        "nodeSelector",
        "the namespace's own: `kubectl get namespace NAMESPACE -o yaml` shows `scheduler.alpha.kubernetes.io/node-selector`",
    ),
    (
        "conflict with its namespace whitelist",
        "tolerations",
        "the namespace's own: `kubectl get namespace NAMESPACE -o yaml` shows `scheduler.alpha.kubernetes.io/tolerationsWhitelist`",
    ),
    (
        "image policy webhook backend denied",
        "image",
        "have the owner of the cluster's image policy admit it",
    ),
    (
        "insufficient quota to match these scopes",
        "template.priorityClassName",
        "have a ResourceQuota made in namespace `NAMESPACE` for pods of that class: the cluster admits it only where there is one",
    ),
    (
        "is not allowed because service account ",
        "template",
        "add the Secret to the account's `secrets` or `imagePullSecrets`: `kubectl -n NAMESPACE get serviceaccounts -o yaml`",
    ),
];

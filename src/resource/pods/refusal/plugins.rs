//! Words of the API server's admission plugins, and the keys of a pool that mend what they refuse. Pure: data.

/// Where a profile says what a policy may ask of a pod.
pub(super) const PLACES: &str =
    "labels and annotations: podMetadata; the rest: image, resources, fsGroup, template";

/// Words of the API server's plugins that look at one thing, the keys of a pool that say it, and who else may be asked
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

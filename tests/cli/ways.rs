//! The known privilege escalations to a cluster administrator, and which of them the roles of docs/rbac.yaml allow.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the roles has failed"
)]

use serde_json::Value;

/// Where a right opens a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the whole cluster, or in any namespace but that of the runners.
    Outside,
    /// In the whole cluster, or where the cluster's own programs are.
    System,
    /// In the whole cluster, or in the runners' namespace.
    Runners,
    /// In any namespace.
    Anywhere,
}

/// A way: any of these verbs on any of these resources opens it.
pub(crate) struct Way {
    pub(crate) what: &'static str,
    pub(crate) verbs: &'static [&'static str],
    /// As `resource.group`, or `resource` of the first group.
    pub(crate) resources: &'static [&'static str],
    pub(crate) place: Place,
}

const WRITE: &[&str] = &["create", "update", "patch"];

const fn way(
    what: &'static str,
    verbs: &'static [&'static str],
    resources: &'static [&'static str],
    place: Place,
) -> Way {
    Way {
        what,
        verbs,
        resources,
        place,
    }
}

/// Source: Kubernetes, "Role Based Access Control Good Practices", and "Privilege escalation prevention and bootstrapping"
/// in "Using RBAC Authorization"; the last two are this installation's own.
pub(crate) const WAYS: &[Way] = &[
    way(
        "act as somebody else",
        &["impersonate"],
        &[
            "users",
            "groups",
            "serviceaccounts",
            "userextras.authentication.k8s.io",
        ],
        Place::Anywhere,
    ),
    way(
        "`escalate`: rights in a role that one has not",
        &["escalate"],
        &[
            "clusterroles.rbac.authorization.k8s.io",
            "roles.rbac.authorization.k8s.io",
        ],
        Place::Anywhere,
    ),
    way(
        "`bind`: a role with rights that one has not",
        &["bind"],
        &[
            "clusterroles.rbac.authorization.k8s.io",
            "roles.rbac.authorization.k8s.io",
        ],
        Place::Anywhere,
    ),
    way(
        "write ClusterRoles",
        WRITE,
        &["clusterroles.rbac.authorization.k8s.io"],
        Place::Anywhere,
    ),
    way(
        "write ClusterRoleBindings",
        WRITE,
        &["clusterrolebindings.rbac.authorization.k8s.io"],
        Place::Anywhere,
    ),
    way(
        "write Roles or RoleBindings outside of the runners' namespace",
        WRITE,
        &[
            "roles.rbac.authorization.k8s.io",
            "rolebindings.rbac.authorization.k8s.io",
        ],
        Place::Outside,
    ),
    way(
        "go into somebody's pod",
        &["get", "create", "update", "patch"],
        &[
            "pods/exec",
            "pods/attach",
            "pods/portforward",
            "pods/proxy",
            "pods/ephemeralcontainers",
            "services/proxy",
        ],
        Place::Anywhere,
    ),
    way(
        "tokens of ServiceAccounts",
        &["create"],
        &["serviceaccounts/token"],
        Place::Anywhere,
    ),
    way(
        "Secrets of every namespace, or of kube-system",
        &["get", "list", "watch"],
        &["secrets"],
        Place::System,
    ),
    way(
        "new Secrets, which the cluster fills with a ServiceAccount's token",
        &["create"],
        &["secrets"],
        Place::Outside,
    ),
    way(
        "pods beside the controllers, with their ServiceAccounts",
        WRITE,
        &[
            "pods",
            "replicationcontrollers",
            "deployments.apps",
            "daemonsets.apps",
            "statefulsets.apps",
            "replicasets.apps",
            "jobs.batch",
            "cronjobs.batch",
        ],
        Place::Outside,
    ),
    way(
        "the kubelet, or what nodes are",
        &["get", "create", "update", "patch"],
        &["nodes/proxy", "nodes/status", "nodes/exec", "nodes/pods"],
        Place::Anywhere,
    ),
    way("write Nodes", WRITE, &["nodes"], Place::Anywhere),
    way(
        "client certificates",
        &["create", "update", "patch", "approve", "sign"],
        &[
            "certificatesigningrequests.certificates.k8s.io",
            "certificatesigningrequests/approval.certificates.k8s.io",
            "certificatesigningrequests/status.certificates.k8s.io",
            "signers.certificates.k8s.io",
        ],
        Place::Anywhere,
    ),
    way(
        "webhooks that see and change what others send",
        WRITE,
        &[
            "mutatingwebhookconfigurations.admissionregistration.k8s.io",
            "validatingwebhookconfigurations.admissionregistration.k8s.io",
        ],
        Place::Anywhere,
    ),
    way(
        "admission policies that change what others send",
        WRITE,
        &[
            "mutatingadmissionpolicies.admissionregistration.k8s.io",
            "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
        ],
        Place::Anywhere,
    ),
    way(
        "APIs in the API server's place",
        WRITE,
        &["apiservices.apiregistration.k8s.io"],
        Place::Anywhere,
    ),
    way(
        "CRDs, whose conversion sees every object",
        WRITE,
        &["customresourcedefinitions.apiextensions.k8s.io"],
        Place::Anywhere,
    ),
    way(
        "namespaces, whose labels say what pods may be",
        WRITE,
        &["namespaces"],
        Place::Anywhere,
    ),
    way(
        "kube-system's ConfigMaps (`aws-auth` says who is who on EKS)",
        WRITE,
        &["configmaps"],
        Place::System,
    ),
    way(
        "volumes of a node's own files",
        WRITE,
        &["persistentvolumes"],
        Place::Anywhere,
    ),
    way(
        "approve or sign cert-manager's certificates",
        &["update", "patch", "approve", "sign"],
        &[
            "certificaterequests/approval.cert-manager.io",
            "certificaterequests/status.cert-manager.io",
            "signers.cert-manager.io",
        ],
        Place::Anywhere,
    ),
    way(
        "take guards away: webhooks, policies, quotas",
        &["delete", "deletecollection"],
        &[
            "mutatingwebhookconfigurations.admissionregistration.k8s.io",
            "validatingwebhookconfigurations.admissionregistration.k8s.io",
            "validatingadmissionpolicies.admissionregistration.k8s.io",
            "validatingadmissionpolicybindings.admissionregistration.k8s.io",
            "networkpolicies.networking.k8s.io",
            "resourcequotas",
        ],
        Place::Anywhere,
    ),
    way(
        "ask an issuer of the cluster for a certificate",
        &["create"],
        &["certificaterequests.cert-manager.io"],
        Place::Anywhere,
    ),
    way(
        "pods in the runners' namespace, privileged ones too",
        WRITE,
        &[
            "pods",
            "daemonsets.apps",
            "jobs.batch",
            "runnerdeployments.actions.summerwind.dev",
            "runnerreplicasets.actions.summerwind.dev",
        ],
        Place::Runners,
    ),
];

/// A right: where (nowhere in particular: in the whole cluster), `resource.group`, and the verb.
pub(crate) type Right = (String, String, String);

/// The rights that the role `name` has, as a `ClusterRole` and as `Role`s, in the file's order.
pub(crate) fn granted(file: &str, name: &str) -> Vec<Right> {
    let list = |value: &Value| -> Vec<String> {
        let items = value.as_array().unwrap().iter();
        items.map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = Vec::new();
    for document in file.split("\n---\n") {
        let role: Value = serde_saphyr::from_str(document).unwrap();
        if role["metadata"]["name"] != name || role["rules"].is_null() {
            continue;
        }
        let namespace = role["metadata"]["namespace"].as_str().unwrap_or_default();
        assert_eq!(
            role["kind"] == "ClusterRole",
            namespace.is_empty(),
            "{role}"
        );
        for rule in role["rules"].as_array().unwrap() {
            for group in list(&rule["apiGroups"]) {
                for resource in list(&rule["resources"]) {
                    let resource = named(&resource, &group);
                    let verbs = list(&rule["verbs"]).into_iter();
                    rights.extend(verbs.map(|verb| (namespace.to_owned(), resource.clone(), verb)));
                }
            }
        }
    }
    assert!(!rights.is_empty(), "no role `{name}`");
    rights
}

/// A resource with its group, as `kubectl` names it.
pub(crate) fn named(resource: &str, group: &str) -> String {
    match group {
        "" => resource.to_owned(),
        group => format!("{resource}.{group}"),
    }
}

/// Whether one of `rights` opens the way.
pub(crate) fn opens(way: &Way, rights: &[Right]) -> bool {
    rights.iter().any(|(namespace, resource, verb)| {
        let here = namespaces(way.place).contains(&namespace.as_str());
        let wide = resource.contains('*') || verb == "*";
        here && (wide
            || way.verbs.contains(&verb.as_str()) && way.resources.contains(&resource.as_str()))
    })
}

/// Where a way of this place begins; nowhere in particular is the whole cluster.
pub(crate) fn namespaces(place: Place) -> &'static [&'static str] {
    match place {
        Place::Anywhere => &[
            "",
            "default",
            "kube-system",
            "cert-manager",
            "actions-runner-system",
            "actions-runner",
        ],
        Place::Outside => &[
            "",
            "default",
            "kube-system",
            "cert-manager",
            "actions-runner-system",
        ],
        Place::System => &["", "kube-system"],
        Place::Runners => &["", "actions-runner"],
    }
}

//! The runners' `ServiceAccount`, and its RBAC permissions if jobs run in their own pods. Pure: no I/O.

use serde_json::{Value, json};

use crate::{
    desired::{Facts, names, placeholder},
    profile::{ContainerMode, Pool, Profile, RoleVia, RunnerRole},
};

/// The annotation that EKS's pod identity webhook reads.
const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

/// The `ServiceAccount` in each namespace of the pools; in container mode kubernetes also its Role and `RoleBinding`,
/// which the controller creates only for its own accounts (reference: arc.md 2.1).
pub(crate) fn objects(
    profile: &Profile,
    (via, runner): (RoleVia, &RunnerRole),
    facts: &Facts,
) -> Vec<Value> {
    profile
        .runner_namespaces()
        .into_iter()
        .flat_map(|namespace| of_namespace(profile, (via, runner), facts, namespace))
        .collect()
}

fn of_namespace(
    profile: &Profile,
    (via, runner): (RoleVia, &RunnerRole),
    facts: &Facts,
    namespace: &str,
) -> Vec<Value> {
    let name = &runner.service_account;
    let metadata = || names::metadata(profile, Some(namespace), name);
    let mut account = metadata();
    // With Pod Identity the association names the role.
    if via == RoleVia::Irsa {
        let role = if runner.role.starts_with("arn:") {
            runner.role.clone()
        } else {
            placeholder::ROLE_ARN.or(facts.runner_role_arn.as_deref())
        };
        account.insert("annotations".into(), json!({ROLE_ANNOTATION: role}));
    }
    let mut objects =
        vec![json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})];
    let runs_job_pods = |pool: &Pool| matches!(pool.container_mode, ContainerMode::Kubernetes(_));
    let of_role = |pool: &&Pool| profile.role_of(pool).is_some();
    if profile.pools.iter().filter(of_role).any(runs_job_pods) {
        objects.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": metadata(),
            "rules": [
                rule("", "pods", &["get", "list", "create", "delete"]),
                rule("", "pods/exec", &["get", "create"]),
                rule("", "pods/log", &["get", "list", "watch"]),
                rule("batch", "jobs", &["get", "list", "create", "delete"]),
                rule("", "secrets", &["get", "list", "create", "delete"]),
            ],
        }));
        objects.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata(),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [
                {"kind": "ServiceAccount", "name": name, "namespace": namespace},
            ],
        }));
    }
    objects
}

/// Whether a `RunnerDeployment` runs its jobs in their own pods.
pub(crate) fn uses_kubernetes_mode(profile: &Profile) -> bool {
    profile
        .deployment_pools()
        .any(|pool| matches!(pool.container_mode, ContainerMode::Kubernetes(_)))
}

fn rule(group: &str, resource: &str, verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": [resource], "verbs": verbs})
}

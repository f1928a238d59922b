//! Which permissions follow from a resource, and how they are told.

use super::*;
use crate::{
    desired::resource::{
        Chart, KubeObject,
        scale_set::{ScaleSet, ScaleSetDrain},
    },
    diff::Difference,
    resource::scale_sets::{
        access::{after_a_change, to_end_former},
        superseded::FORMER_LISTENERS,
    },
};

#[test]
fn what_is_lacking_of_one_resource_is_one_line() {
    let kind = Kind::new("apps/v1", "Deployment");
    let secret = Kind::new("v1", "Secret");
    let lacking = [
        Permission::new("create", &kind, Some("n")),
        Permission::new("create", &secret, None),
        Permission::new("patch", &kind, Some("n")),
        Permission::new("patch", &kind, Some("m")),
        Permission::new("create", &kind, Some("o")),
        Permission::new("patch", &kind, Some("o")),
    ];
    let lines = by_resource(&lacking.iter().collect::<Vec<_>>());
    assert_eq!(
        lines,
        [
            "create, patch deployments.apps in namespace n, o",
            "patch deployments.apps in namespace m",
            "create secrets",
        ]
    );
}

/// Helm 4 takes what it may not read after a deletion for gone, and the run would wait for the pods until its limit.
#[test]
fn helm_must_be_able_to_read_what_it_writes_and_deletes() {
    let release = |name: &str, chart: &str| {
        Resource::Release(HelmRelease {
            name: name.into(),
            namespace: "n".into(),
            chart: Chart {
                name: chart.into(),
                version: "1".into(),
                location: String::new(),
            },
            values: json!({}),
            profile: "p".into(),
        })
    };
    let has =
        |rights: &BTreeSet<Permission>, text: &str| rights.iter().any(|it| it.to_string() == text);
    for name in [CONTROLLER, "gha-runner-scale-set-controller"] {
        let release = release(name, name);
        for rights in [needed(&release), needed_to_delete(&release)] {
            assert!(has(&rights, "get deployments.apps in namespace n"));
            assert!(has(&rights, "get clusterroles.rbac.authorization.k8s.io"));
            assert!(!has(&rights, "get secrets in namespace n"), "it lists them");
        }
    }
    let made = needed(&release(CONTROLLER, CONTROLLER));
    assert!(has(&made, "get issuers.cert-manager.io in namespace n"));
}

#[test]
fn a_permission_reads_as_rbac_writes_it() {
    let manifest = json!({
        "apiVersion": "actions.summerwind.dev/v1alpha1",
        "kind": "RunnerDeployment",
        "metadata": {"name": "a", "namespace": "n"},
    });
    let found = needed(&Resource::Object(KubeObject::new(manifest)));
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "create runnerdeployments.actions.summerwind.dev in namespace n",
            "patch runnerdeployments.actions.summerwind.dev in namespace n",
        ]
    );
}

/// A changed runner group leaves the former listener with the only session: it is deleted in the middle of the run.
#[test]
fn the_former_listener_of_a_scale_set_must_be_deletable_where_there_may_be_one() {
    let right = "delete autoscalinglisteners.actions.github.com in namespace arc-systems";
    let has = |rights: BTreeSet<Permission>| rights.iter().any(|it| it.to_string() == right);
    let release = |chart: &str| HelmRelease {
        name: "linux".into(),
        namespace: "n".into(),
        chart: Chart {
            name: chart.into(),
            version: "1".into(),
            location: String::new(),
        },
        values: json!({"controllerServiceAccount": {"namespace": "arc-systems", "name": "a"}}),
        profile: "p".into(),
    };
    let after = |chart: &str| after_a_change(&release(chart)).into_iter().collect();
    assert!(has(after("gha-runner-scale-set")));
    assert!(!has(after("gha-runner-scale-set-controller")));
    // A first installation has none.
    let first = needed(&Resource::Release(release("gha-runner-scale-set")));
    assert!(!has(first));
    let drain = Resource::ScaleSetDrain(ScaleSetDrain {
        namespace: "n".into(),
        name: "linux".into(),
        controller_namespace: "arc-systems".into(),
        controller: "arc".into(),
        successor: None,
    });
    assert!(has(needed_to_delete(&drain)));
}

/// A pipeline with the role `arcctl` records a set again, and needs no right to delete its listeners.
#[test]
fn a_scale_set_that_is_only_recorded_needs_no_right_to_delete_listeners() {
    let set = Resource::ScaleSet(ScaleSet {
        namespace: "n".into(),
        name: "linux".into(),
        group: None,
        labels: Vec::new(),
        controller_namespace: "arc-systems".into(),
        controller: "arc".into(),
        secret: "arcctl-github".into(),
        chart_version: "0.14.2".into(),
        min: 0,
        max: 1,
        schedule: None,
        profile: "p".into(),
    });
    let differs = |path: &str| {
        [Difference {
            path: path.into(),
            from: json!(["old"]),
            to: Value::Null,
        }]
    };
    assert_eq!(to_end_former(&set, &differs("inventory.scaleSet")), None);
    let right = to_end_former(&set, &differs(FORMER_LISTENERS)).map(|it| it.to_string());
    assert_eq!(
        right.as_deref(),
        Some("delete autoscalinglisteners.actions.github.com in namespace arc-systems")
    );
}

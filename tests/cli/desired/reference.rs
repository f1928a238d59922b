//! Snapshots of the rendered reference profile, for reviews.

use std::{fmt::Write as _, fs, path::PathBuf};

use arcctl::{
    desired::{
        Facts, crd_schema, desired,
        lint::lint,
        render::files,
        resource::{Id, Resource},
    },
    profile::{Profile, load_with},
    upgrade::api_versions,
};
use serde_json::{Value, json};

fn shipped(name: &str) -> Profile {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("profiles/{name}.yaml"));
    let text = fs::read_to_string(path).unwrap();
    load_with(&text, name, &lint).unwrap().profile
}

fn reference() -> Profile {
    shipped("reference")
}

/// A Monday evening in Seoul, in a cluster that is known.
fn facts() -> Facts {
    Facts {
        now: "2026-11-23T09:00:00Z".parse().unwrap(),
        kubernetes: Some((1, 36)),
        secret_version: Some("4711".into()),
        service_monitor_crd: Some(true),
        pod_monitor_crd: Some(true),
        prometheus_rule_crd: Some(true),
        foreign_cert_manager: Some(false),
        runner_role_arn: Some("arn:aws:iam::111122223333:role/actions-runner-role".into()),
        ..Facts::default()
    }
}

fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

#[test]
fn the_resources_are_as_reviewed() {
    for name in ["reference", "scale-sets"] {
        let outline = outline(&shipped(name));
        let snapshot = format!("{}_resources", name.replace('-', "_"));
        settings().bind(|| insta::assert_snapshot!(snapshot, outline));
    }
}

fn outline(profile: &Profile) -> String {
    let mut outline = String::new();
    for resource in desired(profile, &facts()).unwrap() {
        let after: Vec<_> = resource.after.iter().map(Id::as_str).collect();
        let after = if after.is_empty() {
            String::new()
        } else {
            format!("  after {}", after.join(", "))
        };
        writeln!(outline, "{:?}: {}{after}", resource.phase, resource.id).unwrap();
        match resource.resource {
            Resource::Object(_) | Resource::Release(_) => {}
            other => writeln!(outline, "  {other:?}").unwrap(),
        }
    }
    outline
}

#[test]
fn the_files_are_as_reviewed() {
    for name in ["reference", "scale-sets"] {
        let mut all = String::new();
        for (path, text) in files(&shipped(name), &facts()).unwrap() {
            writeln!(all, "=== {path}\n{text}").unwrap();
        }
        let snapshot = format!("{}_files", name.replace('-', "_"));
        settings().bind(|| insta::assert_snapshot!(snapshot, all));
    }
}

#[test]
fn the_files_are_the_same_each_time() {
    assert_eq!(files(&reference(), &facts()), files(&reference(), &facts()));
}

/// What arcctl itself applies of a profile.
fn manifests(profile: &Profile) -> Vec<Value> {
    let objects = desired(profile, &facts()).unwrap().into_iter();
    let objects = objects.filter_map(|it| match it.resource {
        Resource::Object(object) => Some(object.manifest),
        _ => None,
    });
    objects.collect()
}

#[test]
fn the_manifests_of_shipped_profiles_pass_the_strict_check_of_both_charts() {
    for name in ["reference", "organization-app", "repository"] {
        for version in ["0.23.3", "0.23.7"] {
            let mut profile = shipped(name);
            profile.controller.chart_version = version.into();
            let manifests: Vec<_> = manifests(&profile)
                .into_iter()
                .filter(|it| it["apiVersion"] == "actions.summerwind.dev/v1alpha1")
                .collect();
            assert_eq!(manifests.len(), 2 * profile.pools.len(), "{name}");
            for manifest in manifests {
                assert_eq!(
                    crd_schema::check(&manifest, version),
                    [],
                    "{name} {version}"
                );
            }
        }
    }
}

/// Neither now nor in a release of Kubernetes that is announced an object of arcctl's has an API version that is served no more.
#[test]
fn the_manifests_of_shipped_profiles_have_api_versions_that_stay() {
    for name in ["reference", "organization-app", "repository", "scale-sets"] {
        let mut profile = shipped(name);
        profile.hardening.network_policies = true;
        profile.hardening.pod_disruption_budgets = true;
        let manifests = manifests(&profile);
        let of = |kind: &str| manifests.iter().any(|it| it["kind"] == kind);
        assert!(of("Namespace") && of("NetworkPolicy"), "{name}");
        let told = api_versions::told(manifests.iter(), name, (1, 36));
        assert_eq!(told, [""; 0], "{name}");
    }
}

/// The two misspellings of the scenario, which the API server prunes or stores without a word.
#[test]
fn the_misspellings_of_the_scenario_are_caught() {
    let manifest = json!({
        "apiVersion": "actions.summerwind.dev/v1alpha1",
        "kind": "HorizontalRunnerAutoscaler",
        "metadata": {"name": "basic", "namespace": "actions-runner"},
        "spec": {
            "scaleTargetRef": {"kind": "RunnerDeployment", "name": "basic"},
            "minReplicas": 2,
            "maxReplicas": 16,
            "metrics": [
                {"type": "PercentageRunnersBusy", "scaleUpThreshold": "0.75", "scaleUpAdujustment": 2},
                {"type": "TotalNumberOfQueuedAndInProgressWorkflows"},
            ],
        },
    });
    for version in ["0.23.3", "0.23.7"] {
        let found: Vec<_> = crd_schema::check(&manifest, version)
            .into_iter()
            .map(|problem| (problem.path, problem.message))
            .collect();
        let [unknown_field, unknown_metric] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(unknown_field.0, "spec.metrics[0].scaleUpAdujustment");
        assert!(
            unknown_field
                .1
                .ends_with("did you mean `scaleUpAdjustment`?"),
            "{found:?}"
        );
        assert_eq!(unknown_metric.0, "spec.metrics[1].type");
        assert!(
            unknown_metric
                .1
                .ends_with("did you mean `TotalNumberOfQueuedAndInProgressWorkflowRuns`?"),
            "{found:?}"
        );
    }
}

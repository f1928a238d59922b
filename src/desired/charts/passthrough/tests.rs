//! Tests values that a chart reads, and unknown ones.

use serde_json::json;

use super::*;
use crate::desired::tests::profile;

/// The findings for values, as `severity path: message; hint`.
fn found(changes: &Value) -> Vec<String> {
    let told = |it: Finding| {
        let severity = if it.severity == Severity::Error {
            "error"
        } else {
            "advice"
        };
        format!(
            "{severity} {}: {}; {}",
            it.path,
            it.message,
            it.hint.unwrap_or_default()
        )
    };
    check(&profile(changes)).into_iter().map(told).collect()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "what a test passes is a literal"
)]
fn controller(values: Value) -> Vec<String> {
    found(&json!({"controller": {"values": values}}))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "what a test passes is a literal"
)]
fn cert_manager(version: &str, values: Value) -> Vec<String> {
    found(&json!({"certManager": {"chartVersion": version, "values": values}}))
}

fn assert_meant(found: &[String], meant: &str) {
    let [only] = found else { panic!("{found:?}") };
    assert!(
        only.starts_with("error ") && only.ends_with(&format!("did you mean `{meant}`?")),
        "{only}"
    );
}

#[test]
fn misspelt_values_of_the_controllers_chart_are_errors() {
    for (values, meant) in [
        (
            json!({"addmissionWebhooks": {"caBundle": "x"}}),
            "admissionWebHooks",
        ),
        (json!({"nodeselector": {"a": "b"}}), "nodeSelector"),
        (json!({"toleration": []}), "tolerations"),
        (json!({"podAnnotation": {}}), "podAnnotations"),
        (
            json!({"githubWebhookServer": {"ingress": {"enable": true}}}),
            "githubWebhookServer.ingress.enabled",
        ),
        (json!({"priorityClass": "high"}), "priorityClassName"),
        (json!({"loglevel": "info"}), "logLevel"),
        (json!({"dockerGid": 121}), "dockerGID"),
        (json!({"caBundle": "x"}), "admissionWebHooks.caBundle"),
    ] {
        assert_meant(&controller(values), meant);
    }
}

#[test]
fn misspelt_values_of_cert_managers_chart_are_errors() {
    for version in ["v1.12.0", "v1.21.1"] {
        for (values, meant) in [
            (
                json!({"webhook": {"hostnetwork": true}}),
                "webhook.hostNetwork",
            ),
            (
                json!({"webhook": {"securePorts": 10260}}),
                "webhook.securePort",
            ),
            (json!({"securePort": 10260}), "webhook.securePort"),
            (
                json!({"cainjector": {"toleration": []}}),
                "cainjector.tolerations",
            ),
            (
                json!({"prometheus": {"serviceMonitor": {"enabled": true}}}),
                "prometheus.servicemonitor",
            ),
            (json!({"podLabel": {}}), "podLabels"),
        ] {
            assert_meant(&cert_manager(version, values), meant);
        }
    }
}

#[test]
fn what_the_charts_read_is_no_finding() {
    assert_eq!(
        controller(json!({
            "nodeSelector": {"any.thing/here": "x"}, "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": {"x": 1}}, "env": [{"name": "A", "value": "b"}],
            "githubWebhookServer": {"enabled": true, "ingress": {"hosts": [{"host": "h"}]}},
            "podLabels": {"team": "ci"}, "admissionWebHooks": {"timeoutSeconds": 5},
            "topologySpreadConstraints": [], "hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet",
        })),
        Vec::<String>::new()
    );
    assert_eq!(controller(json!({"env": {"A": "b"}})), Vec::<String>::new());
    for version in ["v1.12.0", "v1.16.3", "v1.21.1"] {
        assert_eq!(
            cert_manager(
                version,
                json!({
                    "global": {"priorityClassName": "high", "commonLabels": {"a": "b"}},
                    "webhook": {"hostNetwork": true, "securePort": 10260, "tolerations": []},
                    "cainjector": {"nodeSelector": {"a": "b"}}, "ingressShim": {"defaultIssuerName": "x"},
                    "podDnsConfig": {"nameservers": ["1.1.1.1"]}, "replicaCount": 2,
                })
            ),
            Vec::<String>::new()
        );
    }
}

#[test]
fn a_value_of_another_kind_is_an_error() {
    for (values, said) in [
        (
            json!({"nodeSelector": ["a"]}),
            "must be a map, but this is a list",
        ),
        (
            json!({"tolerations": {"operator": "Exists"}}),
            "must be a list, but this is a map",
        ),
        (
            json!({"hostNetwork": "true"}),
            "must be `true` or `false`, but this is text",
        ),
        (
            json!({"priorityClassName": ["high"]}),
            "must be text or a number, but this is a list",
        ),
        (
            json!({"serviceAccount": "mine"}),
            "must be a map, but this is text",
        ),
    ] {
        let found = controller(values);
        assert!(found.len() == 1 && found[0].contains(said), "{found:?}");
    }
    assert_eq!(
        controller(json!({"nodeSelector": null})),
        Vec::<String>::new()
    );
}

#[test]
fn of_a_chart_that_is_not_known_exactly_it_is_advice() {
    let of_a_mirror = found(&json!({
        "charts": {"controller": "https://charts.example/x"},
        "controller": {"values": {"nodeselector": {}}},
    }));
    assert!(
        of_a_mirror[0].starts_with("advice ") && of_a_mirror[0].contains("nodeSelector"),
        "{of_a_mirror:?}"
    );
    assert!(cert_manager("v1.16.0", json!({"podLabel": {}}))[0].starts_with("advice "));
    assert!(controller(json!({"somethingElse": 1}))[0].starts_with("advice "));
}

#[test]
fn a_key_that_came_or_went_belongs_to_its_version() {
    let old =
        found(&json!({"controller": {"chartVersion": "0.23.3", "values": {"dockerGID": 121}}}));
    assert_eq!(old.len(), 1, "{old:?}");
    assert_eq!(controller(json!({"dockerGID": 121})), Vec::<String>::new());
    assert_eq!(
        cert_manager("v1.12.0", json!({"extraObjects": []})).len(),
        1
    );
    assert_eq!(
        cert_manager("v1.21.1", json!({"extraObjects": []})),
        Vec::<String>::new()
    );
}

/// A suggested key must not be rejected in the next run.
#[test]
fn what_a_profile_says_elsewhere_is_not_offered() {
    for (values, hint) in [
        (
            json!({"webHookPort": 10250}),
            "use `controller.webhookPort`",
        ),
        (json!({"replicas": 2}), "use `controller.replicas`"),
        (
            json!({"leaderElectionID": "x"}),
            "remove it: it follows from `controller.release`",
        ),
        (
            json!({"githubConfigUrl": "https://github.com/x"}),
            "use `github.url`",
        ),
        (
            json!({"metrics": {"serviceMonitors": {}}}),
            "use `monitoring.serviceMonitor`",
        ),
    ] {
        let found = controller(values);
        assert!(found.len() == 1 && found[0].ends_with(hint), "{found:?}");
    }
    for (values, hint) in [
        (json!({"installCrds": true}), "outside the release"),
        (
            json!({"global": {"imagePullSecret": []}}),
            "use `images.pullSecrets`",
        ),
        (
            json!({"startupApiCheck": {"enabled": false}}),
            "did you mean `startupapicheck`?",
        ),
    ] {
        let found = cert_manager("v1.21.1", values);
        assert!(found.len() == 1 && found[0].ends_with(hint), "{found:?}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_kubernetes_refuses_in_values_is_an_error() {
    for (values, path, words) in [
        (
            json!({"nodeSelector": {"ci": true}}),
            "nodeSelector.ci",
            "write `\"true\"`",
        ),
        (
            json!({"podLabels": {"cost-center": 4711}}),
            "podLabels.cost-center",
            "write `\"4711\"`",
        ),
        (
            json!({"podLabels": {"team": "a b"}}),
            "podLabels.team",
            "value of a label",
        ),
        (
            json!({"serviceAccount": {"annotations": {"eks amazonaws": "x"}}}),
            "serviceAccount.annotations.eks amazonaws",
            "name of a label or an annotation",
        ),
        (
            json!({"resources": {"limits": {"memory": "512mi"}}}),
            "resources.limits.memory",
            "not a quantity",
        ),
        (
            json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}),
            "resources.requests.cpu",
            "may use only 1",
        ),
        (
            json!({"githubWebhookServer": {"resources": {"limits": {"mem": "1Gi"}}}}),
            "githubWebhookServer.resources.limits.mem",
            "did you mean `memory`?",
        ),
        (
            json!({"tolerations": [{"key": "ci", "operator": "Exist"}]}),
            "tolerations[0].operator",
            "write `Exists` or `Equal`",
        ),
        (
            json!({"podDisruptionBudget": {"enabled": true, "minAvailable": 1, "maxUnavailable": 1}}),
            "podDisruptionBudget.maxUnavailable",
            "one of them",
        ),
        (
            json!({"admissionWebHooks": {"timeoutSeconds": 60}}),
            "admissionWebHooks.timeoutSeconds",
            "from 1 to 30 seconds",
        ),
        (
            json!({"logLevel": "warning"}),
            "logLevel",
            "does not start with the level",
        ),
        (
            json!({"logFormat": "JSON"}),
            "logFormat",
            "write `text` or `json`",
        ),
        (
            json!({"defaultScaleDownDelay": 5}),
            "defaultScaleDownDelay",
            "with a unit",
        ),
        (
            json!({"githubAPICacheDuration": "5 min"}),
            "githubAPICacheDuration",
            "with a unit",
        ),
    ] {
        let found = controller(values);
        assert!(
            found.len() == 1
                && found[0].starts_with(&format!("error controller.values.{path}: "))
                && found[0].contains(words),
            "{path}: {found:?}"
        );
    }
    let good = json!({"logLevel": -3, "logFormat": "json", "defaultScaleDownDelay": "1h30m", "githubAPICacheDuration": "0",
        "podAnnotations": {"a/b": "any text: {}"}, "resources": {"limits": {"cpu": 1, "memory": "512Mi"}},
        "podDisruptionBudget": {"enabled": true, "minAvailable": 1, "maxUnavailable": null},
        "admissionWebHooks": {"timeoutSeconds": 30}});
    assert_eq!(controller(good), Vec::<String>::new());
}

/// The charts test them with `if`; the delay is passed on unchanged.
#[test]
fn what_is_empty_is_not_set() {
    let empty = json!({"logLevel": "", "githubAPICacheDuration": "", "githubWebhookServer": {"logLevel": ""},
        "podDisruptionBudget": {"enabled": false, "minAvailable": 1, "maxUnavailable": 1}});
    assert_eq!(controller(empty), Vec::<String>::new());
    let empty = json!({"global": {"logLevel": "", "leaderElection": {"leaseDuration": "", "renewDeadline": "", "retryPeriod": ""}},
        "podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}});
    for version in ["v1.12.0", "v1.21.1"] {
        assert_eq!(cert_manager(version, empty.clone()), Vec::<String>::new());
    }
    let handed_on = controller(json!({"defaultScaleDownDelay": ""}));
    assert!(
        handed_on.len() == 1 && handed_on[0].contains("would not start"),
        "{handed_on:?}"
    );
}

/// cert-manager#5211 and #1673: three programs, each with its own values.
#[test]
fn each_part_of_cert_manager_runs_and_has_its_place() {
    for (values, path) in [
        (json!({"replicaCount": 0}), "replicaCount"),
        (
            json!({"webhook": {"replicaCount": 0}}),
            "webhook.replicaCount",
        ),
        (
            json!({"cainjector": {"replicaCount": 0}}),
            "cainjector.replicaCount",
        ),
        (
            json!({"webhook": {"timeoutSeconds": 31}}),
            "webhook.timeoutSeconds",
        ),
        (json!({"global": {"logLevel": "debug"}}), "global.logLevel"),
        (
            json!({"global": {"leaderElection": {"leaseDuration": 60}}}),
            "global.leaderElection.leaseDuration",
        ),
        (
            json!({"webhook": {"podLabels": {"spot": false}}}),
            "webhook.podLabels.spot",
        ),
    ] {
        let found = cert_manager("v1.21.1", values);
        assert!(
            found.len() == 1 && found[0].starts_with(&format!("error certManager.values.{path}: ")),
            "{path}: {found:?}"
        );
    }
    let infra = json!([{"key": "infra", "operator": "Exists"}]);
    let found = cert_manager(
        "v1.21.1",
        json!({"tolerations": infra, "webhook": {"tolerations": infra}}),
    );
    assert!(
        found.len() == 1
            && found[0].starts_with("advice ")
            && found[0].ends_with("write `cainjector.tolerations` too"),
        "{found:?}"
    );
    let all = json!({"tolerations": infra, "webhook": {"tolerations": infra}, "cainjector": {"tolerations": infra}});
    assert_eq!(cert_manager("v1.21.1", all), Vec::<String>::new());
    let global =
        json!({"nodeSelector": {"role": "infra"}, "global": {"nodeSelector": {"role": "infra"}}});
    assert_eq!(cert_manager("v1.21.1", global), Vec::<String>::new());
}

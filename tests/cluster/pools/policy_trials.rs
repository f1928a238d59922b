//! Policies that refuse the pods of controllers, listeners and schedules, or of several pools, or the objects that a run
//! writes: each is named before the first write, with what mends it. Those of one runner's pod are in `pod_trials`.

use std::path::Path;

use arcctl_sandbox::{
    constraints::{Gatekeeper, RequiredLabel, WEBHOOK},
    proxy::{Record, System},
};
use serde_json::{Value, json};

use crate::{
    harness::{
        cluster::{Cluster, distant_window},
        waiting::{pod, until},
    },
    scale_sets::both,
};

const SYSTEM: &str = "actions-runner-system";
const RUNNERS: &str = "actions-runner";
const CERT_MANAGER: &str = "cert-manager";
const RELEASE: &str = "helm-release/actions-runner-system/actions-runner-controller";
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// The words of the profile before which keys of the controller are put.
const REPLICAS: &str = "  replicas: 2\n";
const MODE: &str = "    containerMode: dind\n";

/// `plan` and `up` end with 1, quote `said` once, name `object` and `hints`, and write nothing.
#[track_caller]
fn refused(cluster: &Cluster, profile: &Path, object: &str, said: &str, hints: &[&str]) -> Value {
    let before = cluster.kubernetes_writes();
    let plan = cluster.plan(profile, &[]);
    let up = cluster.up(profile, &[]);
    for ended in [&plan, &up] {
        let error = ended.expect(1)["error"].clone();
        let message = error["message"].as_str().unwrap();
        assert_eq!(error["object"], object, "{error:#}");
        assert_eq!(message.matches(said).count(), 1, "{error:#}");
        let hint = error["hint"].as_str().unwrap();
        for part in hints {
            assert!(hint.contains(part), "`{part}`: {error:#}");
        }
    }
    assert_eq!(cluster.kubernetes_writes(), before, "a refused run wrote");
    up.document()["error"].clone()
}

fn with_namespaces(cluster: &Cluster) {
    for namespace in [SYSTEM, RUNNERS, CERT_MANAGER] {
        cluster.kubectl(&["create", "namespace", namespace], None);
        until("pods can be made", || {
            cluster.judged(&pod(namespace, &json!({}))).is_ok()
        });
    }
}

fn apply(cluster: &Cluster, kind: &str, namespace: &str, spec: &Value) {
    let object = json!({"apiVersion": "v1", "kind": kind,
        "metadata": {"name": "compute", "namespace": namespace}, "spec": spec});
    cluster.kubectl(&["create", "-f", "-"], Some(&object.to_string()));
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_gatekeeper_is_quoted_with_what_its_constraint_asks_for() {
    let cluster = Cluster::fast();
    with_namespaces(&cluster);
    let profile = cluster.profile("arcctl", &[]);
    let constraint = RequiredLabel {
        name: "pods-have-a-team".into(),
        label: "team".into(),
        namespaces: vec![SYSTEM.into(), RUNNERS.into()],
    };
    let client = cluster.world().kube();
    let started = Gatekeeper::start(&client, vec![constraint]);
    let gatekeeper = cluster.block_on(started).unwrap();
    until("it is asked", || {
        cluster.judged(&pod(RUNNERS, &json!({}))).is_err()
    });
    let said = "[pods-have-a-team] you must provide labels";
    let runners = "runner-pods/actions-runner/basic";
    let error = refused(&cluster, &profile, runners, said, &["podMetadata"]);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(WEBHOOK), "{message}");
    let too = "`Deployment/actions-runner-controller` too, for the same reason";
    assert!(message.contains(too), "{message}");

    // The pool has what is asked for, the controller not yet.
    let labelled = format!("{MODE}    podMetadata: {{labels: {{team: ci}}}}\n");
    let pool = (MODE, labelled.as_str());
    let half = cluster.profile("half", &[pool]);
    refused(&cluster, &half, RELEASE, said, &["`controller.values`"]);

    let values = format!("{REPLICAS}  values: {{podLabels: {{team: ci}}}}\n");
    let whole = cluster.profile("whole", &[pool, (REPLICAS, &values)]);
    let ended = cluster.up(&whole, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    cluster.block_on(gatekeeper.stop()).unwrap();
    cluster.finish();
}

/// What arcctl makes of the controllers is admitted by the strictest level; what a user makes of them may not be.
#[test]
#[ignore = "slow: `make test-slow`"]
fn the_strictest_level_admits_the_controllers_and_names_what_it_refuses() {
    let cluster = Cluster::fast();
    with_namespaces(&cluster);
    for namespace in [SYSTEM, CERT_MANAGER] {
        let label = format!("{ENFORCE}=restricted");
        cluster.kubectl(&["label", "namespace", namespace, &label], None);
        until("the level is enforced", || {
            cluster.judged(&pod(namespace, &json!({}))).is_err()
        });
    }
    let values = format!("{REPLICAS}  values: {{securityContext: {{privileged: true}}}}\n");
    let privileged = cluster.profile("privileged", &[(REPLICAS, &values)]);
    refused(
        &cluster,
        &privileged,
        RELEASE,
        "violates PodSecurity \"restricted:latest\": privileged",
        &[
            "podSecurityContext and securityContext under `controller.values`",
            "kubectl label --overwrite namespace actions-runner-system",
        ],
    );
    let plain = cluster.profile("plain", &[]);
    let ended = cluster.up(&plain, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_quota_of_the_controllers_is_named() {
    let cluster = Cluster::fast();
    with_namespaces(&cluster);
    let profile = cluster.profile("arcctl", &[]);
    let asks = json!({"hard": {"requests.cpu": "4"}});
    apply(&cluster, "ResourceQuota", CERT_MANAGER, &asks);
    until("the quota is in force", || {
        let judged = cluster.judged(&pod(CERT_MANAGER, &json!({})));
        judged.is_err_and(|it| it.contains("must specify"))
    });
    let error = refused(
        &cluster,
        &profile,
        "helm-release/cert-manager/cert-manager",
        "failed quota: compute: must specify requests.cpu for: cert-manager-controller",
        &[
            "`resources` under `certManager.values`",
            "describe resourcequota compute",
        ],
    );
    let message = error["message"].as_str().unwrap();
    let too = "`Deployment/cert-manager-webhook` too";
    assert!(message.contains(too), "{message}");
    cluster.kubectl(&["-n", CERT_MANAGER, "delete", "quota", "compute"], None);
    until("the quota is gone", || {
        cluster.judged(&pod(CERT_MANAGER, &json!({}))).is_ok()
    });

    // Two pods, of which the quota admits the first.
    let one = json!({"hard": {"count/pods": "1"}});
    apply(&cluster, "ResourceQuota", SYSTEM, &one);
    until("the quota is counted", || {
        let quota = cluster.get("resourcequota", SYSTEM, "compute");
        quota["status"]["hard"]["count/pods"] == "1"
            && cluster.judged(&pod(SYSTEM, &json!({}))).is_ok()
    });
    let hints = ["under `controller.values`", "raise the quota"];
    let said = "quota `compute` allows count/pods=1, and its 2 pods ask for more together";
    refused(&cluster, &profile, RELEASE, said, &hints);
    cluster.finish();
}

/// cert-manager has three Deployments, and the quota admits a pod of each by itself.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_quota_that_cannot_hold_all_pods_together_is_named() {
    let cluster = Cluster::fast();
    with_namespaces(&cluster);
    let profile = cluster.profile("arcctl", &[]);
    let two = json!({"hard": {"count/pods": "2"}});
    apply(&cluster, "ResourceQuota", CERT_MANAGER, &two);
    until("the quota is counted", || {
        let quota = cluster.get("resourcequota", CERT_MANAGER, "compute");
        quota["status"]["hard"]["count/pods"] == "2"
            && cluster.judged(&pod(CERT_MANAGER, &json!({}))).is_ok()
    });
    let said = "quota `compute` allows count/pods=2, and the pods of `Deployment/cert-manager";
    let hints = ["describe resourcequota compute"];
    let release = "helm-release/cert-manager/cert-manager";
    refused(&cluster, &profile, release, said, &hints);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_limit_range_of_the_controllers_is_named() {
    let cluster = Cluster::fast();
    with_namespaces(&cluster);
    let profile = cluster.profile("arcctl", &[]);
    let most = json!({"limits": [{"type": "Pod", "max": {"memory": "2Gi"}}]});
    apply(&cluster, "LimitRange", SYSTEM, &most);
    until("the limit range is in force", || {
        cluster.judged(&pod(SYSTEM, &json!({}))).is_err()
    });
    let hints = [
        "set `resources` to what it allows under `controller.values`",
        "describe limitrange",
    ];
    let said = "maximum memory usage per Pod is 2Gi";
    refused(&cluster, &profile, RELEASE, said, &hints);
    let limits = "  values: {resources: {limits: {cpu: 200m, memory: 128Mi}}}\n";
    let limits = format!("{REPLICAS}{limits}");
    let fits = cluster.profile("fits", &[(REPLICAS, &limits)]);
    let ended = cluster.up(&fits, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    cluster.finish();
}

/// The objects of `hardening`: made, unchanged, mended, and gone with their key.
#[test]
#[ignore = "slow: `make test-slow`"]
fn what_protects_the_controller_comes_and_goes_with_its_keys() {
    let cluster = Cluster::fast();
    let both = "hardening: {networkPolicies: true, podDisruptionBudgets: true}\n\ntimeouts: {";
    let with = cluster.profile("with", &[("timeouts: {", both)]);
    let ended = cluster.up(&with, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let name = "arcctl-actions-runner-controller";
    let policy = || cluster.get("networkpolicy", SYSTEM, name);
    assert_eq!(policy()["spec"]["ingress"][0]["ports"][0]["port"], 9443);
    let budget = cluster.get("poddisruptionbudget", SYSTEM, name);
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    let again = cluster.up(&with, &[]).expect(0);
    assert_eq!(again["requests"]["kubernetes"]["writes"], 0, "{again:#}");

    let patch = r#"{"spec": {"ingress": [{}]}}"#;
    let patched = ["-n", SYSTEM, "patch", "networkpolicy", name, "--type=merge"];
    cluster.kubectl(&[&patched[..], &["-p", patch]].concat(), None);
    assert_eq!(cluster.up(&with, &[]).expect(0)["changed"], 1);
    assert_eq!(policy()["spec"]["ingress"][0]["ports"][0]["port"], 9443);

    let budgets = both.replace("networkPolicies: true, ", "");
    let half = cluster.profile("half", &[("timeouts: {", &budgets)]);
    assert_eq!(cluster.up(&half, &[]).expect(0)["changed"], 1);
    let left = [
        "-n",
        SYSTEM,
        "get",
        "networkpolicies,poddisruptionbudgets",
        "-o",
        "name",
    ];
    let left = cluster.kubectl(&left, None);
    assert_eq!(left.trim(), format!("poddisruptionbudget.policy/{name}"));
    cluster.finish();
}

/// A policy about objects of one kind.
struct About {
    /// The API group, and the kinds as in URLs.
    kinds: [&'static str; 2],
    /// The namespace; empty for all.
    namespace: &'static str,
    /// What must be true of the object.
    expression: &'static str,
    /// An object that breaks it.
    broken: Value,
}

/// What a policy of these tests says.
const DENIED: &str =
    "ValidatingAdmissionPolicy 'objects' with binding 'objects' denied request: not here";

const TEAM: &str = "has(object.metadata.labels) && 'team' in object.metadata.labels";

fn object(version: &str, kind: &str, namespace: &str, more: &Value) -> Value {
    let mut object = json!({"apiVersion": version, "kind": kind,
        "metadata": {"name": "probe", "namespace": namespace}});
    for (key, value) in more.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

/// Puts the policy in force while `during` runs.
#[track_caller]
fn under(cluster: &Cluster, about: &About, during: impl FnOnce()) {
    let [group, kinds] = about.kinds;
    let namespaces = match about.namespace {
        "" => json!({}),
        name => {
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}})
        }
    };
    let policy = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": "objects"},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{"apiGroups": [group], "apiVersions": ["*"],
                    "operations": ["CREATE", "UPDATE"], "resources": [kinds]}]},
                "validations": [{"expression": about.expression, "message": "not here"}],
            }},
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": "objects"},
            "spec": {"policyName": "objects", "validationActions": ["Deny"],
                "matchResources": namespaces}},
    ]})
    .to_string();
    cluster.kubectl(&["apply", "-f", "-"], Some(&policy));
    until("the policy is in force", || {
        let judged = cluster.judged(&about.broken);
        judged.is_err_and(|it| it.contains("not here"))
    });
    during();
    cluster.kubectl(&["delete", "-f", "-"], Some(&policy));
    until("the policy is gone", || {
        let judged = cluster.judged(&about.broken);
        !judged.is_err_and(|it| it.contains("not here"))
    });
}

fn deployment(namespace: &str) -> Value {
    let labels = json!({"app": "probe"});
    let spec = json!({"selector": {"matchLabels": labels}, "template":
        {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}}});
    object("apps/v1", "Deployment", namespace, &json!({"spec": spec}))
}

/// Their pods are admitted.
#[test]
#[ignore = "slow: `make test-slow`"]
fn policies_about_objects_are_met_before_the_first_write() {
    let cluster = Cluster::fast();
    with_namespaces(&cluster);
    let profile = cluster.profile("arcctl", &[]);
    let of_values = ["`controller.values`"];
    let labelled = About {
        kinds: ["apps", "deployments"],
        namespace: CERT_MANAGER,
        expression: TEAM,
        broken: deployment(CERT_MANAGER),
    };
    under(&cluster, &labelled, || {
        let release = "helm-release/cert-manager/cert-manager";
        let hints = [
            "under `certManager.values`",
            "get validatingadmissionpolicy objects",
        ];
        let error = refused(&cluster, &profile, release, DENIED, &hints);
        let message = error["message"].as_str().unwrap();
        let too = "`Deployment/cert-manager-webhook` too, for the same reason";
        assert!(message.contains(too), "{message}");
    });
    let typed = About {
        kinds: ["", "secrets"],
        namespace: SYSTEM,
        expression: "!has(object.type) || object.type != 'Opaque'",
        broken: object("v1", "Secret", SYSTEM, &json!({"type": "Opaque"})),
    };
    under(&cluster, &typed, || {
        let secret = "secret/actions-runner-system/controller-manager";
        let hints = ["have the policy exempt", "no key"];
        refused(&cluster, &profile, secret, DENIED, &hints);
    });
    let accounts = About {
        kinds: ["", "serviceaccounts"],
        namespace: SYSTEM,
        expression: TEAM,
        broken: object("v1", "ServiceAccount", SYSTEM, &json!({})),
    };
    under(&cluster, &accounts, || {
        refused(&cluster, &profile, RELEASE, DENIED, &of_values);
    });
    let replicas = About {
        kinds: ["apps", "deployments"],
        namespace: SYSTEM,
        expression: "object.spec.replicas >= 3",
        broken: deployment(SYSTEM),
    };
    let three = cluster.profile("three", &[(REPLICAS, "  replicas: 3\n")]);
    under(&cluster, &replicas, || {
        refused(&cluster, &profile, RELEASE, DENIED, &of_values);
        let ended = cluster.up(&three, &[]);
        assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    });
    cluster.finish();
}

/// The namespaces are made, and nothing in them.
#[test]
#[ignore = "slow: `make test-slow`"]
fn what_comes_into_new_namespaces_is_tried_before_anything_is_installed() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let everywhere = About {
        kinds: ["apps", "deployments"],
        namespace: "",
        expression: TEAM,
        broken: deployment("default"),
    };
    under(&cluster, &everywhere, || {
        let plan = cluster.plan(&profile, &[]);
        let untried = "yet: what comes into namespaces that do not exist (`actions-runner-system`, `cert-manager`); ";
        assert!(plan.stderr.contains(untried), "{}", plan.stderr);
        plan.expect(0);
        let error = cluster.up(&profile, &[]).expect(1)["error"].clone();
        assert_eq!(error["object"], "helm-release/cert-manager/cert-manager");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(DENIED), "{error:#}");
        assert!(cluster.release_records("owner=helm").is_empty());
        let secret = ["-n", SYSTEM, "get", "secret", "controller-manager"];
        assert!(cluster.try_tool("kubectl", &secret, None).is_err());
    });
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_policy_about_what_is_there_matters_where_it_changes() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    let spec = json!({"template": {"spec": {"enterprise": "dogecompany"}}});
    let pools = About {
        kinds: ["actions.summerwind.dev", "runnerdeployments"],
        namespace: RUNNERS,
        expression: TEAM,
        broken: object(
            "actions.summerwind.dev/v1alpha1",
            "RunnerDeployment",
            RUNNERS,
            &json!({"spec": spec}),
        ),
    };
    let labels = format!("{MODE}    podMetadata: {{labels: {{tier: ci}}}}\n");
    let changed = cluster.profile("changed", &[(MODE, &labels)]);
    let labels = format!("{labels}    metadata: {{labels: {{team: ci}}}}\n");
    let mended = cluster.profile("mended", &[(MODE, &labels)]);
    under(&cluster, &pools, || {
        let proxy = cluster.world().proxy(System::Kubernetes).unwrap();
        proxy.reset_counts();
        let again = cluster.up(&profile, &[]).expect(0);
        assert_eq!(again["requests"]["kubernetes"]["writes"], 0, "{again:#}");
        let mut requests = proxy.requests().into_iter();
        let is_tried = |it: &Record| {
            it.path.contains("dryRun=All") && it.path.contains("/secrets/controller-manager")
        };
        assert!(!requests.any(|it| is_tried(&it)), "what is kept is tried");
        let pool = "runner-deployment/actions-runner/basic";
        let hints = ["give pool `basic` in the profile", "metadata"];
        refused(&cluster, &changed, pool, DENIED, &hints);
        let ended = cluster.up(&mended, &[]);
        assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    });
    cluster.finish();
}

/// A new scale set with a schedule: its `CronJob`, and the account of that.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_policy_about_the_cron_job_of_a_schedule_is_named() {
    let cluster = Cluster::fast();
    with_namespaces(&cluster);
    let schedule = format!(
        "min: 1\n    schedule:\n      timeZone: UTC\n      windows:\n        - {}",
        distant_window()
    );
    let profile = both(&cluster, "scheduled", &[("min: 1", &schedule)]);
    let spec = json!({"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template":
        {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}}}});
    let none = About {
        kinds: ["batch", "cronjobs"],
        namespace: RUNNERS,
        expression: "false",
        broken: object("batch/v1", "CronJob", RUNNERS, &json!({"spec": spec})),
    };
    under(&cluster, &none, || {
        let job = "cron-job/actions-runner/arcctl-schedule-dogecompany";
        let hints = ["have the policy exempt", "no key"];
        refused(&cluster, &profile, job, DENIED, &hints);
    });
    cluster.finish();
}

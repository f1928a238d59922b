//! Dry runs of the runners' pods: `plan`, `up` (before its first write and while it waits) and the doctor report a
//! rejection with the API server's message and the profile key that fixes it.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    doctor::{check, run},
    harness::cluster::{Cluster, Ended},
    harness::waiting::{pod, until},
};

const NAMESPACE: &str = "actions-runner";

/// Something of a cluster, or of the profile, that keeps the pods from being made.
struct Case {
    name: &'static str,
    /// What is applied; none where the profile is at fault.
    object: fn() -> Value,
    /// What takes the place of a text of the profile.
    edits: &'static [(&'static str, &'static str)],
    /// What must be quoted.
    said: &'static str,
    /// What the hint must name.
    hint: &'static str,
}

fn nothing() -> Value {
    Value::Null
}

fn in_namespace(kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "compute", "namespace": NAMESPACE}, "spec": spec})
}

/// A policy that a label or an annotation must be there for, or that looks at any other field.
fn policy(expression: &str, message: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": "pods"},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
                    "operations": ["CREATE"], "resources": ["pods"]}]},
                "validations": [{"expression": expression, "message": message}],
            }},
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": "pods"},
            "spec": {"policyName": "pods", "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchLabels":
                    {"kubernetes.io/metadata.name": NAMESPACE}}}}},
    ]})
}

const TEAM: &str = "has(object.metadata.labels) && 'team' in object.metadata.labels";

const MODE: &str = "containerMode: dind";

const WORK_VOLUME: &[(&str, &str)] = &[
    (
        MODE,
        "containerMode: {kubernetes: {workVolume: {storageClass: gp3, size: 10Gi, accessMode: ReadWriteOnce}}}",
    ),
    (
        "      docker:\n        requests: {cpu: 250m, memory: 512Mi}\n",
        "",
    ),
];

const CASES: &[Case] = &[
    Case {
        name: "quota-limits",
        object: || {
            in_namespace(
                "ResourceQuota",
                &json!({"hard": {"limits.cpu": "40", "limits.memory": "100Gi"}}),
            )
        },
        edits: &[],
        said: "must specify limits.cpu for: docker",
        hint: "resources.docker",
    },
    Case {
        name: "quota-too-small",
        object: || {
            in_namespace(
                "ResourceQuota",
                &json!({"hard": {"requests.memory": "1Gi"}}),
            )
        },
        edits: &[],
        said: "exceeded quota: compute",
        hint: "describe resourcequota compute",
    },
    Case {
        name: "limit-range-maximum",
        object: || {
            in_namespace(
                "LimitRange",
                &json!({"limits": [{"type": "Container", "max": {"cpu": "1"}}]}),
            )
        },
        edits: &[],
        said: "maximum cpu usage per Container is 1, but limit is 1500m",
        hint: "resources.runner",
    },
    Case {
        name: "limit-range-ratio",
        object: || {
            let ratio =
                json!({"limits": [{"type": "Container", "maxLimitRequestRatio": {"memory": "2"}}]});
            in_namespace("LimitRange", &ratio)
        },
        edits: &[],
        said: "provided ratio is 6.000000",
        hint: "describe limitrange",
    },
    Case {
        name: "limit-range-of-pods",
        object: || {
            in_namespace(
                "LimitRange",
                &json!({"limits": [{"type": "Pod", "max": {"memory": "2Gi"}}]}),
            )
        },
        edits: &[],
        said: "per Pod",
        hint: "describe limitrange",
    },
    Case {
        name: "baseline",
        object: || level("baseline"),
        edits: &[],
        said: "violates PodSecurity \"baseline:latest\": privileged",
        hint: "set containerMode of pool `basic` in the profile to none or kubernetes",
    },
    Case {
        name: "baseline-and-the-nodes-docker",
        object: || level("baseline"),
        edits: &[
            (MODE, "containerMode: dood"),
            (
                "      docker:\n        requests: {cpu: 250m, memory: 512Mi}\n",
                "",
            ),
        ],
        said: "hostPath volumes",
        hint: "none or kubernetes",
    },
    Case {
        name: "restricted",
        object: || level("restricted"),
        edits: &[],
        said: "violates PodSecurity \"restricted:latest\"",
        hint: "pod-security.kubernetes.io/enforce",
    },
    Case {
        name: "priority-class",
        object: nothing,
        edits: &[(
            MODE,
            "containerMode: dind\n    template: {priorityClassName: ci-runners}",
        )],
        said: "no PriorityClass with name ci-runners was found",
        hint: "template.priorityClassName",
    },
    Case {
        name: "runtime-class",
        object: nothing,
        edits: &[(
            MODE,
            "containerMode: dind\n    template: {runtimeClassName: kata}",
        )],
        said: "RuntimeClass \"kata\" not found",
        hint: "template.runtimeClassName",
    },
    Case {
        name: "label-policy",
        object: || policy(TEAM, "every pod has a label `team`"),
        edits: &[],
        said: "every pod has a label `team`",
        hint: "podMetadata",
    },
    // The API server admits the pod, and would refuse the claim of its volume.
    Case {
        name: "claims",
        object: || {
            in_namespace(
                "ResourceQuota",
                &json!({"hard": {"persistentvolumeclaims": "0"}}),
            )
        },
        edits: WORK_VOLUME,
        said: "the claim of volume `work`: exceeded quota: compute",
        hint: "workVolume",
    },
    Case {
        name: "claims-together",
        object: || {
            in_namespace(
                "ResourceQuota",
                &json!({"hard": {"requests.storage": "15Gi"}}),
            )
        },
        edits: WORK_VOLUME,
        said: "quota `compute` allows requests.storage=15Gi",
        hint: "describe resourcequota compute",
    },
    Case {
        name: "claim-too-large",
        object: || {
            let limits = json!([
                {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}},
                {"type": "Container", "max": {"cpu": "8"}},
            ]);
            in_namespace("LimitRange", &json!({"limits": limits}))
        },
        edits: WORK_VOLUME,
        said: "maximum storage usage per PersistentVolumeClaim is 1Gi",
        hint: "the size in containerMode.kubernetes.workVolume",
    },
    // Words of a policy that sound like the authorizer's.
    Case {
        name: "policy-that-says-cannot",
        object: || policy(TEAM, "label \"team\" cannot be empty"),
        edits: &[],
        said: "label \"team\" cannot be empty",
        hint: "podMetadata",
    },
    Case {
        name: "image-policy",
        object: || {
            let own =
                "object.spec.containers.all(c, c.image.startsWith('registry.dogecompany.com/'))";
            policy(own, "images come from registry.dogecompany.com")
        },
        edits: &[],
        said: "images come from registry.dogecompany.com",
        hint: "image",
    },
];

/// The namespace with a level of Pod Security.
fn level(level: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE,
        "labels": {"pod-security.kubernetes.io/enforce": level}}})
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_refuses_the_runners_pods_is_told_before_the_first_write() {
    let cluster = Cluster::fast();
    cluster.kubectl(&["create", "namespace", NAMESPACE], None);
    for case in CASES {
        let profile = cluster.profile(case.name, case.edits);
        with(&cluster, case, || {
            let plan = cluster.plan(&profile, &[]);
            told(case, &plan, "plan");
            assert!(
                plan.document()["steps"].as_array().unwrap().len() > 5,
                "{}: the plan is shown all the same",
                case.name
            );
            let writes = cluster.kubernetes_writes();
            told(case, &cluster.up(&profile, &[]), "up");
            assert_eq!(cluster.kubernetes_writes(), writes, "{}", case.name);
        });
    }
    let profile = cluster.profile("good", &[]);
    cluster.plan(&profile, &[]).expect(0);
    a_namespace_that_is_new(&cluster, &profile);
    while_it_waits_and_later(&cluster, &profile);
    cluster.finish();
}

/// Runs `work` while what the case is about is in the cluster.
fn with(cluster: &Cluster, case: &Case, work: impl FnOnce()) {
    let object = (case.object)();
    let apply = |object: &Value| {
        let arguments = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        cluster.kubectl(&arguments, Some(&object.to_string()));
    };
    if !object.is_null() {
        apply(&object);
        settled(cluster, case, &object);
    }
    work();
    match object["kind"].as_str() {
        None => {}
        Some("Namespace") => {
            let label = "pod-security.kubernetes.io/enforce-";
            cluster.kubectl(&["label", "namespace", NAMESPACE, label], None);
            until("the level has gone", || try_privileged(cluster).is_ok());
        }
        Some(_) => {
            let arguments = ["delete", "-f", "-"];
            cluster.kubectl(&arguments, Some(&object.to_string()));
            let free = || try_pod(cluster).is_ok() && !is_limited(cluster);
            until("the policy has gone", free);
        }
    }
}

/// Admission reads what was applied from a cache of its own.
fn settled(cluster: &Cluster, case: &Case, object: &Value) {
    if object["kind"] == "List" {
        let refused = || try_pod(cluster).is_err_and(|it| it.contains(case.said));
        until(case.name, refused);
    }
    if object["kind"] == "ResourceQuota" {
        until(case.name, || is_limited(cluster));
    }
    if object["kind"] == "Namespace" {
        until(case.name, || try_privileged(cluster).is_err());
    }
    if object["kind"] == "LimitRange" {
        let refused = || try_pod(cluster).is_err();
        until(case.name, refused);
    }
}

/// Whether a quota refuses what every quota of these cases does: a pod without resources, or a claim of much storage.
fn is_limited(cluster: &Cluster) -> bool {
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "a", "namespace": NAMESPACE},
        "spec": {"storageClassName": "any", "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "99Gi"}}}});
    [pod(NAMESPACE, &json!({})), claim].iter().any(|it| {
        let judged = cluster.judged(it);
        // Of a quota that is not counted yet nothing is known.
        judged.is_err_and(|said| said.contains("quota: compute") && !said.contains("unknown"))
    })
}

/// A pod that every limit range and policy of these cases refuses.
fn try_pod(cluster: &Cluster) -> Result<(), String> {
    let resources = json!({"limits": {"cpu": "9", "memory": "9Gi"}, "requests": {"cpu": "1m", "memory": "1Mi"}});
    cluster.judged(&pod(NAMESPACE, &json!({"resources": resources})))
}

/// A pod that every level of Pod Security refuses.
fn try_privileged(cluster: &Cluster) -> Result<(), String> {
    let privileged = json!({"securityContext": {"privileged": true}});
    cluster.judged(&pod(NAMESPACE, &privileged))
}

#[track_caller]
fn told(case: &Case, ended: &Ended, command: &str) {
    let error = ended.expect(1)["error"].clone();
    let place = format!("{command}, {}: {error:#}", case.name);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(case.said), "{place}");
    assert!(message.contains("runner pods of pool `basic`"), "{place}");
    assert!(
        error["hint"].as_str().unwrap().contains(case.hint),
        "{place}"
    );
    assert_eq!(
        error["object"], "runner-pods/actions-runner/basic",
        "{place}"
    );
    assert_eq!(error["system"], "kubernetes", "{place}");
    assert_eq!(
        ended.stderr.matches(case.said).count(),
        1,
        "quoted once: {}",
        ended.stderr
    );
}

/// The policy is there before the namespace: a plan has nobody to ask, and `up` stops right after it has made it.
fn a_namespace_that_is_new(cluster: &Cluster, profile: &Path) {
    let policy = policy(TEAM, "every pod has a label `team`");
    let apply = ["apply", "--server-side", "-f", "-"];
    cluster.kubectl(&apply, Some(&policy.to_string()));
    // Admission knows a policy after a moment.
    until("the policy is in force", || try_pod(cluster).is_err());
    cluster.kubectl(&["delete", "namespace", NAMESPACE], None);
    cluster.plan(profile, &[]).expect(0);
    let ended = cluster.up(profile, &[]);
    let document = ended.expect(1);
    let message = document["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("every pod has a label `team`"),
        "{message}"
    );
    let releases = cluster.helm(&["list", "-A", "-q"], None);
    assert_eq!(releases.trim(), "", "nothing was installed");
    cluster.kubectl(&["delete", "-f", "-"], Some(&policy.to_string()));
    until("the policy has gone", || try_pod(cluster).is_ok());
}

/// A refusal that comes later: while a pool lacks pods it is the reason of the wait, afterwards the doctor's.
fn while_it_waits_and_later(cluster: &Cluster, profile: &Path) {
    cluster.up(profile, &[]).expect(0);
    let quota = in_namespace("ResourceQuota", &json!({"hard": {"pods": "2"}}));
    let apply = ["apply", "--server-side", "-f", "-"];
    cluster.kubectl(&apply, Some(&quota.to_string()));
    let third = pod(NAMESPACE, &json!({}));
    let refused = |said: String| said.contains("exceeded quota: compute");
    until("the quota is used up", || {
        cluster.judged(&third).is_err_and(refused)
    });
    // Its own runners use it up: that is as it should be.
    let document = run(cluster, profile, &[]).expect(0);
    assert_eq!(check(&document, "runner-pods-admitted")["verdict"], "holds");
    assert_eq!(cluster.up(profile, &[]).expect(0)["changed"], 0);

    let more = cluster.profile(
        "more",
        &[("min: 2", "min: 3"), ("runners: 5m", "runners: 8s")],
    );
    let error = cluster.up(&more, &[]).expect(1)["error"].clone();
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("exceeded quota: compute"),
        "three never fit in two: {message}"
    );

    let edits = [
        (
            "image: summerwind/actions-runner:v2.306.0",
            "image: summerwind/actions-runner:v2.307.0",
        ),
        ("v2.306.0]", "v2.307.0]"),
        ("runners: 5m", "runners: 8s"),
    ];
    let newer = cluster.profile("newer", &edits);
    let refused = "the API server refuses more: exceeded quota: compute";
    let error = cluster.up_until(&newer, &[], refused).document()["error"].clone();
    assert!(
        error["hint"].as_str().unwrap().contains("raise the quota"),
        "{error}"
    );
    let document = run(cluster, &newer, &[]).expect(1);
    let admitted = check(&document, "runner-pods-admitted");
    assert_eq!(admitted["verdict"], "broken", "{document:#}");
    assert_eq!(
        check(&document, "runner-pods-run")["follows"],
        "runner-pods-admitted"
    );
    cluster.kubectl(&["delete", "-f", "-"], Some(&quota.to_string()));
    let newer = cluster.profile("newer", &edits[..2]);
    cluster.up(&newer, &[]).expect(0);
}

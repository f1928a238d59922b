//! Tests of refusals with real messages of the API server.

use serde_json::json;

use super::*;

fn refused(said: &str, pods: u32, fields: &[&str], fits: &[&str]) -> Refusal {
    let pod = json!({
        "metadata": {"name": "basic-arcct-probe", "namespace": "actions-runner"},
        "spec": {
            "containers": [{"name": "runner"}, {"name": "docker"}, {"name": "logs"}],
            "volumes": [{"name": "runner"}, {"name": "cache"}],
        },
    });
    let fields: Vec<String> = fields.iter().map(|it| (*it).to_owned()).collect();
    let tried = Tried {
        pool: "basic",
        pods,
        pod: &pod,
        fields: &fields,
    };
    let said = format!("pods \"basic-arcct-probe\" is {said}");
    tried.refusal(&said, fits)
}

/// Each kind of refusal as the API server's message, the key of the profile that its hint must name, and whether
/// it is temporary.
const KINDS: &[(&str, &str, Lasts)] = &[
    (
        "forbidden: failed quota: compute: must specify limits.cpu for: docker; limits.memory for: docker",
        "set resources.docker of pool `basic`",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: failed quota: compute: must specify limits.cpu for: docker,runner; requests.cpu for: docker",
        "set resources.runner and resources.docker of pool `basic`",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: failed quota: compute: must specify limits.cpu,limits.memory",
        "resources.runner and resources.docker and resources of container `logs`",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: exceeded quota: pods, requested: pods=1, used: pods=2, limited: pods=2",
        "describe resourcequota pods",
        Lasts::UntilRoom,
    ),
    (
        "forbidden: exceeded quota: small, requested: limits.memory=6Gi, used: limits.memory=0, limited: limits.memory=4Gi",
        "lower min or the resources of pool `basic`",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: exceeded quota: small, requested: limits.cpu=1500m, used: limits.cpu=1500m, limited: limits.cpu=2",
        "raise the quota",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: maximum cpu usage per Container is 500m, but limit is 1500m",
        "describe limitrange",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: [minimum memory usage per Container is 2Gi, but request is 1Gi, memory max limit to request ratio per Container is 2, but provided ratio is 6.000000]",
        "resources.runner",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: maximum memory usage per Pod is 1Gi, but limit is 6442450944",
        "describe limitrange",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: violates PodSecurity \"baseline:latest\": privileged (container \"docker\" must not set securityContext.privileged=true)",
        "set containerMode of pool `basic` in the profile to none or kubernetes",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: no PriorityClass with name ci-runners was found",
        "create PriorityClass `ci-runners`",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: pod rejected: RuntimeClass \"kata\" not found",
        "template.runtimeClassName",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: error looking up service account actions-runner/deployer: serviceaccount \"deployer\" not found",
        "kubectl -n actions-runner create serviceaccount deployer",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: error looking up service account actions-runner/default: serviceaccount \"default\" not found",
        "create serviceaccount default",
        Lasts::Perhaps,
    ),
    (
        "forbidden: unable to create new content in namespace actions-runner because it is being terminated",
        "kubectl get namespace actions-runner -o yaml",
        Lasts::Perhaps,
    ),
    (
        "forbidden: status unknown for quota: compute, resources: limits.cpu,pods",
        "wait until the quota is counted, which takes seconds: `kubectl -n actions-runner describe resourcequota compute`",
        Lasts::Perhaps,
    ),
    (
        "forbidden: not yet ready to handle request",
        "run the same command again",
        Lasts::Perhaps,
    ),
    (
        "forbidden: ValidatingAdmissionPolicy 'team-label' with binding 'all' denied request: every pod has a label `team`",
        "kubectl get validatingadmissionpolicy team-label",
        Lasts::UntilChanged,
    ),
];

#[test]
fn each_refusal_is_quoted_and_names_what_mends_it() {
    for (said, hint, lasts) in KINDS {
        let found = refused(said, 2, &[], &["none", "kubernetes"]);
        let words = said.strip_prefix("forbidden: ").unwrap();
        assert_eq!(found.said, words);
        assert!(found.hint.contains(hint), "{said}: {}", found.hint);
        assert_eq!(found.lasts, *lasts, "{said}");
    }
}

/// More messages, from public reports; each with the text that its hint must contain.
const REPORTED: &[(&str, &str, Lasts)] = &[
    (
        "forbidden: pod node label selector conflicts with its namespace node label selector",
        "change nodeSelector of pool `basic`",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist",
        "change tolerations of pool `basic`",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: image policy webhook backend denied one or more images: not signed",
        "change image of pool `basic`",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: insufficient quota to match these scopes: [{PriorityClass In [high]}]",
        "change template.priorityClassName of pool `basic` in the profile, or have a ResourceQuota made in namespace `actions-runner`",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: volume with secret.secretName=\"npm\" is not allowed because service account deployer does not reference that secret",
        "kubectl -n actions-runner get serviceaccounts -o yaml",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: minimum cpu usage per Container is 500m, but request is 250m",
        "describe limitrange",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: minimum memory usage per Pod is 8Gi. No request is specified",
        "describe limitrange",
        Lasts::UntilChanged,
    ),
    (
        "forbidden: exceeded quota: disk, requested: requests.ephemeral-storage=20Gi, used: requests.ephemeral-storage=90Gi, limited: requests.ephemeral-storage=100Gi",
        "describe resourcequota disk",
        Lasts::UntilRoom,
    ),
    (
        "forbidden: violates PodSecurity \"restricted:v1.30\": allowPrivilegeEscalation != false (containers \"runner\", \"docker\" must set securityContext.allowPrivilegeEscalation=false), seccompProfile (pod or containers must set securityContext.seccompProfile.type)",
        "lower the namespace's level",
        Lasts::UntilChanged,
    ),
];

#[test]
fn refusals_of_public_reports_name_what_mends_them() {
    for (said, hint, lasts) in REPORTED {
        let found = refused(said, 1, &[], &["none"]);
        assert!(found.hint.contains(hint), "{said}: {}", found.hint);
        assert_eq!(found.lasts, *lasts, "{said}");
    }
    // The message contains OPA's constraint, and is quoted.
    let said = "admission webhook \"validation.gatekeeper.sh\" denied the request: [psp-privileged] Privileged container is not allowed: docker, securityContext: {\"privileged\": true}";
    let pod = json!({"metadata": {"namespace": "ci"}});
    let tried = Tried {
        pool: "basic",
        pods: 1,
        pod: &pod,
        fields: &[],
    };
    let found = tried.refusal(said, &[]);
    assert!(found.said.contains("[psp-privileged]"), "{found:?}");
    assert!(found.hint.contains("exempt namespace `ci`"), "{found:?}");
}

/// Whoever refuses a privileged docker daemon: the modes that were tried and fit are named, as for Pod Security.
#[test]
fn a_policy_against_privileged_containers_names_the_modes_that_fit() {
    let hint = |said: &str| {
        let pod = json!({"metadata": {"namespace": "actions-runner"}});
        let tried = Tried {
            pool: "basic",
            pods: 1,
            pod: &pod,
            fields: &[],
        };
        assert!(is_about_privileges(said), "{said}");
        tried.refusal(said, &["none", "kubernetes"]).hint
    };
    for (said, other) in [
        (
            "admission webhook \"validation.gatekeeper.sh\" denied the request: [psp-privileged-container] Privileged container is not allowed: docker, securityContext: {\"privileged\": true}",
            "exempt namespace `actions-runner`",
        ),
        (
            "admission webhook \"validate.kyverno.svc-fail\" denied the request: resource Pod/actions-runner/basic was blocked due to the following policies disallow-privileged-containers: privileged-containers: 'validation error: Privileged mode is disallowed.'",
            "exempt namespace `actions-runner`",
        ),
        (
            "ValidatingAdmissionPolicy 'no-root' with binding 'all' denied request: privileged containers are not allowed",
            "kubectl get validatingadmissionpolicy no-root",
        ),
        (
            "unable to validate against any security context constraint: [spec.containers[1].securityContext.privileged: Invalid value: true: Privileged containers are not allowed]",
            "securitycontextconstraints",
        ),
    ] {
        let hint = hint(said);
        let mode = "set containerMode of pool `basic` in the profile to none or kubernetes, which the policy admits, or ";
        assert!(
            hint.starts_with(mode) && hint.contains(other),
            "{said}: {hint}"
        );
    }
    // A label has nothing to do with the mode.
    let label = "ValidatingAdmissionPolicy 'team' with binding 'all' denied request: every pod has a label `team`";
    let words = format!("forbidden: {label}");
    let hint = refused(&words, 1, &[], &["none"]).hint;
    assert!(hint.starts_with("give the pods what"), "{hint}");
}

#[test]
fn webhooks_are_quoted_whole_and_one_that_does_not_answer_may_come_back() {
    let tried = |said: &str| {
        let pod = json!({"metadata": {"namespace": "n"}});
        Tried {
            pool: "basic",
            pods: 1,
            pod: &pod,
            fields: &[],
        }
        .refusal(said, &[])
    };
    let denied = tried(
        "admission webhook \"validate.kyverno.svc-fail\" denied the request: label `team` is required",
    );
    assert!(
        denied.said.contains("validate.kyverno.svc-fail"),
        "{denied:?}"
    );
    assert!(denied.hint.contains("podMetadata"), "{denied:?}");
    assert_eq!(denied.lasts, Lasts::UntilChanged);
    let silent = tried(
        "Internal error occurred: failed calling webhook \"validate.kyverno.svc-fail\": failed to call webhook: Post \"https://k.svc:443/\": EOF",
    );
    assert_eq!(silent.lasts, Lasts::Perhaps);
    assert!(
        silent.hint.contains("`validate.kyverno.svc-fail`"),
        "{silent:?}"
    );
}

#[test]
fn a_quota_that_one_pod_fits_in_and_the_minimum_does_not_lasts() {
    let said = "forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3";
    assert_eq!(refused(said, 3, &[], &[]).lasts, Lasts::UntilRoom);
    assert_eq!(refused(said, 4, &[], &[]).lasts, Lasts::UntilChanged);
}

#[test]
fn no_level_of_pod_security_is_promised_to_fit() {
    let said =
        "forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false";
    let found = refused(said, 1, &[], &[]);
    assert!(found.hint.starts_with("no containerMode fits"), "{found:?}");
    assert!(found.hint.contains("pod-security.kubernetes.io/enforce"));
}

#[test]
fn a_field_of_the_pod_is_named_as_the_profile_writes_it() {
    for (field, key) in [
        ("spec.containers[0].env[2].name", "env"),
        (
            "spec.containers[0].resources.limits[cpus]",
            "resources.runner",
        ),
        (
            "spec.containers[0].volumeMounts[1].name",
            "template.volumeMounts",
        ),
        ("spec.containers[1].resources.requests", "resources.docker"),
        (
            "spec.containers[1].volumeMounts[0].mountPath",
            "template.dockerVolumeMounts",
        ),
        ("spec.containers[1].env[0].name", "template.dockerEnv"),
        (
            "spec.containers[2].image",
            "container `logs` under template",
        ),
        ("spec.initContainers[0].name", "template.initContainers"),
        ("spec.volumes[1].name", "template.volumes"),
        ("spec.tolerations[0].operator", "tolerations"),
        ("spec.nodeSelector", "nodeSelector"),
        ("spec.securityContext.fsGroup", "fsGroup"),
        ("spec.hostAliases[0].ip", "template.hostAliases"),
        ("metadata.labels", "podMetadata.labels"),
    ] {
        let found = refused("invalid: x: Invalid value", 1, &[field], &[]);
        assert!(
            found.hint.starts_with(&format!("correct {key} of pool")),
            "{field}: {}",
            found.hint
        );
    }
}

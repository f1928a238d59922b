//! Tests each invalid setting of a pool, then the valid ones.

mod parts;
mod reported;

use serde_json::{Value, json};

use crate::{
    desired::{lint::lint, tests::with_pool},
    profile::Severity,
};

/// The findings for a pool, as `path: message; hint`, errors only or all.
fn found(pool: &Value, severity: Severity) -> Vec<String> {
    lint(&with_pool(pool))
        .into_iter()
        .filter(|it| it.severity == severity)
        .map(|it| {
            format!(
                "{}: {}; {}",
                it.path,
                it.message,
                it.hint.unwrap_or_default()
            )
        })
        .collect()
}

fn errors(pool: &Value) -> Vec<String> {
    found(pool, Severity::Error)
}

/// The only error, at `path` with `words`.
fn one(pool: &Value, path: &str, words: &str) {
    let found = errors(pool);
    let [only] = found.as_slice() else {
        panic!("{pool}: {found:#?}")
    };
    assert!(
        only.starts_with(&format!("pools[0].{path}: ")) && only.contains(words),
        "{only}"
    );
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "what a test passes is a literal"
)]
fn template(template: Value) -> Value {
    json!({"template": template})
}

/// A sidecar container with `more` fields.
#[expect(
    clippy::needless_pass_by_value,
    reason = "what a test passes is a literal"
)]
fn side(more: Value) -> Value {
    let mut container = json!({"name": "side", "image": "s:1"});
    for (key, value) in more.as_object().unwrap() {
        container[key] = value.clone();
    }
    template(json!({"sidecarContainers": [container]}))
}

#[test]
fn containers_that_take_the_place_of_the_controllers_say_what_is_lost() {
    let lost = json!({"env": [{"name": "A", "value": "b"}], "resources": {"runner": {"limits": {"cpu": "1"}}},
        "template": {"containers": [{"name": "side", "image": "s:1"}]}});
    one(
        &lost,
        "template.containers",
        "without an entry `runner` and one `docker` the controller makes its containers without the runner's `env` and `resources`; write side containers under `sidecarContainers`",
    );
    let docker = json!({"sharedTmp": true, "template": {"containers": [{"name": "runner"}]}});
    one(
        &docker,
        "template.containers[0]",
        "makes that container without the runner's `dockerVolumeMounts`; add an entry `{name: docker}`",
    );
    let nothing = json!({"containerMode": "none", "template": {"containers": [{"name": "side", "image": "s:1"}]}});
    assert_eq!(errors(&nothing), Vec::<String>::new());
    assert!(found(&nothing, Severity::Advice)[0].contains("sidecarContainers"));
    let volume = json!({"storageClass": "gp3", "size": "1Gi", "accessMode": "ReadWriteOnce"});
    let kubernetes = json!({"containerMode": {"kubernetes": {"workVolume": volume}},
        "template": {"containers": [{"name": "side", "image": "s:1"}]}});
    one(
        &kubernetes,
        "template.containers",
        "cannot make the pod in container mode kubernetes",
    );
}

#[test]
fn an_entry_that_replaces_what_the_pool_says_is_refused() {
    let runner = |more: Value| {
        let mut entry = json!({"name": "runner"});
        for (key, value) in more.as_object().unwrap() {
            entry[key] = value.clone();
        }
        json!({"containerMode": "none", "env": [{"name": "A", "value": "b"}],
            "resources": {"runner": {"limits": {"cpu": "1"}}}, "template": {"containers": [entry]}})
    };
    one(
        &runner(json!({"env": [{"name": "B", "value": "c"}]})),
        "template.containers[0].env",
        "this replaces the pool's `env`",
    );
    one(
        &runner(json!({"resources": {"limits": {"cpu": "2"}}})),
        "template.containers[0].resources.limits",
        "the pool's `resources.runner`",
    );
    one(
        &runner(json!({"image": "other:1"})),
        "template.containers[0].image",
        "the pool's `image` takes the place",
    );
    assert_eq!(
        errors(&runner(
            json!({"lifecycle": {"preStop": {"exec": {"command": ["x"]}}}})
        )),
        Vec::<String>::new()
    );
    let second = json!({"containerMode": "none", "template": {
        "containers": [{"name": "side", "image": "s:1"}, {"name": "runner"}],
        "volumes": [{"name": "c", "emptyDir": {}}], "volumeMounts": [{"name": "c", "mountPath": "/c"}]}});
    one(
        &second,
        "template.containers[1].name",
        "gives the mounts of the runner to the first entry, and that is `side`",
    );
}

#[test]
fn names_of_containers_are_given_once() {
    for name in ["runner", "docker"] {
        let pool = template(json!({"sidecarContainers": [{"name": name, "image": "s:1"}]}));
        one(
            &pool,
            "template.sidecarContainers[0].name",
            "the container that the controller makes",
        );
        let pool = template(json!({"initContainers": [{"name": name, "image": "s:1"}]}));
        one(
            &pool,
            "template.initContainers[0].name",
            "refuses a pod with two",
        );
    }
    let twice = template(json!({"sidecarContainers": [
        {"name": "a", "image": "s:1"}, {"name": "a", "image": "s:1"}]}));
    one(
        &twice,
        "template.sidecarContainers[1].name",
        "another container of this pod",
    );
    let none = json!({"containerMode": "none", "template": {
        "sidecarContainers": [{"name": "docker", "image": "docker:dind"}]}});
    assert_eq!(
        errors(&none),
        Vec::<String>::new(),
        "without dind the name is free"
    );
    one(
        &template(json!({"sidecarContainers": [{"name": "a_b", "image": "s:1"}]})),
        "template.sidecarContainers[0].name",
        "cannot be the name of a container",
    );
    one(
        &template(json!({"sidecarContainers": [{"name": "a"}]})),
        "template.sidecarContainers[0].image",
        "has no image",
    );
}

#[test]
fn resources_are_those_that_kubernetes_knows() {
    for (name, meant) in [
        ("cpus", "cpu"),
        ("mem", "memory"),
        ("ephemeralStorage", "ephemeral-storage"),
        ("gpu", "nvidia.com/gpu"),
    ] {
        let pool = json!({"resources": {"runner": {"limits": {name: "1"}}}});
        one(
            &pool,
            &format!("resources.runner.limits.{name}"),
            &format!("did you mean `{meant}`?"),
        );
        one(
            &side(json!({"resources": {"requests": {name: "1"}}})),
            &format!("template.sidecarContainers[0].resources.requests.{name}"),
            "Kubernetes knows no such resource",
        );
    }
    let gpu = |requests: Value, limits: Value| json!({"resources": {"runner": {"requests": requests, "limits": limits}}});
    let key = "nvidia.com/gpu";
    assert_eq!(
        errors(&gpu(json!({}), json!({key: "1"}))),
        Vec::<String>::new()
    );
    assert_eq!(
        errors(&gpu(json!({key: "1"}), json!({key: "1"}))),
        Vec::<String>::new()
    );
    assert!(errors(&gpu(json!({key: "1"}), json!({})))[0].contains("must be the same"));
    assert!(errors(&gpu(json!({}), json!({key: "500m"})))[0].contains("whole numbers"));
    assert!(
        errors(&gpu(json!({}), json!({"hugepages-2Mi": "4Mi"})))[0]
            .contains("beside CPU or memory")
    );
    one(
        &side(json!({"resources": {"requests": {"cpu": 2}, "limits": {"cpu": "500m"}}})),
        "template.sidecarContainers[0].resources.requests.cpu",
        "may use only 500m",
    );
    one(
        &side(json!({"resources": {"limits": {"memory": "-1Gi"}}})),
        "template.sidecarContainers[0].resources.limits.memory",
        "less than nothing",
    );
}

/// Real manifests (ARC issues 512, 368, PR 282 and 1015), unchanged.
#[test]
fn what_people_run_is_fine() {
    let pool = json!({
        "podMetadata": {"labels": {"team": "ci"}, "annotations": {"karpenter.sh/do-not-disrupt": "true"}},
        "serviceAccount": "deployer",
        "template": {
            "priorityClassName": "high", "runtimeClassName": "gvisor",
            "initContainers": [{"name": "warm", "image": "i:1", "command": ["sh"],
                "volumeMounts": [{"name": "cache", "mountPath": "/c"}]}],
            "sidecarContainers": [{"name": "logs", "image": "l:1", "ports": [{"containerPort": 80, "name": "http"}],
                "readinessProbe": {"httpGet": {"path": "/", "port": "http"}}}],
            "volumes": [{"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}},
                {"name": "work", "emptyDir": {"medium": "Memory", "sizeLimit": "4Gi"}}],
            "volumeMounts": [{"name": "cache", "mountPath": "/opt/cache", "readOnly": true},
                {"name": "work", "mountPath": "/runner/_work"}],
            "dockerVolumeMounts": [{"name": "cache", "mountPath": "/opt/cache"}],
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["ghe.example"]}],
            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 50, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"actions-runner": ""}}}}]}},
            "securityContext": {"fsGroupChangePolicy": "OnRootMismatch"},
            "dockerMTU": 1400, "dockerRegistryMirror": "https://mirror.example",
        },
    });
    assert_eq!(errors(&pool), Vec::<String>::new());
    assert_eq!(found(&pool, Severity::Advice), Vec::<String>::new());
}

//! Tests the rules for volumes and mounts, variables, probes and ports, placement.

use serde_json::{Value, json};

use super::{errors, found, one, side, template};
use crate::profile::Severity;

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn a_mount_is_of_a_volume_and_at_a_place_of_its_own() {
    let mounted = |mounts: Value| {
        template(json!({"volumes": [{"name": "cache", "emptyDir": {}}], "volumeMounts": mounts}))
    };
    let ok = json!({"name": "cache", "mountPath": "/cache"});
    assert_eq!(errors(&mounted(json!([ok]))), Vec::<String>::new());
    one(
        &mounted(json!([ok, {"name": "cahce", "mountPath": "/x"}])),
        "template.volumeMounts[1].name",
        "the pod has no volume `cahce`; did you mean `cache`?",
    );
    one(
        &mounted(json!([ok, ok])),
        "template.volumeMounts[1].mountPath",
        "something else of this container is mounted at `/cache`",
    );
    for (place, hint) in [
        ("/runner", "elsewhere"),
        ("/run", "elsewhere"),
        ("/runner/_work", "the name `work`"),
    ] {
        one(
            &mounted(json!([ok, {"name": "cache", "mountPath": place}])),
            "template.volumeMounts[1].mountPath",
            hint,
        );
    }
    for (mount, words) in [
        (json!({"name": "cache", "mountPath": "/a:b"}), "without `:`"),
        (
            json!({"name": "cache", "mountPath": "/x", "subPath": "../x"}),
            "leads out of the volume",
        ),
        (
            json!({"name": "cache", "mountPath": "/x", "subPath": "/x"}),
            "leads out of the volume",
        ),
        (
            json!({"name": "cache", "mountPath": "/x", "subPath": "a", "subPathExpr": "b"}),
            "only one is possible",
        ),
        (
            json!({"name": "cache", "mountPath": "/x", "mountPropagation": "Both"}),
            "not a valid value",
        ),
    ] {
        let found = errors(&mounted(json!([ok, mount])));
        assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
    }
    one(
        &side(json!({"volumeMounts": [{"name": "nowhere", "mountPath": "/x"}]})),
        "template.sidecarContainers[0].volumeMounts[0].name",
        "add it to `template.volumes`",
    );
    let shared = side(
        json!({"volumeMounts": [{"name": "work", "mountPath": "/w"}, {"name": "runner", "mountPath": "/r"}]}),
    );
    assert_eq!(
        errors(&shared),
        Vec::<String>::new(),
        "the controller's volumes can be shared"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn a_volume_is_there_once_and_from_one_source() {
    let volumes = |volumes: Value| template(json!({"volumes": volumes}));
    one(
        &volumes(json!([{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}])),
        "template.volumes[1].name",
        "another volume of this pod",
    );
    for name in ["runner", "var-run"] {
        one(
            &volumes(json!([{"name": name, "emptyDir": {}}])),
            "template.volumes[0].name",
            "that the controller adds",
        );
    }
    let work =
        json!([{"name": "work", "hostPath": {"path": "/mnt/nvme", "type": "DirectoryOrCreate"}}]);
    assert_eq!(
        errors(&volumes(work)),
        Vec::<String>::new(),
        "the controller gives way to it"
    );
    for (source, words) in [
        (
            json!({"emptyDir": {}, "hostPath": {"path": "/x"}}),
            "a volume has one source",
        ),
        (json!({"emptyDir": {"medium": "memory"}}), "write `Memory`"),
        (
            json!({"hostPath": {"path": "/x", "type": "directory"}}),
            "`Directory`",
        ),
        (json!({"secret": {}}), "no Secret is named"),
        (
            json!({"secret": {"secretName": "a", "defaultMode": 644_000}}),
            "file's mode",
        ),
        (
            json!({"configMap": {"name": "A"}}),
            "cannot be the name of a ConfigMap",
        ),
        (
            json!({"persistentVolumeClaim": {"claimName": ""}}),
            "PersistentVolumeClaim",
        ),
        (
            json!({"ephemeral": {"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "1Gi"}}}}}}),
            "no access mode",
        ),
        (
            json!({"ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["RWO"]}}}}),
            "access mode",
        ),
        (
            json!({"projected": {"sources": [{"secret": {"name": "a"}, "configMap": {"name": "b"}}]}}),
            "one item per source",
        ),
        (
            json!({"downwardAPI": {"items": [{"path": "labels"}]}}),
            "what is in this file",
        ),
        (
            json!({"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "status.podIP"}}]}}),
            "a file cannot have `status.podIP`",
        ),
        (
            json!({"downwardAPI": {"items": [{"path": "a", "resourceFieldRef": {"resource": "limits.cpu"}}]}}),
            "add `containerName`",
        ),
        (
            json!({"downwardAPI": {"items": [{"path": "../a", "fieldRef": {"fieldPath": "metadata.name"}}]}}),
            "not below the volume",
        ),
        (
            json!({"projected": {"sources": [{"downwardAPI": {"items": [{"path": "labels"}]}}]}}),
            "what is in this file",
        ),
    ] {
        let mut volume = source.clone();
        volume["name"] = json!("v");
        let found = errors(&volumes(json!([volume])));
        assert!(
            !found.is_empty() && found[0].contains(words),
            "{source}: {found:?}"
        );
    }
    let labels = json!([{"name": "v", "downwardAPI": {"items": [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "team", "fieldRef": {"fieldPath": "metadata.labels['team']"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "runner", "resource": "limits.cpu"}},
    ]}}]);
    assert_eq!(errors(&volumes(labels)), Vec::<String>::new());
    let unused = found(
        &volumes(json!([{"name": "a", "emptyDir": {}}])),
        Severity::Advice,
    );
    assert!(unused[0].contains("no container mounts `a`"), "{unused:?}");
}

#[test]
fn variables_are_there_once_and_reach_the_runner() {
    for (variable, words) in [
        (
            json!({"name": "RUNNER_LABELS", "value": "x"}),
            "use the pool's `labels`",
        ),
        (
            json!({"name": "RUNNER_NAME", "value": "x"}),
            "the controller sets `RUNNER_NAME` itself",
        ),
        (
            json!({"name": "DOCKER_HOST", "value": "x"}),
            "with `dind` the controller sets",
        ),
        (
            json!({"name": "A=B", "value": "x"}),
            "cannot be the name of a variable",
        ),
        (
            json!({"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}),
            "only one is possible",
        ),
        (json!({"name": "A", "valueFrom": {}}), "exactly one of"),
        (
            json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.nam"}}}),
            "did you mean `metadata.name`?",
        ),
        (
            json!({"name": "A", "valueFrom": {"secretKeyRef": {"name": "S!", "key": "k"}}}),
            "cannot be the name of a Secret",
        ),
    ] {
        let found = errors(&json!({"env": [variable]}));
        assert!(
            found.len() == 1 && found[0].contains(words),
            "{variable}: {found:?}"
        );
    }
    one(
        &side(json!({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]})),
        "template.sidecarContainers[0].env[1].name",
        "stands twice",
    );
    one(
        &template(json!({"envFrom": [{"prefix": "X"}]})),
        "template.envFrom[0]",
        "exactly one of `configMapRef` and `secretRef`",
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn probes_hooks_and_ports_are_possible() {
    for (more, words) in [
        (
            json!({"livenessProbe": {"periodSeconds": 5}}),
            "this does nothing",
        ),
        (
            json!({"livenessProbe": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}}),
            "only one is possible",
        ),
        (
            json!({"readinessProbe": {"httpGet": {"port": 70000}}}),
            "from 1 to 65535",
        ),
        (
            json!({"readinessProbe": {"httpGet": {"port": "8080"}}}),
            "remove the quotes",
        ),
        (
            json!({"startupProbe": {"exec": {"command": ["a"]}, "successThreshold": 2}}),
            "can only be 1",
        ),
        (
            json!({"livenessProbe": {"exec": {"command": []}}}),
            "no command",
        ),
        (json!({"lifecycle": {"preStop": {}}}), "this does nothing"),
        (json!({"ports": [{"containerPort": 0}]}), "from 1 to 65535"),
        (
            json!({"ports": [{"containerPort": 1, "name": "Web"}]}),
            "name of a port",
        ),
        (
            json!({"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}),
            "another port",
        ),
        (json!({"imagePullPolicy": "Sometimes"}), "not a valid value"),
        (
            json!({"securityContext": {"privileged": true, "allowPrivilegeEscalation": false}}),
            "more privileges",
        ),
        (
            json!({"securityContext": {"runAsNonRoot": true, "runAsUser": 0}}),
            "user 0 is root",
        ),
    ] {
        let found = errors(&side(more.clone()));
        assert!(
            found.len() == 1 && found[0].contains(words),
            "{more}: {found:?}"
        );
    }
    let host = found(
        &side(json!({"ports": [{"containerPort": 1, "hostPort": 1}]})),
        Severity::Advice,
    );
    assert!(host[0].contains("a port of the node"), "{host:?}");
    let init = template(
        json!({"initContainers": [{"name": "i", "image": "s:1", "livenessProbe": {"exec": {"command": ["a"]}}}]}),
    );
    one(
        &init,
        "template.initContainers[0].livenessProbe",
        "has no probes",
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn placement_is_possible() {
    for (pool, words) in [
        (json!({"nodeSelector": {"a b": "c"}}), "name of a label"),
        (json!({"nodeSelector": {"a": "b c"}}), "value of a label"),
        (
            json!({"tolerations": [{"operator": "Exists", "value": "x", "key": "k"}]}),
            "for every value",
        ),
        (json!({"tolerations": [{"value": "x"}]}), "without a key"),
        (
            json!({"tolerations": [{"key": "k", "tolerationSeconds": 5}]}),
            "can end",
        ),
        (
            template(
                json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}}}}),
            ),
            "at least one value",
        ),
        (
            template(
                json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Is", "values": ["b"]}]}]}}}}),
            ),
            "not a valid value",
        ),
        (
            template(
                json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": []}}}}),
            ),
            "at least one term",
        ),
        (
            template(
                json!({"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}]}),
            ),
            "at least 1",
        ),
        (
            template(json!({"hostAliases": [{"ip": "ghe.example", "hostnames": ["a"]}]})),
            "not an IP address",
        ),
        (
            template(json!({"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["https://a"]}]})),
            "not a host's name",
        ),
        (
            template(json!({"dnsPolicy": "None"})),
            "without a name server",
        ),
        (
            template(json!({"dnsPolicy": "Cluster"})),
            "not a valid value",
        ),
        (
            template(json!({"priorityClassName": "High_1"})),
            "name of a PriorityClass",
        ),
        (template(json!({"workDir": "work"})), "place in a container"),
        (
            template(json!({"dockerRegistryMirror": "mirror.example"})),
            "write `https://mirror.example`",
        ),
        (
            template(json!({"securityContext": {"runAsUser": -1}})),
            "at least 0",
        ),
    ] {
        let found = errors(&pool);
        assert!(
            !found.is_empty() && found.iter().any(|it| it.contains(words)),
            "{pool}: {found:?}"
        );
    }
}

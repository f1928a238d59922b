//! Tests with manifests from public issues, and the expected messages.

use serde_json::{Value, json};

use super::{errors, found, one, side, template};
use crate::{
    desired::{lint::lint, tests::profile},
    profile::Severity,
};

/// The only advice, at `path` with `words`; no error.
fn advised(pool: &Value, path: &str, words: &str) {
    assert_eq!(errors(pool), Vec::<String>::new(), "{pool}");
    let found = found(pool, Severity::Advice);
    let [only] = found.as_slice() else {
        panic!("{pool}: {found:#?}")
    };
    assert!(
        only.starts_with(&format!("pools[0].{path}: ")) && only.contains(words),
        "{only}"
    );
}

/// actions-runner-controller#856.
#[test]
fn each_field_of_a_security_context_has_its_place() {
    for key in [
        "privileged",
        "allowPrivilegeEscalation",
        "readOnlyRootFilesystem",
    ] {
        one(
            &template(json!({"securityContext": {key: true}})),
            &format!("template.securityContext.{key}"),
            "write it in `template.containers`, in an entry of the name `runner`, under `securityContext`",
        );
    }
    one(
        &template(json!({"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}})),
        "template.securityContext.capabilities",
        "is a container's",
    );
    one(
        &side(json!({"securityContext": {"fsGroup": 1000}})),
        "template.sidecarContainers[0].securityContext.fsGroup",
        "use the pool's `fsGroup`",
    );
    one(
        &side(json!({"securityContext": {"supplementalGroups": [121]}})),
        "template.sidecarContainers[0].securityContext.supplementalGroups",
        "write it under `template.securityContext`",
    );
}

#[test]
fn devices_are_volumes_of_claims() {
    let devices = |devices: Value, mounts: Value| {
        template(
            json!({"volumes": [{"name": "raw", "persistentVolumeClaim": {"claimName": "raw"}}],
            "sidecarContainers": [{"name": "side", "image": "s:1", "volumeDevices": devices, "volumeMounts": mounts}]}),
        )
    };
    let raw = json!({"name": "raw", "devicePath": "/dev/xvda"});
    let place = "template.sidecarContainers[0].volumeDevices";
    assert_eq!(
        errors(&devices(json!([raw]), json!([]))),
        Vec::<String>::new()
    );
    one(
        &devices(
            json!([raw, {"name": "raww", "devicePath": "/dev/b"}]),
            json!([]),
        ),
        &format!("{place}[1].name"),
        "did you mean `raw`?",
    );
    one(
        &devices(json!([raw]), json!([{"name": "raw", "mountPath": "/x"}])),
        &format!("{place}[0].name"),
        "mounts `raw` as well",
    );
    one(
        &devices(json!([raw, raw]), json!([])),
        &format!("{place}[1].devicePath"),
        "no place of its own",
    );
    let empty = template(json!({"volumes": [{"name": "raw", "emptyDir": {}}],
        "sidecarContainers": [{"name": "side", "image": "s:1", "volumeDevices": [raw]}]}));
    one(
        &empty,
        &format!("{place}[0].name"),
        "only a volume of a claim",
    );
    one(
        &side(json!({"resources": {"claims": [{"name": "gpu"}]}})),
        "template.sidecarContainers[0].resources.claims",
        "does not hand to its pods",
    );
}

#[test]
fn a_claim_of_each_pod_can_be_made() {
    let claim = |modes: Value, storage: Value, more: Value| {
        let mut spec =
            json!({"accessModes": modes, "resources": {"requests": {"storage": storage}}});
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        template(
            json!({"volumes": [{"name": "cache", "ephemeral": {"volumeClaimTemplate": {"spec": spec}}}],
            "volumeMounts": [{"name": "cache", "mountPath": "/cache"}]}),
        )
    };
    let spec = "template.volumes[0].ephemeral.volumeClaimTemplate.spec";
    let once = json!(["ReadWriteOnce"]);
    assert_eq!(
        errors(&claim(
            once.clone(),
            json!("20Gi"),
            json!({"volumeMode": "Filesystem"})
        )),
        Vec::<String>::new()
    );
    for none in [json!(0), json!("0Gi"), json!("-1Gi")] {
        one(
            &claim(once.clone(), none, json!({})),
            &format!("{spec}.resources.requests.storage"),
            "asks for nothing",
        );
    }
    one(
        &claim(
            json!(["ReadWriteOncePod", "ReadWriteOnce"]),
            json!("1Gi"),
            json!({}),
        ),
        &format!("{spec}.accessModes"),
        "stands alone",
    );
    one(
        &claim(once, json!("1Gi"), json!({"volumeMode": "Blok"})),
        &format!("{spec}.volumeMode"),
        "write `Filesystem` or `Block`",
    );
}

#[test]
fn a_probe_asks_a_port_that_the_container_has() {
    let probe = |ports: Value| {
        side(json!({"ports": ports, "livenessProbe": {"httpGet": {"path": "/", "port": "http"}}}))
    };
    let place = "template.sidecarContainers[0].livenessProbe.httpGet.port";
    one(&probe(json!([])), place, "write the port's number");
    one(
        &probe(json!([{"containerPort": 80, "name": "https"}])),
        place,
        "did you mean `https`?",
    );
    let hook = side(json!({"lifecycle": {"preStop": {"httpGet": {"port": "stop"}}}}));
    one(
        &hook,
        "template.sidecarContainers[0].lifecycle.preStop.httpGet.port",
        "no port `stop`",
    );
}

/// actions-runner-controller#984 is about the field's name; such a constraint has no effect, without an error.
#[test]
fn a_spread_counts_the_pools_own_pods() {
    let spread = |selector: Value| {
        json!({"podMetadata": {"labels": {"team": "ci"}}, "template": {"topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
             "labelSelector": selector}]}})
    };
    for counted in ["runner-deployment-name", "team"] {
        let value = if counted == "team" { "ci" } else { "basic" };
        let pool = spread(json!({"matchLabels": {counted: value}}));
        assert_eq!(found(&pool, Severity::Advice), Vec::<String>::new());
    }
    advised(
        &spread(json!({"matchLabels": {"app": "runner"}})),
        "template.topologySpreadConstraints[0].labelSelector.matchLabels.app",
        "write `labelSelector: {matchLabels: {runner-deployment-name: basic}}`",
    );
    let without = template(json!({"topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}]}));
    advised(
        &without,
        "template.topologySpreadConstraints[0]",
        "counts no pods",
    );
}

#[test]
fn a_runner_that_makes_pods_needs_its_token() {
    let volume = json!({"storageClass": "gp3", "size": "1Gi", "accessMode": "ReadWriteOnce"});
    let no_token = json!({"automountServiceAccountToken": false});
    one(
        &json!({"containerMode": {"kubernetes": {"workVolume": volume}}, "template": no_token}),
        "template.automountServiceAccountToken",
        "with this token",
    );
    assert_eq!(errors(&template(no_token)), Vec::<String>::new());
}

#[test]
fn the_socket_of_a_docker_that_no_node_has_is_told() {
    let pool = json!({"name": "basic", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 1, "containerMode": "none",
        "template": {"volumes": [{"name": "d", "hostPath": {"path": "/var/run/docker.sock"}}],
            "volumeMounts": [{"name": "d", "mountPath": "/var/run/docker.sock"}]}});
    let eks = profile(
        &json!({"cluster": {"eks": "runners", "region": "eu-west-1", "context": null}, "pools": [pool]}),
    );
    let told = |it: &str| it.contains("docker on EKS nodes");
    let found = lint(&eks);
    let [only] = found.as_slice() else {
        panic!("{found:#?}")
    };
    assert!(
        told(&only.message) && only.severity == Severity::Error,
        "{only:?}"
    );
    let elsewhere = profile(
        &json!({"cluster": {"context": "kind", "eks": null, "region": null}, "pools": [pool]}),
    );
    let found = lint(&elsewhere);
    assert!(found[0].severity == Severity::Advice, "{found:#?}");
}

#[test]
fn nodes_are_of_the_system_and_the_architecture_of_the_runners() {
    let selected = |key: &str, value: &str| json!({"nodeSelector": {key: value}});
    one(
        &selected("kubernetes.io/os", "windows"),
        "nodeSelector[\"kubernetes.io/os\"]",
        "for another system",
    );
    for (word, name) in [("aarch64", "arm64"), ("x64", "amd64"), ("x86_64", "amd64")] {
        one(
            &selected("kubernetes.io/arch", word),
            "nodeSelector[\"kubernetes.io/arch\"]",
            &format!("did you mean `{name}`?"),
        );
    }
    let both = json!({"instanceType": "m7g.large", "template": {"nodeSelector": {"kubernetes.io/arch": "amd64"}}});
    one(
        &both,
        "template.nodeSelector[\"kubernetes.io/arch\"]",
        "`m7g.large`, which is `arm64`",
    );
    let label = json!({"instanceType": "m7g.large", "labels": ["linux", "x64"]});
    one(&label, "labels[1]", "the nodes of this pool are `arm64`");
    let label = json!({"instanceType": "t3a.large", "labels": ["ARM64"]});
    one(&label, "labels[0]", "the nodes of this pool are `amd64`");
    advised(
        &json!({"labels": ["arm64"]}),
        "labels[0]",
        "add `nodeSelector: {kubernetes.io/arch: arm64}`",
    );
    let good = json!({"instanceType": "m7g.large", "labels": ["arm64"], "nodeSelector": {"kubernetes.io/os": "linux"}});
    assert_eq!(errors(&good), Vec::<String>::new());
}

#[test]
fn containers_do_not_say_when_they_start_anew() {
    let init = |policy: &str| {
        template(
            json!({"initContainers": [{"name": "proxy", "image": "p:1", "restartPolicy": policy}]}),
        )
    };
    assert_eq!(
        found(&init("Always"), Severity::Advice),
        Vec::<String>::new()
    );
    advised(
        &init("OnFailure"),
        "template.initContainers[0].restartPolicy",
        "only `Always`",
    );
    one(
        &init("always"),
        "template.initContainers[0].restartPolicy",
        "write `Always`",
    );
    advised(
        &side(json!({"restartPolicy": "Always"})),
        "template.sidecarContainers[0].restartPolicy",
        "ends with it",
    );
}

#[test]
fn dockerd_in_the_runner_has_its_rights() {
    let image = "summerwind/actions-runner-dind-rootless:v2.336.0-ubuntu-22.04";
    advised(
        &json!({"image": image, "containerMode": "dindInRunner",
            "template": {"containers": [{"name": "runner", "securityContext": {"privileged": false}}]}}),
        "template.containers[0].securityContext.privileged",
        "does not start",
    );
}

#[test]
fn a_pull_secret_of_the_template_has_a_name_that_can_be() {
    one(
        &template(json!({"imagePullSecrets": [{"name": "Reg_Cred"}]})),
        "template.imagePullSecrets[0].name",
        "cannot be the name of a Secret",
    );
}

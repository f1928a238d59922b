//! The profile's pod settings reach the pods, and their prerequisites are checked before anything waits.

use serde_json::{Value, json};

use crate::harness::cluster::Cluster;

const MODE: &str = "containerMode: dind";
const CERT_MANAGER: &str = "certManager:\n  install: auto";

/// Labels, annotations, an account of the pool's own, a work volume in memory, cert-manager elsewhere and with values.
const POOL: &str = r#"metadata: {labels: {team: ci}, annotations: {contact: ci@dogecompany.com}}
    podMetadata:
      labels: {cost-center: "1234"}
      annotations: {karpenter.sh/do-not-disrupt: "true"}
    serviceAccount: deployer
    template:
      volumes: [{name: work, emptyDir: {medium: Memory, sizeLimit: 2Gi}}]
      initContainers: [{name: warm, image: "busybox:1", command: ["true"]}]
    containerMode: dind"#;

fn pods(cluster: &Cluster) -> Vec<Value> {
    let arguments = [
        "-n",
        "actions-runner",
        "get",
        "pods",
        "-l",
        "actions-runner",
        "-o",
        "json",
    ];
    let list: Value = serde_json::from_str(&cluster.kubectl(&arguments, None)).unwrap();
    list["items"].as_array().unwrap().clone()
}

#[test]
#[ignore = "slow: `make test-slow`"]
#[expect(clippy::too_many_lines, reason = "one story")]
fn what_a_pool_says_of_its_pods_reaches_them() {
    let cluster = Cluster::fast();
    cluster.kubectl(&["create", "namespace", "actions-runner"], None);
    let infra = "certManager:\n  install: auto\n  namespace: infra\n  values: {webhook: {replicaCount: 2}, podLabels: {team: ci}}";
    let edits = [(MODE, POOL), (CERT_MANAGER, infra)];
    let profile = cluster.profile("keys", &edits);

    // Without its account no pod could be made.
    let planned = cluster.plan(&profile, &[]).expect(1);
    let hint = planned["error"]["hint"].as_str().unwrap();
    assert!(
        hint.contains("`kubectl -n actions-runner create serviceaccount deployer`"),
        "{hint}"
    );
    let create = [
        "-n",
        "actions-runner",
        "create",
        "serviceaccount",
        "deployer",
    ];
    cluster.kubectl(&create, None);

    let first = cluster.up(&profile, &[]);
    assert_eq!(first.expect(0)["outcome"], "ok");
    assert!(
        !first.stderr.contains("does not exist, and pods need it"),
        "{}",
        first.stderr
    );
    let deployment = cluster.get("runnerdeployment", "actions-runner", "basic");
    assert_eq!(deployment["metadata"]["labels"]["team"], "ci");
    assert_eq!(
        deployment["metadata"]["annotations"]["contact"],
        "ci@dogecompany.com"
    );
    let running = pods(&cluster);
    assert_eq!(running.len(), 2);
    for pod in &running {
        assert_eq!(pod["metadata"]["labels"]["cost-center"], "1234");
        let annotations = &pod["metadata"]["annotations"];
        assert_eq!(annotations["karpenter.sh/do-not-disrupt"], "true");
        let spec = &pod["spec"];
        assert_eq!(spec["serviceAccountName"], "deployer");
        assert_eq!(spec["initContainers"][0]["name"], "warm");
        let work: Vec<&Value> = spec["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["name"] == "work")
            .collect();
        assert_eq!(
            work,
            [&json!({"name": "work", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}})]
        );
    }
    let webhook = cluster.get("deployment", "infra", "cert-manager-webhook");
    assert_eq!(webhook["spec"]["replicas"], 2);

    let before = cluster.kubernetes_writes();
    let again = cluster.up(&profile, &[]);
    assert_eq!(again.expect(0)["changed"], 0);
    assert_eq!(again.document()["requests"]["helm"], 0);
    assert_eq!(cluster.kubernetes_writes(), before);

    // Other metadata is another template: the proof waits for pods that have it.
    let other = POOL.replace("\"1234\"", "\"5678\"");
    let changed = cluster.profile("changed", &[(MODE, &other), (CERT_MANAGER, infra)]);
    assert_eq!(cluster.up(&changed, &[]).expect(0)["outcome"], "ok");
    let with_it = pods(&cluster);
    let with_it = with_it
        .iter()
        .filter(|it| it["metadata"]["labels"]["cost-center"] == "5678");
    assert_eq!(with_it.count(), 2);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_pods_need_is_asked_for_before_anything_waits() {
    let cluster = Cluster::fast();
    let needy = r"env: [{name: NPM, valueFrom: {secretKeyRef: {name: npm, key: token}}}]
    template:
      volumes: [{name: cache, persistentVolumeClaim: {claimName: cache}}]
      volumeMounts: [{name: cache, mountPath: /cache}]
    containerMode: dind";
    let soon = ("runners: 5m", "runners: 4s");
    let profile = cluster.profile("needy", &[(MODE, needy), soon]);
    let planned = cluster.plan(&profile, &[]);
    planned.expect(0);
    for said in [
        "namespace `actions-runner` does not exist yet: `arcctl up` creates it",
        "PersistentVolumeClaim `cache` in namespace `actions-runner` does not exist",
        "Secret `npm` in namespace `actions-runner` does not exist, and pods need it (`pools[0].env`); \
         create it with `kubectl -n actions-runner create secret generic npm --from-file=token=…`",
    ] {
        assert!(planned.stderr.contains(said), "{said}: {}", planned.stderr);
    }

    let ended = cluster.up_until(&profile, &[], "persistentvolumeclaim");
    assert_eq!(ended.document()["outcome"], "timed-out");

    // A class with a provisioner brings the volume, as EBS does.
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "gp3"},
            "provisioner": "ebs.csi.aws.com", "volumeBindingMode": "WaitForFirstConsumer"},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "cache", "namespace": "actions-runner"},
            "spec": {"storageClassName": "gp3", "accessModes": ["ReadWriteMany"],
                "resources": {"requests": {"storage": "1Gi"}}}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "npm", "namespace": "actions-runner"},
            "stringData": {"token": "not-a-token"}},
    ]});
    cluster.kubectl(&["apply", "-f", "-"], Some(&objects.to_string()));
    let patient = cluster.profile("patient", &[(MODE, needy)]);
    assert_eq!(cluster.up(&patient, &[]).expect(0)["outcome"], "ok");
    cluster.finish();
}

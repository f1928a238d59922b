//! An existing cert-manager, not from arcctl and not even from helm: used unchanged. And, to save a sandbox, a controller
//! whose webhook starts late.

use serde_json::Value;

use crate::harness::cluster::{Cluster, Ended};

/// What an installation of cert-manager consists of, as far as somebody could touch it.
const KINDS: &str = "deployments,services,serviceaccounts";
const CLUSTER_KINDS: &str = "customresourcedefinitions,clusterroles,clusterrolebindings";

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_cert_manager_that_is_there_is_left_alone_and_a_late_webhook_waited_for() {
    let cluster = Cluster::with_faults(&["webhook:late=20s@actions-runner-controller"]);
    let profile = cluster.profile("arcctl", &[]);
    let charts = cluster.charts_url();
    let arguments = [
        "template",
        "cert-manager",
        "cert-manager",
        "--repo",
        &charts,
    ];
    let more = [
        "--version",
        "v1.21.1",
        "-n",
        "cert-manager",
        "--set",
        "crds.enabled=true",
    ];
    let quiet = ["--set", "startupapicheck.enabled=false"];
    let manifests = cluster.helm(&[&arguments[..], &more[..], &quiet[..]].concat(), None);
    cluster.kubectl(&["create", "namespace", "cert-manager"], None);
    let apply = ["apply", "--server-side", "-f", "-"];
    cluster.kubectl(&apply, Some(&manifests));
    let wait = ["-n", "cert-manager", "wait", "deployment", "--all"];
    cluster.kubectl(
        &[&wait[..], &["--for=condition=Available", "--timeout=5m"]].concat(),
        None,
    );
    let before = specifications(&cluster);
    assert!(before.len() > 10, "{before:?}");

    let ended = cluster.up(&profile, &[]);
    let document = ended.expect(0);
    waited_for_the_webhook(&ended);
    assert_eq!(document["changed"], 7, "{:?}", ended.changed());
    let changed = ended.changed();
    assert!(
        changed.iter().all(|id| !id.contains("cert-manager")),
        "{changed:?}"
    );
    assert_eq!(specifications(&cluster), before);
    let releases = cluster.helm(&["list", "-A", "-q"], None);
    assert_eq!(releases.trim(), "actions-runner-controller");

    assert_eq!(cluster.up(&profile, &[]).expect(0)["changed"], 0);
    assert_eq!(specifications(&cluster), before);
    cluster.finish();
}

/// Each object with its generation or, where its kind has none, its resourceVersion; status is not compared.
fn specifications(cluster: &Cluster) -> Vec<String> {
    let namespaced = ["-n", "cert-manager", "get", KINDS, "-o", "json"];
    let global = ["get", CLUSTER_KINDS, "-o", "json"];
    let mut found = Vec::new();
    for arguments in [&namespaced[..], &global[..]] {
        let list: Value = serde_json::from_str(&cluster.kubectl(arguments, None)).unwrap();
        for object in list["items"].as_array().unwrap() {
            let metadata = &object["metadata"];
            let name = metadata["name"].as_str().unwrap();
            if !name.contains("cert-manager") {
                continue;
            }
            let version = match &metadata["generation"] {
                Value::Null => metadata["resourceVersion"].clone(),
                generation => generation.clone(),
            };
            let labels = &metadata["labels"];
            found.push(format!("{} {name} {version} {labels}", object["kind"]));
        }
    }
    found
}

fn waited_for_the_webhook(ended: &Ended) {
    let document = ended.document();
    assert_eq!(document["outcome"], "ok");
    let proof = document["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| {
            step["id"] == "webhook/actions-runner-system/actions-runner-controller-webhook"
        })
        .unwrap();
    assert!(proof["seconds"].as_f64().unwrap() > 15.0, "{proof}");
    // Which of the two pods was asked makes no new reason.
    let address = regex::Regex::new(r"10\.244\.\d+\.\d+").unwrap();
    let waits: Vec<_> = ended
        .stderr
        .lines()
        .filter(|line| line.contains("webhook/actions-runner-system") && line.contains("refused"))
        .map(|line| address.replace_all(line, "ADDRESS"))
        .collect();
    assert!(!waits.is_empty(), "{}", ended.stderr);
    let repeated = waits.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(repeated, None, "the same reason twice: {waits:#?}");
    // Nothing is silent for 15 s (DESIGN 2): the heartbeat repeats the reason.
    assert!(
        waits.iter().any(|line| line.starts_with('…')),
        "{}",
        ended.stderr
    );
}

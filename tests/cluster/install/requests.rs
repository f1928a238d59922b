//! What a run asks of the API server, counted by the proxy before it.

use arcctl_sandbox::proxy::{Record, System};
use serde_json::{Value, json};

use crate::harness::cluster::Cluster;

const SYSTEM: &str = "actions-runner-system";
const CONTROLLER: &str = "actions-runner-controller";

/// The requests that `run` makes.
fn requests(cluster: &Cluster, run: impl FnOnce()) -> Vec<Record> {
    let proxy = cluster.world().proxy(System::Kubernetes).unwrap();
    proxy.reset_counts();
    run();
    proxy.requests()
}

/// How many bytes of release records were read.
fn record_bytes(requests: &[Record]) -> usize {
    let is_record = |it: &&Record| {
        it.method == "GET" && it.path.contains("/secrets?") && it.path.contains("owner%3Dhelm")
    };
    let found: Vec<&Record> = requests.iter().filter(is_record).collect();
    assert!(!found.is_empty(), "no release record was read");
    found.iter().map(|it| it.bytes).sum()
}

/// Older revisions of the controller's release, as helm keeps them.
fn add_older_revisions(cluster: &Cluster, count: usize) {
    let list = cluster.kubectl(
        &[
            "-n",
            SYSTEM,
            "get",
            "secrets",
            "-l",
            &format!("owner=helm,name={CONTROLLER}"),
            "-o",
            "json",
        ],
        None,
    );
    let list: Value = serde_json::from_str(&list).unwrap();
    let mut older = list["items"][0].clone();
    for number in 0..count {
        let labels = older["metadata"]["labels"].clone();
        older["metadata"] = json!({
            "namespace": SYSTEM,
            "name": format!("sh.helm.release.v1.{CONTROLLER}.v0{number}"),
            "labels": labels,
        });
        older["metadata"]["labels"]["version"] = json!("0");
        older["metadata"]["labels"]["status"] = json!("superseded");
        cluster.kubectl(&["create", "-f", "-"], Some(&older.to_string()));
    }
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_is_large_is_sent_once_and_only_the_newest_revision_is_read() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let fresh = requests(&cluster, || {
        let _installed = cluster.up(&profile, &[]).expect(0);
    });
    let mut sent: Vec<&str> = fresh
        .iter()
        .filter(|it| it.method == "PATCH" && it.path.contains("/customresourcedefinitions/"))
        .map(|it| it.path.split('?').next().unwrap())
        .collect();
    sent.sort_unstable();
    let times = sent.len();
    sent.dedup();
    assert_eq!(sent.len(), 11, "{sent:#?}");
    assert_eq!(
        times,
        sent.len(),
        "a CRD is sent more than once: {fresh:#?}"
    );

    let unchanged = || {
        let again = cluster.up(&profile, &[]).expect(0);
        assert_eq!(again["changed"], 0);
        assert_eq!(again["requests"]["helm"], 0);
    };
    let one = record_bytes(&requests(&cluster, unchanged));
    add_older_revisions(&cluster, 4);
    let five = record_bytes(&requests(&cluster, unchanged));
    // The metadata of all of them is read to see whose they are.
    assert!(
        five < one + 10_000,
        "{one} bytes with one revision, {five} with five"
    );

    // A crash of helm may leave the newest one superseded: it is the newest all the same.
    let newest = format!("secret/sh.helm.release.v1.{CONTROLLER}.v1");
    cluster.kubectl(
        &[
            "-n",
            SYSTEM,
            "label",
            "--overwrite",
            &newest,
            "status=superseded",
        ],
        None,
    );
    let planned = cluster.plan(&profile, &[]);
    let _planned = planned.expect(0);
    assert!(
        planned
            .planned()
            .contains("status: \"superseded\" -> \"deployed\""),
        "{}",
        planned.planned()
    );
    cluster.finish();
}

const CRDS: &str = "crds/-/actions-runner-controller";
const CRD: &str = "runners.actions.summerwind.dev";

/// More than the metadata of a CRD has, and less than all of it.
const METADATA: usize = 20_000;

/// The CRDs that were read whole.
fn read_whole(requests: &[Record]) -> Vec<&str> {
    let reads = requests.iter().filter(|it| it.method == "GET");
    let names = reads.filter_map(|it| {
        let (_, name) = it.path.split_once("/customresourcedefinitions/")?;
        Some((name.split('?').next()?, it.bytes))
    });
    let names: Vec<(&str, usize)> = names.collect();
    assert!(names.len() >= 11, "not every CRD was read: {names:#?}");
    let whole = names.into_iter().filter(|it| it.1 > METADATA);
    whole.map(|it| it.0).collect()
}

/// `kubectl patch`: a field of a runner is removed from the CRD, or put back.
fn patch_crd(cluster: &Cluster, patch: &Value) {
    let patch = json!([patch]).to_string();
    cluster.kubectl(&["patch", "crd", CRD, "--type=json", "-p", &patch], None);
}

/// The metadata of a CRD is enough as long as its spec was not changed since it was read whole.
#[test]
#[ignore = "slow: `make test-slow`"]
fn no_crd_is_read_whole_twice_and_a_change_by_hand_is_seen() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let _installed = cluster.up(&profile, &[]).expect(0);
    let unchanged = || {
        let again = cluster.up(&profile, &[]).expect(0);
        assert_eq!(again["changed"], 0);
        assert_eq!(again["requests"]["kubernetes"]["writes"], 0);
    };
    assert_eq!(read_whole(&requests(&cluster, unchanged)), [""; 0]);

    let live = cluster.get("crd", "default", CRD);
    let fields = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let fields_there = live.pointer(fields).and_then(Value::as_object).unwrap();
    let (field, schema) = fields_there.iter().next().unwrap();
    let path = format!("{fields}/{field}");
    let remove = json!({"op": "remove", "path": path});
    patch_crd(&cluster, &remove);
    let plan = cluster.plan(&profile, &["--detailed-exitcode"]);
    assert_eq!(plan.code, 2, "{}", plan.stderr);
    let planned = plan.planned();
    assert!(planned.contains(&format!("{CRD}.spec")), "{planned}");
    let mended = cluster.up(&profile, &[]);
    assert_eq!(mended.expect(0)["changed"], 1);
    assert_eq!(mended.changed(), [CRDS]);
    let live = cluster.get("crd", "default", CRD);
    assert_eq!(live.pointer(&path), Some(schema));
    assert_eq!(read_whole(&requests(&cluster, unchanged)), [""; 0]);

    // Changed and put back: the spec is as wanted, but only a whole read can tell, and a run without changes records nothing.
    patch_crd(&cluster, &remove);
    patch_crd(
        &cluster,
        &json!({"op": "add", "path": path, "value": schema}),
    );
    for _ in 0..2 {
        assert_eq!(read_whole(&requests(&cluster, unchanged)), [CRD]);
    }
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn the_charts_of_missing_releases_are_downloaded_at_the_same_time() {
    let cluster = Cluster::with_faults(&["charts:delay=2s"]);
    let profile = cluster.profile("arcctl", &[]);
    let charts = cluster.world().proxy(System::Charts).unwrap();
    let asked = || -> Vec<String> { charts.requests().into_iter().map(|it| it.path).collect() };
    let _planned = cluster.plan(&profile, &[]).expect(0);
    let planned = asked();
    assert_eq!(
        planned.len(),
        4,
        "an index and a package for each: {planned:#?}"
    );
    // One after the other the second would be a package.
    for path in &planned[..2] {
        assert!(path.ends_with("/index.yaml"), "{planned:#?}");
    }
    cluster.finish();
}

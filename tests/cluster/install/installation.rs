//! The life of one installation: planned, fresh, unchanged, changed, drifted.

use std::path::Path;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::cluster::{Cluster, settled};

const RELEASE: &str = "helm-release/actions-runner-system/actions-runner-controller";
const AUTOSCALER: &str = "horizontal-runner-autoscaler/actions-runner/basic";
const SYSTEM: &str = "actions-runner-system";
const CONTROLLER: &str = "actions-runner-controller";

#[test]
fn an_installation_from_nothing_to_unchanged_changed_and_drifted() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    planned_before_anything_is_there(&cluster, &profile);
    a_bad_token_is_refused_before_the_first_write(&cluster, &profile);
    fresh(&cluster, &profile);
    unchanged(&cluster, &profile);
    what_status_says(&cluster, &profile);
    what_controllers_own_is_no_drift(&cluster, &profile);
    one_value_of_the_profile_changed(&cluster);
    drift_is_shown_and_mended(&cluster, &profile);
    cluster.finish();
}

fn planned_before_anything_is_there(cluster: &Cluster, profile: &Path) {
    let file = profile.to_str().unwrap();
    let human = cluster.arcctl(&["plan", "-f", file]);
    assert_eq!(human.code, 0, "{}", human.stderr);
    assert_snapshot!("plan_of_a_bare_cluster", settled(&human.stdout));
    assert_snapshot!("plan_of_a_bare_cluster_stderr", settled(&human.stderr));

    let plan = cluster.plan(profile, &["--detailed-exitcode"]).expect(2);
    assert_eq!(plan["schema"], "arcctl.plan/v1");
    assert_eq!(plan["profile"], "dogecompany");
    assert_eq!(plan["error"], json!(null));
    let changes = &plan["changes"];
    assert_eq!(
        keys(changes),
        ["create", "delete", "keep", "later", "update"]
    );
    assert_eq!(changes["create"], 10);
    assert_eq!(
        (&changes["update"], &changes["delete"]),
        (&json!(0), &json!(0))
    );
    for step in plan["steps"].as_array().unwrap() {
        assert_eq!(
            keys(step),
            ["action", "differences", "id", "kind", "name", "phase"],
            "{step}"
        );
        let id = step["id"].as_str().unwrap();
        assert_eq!(id.split('/').next(), step["kind"].as_str());
        assert_eq!(id.rsplit('/').next(), step["name"].as_str());
    }
    assert_eq!(cluster.kubernetes_writes(), 0, "a plan wrote");
}

fn a_bad_token_is_refused_before_the_first_write(cluster: &Cluster, profile: &Path) {
    let file = profile.to_str().unwrap();
    let arguments = ["up", "-f", file, "--yes", "-o", "json"];
    let bad = cluster.arcctl_with(&arguments, &[("ARCCTL_GITHUB_TOKEN", "ghp_0123wrong4567")]);
    assert_eq!(bad.expect(4)["outcome"], "unauthorized");
    assert_snapshot!("a_bad_token", bad.failure());
    assert_eq!(cluster.kubernetes_writes(), 0);
    let namespaces = cluster.kubectl(&["get", "namespaces", "-o", "name"], None);
    assert!(!namespaces.contains("actions-runner"), "{namespaces}");
}

fn fresh(cluster: &Cluster, profile: &Path) {
    let ended = cluster.up(profile, &["-vv"]);
    let fresh = ended.expect(0);
    assert_eq!(fresh["schema"], "arcctl.run/v1");
    assert_eq!(fresh["outcome"], "ok");
    assert_eq!(fresh["changed"], 10);
    assert_eq!(fresh["error"], json!(null));
    assert_eq!(
        keys(&fresh),
        [
            "changed", "error", "outcome", "pauses", "profile", "requests", "schema", "seconds",
            "steps"
        ]
    );
    assert_eq!(
        keys(&fresh["requests"]),
        ["aws", "github", "helm", "kubernetes"]
    );
    for step in fresh["steps"].as_array().unwrap() {
        assert_eq!(step["outcome"], "ok", "{step}");
    }
    // `-v` logs before it.
    let is_logged = |line: &&str| line.contains("Z info ") || line.contains("Z debug ");
    let mut lines = ended.stderr.lines().skip_while(is_logged);
    let first = lines.next().unwrap();
    assert!(
        first.starts_with("profile dogecompany on cluster https://"),
        "{first}"
    );
    assert!(
        first.contains("enterprise dogecompany at http://"),
        "{first}"
    );
    let online = cluster.world().github().runners();
    assert_eq!(online.iter().filter(|it| it.online).count(), 2);
    cluster.assert_secret_is(&cluster.tokens()[0]);
    let inventory = cluster.get("configmap", SYSTEM, "arcctl-dogecompany");
    let owned: Vec<String> =
        serde_json::from_str(inventory["data"]["resources"].as_str().unwrap()).unwrap();
    let mut created = ended.changed();
    // Those that are there before there is a namespace to keep an inventory in belong to it, too.
    created.retain(|id| !owned.contains(id));
    assert_eq!(created, Vec::<String>::new(), "not in the inventory");
    let lease = cluster.get("lease", SYSTEM, "arcctl-dogecompany");
    assert_eq!(lease["spec"]["holderIdentity"], "");
}

fn unchanged(cluster: &Cluster, profile: &Path) {
    let writes = cluster.kubernetes_writes();
    let unchanged = cluster.up(profile, &[]).expect(0);
    assert_eq!(unchanged["outcome"], "ok");
    assert_eq!(unchanged["changed"], 0);
    assert_eq!(unchanged["requests"]["kubernetes"]["writes"], 0);
    assert_eq!(unchanged["requests"]["helm"], 0);
    let plan = cluster.plan(profile, &["--detailed-exitcode"]).expect(0);
    assert_eq!(
        plan["changes"]["keep"],
        plan["steps"].as_array().unwrap().len()
    );
    assert_eq!(
        cluster.kubernetes_writes(),
        writes,
        "the proxy counted a write"
    );
}

fn what_status_says(cluster: &Cluster, profile: &Path) {
    let file = profile.to_str().unwrap();
    let status = cluster
        .arcctl(&["status", "-f", file, "-o", "json"])
        .expect(0);
    assert_eq!(
        keys(&status),
        [
            "certificate",
            "error",
            "pools",
            "profile",
            "releases",
            "schema"
        ]
    );
    assert_eq!(status["schema"], "arcctl.status/v1");
    let release =
        |name: &str, version: &str| json!({"name": name, "version": version, "status": "deployed"});
    assert_eq!(
        status["releases"],
        json!([
            release("cert-manager/cert-manager", "v1.21.1"),
            release("actions-runner-system/actions-runner-controller", "0.23.7"),
        ])
    );
    assert_eq!(status["certificate"]["ready"], true);
    let until = status["certificate"]["notAfter"].as_str().unwrap();
    assert!(until.parse::<jiff::Timestamp>().unwrap() > jiff::Timestamp::now());
    the_pool_is_full(&status["pools"][0]);

    let runner = cluster.world().github().runners()[0].id;
    cluster.world().github().set_runner(runner, true, true);
    let status = cluster
        .arcctl(&["status", "-f", file, "-o", "json"])
        .expect(0);
    assert_eq!(status["pools"][0]["busy"], 1);
    cluster.world().github().set_runner(runner, true, false);
}

fn the_pool_is_full(pool: &Value) {
    assert_eq!(
        keys(pool),
        [
            "busy",
            "desired",
            "max",
            "min",
            "mode",
            "name",
            "registered",
            "runner",
            "running",
            "schedule"
        ]
    );
    for (key, value) in [
        ("min", 2),
        ("max", 16),
        ("desired", 2),
        ("running", 2),
        ("registered", 2),
        ("busy", 0),
    ] {
        assert_eq!(pool[key], value, "{key} of {pool}");
    }
    let schedule = &pool["schedule"];
    assert_eq!(keys(schedule), ["active", "next", "timeZone"]);
    assert_eq!(schedule["timeZone"], "Asia/Seoul");
    assert_eq!(schedule["active"], json!(null));
    assert_eq!(schedule["next"]["window"], "distant");
    assert_eq!(schedule["next"]["min"], 1);
}

fn what_controllers_own_is_no_drift(cluster: &Cluster, profile: &Path) {
    let by_the_controller = |kind: &str, patch: &Value| {
        let patch = patch.to_string();
        let arguments = ["-n", "actions-runner", "patch", kind, "basic"];
        let more = [
            "--field-manager",
            "manager",
            "--type",
            "merge",
            "-p",
            &patch,
        ];
        cluster.kubectl(&[&arguments[..], &more[..]].concat(), None);
    };
    // The autoscaler writes these two.
    let scaled = json!({"spec": {"replicas": 3, "effectiveTime": "2026-11-01T00:00:00Z"}});
    by_the_controller("runnerdeployment", &scaled);
    // Whatever writes the autoscaler's spec as a Go type writes its times in UTC (reference: arc.md 2.2).
    let hra = cluster.get("horizontalrunnerautoscaler", "actions-runner", "basic");
    let mut overrides = hra["spec"]["scheduledOverrides"].clone();
    for time in ["startTime", "endTime"] {
        let at: jiff::Timestamp = overrides[0][time].as_str().unwrap().parse().unwrap();
        overrides[0][time] = json!(at.to_string());
    }
    assert_ne!(
        overrides, hra["spec"]["scheduledOverrides"],
        "it was UTC already"
    );
    let rewritten = json!({"spec": {"scheduledOverrides": overrides}});
    by_the_controller("horizontalrunnerautoscaler", &rewritten);
    let webhooks = cluster.get(
        "validatingwebhookconfiguration",
        "default",
        "actions-runner-controller-validating-webhook-configuration",
    );
    let bundle = &webhooks["webhooks"][0]["clientConfig"]["caBundle"];
    assert!(bundle.is_string(), "cainjector gave no CA: {webhooks}");
    let plan = cluster.plan(profile, &["--detailed-exitcode"]);
    assert_eq!((plan.code, plan.planned()), (0, String::new()));
}

fn one_value_of_the_profile_changed(cluster: &Cluster) {
    let more = cluster.profile("more", &[("max: 16", "max: 12")]);
    assert_snapshot!("a_lower_maximum", cluster.plan(&more, &[]).planned());
    let ended = cluster.up(&more, &[]);
    assert_eq!(ended.expect(0)["changed"], 1);
    assert_eq!(ended.changed(), [AUTOSCALER]);
    let hra = cluster.get("horizontalrunnerautoscaler", "actions-runner", "basic");
    assert_eq!(hra["spec"]["maxReplicas"], 12);

    let edits = [("max: 16", "max: 12"), ("syncPeriod: 1m", "syncPeriod: 2m")];
    let slower = cluster.profile("slower", &edits);
    assert_snapshot!("a_longer_sync_period", cluster.plan(&slower, &[]).planned());
    let ended = cluster.up(&slower, &[]);
    assert_eq!(ended.expect(0)["changed"], 1);
    assert_eq!(ended.changed(), [RELEASE]);
}

fn drift_is_shown_and_mended(cluster: &Cluster, profile: &Path) {
    assert_eq!(cluster.up(profile, &[]).expect(0)["changed"], 2);
    let patch = r#"{"spec": {"maxReplicas": 3}}"#;
    let arguments = ["-n", "actions-runner", "patch", "hra", "basic"];
    cluster.kubectl(
        &[&arguments[..], &["--type", "merge", "-p", patch]].concat(),
        None,
    );
    let deployment = format!("deployment/{CONTROLLER}");
    let scale = ["-n", SYSTEM, "scale", &deployment, "--replicas=1"];
    cluster.kubectl(&scale, None);
    let image = "manager=summerwind/actions-runner-controller:canary";
    cluster.kubectl(&["-n", SYSTEM, "set", "image", &deployment, image], None);
    let service = "actions-runner-controller-webhook";
    cluster.kubectl(&["-n", SYSTEM, "delete", "service", service], None);

    let plan = cluster.plan(profile, &["--detailed-exitcode"]);
    assert_eq!(plan.code, 2, "{}", plan.stderr);
    assert_snapshot!("drift", plan.planned());
    let mended = cluster.up(profile, &[]);
    assert_eq!(mended.expect(0)["changed"], 2);
    assert_eq!(mended.changed(), [RELEASE, AUTOSCALER]);
    let live = cluster.get("deployment", SYSTEM, CONTROLLER);
    assert_eq!(live["spec"]["replicas"], 2);
    let image = live["spec"]["template"]["spec"]["containers"][0]["image"]
        .as_str()
        .unwrap();
    assert!(!image.contains("canary"), "{image}");
    cluster.get("service", SYSTEM, service);
    assert_eq!(cluster.up(profile, &[]).expect(0)["changed"], 0);
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

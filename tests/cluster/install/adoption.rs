//! An installation created by hand, as in the blog: an error, and adopted with `--adopt`.

use std::{collections::BTreeMap, path::Path};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::cluster::{Cluster, settled};

const SYSTEM: &str = "actions-runner-system";

#[test]
fn a_hand_made_installation_is_refused_and_adopted() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    install_by_hand(&cluster, &cluster.tokens()[0]);
    cluster.kubectl(&["apply", "-f", "-"], Some(RUNNERS));
    another_autoscaler(&cluster);
    let before = everything(&cluster);
    refused(&cluster, &profile);
    assert_eq!(
        everything(&cluster),
        before,
        "a refused run changed something"
    );
    planned(&cluster, &profile);
    adopted(&cluster, &profile);
    rolled(&cluster, &profile);
    watched(&cluster, &profile);
    cluster.finish();
}

/// The commands of the blog but for the runners, with its versions and values: the token is among them.
pub(crate) fn install_by_hand(cluster: &Cluster, token: &str) {
    let environment = cluster.world().environment();
    let github = &environment["ARCCTL_SANDBOX_GITHUB_URL"];
    let charts = cluster.charts_url();
    let install = |name: &str, namespace: &str, version: &str, values: &Value| {
        let arguments = [
            "upgrade",
            "--install",
            name,
            name,
            "--repo",
            &charts,
            "--version",
        ];
        let more = [
            version,
            "-n",
            namespace,
            "--create-namespace",
            "--wait",
            "-f",
            "-",
        ];
        cluster.helm(
            &[&arguments[..], &more[..]].concat(),
            Some(&values.to_string()),
        );
    };
    let values = json!({"installCRDs": true});
    install("cert-manager", "cert-manager", "v1.12.0", &values);
    let values = json!({
        "githubEnterpriseServerURL": github,
        "authSecret": {"create": true, "github_token": token},
    });
    install("actions-runner-controller", SYSTEM, "0.23.3", &values);
    cluster.kubectl(&["create", "namespace", "actions-runner"], None);
    cluster.webhook_serves();
}

pub(crate) const RUNNERS: &str = "
apiVersion: actions.summerwind.dev/v1alpha1
kind: RunnerDeployment
metadata: {name: basic, namespace: actions-runner}
spec:
  template:
    spec:
      enterprise: dogecompany
      group: Default
      image: summerwind/actions-runner:v2.306.0-ubuntu-22.04
      labels: [t3a.large, ubuntu-20.04]
---
apiVersion: actions.summerwind.dev/v1alpha1
kind: HorizontalRunnerAutoscaler
metadata: {name: basic, namespace: actions-runner}
spec:
  scaleTargetRef: {kind: RunnerDeployment, name: basic}
  minReplicas: 1
  maxReplicas: 4
  metrics:
  - {type: PercentageRunnersBusy, scaleUpThreshold: '0.75', scaleDownThreshold: '0.25'}
";

/// Kind, name and resourceVersion of what a run could have changed. What controllers write all the time is left out.
fn everything(cluster: &Cluster) -> Vec<String> {
    let kinds = "namespaces,deployments,services,serviceaccounts,secrets,configmaps,\
                 customresourcedefinitions,validatingwebhookconfigurations,\
                 mutatingwebhookconfigurations,certificates.cert-manager.io,issuers.cert-manager.io";
    let format = "jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} \
                  {.metadata.resourceVersion}{\"\\n\"}{end}";
    let text = cluster.kubectl(&["get", kinds, "-A", "-o", format], None);
    text.lines().map(str::to_owned).collect()
}

fn refused(cluster: &Cluster, profile: &Path) {
    let ended = cluster.up(profile, &[]);
    let document = ended.expect(7);
    assert_eq!(document["outcome"], "refused");
    assert_snapshot!("hand_made_refused", ended.failure());
    let message = document["error"]["message"].as_str().unwrap();
    for foreign in [
        "helm-release/actions-runner-system/actions-runner-controller",
        "secret/actions-runner-system/controller-manager",
        "runner-deployment/actions-runner/basic",
        "horizontal-runner-autoscaler/actions-runner/basic",
        "HorizontalRunnerAutoscaler `test-basic-runner-autoscaler` scales the runners of pool `basic`",
    ] {
        assert!(
            message.contains(foreign),
            "`{foreign}` is not named: {message}"
        );
    }
}

/// The blog's autoscaler has another name than its `RunnerDeployment`: beside arcctl's it would go on scaling.
fn another_autoscaler(cluster: &Cluster) {
    let rival = RUNNERS
        .split("---")
        .nth(1)
        .unwrap()
        .replace("{name: basic, n", "{name: test-basic-runner-autoscaler, n");
    cluster.kubectl(&["apply", "-f", "-"], Some(&rival));
}

fn autoscalers(cluster: &Cluster) -> String {
    let arguments = ["-n", "actions-runner", "get", "hra", "-o", "name"];
    cluster.kubectl(&arguments, None)
}

/// A line for each change, and the exit code of an interruption for whoever ends it.
fn watched(cluster: &Cluster, profile: &Path) {
    let file = profile.to_str().unwrap();
    let mut watch =
        cluster.arcctl_in_background(&["status", "-f", file, "--watch", "--pool", "basic"]);
    watch.wait_for_result("min 2");
    let maximum = r#"{"spec":{"minReplicas":3}}"#;
    let patch = [
        "-n",
        "actions-runner",
        "patch",
        "hra",
        "basic",
        "--type=merge",
        "-p",
        maximum,
    ];
    cluster.kubectl(&patch, None);
    watch.wait_for_result("  basic: desired 2 -> 3");
    watch.interrupt();
    let ended = watch.end();
    assert_eq!(
        (ended.code, ended.stdout.matches("POOL").count()),
        (130, 1),
        "{}",
        ended.stdout
    );
    let unknown = cluster.arcctl(&["status", "-f", file, "--pool", "basik"]);
    assert_eq!(unknown.code, 64, "{}", unknown.stderr);
}

fn planned(cluster: &Cluster, profile: &Path) {
    let refused = cluster.plan(profile, &[]);
    assert_eq!(refused.expect(7)["error"]["code"], 7);
    let plan = cluster.plan(profile, &["--adopt", "--detailed-exitcode"]);
    assert_eq!(plan.code, 2, "{}", plan.stderr);
    assert_snapshot!("hand_made_planned", plan.planned());
    let human = cluster.arcctl(&["plan", "-f", profile.to_str().unwrap(), "--adopt"]);
    let secret = human.stdout.split("update  secret/").nth(1);
    let secret: Vec<&str> = secret.unwrap_or_default().lines().take(2).collect();
    assert!(
        secret.join(" ").contains("taken over (--adopt)"),
        "{}",
        human.stdout
    );
    // What goes is shown whole, for whoever wants it again.
    let rival = human
        .stdout
        .split("delete  horizontal-runner-autoscaler/actions-runner/test-basic-runner-autoscaler")
        .nth(1)
        .unwrap_or_else(|| panic!("{}", human.stdout));
    assert!(
        rival.contains(
            "to have it again:\n              apiVersion: actions.summerwind.dev/v1alpha1\n"
        ),
        "{rival}"
    );
    assert!(
        rival.contains("maxReplicas: 4") && !rival.contains("uid:"),
        "{rival}"
    );
}

/// The pods that run, by their ids.
fn pods(cluster: &Cluster) -> BTreeMap<String, String> {
    let format = "jsonpath={range .items[*]}{.metadata.uid} {.metadata.name}{\"\\n\"}{end}";
    let text = cluster.kubectl(&["get", "pods", "-A", "-o", format], None);
    text.lines()
        .filter_map(|it| it.split_once(' '))
        .map(|(id, name)| (id.to_owned(), name.to_owned()))
        .collect()
}

fn template(cluster: &Cluster) -> Value {
    cluster.get("runnerdeployment", "actions-runner", "basic")["spec"]["template"].clone()
}

/// Taken over as it is: nothing is started anew, and what would be is told by its name.
fn adopted(cluster: &Cluster, profile: &Path) {
    let uid = |cluster: &Cluster| {
        cluster.get("secret", SYSTEM, "controller-manager")["metadata"]["uid"].clone()
    };
    let (secret, before, runners) = (uid(cluster), pods(cluster), template(cluster));
    assert!(before.len() >= 4, "{before:?}");
    let ended = cluster.up(profile, &["--adopt"]);
    assert_eq!(ended.expect(0)["outcome"], "ok");
    let after = pods(cluster);
    for (id, name) in &before {
        assert!(after.contains_key(id), "pod {name} is another one now");
    }
    assert_eq!(template(cluster), runners);
    let lines: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|it| it.contains("taken over as it is"))
        .collect();
    let of = |id: &str| {
        *lines
            .iter()
            .find(|it| it.contains(id))
            .unwrap_or_else(|| panic!("{}", ended.stderr))
    };
    assert!(
        of("helm-release/actions-runner-system")
            .contains("restarts the pods of release `actions-runner-controller`"),
        "{lines:#?}"
    );
    let replaced = of("runner-deployment/actions-runner/basic");
    assert!(
        replaced.contains("replaces 1 runner (`basic-") && replaced.contains("none has a job"),
        "{replaced}"
    );
    assert_eq!(
        autoscalers(cluster).trim(),
        "horizontalrunnerautoscaler.actions.summerwind.dev/basic"
    );
    let hra = cluster.get("horizontalrunnerautoscaler", "actions-runner", "basic");
    assert_eq!(hra["spec"]["maxReplicas"], 16);
    assert_eq!(
        uid(cluster),
        secret,
        "the Secret was deleted and made again"
    );
    let again = cluster.up(profile, &["--adopt"]).expect(0);
    assert_eq!(again["changed"], 0, "{again:#}");
    assert_eq!(again["requests"]["kubernetes"]["writes"], 0);
    assert_eq!(template(cluster), runners);
}

/// The next plain run makes it as the profile says; a runner that has a job ends it.
fn rolled(cluster: &Cluster, profile: &Path) {
    let github = cluster.world().github();
    let busy = github.runners()[0].clone();
    github.set_runner(busy.id, true, true);
    let working = pods(cluster)
        .into_iter()
        .find(|(_, name)| *name == busy.name);
    let (working, _) = working.unwrap_or_else(|| panic!("no pod of runner {}", busy.name));
    let human = cluster.arcctl(&["plan", "-f", profile.to_str().unwrap()]);
    assert_eq!(human.code, 0, "{}", human.stderr);
    assert_snapshot!(
        "taken_over_and_not_changed",
        without_version(&settled(&human.stdout))
    );
    let ended = cluster.up(profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert!(pods(cluster).contains_key(&working), "a job was ended");
    github.set_runner(busy.id, true, false);
    cluster.assert_secret_is(&cluster.tokens()[0]);
    // The revision made by hand had the token in its values.
    for (name, record) in cluster.release_records("owner=helm,name=actions-runner-controller") {
        assert!(
            !record.contains(&cluster.tokens()[0]),
            "the token is in {name}"
        );
    }
    let runners = template(cluster);
    let labels = &runners["spec"]["labels"];
    assert!(!labels.to_string().contains("ubuntu-20.04"), "{labels}");
    let file = profile.to_str().unwrap();
    let status = cluster
        .arcctl(&["status", "-f", file, "-o", "json"])
        .expect(0);
    let registered = status["pools"][0]["registered"].as_u64();
    assert!(registered >= Some(2), "{status:#}");

    let again = cluster.up(profile, &[]).expect(0);
    assert_eq!(again["changed"], 0, "{again:#}");
    assert_eq!(again["requests"]["kubernetes"]["writes"], 0);
    assert_eq!(again["requests"]["helm"], 0);
}

/// The version of the Secret differs from run to run.
fn without_version(text: &str) -> String {
    let version = regex::Regex::new(r#"secret-version":"\d+""#).unwrap();
    version
        .replace_all(text, r#"secret-version":"N""#)
        .into_owned()
}

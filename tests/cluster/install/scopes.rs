//! Other users of the cluster, and company rules: names of namespaces and releases, controllers of other teams,
//! organizations with their own credentials, and ephemeral runners.

use std::path::{Path, PathBuf};

use arcctl_sandbox::github::{Owner, Token};
use serde_json::{Value, json};

use crate::{
    doctor::cases::Elsewhere,
    harness::cluster::{Cluster, Ended, settled},
    harness::waiting::until,
    teardown::{at_github, settled_objects},
};

const POOL: &str = "  - name: basic\n";
const CONTROLLER: &str = "controller:\n  chartVersion: \"0.23.7\"\n  replicas: 2\n";
const ONE: &str = "controller:\n  chartVersion: \"0.23.7\"\n  replicas: 1\n";

/// What the second team has: a release that looks at one namespace, or at all.
fn other_team(cluster: &Cluster, release: &str, watched: Option<&str>) {
    // Theirs, not the one of the profile, which must be in no object but arcctl's own.
    let token = cluster.world().github().add_token(Token::administrator());
    for namespace in ["team-system", "team-runners"] {
        let manifest =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        cluster.kubectl(&["apply", "-f", "-"], Some(&manifest.to_string()));
    }
    let mut values = json!({
        "replicaCount": 1,
        "githubEnterpriseServerURL": cluster.world().github().url(),
        "authSecret": {"enabled": true, "create": true, "name": "team", "github_token": token},
    });
    if let Some(watched) = watched {
        values["scope"] = json!({"singleNamespace": true, "watchNamespace": watched});
    }
    let arguments = [
        "upgrade",
        "--install",
        release,
        "actions-runner-controller",
        "--repo",
        &cluster.charts_url(),
        "--version",
        "0.23.7",
        "--namespace",
        "team-system",
        "--skip-crds",
        "--values",
        "-",
    ];
    cluster.helm(&arguments, Some(&values.to_string()));
}

fn nothing_to_do(cluster: &Cluster, profile: &Path) {
    let writes = cluster.kubernetes_writes();
    let again = cluster.up(profile, &[]);
    let document = again.expect(0);
    assert_eq!(document["changed"], 0, "{document:#}");
    assert_eq!(document["requests"]["helm"], 0, "{document:#}");
    assert_eq!(cluster.kubernetes_writes(), writes);
}

fn doctor(cluster: &Cluster, profile: &Path) -> Ended {
    cluster.arcctl(&["doctor", "-f", profile.to_str().unwrap(), "-o", "json"])
}

fn verdict(document: &Value, id: &str) -> String {
    let checks = document["checks"].as_array().unwrap();
    let check = checks.iter().find(|it| it["id"] == id).unwrap();
    check["verdict"].as_str().unwrap().to_owned()
}

fn prescribed(cluster: &Cluster, watch: bool) -> PathBuf {
    let watch = if watch {
        "  watchNamespace: ci-runners\n"
    } else {
        ""
    };
    let controller = format!("{ONE}  namespace: ci-system\n  release: ci\n{watch}");
    let pool = format!("{POOL}    namespace: ci-runners\n");
    cluster.profile("prescribed", &[(CONTROLLER, &controller), (POOL, &pool)])
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn prescribed_names_are_installed_left_alone_and_taken_away() {
    let cluster = Cluster::fast();
    // The company made one of them, with a mark of its own.
    let own = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "ci-runners", "labels": {"cost-center": "42"}}});
    cluster.kubectl(&["create", "-f", "-"], Some(&own.to_string()));
    let before = settled_objects(&cluster, false);
    let profile = prescribed(&cluster, true);
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    nothing_to_do(&cluster, &profile);
    let runners = cluster.kubectl(&["get", "runners", "-A", "-o", "name"], None);
    assert_eq!(runners.lines().count(), 2, "{runners}");
    let namespaces = cluster.kubectl(&["get", "namespaces", "-o", "name"], None);
    assert!(!namespaces.contains("actions-runner"), "{namespaces}");
    let checked = doctor(&cluster, &profile).expect(0);
    assert_eq!(verdict(&checked, "controllers-apart"), "holds");
    let status = cluster.arcctl(&["status", "-f", profile.to_str().unwrap(), "-o", "json"]);
    let pool = &status.expect(0)["pools"][0];
    assert_eq!(
        (&pool["running"], &pool["registered"]),
        (&json!(2), &json!(2))
    );

    // By its name alone: the inventory is where nobody said.
    let gone = cluster.arcctl(&["teardown", "--name", "dogecompany", "--yes", "-o", "json"]);
    assert_eq!(gone.expect(0)["outcome"], "ok");
    let after = settled_objects(&cluster, false);
    let left: Vec<&String> = after
        .keys()
        .filter(|it| !before.contains_key(*it))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
    assert!(after.contains_key("Namespace/-/ci-runners"));
    assert_eq!(at_github(&cluster), []);
    cluster.finish();
}

/// The chart of the blog selects the one namespace by a label that nobody sets: arcctl gives it to its own namespaces, and says
/// that somebody else's lacks it.
#[test]
#[ignore = "slow: `make test-slow`"]
fn the_webhooks_of_an_old_chart_see_the_one_namespace_that_it_watches() {
    let cluster = Cluster::fast();
    let old = ONE.replace("0.23.7", "0.23.3");
    let profile = |name: &str, namespace: &str| {
        let controller = format!("{old}  watchNamespace: {namespace}\n");
        let pool = format!("{POOL}    namespace: {namespace}\n");
        let short = ("controller: 5m,", "controller: 40s,");
        cluster.profile(name, &[(CONTROLLER, &controller), (POOL, &pool), short])
    };
    let theirs =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-runners"}});
    cluster.kubectl(&["create", "-f", "-"], Some(&theirs.to_string()));
    let of_theirs = profile("theirs", "team-runners");
    let told = cluster.up(&of_theirs, &[]).expect(6)["error"].to_string();
    for part in [
        "the label `name=team-runners`, and namespace `team-runners` does not have it",
        "kubectl label namespace team-runners name=team-runners",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let label = ["label", "namespace", "team-runners", "name=team-runners"];
    cluster.kubectl(&label, None);
    assert_eq!(cluster.up(&of_theirs, &[]).expect(0)["outcome"], "ok");
    let file = of_theirs.to_str().unwrap();
    let gone = cluster.arcctl(&["teardown", "-f", file, "--yes", "-o", "json"]);
    assert_eq!(gone.expect(0)["outcome"], "ok");

    let own = profile("own", "ci-runners");
    assert_eq!(cluster.up(&own, &[]).expect(0)["outcome"], "ok");
    nothing_to_do(&cluster, &own);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn another_team_s_controller_for_its_own_namespace_stays_beside() {
    let cluster = Cluster::fast();
    let profile = prescribed(&cluster, true);
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    other_team(&cluster, "team", Some("team-runners"));
    nothing_to_do(&cluster, &profile);
    let checked = doctor(&cluster, &profile).expect(0);
    assert_eq!(verdict(&checked, "controllers-apart"), "holds");
    // Both work: each has the runners of its own namespace.
    let theirs = json!({"apiVersion": "actions.summerwind.dev/v1alpha1", "kind": "RunnerDeployment",
        "metadata": {"name": "theirs", "namespace": "team-runners"},
        "spec": {"replicas": 1, "template": {"spec": {"enterprise": "dogecompany", "image": "summerwind/actions-runner:v2.306.0-ubuntu-22.04"}}}});
    cluster.kubectl(
        &[
            "wait",
            "-n",
            "team-system",
            "deploy",
            "--all",
            "--for=condition=Available",
            "--timeout=5m",
        ],
        None,
    );
    cluster.webhook_serves();
    cluster.kubectl(&["apply", "-f", "-"], Some(&theirs.to_string()));
    cluster.kubectl(
        &[
            "wait",
            "-n",
            "team-runners",
            "runnerdeployment/theirs",
            "--for=jsonpath={.status.availableReplicas}=1",
            "--timeout=5m",
        ],
        None,
    );

    let gone = cluster.arcctl(&[
        "teardown",
        "-f",
        profile.to_str().unwrap(),
        "--yes",
        "-o",
        "json",
    ]);
    assert_eq!(gone.expect(0)["outcome"], "ok");
    let left = cluster.kubectl(&["get", "runners", "-A", "-o", "name"], None);
    assert_eq!(left.lines().count(), 1, "{left}");
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn where_two_controllers_would_meet_the_way_out_is_told() {
    let cluster = Cluster::fast();
    // arcctl was first, and looks everywhere.
    let profile = cluster.profile("arcctl", &[(CONTROLLER, ONE)]);
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    other_team(&cluster, "team", Some("team-runners"));
    // Nobody is locked out: a run goes on, and says it; the doctor has it as its finding.
    let again = cluster.up(&profile, &[]);
    assert_eq!(again.expect(0)["outcome"], "ok");
    assert!(
        again
            .stderr
            .contains("watches namespace `team-runners` too"),
        "{}",
        again.stderr
    );
    assert!(
        again
            .stderr
            .contains("`controller.watchNamespace: actions-runner`"),
        "{}",
        again.stderr
    );
    let checked = doctor(&cluster, &profile).expect(1);
    let apart = Elsewhere::ControllersApart.id();
    assert_eq!(verdict(&checked, apart), "broken");
    // What is advised ends it.
    let advised = format!("{ONE}  watchNamespace: actions-runner\n");
    let advised = cluster.profile("apart", &[(CONTROLLER, &advised)]);
    assert_eq!(cluster.up(&advised, &[]).expect(0)["outcome"], "ok");
    let checked = doctor(&cluster, &advised).expect(0);
    assert_eq!(verdict(&checked, apart), "holds");

    // A second one for every namespace comes.
    other_team(&cluster, "team", None);
    nobody_is_locked_out(&cluster, &profile);

    // Where arcctl's is not there, it is not put beside another: refused, with how to get out.
    let file = profile.to_str().unwrap();
    let gone = cluster.arcctl(&["teardown", "-f", file, "--yes", "-o", "json"]);
    assert_eq!(gone.expect(0)["outcome"], "ok");
    assert_eq!(at_github(&cluster), []);
    let writes = cluster.kubernetes_writes();
    let refused = cluster.up(&profile, &[]);
    assert_eq!(refused.expect(7)["outcome"], "refused");
    insta::assert_snapshot!("a_second_controller_for_all", settled(&refused.failure()));
    assert_eq!(cluster.kubernetes_writes(), writes);

    // Uninstalled with its webhook configurations left: told as that.
    cluster.kubectl(&["delete", "-n", "team-system", "service", "--all"], None);
    let leftover = cluster.up(&profile, &[]);
    assert_eq!(leftover.expect(7)["outcome"], "refused");
    insta::assert_snapshot!("what_a_controller_left", settled(&leftover.failure()));
    cluster.finish();
}

/// Beside a second controller for every namespace that came later, everything goes on: it is said by each run, and the
/// doctor has it as its finding, with the command that ends it.
fn nobody_is_locked_out(cluster: &Cluster, profile: &Path) {
    let available = [
        "deploy",
        "--all",
        "--for=condition=Available",
        "--timeout=60s",
    ];
    cluster.kubectl(
        &[&["wait", "-n", "team-system"], &available[..]].concat(),
        None,
    );
    let is_told = |ended: &Ended| {
        let said = &ended.stderr;
        for part in [
            "(Deployment `team-system/team-actions-runner-controller`, release `team` of helm)",
            "watches every namespace too: both create and delete the runners there",
            "`helm -n team-system uninstall team`",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(
            said.matches("another Actions Runner Controller").count(),
            1,
            "{said}"
        );
    };
    let planned = cluster.plan(profile, &[]);
    planned.expect(0);
    is_told(&planned);
    let again = cluster.up(profile, &[]);
    assert_eq!(again.expect(0)["outcome"], "ok");
    is_told(&again);
    let file = profile.to_str().unwrap();
    let status = cluster.arcctl(&["status", "-f", file, "-o", "json"]);
    assert_eq!(status.expect(0)["pools"][0]["registered"], 2);

    // The credential is rotated, and a pool changed.
    let token = cluster.world().github().add_token(Token::administrator());
    cluster.keep_secret(&token);
    let larger = cluster.profile(
        "larger",
        &[(CONTROLLER, ONE), ("    min: 2\n", "    min: 3\n")],
    );
    let arguments = ["up", "-f", larger.to_str().unwrap(), "--yes", "-o", "json"];
    let rotated = cluster.arcctl_with(&arguments, &[("ARCCTL_GITHUB_TOKEN", &token)]);
    assert_eq!(rotated.expect(0)["outcome"], "ok");
    is_told(&rotated);

    the_other_is_found(cluster, profile);
}

/// The doctor names the one controller that is in the way, and how it goes.
fn the_other_is_found(cluster: &Cluster, profile: &Path) {
    let doctored = doctor(cluster, profile).expect(1);
    assert_eq!(verdict(&doctored, "controllers-apart"), "broken");
    let checks = doctored["checks"].as_array().unwrap();
    let found = checks
        .iter()
        .find(|it| it["id"] == "controllers-apart")
        .unwrap();
    let fix = found["fix"].as_str().unwrap();
    assert!(
        fix.contains("`helm -n team-system uninstall team`"),
        "{fix}"
    );
    let told = found["found"].as_str().unwrap();
    assert_eq!(told.matches("another controller (").count(), 1, "{told}");
}

#[test]
#[ignore = "slow: `make test-slow`"]
#[expect(clippy::too_many_lines, reason = "one story")]
fn two_organizations_have_a_credential_each() {
    let cluster = Cluster::fast();
    let github = cluster.world().github();
    let owners = ["red", "blue"].map(Owner::organization);
    for owner in &owners {
        github.add_owner(owner.clone());
    }
    let token = |owner: &Owner| {
        let token = Token::classic("arc-admin", &["admin:org"]).administering([owner.clone()]);
        let value = github.add_token(token);
        cluster.keep_secret(&value);
        value
    };
    let tokens = owners.each_ref().map(token);
    let pool = |name: &str| {
        format!(
            "  - name: {name}\n    github: {{organization: {name}, token: {{env: TOKEN_{}}}}}\n    image: summerwind/actions-runner:v2.306.0-ubuntu-22.04\n    min: 1\n    max: 1\n",
            name.to_uppercase()
        )
    };
    let pools = format!("pools:\n{}{}", pool("red"), pool("blue"));
    let profile = cluster.profile("two", &[(CONTROLLER, ONE), ("pools:\n", &pools)]);
    let run = |command: &str, red: &str| {
        let arguments = [command, "-f", profile.to_str().unwrap(), "-o", "json"];
        let yes: &[&str] = if ["up", "teardown"].contains(&command) {
            &["--yes"]
        } else {
            &[]
        };
        cluster.arcctl_with(
            &[&arguments, yes].concat(),
            &[("TOKEN_RED", red), ("TOKEN_BLUE", tokens[1].as_str())],
        )
    };
    // The credential of the wrong organization is found out before the first write.
    let refused = run("up", &tokens[1]);
    assert_eq!(refused.expect(4)["outcome"], "unauthorized");
    assert_eq!(cluster.kubernetes_writes(), 0);

    assert_eq!(run("up", &tokens[0]).expect(0)["outcome"], "ok");
    let mut by_owner: Vec<(String, String)> = github
        .runners()
        .into_iter()
        .map(|it| {
            (
                it.owner.to_string(),
                it.name.split('-').next().unwrap().to_owned(),
            )
        })
        .collect();
    by_owner.sort();
    by_owner.dedup();
    let expected = [
        ("enterprises/dogecompany", "basic"),
        ("orgs/blue", "blue"),
        ("orgs/red", "red"),
    ];
    assert_eq!(
        by_owner,
        expected.map(|(owner, name)| (owner.to_owned(), name.to_owned()))
    );
    let writes = cluster.kubernetes_writes();
    assert_eq!(run("up", &tokens[0]).expect(0)["changed"], 0);
    assert_eq!(cluster.kubernetes_writes(), writes);
    let status = run("status", &tokens[0]).expect(0);
    for pool in status["pools"].as_array().unwrap() {
        assert_eq!(pool["registered"], pool["desired"], "{status:#}");
    }
    assert_eq!(run("doctor", &tokens[0]).expect(0)["error"], Value::Null);

    // A changed token reaches the controller without a restart of it.
    let changed = token(&owners[0]);
    let generation = |cluster: &Cluster| {
        let live = cluster.get(
            "deployment",
            "actions-runner-system",
            "actions-runner-controller",
        );
        live["metadata"]["generation"].clone()
    };
    let before = generation(&cluster);
    let rotated = run("up", &changed).expect(0);
    assert_eq!(rotated["changed"], 1, "{rotated:#}");
    assert_eq!(generation(&cluster), before);
    github.revoke(&tokens[0]);

    assert_eq!(run("teardown", &changed).expect(0)["outcome"], "ok");
    assert_eq!(at_github(&cluster), []);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_pool_of_no_runners_gets_one_for_each_job() {
    let cluster = Cluster::fast();
    let metrics = "      metrics:\n        - type: PercentageRunnersBusy\n          scaleUp: {threshold: 0.75, factor: 2}\n          scaleDown: {threshold: 0.25, factor: 0.5}\n";
    let triggers = "      triggers: [{workflowJob: {}, amount: 1, duration: 30m}]\n";
    let profile = cluster.profile(
        "triggers",
        &[
            (CONTROLLER, ONE),
            (metrics, triggers),
            ("    min: 2\n", "    min: 0\n"),
        ],
    );
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    nothing_to_do(&cluster, &profile);
    // A new pool has one runner until the autoscaler has set its size, and so young a runner goes two sync periods later.
    until("no runner is left", || at_github(&cluster).is_empty());
    let secret = cluster.get("secret", "actions-runner-system", "github-webhook-server");
    let token = secret["data"]["github_webhook_secret_token"]
        .as_str()
        .unwrap();
    assert!(token.len() > 80, "64 digits in base64");

    let directory = profile.with_file_name("rendered");
    let ended = cluster.arcctl(&[
        "render",
        directory.to_str().unwrap(),
        "-f",
        profile.to_str().unwrap(),
    ]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let file = "arcctl-smoke.yaml";
    let workflow = std::fs::read_to_string(directory.join(".github/workflows").join(file)).unwrap();
    cluster
        .world()
        .github()
        .commit("dogecompany/app", file, &workflow)
        .unwrap();
    let smoked = cluster.arcctl(&[
        "smoke",
        "-f",
        profile.to_str().unwrap(),
        "--repository",
        "dogecompany/app",
        "-o",
        "json",
    ]);
    assert_eq!(smoked.expect(0)["error"], Value::Null);
    // The same value again, and none of it anywhere else.
    nothing_to_do(&cluster, &profile);
    let again = cluster.get("secret", "actions-runner-system", "github-webhook-server");
    assert_eq!(again["data"], secret["data"]);
    a_webhook_server_that_does_not_run_is_told(&cluster, metrics, triggers);
    cluster.finish();
}

/// A pool at 0 would never get a runner, and nothing else would tell.
fn a_webhook_server_that_does_not_run_is_told(cluster: &Cluster, metrics: &str, triggers: &str) {
    let nowhere =
        format!("{ONE}  values: {{githubWebhookServer: {{nodeSelector: {{disk: fast}}}}}}\n");
    let faulty = cluster.profile(
        "nowhere",
        &[
            (CONTROLLER, nowhere.as_str()),
            (metrics, triggers),
            ("    min: 2\n", "    min: 0\n"),
            ("controller: 5m", "controller: 30s"),
        ],
    );
    let ended = cluster.up_until(&faulty, &[], "is unschedulable");
    let error = ended.document()["error"].clone();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("github-webhook-server"), "{message}");
    let doctored = doctor(cluster, &faulty).expect(1);
    assert_eq!(verdict(&doctored, "webhook-answers"), "broken");
}

//! What breaks a scale set: `doctor` names it, and the commands of its finding mend it.

#![expect(clippy::print_stderr, reason = "a failure shows what was not well")]

use std::path::Path;

use arcctl::doctor::{Choice, Finding, bundle::unpack, check::Verdict, judge};
use serde_json::{Value, json};

use super::*;
use crate::{
    doctor::{
        cases::Elsewhere,
        check,
        fixes::{commands, follow},
        run,
    },
    harness::waiting::{pod, until},
};

/// What `doctor` finds about the scale sets.
pub(super) fn doctor(cluster: &Cluster, profile: &Path) -> Value {
    let file = profile.to_str().unwrap();
    let arguments = ["doctor", "-f", file, "-o", "json", "--only", "scale-sets"];
    cluster.arcctl(&arguments).document()
}

/// Waits until the check is broken; its fix.
fn broken(cluster: &Cluster, profile: &Path, broken: Elsewhere) -> String {
    let id = broken.id();
    let mut fix = String::new();
    until(&format!("{id} is broken"), || {
        let document = doctor(cluster, profile);
        let found = check(&document, id);
        found["fix"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut fix);
        found["verdict"] == "broken"
    });
    fix
}

/// Runs the last command of a fix. Where it has two ways, that is the one for a cause which the first does not mend.
fn followed(cluster: &Cluster, profile: &Path, fix: &str) {
    let all = commands(fix);
    let last = all
        .last()
        .unwrap_or_else(|| panic!("it names no command: {fix}"));
    if let Some(ended) = follow(cluster, profile, last) {
        assert_eq!(ended.code, 0, "{last}: {}", ended.stderr);
    }
}

/// Runs all commands of a fix, in their order.
fn all_followed(cluster: &Cluster, profile: &Path, fix: &str) {
    for command in commands(fix) {
        if let Some(ended) = follow(cluster, profile, command) {
            assert_eq!(ended.code, 0, "{command}: {}", ended.stderr);
        }
    }
}

/// Waits until all checks of the scale sets hold.
fn all_is_well(cluster: &Cluster, profile: &Path, after: Elsewhere) {
    until(&format!("after {} all is well", after.id()), || {
        let document = doctor(cluster, profile);
        let checks = document["checks"].as_array().unwrap();
        let mut open = checks.iter().filter(|it| it["verdict"] != "holds");
        let first = open.next();
        if let Some(it) = first {
            eprintln!("{}: {}: {}", it["id"], it["verdict"], it["evidence"]);
        }
        first.is_none()
    });
}

/// The check is broken; its printed fix is followed, and all checks of the scale sets hold again.
fn mended(cluster: &Cluster, profile: &Path, id: Elsewhere) {
    let fix = broken(cluster, profile, id);
    followed(cluster, profile, &fix);
    all_is_well(cluster, profile, id);
}

/// GitHub has no scale set of the id: every step of the fix is followed, and nothing works for the dead id then.
fn made_again(cluster: &Cluster, profile: &Path) {
    let registered = Elsewhere::ScaleSetRegistered;
    let fix = broken(cluster, profile, registered);
    all_followed(cluster, profile, &fix);
    all_is_well(cluster, profile, registered);
    let of = |kind: &str, namespace: &str, path: &str| {
        let path = format!("jsonpath={{.items[*].spec.{path}}}");
        kubectl(cluster, &format!("-n {namespace} get {kind} -o {path}"))
    };
    let id = at_github(cluster)[0].to_string();
    let path = "ephemeralRunnerSpec.runnerScaleSetId";
    assert_eq!(of("ephemeralrunnersets", RUNNERS, path), id);
    let path = "runnerScaleSetId";
    assert_eq!(of("autoscalinglisteners", SYSTEM, path), id);
}

/// The check is broken, and its fix asks for something in these words: it is done.
fn asked(cluster: &Cluster, profile: &Path, id: Elsewhere, words: &str, done: impl FnOnce(&str)) {
    let fix = broken(cluster, profile, id);
    assert!(fix.contains(words), "{}: {fix}", id.id());
    done(&fix);
    all_is_well(cluster, profile, id);
}

fn kubectl(cluster: &Cluster, line: &str) -> String {
    cluster.kubectl(&line.split(' ').collect::<Vec<_>>(), None)
}

/// Scales the controller of the scale sets, and waits for it.
fn scale_controller(cluster: &Cluster, replicas: u32) {
    let deployment = "deployment/arc-gha-rs-controller";
    kubectl(
        cluster,
        &format!("-n {SYSTEM} scale {deployment} --replicas={replicas}"),
    );
    if replicas == 0 {
        let label = "app.kubernetes.io/part-of=gha-rs-controller";
        let pods = format!("-n {SYSTEM} get pods -l {label} -o name");
        until("its pods are gone", || kubectl(cluster, &pods).is_empty());
    } else {
        kubectl(
            cluster,
            &format!("-n {SYSTEM} rollout status {deployment} --timeout=5m"),
        );
    }
}

/// Removes the scale set at GitHub, and has the controller register it anew.
fn registered_anew(cluster: &Cluster) {
    let github = cluster.world().github();
    assert!(github.remove_scale_set(at_github(cluster)[0]));
    kubectl(
        cluster,
        &format!("-n {RUNNERS} annotate autoscalingrunnerset fast runner-scale-set-id-"),
    );
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_breaks_a_scale_set_is_mended_by_what_its_finding_says() {
    let cluster = Cluster::fast();
    let profile = installed(&cluster);

    let deployment = "deployment/arc-gha-rs-controller";
    kubectl(&cluster, &format!("-n {SYSTEM} delete {deployment}"));
    mended(&cluster, &profile, Elsewhere::ScaleSetControllerRuns);

    kubectl(
        &cluster,
        &format!("-n {RUNNERS} delete secret arcctl-github"),
    );
    mended(&cluster, &profile, Elsewhere::ScaleSetSecret);

    let outdated = r#"{"status": {"phase": "Outdated"}}"#;
    let set = ["-n", RUNNERS, "patch", "autoscalingrunnerset", "fast"];
    let status = ["--subresource=status", "--type=merge", "-p", outdated];
    cluster.kubectl(&[&set[..], &status].concat(), None);
    mended(&cluster, &profile, Elsewhere::ScaleSetNotOutdated);

    assert!(
        cluster
            .world()
            .github()
            .remove_scale_set(at_github(&cluster)[0])
    );
    made_again(&cluster, &profile);

    let delete = format!("-n {RUNNERS} delete autoscalingrunnerset fast");
    kubectl(&cluster, &delete);
    mended(&cluster, &profile, Elsewhere::ScaleSetThere);

    // As after a manifest of another version was applied over the chart's.
    let version = "app.kubernetes.io/version=0.13.1";
    kubectl(
        &cluster,
        &format!("-n {SYSTEM} label --overwrite {deployment} {version}"),
    );
    mended(&cluster, &profile, Elsewhere::ScaleSetVersions);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_others_change_of_a_scale_set_is_mended_by_what_its_finding_says() {
    let cluster = Cluster::fast();
    let profile = installed(&cluster);
    let set = ["-n", RUNNERS, "patch", "autoscalingrunnerset", "fast"];
    let patch = |patch: &str| {
        cluster.kubectl(&[&set[..], &["--type=merge", "-p", patch]].concat(), None);
    };

    // The API server takes it.
    patch(r#"{"spec": {"minRunners": 9}}"#);
    mended(&cluster, &profile, Elsewhere::ScaleSetRange);

    // As after a tool that prunes, and takes the finalizers off what it prunes.
    let role = format!("-n {RUNNERS} delete role fast-gha-rs-manager --wait=false");
    kubectl(&cluster, &role);
    let held = ["-n", RUNNERS, "patch", "role", "fast-gha-rs-manager"];
    let let_go = r#"{"metadata": {"finalizers": null}}"#;
    cluster.kubectl(&[&held[..], &["--type=merge", "-p", let_go]].concat(), None);
    mended(&cluster, &profile, Elsewhere::ScaleSetRights);

    // The listener keeps the name of what is gone, and ends again and again.
    kubectl(
        &cluster,
        &format!("-n {RUNNERS} delete ephemeralrunnersets --all"),
    );
    mended(&cluster, &profile, Elsewhere::ScaleSetListenerCurrent);

    // With `eventual` a changed minimum takes the listener away for as long as there is a runner.
    scale_controller(&cluster, 0);
    let argument = r#"[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--update-strategy=eventual"}]"#;
    let controller = ["-n", SYSTEM, "patch", "deployment", "arc-gha-rs-controller"];
    cluster.kubectl(
        &[&controller[..], &["--type=json", "-p", argument]].concat(),
        None,
    );
    scale_controller(&cluster, 1);
    patch(r#"{"spec": {"minRunners": 2}}"#);
    let strategy = Elsewhere::ScaleSetUpdateStrategy;
    broken(&cluster, &profile, Elsewhere::ScaleSetListener);
    let document = doctor(&cluster, &profile);
    let listener = check(&document, Elsewhere::ScaleSetListener.id());
    assert_eq!(listener["follows"], strategy.id(), "{listener}");
    mended(&cluster, &profile, strategy);
    cluster.finish();
}

/// What a check says so many minutes later, by a bundle of now.
fn later(cluster: &Cluster, profile: &Path, minutes: i64, id: Elsewhere) -> Finding {
    let path = cluster
        .file("unused", "")
        .with_file_name(format!("{}.tar.gz", id.id()));
    if path.exists() {
        std::fs::remove_file(&path).unwrap();
    }
    let ended = run(cluster, profile, &["--bundle", path.to_str().unwrap()]);
    assert!(path.exists(), "{}", ended.stderr);
    let mut seen = unpack(&std::fs::read(&path).unwrap()).unwrap();
    seen.now += jiff::SignedDuration::from_mins(minutes);
    let mut findings = judge(&seen, &Choice::default()).into_iter();
    findings.find(|it| it.id == id.id()).unwrap()
}

/// Waits until a check is broken later; what it found, and its fix.
fn broken_later(
    cluster: &Cluster,
    profile: &Path,
    minutes: i64,
    id: Elsewhere,
) -> (String, String) {
    let mut told = None;
    until(&format!("{} is broken", id.id()), || {
        if let Verdict::Broken { found, fix, .. } = later(cluster, profile, minutes, id).verdict {
            told = Some((found, fix));
        }
        told.is_some()
    });
    told.unwrap()
}

/// A test does not wait for the minutes after which these count: what is seen now is judged as of later.
#[test]
#[ignore = "slow: `make test-slow`"]
fn what_lasts_for_minutes_is_mended_by_what_its_finding_says() {
    let cluster = Cluster::fast();
    let profile = installed(&cluster);
    let holds = |minutes: i64, id: Elsewhere| {
        until(&format!("{} holds", id.id()), || {
            later(&cluster, &profile, minutes, id).verdict == Verdict::Holds
        });
    };

    // Nobody takes the finalizers off what goes. Its root is told, with what mends it.
    let (stuck, controller) = (
        Elsewhere::ScaleSetNothingStuck,
        Elsewhere::ScaleSetControllerRuns,
    );
    scale_controller(&cluster, 0);
    let delete = format!("-n {RUNNERS} delete ephemeralrunners --all");
    kubectl(&cluster, &format!("{delete} --wait=false"));
    assert_eq!(later(&cluster, &profile, 9, stuck).verdict, Verdict::Holds);
    let found = later(&cluster, &profile, 11, stuck);
    assert_eq!(found.verdict.word(), "broken", "{found:?}");
    assert_eq!(found.follows, Some(controller.id()));
    mended(&cluster, &profile, controller);
    holds(11, stuck);

    // No pod of a runner is admitted, and the controller writes that nowhere.
    let bare = || cluster.judged(&pod(RUNNERS, &json!({})));
    kubectl(
        &cluster,
        &format!("-n {RUNNERS} create quota none --hard=pods=0"),
    );
    until("the quota is in force", || bare().is_err());
    kubectl(&cluster, &delete);
    let pods = Elsewhere::ScaleSetRunnerPods;
    let (found, _) = broken_later(&cluster, &profile, 3, pods);
    assert!(found.contains("exceeded quota"), "{found}");
    kubectl(&cluster, &format!("-n {RUNNERS} delete quota none"));
    all_is_well(&cluster, &profile, pods);
    holds(3, pods);

    // Its program runs, and has lost GitHub.
    let github = cluster.world().github();
    let runners = github.runners();
    let lost = runners.iter().find(|it| it.scale_set.is_some()).unwrap();
    assert!(github.set_runner(lost.id, false, false));
    let online = Elsewhere::ScaleSetRunnersOnline;
    let (found, fix) = broken_later(&cluster, &profile, 6, online);
    assert!(found.contains(&lost.name), "{found}");
    followed(&cluster, &profile, &fix);
    holds(6, online);
    cluster.finish();
}

/// GitHub sets labels when a scale set is made, and never again.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_label_that_left_the_profile_is_told_until_the_scale_set_is_made_anew() {
    let cluster = Cluster::fast();
    let profile = both(&cluster, "arcctl", &[]);
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);

    let without = both(&cluster, "without", &[("    labels: [gpu]\n", "")]);
    let ended = cluster.up(&without, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let told = "still has `gpu`";
    let file = without.to_str().unwrap();
    let plan = || cluster.arcctl(&["plan", "-f", file]).stdout;
    assert!(plan().contains(told), "{}", plan());
    let document = doctor(&cluster, &without);
    let found = check(&document, Elsewhere::ScaleSetLabels.id());
    assert_eq!(found["verdict"], "broken", "{found:#}");

    let delete = ["-n", RUNNERS, "delete", "autoscalingrunnerset", "fast"];
    cluster.kubectl(&delete, None);
    let ended = cluster.up(&without, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert!(!plan().contains(told), "{}", plan());
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_is_wrong_at_github_is_mended_by_what_its_finding_says() {
    let cluster = Cluster::fast();
    let profile = installed(&cluster);
    let github = cluster.world().github();

    // The server drops the labels, as without its feature flag.
    github.keep_scale_set_labels(false);
    registered_anew(&cluster);
    let words = "GitHub sets labels only when a scale set is made";
    asked(
        &cluster,
        &profile,
        Elsewhere::ScaleSetLabels,
        words,
        |fix| {
            github.keep_scale_set_labels(true);
            kubectl(
                &cluster,
                &format!("-n {RUNNERS} delete autoscalingrunnerset fast"),
            );
            followed(&cluster, &profile, fix);
        },
    );

    // Somebody deleted the scale set, and another cluster took its name.
    assert!(github.remove_scale_set(at_github(&cluster)[0]));
    let other = github.add_scale_set(&owner(), "fast", &["fast"]).unwrap();
    let words = "delete it at GitHub";
    asked(
        &cluster,
        &profile,
        Elsewhere::ScaleSetKnownHere,
        words,
        |_| {
            assert!(github.remove_scale_set(other));
            made_again(&cluster, &profile);
        },
    );

    // It takes the session, and while the controller is away nobody starts the listener again.
    scale_controller(&cluster, 0);
    let id = at_github(&cluster)[0];
    github.evict_listener(id);
    assert!(github.listen_to(id, "another-cluster"));
    let words = "another listener has the session: wait some minutes";
    let session = Elsewhere::ScaleSetSession;
    asked(&cluster, &profile, session, words, |_| {
        scale_controller(&cluster, 1);
    });
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_breaks_a_listener_or_a_runner_is_mended_by_what_its_finding_says() {
    let cluster = Cluster::fast();
    let profile = installed(&cluster);
    let bare = |namespace: &str| cluster.judged(&pod(namespace, &json!({})));

    // No pod of a listener is admitted.
    kubectl(
        &cluster,
        &format!("-n {SYSTEM} create quota none --hard=pods=0"),
    );
    until("the quota is in force", || bare(SYSTEM).is_err());
    let label = "app.kubernetes.io/component=runner-scale-set-listener";
    kubectl(&cluster, &format!("-n {SYSTEM} delete pods -l {label}"));
    let words = "its log has the reason";
    let listener = Elsewhere::ScaleSetListener;
    asked(&cluster, &profile, listener, words, |_| {
        kubectl(&cluster, &format!("-n {SYSTEM} delete quota none"));
    });

    // No pod of a runner is admitted.
    let standard = "pod-security.kubernetes.io/enforce";
    kubectl(
        &cluster,
        &format!("label namespace {RUNNERS} {standard}=restricted"),
    );
    until("the standard is in force", || bare(RUNNERS).is_err());
    kubectl(
        &cluster,
        &format!("-n {RUNNERS} delete ephemeralrunners --all"),
    );
    let runners = Elsewhere::ScaleSetRunners;
    asked(&cluster, &profile, runners, "fix the cause, then", |fix| {
        kubectl(&cluster, &format!("label namespace {RUNNERS} {standard}-"));
        until("the standard is gone", || bare(RUNNERS).is_ok());
        followed(&cluster, &profile, fix);
    });

    two_listeners(&cluster);
    mended(&cluster, &profile, Elsewhere::ScaleSetOneListener);
    cluster.finish();
}

/// As after an upgrade to a version that names listeners otherwise: the one of the earlier version stays, older than the
/// new one.
fn two_listeners(cluster: &Cluster) {
    scale_controller(cluster, 0);
    let all = kubectl(
        cluster,
        &format!("-n {SYSTEM} get autoscalinglisteners -o name"),
    );
    let name = all.trim().rsplit('/').next().unwrap();
    let live = cluster.get("autoscalinglistener", SYSTEM, name);
    let earlier = json!({
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {"name": "fast-12345678-listener", "namespace": SYSTEM,
            "labels": live["metadata"]["labels"]},
        "spec": live["spec"],
    });
    cluster.kubectl(&["create", "-f", "-"], Some(&earlier.to_string()));
    let patch = r#"{"metadata": {"finalizers": null}}"#;
    let of = ["-n", SYSTEM, "patch", "autoscalinglistener", name];
    cluster.kubectl(&[&of[..], &["--type=merge", "-p", patch]].concat(), None);
    kubectl(
        cluster,
        &format!("-n {SYSTEM} delete autoscalinglistener {name}"),
    );
    scale_controller(cluster, 1);
    let count = || {
        let all = kubectl(
            cluster,
            &format!("-n {SYSTEM} get autoscalinglisteners -o name"),
        );
        all.lines().count()
    };
    until("there are two listeners", || count() == 2);
}

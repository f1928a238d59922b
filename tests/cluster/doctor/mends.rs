//! Faults at AWS and in the cluster: `arcctl doctor` reports each as the root, and `--fix` fixes arcctl's resources. A pod
//! tests the runners' requirements, and is always deleted. One sandbox for all of them.

use std::{
    io::Read,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use arcctl::doctor::{Choice, bundle::unpack, judge};
use arcctl_sandbox::{
    github::{NewRunner, Owner},
    proxy::{Effect, Fault, Matching, Nth, System},
    world::{Options, Pace},
};
use serde_json::Value;

use crate::{
    doctor::cases::{Elsewhere, stale},
    doctor::{all_is_well, check, doctor, is_root, roots, run, up},
    harness::account::Account,
    harness::cluster::{Cluster, Ended},
};

const SYSTEM: &str = "actions-runner-system";
const RUNNERS: &str = "actions-runner";
const MODE: &str = "containerMode: dind";

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_arcctl_made_is_mended_and_what_a_runner_needs_is_tried() {
    let cluster = Cluster::start(Options {
        pace: Pace::Fast,
        aws: true,
        faults: vec!["kubelet:image-pull=*/nonexistent*".into()],
        ..Options::default()
    });
    let account = Account::of(&cluster);
    let profile = profile(&cluster, "arcctl", &[]);
    up(&cluster, &profile);
    all_is_well(&cluster, &profile);
    a_probe(&cluster, &profile);
    a_probe_that_is_stopped(&cluster, &profile);
    a_revoked_rule(&cluster, &account, &profile);
    an_expired_session(&cluster, &profile);
    a_stale_authority(&cluster, &profile);
    a_lost_secret(&cluster, &profile);
    a_stuck_finalizer(&cluster, &profile);
    ghosts(&cluster, &profile);
    all_is_well(&cluster, &profile);
    an_unknown_image(&cluster, &profile);
    cluster.finish();
}

fn profile(cluster: &Cluster, name: &str, more: &[(&str, &str)]) -> PathBuf {
    let server = &cluster.world().cloud().unwrap().server_group;
    let aws = format!("aws:\n  githubServer:\n    securityGroup: {server}\n\npools:\n");
    let edits = [("pools:\n", aws.as_str())];
    cluster.eks_profile(name, &[&edits, more].concat())
}

#[track_caller]
fn mended(cluster: &Cluster, profile: &Path, id: &str) {
    // Nobody can be asked here.
    assert_eq!(run(cluster, profile, &["--fix"]).code, 64);
    let ended = run(cluster, profile, &["--fix", "--yes"]);
    let document = ended.expect(0);
    assert_eq!(check(&document, id)["verdict"], "holds", "{document:#}");
    let fixed = document["fixed"].as_array().unwrap();
    assert!(fixed.iter().any(|it| it == id), "{fixed:?}");
    assert!(
        ended.stderr.contains(&format!("mends {id}")),
        "{}",
        ended.stderr
    );
    assert_eq!(doctor(cluster, profile)["error"], Value::Null);
}

fn jobs(cluster: &Cluster) -> String {
    cluster.kubectl(
        &[
            "-n",
            RUNNERS,
            "get",
            "jobs",
            "-l",
            "arcctl.dev/profile",
            "-o",
            "name",
        ],
        None,
    )
}

fn is_recorded(cluster: &Cluster) -> bool {
    let inventory = cluster.get("configmap", SYSTEM, "arcctl-dogecompany");
    inventory["data"]["resources"]
        .as_str()
        .unwrap()
        .contains("job/")
}

fn a_probe(cluster: &Cluster, profile: &Path) {
    let document = run(cluster, profile, &["--probe"]).expect(0);
    for id in ["probe-resolves", "probe-connects", "probe-is-answered"] {
        assert_eq!(check(&document, id)["verdict"], "holds", "{document:#}");
    }
    // The sandbox's GitHub has no certificate, and this profile no role.
    for id in ["probe-trusts", "probe-takes-role"] {
        assert_eq!(check(&document, id)["verdict"], "skipped");
    }
    assert_eq!(jobs(cluster), "");
    let kubelet = cluster.world().kubelet().unwrap();
    kubelet.cut_off(true);
    let document = run(cluster, profile, &["--probe"]).expect(1);
    is_root(&document, "probe-connects", 1);
    let found = check(&document, "probe-connects")["found"].to_string();
    assert!(found.contains("Connection refused"), "{found}");
    assert_eq!(
        check(&document, "probe-is-answered")["follows"],
        "probe-connects"
    );
    kubelet.cut_off(false);
    assert_eq!(jobs(cluster), "");
    assert!(!is_recorded(cluster));
}

/// Stopped while its pod finds no node, politely and not.
fn a_probe_that_is_stopped(cluster: &Cluster, good: &Path) {
    let selector = format!("nodeSelector: {{disk: fast}}\n    {MODE}");
    let faulty = profile(cluster, "unschedulable", &[(MODE, selector.as_str())]);
    let arguments = ["doctor", "-f", faulty.to_str().unwrap(), "--probe"];
    let mut running = cluster.arcctl_in_background(&arguments);
    running.wait_for("unschedulable");
    running.interrupt();
    let ended = running.end();
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert_eq!(jobs(cluster), "");
    assert!(!is_recorded(cluster));

    let mut running = cluster.arcctl_in_background(&arguments);
    running.wait_for("unschedulable");
    running.kill();
    let _killed: Ended = running.end();
    assert!(jobs(cluster).contains("job.batch/arcctl-probe-basic"));
    assert!(is_recorded(cluster));
    // The next one waits for the dead one's lease, and takes away what it left.
    let document = run(cluster, good, &["--probe"]).expect(0);
    assert_eq!(check(&document, "probe-connects")["verdict"], "holds");
    assert_eq!(jobs(cluster), "");
    assert!(!is_recorded(cluster));
}

fn a_revoked_rule(cluster: &Cluster, account: &Account, profile: &Path) {
    let cloud = cluster.world().cloud().unwrap();
    let description = "arcctl dogecompany: the runners reach the GitHub server";
    account.revoke(&cloud.server_group, 443, &cloud.node_group, description);
    let document = doctor(cluster, profile);
    is_root(&document, "nodes-reach-server", 1);
    assert_eq!(document["error"]["system"], "aws");
    mended(cluster, profile, "nodes-reach-server");
}

fn an_expired_session(cluster: &Cluster, profile: &Path) {
    let proxy = cluster.world().proxy(System::Aws).unwrap();
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token \
                included in the request is expired</Message></Error><RequestId>1</RequestId></ErrorResponse>";
    let fault = proxy.add_fault(Fault {
        matching: Matching {
            substring: "Action=GetCallerIdentity&".into(),
            ..Matching::default()
        },
        nth: Nth::Every,
        effect: Effect::Respond {
            status: 403,
            body: Some(body.into()),
            headers: vec![("content-type".into(), "text/xml".into())],
        },
    });
    let document = run(cluster, profile, &[]).expect(4);
    is_root(&document, "aws-credentials", 4);
    assert_eq!(
        check(&document, "api-server-answers")["follows"],
        "aws-credentials"
    );
    assert_eq!(check(&document, "api-server-answers")["verdict"], "unknown");
    proxy.remove_fault(fault);
}

/// What injects certificates hears nothing any more, and a webhook has an old one.
fn a_stale_authority(cluster: &Cluster, profile: &Path) {
    stale(cluster);
    let document = doctor(cluster, profile);
    is_root(&document, "webhook-trusted", 1);
    mended(cluster, profile, "webhook-trusted");
}

fn a_lost_secret(cluster: &Cluster, profile: &Path) {
    cluster.kubectl(
        &["-n", SYSTEM, "delete", "secret", "controller-manager"],
        None,
    );
    is_root(&doctor(cluster, profile), "resources-there", 1);
    mended(cluster, profile, "secret-complete");
}

/// Nobody takes the finalizer off a runner that goes. That it takes too long is judged eleven minutes later, from a bundle.
fn a_stuck_finalizer(cluster: &Cluster, profile: &Path) {
    cluster.scale_controller(0);
    let runners = cluster.kubectl(&["-n", RUNNERS, "get", "runners", "-o", "name"], None);
    let runner = runners.lines().next().unwrap();
    cluster.kubectl(&["-n", RUNNERS, "delete", runner, "--wait=false"], None);
    let path = cluster.file("unused", "").with_file_name("bundle.tar.gz");
    let bundle = path.to_str().unwrap();
    let document = run(cluster, profile, &["--bundle", bundle]).expect(1);
    is_root(&document, "controller-scaled", 1);
    assert_eq!(
        run(cluster, profile, &["--bundle", bundle]).code,
        1,
        "it is there already"
    );
    let archive = std::fs::read(&path).unwrap();
    it_is_seen_later(&archive, "broken");
    nothing_secret(cluster, &archive);
    // The same verdicts, with no cluster and no profile.
    let offline = cluster.arcctl_with(
        &[
            "doctor",
            "--from",
            bundle,
            "-o",
            "json",
            "-f",
            "nowhere.yaml",
        ],
        &[("KUBECONFIG", "/dev/null"), ("ARCCTL_GITHUB_TOKEN", "")],
    );
    let offline = offline.expect(1);
    assert_eq!(offline["checks"], document["checks"]);
    mended(cluster, profile, "controller-scaled");
    cluster.kubectl(
        &[
            "-n",
            RUNNERS,
            "wait",
            "--for=delete",
            runner,
            "--timeout=5m",
        ],
        None,
    );
    up(cluster, profile);
    let after = path.with_file_name("after.tar.gz");
    let _well = run(cluster, profile, &["--bundle", after.to_str().unwrap()]).expect(0);
    it_is_seen_later(&std::fs::read(&after).unwrap(), "holds");
}

/// What the check `nothing-stuck-deleting` says of it eleven minutes later.
fn it_is_seen_later(archive: &[u8], word: &str) {
    let mut seen = unpack(archive).unwrap();
    seen.now += jiff::SignedDuration::from_mins(11);
    let findings = judge(&seen, &Choice::default());
    let stuck = findings
        .iter()
        .find(|it| it.id == Elsewhere::NothingStuckDeleting.id())
        .unwrap();
    assert_eq!(stuck.verdict.word(), word);
    let follows = (word == "broken").then_some("controller-scaled");
    assert_eq!(stuck.follows, follows);
}

fn nothing_secret(cluster: &Cluster, archive: &[u8]) {
    let mut text = Vec::new();
    let mut plain = flate2::read::GzDecoder::new(archive);
    plain.read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("arcctl-bundle/world.json"));
    for token in cluster.tokens() {
        assert!(!text.contains(&token), "a token is in the bundle");
    }
    assert!(
        !text.contains("RUNNER_TOKEN"),
        "the runners' environment is in the bundle"
    );
}

/// Two offline runners without a pod: one that this cluster's controller made, one that another cluster may have made.
fn ghosts(cluster: &Cluster, profile: &Path) {
    let sets = ["-n", RUNNERS, "get", "runnerreplicasets", "-o", "name"];
    let sets = cluster.kubectl(&sets, None);
    let (_, set) = sets.lines().next().unwrap().rsplit_once('/').unwrap();
    let (ours, theirs) = (format!("{set}-ghost"), "basic-other-ghost".to_owned());
    let (github, owner) = (cluster.world().github(), Owner::enterprise("dogecompany"));
    for name in [&ours, &theirs] {
        let runner = NewRunner {
            name: name.clone(),
            labels: ["t3a.large", "ubuntu-22.04", "v2.306.0"]
                .map(str::to_owned)
                .into(),
            group: None,
            ephemeral: true,
            version: None,
        };
        let id = github.add_runner(&owner, runner).unwrap();
        assert!(github.set_runner(id, false, false));
    }
    let here = |name: &String| github.runners().iter().any(|it| it.name == *name);
    // Advice, and nobody can be asked here.
    assert_eq!(run(cluster, profile, &["--fix"]).code, 64);
    assert!(here(&ours) && here(&theirs));
    let ended = run(cluster, profile, &["--fix", "--yes"]);
    let document = ended.expect(0);
    assert!(!here(&ours), "{}", ended.stderr);
    assert!(here(&theirs), "what may be another cluster's stays");
    let told = format!("runner `{ours}` is removed at GitHub");
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    assert!(!ended.stderr.contains(&theirs), "{}", ended.stderr);
    // The other is still told of, so the check is not mended.
    assert_eq!(check(&document, "no-ghost-runners")["verdict"], "broken");
    assert_eq!(document["fixed"], serde_json::json!([]));
    let found = github.runners();
    let theirs = found.iter().find(|it| it.name == theirs).unwrap();
    assert!(github.remove_runner(theirs.id));
}

fn an_unknown_image(cluster: &Cluster, profile: &Path) {
    let patch = r#"{"spec": {"template": {"spec": {"image": "registry.example/nonexistent:v1-ubuntu-22.04"}}}}"#;
    let what = [
        "patch",
        "runnerdeployment",
        "basic",
        "--type=merge",
        "-p",
        patch,
    ];
    cluster.kubectl(&[&["-n", RUNNERS][..], &what].concat(), None);
    let end = Instant::now() + crate::harness::waiting::PATIENCE;
    loop {
        let document = doctor(cluster, profile);
        if roots(&document) == ["images-pullable"] {
            break;
        }
        assert!(Instant::now() < end, "{document:#}");
        std::thread::sleep(Duration::from_millis(300));
    }
    // It is drift too, which `up` takes back.
    up(cluster, profile);
}

//! Creates every check's fault, and follows its *printed* fix: runs the commands exactly as printed, and does manual steps
//! only if the fix asks for them. Then the check holds.
//!
//! Faults of one round are created and checked together: the same command fixes most of them.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use arcctl_sandbox::{
    proxy::{Effect, Fault, FaultId, Matching, MethodMatch, Nth, System},
    world::{Options, Pace},
};
use serde_json::Value;

use crate::{
    doctor::cases::{ELSEWHERE, ROUNDS},
    doctor::{check, up},
    harness::account::Account,
    harness::cluster::{Cluster, Ended},
    harness::waiting::PATIENCE,
};

/// Checks whose fault or mend a sandbox on loopback cannot have, and why. Their verdicts are tested on worlds made by hand
/// (src/doctor/tests), the probe's script in tests/cli/probe.rs.
pub(crate) const NOT_REAL: &[(&str, &str)] = &[
    (
        "probe-resolves",
        "names are this machine's own: a test does not change its resolver, nor ask another's",
    ),
    ("probe-trusts", "the sandbox's GitHub is served without TLS"),
    (
        "probe-takes-role",
        "the tokens that EKS mounts are files of a node, which a pod of the sandbox does not have",
    ),
    (
        "runner-version-accepted",
        "the sandbox's cluster belongs to a GitHub Enterprise Server, which refuses no version; tests/cli/github/freshness.rs has github.com",
    ),
    (
        "autoscaler-works",
        "a failure counts for three sync periods of the controller, which a test does not wait for",
    ),
];

/// The sandbox, and what the faults have changed in how arcctl is called.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) account: Account,
    /// A profile with which all is well.
    pub(crate) good: PathBuf,
    pub(crate) profile: RefCell<PathBuf>,
    pub(crate) variables: RefCell<Vec<(String, String)>>,
    pub(crate) proxied: RefCell<Vec<(System, FaultId)>>,
    /// The runner group of the profile, at GitHub.
    pub(crate) group: Cell<u64>,
}

/// How the fix of a check is followed.
pub(crate) enum Follow {
    /// The commands in it are run.
    Printed,
    /// It asks for something in these words, which is done.
    Asked(&'static str, fn(&Scene)),
    /// Both, the commands first.
    Both(&'static str, fn(&Scene)),
    /// It follows from another check of the round, whose fix is followed.
    Root(&'static str),
}

pub(crate) struct Case {
    pub(crate) id: &'static str,
    pub(crate) make: fn(&Scene),
    pub(crate) follow: Follow,
}

/// What is made, looked at and mended together.
pub(crate) struct Round {
    /// Arguments of `doctor` beside the ids.
    pub(crate) more: &'static [&'static str],
    pub(crate) cases: &'static [Case],
}

impl Scene {
    fn new() -> Self {
        let cluster = Cluster::start(Options {
            pace: Pace::Fast,
            aws: true,
            faults: vec!["kubelet:image-pull=*/nonexistent*".into()],
            ..Options::default()
        });
        let account = Account::of(&cluster);
        account.make_bucket("runners.example");
        account.make_policy("pull");
        let good = crate::aws::profile(&cluster, &[]);
        up(&cluster, &good);
        Self {
            cluster,
            account,
            profile: RefCell::new(good.clone()),
            good,
            variables: RefCell::default(),
            proxied: RefCell::default(),
            group: Cell::default(),
        }
    }

    /// The good profile, with each of `edits` in the place of a text that is in it.
    pub(crate) fn edited(&self, name: &str, edits: &[(&str, &str)]) -> PathBuf {
        let mut text = std::fs::read_to_string(&self.good).unwrap();
        for (from, to) in edits {
            assert!(text.contains(from), "the profile has no `{from}`");
            text = text.replace(from, to);
        }
        self.cluster.file(&format!("{name}.yaml"), &text)
    }

    pub(crate) fn kubectl(&self, line: &str) -> String {
        self.cluster
            .kubectl(&line.split(' ').collect::<Vec<_>>(), None)
    }

    /// A merge patch of what `place` names.
    pub(crate) fn patch(&self, place: &str, patch: &Value) {
        let patch = patch.to_string();
        let words = place.split(' ');
        let words = words.chain(["--type=merge", "-p", patch.as_str()]);
        self.cluster.kubectl(&words.collect::<Vec<_>>(), None);
    }

    /// Has a proxy answer calls with this in their path, until [`Self::back`].
    pub(crate) fn answered(&self, system: System, call: &str, status: u16, body: Option<&str>) {
        let matching = Matching {
            method: (system == System::GitHub).then(|| MethodMatch::Method("POST".into())),
            substring: call.into(),
            ..Matching::default()
        };
        let effect = Effect::Respond {
            status,
            body: body.map(str::to_owned),
            headers: body
                .map(|_| ("content-type".into(), "text/xml".into()))
                .into_iter()
                .collect(),
        };
        let proxy = self.cluster.world().proxy(system).unwrap();
        let fault = proxy.add_fault(Fault {
            matching,
            nth: Nth::Every,
            effect,
        });
        self.proxied.borrow_mut().push((system, fault));
    }

    /// Back to the good profile, the usual environment and servers that answer.
    pub(crate) fn back(&self) {
        self.profile.replace(self.good.clone());
        self.variables.borrow_mut().clear();
        for (system, fault) in self.proxied.borrow_mut().drain(..) {
            self.cluster
                .world()
                .proxy(system)
                .unwrap()
                .remove_fault(fault);
        }
    }

    fn doctor(&self, round: &Round) -> Value {
        let profile = self.profile.borrow().clone();
        let ids: Vec<&str> = round.cases.iter().map(|it| it.id).collect();
        let ids = ids.join(",");
        let variables = self.variables.borrow();
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let profile = profile.to_str().unwrap();
        let arguments = ["doctor", "-f", profile, "-o", "json", "--only", &ids];
        let arguments = [&arguments[..], round.more].concat();
        self.cluster.arcctl_with(&arguments, &variables).document()
    }

    /// Looks until every check of the round says `word`.
    fn until(&self, round: &Round, word: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let document = self.doctor(round);
            let other = |it: &&Case| check(&document, it.id)["verdict"] != word;
            let others: Vec<&Value> = round
                .cases
                .iter()
                .filter(other)
                .map(|it| check(&document, it.id))
                .collect();
            if others.is_empty() {
                return document;
            }
            assert!(Instant::now() < end, "should be {word}: {others:#?}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Runs a command of a fix.
    fn run(&self, command: &str) {
        let profile = self.profile.borrow().clone();
        let Some(ended) = follow(&self.cluster, &profile, command) else {
            return;
        };
        // The rest of the round may still be broken.
        let of_the_rest = command.starts_with("arcctl doctor") && ended.code == 1;
        assert!(
            ended.code == 0 || of_the_rest,
            "{command}: {}\n{}",
            ended.code,
            ended.stderr
        );
    }
}

/// Runs a command as a person does who copies it; how arcctl ended, if it is one of arcctl. The sandbox's kubelets keep no
/// logs.
pub(crate) fn follow(cluster: &Cluster, profile: &Path, command: &str) -> Option<Ended> {
    if command.contains(" logs ") {
        return None;
    }
    let words: Vec<&str> = command.split(' ').collect();
    let [program, verb, rest @ ..] = words.as_slice() else {
        panic!("`{command}` is no command");
    };
    if *program != "arcctl" {
        let said = cluster.try_tool("sh", &["-c", command], None);
        said.unwrap_or_else(|said| panic!("{command}: {said}"));
        return None;
    }
    let mut all = vec![*verb, "-f", profile.to_str().unwrap()];
    all.extend(rest);
    if *verb == "up" || rest.contains(&"--fix") {
        all.push("--yes");
    }
    Some(cluster.arcctl(&all))
}

/// The commands in a fix: what is in backticks and begins with a program.
pub(crate) fn commands(fix: &str) -> Vec<&str> {
    fix.split('`')
        .skip(1)
        .step_by(2)
        .filter(|it| {
            ["arcctl ", "kubectl ", "helm "]
                .iter()
                .any(|program| it.starts_with(program))
        })
        .collect()
}

fn play(scene: &Scene, round: &Round) {
    for case in round.cases {
        (case.make)(scene);
    }
    let document = scene.until(round, "broken");
    let mut ran = BTreeSet::new();
    for case in round.cases {
        let fix = check(&document, case.id)["fix"].as_str().unwrap();
        let done = match case.follow {
            Follow::Printed => None,
            Follow::Root(root) => {
                assert_eq!(check(&document, case.id)["follows"], root);
                continue;
            }
            Follow::Asked(words, done) | Follow::Both(words, done) => {
                assert!(fix.contains(words), "{}: {fix}", case.id);
                Some(done)
            }
        };
        if !matches!(case.follow, Follow::Asked(..)) {
            let commands = commands(fix);
            assert!(!commands.is_empty(), "{} names no command: {fix}", case.id);
            for command in commands {
                if ran.insert(command.to_owned()) {
                    scene.run(command);
                }
            }
        }
        if let Some(done) = done {
            done(scene);
        }
    }
    // What is left after that has a fix of its own, which is followed too.
    let end = Instant::now() + PATIENCE;
    loop {
        let document = scene.doctor(round);
        let left = round
            .cases
            .iter()
            .filter(|it| check(&document, it.id)["verdict"] != "holds");
        let left: Vec<(&Case, &Value)> = left.map(|it| (it, check(&document, it.id))).collect();
        if left.is_empty() {
            return;
        }
        let found: Vec<&Value> = left.iter().map(|it| it.1).collect();
        assert!(Instant::now() < end, "should hold: {found:#?}");
        for (case, found) in left {
            let fix = found["fix"].as_str().unwrap_or_default();
            for command in commands(fix) {
                if matches!(case.follow, Follow::Printed) && ran.insert(command.to_owned()) {
                    scene.run(command);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn every_fault_is_mended_by_what_its_finding_says() {
    let scene = Scene::new();
    let mut failed = Vec::new();
    // Of one check alone, to look at it: a quarter of an hour is long.
    let only = std::env::var("ARCCTL_ROUND").ok();
    for round in ROUNDS {
        let ids: Vec<&str> = round.cases.iter().map(|it| it.id).collect();
        if only.as_deref().is_some_and(|it| !ids.contains(&it)) {
            continue;
        }
        // One that fails says nothing of the others.
        if catch_unwind(AssertUnwindSafe(|| play(&scene, round))).is_err() {
            failed.push(ids.join(", "));
            scene.back();
            up(&scene.cluster, &scene.good);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    scene.cluster.finish();
}

/// A new check has a round, another test, or a reason why not. That another test is about it, the compiler sees.
#[test]
fn no_check_is_forgotten() {
    let played = ROUNDS.iter().flat_map(|it| it.cases).map(|it| it.id);
    let named: Vec<&str> = played
        .chain(ELSEWHERE.iter().copied())
        .chain(NOT_REAL.iter().map(|it| it.0))
        .collect();
    let once: BTreeSet<&str> = named.iter().copied().collect();
    assert_eq!(once.len(), named.len(), "an id is there twice: {named:?}");
    let all: BTreeSet<&str> = arcctl::doctor::checks().iter().map(|it| it.id).collect();
    assert_eq!(once, all);
}

#[test]
fn the_commands_of_a_fix_are_what_is_in_backticks() {
    let fix = "add it with `arcctl up`; `controller.webhookPort` may do; or `kubectl uncordon a b`";
    assert_eq!(commands(fix), ["arcctl up", "kubectl uncordon a b"]);
}

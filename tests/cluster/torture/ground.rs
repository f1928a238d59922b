//! A sandbox for torture tests: kills runs at one of their writes, and simulates the time after a dead run.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use arcctl_sandbox::{
    github::Token,
    proxy::{Effect, Fault, Kind, Matching, MethodMatch, Nth, Record, System},
};
use regex::Regex;
use serde_json::{Value, json};

use super::listing::{Listing, differences, listing, objects};
use crate::{
    aws,
    harness::account::Account,
    harness::cluster::{Cluster, Ended},
    scale_sets,
};

/// How long a cluster's own controllers may take to be done.
const SETTLING: Duration = Duration::from_mins(2);

/// No run in a sandbox without delays takes as long; one with scale sets waits for proofs of half a minute.
const LONGEST_RUN: &str = "3m";
const LONGEST_RUN_OF_SCALE_SETS: &str = "5m";

/// All systems that are written to.
pub(crate) const SYSTEMS: [System; 3] = [System::Kubernetes, System::GitHub, System::Aws];

/// What is in the path of a write at which no run is killed: how often a lease is renewed is a question of time, so that
/// counting it would count different writes in each run; the rest is of the stand-ins, which come through the same proxy.
const NOT_COUNTED: [&str; 3] = ["/leases/arcctl-", STAND_IN, SERVICE];

/// In the path of what a stand-in tells another one.
const STAND_IN: &str = "/_sandbox/";

/// In the path of each call to the service of scale sets: their controller and listeners call it all the time.
const SERVICE: &str = "/_services/";

/// In the path of what only they call: for sessions, jobs and runners.
const OF_LISTENERS: [&str; 5] = [
    "/sessions",
    "/message/",
    "/acquirejobs",
    "/generatejitconfig",
    "/agents",
];

/// What [`Work::Change`] changes: a pool's name, its autoscaler, the controller's values.
const CHANGES: [(&str, &str); 3] = [
    ("- name: basic", "- name: other"),
    ("max: 16", "max: 12"),
    ("syncPeriod: 1m", "syncPeriod: 2m"),
];

/// What is done to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    Up,
    /// `up` with another token.
    Rotate,
    /// `up` with another profile: a pool renamed, the controller's values changed.
    Change,
    Teardown,
}

impl Work {
    /// In an order in which each begins where the one before has come to.
    pub(crate) const ALL: [Self; 4] = [Self::Up, Self::Rotate, Self::Change, Self::Teardown];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Rotate => "rotation",
            Self::Change => "change",
            Self::Teardown => "teardown",
        }
    }
}

/// A sandbox, and whom a fault kills in it.
pub(crate) struct Ground {
    pub(crate) cluster: Cluster,
    account: Option<Account>,
    victim: Arc<Mutex<Option<u32>>>,
    pub(crate) profile: PathBuf,
    changed: PathBuf,
    /// Whether a pool is a runner scale set: its listener is proven by half a minute.
    pub(crate) has_scale_sets: bool,
    /// The token since [`Work::Rotate`].
    token: String,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let cluster = Cluster::fast();
        let profile = cluster.profile("arcctl", &[]);
        let changed = cluster.profile("changed", &CHANGES);
        Self::of(cluster, None, profile, changed)
    }

    /// A cluster whose profile has a runner scale set too.
    pub(crate) fn with_scale_sets() -> Self {
        let cluster = Cluster::fast();
        let profile = scale_sets::both(&cluster, "arcctl", &[]);
        let of_pool = [("max: 4", "max: 3")];
        let changed = scale_sets::edited(&cluster, "changed", &of_pool, &CHANGES);
        Self {
            has_scale_sets: true,
            ..Self::of(cluster, None, profile, changed)
        }
    }

    /// A cluster at EKS, with a role, a bucket and rules of security groups.
    pub(crate) fn at_aws() -> Self {
        let (cluster, account) = aws::sandbox();
        let mut edits = CHANGES.to_vec();
        edits.push(("access: readWrite", "access: read"));
        let changed = std::fs::read_to_string(aws::profile(&cluster, &edits)).unwrap();
        let changed = cluster.file("changed.yaml", &changed);
        let profile = aws::profile(&cluster, &[]);
        Self::of(cluster, Some(account), profile, changed)
    }

    /// Any cluster and profile, to be killed at a command of the test's own.
    pub(crate) fn on(cluster: Cluster, profile: PathBuf) -> Self {
        let changed = profile.clone();
        Self::of(cluster, None, profile, changed)
    }

    fn of(cluster: Cluster, account: Option<Account>, profile: PathBuf, changed: PathBuf) -> Self {
        let victim = Arc::new(Mutex::new(None));
        let killed = Arc::clone(&victim);
        cluster.world().on_kill(move || {
            if let Some(id) = killed.lock().unwrap().take() {
                kill_family(id);
            }
        });
        let token = cluster.world().github().add_token(Token::administrator());
        cluster.keep_secret(&token);
        Self {
            cluster,
            account,
            victim,
            profile,
            changed,
            has_scale_sets: false,
            token,
        }
    }

    /// What `work` has in its environment.
    fn variables(&self, work: Work) -> Vec<(&str, &str)> {
        match work {
            Work::Up => Vec::new(),
            Work::Rotate | Work::Change | Work::Teardown => {
                vec![("ARCCTL_GITHUB_TOKEN", self.token.as_str())]
            }
        }
    }

    /// What `work` is as a command.
    pub(crate) fn arguments(&self, work: Work) -> Vec<&str> {
        let (command, file) = match work {
            Work::Up | Work::Rotate => ("up", &self.profile),
            Work::Change => ("up", &self.changed),
            Work::Teardown => ("teardown", &self.changed),
        };
        let file = file.to_str().unwrap();
        let mut arguments = vec![command, "-f", file, "--yes", "-o", "json"];
        if work == Work::Teardown {
            // So that the next `up` writes them again.
            arguments.push("--crds");
        }
        let longest = if self.has_scale_sets {
            LONGEST_RUN_OF_SCALE_SETS
        } else {
            LONGEST_RUN
        };
        arguments.extend(["--timeout", longest]);
        arguments
    }

    /// Does `work`, undisturbed.
    pub(crate) fn run(&self, work: Work) -> Ended {
        let (arguments, variables) = (self.arguments(work), self.variables(work));
        self.cluster.arcctl_with(&arguments, &variables)
    }

    /// Does `work` until it is killed before or, as `effect` says, after its `nth` write to `system`; what that was, or
    /// `None` where it came to its end before.
    pub(crate) fn run_until_killed(
        &self,
        work: Work,
        system: System,
        nth: usize,
        effect: Effect,
    ) -> Option<String> {
        let (arguments, variables) = (self.arguments(work), self.variables(work));
        self.killed_at(&arguments, &variables, system, nth, effect)
    }

    /// The same of any command.
    pub(crate) fn killed_at(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
        system: System,
        nth: usize,
        effect: Effect,
    ) -> Option<String> {
        let fault = Fault {
            matching: Matching {
                method: Some(MethodMatch::Writes),
                without: NOT_COUNTED.map(str::to_owned).to_vec(),
                ..Matching::default()
            },
            nth: Nth::Only(nth.try_into().unwrap()),
            effect,
        };
        self.kill(arguments, variables, system, fault).then(|| {
            self.writes(system)
                .get(nth - 1)
                .map_or_else(String::new, described)
        })
    }

    /// Runs arcctl until `fault` kills it; whether it did.
    pub(crate) fn kill(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
        system: System,
        fault: Fault,
    ) -> bool {
        let proxy = self.cluster.world().proxy(system).unwrap();
        proxy.reset_counts();
        let id = proxy.add_fault(fault);
        // Held until the run is known: a fault that comes first waits.
        let mut victim = self.victim.lock().unwrap();
        let running = self.cluster.arcctl_in_background_with(arguments, variables);
        *victim = Some(running.id());
        drop(victim);
        let ended = running.end();
        proxy.remove_fault(id);
        let was_killed = self.victim.lock().unwrap().take().is_none();
        self.cluster.keep(&ended);
        was_killed
    }

    /// The writes to `system` since its counts were reset, as far as a run can be killed at them.
    pub(crate) fn writes(&self, system: System) -> Vec<Record> {
        let Some(proxy) = self.cluster.world().proxy(system) else {
            return Vec::new();
        };
        proxy
            .requests()
            .into_iter()
            .filter(|it| it.kind == Kind::Write)
            .filter(|it| !NOT_COUNTED.iter().any(|not| it.path.contains(not)))
            .collect()
    }

    /// Forgets what was counted.
    pub(crate) fn reset_counts(&self) {
        for system in SYSTEMS.into_iter().chain([System::Charts]) {
            if let Some(proxy) = self.cluster.world().proxy(system) {
                proxy.reset_counts();
            }
        }
    }

    /// Lets the time pass in which a dead run or its helm could still be alive: the lease lasts a second, helm's marks become
    /// older.
    pub(crate) fn age(&self) {
        self.cluster.block_on(async {
            let client = self.cluster.world().kube();
            for object in objects(&client).await {
                let metadata = &object["metadata"];
                let name = metadata["name"].as_str().unwrap_or_default();
                let status = metadata["labels"]["status"].as_str().unwrap_or_default();
                let unfinished = status.starts_with("pending") || status == "uninstalling";
                let (group, patch) = if object["kind"] == "Lease" && name.starts_with("arcctl-") {
                    ("apis/coordination.k8s.io/v1", json!({"spec": {"leaseDurationSeconds": 1}}))
                } else if object["type"] == "helm.sh/release.v1" && unfinished {
                    ("api/v1", json!({"metadata": {"labels": {"modifiedAt": "1767225600", "createdAt": "1767225600"}}}))
                } else {
                    continue;
                };
                let kind = if group == "api/v1" { "secrets" } else { "leases" };
                let namespace = metadata["namespace"].as_str().unwrap_or_default();
                let address = format!("/{group}/namespaces/{namespace}/{kind}/{name}");
                let request = http::Request::patch(address)
                    .header("content-type", "application/merge-patch+json")
                    .body(patch.to_string().into_bytes())
                    .unwrap();
                client.request::<Value>(request).await.unwrap();
            }
        });
    }

    /// What is in the cluster and at GitHub once nothing changes any more.
    pub(crate) fn settled(&self) -> Listing {
        let end = Instant::now() + SETTLING;
        let (mut last, mut equal) = (self.listing(), 0);
        while equal < 2 {
            assert!(Instant::now() < end, "the cluster does not settle");
            std::thread::sleep(Duration::from_millis(500));
            let now = self.listing();
            equal = if now == last { equal + 1 } else { 0 };
            last = now;
        }
        last
    }

    /// What is in the cluster and at GitHub now.
    pub(crate) fn listing(&self) -> Listing {
        let client = self.cluster.world().kube();
        let mut listing = self.cluster.block_on(listing(&client));
        let runners = self.cluster.world().github().runners();
        let names: BTreeSet<String> = runners
            .iter()
            .map(|it| {
                let pool = it.name.split('-').next().unwrap_or_default();
                let labels: BTreeSet<_> = it.labels.iter().map(|it| format!("{it:?}")).collect();
                format!("at GitHub/{pool}/online: {}, {labels:?}", it.online)
            })
            .collect();
        for name in names {
            listing.insert(name, String::new());
        }
        listing.insert("at GitHub".into(), runners.len().to_string());
        for set in self.cluster.world().github().scale_sets() {
            let labels: BTreeSet<&String> = set.labels.iter().collect();
            let (name, listens) = (&set.name, set.listener.is_some());
            let line = format!("at GitHub/scale set {name}/listens: {listens}, {labels:?}");
            listing.insert(line, String::new());
        }
        // A rule's id is new each time.
        let ids = Regex::new(r"sgr-[0-9a-f]+").unwrap();
        let account = self.account.iter().flat_map(Account::listing);
        for (address, content) in account {
            let line = format!("at AWS/{address}: {content}");
            listing.insert(ids.replace_all(&line, "sgr").into_owned(), String::new());
        }
        listing
    }

    /// Whether the cluster becomes as `wanted`.
    pub(crate) fn becomes(&self, wanted: &Listing) -> Result<(), String> {
        let end = Instant::now() + SETTLING;
        loop {
            let differing = differences(wanted, &self.listing());
            if differing.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(differing.join("; "));
            }
            std::thread::sleep(Duration::from_millis(400));
        }
    }
}

/// Whether it was a stand-in that asked, and not arcctl.
pub(crate) fn is_stand_in(record: &Record) -> bool {
    let of_listener = || OF_LISTENERS.iter().any(|it| record.path.contains(it));
    record.path.contains(STAND_IN) || record.path.contains(SERVICE) && of_listener()
}

/// The method and the path of a write, without its parameters but the action of AWS's older services.
fn described(record: &Record) -> String {
    let (path, query) = record.path.split_once('?').unwrap_or((&record.path, ""));
    let action = query.split('&').find(|it| it.starts_with("Action="));
    format!("{} {path}{}", record.method, action.unwrap_or_default())
}

/// Kills a run and the helm it has started at once, as a machine that fails does.
fn kill_family(id: u32) {
    let mut family = vec![id.to_string()];
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    for process in processes {
        let Ok(stat) = std::fs::read_to_string(process.path().join("stat")) else {
            continue;
        };
        // After the name in brackets: the state, the parent.
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|it| it.split_whitespace().nth(1));
        if parent == Some(id.to_string().as_str()) {
            family.push(process.file_name().to_string_lossy().into_owned());
        }
    }
    let killed = Command::new("kill")
        .arg("-9")
        .args(&family)
        .status()
        .unwrap();
    assert!(killed.success());
}

//! `doctor` and `status` in a large cluster: their requests, duration and memory.

use std::{
    fmt::Write as _,
    fs::File,
    path::PathBuf,
    time::{Duration, Instant},
};

use arcctl_sandbox::{
    github::{NewRunner, Owner},
    proxy::System,
};
use serde_json::Value;

use crate::harness::cluster::Cluster;

/// What a command took.
#[derive(Debug)]
struct Cost {
    code: i32,
    seconds: Duration,
    asked_of_github: u64,
    /// The most memory it had, in KiB.
    memory: u64,
}

/// The sandbox's profile with `count` pools, each like its own.
fn profile(cluster: &Cluster, count: usize) -> PathBuf {
    let one = std::fs::read_to_string(cluster.profile("one", &[])).unwrap();
    let (head, rest) = one.split_once("pools:\n").unwrap();
    let (pool, tail) = rest.split_once("\ntimeouts:").unwrap();
    let mut text = format!("{head}pools:\n");
    for index in 0..count {
        let named = pool.replace("name: basic", &format!("name: pool-{index:03}"));
        writeln!(text, "{named}").unwrap();
    }
    write!(text, "\ntimeouts:{tail}").unwrap();
    cluster.file("many.yaml", &text)
}

fn register(cluster: &Cluster, pools: usize, runners: usize) {
    let github = cluster.world().github();
    let owner = Owner::enterprise("dogecompany");
    for index in 0..runners {
        let runner = NewRunner {
            name: format!("pool-{:03}-abcde-{index:05}", index % pools),
            labels: ["t3a.large", "ubuntu-22.04", "v2.306.0"]
                .map(str::to_owned)
                .into(),
            group: None,
            ephemeral: true,
        };
        github.add_runner(&owner, runner).unwrap();
    }
}

/// Runs it, and looks at its memory until it ends.
fn cost(cluster: &Cluster, arguments: &[&str]) -> (Cost, Value) {
    let out = cluster.file("many.json", "");
    let proxy = cluster.world().proxy(System::GitHub).unwrap();
    proxy.reset_counts();
    let mut command = cluster.command(arguments, &[]);
    command.stdout(File::create(&out).unwrap());
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|it| it.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok());
        memory = memory.max(peak.unwrap_or(0));
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let counts = proxy.counts();
    let cost = Cost {
        code: ended.code().unwrap_or(-1),
        seconds: started.elapsed(),
        asked_of_github: counts.reads + counts.writes,
        memory,
    };
    let document = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    (cost, document)
}

/// Both commands with so many pools and runners; each runner is read once, by pages of a hundred.
#[expect(clippy::print_stderr, reason = "the figures are what it is run for")]
fn measured(cluster: &Cluster, pools: usize, runners: usize) {
    let profile = profile(cluster, pools);
    register(cluster, pools, runners);
    let profile = profile.to_str().unwrap();
    let pages = u64::try_from(runners.div_ceil(100)).unwrap();
    for command in ["doctor", "status"] {
        let (cost, document) = cost(cluster, &[command, "-f", profile, "-o", "json"]);
        eprintln!(
            "{command}, {pools} pools, {runners} runners: ended with {} in {:?}; {} requests to GitHub, {} KiB",
            cost.code, cost.seconds, cost.asked_of_github, cost.memory
        );
        assert!(
            cost.asked_of_github >= pages,
            "{cost:?}: all runners are read"
        );
        assert!(cost.asked_of_github <= pages + 10, "{cost:?}");
        assert!(cost.memory < 150 * 1024, "{cost:?}");
        match command {
            // Nothing is installed; all runners look like ghosts that another cluster may have made, were they offline.
            "doctor" => assert_eq!(
                document["checks"].as_array().map(Vec::len),
                Some(arcctl::doctor::checks().len())
            ),
            _ => assert_eq!(document["pools"].as_array().map(Vec::len), Some(pools)),
        }
    }
}

/// A sample of the budget in a moment, in a sandbox that is there for something else.
pub(crate) fn a_sample(cluster: &Cluster) {
    measured(cluster, 20, 500);
    let github = cluster.world().github();
    for runner in github.runners() {
        github.remove_runner(runner.id);
    }
}

#[test]
#[ignore = "takes long: `cargo test --release --test cluster many:: -- --ignored --nocapture`"]
fn ten_thousand_runners_of_two_hundred_pools() {
    let cluster = Cluster::fast();
    measured(&cluster, 200, 10_000);
}

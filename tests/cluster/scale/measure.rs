//! Runs a command, and counts its requests, its time and its memory.

use std::{
    fs::File,
    time::{Duration, Instant},
};

use arcctl_sandbox::proxy::System;
use serde_json::Value;

use super::{growth::Cell, world::World};
use crate::harness::cluster::Cluster;

/// The commands, as the table names them. Each writes nothing where there is nothing to do.
pub(super) const COMMANDS: [&str; 4] = ["status", "doctor", "plan", "up"];

/// How often its memory is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// One run.
struct Run {
    seconds: f64,
    kubernetes: u64,
    github: u64,
    /// In KiB.
    memory: u64,
    document: Value,
}

/// What a command takes: the median of its times, and the most of the rest.
pub(super) fn cost(world: &World, command: &'static str, runs: usize) -> Cell {
    let runs: Vec<Run> = (0..runs).map(|_| run(world, command)).collect();
    for it in &runs {
        world.assert_result(command, &it.document);
    }
    let mut seconds: Vec<f64> = runs.iter().map(|it| it.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let most = |of: fn(&Run) -> u64| runs.iter().map(of).max().unwrap();
    Cell {
        command,
        pools: world.pools,
        runners: world.runners,
        kubernetes: most(|it| it.kubernetes),
        github: most(|it| it.github),
        seconds: seconds[seconds.len() / 2],
        memory: most(|it| it.memory),
    }
}

/// The requests that came, none of which may be a write.
fn requests(cluster: &Cluster, system: System) -> u64 {
    let counts = cluster.world().proxy(system).unwrap().counts();
    assert_eq!(counts.writes, 0, "writes to {system:?}: {counts:?}");
    counts.reads
}

fn run(world: &World, name: &str) -> Run {
    let cluster = &world.cluster;
    let out = cluster.file("scale.json", "");
    for system in [System::Kubernetes, System::GitHub] {
        cluster.world().proxy(system).unwrap().reset_counts();
    }
    let profile = world.profile.to_str().unwrap();
    let yes = (name == "up").then_some("--yes");
    let arguments: Vec<&str> = [name, "-f", profile, "-o", "json"]
        .into_iter()
        .chain(yes)
        .collect();
    let mut command = cluster.command(&arguments, &[]);
    command.stdout(File::create(&out).unwrap());
    command.stderr(File::create(cluster.file("scale.log", "")).unwrap());
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|it| it.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok());
        memory = memory.max(peak.unwrap_or(0));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(LOOK);
    }
    let seconds = started.elapsed().as_secs_f64();
    let text = std::fs::read_to_string(&out).unwrap();
    Run {
        seconds,
        kubernetes: requests(cluster, System::Kubernetes),
        github: requests(cluster, System::GitHub),
        memory,
        document: serde_json::from_str(&text).unwrap(),
    }
}

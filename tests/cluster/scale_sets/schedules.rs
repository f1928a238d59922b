//! What keeps the minimum of a schedule, as the cluster runs it: its script, with the rights and the files of its pod. It is
//! killed, late, and there twice at once; a minimum made by hand is put right; the clocks change.

use std::{path::Path, process::Command, time::Duration};

use arcctl_sandbox::proxy::System;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::*;
use crate::harness::{cluster::distant_window, waiting::until};

/// What keeps the minimums of the sandbox's profile.
const RECONCILER: &str = "arcctl-schedule-dogecompany";

/// How often it is started.
const EVERY_SECONDS: i64 = 300;

/// The profile with windows of the scale set, in this zone.
fn with_windows(cluster: &Cluster, name: &str, zone: &str, windows: &str) -> PathBuf {
    let schedule = format!(
        "min: 1\n    schedule:\n      timeZone: {zone}\n      windows:\n        - {windows}"
    );
    both(cluster, name, &[("min: 1", &schedule)])
}

fn up(cluster: &Cluster, profile: &Path) {
    let ended = cluster.up(profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
}

fn kubectl(cluster: &Cluster, line: &str) -> String {
    let words = ["-n", RUNNERS].into_iter().chain(line.split(' '));
    cluster.kubectl(&words.collect::<Vec<_>>(), None)
}

fn patch(cluster: &Cluster, object: [&str; 2], patch: &Value) {
    let patch = patch.to_string();
    let [kind, name] = object;
    let words = [
        "-n",
        RUNNERS,
        "patch",
        kind,
        name,
        "--type=merge",
        "-p",
        &patch,
    ];
    cluster.kubectl(&words, None);
}

fn set(cluster: &Cluster) -> Value {
    cluster.get("autoscalingrunnerset", RUNNERS, "fast")
}

fn minimum(cluster: &Cluster) -> Value {
    set(cluster)["spec"]["minRunners"].clone()
}

/// Changes the minimum as somebody does by hand.
fn by_hand(cluster: &Cluster, minimum: u32) {
    let spec = json!({"spec": {"minRunners": minimum}});
    patch(cluster, ["autoscalingrunnerset", "fast"], &spec);
}

/// Says whether the reconciler is started by the clock.
fn suspended(cluster: &Cluster, suspended: bool) {
    let spec = json!({"spec": {"suspend": suspended}});
    patch(cluster, ["cronjob", RECONCILER], &spec);
}

/// Starts the reconciler now, as a Job of this name.
fn start(cluster: &Cluster, job: &str) {
    kubectl(
        cluster,
        &format!("create job {job} --from=cronjob/{RECONCILER}"),
    );
}

/// Waits for the end of a Job. The CronJob keeps one that has succeeded, and one that has failed: others are deleted.
fn completed(cluster: &Cluster, job: &str) {
    until(&format!("Job `{job}` has ended"), || {
        let found = kubectl(
            cluster,
            &format!("get jobs --ignore-not-found {job} -o json"),
        );
        if found.is_empty() {
            return true;
        }
        let found: Value = serde_json::from_str(&found).unwrap();
        assert_eq!(found["status"]["failed"], Value::Null, "{found:#}");
        found["status"]["succeeded"] == 1
    });
}

/// The pods of a Job that run.
fn pods(cluster: &Cluster, job: &str) -> Vec<String> {
    let running = "--field-selector=status.phase=Running";
    let all = kubectl(
        cluster,
        &format!("get pods -l batch.kubernetes.io/job-name={job} {running} -o name"),
    );
    all.lines().map(str::to_owned).collect()
}

/// Waits until the clock starts no reconciler for the time of a run of arcctl.
pub(super) fn between_two_starts() {
    until("no start is near", || {
        let second = Timestamp::now().as_second().rem_euclid(EVERY_SECONDS);
        (30..EVERY_SECONDS - 60).contains(&second)
    });
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_minimum_made_by_hand_is_put_right_and_two_at_once_do_it_once() {
    let cluster = Cluster::fast();
    let profile = with_windows(&cluster, "arcctl", "Asia/Seoul", &distant_window());
    up(&cluster, &profile);
    suspended(&cluster, true);
    by_hand(&cluster, 3);
    let generation = || set(&cluster)["metadata"]["generation"].as_i64().unwrap();
    let before = generation();
    for job in ["one", "two", "three"] {
        start(&cluster, job);
    }
    for job in ["one", "two", "three"] {
        completed(&cluster, job);
    }
    assert_eq!(minimum(&cluster), 1);
    assert_eq!(generation(), before + 1, "it was changed more than once");

    // The clock starts it too: in the sandbox's cluster every minute, so that the test is short.
    by_hand(&cluster, 3);
    let often = json!({"spec": {"schedule": "* * * * *", "suspend": false}});
    patch(&cluster, ["cronjob", RECONCILER], &often);
    until("the minimum is put right", || minimum(&cluster) == 1);
    let fields = cluster.kubectl(
        &[
            "-n",
            RUNNERS,
            "get",
            "autoscalingrunnerset",
            "fast",
            "--show-managed-fields",
            "-o",
            "json",
        ],
        None,
    );
    let fields: Value = serde_json::from_str(&fields).unwrap();
    let managers = fields["metadata"]["managedFields"].as_array().unwrap();
    let owner = managers
        .iter()
        .find(|it| !it["fieldsV1"]["f:spec"]["f:minRunners"].is_null());
    assert_eq!(owner.unwrap()["manager"], "arcctl-schedule");
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_reconciler_that_was_killed_is_made_up_for_by_a_late_one() {
    let cluster = Cluster::fast();
    up(
        &cluster,
        &with_windows(&cluster, "before", "UTC", &distant_window()),
    );
    // A window that begins in three to four minutes: a reconciler that starts now waits for it.
    let edge = (Timestamp::now().as_second() / 60 + 4) * 60;
    let clock = |second: i64| {
        let at = Timestamp::from_second(second).unwrap();
        at.to_zoned_datetime(TimeZone::UTC)
            .strftime("%H:%M")
            .to_string()
    };
    let (from, to) = (clock(edge), clock(edge + 7200));
    let window = format!("{{name: edge, from: \"{from}\", to: \"{to}\", min: 2}}");
    up(&cluster, &with_windows(&cluster, "arcctl", "UTC", &window));
    suspended(&cluster, true);
    kubectl(&cluster, "delete jobs --all --cascade=foreground");
    assert_eq!(minimum(&cluster), 1);

    start(&cluster, "killed");
    let first = |not: &str| {
        let mut found = String::new();
        until("a reconciler runs", || {
            let mut all = pods(&cluster, "killed").into_iter();
            found = all.rfind(|it| it != not).unwrap_or_default();
            !found.is_empty()
        });
        found
    };
    // The Job makes another pod for one that is killed; with the Job nobody is left.
    let killed = first("");
    kubectl(&cluster, &format!("delete {killed}"));
    first(&killed);
    kubectl(&cluster, "delete job killed --cascade=foreground");
    let left = edge + 10 - Timestamp::now().as_second();
    std::thread::sleep(Duration::from_secs(left.try_into().unwrap_or(0)));
    assert_eq!(minimum(&cluster), 1, "a reconciler that is gone wrote");

    start(&cluster, "late");
    until("the late one writes it", || minimum(&cluster) == 2);
    cluster.finish();
}

/// What the reconciler's pod has, with a clock that is set.
struct Clock<'a> {
    cluster: &'a Cluster,
    folder: PathBuf,
    script: String,
}

impl<'a> Clock<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let job = cluster.get("cronjob", RUNNERS, RECONCILER);
        let spec = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        let command = &spec["containers"][0]["command"];
        let folder = cluster.file("clock", "").with_extension("d");
        let place = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let account = spec["serviceAccountName"].as_str().unwrap();
        let token = kubectl(cluster, &format!("create token {account}"));
        let authority = STANDARD.decode(cluster.certificate_authority()).unwrap();
        let table = &cluster.get("configmap", RUNNERS, RECONCILER)["data"]["fast"];
        for part in ["account", "tables", "bin"] {
            std::fs::create_dir_all(place(part)).unwrap();
        }
        for (file, content) in [
            ("account/token", token.trim().as_bytes()),
            ("account/ca.crt", authority.as_slice()),
            ("tables/fast", table.as_str().unwrap().as_bytes()),
            ("bin/date", "#!/bin/sh\necho \"$NOW\"\n".as_bytes()),
            ("bin/sleep", "#!/bin/sh\n".as_bytes()),
        ] {
            std::fs::write(place(file), content).unwrap();
        }
        let programs = [place("bin/date"), place("bin/sleep")];
        let made = Command::new("chmod").arg("+x").args(programs).status();
        assert!(made.unwrap().success());
        let script = command[2].as_str().unwrap();
        let own = "/var/run/secrets/kubernetes.io/serviceaccount";
        assert!(script.contains(own), "{script}");
        Self {
            cluster,
            script: script.replace(own, &place("account")),
            folder,
        }
    }

    /// Runs the reconciler at `second`; it is done with the four minutes that follow at once.
    fn run(&self, second: i64) {
        let environment = self.cluster.world().environment();
        let programs = self.folder.join("bin");
        let output = Command::new("sh")
            .args(["-c", &self.script])
            .env_clear()
            .env(
                "PATH",
                format!("{}:{}", programs.display(), environment["PATH"]),
            )
            .env("NOW", second.to_string())
            .env("ARCCTL_TABLES", self.folder.join("tables"))
            .env(
                "ARCCTL_API",
                self.cluster
                    .world()
                    .proxy(System::Kubernetes)
                    .unwrap()
                    .url(),
            )
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "at {second}: {said}");
    }
}

/// The clocks change within the horizon of the table, and the windows stay where the wall clock has them.
#[test]
#[ignore = "slow: `make test-slow`"]
fn windows_follow_the_wall_clock_where_it_changes() {
    let cluster = Cluster::fast();
    let window = "{name: night, from: \"20:00\", to: \"08:00\", min: 3}";
    let profile = with_windows(&cluster, "arcctl", "Europe/Berlin", window);
    up(&cluster, &profile);
    suspended(&cluster, true);
    kubectl(&cluster, "delete jobs --all --cascade=foreground");
    let clock = Clock::new(&cluster);
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let change = zone.following(Timestamp::now()).next().unwrap().timestamp();
    let wanted = |at: Timestamp| {
        let hour = zone.to_datetime(at).hour();
        if (8..20).contains(&hour) { 1 } else { 3 }
    };
    let mut seen = 0;
    for hour in -50..50 {
        let at = change + SignedDuration::from_hours(hour);
        // Around each hour at which a window begins or ends by the wall clock, and by the one that was or will be.
        if ![7, 8, 9, 19, 20, 21].contains(&zone.to_datetime(at).hour()) {
            continue;
        }
        for before in [300, 61, 0] {
            let begins = at - SignedDuration::from_secs(before);
            clock.run(begins.as_second());
            let minute = begins.as_second() / 60 + 4;
            let ends = Timestamp::from_second(minute * 60).unwrap();
            assert_eq!(minimum(&cluster), wanted(ends), "from {begins} to {ends}");
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
    cluster.finish();
}

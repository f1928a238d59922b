//! The fault matrix: each request of arcctl or its helm to another system gets each response that a network and a server
//! can give. A run either succeeds anyway, or ends with one error that names its object and its fix; and the next,
//! undisturbed run has the usual result.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use arcctl_sandbox::proxy::{
    Effect, Fault, Kind, Matching, MethodMatch, Nth, Record as Request, System,
};
use regex::Regex;
use serde_json::{Value, json};

use super::{
    ground::{Ground, Work, is_stand_in},
    listing::Listing,
    record::Record,
};
use crate::harness::cluster::Ended;

/// How long a run may take that writes, and how long it takes at most with its end.
fn limit(ground: &Ground) -> (&'static str, Duration) {
    if ground.has_scale_sets {
        ("150s", Duration::from_secs(165))
    } else {
        ("60s", Duration::from_secs(75))
    }
}

/// How long a command may take that only reads: four times the longest call, for each of a few in a row.
const LONGEST_READING: Duration = Duration::from_secs(250);

/// A command, and what the cluster is like when it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Command {
    Fresh,
    Unchanged,
    Status,
    Doctor,
    Teardown,
}

impl Command {
    const ALL: [Self; 5] = [
        Self::Fresh,
        Self::Unchanged,
        Self::Status,
        Self::Doctor,
        Self::Teardown,
    ];
}

/// A place at which another system is asked.
#[derive(Clone, Debug)]
struct Site {
    system: System,
    /// Like the path, with stars for names.
    pattern: String,
    matching: Matching,
}

#[derive(Clone, Debug)]
struct Case {
    command: Command,
    site: Site,
    fault: &'static str,
    /// Only to the first request; otherwise to all.
    once: bool,
}

/// What can come back.
const FAULTS: [&str; 15] = [
    "400",
    "401",
    "403",
    "404",
    "409",
    "422",
    "429",
    "500",
    "503",
    "hang",
    "hang-after",
    "reset",
    "reset-after",
    "truncate=20",
    "slow=40ms",
];

impl Case {
    fn name(&self) -> String {
        let often = if self.once { "once" } else { "always" };
        format!(
            "{:?}: {} {often} at {:?} {}",
            self.command, self.fault, self.site.system, self.site.pattern
        )
    }

    fn fault(&self) -> Fault {
        let mut fault: Fault = self.fault.parse().unwrap();
        fault.matching = self.site.matching.clone();
        fault.nth = if self.once { Nth::Only(1) } else { Nth::Every };
        if let Effect::Respond {
            status: 429,
            headers,
            ..
        } = &mut fault.effect
        {
            headers.push(("retry-after".into(), "1".into()));
        }
        fault
    }
}

impl Site {
    /// Where `request` went; the API server's own programs are not asked for by arcctl.
    fn of(system: System, request: &Request) -> Self {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let names = Regex::new(r"/(namespaces|enterprises|orgs|repos)/[^/]+").unwrap();
        let settled = names.replace_all(path, "/$1/*");
        let last = Regex::new(r"^(/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/\*)?/[a-z]+)/[^/]+$")
            .unwrap();
        let settled = last.replace(&settled, "$1/*");
        let numbered = Regex::new(r"/\d+(/|$)").unwrap();
        let settled = numbered.replace_all(&settled, "/*$1");
        let dry = query.contains("dryRun=All");
        let watch = query.contains("watch=");
        let kind = match (request.kind, dry, watch) {
            (Kind::Write, ..) => "",
            (_, true, _) => " as a dry run",
            (_, _, true) => " as a watch",
            _ => "",
        };
        let action = query
            .split('&')
            .find(|it| it.starts_with("Action="))
            .unwrap_or_default();
        // A name or an id that is new in each run is cut off.
        let random = Regex::new(
            r"(-[bcdfghjklmnpqrstvwxz2456789]{5,10}(-[bcdfghjklmnpqrstvwxz2456789]{5})?|/\d+)$",
        )
        .unwrap();
        let mut prefix = random.replace(path, "").into_owned();
        if !query.is_empty() && prefix == path {
            prefix.push('?');
        }
        let substring = match (dry, watch) {
            (true, _) => "dryRun=All",
            (_, true) => "watch=",
            _ => action,
        };
        let method = match request.kind {
            Kind::Write => MethodMatch::Writes,
            Kind::Read => MethodMatch::Method(request.method.clone()),
        };
        Self {
            system,
            pattern: format!("{} {settled}{action}{kind}", request.method),
            matching: Matching {
                method: Some(method),
                prefix,
                substring: substring.to_owned(),
                without: Vec::new(),
            },
        }
    }
}

fn run(ground: &Ground, command: Command) -> Ended {
    let work = match command {
        Command::Fresh | Command::Unchanged => Work::Up,
        Command::Teardown => Work::Teardown,
        Command::Status | Command::Doctor => {
            let word = if command == Command::Status {
                "status"
            } else {
                "doctor"
            };
            let arguments = ground.arguments(Work::Up);
            return ground
                .cluster
                .arcctl(&[word, "-f", arguments[2], "-o", "json"]);
        }
    };
    let mut arguments = ground.arguments(work);
    *arguments.last_mut().unwrap() = limit(ground).0;
    ground.cluster.arcctl(&arguments)
}

/// The places that an undisturbed `command` asks at: of several alike the first.
fn sites(ground: &Ground, command: Command) -> Vec<Site> {
    ground.reset_counts();
    let ended = run(ground, command);
    assert_eq!(ended.code, 0, "{command:?}: {}", ended.stderr);
    let mut sites = BTreeMap::new();
    for system in [
        System::Kubernetes,
        System::GitHub,
        System::Charts,
        System::Aws,
    ] {
        let Some(proxy) = ground.cluster.world().proxy(system) else {
            continue;
        };
        for request in proxy.requests().iter().filter(|it| !is_stand_in(it)) {
            let site = Site::of(system, request);
            sites.entry((system, site.pattern.clone())).or_insert(site);
        }
    }
    sites.into_values().collect()
}

/// What undisturbed runs ask and make.
struct Reference {
    sites: BTreeMap<Command, Vec<Site>>,
    installed: Listing,
    bare: Listing,
}

impl Reference {
    fn of(ground: &Ground) -> Self {
        // A young cluster's own controllers have made theirs then.
        for work in [Work::Up, Work::Teardown] {
            let ended = ground.run(work);
            assert_eq!(ended.code, 0, "{}: {}", work.name(), ended.stderr);
        }
        let bare = ground.settled();
        let mut found = BTreeMap::new();
        let mut installed = Listing::new();
        for command in Command::ALL {
            if command == Command::Teardown {
                installed = ground.settled();
            }
            found.insert(command, sites(ground, command));
        }
        Self {
            sites: found,
            installed,
            bare,
        }
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for (command, sites) in &self.sites {
            for site in sites {
                for fault in FAULTS {
                    for once in [false, true] {
                        cases.push(Case {
                            command: *command,
                            site: site.clone(),
                            fault,
                            once,
                        });
                    }
                }
            }
        }
        cases
    }
}

/// Does what `case` says, and what a user does then.
fn tried(ground: &Ground, case: &Case, reference: &Reference) -> (Result<(), String>, Value) {
    let proxy = ground.cluster.world().proxy(case.site.system).unwrap();
    let id = proxy.add_fault(case.fault());
    let began = Instant::now();
    let ended = run(ground, case.command);
    let elapsed = began.elapsed();
    proxy.remove_fault(id);
    let more = json!({"code": ended.code, "run": elapsed.as_secs_f64()});
    let judged = judge(case, &ended, elapsed, limit(ground).1);
    if ended.code != 0 {
        ground.age();
    }
    let (work, wanted) = match case.command {
        Command::Status | Command::Doctor => return (judged, more),
        Command::Fresh | Command::Unchanged => (Work::Up, &reference.installed),
        Command::Teardown => (Work::Teardown, &reference.bare),
    };
    let again = (ended.code != 0).then(|| ground.run(work));
    if let Some(again) = again.filter(|it| it.code != 0) {
        let text = format!("the next run ended with {}: {}", again.code, again.stderr);
        return (judged.and(Err(text)), more);
    }
    let same = ground.becomes(wanted);
    (judged.and(same), more)
}

/// Whether a run ended as a run may end.
fn judge(case: &Case, ended: &Ended, elapsed: Duration, longest: Duration) -> Result<(), String> {
    let reads = matches!(case.command, Command::Status | Command::Doctor);
    let told = || {
        format!(
            "exit {} after {:.1} s: {}",
            ended.code,
            elapsed.as_secs_f64(),
            ended.stderr
        )
    };
    if elapsed > if reads { LONGEST_READING } else { longest } {
        return Err(format!("it took too long: {}", told()));
    }
    if ended.stderr.contains("panicked") {
        return Err(format!("a panic: {}", told()));
    }
    let Ok(document) = serde_json::from_str::<Value>(&ended.stdout) else {
        return Err(format!("no document on stdout: {}", told()));
    };
    let error = &document["error"];
    if ended.code == 0 {
        return Ok(());
    }
    let denied = matches!(case.fault, "401" | "403");
    let allowed: &[i32] = match (case.site.system, case.fault) {
        (System::Charts, _) => &[1, 6],
        // Doctor says whether the installation works, not whether it could ask.
        _ if case.command == Command::Doctor => &[1, 4],
        // A refusal that passes is a reason to wait, whatever it says.
        _ if denied && !case.once => &[4],
        // GitHub says 404 to whoever may not see something, and 422 to whoever may not do it there.
        (System::GitHub, _) => &[1, 4, 6],
        _ if denied => &[1, 4, 6],
        _ => &[1, 5, 6],
    };
    if !allowed.contains(&ended.code) {
        return Err(format!(
            "an exit code that is none of {allowed:?}: {}",
            told()
        ));
    }
    // Doctor's error says how many of its findings there are; each of these has an object of its own.
    let keys: &[&str] = if case.command == Command::Doctor {
        &["message", "hint"]
    } else {
        &["message", "hint", "object"]
    };
    for key in keys {
        if error[*key].as_str().is_none_or(str::is_empty) {
            return Err(format!("its error has no {key}: {}", told()));
        }
    }
    if error["code"] != ended.code || ended.stderr.matches("error: ").count() > 1 {
        return Err(format!("not one error: {}", told()));
    }
    Ok(())
}

fn matrix(record: &mut Record, make: fn() -> Ground, choose: impl Fn(&Reference) -> Vec<Case>) {
    let mut ground = make();
    let mut reference = Reference::of(&ground);
    let mut left = record.left(choose(&reference), Case::name);
    // What is popped comes first.
    left.reverse();
    'rounds: while record.goes_on() && !left.is_empty() {
        for command in Command::ALL {
            // Commands that leave all as it is cost little: several in a row.
            let count = if matches!(command, Command::Fresh | Command::Teardown) {
                1
            } else {
                6
            };
            let mut some_left = false;
            for _ in 0..count {
                let next = left.iter().rposition(|it| it.command == command);
                let Some(case) = next.map(|index| left.remove(index)) else {
                    break;
                };
                some_left = true;
                let began = Instant::now();
                let (ended, more) = tried(&ground, &case, &reference);
                record.add(&case.name(), began, &ended, &more);
                if ended.is_err() {
                    // Nothing that comes after can be trusted.
                    ground.cluster.finish();
                    ground = make();
                    reference = Reference::of(&ground);
                    continue 'rounds;
                }
            }
            if !some_left && matches!(command, Command::Fresh | Command::Teardown) {
                let ended = run(&ground, command);
                assert_eq!(ended.code, 0, "{command:?}: {}", ended.stderr);
            }
        }
    }
    ground.cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_bad_answer_is_survived_or_told() {
    let mut record = Record::open("fault sample");
    let chosen = [
        (
            Command::Fresh,
            "POST /apis/rbac.authorization.k8s.io/v1/clusterroles",
            "reset-after",
            true,
        ),
        (
            Command::Unchanged,
            "GET /api/v1/namespaces/*/secrets/*",
            "truncate=20",
            true,
        ),
        (
            Command::Status,
            "GET /api/v1/namespaces/*/secrets",
            "403",
            false,
        ),
        (Command::Status, "GET /version", "503", true),
        (
            Command::Doctor,
            "GET /api/v3/enterprises/*/actions/runners",
            "429",
            true,
        ),
        (
            Command::Teardown,
            "DELETE /api/v1/namespaces/*/secrets/*",
            "500",
            true,
        ),
    ];
    matrix(&mut record, Ground::new, |reference| {
        these(reference, &chosen)
    });
    record.assert_all_well();
}

/// A command, where it asks, what comes back, and whether only once.
type Chosen = (Command, &'static str, &'static str, bool);

/// The cases of `chosen`.
fn these(reference: &Reference, chosen: &[Chosen]) -> Vec<Case> {
    let case = |(command, pattern, fault, once): &Chosen| {
        let mut sites = reference.sites[command].iter();
        let found = sites.find(|it| it.pattern == *pattern);
        let site = found.unwrap_or_else(|| {
            panic!(
                "{command:?} does not ask {pattern}: {:#?}",
                reference.sites[command]
            )
        });
        Case {
            command: *command,
            site: site.clone(),
            fault,
            once: *once,
        }
    };
    chosen.iter().map(case).collect()
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_bad_answer_about_a_scale_set_is_survived_or_told() {
    let mut record = Record::open("fault sample of scale sets");
    let chosen = [
        (
            Command::Fresh,
            "POST /api/v3/actions/runner-registration",
            "503",
            true,
        ),
        (
            Command::Unchanged,
            "GET /_services/pipelines/enterprises-dogecompany/_apis/runtime/runnerscalesets/*",
            "truncate=20",
            true,
        ),
        (
            Command::Teardown,
            "DELETE /apis/actions.github.com/v1alpha1/namespaces/*/autoscalingrunnersets/*",
            "reset-after",
            true,
        ),
    ];
    matrix(&mut record, Ground::with_scale_sets, |reference| {
        these(reference, &chosen)
    });
    record.assert_all_well();
}

#[test]
#[ignore = "it takes hours: `make torture`"]
fn fault_matrix_of_scale_sets() {
    let mut record = Record::open("fault of scale sets");
    matrix(&mut record, Ground::with_scale_sets, Reference::cases);
    record.assert_all_well();
}

#[test]
#[ignore = "it takes hours: `make torture`"]
fn fault_matrix() {
    let mut record = Record::open("fault");
    matrix(&mut record, Ground::new, Reference::cases);
    record.assert_all_well();
}

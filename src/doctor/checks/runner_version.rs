//! Checks of the runners' version: whether GitHub takes it, and for how long. Pure: no I/O.

use std::collections::HashMap;

use crate::{
    desired::pool::runner_version::{Seen, day, freshness},
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::Snapshot,
    },
    resource::scale_sets::objects::{name, set_of},
    units::runner::{Freshness, RunnerVersion, State},
};

pub(crate) const CHECKS: &[Check] = &[
    Check {
        id: "runner-version-accepted",
        category: "runners",
        severity: Severity::Required,
        claim: "GitHub accepts the runner version of each pool",
        causes: &["api-server-answers", "github-credential"],
        judge: accepted,
    },
    Check {
        id: "runner-version-fresh",
        category: "runners",
        severity: Severity::Advice,
        claim: "the runner version of each pool is known, accepted for at least three more weeks, and not older than that of the server",
        causes: &["api-server-answers", "github-credential"],
        judge: fresh,
    },
];

const FIX: &str = "`arcctl images update --write` puts the newest image of the same flavour into the profile, `arcctl up` uses it (with a lock: `arcctl lock` before `arcctl up`); an image of your own must be built again";

const FIX_UNKNOWN: &str =
    "put the runner's version into the tag of the image (`…:v2.338.1`), or use a newer arcctl";

/// A pool and the verdict on its runners.
type Judged<'a> = (&'a str, Freshness);

fn accepted(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let is_refused = |it: &Freshness| it.state == State::Refused;
    Ok(Verdict::unless(&told(&judged(snapshot)?, is_refused), FIX))
}

/// What is refused is the other check's.
fn fresh(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let today = day(snapshot.now);
    let pools = judged(snapshot)?;
    let found = told(&pools, |it| match it.state {
        State::Behind => true,
        State::Ending => it.ends_soon(today),
        State::Current | State::Refused | State::Unknown => false,
    });
    if !found.is_empty() {
        return Ok(Verdict::unless(&found, FIX));
    }
    let unknown = told(&pools, |it| it.state == State::Unknown);
    match Verdict::unless(&unknown, FIX_UNKNOWN) {
        Verdict::Broken { found, fix, .. } => Err(Verdict::not_known(found, fix)),
        holds => Ok(holds),
    }
}

/// The pools whose verdict is one of `which`, in words.
fn told(pools: &[Judged<'_>], which: impl Fn(&Freshness) -> bool) -> Vec<String> {
    let chosen = pools.iter().filter(|(_, it)| which(it));
    chosen
        .map(|(pool, it)| format!("pool `{pool}` has runner {}: {}", it.told(), it.reason))
        .collect()
}

fn judged(snapshot: &Snapshot) -> Result<Vec<Judged<'_>>, Verdict> {
    let running = running(snapshot)?;
    let offered = known(&snapshot.offered)?;
    let verdict = |pool: &crate::profile::Pool| {
        let version = offered.get(&pool.name).and_then(Option::as_deref);
        let seen = Seen {
            running: running.get(pool.name.as_str()).copied(),
            offered: version.and_then(RunnerVersion::parse),
        };
        freshness(&snapshot.profile, pool, seen, snapshot.now)
    };
    let pools = snapshot.profile.pools.iter();
    Ok(pools.map(|it| (it.name.as_str(), verdict(it))).collect())
}

/// The oldest version that the online runners of each pool report. Those of a scale set are in the same list at GitHub, under the
/// names of their `EphemeralRunners`.
fn running(snapshot: &Snapshot) -> Result<HashMap<&str, RunnerVersion>, Verdict> {
    let versions: HashMap<&str, RunnerVersion> = known(&snapshot.registered)?
        .iter()
        .filter(|it| it.online)
        .filter_map(|it| {
            let version = it.version.as_deref()?;
            Some((it.name.as_str(), RunnerVersion::parse(version)?))
        })
        .collect();
    let pods = known(&snapshot.runner_pods)?.iter();
    let mut all: Vec<(Option<&str>, &str)> = pods
        .map(|it| {
            let pool = it["metadata"]["labels"]["runner-deployment-name"].as_str();
            (pool, name(it))
        })
        .collect();
    if let Some(facts) = &snapshot.scale_sets {
        let runners = known(&facts.runners)?.iter();
        all.extend(runners.map(|it| (set_of(it), name(it))));
    }
    let mut oldest: HashMap<&str, RunnerVersion> = HashMap::new();
    for (pool, runner) in all {
        if let (Some(pool), Some(version)) = (pool, versions.get(runner)) {
            let known = oldest.entry(pool).or_insert(*version);
            *known = (*known).min(*version);
        }
    }
    Ok(oldest)
}

//! Checks of the autoscalers. Pure: no I/O.

use serde_json::Value;

use super::runners::{another_credential, unreached};
use crate::{
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::Snapshot,
    },
    profile::schedule::{equivalent, parse_live},
    resource::events::seen,
};

/// How many days of the schedule must be in the cluster.
const NEAR: i64 = 7;

/// With less than this left, `up` writes a new one (DESIGN 3).
const HORIZON: i64 = 90;

/// Within how many of the controller's sync periods a failure must have occurred to count: it repeats at every sync, and
/// a success creates no event.
const RECENT_SYNCS: i64 = 3;

/// How old the last event of a repeated failure may be, in addition to the sync period: client-go allows 25 events at
/// once for one object, and then one in five minutes (client-go, `tools/record/events_cache.go`: `defaultSpamBurst`,
/// `defaultSpamQPS`).
const EVENTS_APART: i64 = 300;

pub(crate) const CHECKS: &[Check] = &[
    Check {
        id: "autoscaler-works",
        category: "autoscaling",
        severity: Severity::Required,
        claim: "the controller can compute how many runners each pool needs",
        causes: &[
            "api-server-answers",
            "github-credential",
            "secret-clean",
            "controller-reads-secret",
            "controller-scaled",
            "controller-runs",
            "runners-register",
            "nodes-reach-server",
            "probe-connects",
            "probe-trusts",
            "probe-is-answered",
        ],
        judge: works,
    },
    Check {
        id: "schedule-in-force",
        category: "autoscaling",
        severity: Severity::Required,
        claim: "each pool's schedule is in the cluster, for the next week at least",
        causes: &["api-server-answers", "resources-there"],
        judge: |snapshot| schedule(snapshot, NEAR),
    },
    Check {
        id: "schedule-horizon",
        category: "autoscaling",
        severity: Severity::Advice,
        claim: "each pool's schedule is in the cluster for the next 90 days",
        causes: &["api-server-answers", "resources-there", "schedule-in-force"],
        judge: |snapshot| schedule(snapshot, HORIZON),
    },
    Check {
        id: "reservations-end",
        category: "autoscaling",
        severity: Severity::Advice,
        claim: "no autoscaler holds more reservations than its pool may have runners",
        causes: &["api-server-answers"],
        judge: reservations,
    },
];

fn works(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let period = snapshot.profile.controller.sync_period.as_secs();
    let period = i64::try_from(period).unwrap_or(i64::MAX);
    let recent = period
        .saturating_mul(RECENT_SYNCS)
        .max(period.saturating_add(EVENTS_APART));
    let is_recent =
        |it: &&Value| seen(it).is_some_and(|it| snapshot.now.duration_since(it).as_secs() < recent);
    let failures: Vec<&Value> = known(&snapshot.runner_events)?
        .iter()
        .filter(|it| it["reason"] == "RunnerAutoscalingFailure" && is_recent(it))
        .collect();
    let said = |it: &Value| it["message"].as_str().unwrap_or_default().to_owned();
    let found: Vec<String> = failures
        .iter()
        .map(|it| {
            let name = it["involvedObject"]["name"].as_str().unwrap_or_default();
            format!("autoscaler `{name}`: {}", said(it))
        })
        .collect();
    let fix = if failures.iter().any(|it| did_not_get_through(&said(it))) {
        unreached(snapshot)
    } else {
        another_credential(snapshot).unwrap_or_else(|| {
            "correct `scaling` of the pool, or the credential, as GitHub's words say; then run `arcctl up`"
                .to_owned()
        })
    };
    Ok(Verdict::unless(&found, &fix))
}

/// Whether the controller's message is about a call without a response: Go's `net/url` formats the method as `Get`, and
/// the controller's GitHub client formats it as `GET` if there was a response.
fn did_not_get_through(said: &str) -> bool {
    ["Get", "Post", "Delete"]
        .iter()
        .any(|method| said.contains(&format!("{method} \"http")))
}

/// The pool's autoscaler.
fn of_pool<'a>(all: &'a [Value], pool: &str) -> Option<&'a Value> {
    all.iter().find(|it| it["metadata"]["name"] == pool)
}

fn schedule(snapshot: &Snapshot, days: i64) -> Result<Verdict, Verdict> {
    let all = known(&snapshot.autoscalers)?;
    let mut found = Vec::new();
    for pool in snapshot
        .profile
        .deployment_pools()
        .filter(|it| it.schedule.is_some())
    {
        let Some(autoscaler) = of_pool(all, &pool.name) else {
            found.push(format!("pool `{}` has no autoscaler", pool.name));
            continue;
        };
        let live = parse_live(&autoscaler["spec"]["scheduledOverrides"]);
        let holds = live.is_some_and(|live| {
            equivalent(&live, pool.schedule.as_ref(), pool.min, snapshot.now, days)
        });
        if !holds {
            found.push(format!(
                "the overrides of autoscaler `{}` are not the profile's schedule, or end within {days} days",
                pool.name
            ));
        }
    }
    Ok(Verdict::unless(&found, "write them anew with `arcctl up`"))
}

fn reservations(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let all = known(&snapshot.autoscalers)?;
    let mut found = Vec::new();
    for pool in snapshot.profile.deployment_pools() {
        let Some(autoscaler) = of_pool(all, &pool.name) else {
            continue;
        };
        let live = autoscaler["spec"]["capacityReservations"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|it| {
                let end = it["expirationTime"]
                    .as_str()
                    .and_then(|it| it.parse::<jiff::Timestamp>().ok());
                end.is_none_or(|it| it > snapshot.now)
            });
        let held: u64 = live.map(|it| it["replicas"].as_u64().unwrap_or(0)).sum();
        if held > u64::from(pool.max) {
            let (name, max) = (pool.name.as_str(), pool.max);
            let said = format!(
                "autoscaler `{name}` holds {held} reservations, and its pool has {max} runners at most"
            );
            found.push((name, pool.namespace.as_str(), said));
        }
    }
    let (first, namespace) = found
        .first()
        .map(|(pool, namespace, _)| (*pool, *namespace))
        .unwrap_or_default();
    let fix = format!(
        "they end by themselves; sooner with `kubectl -n {namespace} patch horizontalrunnerautoscaler {first} --type=merge -p '{{\"spec\":{{\"capacityReservations\":null}}}}'`; which jobs were never reported as completed say the webhook's deliveries at GitHub"
    );
    let found: Vec<String> = found.into_iter().map(|(_, _, said)| said).collect();
    Ok(Verdict::unless(&found, &fix))
}

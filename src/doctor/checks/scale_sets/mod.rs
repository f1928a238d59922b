//! Checks of the runner scale sets. Pure: no I/O.

mod at_github;
mod listeners;

use serde_json::Value;

use at_github::{known_here, labels, registered};
use listeners::{listener, one_listener, session};

use crate::{
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::{ScaleSetFacts, Snapshot},
    },
    profile::Pool,
    resource::{
        observed::Readiness,
        other_controllers::SetController,
        pod_readiness,
        scale_sets::{
            objects::{minor, name, set_of, version},
            registered::{OUTDATED, is_available},
            runners::failure,
        },
        worst_readiness,
    },
};

/// The label with the part that a pod is, and that of the controller (reference: scale-sets.md 3).
const COMPONENT: &str = "app.kubernetes.io/component";
const CONTROLLER: &str = "controller-manager";

pub(crate) const CHECKS: &[Check] = &[
    Check {
        id: "scale-set-controller-runs",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "GitHub's controller of the scale sets has an available pod",
        causes: &["api-server-answers", "nodes-ready"],
        judge: controller_runs,
    },
    Check {
        id: "scale-set-controllers-apart",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "no other controller of runner scale sets is in the cluster",
        causes: &["api-server-answers"],
        judge: controllers_apart,
    },
    Check {
        id: "scale-set-versions",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "each scale set and its controller are of the same minor version",
        causes: &["api-server-answers"],
        judge: versions,
    },
    Check {
        id: "scale-set-secret",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "the Secret that each scale set names exists",
        causes: &["api-server-answers"],
        judge: secret,
    },
    Check {
        id: "scale-set-not-outdated",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "GitHub accepts the version of each scale set's runners",
        causes: &["api-server-answers"],
        judge: not_outdated,
    },
    Check {
        id: "scale-set-registered",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "GitHub has each scale set under the id that the cluster knows",
        causes: &[
            "api-server-answers",
            "github-credential",
            "runner-groups",
            "scale-set-secret",
            "scale-set-not-outdated",
            "scale-set-controller-runs",
        ],
        judge: registered,
    },
    Check {
        id: "scale-set-labels",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "each scale set has the labels of its pool at GitHub, and no others",
        causes: &[
            "api-server-answers",
            "github-credential",
            "scale-set-registered",
        ],
        judge: labels,
    },
    Check {
        id: "scale-set-one-listener",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "no scale set has two listeners",
        causes: &["api-server-answers"],
        judge: one_listener,
    },
    Check {
        id: "scale-set-listener",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "each scale set has a listener with a pod",
        causes: &[
            "api-server-answers",
            "scale-set-secret",
            "scale-set-versions",
            "scale-set-not-outdated",
            "scale-set-controller-runs",
            "scale-set-registered",
        ],
        judge: listener,
    },
    Check {
        id: "scale-set-session",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "each listener keeps its session at GitHub",
        causes: &[
            "api-server-answers",
            "github-credential",
            "scale-set-one-listener",
            "scale-set-registered",
            "scale-set-listener",
        ],
        judge: session,
    },
    Check {
        id: "scale-set-runners",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "no runner of a scale set has failed for good or is refused by a quota",
        causes: &[
            "api-server-answers",
            "scale-set-not-outdated",
            "pods-schedulable",
        ],
        judge: runners,
    },
    Check {
        id: "scale-set-nothing-stuck",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "nothing of a scale set waits for its deletion for more than ten minutes",
        causes: &[
            "api-server-answers",
            "github-credential",
            "scale-set-secret",
            "scale-set-controller-runs",
        ],
        judge: nothing_stuck,
    },
    Check {
        id: "scale-set-known-here",
        category: "scale-sets",
        severity: Severity::Advice,
        claim: "GitHub has no scale set of this profile that the cluster does not have",
        causes: &["api-server-answers", "github-credential"],
        judge: known_here,
    },
];

/// How many seconds a deletion may take: a runner that waits for a job has a reason for it.
const DELETION_SECONDS: i64 = 600;

fn facts(snapshot: &Snapshot) -> Result<&ScaleSetFacts, Verdict> {
    let facts = snapshot.scale_sets.as_ref();
    facts.ok_or_else(|| Verdict::skipped("no pool is a runner scale set"))
}

/// The scale sets of the profile that exist, each with its pool; `up` makes those that do not.
fn sets<'a>(
    snapshot: &'a Snapshot,
    facts: &'a ScaleSetFacts,
) -> Result<Vec<(&'a Pool, &'a Value)>, Verdict> {
    let sets = known(&facts.sets)?;
    let of = |pool: &'a Pool| {
        let set = sets.iter().find(|it| {
            it["metadata"]["namespace"] == pool.namespace.as_str() && name(it) == pool.name
        });
        set.map(|it| (pool, it))
    };
    Ok(snapshot.profile.scale_set_pools().filter_map(of).collect())
}

fn controller_runs(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let controller = known(&facts.controller)?;
    let sets = &snapshot.profile.scale_sets;
    let (namespace, name) = (&sets.namespace, sets.full_name());
    if controller.is_none() {
        return Ok(Verdict::broken(
            format!("Deployment `{namespace}/{name}` does not exist"),
            "install it with `arcctl up`",
        ));
    }
    if is_available(controller.as_ref()) {
        return Ok(Verdict::Holds);
    }
    let found = format!("Deployment `{namespace}/{name}` has no available pod");
    let pods = facts.listener_pods.iter().flatten();
    let own = pods.filter(|it| it["metadata"]["labels"][COMPONENT] == CONTROLLER);
    let worst = worst_readiness(own.map(|it| pod_readiness(it, &[])));
    Ok(match worst {
        Readiness::Stuck { reason, hint, .. } => {
            Verdict::broken(format!("{found}: {reason}"), hint)
        }
        _ => Verdict::broken(
            found,
            format!(
                "see why: `kubectl -n {namespace} describe deployment {name}`, and its log: `{}`",
                sets.log_command()
            ),
        ),
    })
}

fn controllers_apart(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let profile = &snapshot.profile;
    let all = known(&facts.controllers)?;
    let others: Vec<&SetController> = all.iter().filter(|it| !it.is_of(profile)).collect();
    let found: Vec<String> = others
        .iter()
        .map(|it| format!("another controller {}", it.words(profile)))
        .collect();
    let fixes: Vec<String> = others.iter().map(|it| it.way_out()).collect();
    Ok(Verdict::unless(&found, &fixes.join("; ")))
}

fn versions(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let controller = known(&facts.controller)?.as_ref().and_then(version);
    let Some(controller) = controller.filter(|it| minor(it).is_some()) else {
        return Ok(Verdict::skipped(
            "the controller has no label with a version",
        ));
    };
    let mut found = Vec::new();
    for (pool, set) in sets(snapshot, facts)? {
        if let Some(its) = version(set)
            && minor(its).is_some_and(|it| minor(controller) != Some(it))
        {
            found.push(format!(
                "scale set `{}` is of version {its}, its controller of {controller}",
                pool.name
            ));
        }
    }
    Ok(Verdict::unless(
        &found,
        "the controller deletes such a set: `arcctl up` brings both to `scaleSets.chartVersion`, with the jobs of the set ended first; do not upgrade one chart alone",
    ))
}

fn secret(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let secrets = known(&facts.secret_name)?;
    let mut found = Vec::new();
    for (pool, _) in sets(snapshot, facts)? {
        let (namespace, name) = (&pool.namespace, &pool.name);
        let secret = secrets.get(&format!("{namespace}/{name}"));
        if let Some(secret) = secret.filter(|it| !it.exists) {
            found.push(format!(
                "Secret `{namespace}/{}` of scale set `{name}` does not exist",
                secret.name
            ));
        }
    }
    Ok(Verdict::unless(
        &found,
        "make it again with `arcctl doctor --fix` or `arcctl up`; without it the controller can neither register nor delete the scale set",
    ))
}

fn not_outdated(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let mut found = Vec::new();
    let mut fix = String::new();
    for (pool, set) in sets(snapshot, facts)? {
        if set["status"]["phase"] == OUTDATED {
            let (namespace, name) = (&pool.namespace, &pool.name);
            found.push(format!(
                "scale set `{name}` is Outdated: its controller has removed its runners"
            ));
            fix = format!(
                "set a newer `image` of the pool in the profile and run `arcctl up`; if the image is current, end the state: `kubectl -n {namespace} patch autoscalingrunnerset {name} --subresource=status --type=merge -p '{{\"status\":{{\"phase\":\"\"}}}}'`"
            );
        }
    }
    Ok(Verdict::unless(&found, &fix))
}

fn runners(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let all = known(&facts.runners)?;
    for (pool, _) in sets(snapshot, facts)? {
        let mine = all.iter().filter(|it| {
            set_of(it) == Some(&pool.name) && it["metadata"]["namespace"] == pool.namespace.as_str()
        });
        let of = format!("scale set `{}`", pool.name);
        if let Some(Readiness::Stuck { reason, hint, .. }) =
            mine.into_iter().find_map(|it| failure(it, &of))
        {
            return Ok(Verdict::broken(reason, hint));
        }
    }
    Ok(Verdict::Holds)
}

fn nothing_stuck(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let lists = [
        known(&facts.runners)?,
        known(&facts.runner_sets)?,
        known(&facts.listeners)?,
        known(&facts.sets)?,
    ];
    let late = |it: &&Value| {
        let since = it["metadata"]["deletionTimestamp"].as_str();
        let since = since.and_then(|it| it.parse::<jiff::Timestamp>().ok());
        since.is_some_and(|it| snapshot.now.duration_since(it).as_secs() > DELETION_SECONDS)
    };
    let words = |it: &Value| {
        let finalizers = it["metadata"]["finalizers"].as_array();
        let finalizers: Vec<&str> = finalizers
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        format!(
            "{} `{}/{}` is held by {}",
            it["kind"].as_str().unwrap_or("an object"),
            it["metadata"]["namespace"].as_str().unwrap_or_default(),
            name(it),
            finalizers.join(", ")
        )
    };
    let found: Vec<String> = lists
        .into_iter()
        .flatten()
        .filter(late)
        .map(words)
        .collect();
    Ok(Verdict::unless(
        &found,
        &format!(
            "the controller's log has the reason: `{}`; where the pool or the profile goes, `arcctl teardown --force` removes it without the controller",
            snapshot.profile.scale_sets.log_command()
        ),
    ))
}

//! The repairs of `arcctl doctor --fix`: resources that arcctl created, according to the inventory, if it is safe to
//! create or restart them again. Pure: no I/O.

use std::collections::BTreeSet;

use super::{
    Finding,
    check::Verdict,
    snapshot::{Fact, Snapshot},
};
use crate::{
    desired::{
        Desired, Goal, Phase, names,
        resource::{Id, Resource, Restart, Webhooks, aws::PodIdentityAssociation},
    },
    resource::observed::Observed,
};

/// The resource kinds that are restored if a check is broken.
const CURES: &[(&str, &[&str])] = &[
    ("oidc-provider", &["oidc-provider"]),
    ("role-trusts-runners", &["iam-role"]),
    ("pod-identity-association", &[PodIdentityAssociation::KIND]),
    ("role-policies", &["iam-role", "iam-role-policy"]),
    ("bucket-policies", &["bucket-policy"]),
    ("nodes-reach-server", &["security-group-rule"]),
    ("api-reaches-webhook", &["security-group-rule"]),
    ("secret-complete", &["secret", CONTROLLER]),
    ("secret-clean", &["secret", CONTROLLER]),
    ("scale-set-secret", &["secret"]),
    ("controller-scaled", &[CONTROLLER]),
    ("controller-replicas", &[CONTROLLER]),
    ("controller-reads-secret", &[CONTROLLER]),
    ("webhooks-not-orphaned", &[CONTROLLER, CERT_MANAGER]),
    ("cert-manager-scaled", &[CERT_MANAGER]),
];

/// The controller's release, and after it the proof that its webhooks answer.
const CONTROLLER: &str = "controller";

/// The release of cert-manager.
const CERT_MANAGER: &str = "cert-manager";

/// The steps to run, in the order of their phases, and the checks that they repair.
#[derive(Debug, Default)]
pub struct Mends {
    /// The steps.
    pub steps: Vec<Desired>,
    /// The checks.
    pub checks: Vec<&'static str>,
    /// Notes that are not part of a step.
    pub notes: Vec<String>,
}

impl Mends {
    fn add(&mut self, check: &'static str, step: &Desired) {
        if !self.steps.iter().any(|it| it.id == step.id) {
            self.steps.push(step.clone());
        }
        if !self.checks.contains(&check) {
            self.checks.push(check);
        }
    }
}

/// The steps that fix `findings`; `desired` is all desired resources.
pub fn mends(snapshot: &Snapshot, findings: &[Finding], desired: &[Desired]) -> Mends {
    let mut mends = Mends::default();
    let Ok(recorded) = &snapshot.recorded else {
        return mends;
    };
    let broken = |id: &str| {
        findings
            .iter()
            .find(|it| it.id == id && matches!(it.verdict, Verdict::Broken { .. }))
            .map(|it| it.id)
    };
    let is_ours = |it: &&Desired| recorded.contains(it.id.as_str());
    for (check, kinds) in CURES {
        let Some(check) = broken(check) else { continue };
        for kind in kinds.iter().filter(|it| may_mend(snapshot, it)) {
            let steps = desired.iter().filter(|it| is_of(it, kind));
            for step in steps
                .filter(is_ours)
                .filter(|it| is_missing(snapshot, &it.id, kind))
                // An upgrade does not help a pod that only waits.
                .filter(|it| check != "controller-replicas" || differs(snapshot, &it.id))
            {
                mends.add(check, step);
            }
        }
    }
    if let Some(check) = broken("webhooks-not-orphaned")
        && let Some(step) = orphans(snapshot)
    {
        mends.add(check, &step);
    }
    if let Some(check) = broken("no-ghost-runners")
        && let Some(step) = ghosts(snapshot, recorded, &mut mends.notes)
    {
        mends.add(check, &step);
    }
    let injector = format!(
        "helm-release/{}/{}",
        snapshot.profile.cert_manager.namespace,
        names::CERT_MANAGER
    );
    // An injector scaled to zero has no pod to restart.
    if let Some(check) = broken("webhook-trusted")
        && recorded.contains(&injector)
        && broken("cert-manager-scaled").is_none()
    {
        mends.add(check, &restart(snapshot));
    }
    add_proofs(snapshot, &mut mends, desired);
    mends.steps.sort_by_key(|it| it.phase);
    mends
}

/// Adds the proofs that the webhooks of an updated release or a restarted pod respond.
fn add_proofs(snapshot: &Snapshot, mends: &mut Mends, desired: &[Desired]) {
    let restarts = |it: &Desired| matches!(it.resource, Resource::Restart(_));
    let controllers = snapshot.profile.controller.webhook_service();
    for (is_mended, service) in [
        (
            mends.steps.iter().any(|it| is_of(it, CERT_MANAGER)),
            "cert-manager-webhook",
        ),
        (
            mends
                .steps
                .iter()
                .any(|it| is_of(it, CONTROLLER) || restarts(it)),
            controllers.as_str(),
        ),
    ] {
        let proof = desired
            .iter()
            .find(|it| it.id.kind() == "webhook" && it.id.name() == service);
        mends.steps.extend(proof.filter(|_| is_mended).cloned());
    }
}

/// Resources that contain or need the credential are only written if GitHub accepts it.
fn may_mend(snapshot: &Snapshot, kind: &str) -> bool {
    snapshot.audit.is_ok() || !["secret", CONTROLLER].contains(&kind)
}

fn is_of(desired: &Desired, kind: &str) -> bool {
    match kind {
        CONTROLLER => {
            matches!(&desired.resource, Resource::Release(it) if it.chart.name == names::CONTROLLER)
        }
        CERT_MANAGER => {
            desired.id.kind() == "helm-release" && desired.id.name() == names::CERT_MANAGER
        }
        kind => desired.id.kind() == kind,
    }
}

/// Whether it is missing or different. The controller's release contains the version of the Secret, which may differ
/// only after the Secret is fixed: its own step decides whether it changes.
fn is_missing(snapshot: &Snapshot, id: &Id, kind: &str) -> bool {
    match observed(snapshot, id) {
        // A chart is installed by `up`, not by a repair.
        Some(Ok(Observed::Absent)) => ![CONTROLLER, CERT_MANAGER].contains(&kind),
        Some(Ok(Observed::Present(present))) => {
            kind == CONTROLLER || !present.differences.is_empty()
        }
        _ => false,
    }
}

/// Whether it exists and differs.
fn differs(snapshot: &Snapshot, id: &Id) -> bool {
    matches!(observed(snapshot, id), Some(Ok(Observed::Present(it))) if !it.differences.is_empty())
}

fn observed<'a>(snapshot: &'a Snapshot, id: &Id) -> Option<&'a Fact<Observed>> {
    let resources = snapshot.resources.as_ref().map(Vec::as_slice);
    let mut resources = resources.unwrap_or_default().iter();
    resources.find(|it| it.id == *id).map(|it| &it.observed)
}

/// The webhook configurations of a controller's release that no longer exists.
fn orphans(snapshot: &Snapshot) -> Option<Desired> {
    let controller = &snapshot.profile.controller;
    let (namespace, name) = (&controller.namespace, &controller.release);
    let id = Id::new("helm-release", Some(namespace), name);
    let release = snapshot
        .resources
        .as_ref()
        .ok()?
        .iter()
        .find(|it| it.id == id)?;
    let is_gone = matches!(release.observed, Ok(Observed::Absent));
    let mut configurations = snapshot.webhooks.as_ref().ok()?.iter();
    let is_left = configurations.any(|it| {
        let annotations = &it["metadata"]["annotations"];
        annotations["meta.helm.sh/release-name"] == **name
            && annotations["meta.helm.sh/release-namespace"] == **namespace
    });
    (is_gone && is_left).then(|| Desired {
        id: Id::new("webhooks", Some(namespace), name),
        phase: Phase::Repair,
        after: Vec::new(),
        resource: Resource::Webhooks(Webhooks {
            namespace: namespace.clone(),
            release: name.clone(),
        }),
        goal: Goal::Absent,
    })
}

/// The runners at GitHub that this cluster's controller created for pools of this profile and that have no pod.
fn ghosts(
    snapshot: &Snapshot,
    recorded: &BTreeSet<String>,
    notes: &mut Vec<String>,
) -> Option<Desired> {
    let is_recorded = |pool: &str| {
        let own = snapshot.profile.pools.iter().filter(|it| it.name == pool);
        own.into_iter()
            .any(|it| recorded.contains(names::pool_id(&it.namespace, pool).as_str()))
    };
    let ours: BTreeSet<String> = super::checks::github::ghosts(snapshot)
        .ok()?
        .into_iter()
        .filter(|it| it.surely_ours && is_recorded(it.pool))
        .map(|it| it.name.to_owned())
        .collect();
    if ours.is_empty() {
        return None;
    }
    notes.extend(
        ours.iter()
            .map(|it| format!("runner `{it}` is removed at GitHub")),
    );
    let profile = &snapshot.profile.name;
    Some(Desired {
        id: Id::new("offline-runners", Some("github"), profile),
        phase: Phase::Deregistration,
        after: Vec::new(),
        resource: Resource::Ghosts {
            profile: profile.clone(),
            only: Some(ours),
        },
        goal: Goal::Absent,
    })
}

/// Restarts cert-manager's CA injector, so that it injects all certificates again.
fn restart(snapshot: &Snapshot) -> Desired {
    let deployment = format!("{}-cainjector", names::CERT_MANAGER);
    let namespace = &snapshot.profile.cert_manager.namespace;
    Desired {
        id: Id::new("restart", Some(namespace), &deployment),
        phase: Phase::Wiring,
        after: Vec::new(),
        resource: Resource::Restart(Restart {
            namespace: namespace.clone(),
            deployment,
            since: snapshot.now,
        }),
        goal: Goal::Present,
    }
}

//! Tests of `--fix`: it only changes what arcctl created, and only if a check is broken.

use super::{all_faults, findings, healthy};
use crate::{
    desired::{
        Desired, Facts,
        aws::{AwsFacts, NodeNetwork},
        desired,
    },
    doctor::{
        fix::{Mends, mends},
        snapshot::Snapshot,
    },
    resource::observed::Observed,
};

fn wanted(snapshot: &Snapshot) -> Vec<Desired> {
    let eks = crate::desired::EksFacts {
        name: "runners".into(),
        issuer: Some("https://issuer".into()),
        ..crate::desired::EksFacts::default()
    };
    let node = NodeNetwork {
        groups: vec!["sg-2".into()],
        subnets: Vec::new(),
    };
    let facts = Facts {
        now: snapshot.now,
        eks: Some(eks),
        aws: Some(AwsFacts {
            ipv6: false,
            control_plane_groups: vec!["sg-3".into()],
            control_plane_subnets: Vec::new(),
            nodes: vec![node],
            ..AwsFacts::default()
        }),
        ..Facts::default()
    };
    desired(&snapshot.profile, &facts).unwrap()
}

/// A healthy world in which arcctl created everything, with its observed state.
fn installed() -> Snapshot {
    let mut snapshot = healthy();
    let wanted = wanted(&snapshot);
    snapshot.recorded = Ok(wanted.iter().map(|it| it.id.to_string()).collect());
    let resources = snapshot.resources.as_mut().unwrap();
    let (mut like, rule) = (resources[0].clone(), resources.clone());
    resources.clear();
    for it in &wanted {
        like.id = it.id.clone();
        like.proof = it.resource.is_proof();
        like.purpose = crate::doctor::collect::purpose(it);
        resources.push(like.clone());
    }
    assert!(rule.iter().any(|it| it.purpose.is_some()));
    snapshot
}

fn of(snapshot: &Snapshot) -> Mends {
    mends(snapshot, &findings(snapshot), &wanted(snapshot))
}

fn ids(mends: &Mends) -> Vec<String> {
    mends.steps.iter().map(|it| it.id.to_string()).collect()
}

fn lose(snapshot: &mut Snapshot, kind: &str) {
    for it in snapshot.resources.as_mut().unwrap() {
        if it.id.kind() == kind {
            it.observed = Ok(Observed::Absent);
        }
    }
}

fn broken(id: &str) -> Snapshot {
    let mut snapshot = installed();
    all_faults().find(|it| it.0 == id).unwrap().1(&mut snapshot);
    snapshot
}

#[test]
fn nothing_is_mended_where_all_is_well() {
    assert_eq!(ids(&of(&installed())), [""; 0]);
}

#[test]
fn a_missing_rule_is_made_again_where_arcctl_made_it() {
    let mut snapshot = installed();
    lose(&mut snapshot, "security-group-rule");
    let mended = of(&snapshot);
    assert!(
        ids(&mended)
            .iter()
            .all(|it| it.starts_with("security-group-rule/"))
    );
    assert_eq!(mended.checks, ["nodes-reach-server", "api-reaches-webhook"]);
    snapshot.recorded = Ok(std::collections::BTreeSet::new());
    assert_eq!(ids(&of(&snapshot)), [""; 0]);
}

#[test]
fn a_lost_secret_is_written_and_the_controller_restarted() {
    let mut snapshot = broken("secret-complete");
    lose(&mut snapshot, "secret");
    assert_eq!(
        ids(&of(&snapshot)),
        [
            "secret/actions-runner-system/controller-manager",
            "helm-release/actions-runner-system/actions-runner-controller",
            "webhook/actions-runner-system/actions-runner-controller-webhook",
        ]
    );
}

/// Without a credential, or with one that is rejected, the existing Secret is kept.
#[test]
fn a_credential_that_github_does_not_take_is_not_written() {
    let mut snapshot = broken("secret-complete");
    lose(&mut snapshot, "secret");
    let refused = broken("github-credential");
    snapshot.audit = refused.audit;
    assert_eq!(ids(&of(&snapshot)), [""; 0]);
}

#[test]
fn a_stale_authority_has_the_injector_restarted_and_waits_for_the_webhook() {
    assert_eq!(
        ids(&of(&broken("webhook-trusted"))),
        [
            "restart/cert-manager/cert-manager-cainjector",
            "webhook/actions-runner-system/actions-runner-controller-webhook",
        ]
    );
    // A cert-manager that another user installed is not changed.
    let mut theirs = broken("webhook-trusted");
    let recorded = theirs.recorded.as_mut().unwrap();
    recorded.remove("helm-release/cert-manager/cert-manager");
    assert_eq!(ids(&of(&theirs)), [""; 0]);
}

#[test]
fn configurations_of_a_release_that_is_gone_go() {
    let mut snapshot = broken("webhooks-not-orphaned");
    lose(&mut snapshot, "helm-release");
    // Without the release's labels it has another owner, and is kept.
    assert_eq!(ids(&of(&snapshot)), [""; 0]);
    for it in snapshot.webhooks.as_mut().unwrap() {
        it["metadata"]["annotations"] = serde_json::json!({
            "meta.helm.sh/release-name": "actions-runner-controller",
            "meta.helm.sh/release-namespace": "actions-runner-system",
        });
    }
    assert_eq!(
        ids(&of(&snapshot)),
        ["webhooks/actions-runner-system/actions-runner-controller"]
    );
}

/// Two runners that are offline and have no pod: one of a set that is here, one that another cluster may have made.
#[test]
fn only_ghosts_that_this_clusters_controller_made_are_removed() {
    let mut snapshot = installed();
    let registered = snapshot.registered.as_mut().unwrap();
    let mut ghost = registered[0].clone();
    ghost.online = false;
    for name in ["basic-set-gone1", "basic-other-gone2"] {
        ghost.name = name.into();
        registered.push(ghost.clone());
    }
    let mended = of(&snapshot);
    assert_eq!(ids(&mended), ["offline-runners/github/dogecompany"]);
    assert_eq!(
        mended.notes,
        ["runner `basic-set-gone1` is removed at GitHub"]
    );
    assert_eq!(mended.checks, ["no-ghost-runners"]);

    // An event is about this cluster's own runner.
    let mut told = snapshot.clone();
    told.runner_events = Ok(vec![serde_json::json!({
        "reason": "RegistrationTokenUpdated", "involvedObject": {"kind": "Runner", "name": "basic-other-gone2"}})]);
    assert_eq!(of(&told).notes.len(), 2);
    // The controller still has it, and removes it itself.
    let mut waiting = snapshot.clone();
    let runners = waiting.runners.as_mut().unwrap();
    runners.push(serde_json::json!({"metadata": {"name": "basic-set-gone1"}}));
    assert_eq!(ids(&of(&waiting)), [""; 0]);
    // A job that still runs.
    let mut busy = snapshot.clone();
    busy.registered
        .as_mut()
        .unwrap()
        .iter_mut()
        .for_each(|it| it.busy = true);
    assert_eq!(ids(&of(&busy)), [""; 0]);
    // A pool that arcctl did not create.
    snapshot.recorded = Ok(std::collections::BTreeSet::new());
    assert_eq!(ids(&of(&snapshot)), [""; 0]);
}

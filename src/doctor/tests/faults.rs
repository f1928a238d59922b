//! One fault for each check.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::scale_set_faults;
use super::worlds::{NOW, by_association, healthy, with_scale_set};
use crate::{
    desired::{
        Facts,
        capacity::{Loss, Why},
        pool::{autoscaler, probe::State},
        resource::aws::PodIdentityAssociation,
    },
    diff::Difference,
    doctor::{
        redact::digest,
        snapshot::{Refused, Shape, Snapshot, Wiring},
    },
    error::{Error, ErrorKind, System},
    resource::observed::{Observed, Ownership, Present, Readiness},
};

pub(super) fn observe(snapshot: &mut Snapshot, start: &str, observed: Observed) {
    let resources = snapshot.resources.as_mut().unwrap();
    let found = resources
        .iter_mut()
        .find(|it| it.id.as_str().starts_with(start));
    found.unwrap().observed = Ok(observed);
}

pub(super) fn not_yet(snapshot: &mut Snapshot, start: &str) {
    let readiness = Readiness::progressing("not yet");
    observe(snapshot, start, Observed::Present(Present::same(readiness)));
}

pub(super) fn present(change: impl FnOnce(&mut Present)) -> Observed {
    let mut present = Present::same(Readiness::Ready);
    change(&mut present);
    Observed::Present(present)
}

/// A field that differs from the desired value.
pub(super) fn differs(path: &str) -> Observed {
    present(|it| {
        it.differences.push(Difference {
            path: path.into(),
            from: json!(1),
            to: json!(2),
        });
    })
}

/// One step of the probe fails.
fn probe_fails(snapshot: &mut Snapshot, step: &str) {
    let probed = &mut snapshot.probe.as_mut().unwrap().as_mut().unwrap()[0];
    let answers = probed.said.as_mut().unwrap().iter_mut();
    for answer in answers.filter(|it| it.step == step) {
        answer.state = State::Bad;
    }
}

/// The API server rejects the pods of the pool.
pub(super) fn refuse_pods(snapshot: &mut Snapshot, said: &str, lacks_room: bool) {
    snapshot.pod_trials.as_mut().unwrap()[0].refused = Ok(Some(Refused {
        said: said.into(),
        fix: "set resources.docker".into(),
        lacks_room,
    }));
}

/// The facts that were read at AWS.
fn wiring(snapshot: &mut Snapshot) -> &mut Wiring {
    snapshot.at_aws.wiring.as_mut().unwrap().as_mut().unwrap()
}

/// GitHub offers this version of the runner.
fn offers(version: &str) -> BTreeMap<String, Option<String>> {
    BTreeMap::from([("basic".into(), Some(version.into()))])
}

pub(super) fn error(kind: ErrorKind) -> Error {
    Error::new(kind, System::Kubernetes, "something").hint("do something")
}

/// Adds one fault to a healthy world.
pub(super) type Fault = fn(&mut Snapshot);

/// The controller's event about a runner's token.
pub(super) fn token_event(reason: &str, time: &str) -> serde_json::Value {
    json!({"reason": reason, "type": "Warning", "lastTimestamp": time, "message": "it failed",
        "involvedObject": {"kind": "Runner", "name": "basic-a"}})
}

/// The healthy world in which a check applies.
pub(super) fn where_it_applies(id: &str) -> Snapshot {
    if id.starts_with("pod-identity-") {
        by_association()
    } else if id.starts_with("scale-set-") {
        with_scale_set()
    } else {
        healthy()
    }
}

/// A fault for each check, by the check's id, in the order of the checks.
pub(super) fn all_faults() -> impl Iterator<Item = &'static (&'static str, Fault)> {
    FAULTS.iter().chain(scale_set_faults::FAULTS)
}

const FAULTS: &[(&str, Fault)] = &[
    ("profile-wise", |it| it.advice.push("unwise".into())),
    ("helm-usable", |it| it.helm = Err(error(ErrorKind::Failed))),
    ("aws-credentials", |it| {
        it.at_aws.caller = Err(error(ErrorKind::Unauthorized));
    }),
    ("eks-cluster", |it| {
        it.at_aws.cluster = Err(error(ErrorKind::Failed));
    }),
    ("eks-support", |it| it.kubernetes = Ok((1, 30))),
    ("oidc-provider", |it| {
        observe(it, "oidc-provider", Observed::Absent);
    }),
    ("role-trusts-runners", |it| {
        observe(it, "iam-role/", differs("trustPolicy[Arcctl1].Condition"));
    }),
    ("pod-identity-association", |it| {
        observe(it, PodIdentityAssociation::KIND, Observed::Absent);
    }),
    ("pod-identity-agent", |it| {
        // Its nodes are not those of Auto Mode.
        wiring(it).auto_mode = true;
        it.role_agent = Ok(None);
    }),
    ("role-policies", |it| {
        observe(it, "iam-role/", differs("managedPolicies[arn]"));
    }),
    ("bucket-policies", |it| {
        observe(it, "bucket-policy", Observed::Absent);
    }),
    ("trust-policy-has-room", |it| {
        wiring(it).trust_policy.as_mut().unwrap().size = 1900;
    }),
    ("aws-wise", |it| wiring(it).advice.push("unwise".into())),
    ("nodes-reach-server", |it| {
        observe(it, "security-group-rule/sg-1/ingress-443", Observed::Absent);
    }),
    ("api-reaches-webhook", |it| {
        observe(
            it,
            "security-group-rule/sg-1/ingress-9443",
            Observed::Absent,
        );
    }),
    ("probe-resolves", |it| probe_fails(it, "dns")),
    ("probe-connects", |it| probe_fails(it, "tcp")),
    ("probe-trusts", |it| probe_fails(it, "tls")),
    ("probe-is-answered", |it| probe_fails(it, "api")),
    ("probe-takes-role", |it| probe_fails(it, "aws")),
    ("api-server-answers", |it| {
        it.kubernetes = Err(error(ErrorKind::Failed));
    }),
    ("nodes-ready", |it| it.nodes = Ok(Vec::new())),
    ("resources-there", |it| {
        observe(it, "namespace", Observed::Absent);
    }),
    ("resources-ours", |it| {
        let other = Ownership::OtherProfile { name: "x".into() };
        observe(it, "namespace", present(|it| it.ownership = other));
    }),
    ("resources-unchanged", |it| {
        observe(it, "namespace", differs("spec"));
    }),
    ("cert-manager-scaled", |it| {
        it.cert_manager.as_mut().unwrap()[1]["spec"]["replicas"] = json!(0);
    }),
    ("cert-manager-runs", |it| {
        it.cert_manager.as_mut().unwrap()[2]["status"]["availableReplicas"] = json!(0);
        it.cert_manager_pods.as_mut().unwrap()[0]["status"] = json!({"phase": "Pending"});
    }),
    ("cert-manager-answers", |it| {
        not_yet(it, "webhook/cert-manager");
    }),
    ("certificate-issued", |it| it.certificate = Ok(None)),
    ("certificate-lasts", |it| {
        it.certificate.as_mut().unwrap().as_mut().unwrap()["status"]["notAfter"] =
            json!("2026-11-25T12:00:00Z");
    }),
    ("secret-complete", |it| it.secret = Ok(None)),
    ("secret-clean", |it| {
        let keys = &mut it.secret.as_mut().unwrap().as_mut().unwrap().keys;
        keys.insert("github_token".into(), Shape::Spaced);
    }),
    ("controller-fits-kubernetes", |it| {
        let deployment = it.controller.as_mut().unwrap().as_mut().unwrap();
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] =
            json!("summerwind/actions-runner-controller:v0.27.4");
    }),
    ("controller-scaled", |it| {
        it.controller.as_mut().unwrap().as_mut().unwrap()["spec"]["replicas"] = json!(0);
    }),
    ("controller-runs", |it| it.controller_pods = Ok(Vec::new())),
    ("controller-replicas", |it| {
        it.controller_pods.as_mut().unwrap()[1]["status"] = json!({"phase": "Pending"});
    }),
    ("controller-reads-secret", |it| {
        it.secret.as_mut().unwrap().as_mut().unwrap().version = "8".into();
    }),
    ("controllers-apart", |it| {
        it.webhooks.as_mut().unwrap().push(json!({
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "team-actions-runner-controller-validating-webhook-configuration"},
            "webhooks": [{
                "name": "validate.runner.actions.summerwind.dev",
                "clientConfig": {"service": {"namespace": "team", "name": "team-webhook"}},
            }],
        }));
    }),
    ("webhooks-not-orphaned", |it| {
        let service = "actions-runner-system/actions-runner-controller-webhook";
        it.missing_services = Ok(BTreeSet::from([service.to_owned()]));
    }),
    ("webhook-trusted", |it| {
        it.serving_ca = Ok(Some(digest("bmV3")));
    }),
    ("webhook-reachable", |it| it.slices = Ok(Vec::new())),
    ("webhook-answers", |it| {
        not_yet(it, "webhook/actions-runner-system");
    }),
    ("github-credential", |it| {
        it.audit = Err(Error {
            system: System::GitHub,
            ..error(ErrorKind::Unauthorized)
        });
    }),
    ("github-credential-wise", |it| {
        it.audit = Ok(vec!["it expires".into()]);
    }),
    ("runner-groups", |it| {
        let groups = it.groups.as_mut().unwrap();
        groups.broken.push("there is no group".into());
        groups.fix = "make it".into();
    }),
    ("runner-groups-wise", |it| {
        let groups = it.groups.as_mut().unwrap();
        groups.advice.push("open to all".into());
    }),
    ("runners-online", |it| not_yet(it, "registration")),
    ("no-ghost-runners", |it| {
        let registered = it.registered.as_mut().unwrap();
        registered[0].online = false;
        registered[0].name = "basic-gone".into();
    }),
    ("runner-pods-admitted", |it| {
        refuse_pods(it, "must specify limits.cpu", false);
    }),
    ("pods-schedulable", |it| {
        it.runner_pods.as_mut().unwrap()[0]["status"] = json!({"conditions": [{"type": "PodScheduled",
            "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"}]});
    }),
    ("images-pullable", |it| {
        it.runner_pods.as_mut().unwrap()[0]["status"] = json!({"containerStatuses": [
            {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}]});
    }),
    ("runners-register", |it| {
        it.runner_events = Ok(vec![token_event("FailedUpdateRegistrationToken", NOW)]);
    }),
    ("runner-pods-run", |it| not_yet(it, "runner-pods")),
    ("nothing-stuck-deleting", |it| {
        let metadata = &mut it.runners.as_mut().unwrap()[0]["metadata"];
        metadata["deletionTimestamp"] = json!("2026-11-24T11:00:00Z");
        metadata["finalizers"] = json!(["runner.actions.summerwind.dev"]);
    }),
    ("runner-memory-suffices", |it| {
        it.runner_pods.as_mut().unwrap()[0]["status"]["containerStatuses"] = json!([
            {"name": "docker", "lastState": {"terminated": {"reason": "OOMKilled"}}}]);
    }),
    ("runner-version-accepted", |it| {
        // github.com, which a GitHub Enterprise Server is not.
        it.profile.github.url = None;
        it.profile.pools[0].image = "summerwind/actions-runner:v2.336.0-ubuntu-22.04".into();
        it.registered.as_mut().unwrap()[0].version = None;
        it.offered = Ok(offers("2.338.1"));
    }),
    ("runner-version-fresh", |it| {
        it.offered = Ok(offers("2.323.0"));
    }),
    ("nodes-hold-minimum", |it| {
        let room = &mut it.rooms.as_mut().unwrap()[0];
        (room.minimum.wanted, room.minimum.lacking) = (20, 4);
    }),
    ("busy-runners-keep-node", |it| {
        let room = &mut it.rooms.as_mut().unwrap()[0];
        room.losses.push(Loss {
            node_pool: "default".into(),
            auto_mode: false,
            why: Why::Consolidation,
        });
    }),
    ("autoscaler-works", |it| {
        it.runner_events = Ok(vec![
            json!({"reason": "RunnerAutoscalingFailure", "type": "Normal",
            "lastTimestamp": NOW, "message": "is missing maxReplicas", "involvedObject": {"name": "basic"}}),
        ]);
    }),
    ("schedule-in-force", |it| {
        it.autoscalers.as_mut().unwrap()[0]["spec"]["scheduledOverrides"] = json!([]);
    }),
    ("schedule-horizon", |it| {
        // Written 325 days ago for a zone whose clocks change, of which 400 days are rendered from the last quarter on.
        it.profile.pools[0].schedule.as_mut().unwrap().time_zone = "Europe/Berlin".into();
        let facts = Facts {
            now: it.now - jiff::SignedDuration::from_hours(24 * 325),
            ..Facts::default()
        };
        let pool = &it.profile.pools[0];
        it.autoscalers = Ok(vec![
            autoscaler::autoscaler(&it.profile, pool, &facts).unwrap(),
        ]);
    }),
    ("reservations-end", |it| {
        it.autoscalers.as_mut().unwrap()[0]["spec"]["capacityReservations"] =
            json!([{"replicas": 99, "expirationTime": "2026-11-24T13:00:00Z"}]);
    }),
    ("service-monitor-possible", |it| {
        it.service_monitors = Ok(false);
    }),
    ("scale-set-monitors-possible", |it| {
        it.scale_sets.as_mut().unwrap().pod_monitors = Ok(false);
    }),
    ("alerts-possible", |it| it.prometheus_rules = Ok(false)),
    ("monitoring-there", |it| {
        observe(it, "prometheus-rule", Observed::Absent);
    }),
    ("monitoring-selected", |it| {
        it.prometheuses.as_mut().unwrap()[0]["spec"]["ruleSelector"] =
            json!({"matchLabels": {"release": "prom"}});
    }),
];

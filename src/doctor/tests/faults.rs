//! What breaks each check, and what differs between installations that are well.

use std::collections::BTreeSet;

use serde_json::json;

use super::worlds::{NOW, ready_pod};
use crate::{
    doctor::world::{Registered, Shape, World},
    error::{Error, ErrorKind, System},
    resource::{
        difference::Difference,
        observed::{Observed, Ownership, Present, Readiness},
    },
};

pub(super) fn observe(world: &mut World, start: &str, observed: Observed) {
    let resources = world.resources.as_mut().unwrap();
    let found = resources
        .iter_mut()
        .find(|it| it.id.as_str().starts_with(start));
    found.unwrap().observed = Ok(observed);
}

pub(super) fn not_yet(world: &mut World, start: &str) {
    let readiness = Readiness::progressing("not yet");
    observe(world, start, Observed::Present(Present::same(readiness)));
}

pub(super) fn present(change: impl FnOnce(&mut Present)) -> Observed {
    let mut present = Present::same(Readiness::Ready);
    change(&mut present);
    Observed::Present(present)
}

pub(super) fn error(kind: ErrorKind) -> Error {
    Error::new(kind, System::Kubernetes, "something").hint("do something")
}

/// Makes one thing wrong in a healthy world.
pub(super) type Fault = fn(&mut World);

/// A fault for each check, by the check's id.
pub(super) const FAULTS: &[(&str, Fault)] = &[
    ("profile-supported", |it| {
        it.unsupported.push("`aws`".into());
    }),
    ("profile-wise", |it| it.advice.push("unwise".into())),
    ("helm-usable", |it| it.helm = Err(error(ErrorKind::Failed))),
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
        let difference = Difference {
            path: "spec".into(),
            from: json!(1),
            to: json!(2),
        };
        observe(
            it,
            "namespace",
            present(|it| it.differences.push(difference)),
        );
    }),
    ("service-monitor-possible", |it| {
        it.service_monitors = Ok(false);
    }),
    ("cert-manager-runs", |it| {
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
    ("controller-reads-secret", |it| {
        it.secret.as_mut().unwrap().as_mut().unwrap().version = "8".into();
    }),
    ("webhooks-not-orphaned", |it| {
        let service = "actions-runner-system/actions-runner-controller-webhook";
        it.missing_services = Ok(BTreeSet::from([service.to_owned()]));
    }),
    ("webhook-trusted", |it| {
        it.serving_ca = Ok(Some("bmV3".into()));
    }),
    ("webhook-reachable", |it| it.slices = Ok(Vec::new())),
    ("webhook-answers", |it| {
        not_yet(it, "webhook/actions-runner-system");
    }),
    ("github-credential", |it| {
        it.audit = Err(error(ErrorKind::Unauthorized));
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
    ("pods-schedulable", |it| {
        it.runner_pods.as_mut().unwrap()[0]["status"] = json!({"conditions": [{"type": "PodScheduled",
            "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}]});
    }),
    ("images-pullable", |it| {
        it.runner_pods.as_mut().unwrap()[0]["status"] = json!({"containerStatuses": [
            {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}]});
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
    ("autoscaler-works", |it| {
        it.runner_events = Ok(vec![
            json!({"reason": "RunnerAutoscalingFailure", "type": "Normal",
            "lastTimestamp": NOW, "message": "is missing maxReplicas", "involvedObject": {"name": "basic"}}),
        ]);
    }),
    ("schedule-in-force", |it| {
        it.autoscalers.as_mut().unwrap()[0]["spec"]["scheduledOverrides"] = json!([]);
    }),
    ("reservations-end", |it| {
        it.autoscalers.as_mut().unwrap()[0]["spec"]["capacityReservations"] =
            json!([{"replicas": 99, "expirationTime": "2026-11-24T13:00:00Z"}]);
    }),
];

/// What differs between installations that are well.
pub(super) const VARIANTS: &[Fault] = &[
    |it| it.profile.pools[0].schedule = None,
    |it| it.cert_manager_pods = Ok(Vec::new()),
    |it| {
        let mut finished = ready_pod("startupapicheck", &json!({}));
        finished["status"] = json!({"phase": "Succeeded"});
        it.cert_manager_pods.as_mut().unwrap().push(finished);
    },
    |it| {
        let labels = json!({"app.kubernetes.io/name": "actions-runner-controller"});
        let mut evicted = ready_pod("evicted", &labels);
        evicted["status"] = json!({"phase": "Failed", "reason": "Evicted"});
        it.controller_pods.as_mut().unwrap().push(evicted);
    },
    |it| {
        it.registered.as_mut().unwrap().push(Registered {
            name: "basic-elsewhere".into(),
            online: false,
            labels: vec!["of-another-cluster".into()],
        });
    },
    |it| {
        it.runner_events = Ok(vec![json!({"reason": "RunnerAutoscalingFailure",
            "lastTimestamp": "2026-11-24T11:00:00Z", "involvedObject": {"name": "basic"}})]);
    },
    |it| it.runners.as_mut().unwrap()[0]["metadata"]["deletionTimestamp"] = json!(NOW),
    |it| it.profile.monitoring = None,
    |it| {
        let key = ("github_app_private_key".to_owned(), Shape::Spaced);
        let ids =
            ["github_app_id", "github_app_installation_id"].map(|it| (it.to_owned(), Shape::Whole));
        it.secret.as_mut().unwrap().as_mut().unwrap().keys = ids.into_iter().chain([key]).collect();
    },
];

//! One document of each schema, with every key.

use std::time::Duration;

use arcctl::{
    clients::requests::Counts,
    desired::{
        Phase,
        capacity::saving,
        lock::{self, Lock},
        resource::Id,
        summary::Summary,
    },
    diff::Difference,
    doctor::{
        Finding,
        check::{Severity, Verdict},
    },
    error::{Error, System},
    execute::{Span, StepResult},
    migration::{Asked as Asking, Stage, migration, peaks::Peaks, workflows::Workflows},
    plan::{Action, Changes, Plan, Step},
    profile::{
        Mode, Pool, Profile, load,
        schedule::{calendar, clock_changes, hours, moment, overrides, verify},
    },
    report::{
        self,
        images::{self, Images, PoolImage},
        init::{Found, Init},
        migration::Migrated,
        run::{Requests, Run},
        schedule::{Calendar, PoolCalendar},
        status::{CertificateStatus, PoolStatus, ReleaseStatus, RunnerStatus, Status},
        strip::strip,
    },
    smoke::{LabelStory, PoolStory, Smoke, SmokeRun, Step as SmokeStep},
    units::runner::{Asked, RunnerVersion},
};
use serde_json::{Value, json};

use crate::repository::text;

pub(super) fn error() -> Error {
    Error::failed(System::Kubernetes, "something")
        .object("namespace/-/x")
        .hint("do something")
}

pub(super) fn plan_document() -> Value {
    let step = Step {
        id: "namespace/-/x".into(),
        kind: "namespace".into(),
        name: "x".into(),
        phase: Phase::Base,
        action: Action::Update,
        differences: vec![Difference {
            path: "metadata.labels.a".into(),
            from: json!({"any": ["value"]}),
            to: Value::Null,
        }],
        adopts: true,
        ready: false,
        proof: false,
        note: None,
        consequences: Vec::new(),
        summary: Summary::default(),
    };
    let plan = Plan {
        profile: "x".into(),
        steps: vec![step],
    };
    report::plan::document("x", Some(&plan), Some(&error()))
}

pub(super) fn run_document() -> Value {
    let step = |action, error| StepResult {
        id: Id::new("namespace", None, "x"),
        action,
        written: action.is_some(),
        elapsed: Duration::from_millis(1500),
        span: Some(Span {
            began: std::time::Instant::now(),
            ended: std::time::Instant::now(),
            waited_for: None,
        }),
        error,
    };
    let of = |kind: &str| StepResult {
        id: Id::new(kind, Some("n"), "fast"),
        ..step(Some(Action::Delete), None)
    };
    let run = Run {
        profile: "x".into(),
        steps: vec![
            step(Some(Action::Create), None),
            step(None, None),
            step(Some(Action::Later), Some(error())),
            of("scale-set-drain"),
            of("scale-set"),
        ],
        began: std::time::Instant::now(),
        elapsed: Duration::from_secs(2),
        requests: Requests {
            kubernetes: Counts::default(),
            aws: Counts::default(),
            github: Counts::default(),
            helm: 1,
        },
        error: Some(error()),
    };
    run.document()
}

pub(super) fn profile() -> Profile {
    load(&text("profiles/reference.yaml"), "reference")
        .unwrap_or_else(|errors| panic!("{errors}"))
        .profile
}

/// A pool with a newer image, and one whose image cannot be compared.
pub(super) fn images_document() -> Value {
    let pool = |repository: Option<&str>, found| PoolImage {
        pool: "basic".into(),
        image: "summerwind/actions-runner:v2.336.0".into(),
        repository: repository.map(str::to_owned),
        found,
    };
    let newer = images::Found::Newer("summerwind/actions-runner:v2.338.1".into());
    let unknown = images::Found::Unknown("it has no tag".into());
    let images = Images {
        profile: "x".into(),
        file: "arcctl.yaml".into(),
        written: true,
        today: "2026-11-27".parse().unwrap(),
        pools: vec![
            pool(Some("registry-1.docker.io/x"), newer),
            pool(None, unknown),
        ],
    };
    images.document(Some(&error()))
}

/// A migration to a scale set without labels, which stopped between.
pub(super) fn migration_document() -> Value {
    let profile = profile();
    let old = profile.pools[0].clone();
    let new = Pool {
        name: "new".into(),
        mode: Mode::ScaleSet,
        labels: vec!["linux".into()],
        instance_type: None,
        ..old.clone()
    };
    let asked = Asking {
        pool: &old.name,
        mode: Some(Mode::ScaleSet),
        name: Some("new"),
        image: None,
        no_labels: false,
    };
    let migrated = Migrated {
        profile: profile.name.clone(),
        file: "arcctl.yaml".into(),
        written: true,
        pool: old.name.clone(),
        migration: migration(&profile, &[], &asked).unwrap(),
        stage: Some(Stage::Beside),
        differs: vec!["it has another image".into()],
        peaks: Some(Peaks::of(&old, &new)),
        workflows: Some(Workflows::of(&profile, &old, &new)),
        changes: Some(Changes::default()),
        changed: 3,
        declined: false,
        elapsed: Duration::from_secs(2),
        error: Some(error()),
    };
    migrated.document()
}

/// A pool of known counts in a window, and one of unknown counts outside every window.
pub(super) fn status_document() -> Value {
    let profile = profile();
    let pool = &profile.pools[0];
    let at = |time: &str| moment(pool.schedule.as_ref(), pool.min, time.parse().unwrap());
    let pool = |counts: Option<usize>, time| PoolStatus {
        mode: arcctl::profile::Mode::default(),
        name: pool.name.clone(),
        min: pool.min,
        max: pool.max,
        desired: counts.map(|it| it as u64),
        running: counts,
        registered: counts,
        busy: counts,
        moment: at(time),
        schedule: None,
        runner: counts.map(|_| RunnerStatus {
            image: "summerwind/actions-runner:v2.336.0".into(),
            today: "2026-11-27".parse().unwrap(),
            freshness: Asked {
                image: RunnerVersion::parse("2.336.0"),
                running: None,
                refuses: true,
                offered: None,
                today: "2026-11-27".parse().unwrap(),
            }
            .judge(),
        }),
    };
    let status = Status {
        profile: profile.name.clone(),
        releases: vec![ReleaseStatus {
            name: "cert-manager/cert-manager".into(),
            version: "v1.21.1".into(),
            status: "deployed".into(),
        }],
        certificate: Some(CertificateStatus {
            ready: true,
            not_after: Some("2026-12-01T00:00:00Z".into()),
        }),
        pools: vec![
            pool(Some(2), "2026-11-21T12:00:00Z"),
            pool(None, "2026-11-24T12:00:00Z"),
        ],
    };
    let document = report::status::document(&status);
    let schedules = &document["pools"];
    assert_eq!(schedules[0]["schedule"]["active"]["name"], "weekend");
    assert_eq!(schedules[1]["schedule"]["active"], Value::Null);
    document
}

/// A pool around a change of the clocks whose overrides are an hour off, and one without a schedule.
pub(super) fn schedule_document() -> Value {
    let profile = profile();
    let mut schedule = profile.pools[0].schedule.clone().unwrap();
    schedule.time_zone = "Europe/Berlin".into();
    let time = |text: &str| text.parse().unwrap();
    let (from, to) = (time("2026-03-26T00:00:00Z"), time("2026-04-02T00:00:00Z"));
    // The overrides of another zone.
    let wrong = overrides(profile.pools[0].schedule.as_ref().unwrap(), from).unwrap();
    let calendar = Calendar {
        time_zone: schedule.time_zone.clone(),
        zone: schedule.zone().unwrap(),
        stretches: calendar(&schedule, 2, from, to).unwrap(),
        clock_changes: clock_changes(&schedule, from, to).unwrap(),
        strip: strip(&schedule, 2, from, 7).unwrap(),
        hours: hours(&schedule, 2, from).unwrap(),
        week: saving(&profile, &profile.pools[0], from).unwrap().unwrap(),
        check: verify(&schedule, &wrong, 2, from, to).unwrap(),
    };
    let pool = |schedule| PoolCalendar {
        name: "basic".into(),
        min: 2,
        max: 4,
        schedule,
    };
    let pools = [pool(Some(calendar)), pool(None)];
    let error = report::schedule::error(&pools).unwrap();
    assert_eq!(error.kind.exit_code(), 1);
    let text = report::schedule::text(&pools);
    insta::assert_snapshot!("schedule_that_is_wrong", format!("{text}\n{error:#}"));
    report::schedule::document("x", 7, &pools, Some(&error))
}

/// Charts with and without a signature, an image with platforms, and what differs.
pub(super) fn lock_document() -> Value {
    let chart = |name: &str, provenance: Value| {
        json!({"name": name, "version": "1", "repository": "oci://x", "archive": "sha256:1",
            "manifest": "sha256:2", "values": "sha256:3", "provenance": provenance,
            "locked": "2026-11-27T00:00:00Z"})
    };
    let image = json!({"image": "quay.io/jetstack/cert-manager-webhook:1", "digest": "sha256:4",
        "platforms": {"linux/amd64": "sha256:5"}, "from": ["helm-release/a/b"],
        "locked": "2026-11-27T00:00:00Z"});
    let text = json!({"version": 1, "profile": "x", "images": [image], "charts": [
        chart("cert-manager", json!({"state": "verified", "by": "a", "fingerprint": "0"})),
        chart("own", json!({"state": "missing"})),
    ]});
    let lock = Lock::parse(&text.to_string()).unwrap();
    let moved = lock::Difference::of_image(&lock.images[0], Some("sha256:6"));
    report::lock::LockReport {
        profile: "x".into(),
        file: "arcctl.lock".into(),
        written: true,
        checked: false,
        lock: Some(lock),
        differences: moved.into_iter().collect(),
    }
    .document(Some(&error()))
}

/// A bundle that was made and pushed.
pub(super) fn bundle_document() -> Value {
    let lock = json!({"version": 1, "profile": "x",
        "charts": [{"name": "cert-manager", "version": "1", "repository": "a path", "archive": "sha256:1",
            "values": "sha256:3", "provenance": {"state": "missing"}, "locked": "2026-11-27T00:00:00Z"}],
        "images": [{"image": "bundle.invalid/a/b:1", "digest": "sha256:4",
            "platforms": {"linux/amd64": "sha256:5"}, "from": ["x"], "locked": "2026-11-27T00:00:00Z"}]});
    report::bundle::BundleReport {
        profile: "x".into(),
        created: Some(report::bundle::Created {
            file: "x.bundle.tar".into(),
            bytes: 1,
            platforms: vec!["linux/amd64".into()],
            lock: Lock::parse(&lock.to_string()).unwrap(),
        }),
        pushed: Some(report::bundle::Pushed {
            file: "x.bundle.tar".into(),
            registry: "r.example.com/x".into(),
            parts: vec![report::bundle::PushedPart {
                place: "a/b:1".into(),
                digest: "sha256:4".into(),
                present: false,
                blobs: 1,
                bytes: 1,
            }],
        }),
        elapsed: std::time::Duration::from_millis(1),
    }
    .document(Some(&error()))
}

/// A check that is broken, and one that follows from it.
pub(super) fn doctor_document() -> Value {
    let finding = |id, follows| Finding {
        id,
        category: "cluster",
        severity: Severity::Required,
        claim: "something is true",
        verdict: Verdict::broken("it is not", "make it so"),
        follows,
    };
    let findings = [finding("first", None), finding("second", Some("first"))];
    let error = report::doctor::error(&findings);
    report::doctor::document(&findings, &["helm-usable"], error.as_ref())
}

/// A pool whose job ran and one whose job has failed.
pub(super) fn smoke_document() -> Value {
    let pool = |error| PoolStory {
        pool: "a".into(),
        url: Some("https://x/job".into()),
        state: Some("success".into()),
        queued: Some(Duration::from_secs(2)),
        ran: Some(Duration::from_secs(3)),
        runner: Some("a-1".into()),
        steps: vec![SmokeStep {
            name: "first".into(),
            conclusion: Some("success".into()),
        }],
        replaced: Some(Duration::from_millis(1500)),
        replacement: Some("a-2".into()),
        labels: vec![LabelStory {
            label: "gpu".into(),
            job: "a with gpu".into(),
            url: Some("https://x/job".into()),
            state: Some("success".into()),
            queued: Some(Duration::from_secs(2)),
            runner: Some("a-3".into()),
            error: None,
        }],
        proven: true,
        error,
    };
    let smoke = Smoke {
        profile: "x".into(),
        repository: "o/r".into(),
        reference: "main".into(),
        nonce: "0".into(),
        run: Some(SmokeRun {
            id: 1,
            url: "https://x/run".into(),
            state: "success".into(),
            cancelled: false,
        }),
        pools: vec![pool(None), pool(Some(error()))],
        elapsed: Duration::from_secs(9),
        error: Some(error()),
    };
    report::smoke::document(&smoke)
}

/// A profile that was written, and one difference.
pub(super) fn init_document() -> Value {
    let found = |read| Found {
        what: "nodes".into(),
        read,
    };
    let init = Init {
        profile: "x".into(),
        file: Some("arcctl.yaml".into()),
        text: Some("name: x".into()),
        answers: vec![("cluster".into(), "context:c".into())],
        found: vec![found(Ok("2".into())), found(Err("forbidden".into()))],
        advice: vec!["line 1: something".into()],
        differences: vec![report::init::Difference {
            object: "namespace/-/x".into(),
            path: "metadata.labels".into(),
            why: "arcctl's labels".into(),
        }],
        changes: Some(Changes::default()),
        plan_error: Some(error().document()),
    };
    report::init::document(&init, Some(&error()))
}

//! Tests the pools that are runner scale sets: what is made of them, in which order, and what leaves with them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{patch, profile};
use crate::{
    desired::{
        Desired, Facts, Phase, crd_schema, desired,
        order::connect,
        resource::{Id, Resource},
        scale_set::{schedule, upgrade},
        summary::{Group, summary},
        teardown::{self, Records, TeardownOptions},
    },
    profile::Profile,
};

const SET: &str = "helm-release/actions-runner/linux";
const CONTROLLER: &str = "helm-release/arc-systems/arc";

fn night() -> Value {
    json!({"timeZone": "Asia/Seoul",
        "windows": [{"name": "night", "from": "20:00", "to": "08:00", "min": 0}]})
}

/// A profile with one scale set.
pub(super) fn with_set(pool: &Value, rest: &Value) -> Profile {
    let mut set = json!({"name": "linux", "mode": "scaleSet", "image": "ghcr.io/actions/actions-runner:2.334.0",
        "min": 1, "max": 4});
    patch(&mut set, pool);
    let mut changes = json!({"pools": [set]});
    patch(&mut changes, rest);
    profile(&changes)
}

pub(super) fn made(profile: &Profile) -> Vec<Desired> {
    let mut steps = desired(profile, &Facts::default()).unwrap();
    connect(&mut steps).unwrap();
    steps
}

pub(super) fn ids(steps: &[Desired]) -> Vec<&str> {
    steps.iter().map(|it| it.id.as_str()).collect()
}

/// The values of the set's release, strictly checked.
pub(super) fn values(profile: &Profile) -> Value {
    let steps = made(profile);
    let step = steps.iter().find(|it| it.id.as_str() == SET).unwrap();
    let Resource::Release(release) = &step.resource else {
        panic!("{step:?}");
    };
    assert_eq!(crd_schema::check_values(&release.values), []);
    release.values.clone()
}

fn before(steps: &[Desired], id: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![id.to_owned()];
    while let Some(next) = open.pop() {
        let step = steps.iter().find(|it| it.id.as_str() == next);
        for earlier in step.into_iter().flat_map(|it| &it.after) {
            if found.insert(earlier.to_string()) {
                open.push(earlier.to_string());
            }
        }
    }
    found
}

#[test]
fn a_profile_of_scale_sets_has_nothing_of_the_other_controller() {
    assert_eq!(
        ids(&made(&with_set(&json!({}), &json!({})))),
        [
            "namespace/-/actions-runner-system",
            "namespace/-/arc-systems",
            "namespace/-/actions-runner",
            "secret/actions-runner/arcctl-github",
            "crds/-/gha-runner-scale-set-controller",
            CONTROLLER,
            SET,
            "scale-set/actions-runner/linux",
            "runner-pods/actions-runner/linux",
            "registration/github/linux",
        ]
    );
}

#[test]
fn a_schedule_brings_what_keeps_it() {
    let steps = made(&with_set(&json!({"schedule": night()}), &json!({})));
    let name = "actions-runner/arcctl-schedule-test";
    for kind in [
        "config-map",
        "service-account",
        "role",
        "role-binding",
        "cron-job",
    ] {
        let id = format!("{kind}/{name}");
        assert!(ids(&steps).contains(&id.as_str()), "{id}");
    }
    let minimum = "scale-set-minimum/actions-runner/linux";
    assert!(before(&steps, "scale-set/actions-runner/linux").contains(minimum));
    assert!(before(&steps, &format!("cron-job/{name}")).contains(minimum));
    let values = values(&with_set(&json!({"schedule": night()}), &json!({})));
    assert_eq!(values.get("minRunners"), None, "helm would put it back");
    assert_eq!(values["maxRunners"], 4);
}

#[test]
fn a_set_waits_for_its_own_controller_and_for_nothing_of_the_other() {
    let other = json!({"name": "old", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 4});
    let mut profile = with_set(
        &json!({}),
        &json!({
            "cluster": {"context": null, "eks": "prod", "region": "eu-central-1"},
            "aws": {"irsa": {"role": "runner", "serviceAccount": "sa"}},
        }),
    );
    profile.pools.push(serde_json::from_value(other).unwrap());
    let steps = made(&profile);
    let set = before(&steps, SET);
    for id in [
        CONTROLLER,
        "crds/-/gha-runner-scale-set-controller",
        "secret/actions-runner/arcctl-github",
        "service-account/actions-runner/sa",
        "iam-role/-/runner",
    ] {
        assert!(set.contains(id), "{id}: {set:?}");
    }
    assert!(!set.iter().any(|it| it.contains("cert-manager")), "{set:?}");
    let theirs = "helm-release/actions-runner-system/actions-runner-controller";
    assert!(!set.contains(theirs));
    let theirs = before(&steps, theirs);
    assert!(
        !theirs.iter().any(|it| it.contains("scale-set")),
        "{theirs:?}"
    );
    assert!(!theirs.contains("secret/actions-runner/arcctl-github"));
    let own = before(&steps, CONTROLLER);
    let expected = [
        "crds/-/gha-runner-scale-set-controller",
        "namespace/-/arc-systems",
    ];
    assert_eq!(own, expected.map(str::to_owned).into());
    let online = before(&steps, "registration/github/linux");
    assert!(online.contains("runner-pods/actions-runner/linux"));
    assert!(!online.iter().any(|it| it.ends_with("/old")), "{online:?}");
}

#[test]
fn a_table_that_still_holds_is_kept() {
    let profile = with_set(&json!({"schedule": night()}), &json!({}));
    let pool = &profile.pools[0];
    let now: jiff::Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
    let facts = |live: &str| Facts {
        now,
        live_tables: [("linux".to_owned(), live.to_owned())].into(),
        ..Facts::default()
    };
    let fresh = schedule::table(
        pool,
        &Facts {
            now,
            ..Facts::default()
        },
    )
    .unwrap()
    .unwrap();
    // The same nights, written since another day.
    let other = "base 1\n1704193200 1704236400 0 86400 0\n";
    assert_ne!(other, fresh);
    assert_eq!(
        schedule::table(pool, &facts(other)).unwrap().unwrap(),
        other
    );
    for wrong in [
        "base 2\n1704193200 1704236400 0 86400 0\n",
        "base 1\n",
        "nonsense",
    ] {
        assert_eq!(
            schedule::table(pool, &facts(wrong)).unwrap().unwrap(),
            fresh,
            "{wrong}"
        );
    }
}

fn recorded() -> Records {
    let steps = made(&with_set(&json!({"schedule": night()}), &json!({})));
    teardown::records(&steps)
}

#[test]
fn a_teardown_drains_sets_while_their_controller_is_there() {
    let profile = with_set(&json!({}), &json!({}));
    let options = TeardownOptions {
        crds: true,
        ..TeardownOptions::default()
    };
    let mut steps = teardown::teardown(&recorded(), &profile, options);
    connect(&mut steps).unwrap();
    let place = |id: &str| ids(&steps).iter().position(|it| *it == id).unwrap();
    let order = [
        "cron-job/actions-runner/arcctl-schedule-test",
        "scale-set/actions-runner/linux",
        CONTROLLER,
        "secret/actions-runner/arcctl-github",
        "crds/-/gha-runner-scale-set-controller",
        "namespace/-/arc-systems",
    ];
    assert!(order.map(place).is_sorted(), "{:?}", ids(&steps));
    assert!(before(&steps, SET).contains("scale-set/actions-runner/linux"));
    assert!(before(&steps, CONTROLLER).contains(SET));
    let drained = &steps[place("scale-set/actions-runner/linux")];
    let Resource::ScaleSetDrain(drain) = &drained.resource else {
        panic!("{drained:?}");
    };
    assert_eq!(drain.controller, "arc-gha-rs-controller");
    assert_eq!(drain.controller_namespace, "arc-systems");
}

#[test]
fn a_set_leaves_with_its_pool_and_the_controller_stays() {
    let other = with_set(&json!({"name": "other"}), &json!({}));
    let wanted = made(&other);
    let left = teardown::left_behind(&recorded(), &wanted, &other);
    let found: BTreeSet<&str> = ids(&left).into_iter().collect();
    let schedule = [
        "config-map",
        "service-account",
        "role",
        "role-binding",
        "cron-job",
    ]
    .map(|kind| format!("{kind}/actions-runner/arcctl-schedule-test"));
    let mut expected: BTreeSet<&str> = schedule.iter().map(String::as_str).collect();
    expected.extend([SET, "scale-set/actions-runner/linux"]);
    assert_eq!(found, expected);
    let release = left.iter().find(|it| it.id.as_str() == SET).unwrap();
    assert_eq!(release.phase, Phase::Drain);
    let its = Id::parse("scale-set/actions-runner/linux").unwrap();
    assert!(release.after.contains(&its));
}

/// The steps of a change to another minor version: `linux` is a pool of the profile, `left` one that leaves it with this run,
/// and `old` one of the other mode.
fn upgraded() -> Vec<Desired> {
    let other = json!({"name": "old", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 4});
    let mut profile = with_set(&json!({}), &json!({}));
    profile.pools.push(serde_json::from_value(other).unwrap());
    let mut steps = desired(&profile, &Facts::default()).unwrap();
    let left = with_set(&json!({"name": "left"}), &json!({}));
    let records = teardown::records(&made(&left));
    steps.extend(teardown::left_behind(&records, &steps, &profile));
    let outgoing = ["linux", "left"].map(|it| ("actions-runner".to_owned(), it.to_owned()));
    steps.extend(upgrade::drains(&profile, &outgoing));
    connect(&mut steps).unwrap();
    steps
}

#[test]
fn another_minor_version_ends_the_sets_before_anything_of_it_is_there() {
    let steps = upgraded();
    let drains = ["linux", "left"].map(|it| format!("scale-set-drain/actions-runner/{it}"));
    let crds = "crds/-/gha-runner-scale-set-controller";
    for drain in &drains {
        assert_eq!(before(&steps, drain), BTreeSet::new());
        assert!(before(&steps, crds).contains(drain));
    }
    assert!(before(&steps, CONTROLLER).contains(crds));
    let set = before(&steps, SET);
    assert!(set.contains(CONTROLLER) && set.contains(crds), "{set:?}");
    // What GitHub has of the pool that leaves is not kept.
    let successor = |id: &String| {
        let step = steps.iter().find(|it| it.id.as_str() == id).unwrap();
        match &step.resource {
            Resource::ScaleSetDrain(it) => it.successor.is_some(),
            _ => panic!("{id} is no drain"),
        }
    };
    assert_eq!([&drains[0], &drains[1]].map(successor), [true, false]);
    // The pool that leaves is deregistered once its set has gone, and not beside it.
    let leaving = before(&steps, "scale-set/actions-runner/left");
    assert!(leaving.contains(&drains[1]), "{leaving:?}");
    // The other mode has nothing to do with it.
    let other = before(&steps, "runner-deployment/actions-runner/old");
    assert!(!other.iter().any(|it| drains.contains(it)), "{other:?}");
    let shown = steps.iter().find(|it| it.id.as_str() == drains[0]).unwrap();
    assert_eq!(summary(shown).group, Group::Pool("linux".into()));
    assert!(shown.phase < Phase::Wiring, "a plan is in this order");
}

#[test]
fn a_plan_shows_a_set_with_its_pool() {
    let steps = made(&with_set(&json!({"labels": ["docker"]}), &json!({})));
    for id in [
        SET,
        "scale-set/actions-runner/linux",
        "registration/github/linux",
    ] {
        let step = steps.iter().find(|it| it.id.as_str() == id).unwrap();
        assert_eq!(summary(step).group, Group::Pool("linux".into()), "{id}");
    }
    let release = steps.iter().find(|it| it.id.as_str() == SET).unwrap();
    let values = summary(release).values;
    assert!(
        values.contains(&("labels", "docker".to_owned())),
        "{values:?}"
    );
    assert!(
        values.contains(&("idle at least", "1".to_owned())),
        "{values:?}"
    );
}

//! The path, what is wanted, what is refused, and the record.

mod interrupted;

use super::{
    path::{Step, path},
    versions::{Component, Versions, asked, images_with, may_install},
    *,
};
use crate::profile::{Profile, edit::edited, load};

const TEXT: &str = "# ours
apiVersion: arcctl.dev/v1
name: website
cluster: {context: c}
github: {organization: o, token: {env: TOKEN}}
certManager:
  chartVersion: v1.12.0   # since 2023
controller: {chartVersion: \"0.23.3\"}
pools:
  - name: basic
    image: summerwind/actions-runner:v2.336.0-ubuntu-22.04 # pinned
    min: 2
    max: 2
  - name: other
    image: summerwind/actions-runner:v2.336.0-ubuntu-22.04
    min: 1
    max: 1
";

fn profile(text: &str) -> Profile {
    load(text, "arcctl.yaml")
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
        .profile
}

fn charts(cert_manager: &str, controller: &str) -> Versions {
    Versions {
        charts: [
            (Component::CertManager, cert_manager.to_owned()),
            (Component::Controller, controller.to_owned()),
        ]
        .into(),
        ..Versions::images_of(&profile(TEXT))
    }
}

fn begun(from: &Versions, to: &Versions, stage: Stage) -> Upgrade {
    Upgrade {
        from: from.clone(),
        now: from.clone(),
        to: to.clone(),
        stage,
        began: "2026-11-27 09:00 UTC".into(),
        backup: Vec::new(),
        secret: Some("17".into()),
    }
}

fn steps(from: &Versions, to: &Versions) -> Vec<String> {
    let steps = path(from, to).unwrap();
    steps.iter().map(Step::text).collect()
}

#[test]
fn cert_manager_takes_one_minor_version_at_a_time_and_images_come_last() {
    let from = charts("v1.12.0", "0.23.3");
    let mut to = charts("v1.16.2", "0.23.7");
    to.images = images_with(&profile(TEXT), "2.338.1").unwrap();
    let (old, new) = (
        "summerwind/actions-runner:v2.336.0-ubuntu-22.04",
        "summerwind/actions-runner:v2.338.1-ubuntu-22.04",
    );
    assert_eq!(
        steps(&from, &to),
        [
            "cert-manager v1.12.0 -> v1.13.6".to_owned(),
            "cert-manager v1.13.6 -> v1.14.7".to_owned(),
            "cert-manager v1.14.7 -> v1.15.5".to_owned(),
            "cert-manager v1.15.5 -> v1.16.2".to_owned(),
            "controller 0.23.3 -> 0.23.7".to_owned(),
            format!("pool `actions-runner/basic` first: {old} -> {new}"),
            format!("pool `actions-runner/other`: {old} -> {new}"),
        ]
    );
    let last = path(&from, &to).unwrap().pop().unwrap();
    assert_eq!(last.after, to);
    assert_eq!(steps(&to, &to), [""; 0]);
}

/// Walks an upgrade step by step, as the command does.
fn walked(mut upgrade: Upgrade) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Next::Step(step) = upgrade.next().unwrap() {
        assert!(steps.len() < 20, "it does not end: {steps:?}");
        upgrade.now.clone_from(&step.after);
        steps.push(*step);
    }
    steps
}

#[test]
fn one_pool_tries_the_image_and_then_all_others_get_it() {
    let images = |tag: &str, count: usize| Versions {
        charts: BTreeMap::new(),
        images: (0..count)
            .map(|it| (format!("runners/pool-{it}"), format!("r.example/arc:{tag}")))
            .collect(),
    };
    let (from, to) = (images("1", 3), images("2", 3));
    let mut upgrade = begun(&from, &to, Stage::Forth);
    let mut tried = vec![upgrade.is_tried().unwrap()];
    let mut pools = Vec::new();
    for step in path(&from, &to).unwrap() {
        upgrade.now = step.after;
        // The same for a run that goes on: it follows from the record.
        tried.push(upgrade.is_tried().unwrap());
        pools.push(upgrade.tried_pool().map(str::to_owned).unwrap());
    }
    assert_eq!(tried, [false, true, true]);
    assert_eq!(pools, ["runners/pool-0", "runners/pool-2"]);
    for (count, expected) in [
        (1, &[(1, false)][..]),
        (2, &[(1, true), (1, false)][..]),
        (3, &[(1, true), (2, false)][..]),
        (5, &[(1, true), (4, false)][..]),
    ] {
        let (from, to) = (images("1", count), images("2", count));
        let steps = walked(begun(&from, &to, Stage::Forth));
        let taken: Vec<(usize, bool)> =
            steps.iter().map(|it| (it.pools.len(), it.canary)).collect();
        assert_eq!(taken, expected, "{count} pools");
        assert_eq!(steps, path(&from, &to).unwrap(), "{count} pools");
    }
}

#[test]
fn a_job_tries_the_charts_at_the_end_only() {
    let (from, to) = (charts("v1.19.5", "0.23.3"), charts("1.21.1", "0.23.7"));
    let mut upgrade = begun(&from, &to, Stage::Forth);
    let mut tried = Vec::new();
    for step in path(&from, &to).unwrap() {
        upgrade.now = step.after;
        tried.push(upgrade.is_tried().unwrap());
    }
    assert_eq!(tried, [false, false, true]);
    // As Helm writes it.
    let installed = charts("v1.21.1", "0.23.7");
    assert!(upgrade.continued(&installed).is_tried().unwrap());
    assert_eq!(upgrade.tried_pool(), None);
}

#[test]
fn a_controller_that_makes_all_runners_anew_is_a_risk() {
    let told = |from: &str, to: &str| {
        let path = path(&charts("v1.21.1", from), &charts("v1.21.1", to)).unwrap();
        let risks = path[0].risks((1, 36));
        risks.iter().any(|it| it.contains("runners of all pools"))
    };
    assert!(told("0.23.3", "0.23.7") && told("0.23.4", "0.23.5"));
    assert!(!told("0.23.5", "0.23.7") && !told("0.23.3", "0.23.4"));
}

#[test]
fn a_patch_is_one_step_and_the_way_from_the_oldest_is_known() {
    let to = charts("v1.12.17", "0.23.3");
    assert_eq!(
        steps(&charts("v1.12.0", "0.23.3"), &to),
        ["cert-manager v1.12.0 -> v1.12.17"]
    );
    let newest = charts("v1.21.1", "0.23.3");
    assert_eq!(steps(&charts("v1.12.0", "0.23.3"), &newest).len(), 9);
    // A chart may be written without its `v`.
    assert_eq!(
        steps(&charts("1.21.1", "0.23.3"), &newest),
        [""; 0],
        "the same version"
    );
}

#[test]
fn an_older_version_and_an_unknown_way_are_refused() {
    let error = |from: &str, to: &str| {
        let (from, to) = (charts(from, "0.23.7"), charts(to, "0.23.7"));
        path(&from, &to).unwrap_err()
    };
    let older = error("v1.21.1", "v1.12.0");
    assert_eq!(older.kind, ErrorKind::Usage);
    assert!(older.hint.unwrap().contains("arcctl rollback"));
    let unknown = error("v1.21.1", "v1.24.0");
    assert!(
        unknown
            .message
            .contains("1.22 is not in this arcctl's table")
    );
    // The next one needs no release between.
    assert_eq!(
        steps(&charts("v1.21.1", "0.23.7"), &charts("v1.22.0", "0.23.7")),
        ["cert-manager v1.21.1 -> v1.22.0"]
    );
    assert!(
        error("v1.21.1", "v2.0.0")
            .message
            .contains("no known upgrade path")
    );
}

#[test]
fn what_is_wanted_is_asked_for_or_the_newest_that_is_known() {
    let installed = charts("v1.12.0", "0.23.3");
    let profile = profile(TEXT);
    let of = |to: &[&str]| {
        let to: Vec<String> = to.iter().map(ToString::to_string).collect();
        wanted(&profile, &installed, &asked(&to)?)
    };
    let own = Versions::defaults();
    assert_eq!(
        of(&[]).unwrap().charts[&Component::CertManager],
        own.charts[&Component::CertManager]
    );
    let given = of(&["cert-manager=v1.13.6", "controller=0.23.5"]).unwrap();
    assert_eq!(given.charts, charts("v1.13.6", "0.23.5").charts);
    for wrong in ["x=1", "cert-manager", "cert-manager=", "=v1.13.6"] {
        let error = of(&[wrong]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage, "{wrong}");
    }
    assert!(of(&["controller=1.0.0", "controller=1.0.0"]).is_err());
    let absent = of(&["scale-sets=0.15.1"]).unwrap_err();
    assert!(absent.message.contains("has not installed scale-sets"));
    assert!(!may_install(&profile, Component::ScaleSets));
}

#[test]
fn a_newer_version_that_is_installed_stays() {
    let installed = charts("v1.99.0", "0.23.7");
    let wanted = wanted(&profile(TEXT), &installed, &BTreeMap::new()).unwrap();
    assert_eq!(wanted.charts, installed.charts);
}

#[test]
fn images_get_the_version_and_keep_their_flavour() {
    let with = |image: &str, version: &str| {
        let text = TEXT.replace("summerwind/actions-runner:v2.336.0-ubuntu-22.04 #", image);
        images_with(&profile(&text), version)
    };
    let found = with("r.example/arc:v2.330.0-2 #", "2.338.1").unwrap();
    assert_eq!(found["actions-runner/basic"], "r.example/arc:v2.338.1-2");
    for (image, version) in [
        ("r.example/arc:v2.339.0 #", "2.338.1"),
        ("r.example/arc:ours #", "2.338.1"),
        ("r.example/arc:v2.330.0 #", "2.3"),
        // Nobody has built that one.
        ("r.example/arc:v2.330.0-b01e193 #", "2.338.1"),
    ] {
        assert!(with(image, version).is_err(), "{image} {version}");
    }
}

#[test]
fn the_profile_gets_the_versions_and_nothing_else_changes() {
    let mut to = charts("v1.21.1", "0.23.7");
    to.images.insert(
        "actions-runner/basic".into(),
        "r.example/arc:v2.338.1".into(),
    );
    let before = profile(TEXT);
    let text = edited(TEXT, &to.changes(&before)).unwrap();
    let expected = TEXT
        .replace("v1.12.0 ", "v1.21.1 ")
        .replace("0.23.3", "0.23.7")
        .replace(
            "summerwind/actions-runner:v2.336.0-ubuntu-22.04 # pinned",
            "r.example/arc:v2.338.1 # pinned",
        );
    assert_eq!(text, expected);
    let after = profile(&text);
    assert_eq!(to.put(&before), after);
    assert!(to.changes(&after).is_empty());
    let back = edited(&text, &charts("v1.12.0", "0.23.3").changes(&after)).unwrap();
    assert_eq!(back, TEXT);
}

#[test]
fn the_record_is_found_again_and_has_no_secret_value() {
    let upgrade = begun(
        &charts("v1.12.0", "0.23.3"),
        &charts("v1.21.1", "0.23.7"),
        Stage::Forth,
    );
    let text = serde_json::to_string(&upgrade).unwrap();
    assert_eq!(serde_json::from_str::<Upgrade>(&text).unwrap(), upgrade);
    assert!(text.contains("\"cert-manager\":\"v1.12.0\""), "{text}");
    assert!(upgrade.notice().contains("`arcctl rollback` undoes it"));
}

#[test]
fn a_record_that_another_run_has_changed_is_told() {
    let (from, to) = (charts("v1.12.0", "0.23.3"), charts("v1.21.1", "0.23.7"));
    let (known, back) = (
        begun(&from, &to, Stage::Forth),
        begun(&from, &to, Stage::Back),
    );
    assert!(check_record(None, None).is_ok());
    assert!(check_record(Some(&known), Some(&known.clone())).is_ok());
    let mut further = known.clone();
    further.now = to;
    for (there, said) in [
        (Some(&back), "2026-11-27 09:00 UTC, back"),
        (Some(&further), "2026-11-27 09:00 UTC, forth"),
        (None, "no upgrade any more"),
    ] {
        let error = check_record(there, Some(&known)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Locked);
        assert!(error.to_string().contains(said), "{error}");
    }
    // One that began since this run has looked.
    assert!(check_record(Some(&known), None).is_err());
}

#[test]
fn only_images_that_change_are_recorded() {
    let mut from = charts("v1.12.0", "0.23.3");
    let mut to = charts("v1.21.1", "0.23.7");
    let new = "r.example/arc:v2.338.1";
    to.images.insert("actions-runner/other".into(), new.into());
    Versions::keep_changed_images(&mut from, &mut to);
    let old = "summerwind/actions-runner:v2.336.0-ubuntu-22.04";
    let one = |image: &str| BTreeMap::from([("actions-runner/other".to_owned(), image.to_owned())]);
    assert_eq!((&from.images, &to.images), (&one(old), &one(new)));
    // What somebody has written into the profile meanwhile stays on the way back.
    let other = TEXT.replacen("v2.336.0", "v2.337.0", 1);
    let back = from.put(&profile(&other));
    assert!(back.pools[0].image.contains("v2.337.0"), "{back:?}");
}

#[test]
fn what_something_else_has_changed_is_not_taken_back() {
    let (from, to) = (charts("v1.12.0", "0.23.3"), charts("v1.21.1", "0.23.7"));
    let done = begun(&from, &to, Stage::Done);
    assert!(done.check_unchanged(&to).is_ok());
    let other = charts("v1.20.4", "0.23.7");
    let error = done.check_unchanged(&other).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("now it is v1.20.4"), "{error}");
    let gone = Versions::default();
    assert!(done.check_unchanged(&gone).is_err());
    // One that was interrupted may be anywhere between.
    let forth = begun(&from, &to, Stage::Forth);
    assert!(forth.check_unchanged(&other).is_ok());
}

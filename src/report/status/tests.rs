//! Tests of the screen.

use super::*;
use crate::{
    profile::schedule::moment,
    units::runner::{Asked, RunnerVersion},
};

fn pool(name: &str, registered: Option<usize>) -> PoolStatus {
    PoolStatus {
        name: name.into(),
        mode: Mode::default(),
        min: 50,
        max: 80,
        desired: Some(50),
        running: Some(50),
        registered,
        busy: Some(7),
        moment: moment(None, 50, jiff::Timestamp::UNIX_EPOCH),
        schedule: None,
        runner: None,
    }
}

fn status(pools: Vec<PoolStatus>) -> Status {
    Status {
        profile: "p".into(),
        pools,
        ..Status::default()
    }
}

#[test]
fn two_hundred_pools_are_one_screen_with_those_that_lack_runners() {
    let mut pools: Vec<PoolStatus> = (0..200)
        .map(|it| pool(&format!("pool-{it}"), Some(50)))
        .collect();
    pools[17].registered = Some(48);
    pools[150].registered = Some(0);
    pools[99].running = None;
    let all = status(pools);
    let short = text(&all, false);
    assert!(short.lines().count() <= 14, "{short}");
    assert!(short.lines().all(|it| it.chars().count() <= 80), "{short}");
    let at = |name: &str| short.find(&format!("\n{name} ")).unwrap();
    assert!(
        at("pool-150") < at("pool-17") && at("pool-99") < at("pool-17"),
        "{short}"
    );
    assert!(!short.contains("pool-18 "), "{short}");
    assert!(
        short.contains("197 of 200 pools have the runners they should have"),
        "{short}"
    );
    let total = short.lines().find(|it| it.starts_with("all ")).unwrap();
    let total: Vec<&str> = total.split_whitespace().collect();
    assert_eq!(
        total,
        ["all", "10000", "16000", "10000", "?", "9948", "1400"]
    );
    assert_eq!(text(&all, true).matches("\npool-").count(), 200);
}

#[test]
fn more_than_a_screen_of_lacking_pools_is_counted() {
    let pools = (0..200)
        .map(|it| pool(&format!("p{it}"), Some(0)))
        .collect();
    let text = text(&status(pools), false);
    assert!(text.lines().count() <= 21, "{text}");
    assert!(
        text.contains("194 more pools lack runners\n0 of 200"),
        "{text}"
    );
}

#[test]
fn one_more_lacking_pool_is_one() {
    let running = |it: u32| if it < 7 { 0 } else { 50 };
    let pools = (0..200).map(|it| pool(&format!("p{it}"), Some(running(it))));
    let text = text(&status(pools.collect()), false);
    assert!(
        text.contains("\n1 more pool lacks runners\n193 of 200"),
        "{text}"
    );
}

#[test]
fn a_long_name_is_neither_cut_nor_wraps_its_numbers() {
    let name = "a".repeat(60);
    let text = text(&status(vec![pool(&name, Some(50)), pool("b", None)]), false);
    assert!(text.lines().all(|it| it.chars().count() <= 80), "{text}");
    assert!(text.lines().any(|it| it == name), "{text}");
    assert!(text.contains(" ?     7\n"), "{text}");
}

#[test]
fn a_scale_set_is_told_from_the_other_mode() {
    let mut set = pool("fast", Some(50));
    set.mode = Mode::ScaleSet;
    let status = status(vec![pool("basic", Some(50)), set]);
    let text = text(&status, false);
    assert_eq!(text.matches("scale set; ").count(), 1, "{text}");
    let document = document(&status);
    assert_eq!(document["pools"][0]["mode"], "runnerDeployment");
    assert_eq!(document["pools"][1]["mode"], "scaleSet");
}

#[test]
fn a_change_is_a_line_and_the_same_is_none() {
    let before = status(vec![pool("a", Some(1)), pool("b", Some(1))]);
    let mut now = status(vec![pool("a", Some(2)), pool("b", Some(1))]);
    now.certificate = Some(CertificateStatus {
        ready: true,
        not_after: None,
    });
    assert_eq!(
        changes(&before, &now),
        ["certificate ready", "a: registered 1 -> 2"]
    );
    assert!(changes(&now, &now).is_empty());
}

#[test]
fn the_version_of_the_runners_is_below_the_numbers_and_only_concerns_are_summarized() {
    let now: jiff::civil::Date = "2026-11-27".parse().unwrap();
    let runner = |image: Option<&str>, running: Option<&str>, refuses, offered: Option<&str>| {
        let version = |it: Option<&str>| it.and_then(RunnerVersion::parse);
        Some(RunnerStatus {
            image: format!("example/runner:{}", image.unwrap_or("mine")),
            today: now,
            freshness: Asked {
                image: version(image),
                running: version(running),
                refuses,
                offered: version(offered),
                today: now,
            }
            .judge(),
        })
    };
    let with = |name: &str, runner| PoolStatus {
        runner,
        ..pool(name, Some(50))
    };
    let all = status(vec![
        with(
            "current",
            runner(Some("2.338.1"), None, true, Some("2.338.1")),
        ),
        with(
            "refused",
            runner(Some("2.336.0"), None, true, Some("2.338.1")),
        ),
        with("old", runner(Some("2.306.0"), None, true, None)),
        with(
            "updated",
            runner(Some("2.337.0"), Some("2.338.1"), true, Some("2.338.1")),
        ),
        with("own", runner(None, None, true, Some("2.338.1"))),
        with(
            "server",
            runner(Some("2.306.0"), None, false, Some("2.323.0")),
        ),
    ]);
    let shown = text(&all, false);
    assert!(shown.lines().all(|it| it.chars().count() <= 80), "{shown}");
    insta::assert_snapshot!("runner_versions", shown);
    insta::assert_snapshot!("runner_versions_summary", summary(&all).unwrap());
    let names: Vec<&str> = concerns(&all).map(|(pool, _)| pool.name.as_str()).collect();
    assert_eq!(names, ["refused", "old", "own", "server"]);
    let document = document(&all);
    assert_eq!(document["pools"][1]["runner"]["jobsEnd"], "2026-09-25");
    assert_eq!(document["pools"][1]["runner"]["state"], "refused");
    assert_eq!(document["pools"][4]["runner"]["version"], Value::Null);
}

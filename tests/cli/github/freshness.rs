//! Until when GitHub takes the runners of a pool: each state, with a stand-in that offers a version and lists runners.

use arcctl::{
    desired::pool::runner_version::{Seen, freshness},
    profile::{Profile, load},
    units::runner::{Freshness, RELEASES, Release, RunnerVersion, State},
};
use arcctl_sandbox::github::{NewRunner, Owner};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

use super::*;

/// A profile whose pool has an image; at github.com, or at a server of its own.
fn profile(mode: &Mode, image: &str) -> Profile {
    let text = include_str!("../../../profiles/repository.yaml");
    let mut profile = load(text, "repository").unwrap().profile;
    if let Mode::EnterpriseServer(_) = mode {
        profile.github.url = Some("https://github.example".into());
    }
    profile.pools[0].image = image.into();
    profile
}

/// What the stand-in says, and what follows on a day. `program` is what the pool's only runner reports.
async fn judged(
    mode: Mode,
    image: &str,
    offered: &str,
    program: Option<&str>,
    day: Date,
) -> Freshness {
    let github = stand_in(mode.clone()).await;
    github.ship(offered);
    if let Some(program) = program {
        let runner = NewRunner {
            name: "basic-1".into(),
            version: Some(program.into()),
            ..NewRunner::default()
        };
        github
            .add_runner(&Owner::organization("dogecompany"), runner)
            .unwrap();
    }
    let client = client(server(&github, &mode), token(github.token()));
    let runners = client.runners(ORGANIZATION).await.unwrap();
    let seen = Seen {
        running: runners
            .iter()
            .filter_map(arcctl::clients::github::Runner::program)
            .min(),
        offered: client.offered_runner(ORGANIZATION).await.unwrap(),
    };
    assert_eq!(github.violations(), Vec::<String>::new());
    let now = TimeZone::UTC.to_timestamp(day.at(12, 0, 0, 0)).unwrap();
    let profile = profile(&mode, image);
    freshness(&profile, &profile.pools[0], seen, now)
}

/// A release that another one follows, and that one.
fn followed() -> (Release, Release) {
    let all = &RELEASES.all;
    (all[all.len() - 2], all[all.len() - 1])
}

fn image(version: RunnerVersion) -> String {
    format!("summerwind/actions-runner:v{version}-ubuntu-22.04")
}

#[tokio::test]
async fn at_github_com_a_version_is_taken_until_thirty_days_after_the_next() {
    let (old, new) = followed();
    let at = |days: i64| new.day + days.days();
    for (days, state) in [
        (10, State::Ending),
        (29, State::Ending),
        (30, State::Refused),
    ] {
        let found = judged(
            Mode::Cloud,
            &image(old.version),
            &new.version.to_string(),
            None,
            at(days),
        )
        .await;
        assert_eq!(found.state, state, "{days} days after: {}", found.reason);
        assert_eq!(found.jobs_end, Some(at(30)));
        assert_eq!(found.released, Some(old.day));
    }
    // Twenty days are left.
    let found = judged(
        Mode::Cloud,
        &image(old.version),
        &new.version.to_string(),
        None,
        at(10),
    )
    .await;
    assert!(found.reason.ends_with("(in 20 days)"), "{}", found.reason);
    assert!(found.ends_soon(at(10)));
    let fresh = judged(
        Mode::Cloud,
        &image(new.version),
        &new.version.to_string(),
        None,
        at(300),
    )
    .await;
    assert_eq!(fresh.state, State::Current, "{}", fresh.reason);
    let past = judged(
        Mode::Cloud,
        "summerwind/actions-runner:v2.306.0",
        &new.version.to_string(),
        None,
        at(1),
    )
    .await;
    assert_eq!(past.state, State::Refused);
    assert!(past.registration_ends.is_some());
}

#[tokio::test]
async fn an_image_of_one_s_own_is_known_by_what_its_runners_report() {
    let (old, new) = followed();
    let offered = new.version.to_string();
    let day = new.day + 5.days();
    let own = "registry.example/team/runner:mine";
    let unknown = judged(Mode::Cloud, own, &offered, None, day).await;
    assert_eq!(unknown.state, State::Unknown, "{}", unknown.reason);
    let reported = judged(
        Mode::Cloud,
        own,
        &offered,
        Some(&old.version.to_string()),
        day,
    )
    .await;
    assert_eq!((reported.state, reported.image), (State::Ending, None));
    assert_eq!(reported.running, Some(old.version));
    // A runner that has updated itself gets jobs.
    let updated = judged(
        Mode::Cloud,
        &image(old.version),
        &offered,
        Some(&offered),
        day + 60.days(),
    )
    .await;
    assert_eq!(updated.state, State::Current, "{}", updated.reason);
}

#[tokio::test]
async fn a_version_that_only_github_knows_is_unknown_until_it_is_the_one_offered() {
    let (_, new) = followed();
    let day = new.day + 5.days();
    let behind = judged(Mode::Cloud, &image(new.version), "2.999.0", None, day).await;
    assert_eq!(behind.state, State::Unknown);
    assert!(
        behind.reason.contains("GitHub offers 2.999.0"),
        "{}",
        behind.reason
    );
    let offered = judged(Mode::Cloud, "r:v2.999.0", "2.999.0", None, day).await;
    assert_eq!((offered.state, offered.released), (State::Current, None));
}

#[tokio::test]
async fn an_enterprise_server_is_compared_with_the_runner_it_ships_and_refuses_none() {
    let day = RELEASES.as_of + 900.days();
    for (image, shipped, state) in [
        ("r:v2.306.0-ubuntu-22.04", "2.323.0", State::Behind),
        ("r:v2.323.0", "2.323.0", State::Current),
        ("r:v2.338.1", "2.323.0", State::Current),
        ("r:mine", "2.323.0", State::Unknown),
    ] {
        let found = judged(enterprise_server(), image, shipped, None, day).await;
        assert_eq!(found.state, state, "{image}: {}", found.reason);
        assert_eq!((found.jobs_end, found.registration_ends), (None, None));
    }
}

/// The same instant is another day elsewhere; GitHub's days are those of UTC.
#[test]
fn the_day_is_that_of_utc() {
    use arcctl::desired::pool::runner_version::day;
    let late: Timestamp = "2026-11-05T23:59:59-10:00".parse().unwrap();
    assert_eq!(day(late).to_string(), "2026-11-06");
}

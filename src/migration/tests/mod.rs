//! The stages, the new pool, the profile's text, and what is refused.

mod counterpart;
mod interrupted;

use super::{
    counterpart::{Counterpart, Wish, counterpart, found_by},
    held::refuse_outgoing,
    text::File,
    workflows::Workflows,
    *,
};
use crate::{desired::resource::Id, profile::load};

const TEXT: &str = "# ours
apiVersion: arcctl.dev/v1
name: website
cluster: {context: c}
github: {organization: o, token: {env: TOKEN}}
pools:
  # the old one
  - name: basic   # since 2024
    instanceType: t3a.large
    image: summerwind/actions-runner:v2.336.0-ubuntu-22.04
    labels: [ubuntu-22.04]
    min: 2
    max: 16
    scaling:
      metrics:
        - type: PercentageRunnersBusy
          scaleUp: {threshold: 0.75, factor: 2}
          scaleDown: {threshold: 0.25, factor: 0.5}

  - name: other
    image: summerwind/actions-runner:v2.336.0-ubuntu-22.04
    min: 1
    max: 1
timeouts: {drain: 5m}
";

fn profile(text: &str) -> Profile {
    load(text, "arcctl.yaml")
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
        .profile
}

fn asked(pool: &str) -> Asked<'_> {
    Asked {
        pool,
        mode: Some(Mode::ScaleSet),
        name: None,
        image: None,
        no_labels: false,
    }
}

fn wish(labels: bool) -> Wish<'static> {
    Wish {
        name: "basic-ss",
        mode: Mode::ScaleSet,
        image: None,
        labels,
    }
}

fn begun(profile: &Profile) -> Migration {
    migration(profile, &[], &asked("basic")).unwrap().unwrap()
}

fn with(text: &str) -> String {
    let found = profile(text);
    let Counterpart { pool, .. } = counterpart(&found.pools[0], &wish(true)).unwrap();
    let name = "arcctl.yaml";
    File { name, text }.with("basic", &pool).unwrap()
}

#[test]
fn there_and_back_ends_with_the_first_name() {
    for name in ["basic", "basic-rd", "ss", "-ss"] {
        let there = new_name(name, Mode::ScaleSet);
        assert_ne!(there, name);
        assert_eq!(new_name(&there, Mode::RunnerDeployment), name);
    }
}

#[test]
fn what_cannot_be_migrated_is_refused() {
    let found = profile(TEXT);
    let code = |asked: &Asked<'_>| {
        let error = migration(&found, &[], asked).unwrap_err();
        assert!(error.hint.is_some(), "{error}");
        error.kind.exit_code()
    };
    assert_eq!(code(&asked("none")), 64);
    let back = Mode::RunnerDeployment;
    for wrong in [
        Asked {
            mode: Some(back),
            ..asked("basic")
        },
        Asked {
            mode: None,
            ..asked("basic")
        },
        Asked {
            name: Some("other"),
            ..asked("basic")
        },
        Asked {
            name: Some("basic"),
            ..asked("basic")
        },
        Asked {
            name: Some("a-name-that-is-longer-than-forty-letters-x"),
            ..asked("basic")
        },
    ] {
        assert_eq!(code(&wrong), 64, "{wrong:?}");
    }
    // One migration at a time, and one direction at a time.
    let recorded = [begun(&found)];
    for wrong in [
        asked("other"),
        Asked {
            mode: Some(back),
            ..asked("basic")
        },
        Asked {
            name: Some("x"),
            ..asked("basic")
        },
        Asked {
            image: Some("registry.example/r:1"),
            ..asked("basic")
        },
        Asked {
            no_labels: true,
            ..asked("basic")
        },
    ] {
        let error = migration(&found, &recorded, &wrong).unwrap_err();
        assert_eq!(error.kind.exit_code(), 7, "{wrong:?}");
        assert!(error.hint.unwrap().contains("arcctl migrate basic --back"));
    }
}

#[test]
fn a_migration_that_has_ended_is_not_begun_again() {
    let text = with(TEXT);
    let without = File {
        name: "arcctl.yaml",
        text: &text,
    };
    let done = profile(&without.without("basic").unwrap());
    assert_eq!(migration(&done, &[], &asked("basic")).unwrap(), None);
}

#[test]
fn the_profile_has_both_pools_and_then_one() {
    let text = with(TEXT);
    let both = profile(&text);
    let names: Vec<&str> = both.pools.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["basic", "basic-ss", "other"]);
    let file = File {
        name: "arcctl.yaml",
        text: &text,
    };
    assert_eq!(file.without("basic-ss").unwrap(), TEXT);
    let after = file.without("basic").unwrap();
    assert!(after.contains("  # the old one\n  - name: basic-ss\n    mode: scaleSet\n"));
    assert!(!after.contains("since 2024"), "{after}");
}

#[test]
fn a_pool_that_cannot_be_put_in_is_shown() {
    let text = "apiVersion: arcctl.dev/v1\nname: x\ncluster: {context: c}\n\
        github: {organization: o, token: {env: T}}\n\
        pools: [{name: basic, image: \"summerwind/actions-runner:v2.336.0-ubuntu-22.04\", min: 1, max: 1}]\n";
    let found = profile(text);
    let made = counterpart(&found.pools[0], &wish(true)).unwrap();
    let error = File {
        name: "a.yaml",
        text,
    }
    .with("basic", &made.pool)
    .unwrap_err();
    let hint = error.hint.unwrap();
    assert!(
        hint.contains("\n  - name: basic-ss\n    mode: scaleSet\n"),
        "{hint}"
    );
}

#[test]
fn what_comes_next_follows_from_the_profile() {
    let old = profile(TEXT);
    let text = with(TEXT);
    let both = profile(&text);
    let new = File {
        name: "arcctl.yaml",
        text: &text,
    }
    .without("basic")
    .unwrap();
    let new = profile(&new);
    let (add, take_out) = (
        |name: &str| Next::Add(name.into()),
        |name: &str| Next::TakeOut(name.into()),
    );
    let begun = begun(&old);
    for (stage, profile, next) in [
        (Stage::Beside, &old, add("basic-ss")),
        (Stage::Beside, &both, Next::Prove),
        (Stage::Beside, &new, Next::Prove),
        (Stage::Removing, &old, add("basic-ss")),
        (Stage::Removing, &both, take_out("basic")),
        (Stage::Removing, &new, Next::Finish),
        (Stage::Restoring, &new, add("basic")),
        (Stage::Restoring, &both, take_out("basic-ss")),
        (Stage::Restoring, &old, Next::Restore),
        (Stage::Back, &new, add("basic")),
        (Stage::Back, &both, take_out("basic-ss")),
        (Stage::Back, &old, Next::Finish),
    ] {
        let at = Migration {
            stage,
            ..begun.clone()
        };
        assert_eq!(at.next(profile).unwrap(), next, "{stage:?}");
    }
    // A pool that the migration did not make stays.
    for (stage, profile, next) in [
        (Stage::Restoring, &new, add("basic")),
        (Stage::Restoring, &both, Next::Restore),
        (Stage::Restoring, &old, Next::Restore),
        (Stage::Back, &both, Next::Finish),
    ] {
        let at = Migration {
            stage,
            was_there: true,
            ..begun.clone()
        };
        assert_eq!(at.next(profile).unwrap(), next, "{stage:?}");
    }
    let mut neither = both;
    neither.pools.clear();
    assert_eq!(begun.next(&neither).unwrap_err().kind.exit_code(), 65);
}

/// What an earlier run has proven counts only where nothing but the removal is left.
#[test]
fn a_run_that_goes_on_proves_again() {
    let old = profile(TEXT);
    let text = with(TEXT);
    let both = profile(&text);
    let file = File {
        name: "arcctl.yaml",
        text: &text,
    };
    let new = profile(&file.without("basic").unwrap());
    let there = Some(Mode::ScaleSet);
    for (recorded, mode, profile, stage) in [
        (Stage::Removing, there, &both, Stage::Beside),
        (Stage::Removing, there, &old, Stage::Beside),
        (Stage::Removing, there, &new, Stage::Removing),
        (Stage::Restoring, there, &both, Stage::Beside),
        (Stage::Back, there, &old, Stage::Beside),
        (Stage::Beside, None, &both, Stage::Restoring),
        (Stage::Restoring, None, &old, Stage::Restoring),
        (Stage::Back, None, &both, Stage::Restoring),
        (Stage::Back, None, &new, Stage::Restoring),
        (Stage::Back, None, &old, Stage::Back),
    ] {
        let known = [Migration {
            stage: recorded,
            ..begun(&old)
        }];
        let asked = Asked {
            mode,
            ..asked("basic")
        };
        let found = migration(profile, &known, &asked).unwrap().unwrap();
        assert_eq!(found.stage, stage, "{recorded:?}, {mode:?}");
    }
}

#[test]
fn a_pool_that_was_there_before_is_remembered() {
    let text = with(TEXT);
    let both = profile(&text);
    assert!(!begun(&profile(TEXT)).was_there);
    let there = begun(&both);
    assert!(there.was_there);
    assert_eq!(there.goes(), Some("basic"));
    let back = |was_there| Migration {
        stage: Stage::Restoring,
        was_there,
        ..there.clone()
    };
    assert_eq!(back(false).goes(), Some("basic-ss"));
    assert_eq!(back(true).goes(), None);
}

#[test]
fn a_run_with_a_copy_from_before_removes_nothing_that_is_kept() {
    let begun = begun(&profile(TEXT));
    let id = |kind: &str, name: &str| Id::new(kind, Some("actions-runner"), name);
    let (old, new) = (
        id("runner-deployment", "basic"),
        id("helm-release", "basic-ss"),
    );
    let minimums = id("cron-job", "arcctl-schedule-website");
    for (stage, held) in [
        (Stage::Beside, [true, true, true]),
        (Stage::Removing, [false, true, true]),
        (Stage::Restoring, [true, true, true]),
        (Stage::Back, [true, false, false]),
    ] {
        let at = Migration {
            stage,
            ..begun.clone()
        };
        let holds = [&old, &new, &minimums].map(|it| at.holds(it, "website"));
        assert_eq!(holds, held, "{stage:?}");
        assert!(!at.holds(&id("runner-deployment", "other"), "website"));
        assert!(!at.holds(
            &Id::new("scale-set", Some("elsewhere"), "basic-ss"),
            "website"
        ));
        let notice = at.notice();
        assert!(
            notice.contains("`arcctl migrate basic --to scaleSet`"),
            "{notice}"
        );
        assert!(notice.contains("`arcctl migrate basic --back`"), "{notice}");
    }
}

#[test]
fn another_version_of_the_charts_ends_no_set_that_a_migration_keeps() {
    let text = with(TEXT);
    let (old, both) = (profile(TEXT), profile(&text));
    let kept = [begun(&old)];
    let outgoing = ["basic-ss", "left"].map(|it| ("actions-runner".to_owned(), it.to_owned()));
    let error = refuse_outgoing(&kept, &old, &outgoing).unwrap_err();
    assert_eq!(error.kind.exit_code(), 7);
    assert!(error.message.contains("scale set `basic-ss`"), "{error}");
    assert!(
        error
            .hint
            .unwrap()
            .contains("`arcctl migrate basic --back`")
    );
    // With the pool in the profile it is made again; without a migration it leaves like any other.
    assert!(refuse_outgoing(&kept, &both, &outgoing).is_ok());
    assert!(refuse_outgoing(&[], &old, &outgoing).is_ok());
}

#[test]
fn the_record_is_read_back() {
    let begun = begun(&profile(TEXT));
    let text = serde_json::to_string(&begun).unwrap();
    assert_eq!(serde_json::from_str::<Migration>(&text).unwrap(), begun);
    let named = Migration {
        to: "fast".into(),
        ..begun
    };
    assert_eq!(
        named.forth(),
        "arcctl migrate basic --to scaleSet --name fast"
    );
    let with_all = Migration {
        image: Some("registry.example/r:1".into()),
        no_labels: true,
        ..named
    };
    assert_eq!(
        with_all.forth(),
        "arcctl migrate basic --to scaleSet --name fast --image registry.example/r:1 --no-labels"
    );
    let text = serde_json::to_string(&with_all).unwrap();
    assert_eq!(serde_json::from_str::<Migration>(&text).unwrap(), with_all);
}

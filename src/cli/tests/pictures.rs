//! What the commands show, as pictures in `docs/pictures/`: the text is the program's own, from the facts of its tests. `UPDATE=1`
//! writes the pictures.

use std::{collections::BTreeSet, fs, path::PathBuf};

use dialoguer::theme::{SimpleTheme, Theme as _};
use jiff::Timestamp;

use super::svg::svg;
use crate::{
    cli::commands::schedule::of_pool,
    desired::{
        Desired, EksFacts, Facts,
        aws::{AwsFacts, NodeNetwork},
        desired,
        pool::runner_version::{self, Seen},
    },
    doctor,
    execute::StepResult,
    init,
    plan::{Action, Plan, planned},
    printable::{DIM, paint},
    profile::{Pool, Profile, load, schedule::moment},
    report::{
        self,
        plan::Layout,
        run::Run,
        schedule,
        screen::wrapped,
        status::{CertificateStatus, PoolStatus, ReleaseStatus, RunnerStatus, Status},
        tree::tests::{PROFILE, at_its_end, in_the_middle, steps},
    },
    resource::observed::Observed,
};

/// The widths of terminals: usual, and wide.
const WIDTHS: [usize; 2] = [80, 160];

const REFERENCE: &str = include_str!("../../../profiles/reference.yaml");

/// Thursday evening in Seoul.
const NOW: &str = "2026-11-26T09:00:00Z";

/// The rows of a terminal of usual size but the cursor's: what is above has scrolled away while a run goes on.
const ROWS: usize = 23;

/// The name of a picture, its command, and the screen.
type Screen = (&'static str, &'static str, fn(usize) -> String);

const SCREENS: &[Screen] = &[
    ("init", "arcctl init", init::tests::screen),
    ("plan", "arcctl plan", plan),
    ("up", "arcctl up, in the middle", up),
    ("up-done", "arcctl up, at its end", up_done),
    ("doctor", "arcctl doctor", doctor_screen),
    ("status", "arcctl status", status),
    ("schedule", "arcctl schedule", schedule_screen),
];

fn profile(text: &str) -> Profile {
    load(text, "a picture").unwrap().profile
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// The plan of an empty cluster.
fn bare(desired: &[Desired], name: &str) -> Plan {
    let steps = desired
        .iter()
        .map(|it| planned(it, &Observed::Absent, false).unwrap());
    Plan {
        profile: name.into(),
        steps: steps.collect(),
    }
}

fn plan(_columns: usize) -> String {
    let (cluster, nodes) = ("sg-0a1b2c3d4e5f60718", "sg-09f8e7d6c5b4a3021");
    let facts = Facts {
        now: now(),
        eks: Some(EksFacts {
            name: "runners".into(),
            region: "ap-northeast-2".into(),
            account: "111122223333".into(),
            partition: "aws".into(),
            issuer: Some("https://oidc.eks.ap-northeast-2.amazonaws.com/id/4F2A".into()),
            security_group: Some(cluster.into()),
            vpc: None,
        }),
        aws: Some(AwsFacts {
            control_plane_groups: vec![cluster.into()],
            control_plane_subnets: vec!["10.0.0.0/24".into()],
            nodes: vec![NodeNetwork {
                groups: vec![nodes.into()],
                subnets: vec!["10.0.1.0/24".into()],
            }],
            ..AwsFacts::default()
        }),
        ..Facts::default()
    };
    let profile = profile(REFERENCE);
    let plan = bare(&desired(&profile, &facts).unwrap(), &profile.name);
    report::plan::text(&plan, false, Layout::Grouped)
}

/// What `up` shows before its first write.
const TARGET: &str = "profile website on cluster build-cluster (Kubernetes 1.36), repository example-org/website at https://github.com";

fn up(columns: usize) -> String {
    let steps = steps();
    let run = in_the_middle(&steps);
    let plan = bare(&steps, "website");
    let plan = report::plan::text(&plan, false, Layout::Grouped);
    let mut asked = format!("{}\n", plan.trim_end());
    SimpleTheme
        .format_confirm_prompt_selection(&mut asked, "Make these changes?", Some(true))
        .unwrap();
    let above = run.above.join("\n");
    let target = wrapped(TARGET, 2, Some(columns));
    format!(
        "{target}\n{asked}\n{above}\n{}\n",
        run.lines(columns).join("\n")
    )
}

fn up_done(columns: usize) -> String {
    let steps = steps();
    let played = at_its_end(&steps);
    let written = |it: &Desired| StepResult {
        id: it.id.clone(),
        action: Some(Action::Create),
        written: !it.resource.is_proof(),
        elapsed: std::time::Duration::from_secs(1),
        span: None,
        error: None,
    };
    let began = std::time::Instant::now();
    let run = Run {
        profile: "website".into(),
        steps: steps.iter().map(written).collect(),
        began,
        elapsed: std::time::Duration::from_millis(29_300),
        requests: report::run::Requests::default(),
        error: None,
    };
    assert!(played.lines(columns).is_empty());
    let next = run.next(&profile(PROFILE).pools);
    let next: Vec<String> = next.iter().map(|it| paint(DIM, it)).collect();
    format!(
        "{}\n{}{}\n",
        played.above.join("\n"),
        run.text("pool website online (at least 2)"),
        next.join("\n")
    )
}

fn doctor_screen(columns: usize) -> String {
    let findings = doctor::tests::pictured();
    report::doctor::text(&findings, &[], false, Some(columns))
}

fn status(_columns: usize) -> String {
    let release = |name: &str, version: &str| ReleaseStatus {
        name: name.into(),
        version: version.into(),
        status: "deployed".into(),
    };
    let profile = profile(REFERENCE);
    let runner = |pool: &Pool| RunnerStatus {
        image: pool.image.clone(),
        today: runner_version::day(now()),
        freshness: runner_version::freshness(&profile, pool, Seen::default(), now()),
    };
    let pools = profile.pools.clone().into_iter().map(|pool| PoolStatus {
        runner: Some(runner(&pool)),
        mode: pool.mode,
        moment: moment(pool.schedule.as_ref(), pool.min, now()),
        schedule: pool.schedule.clone().map(|it| (it, pool.min)),
        name: pool.name,
        min: pool.min,
        max: pool.max,
        desired: Some(4),
        running: Some(4),
        registered: Some(4),
        busy: Some(3),
    });
    let status = Status {
        profile: "dogecompany".into(),
        releases: vec![
            release("cert-manager/cert-manager", "v1.21.1"),
            release("actions-runner-system/actions-runner-controller", "0.23.7"),
        ],
        certificate: Some(CertificateStatus {
            ready: true,
            not_after: Some("2027-02-23T12:11:18Z".into()),
        }),
        pools: pools.collect(),
    };
    report::status::text(&status, false)
}

fn schedule_screen(_columns: usize) -> String {
    let profile = profile(REFERENCE);
    let pools = profile.pools.iter();
    let pools: Vec<_> = pools
        .map(|it| of_pool(&profile, it, now(), 7).unwrap())
        .collect();
    schedule::text(&pools)
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/pictures")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment to rewrite its pictures"
)]
fn is_updating() -> bool {
    std::env::var_os("UPDATE").is_some()
}

#[test]
fn the_pictures_of_the_documents_are_what_the_program_shows() {
    let (mut wrong, mut there) = (Vec::new(), BTreeSet::new());
    for (name, title, screen) in SCREENS {
        for columns in WIDTHS {
            let command = title.split(',').next().unwrap();
            let shown = format!(
                "{}\n{}",
                paint(DIM, format!("$ {command}")),
                screen(columns)
            );
            let rows = if *name == "up" { ROWS } else { usize::MAX };
            let picture = svg(title, &shown, columns, rows);
            let file = format!("{name}-{columns}.svg");
            let path = folder().join(&file);
            if is_updating() {
                fs::write(&path, &picture).unwrap();
            }
            if fs::read_to_string(&path).unwrap_or_default() != picture {
                wrong.push(file.clone());
            }
            there.insert(file);
        }
    }
    assert!(
        wrong.is_empty(),
        "docs/pictures is not what the program shows: run `UPDATE=1 cargo test --lib pictures` and look at {wrong:?}"
    );
    // A picture that nothing draws any more is out of date.
    let drawn = |it: &String| {
        WIDTHS
            .iter()
            .any(|columns| it.ends_with(&format!("-{columns}.svg")))
    };
    let files = fs::read_dir(folder()).unwrap();
    let files = files.map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
    let files: BTreeSet<String> = files.filter(drawn).collect();
    assert_eq!(files, there);
}

/// What is wider than a terminal of usual size: an id, an address or a command alone, which are to be copied.
#[test]
fn a_screen_of_80_columns_breaks_no_sentence() {
    let mut broken = Vec::new();
    for (name, _, screen) in SCREENS {
        let text = anstream::adapter::strip_str(&screen(80)).to_string();
        let long = text.lines().filter(|it| it.chars().count() > 80);
        // One word after the sign and the action, or what is in backticks.
        let sentences = long.filter(|it| {
            it.split_whitespace().count() > 3 && !it.trim().trim_matches('`').contains(" -")
        });
        broken.extend(sentences.map(|it| format!("{name}: {it}")));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

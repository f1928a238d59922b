//! From an empty folder to runners, with questions and without.

#![expect(
    clippy::print_stdout,
    reason = "the figures of the issue are for who reads the test's output"
)]

use crate::{
    harness::cluster::Cluster,
    init::{answer, arcctl_at_terminal, at_terminal, folder},
};

/// The questions of the sandbox, in their order, each with the keys that answer it.
fn questions(github: &str) -> [(&'static str, String); 8] {
    let enter = || "\r".to_owned();
    [
        ("Which cluster is for the runners?", enter()),
        ("Which GitHub?", format!("{github}\r")),
        ("Where is the GitHub token?", enter()),
        ("Whose runners are they?", enter()),
        ("On which nodes do runners run?", enter()),
        ("Do jobs use docker?", enter()),
        ("How many runners?", enter()),
        ("Write this profile?", enter()),
    ]
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, from the first key to its end"
)]
fn a_profile_comes_of_questions_or_of_flags_and_leads_to_runners() {
    let cluster = Cluster::fast();
    let (github, charts) = (
        cluster.world().environment()["ARCCTL_SANDBOX_GITHUB_URL"].clone(),
        cluster.charts_url(),
    );
    let home = folder(&cluster, "home");
    let mirror = ["--charts", charts.as_str()];

    let mut terminal = at_terminal(&cluster, &home, &mirror, 80);
    let questions = questions(&github);
    for (question, keys) in &questions {
        terminal.wait_for(question);
        // The answer that Enter gives is shown with the question.
        terminal.wait_for(">");
        terminal.press(keys);
    }
    terminal.wait_for("Plan: ");
    let (keys, seconds) = (terminal.keys, terminal.elapsed().as_secs_f32());
    let ended = terminal.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    cluster.keep(&ended);
    println!(
        "init: {} questions, {keys} keys ({} of them the address of the server), {seconds:.1} s",
        questions.len(),
        github.len(),
    );
    let profile = home.join("arcctl.yaml");
    let asked = std::fs::read_to_string(&profile).unwrap();
    assert!(asked.contains("organization: dogecompany") && asked.contains("tokenOwner: arc-admin"));

    // The same without a terminal: nothing is asked, and the document says what was found.
    let other = folder(&cluster, "other").join("p.yaml");
    let file = other.to_str().unwrap();
    let flags = [
        "init",
        "--yes",
        "--github-url",
        &github,
        "-f",
        file,
        "-o",
        "json",
    ];
    let ended = cluster.arcctl(&[&flags[..], &mirror].concat());
    let document = ended.expect(0);
    assert_eq!(
        std::fs::read_to_string(&other).unwrap(),
        asked,
        "{document:#}"
    );
    assert_eq!(answer(&document, "scope"), "organization:dogecompany");
    assert_eq!(document["file"], file);
    assert!(
        document["changes"]["create"].as_u64() > Some(5),
        "{document:#}"
    );
    let unknown: Vec<&str> = document["found"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| !it["unknown"].is_null())
        .map(|it| it["what"].as_str().unwrap())
        .collect();
    assert_eq!(unknown, ["EKS clusters"], "{document:#}");

    // A line per group, and where to look next.
    let mut terminal = arcctl_at_terminal(&cluster, &home, &["up", "--yes"], 80);
    for shown in [
        "✓ Namespaces",
        "✓ Controller",
        "✓ Pool basic",
        "next: `arcctl status`",
    ] {
        terminal.wait_for(shown);
    }
    let ended = terminal.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    cluster.keep(&ended);
    // A second `init` does not touch the profile, and says what there is.
    let again = cluster.arcctl(&[
        "init",
        "--yes",
        "-f",
        profile.to_str().unwrap(),
        "-o",
        "json",
    ]);
    assert_eq!(again.expect(7)["file"], serde_json::Value::Null);
    assert_eq!(std::fs::read_to_string(&profile).unwrap(), asked);
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
#[expect(
    clippy::too_many_lines,
    reason = "one story, from the first key to its end"
)]
fn the_way_back_and_out_leaves_nothing() {
    let cluster = Cluster::fast();
    let github = cluster.world().environment()["ARCCTL_SANDBOX_GITHUB_URL"].clone();
    let home = folder(&cluster, "home");
    let questions = questions(&github);
    for stop in 0..questions.len() {
        let mut terminal = at_terminal(&cluster, &home, &[], 80);
        for (question, keys) in &questions[..stop] {
            terminal.wait_for(question);
            terminal.wait_for(">");
            terminal.press(keys);
        }
        terminal.wait_for(questions[stop].0);
        terminal.wait_for(">");
        terminal.press("\x03");
        let ended = terminal.end();
        assert_eq!(ended.code, 130, "question {stop}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("nothing was written"),
            "{}",
            ended.stderr
        );
        assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
        cluster.keep(&ended);
    }

    // Back from each kind of question, to another answer; on a narrow terminal.
    let mut terminal = at_terminal(&cluster, &home, &[], 34);
    terminal.wait_for(questions[0].0);
    terminal.wait_for(">");
    terminal.press("\r");
    terminal.wait_for(questions[1].0);
    terminal.wait_for(">");
    terminal.press("<\r");
    terminal.wait_for(questions[0].0);
    terminal.wait_for(">");
    terminal.press("\r");
    terminal.wait_for(questions[1].0);
    terminal.wait_for(">");
    terminal.press("not a server/\r");
    terminal.wait_for("expected: github.com, or");
    terminal.press(&questions[1].1);
    terminal.wait_for(questions[2].0);
    terminal.wait_for(">");
    terminal.press("\x1b");
    terminal.wait_for(questions[1].0);
    terminal.wait_for(">");
    terminal.press(&questions[1].1);
    terminal.wait_for(questions[2].0);
    terminal.wait_for(">");
    terminal.press("\r");
    // The enterprise, whose name is typed.
    terminal.wait_for(questions[3].0);
    terminal.wait_for(">");
    terminal.press("jj\r");
    terminal.wait_for("Name of the enterprise");
    terminal.wait_for(">");
    terminal.press("dogecompany\r");
    for (question, keys) in &questions[4..7] {
        terminal.wait_for(question);
        terminal.wait_for(">");
        terminal.press(keys);
    }
    terminal.wait_for("Write this profile?");
    terminal.wait_for(">");
    // The first question is behind all others: Esc until there is nothing to go back to.
    terminal.press("\r");
    let ended = terminal.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let text = std::fs::read_to_string(home.join("arcctl.yaml")).unwrap();
    assert!(text.contains("enterprise: dogecompany"), "{text}");
    cluster.keep(&ended);
    cluster.finish();
}

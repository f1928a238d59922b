//! Small habits of a command line: suggestions for what is misspelt, exit codes in the help, colors, plain progress, and keys
//! explained.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot start the program has failed"
)]

use std::process::Output;

use regex::Regex;
use serde_json::Value;

use crate::repository::{command, empty, root, shown, stdout, text};

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let directory = empty();
    let mut command = command(directory.path(), arguments);
    command
        .env_remove("NO_COLOR")
        .envs(variables.iter().copied());
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_misspelt_command_or_flag_is_answered_with_the_right_one() {
    for (arguments, meant) in [
        (&["plna"][..], "'plan'"),
        (&["verfy"][..], "'verify'"),
        (&["up", "--adpot"][..], "'--adopt'"),
        (
            &["plan", "--detailed-exit-code"][..],
            "'--detailed-exitcode'",
        ),
        (&["render", "out", "--format", "fluks"][..], "'flux'"),
        (&["status", "--ouput", "json"][..], "'--output'"),
    ] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        let said = stderr(&output);
        assert!(
            said.contains("similar") && said.contains(meant),
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn the_help_has_every_exit_code_of_the_readme() {
    let help = stdout(empty().path(), &["--help"], 0);
    let listed = help.split("\nExit codes:\n").nth(1).unwrap();
    let readme = text("README.md");
    let table = readme.split("\n## Exit codes\n").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let row = Regex::new(r"(?m)^\| ([0-9, ]+) \|").unwrap();
    let mut codes = 0;
    for found in row.captures_iter(table) {
        for code in found[1].split(", ") {
            let there = Regex::new(&format!(r"\b{code}\b")).unwrap();
            assert!(there.is_match(listed), "no {code} in {listed}");
            codes += 1;
        }
    }
    assert!(codes >= 14, "{codes}");
}

/// Whether what a command says has colors.
fn is_colored(arguments: &[&str], variables: &[(&str, &str)]) -> bool {
    let profile = shown(&root().join("profiles/repository.yaml"));
    let output = run(
        &[&["plan", "--offline", "-f", &profile], arguments].concat(),
        variables,
    );
    assert!(output.status.success(), "{output:?}");
    output.stdout.contains(&0x1b)
}

#[test]
fn colors_follow_no_color_and_the_flag_wins() {
    // Not a terminal.
    assert!(!is_colored(&[], &[]));
    let forced = ("CLICOLOR_FORCE", "1");
    assert!(
        is_colored(&[], &[forced]),
        "what could not fail proves nothing"
    );
    assert!(!is_colored(&[], &[forced, ("NO_COLOR", "1")]));
    assert!(is_colored(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(!is_colored(&["--color", "never"], &[forced]));
}

#[test]
fn a_key_of_the_profile_is_explained() {
    let directory = empty();
    let said = stdout(directory.path(), &["explain", "pools.containerMode"], 0);
    insta::assert_snapshot!("explain_container_mode", said);
    insta::assert_snapshot!(
        "explain_scaling",
        stdout(directory.path(), &["explain", "pools.scaling"], 0)
    );
    let whole = stdout(directory.path(), &["explain"], 0);
    for key in [
        "apiVersion <string, required>",
        "pools <list of objects, required>",
        "aws <object>",
    ] {
        assert!(whole.contains(key), "{whole}");
    }
    let tree = stdout(
        directory.path(),
        &["explain", "pools.schedule", "--recursive"],
        0,
    );
    assert!(tree.contains("\n  from  <string, required>"), "{tree}");
    let document = stdout(
        directory.path(),
        &["explain", "timeouts.runners", "-o", "json"],
        0,
    );
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["schema"], "arcctl.explain/v1");
    assert_eq!(document["default"], "5m");
    assert_eq!(document["error"], Value::Null);
}

#[test]
fn a_key_that_is_not_there_is_answered_with_a_similar_one() {
    let output = run(&["explain", "pools.scalling"], &[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        stderr(&output).contains("did you mean `scaling`?"),
        "{}",
        stderr(&output)
    );
    let output = run(&["explain", "pools.zzz", "-o", "json"], &[]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["error"]["code"], 64);
    assert!(
        document["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("instanceType")
    );
}

//! Files for other programs, read by the linters of these programs: shell scripts by shellcheck, the smoke workflow by
//! actionlint, which passes each step's script to shellcheck. (`tests/cluster/doctor/prometheus.rs` has promtool.) The
//! Python of `bench/` has tests of its own, which run here.

#![expect(
    clippy::disallowed_methods,
    reason = "a linter is a program, and is found by PATH"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot start a linter has failed"
)]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use crate::repository::{command, empty, files_in, root};

/// A linter of `tools/install.sh`; with PATH, so that actionlint finds shellcheck.
fn linter(name: &str) -> Command {
    let tools = root().join(".tools/bin");
    let path = std::env::var_os("PATH").unwrap();
    let mut directories: Vec<PathBuf> = vec![tools.clone()];
    directories.extend(std::env::split_paths(&path));
    let mut command = Command::new(tools.join(name));
    command.env("PATH", std::env::join_paths(directories).unwrap());
    command.current_dir(root());
    command
}

#[track_caller]
fn assert_clean(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.is_empty(), "{text}");
}

#[test]
fn shell_scripts_have_no_warning() {
    let mut scripts = files_in("tools/", "sh");
    scripts.extend(files_in("bench/", "sh"));
    // The scripts of the smoke workflow have placeholders; actionlint gets them filled in.
    scripts.push("templates/probe.sh".into());
    scripts.push(".ci/run".into());
    let mut shellcheck = linter("shellcheck");
    shellcheck
        .args(["--shell=bash", "--severity=warning"])
        .args(scripts);
    assert_clean(&shellcheck.output().unwrap());
}

#[test]
fn shellcheck_finds_a_mistake() {
    let directory = empty();
    let script = directory.path().join("wrong.sh");
    fs::write(&script, "rm -r $UNSET/*\n").unwrap();
    let output = linter("shellcheck")
        .arg("--shell=bash")
        .arg(script)
        .output();
    assert!(!output.unwrap().status.success());
}

#[test]
fn the_measuring_program_passes_its_tests() {
    let mut python = Command::new("python3");
    // Without -B it would leave its compiled modules beside the files.
    python
        .args([
            "-B",
            "-m",
            "unittest",
            "discover",
            "--start-directory",
            "bench",
        ])
        .current_dir(root());
    let output = python.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let ran = text.contains("\nRan ") && !text.contains("\nRan 0 ");
    assert!(output.status.success() && ran, "{text}");
}

/// The smoke workflow that `arcctl render` writes.
fn workflow(mode: &str, via: &str) -> String {
    let directory = empty();
    let profile = format!(
        r#"apiVersion: arcctl.dev/v1
name: test
cluster: {{eks: prod, region: eu-central-1}}
github: {{organization: o, token: {{env: T}}}}
aws: {{{via}: {{role: "arn:aws:iam::111122223333:role/ci/runner", serviceAccount: s}}}}
pools:
- {{name: a, image: "r:v1-ubuntu-22.04", min: 1, max: 1, containerMode: {mode}, labels: ["on", 'x"y']}}
"#
    );
    fs::write(directory.path().join("arcctl.yaml"), profile).unwrap();
    let rendered = command(directory.path(), &["render", "out"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(rendered.status.success(), "{rendered:?}");
    let path = directory
        .path()
        .join("out/.github/workflows/arcctl-smoke.yaml");
    fs::read_to_string(path).unwrap()
}

/// What actionlint finds in a workflow.
fn actionlint(workflow: &str) -> Output {
    let directory = empty();
    let path = directory.path().join("workflow.yaml");
    fs::write(&path, workflow).unwrap();
    // A label of one's own is no mistake here.
    let labels = directory.path().join("actionlint.yaml");
    fs::write(&labels, "self-hosted-runner: {labels: ['on', 'x\"y']}\n").unwrap();
    let mut command = linter("actionlint");
    command
        .arg("-config-file")
        .arg(labels)
        .arg("-oneline")
        .arg(path);
    command.output().unwrap()
}

#[test]
fn the_smoke_workflow_has_no_warning() {
    let volume =
        "{kubernetes: {workVolume: {storageClass: gp3, size: 1Gi, accessMode: ReadWriteOnce}}}";
    for mode in ["dind", "dindInRunner", "none", volume] {
        for via in ["irsa", "podIdentity"] {
            assert_clean(&actionlint(&workflow(mode, via)));
        }
    }
}

#[test]
fn actionlint_finds_a_mistake_in_a_workflow_and_in_its_script() {
    let good = workflow("dind", "irsa");
    for (from, to) in [
        ("inputs.pool ==", "inputs.poll =="),
        ("docker version", "docker version $X && [ $X = 1"),
    ] {
        assert!(good.contains(from), "{from}");
        let output = actionlint(&good.replace(from, to));
        assert!(!output.status.success(), "{from}");
    }
}

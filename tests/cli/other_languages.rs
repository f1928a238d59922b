//! Files for other programs, read by the linters of these programs: shell scripts by shellcheck, all workflows by
//! actionlint, which passes each step's script to shellcheck. (`tests/cluster/doctor/prometheus/` has promtool.) The
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

use regex::Regex;

use crate::repository::{command, empty, files_in, root, text};

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
    scripts.extend(files_in("action/", "sh"));
    // The scripts of the smoke workflow have placeholders; actionlint gets them filled in.
    scripts.push("templates/probe.sh".into());
    scripts.push("templates/scale_set_minimum/reconcile.sh".into());
    scripts.push(".ci/run".into());
    let mut shellcheck = linter("shellcheck");
    shellcheck
        .args(["--shell=bash", "--severity=warning", "--external-sources"])
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

/// What actionlint finds in `workflow`, in a repository with the action at its root.
fn in_a_repository(workflow: &str) -> Output {
    let directory = empty();
    let workflows = directory.path().join(".github/workflows");
    fs::create_dir_all(&workflows).unwrap();
    fs::create_dir(directory.path().join(".git")).unwrap();
    fs::copy(
        root().join("action.yml"),
        directory.path().join("action.yml"),
    )
    .unwrap();
    let path = workflows.join("workflow.yaml");
    fs::write(&path, workflow).unwrap();
    let labels = directory.path().join(".github/actionlint.yaml");
    fs::write(labels, "self-hosted-runner: {labels: [aws-bootstrap]}\n").unwrap();
    let mut command = linter("actionlint");
    command.current_dir(directory.path());
    command.arg("-oneline").arg(path).output().unwrap()
}

/// The workflows that docs/ci.md shows, with the action as one of their own repository, so that its inputs and outputs are
/// checked too.
fn documented() -> Vec<String> {
    let document = text("docs/ci.md");
    let block = Regex::new(r"(?s)```yaml\n(name: .*?)```").unwrap();
    let action = Regex::new(r"YOUR-ORG/arcctl@v[0-9.]+").unwrap();
    let found = block.captures_iter(&document);
    found
        .map(|it| action.replace_all(&it[1], "./").into_owned())
        .collect()
}

#[test]
fn the_workflows_of_the_repository_and_of_its_documents_have_no_warning() {
    let own = files_in(".github/workflows/", "yml");
    assert!(own.len() >= 2, "{own:?}");
    for workflow in own.iter().map(|it| text(it)).chain(documented()) {
        assert_clean(&in_a_repository(&workflow));
    }
}

#[test]
fn actionlint_knows_the_action_s_inputs_and_outputs() {
    let all = documented();
    assert_eq!(all.len(), 5, "{all:?}");
    for (from, to) in [
        ("offline: \"true\"", "offlin: \"true\""),
        ("outputs.doctor-report", "outputs.doctor-reports"),
    ] {
        assert!(all[0].contains(from), "{from}");
        let output = in_a_repository(&all[0].replace(from, to));
        assert!(!output.status.success(), "{from}");
    }
}

/// An action is code that runs with the job's rights, and a tag can be moved.
#[test]
fn the_repository_s_workflows_pin_each_action_and_give_each_job_few_rights() {
    let pinned =
        Regex::new(r"^[A-Za-z0-9-]+/[A-Za-z0-9./-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+$")
            .unwrap();
    let mut checked = 0;
    for path in files_in(".github/workflows/", "yml") {
        let text = text(&path);
        for line in text.lines() {
            if let Some((_, action)) = line.split_once("uses: ") {
                checked += 1;
                assert!(pinned.is_match(action), "{path}: {action}");
            }
        }
        let workflow: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let rights = |it: &serde_json::Value| {
            let all = it["permissions"]
                .as_object()
                .unwrap_or_else(|| panic!("{path}: {it}"));
            all.iter().filter(|it| it.1 == "write").count()
        };
        assert_eq!(rights(&workflow), 0, "{path}");
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            assert!(job["timeout-minutes"].is_u64(), "{path}: {name}");
            let writes = !job["permissions"].is_null() && rights(job) > 0;
            assert!(!writes || job["environment"] == "release", "{path}: {name}");
            for step in job["steps"].as_array().unwrap() {
                let checkout = step["uses"]
                    .as_str()
                    .is_some_and(|it| it.starts_with("actions/checkout@"));
                assert!(
                    !checkout || step["with"]["persist-credentials"] == false,
                    "{path}: {name}"
                );
            }
        }
    }
    assert!(checked > 5, "only {checked} actions were looked at");
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

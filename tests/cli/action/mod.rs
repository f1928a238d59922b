//! `action.yml` from end to end: each of its steps is run as the runner runs it, against a stand-in of the release server and
//! of GitHub's comments. arcctl is this build of it, in an archive; what it would do in a cluster is simulated.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot make an archive has failed"
)]

mod runner;
mod server;

use std::{collections::BTreeSet, fs};

use regex::Regex;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::repository::text;
use runner::{ARM, Done, Runner, TOKEN};
use server::{Server, comment};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An arcctl that simulates `up` and `doctor`, and is this build in all else. `up` fails if there is a file `broken`.
const PROGRAM: &str = r#"#!/bin/sh
case $1 in
up)
  echo "up $*" >>calls
  [ ! -e broken ] || exit 1
  printf 'changed=3\nrunners-registered=2\n' >>"$GITHUB_OUTPUT" ;;
doctor) echo "doctor $*" >>calls; echo '<testsuites/>' ;;
*) exec "@ARCCTL@" "$@" ;;
esac
"#;

/// An arcctl whose plan is longer than a comment can be.
const LONG: &str = r#"#!/bin/sh
[ "$1" = plan ] || exit 0
i=0
while [ $i -lt 2000 ]; do echo "| create | 만들다 $i $i $i $i $i $i $i |  |"; i=$((i + 1)); done >>"$GITHUB_STEP_SUMMARY"
exit 2
"#;

fn target() -> &'static str {
    if ARM {
        "aarch64-unknown-linux-musl"
    } else {
        "x86_64-unknown-linux-musl"
    }
}

/// An archive with one program, and its checksum.
fn archive(path: &str, program: &str) -> (Vec<u8>, String) {
    let zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(zip);
    let mut header = tar::Header::new_ustar();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    tar.append_data(&mut header, path, program.as_bytes())
        .unwrap();
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    let digits = |sum: String, it: &u8| sum + &format!("{it:02x}");
    let sum = Sha256::digest(&bytes).iter().fold(String::new(), digits);
    (bytes, sum)
}

/// A server with one release, below `/releases`; its checksum too.
fn release(program: &str) -> (Server, String) {
    let server = Server::start();
    let name = format!("arcctl-{VERSION}-{}", target());
    let program = program.replace("@ARCCTL@", env!("CARGO_BIN_EXE_arcctl"));
    let (bytes, sum) = archive(&format!("{name}/arcctl"), &program);
    let place = format!("/releases/v{VERSION}");
    let mut state = server.state();
    let sums = format!("{sum}  {name}.tar.gz\n");
    state
        .files
        .insert(format!("{place}/SHA256SUMS"), sums.into());
    state.files.insert(format!("{place}/{name}.tar.gz"), bytes);
    drop(state);
    (server, sum)
}

/// With the server's release and API, and a profile.
fn prepared(mut runner: Runner, server: &Server) -> Runner {
    let api = format!("{}/api", server.url);
    runner.github.insert("api_url".into(), api);
    let file = runner.path("workspace/arcctl.yaml");
    fs::write(file, text("profiles/repository.yaml")).unwrap();
    runner.with("releases", format!("{}/releases", server.url))
}

/// What the simulated commands were called with.
fn calls(runner: &Runner) -> String {
    fs::read_to_string(runner.path("workspace/calls")).unwrap_or_default()
}

#[test]
fn a_pull_request_gets_its_plan_in_one_comment_which_the_next_run_updates() {
    let (server, _) = release(PROGRAM);
    let runner = prepared(Runner::on_pull_request("o/r"), &server).with("offline", "true");
    let done = runner.run().ok();
    let first = server.comments();
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(
        first[0].starts_with("<!-- arcctl plan: arcctl.yaml -->\n### arcctl plan: "),
        "{}",
        first[0]
    );
    assert!(first[0].contains("<code>namespace/-/actions-runner</code>"));
    assert!(first[0].contains("/o/r/actions/runs/42)"), "{}", first[0]);
    assert!(
        done.summary
            .contains("<code>namespace/-/actions-runner</code>")
    );
    assert_eq!(done.outputs["changes"], "true");
    assert_eq!(done.outputs["version"], VERSION);
    assert!(done.outputs["comment-url"].ends_with("#issuecomment-1000"));
    assert_eq!(calls(&runner), "", "a plan writes nothing");

    let file = runner.path("workspace/arcctl.yaml");
    let profile = fs::read_to_string(&file).unwrap();
    let changed = Regex::new("(?m)^name: .*$")
        .unwrap()
        .replace(&profile, "name: another");
    fs::write(file, changed.as_ref()).unwrap();
    let again = runner.run().ok();
    let second = server.comments();
    assert_eq!(second.len(), 1, "the comment is updated: {second:?}");
    assert!(second[0].contains("another") && second[0] != first[0]);
    assert_eq!(again.outputs["comment-url"], done.outputs["comment-url"]);
    assert!(!done.log().contains(TOKEN) && !again.log().contains(TOKEN));
}

#[test]
fn another_profile_has_a_comment_of_its_own_and_a_stranger_s_is_left_alone() {
    let (server, _) = release(PROGRAM);
    let marker = "<!-- arcctl plan: arcctl.yaml -->\nnothing changes";
    // The arcctl's own comment is on the second page.
    let mut all: Vec<Value> = (0..120)
        .map(|id| comment(id, "User", "NONE", "hello"))
        .collect();
    all[3] = comment(3, "User", "NONE", marker);
    all[110] = comment(110, "Bot", "NONE", marker);
    server.state().comments = all;
    let runner = prepared(Runner::on_pull_request("o/r"), &server).with("offline", "true");
    runner.run().ok();
    let comments = server.comments();
    assert_eq!((comments.len(), comments[3].as_str()), (120, marker));
    assert!(comments[110].contains("### arcctl plan"));

    fs::copy(
        runner.path("workspace/arcctl.yaml"),
        runner.path("workspace/b.yaml"),
    )
    .unwrap();
    runner.with("profile", "b.yaml").run().ok();
    assert_eq!(server.comments().len(), 121);
}

#[test]
fn profiles_with_korean_names_have_a_comment_each() {
    let (server, _) = release(PROGRAM);
    let mut runner = prepared(Runner::on_pull_request("o/r"), &server).with("offline", "true");
    for name in ["서울.yaml", "부산.yaml"] {
        let copy = runner.path(&format!("workspace/{name}"));
        fs::copy(runner.path("workspace/arcctl.yaml"), copy).unwrap();
        runner = runner.with("profile", name);
        runner.run().ok();
    }
    let comments = server.comments();
    assert_eq!(comments.len(), 2, "{comments:?}");
    for (comment, name) in comments.iter().zip(["서울", "부산"]) {
        let marker = format!("<!-- arcctl plan: {name}.yaml -->\n");
        assert!(comment.starts_with(&marker), "{comment}");
    }
    runner.run().ok();
    assert_eq!(server.comments().len(), 2, "the second is updated");
}

#[test]
fn a_plan_that_is_too_long_for_a_comment_is_whole_in_the_summary() {
    let (server, _) = release(LONG);
    let runner = prepared(Runner::on_pull_request("o/r"), &server);
    let done = runner.run().ok();
    let comment = &server.comments()[0];
    assert!(
        comment.contains("longer than a comment can be"),
        "{comment}"
    );
    assert!(!comment.contains('\u{fffd}'), "cut within a character");
    assert!(comment.chars().count() < 65_536 && done.summary.len() > 65_536);
    let first = comment.lines().find(|it| it.contains("longer")).unwrap();
    assert!(first.contains("/actions/runs/42)"), "{first}");
}

#[test]
fn a_plan_that_fails_says_why_in_the_comment_and_fails_the_job() {
    let (server, _) = release(PROGRAM);
    let runner = prepared(Runner::on_pull_request("o/r"), &server).with("offline", "true");
    fs::write(
        runner.path("workspace/arcctl.yaml"),
        "apiVersion: arcctl.dev/v1\n",
    )
    .unwrap();
    let done = runner.run();
    assert!(done.failure().contains("::error"), "{}", done.log());
    let comments = server.comments();
    assert!(comments[0].contains("problem"), "{comments:?}");
    assert!(done.summary.contains("problem"), "{}", done.summary);
}

#[test]
fn a_pull_request_from_a_fork_has_its_plan_in_the_summary_only() {
    let (server, _) = release(PROGRAM);
    server.state().refuses = Some(403);
    // `offline` is `auto`: a fork has no credentials for the cluster.
    let runner = prepared(Runner::on_pull_request("stranger/r"), &server);
    let done = runner.run().ok();
    assert_eq!(server.comments(), Vec::<String>::new());
    assert!(
        done.summary.contains("### arcctl plan: "),
        "{}",
        done.summary
    );
    assert!(done.summary.contains("Only the profile was checked"));
    let log = &done.steps["comment"].log;
    assert!(
        log.contains("::notice") && log.contains("pull-requests: write"),
        "{log}"
    );
    assert!(
        log.contains("Resource not accessible by integration"),
        "{log}"
    );
    assert_eq!(done.outputs["comment-url"], "");

    // A fault of GitHub's is no lack of rights.
    server.state().refuses = Some(422);
    let log = runner.run().failure();
    assert!(log.contains("status 422"), "{log}");
}

#[test]
fn a_moment_in_which_github_is_away_fails_no_plan() {
    let (server, _) = release(PROGRAM);
    let runner = prepared(Runner::on_pull_request("o/r"), &server).with("offline", "true");
    // A POST is not repeated: it may have made the comment.
    for (method, comments) in [("POST", 0), ("GET", 1), ("PATCH", 1)] {
        server.state().away = (method, 1);
        let done = runner.run().ok();
        assert_eq!(server.state().away.1, 0, "{method}");
        assert_eq!(server.comments().len(), comments, "{method}");
        let log = &done.steps["comment"].log;
        assert_eq!(log.contains("status 502"), method == "POST", "{log}");
    }
}

#[test]
fn a_pull_request_of_dependabot_gets_no_secrets_and_is_planned_offline() {
    let (server, _) = release(PROGRAM);
    let mut runner = prepared(Runner::on_pull_request("o/r"), &server);
    let actor = "dependabot[bot]".to_owned();
    runner.github.insert("actor".into(), actor);
    let done = runner.run().ok();
    assert!(done.summary.contains("Only the profile was checked"));
    assert_eq!(server.comments().len(), 1, "with the right to comment");
}

#[test]
fn a_merge_is_applied_and_then_checked() {
    let (server, _) = release(PROGRAM);
    let runner = prepared(Runner::new("push"), &server).with("timeout", "5m");
    let done = runner.run().ok();
    assert_eq!(
        calls(&runner),
        "up up -f arcctl.yaml --yes --timeout 5m\ndoctor doctor -f arcctl.yaml -o junit\n"
    );
    assert_eq!(done.outputs["changed"], "3");
    assert_eq!(done.outputs["runners-registered"], "2");
    let report = fs::read_to_string(&done.outputs["doctor-report"]).unwrap();
    assert_eq!(report, "<testsuites/>\n");
    assert!(!done.steps["plan"].ran && !done.steps["comment"].ran && !done.steps["helm"].ran);
    let requests = server.state().requests.join("\n");
    assert!(!requests.contains("/api/"), "{requests}");

    // Also when `up` fails: then it says why.
    fs::write(runner.path("workspace/broken"), "").unwrap();
    let done = runner.run();
    done.failure();
    assert!(done.steps["doctor"].ran);
    let without = runner.with("doctor", "false").run();
    assert!(!without.steps["doctor"].ran);
}

#[test]
fn a_changed_archive_is_not_installed() {
    for pinned in [false, true] {
        let (server, sum) = release(PROGRAM);
        let mut runner = prepared(Runner::new("push"), &server);
        if pinned {
            // With a checksum in the workflow, SHA256SUMS is not asked: whoever changes the archive can change it too.
            runner = runner.with("sha256", sum.to_uppercase());
        }
        let name = format!("/releases/v{VERSION}/arcctl-{VERSION}-{}.tar.gz", target());
        let (other, wrong) = archive("evil/arcctl", "#!/bin/sh\ntouch was-run\n");
        let good = server.state().files.insert(name.clone(), other).unwrap();
        let done = runner.run();
        let log = done.failure();
        assert!(log.contains(&wrong) && log.contains(&sum), "{log}");
        assert!(log.contains("::error title=arcctl::") && log.contains("Nothing was installed"));
        assert_eq!(fs::read_dir(runner.path("tools")).unwrap().count(), 0);
        assert!(!runner.path("workspace/was-run").exists());
        assert!(!done.steps["up"].ran && !done.steps["doctor"].ran);

        server.state().files.insert(name, good);
        runner.run().ok();
    }
}

#[test]
fn a_release_that_is_not_there_is_named_with_what_to_do() {
    let (server, _) = release(PROGRAM);
    let prepared = |event: Runner| prepared(event, &server).with("command", "install");
    let log = prepared(Runner::new("push"))
        .with("version", "9.9.9")
        .run()
        .failure();
    let place = format!(
        "there is no release 9.9.9 at {}/releases/v9.9.9",
        server.url
    );
    assert!(
        log.contains(&place) && log.contains("set the input `version`"),
        "{log}"
    );
    for wrong in ["latest", "../../etc", "1.2", "1.2.3/x", "1.2.3 x"] {
        let log = prepared(Runner::new("push"))
            .with("version", wrong)
            .run()
            .failure();
        assert!(log.contains("set it to a version such as"), "{log}");
    }
    // A `v` is no part of it.
    let tag = prepared(Runner::new("push")).with("version", format!("v{VERSION}"));
    assert_eq!(tag.run().ok().outputs["version"], VERSION);
    let log = prepared(Runner::new("push"))
        .with("sha256", "123")
        .run()
        .failure();
    assert!(log.contains("64 hexadecimal digits"), "{log}");

    // A server that does not answer, and a system without a release.
    let nowhere = prepared(Runner::new("push")).with("releases", "http://127.0.0.1:1");
    assert!(
        nowhere
            .run()
            .failure()
            .contains("cannot download http://127.0.0.1:1/")
    );
    let mut windows = prepared(Runner::new("push"));
    windows.system = "Windows";
    assert!(windows.run().failure().contains("not released for Windows"));
}

#[test]
fn a_login_page_in_the_place_of_a_release_is_told_as_that() {
    let (server, _) = release(PROGRAM);
    let sums = format!("/releases/v{VERSION}/SHA256SUMS");
    let page = b"<html>Sign in to your account</html>\n".to_vec();
    server.state().files.insert(sums, page);
    let runner = prepared(Runner::new("push"), &server).with("command", "install");
    let log = runner.run().failure();
    assert!(log.contains("may be a login page"), "{log}");
    assert!(log.contains("set the input `releases`"), "{log}");
}

#[test]
fn what_is_in_the_tool_cache_is_not_downloaded_again() {
    let (server, sum) = release(PROGRAM);
    let runner = prepared(Runner::new("push"), &server).with("command", "install");
    let first = runner.run().ok();
    assert_eq!(first.outputs["cache-hit"], "false");
    assert!(
        first.log().contains(&format!("arcctl {VERSION} (")),
        "{}",
        first.log()
    );
    let requests = server.state().requests.len();
    assert_eq!(requests, 2);
    let second = runner.run().ok();
    assert_eq!(second.outputs["cache-hit"], "true");
    assert_eq!(second.outputs["path"], first.outputs["path"]);
    assert_eq!(server.state().requests.len(), requests);

    // Another checksum is another program, and a copy that was cut off is none.
    let runner = runner.with("sha256", sum);
    assert_eq!(runner.run().ok().outputs["cache-hit"], "true");
    let mark = format!("tools/arcctl/{VERSION}/{}.complete", target());
    fs::write(runner.path(&mark), "0".repeat(64)).unwrap();
    assert_eq!(runner.run().ok().outputs["cache-hit"], "false");
    fs::remove_file(runner.path(&mark)).unwrap();
    assert_eq!(runner.run().ok().outputs["cache-hit"], "false");
}

#[test]
fn without_a_url_the_release_is_that_of_the_action_s_repository() {
    let (server, _) = release(PROGRAM);
    let moved: Vec<(String, Vec<u8>)> = std::mem::take(&mut server.state().files)
        .into_iter()
        .collect();
    for (repository, expected) in [("acme/arcctl", "/acme/arcctl"), ("", "/o/r")] {
        let place = format!("{expected}/releases/download/");
        let renamed = moved
            .iter()
            .map(|(path, it)| (path.replace("/releases/", &place), it.clone()));
        server.state().files = renamed.collect();
        let mut runner = prepared(Runner::new("push"), &server)
            .with("command", "install")
            .with("releases", "");
        runner
            .github
            .insert("server_url".into(), server.url.clone());
        runner
            .github
            .insert("action_repository".into(), repository.into());
        runner.run().ok();
    }
}

#[test]
fn helm_is_installed_on_request_and_checked() {
    let (server, _) = release(PROGRAM);
    let platform = if ARM { "linux-arm64" } else { "linux-amd64" };
    let (bytes, sum) = archive(&format!("{platform}/helm"), "#!/bin/sh\necho v3.20.0\n");
    let file = format!("/helm/helm-v3.20.0-{platform}.tar.gz");
    server.state().files.insert(file.clone(), bytes);
    let runner = prepared(Runner::new("push"), &server)
        .with("command", "install")
        .with("helm", "v3.20.0")
        .with("helm-releases", format!("{}/helm/", server.url));
    let log = runner.run().failure();
    assert!(log.contains("there is no helm 3.20.0"), "{log}");
    let wrong = format!("{}  helm\n", "0".repeat(64));
    server
        .state()
        .files
        .insert(format!("{file}.sha256sum"), wrong.into());
    let log = runner.run().failure();
    assert!(log.contains(&sum), "{log}");
    let right = format!("{sum}  helm-v3.20.0-{platform}.tar.gz\n");
    server
        .state()
        .files
        .insert(format!("{file}.sha256sum"), right.into());
    runner.run().ok();
    assert!(
        runner
            .path(&format!("tools/helm/3.20.0/{platform}/helm"))
            .is_file()
    );
    let before = server.state().requests.len();
    runner.run().ok();
    assert_eq!(server.state().requests.len(), before);
}

#[test]
fn a_helm_that_another_action_keeps_is_not_taken_for_ours() {
    let (server, _) = release(PROGRAM);
    let platform = if ARM { "linux-arm64" } else { "linux-amd64" };
    let (bytes, sum) = archive(&format!("{platform}/helm"), "#!/bin/sh\necho v3.20.0\n");
    let file = format!("/helm/helm-v3.20.0-{platform}.tar.gz");
    let mut state = server.state();
    let sums = format!("{sum}  helm\n");
    state.files.insert(format!("{file}.sha256sum"), sums.into());
    state.files.insert(file, bytes);
    drop(state);
    let runner = prepared(Runner::new("push"), &server)
        .with("command", "install")
        .with("helm", "3.20.0")
        .with("helm-releases", format!("{}/helm", server.url));
    // As azure/setup-helm leaves it (`src/run.ts`): with the archive's directory, below the processor's name.
    let arch = if ARM { "arm64" } else { "amd64" };
    let theirs = format!("tools/helm/3.20.0/{arch}");
    let program = runner.path(&format!("{theirs}/{platform}/helm"));
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, "theirs").unwrap();
    fs::write(runner.path(&format!("{theirs}.complete")), "").unwrap();
    runner.run().ok();
    let ours = runner.path(&format!("tools/helm/3.20.0/{platform}/helm"));
    assert!(ours.is_file(), "helm is not where PATH has it");
    assert_eq!(fs::read_to_string(program).unwrap(), "theirs");
}

#[test]
fn the_event_or_the_command_decides_what_runs() {
    let (server, _) = release(PROGRAM);
    let ran = |event: &str, command: &str| {
        let runner = prepared(Runner::new(event), &server)
            .with("command", command)
            .with("offline", "true");
        let done: Done = runner.run();
        let steps = ["plan", "up", "doctor", "comment"];
        let ran = steps.into_iter().filter(|it| done.steps[*it].ran);
        (done.failed, ran.collect::<Vec<_>>().join(" "))
    };
    for (event, command, expected) in [
        ("push", "auto", "up doctor"),
        ("schedule", "auto", "up doctor"),
        ("workflow_dispatch", "auto", "up doctor"),
        ("merge_group", "auto", "plan"),
        ("schedule", "plan", "plan"),
        ("workflow_dispatch", "doctor", "doctor"),
        ("push", "install", ""),
    ] {
        assert_eq!(
            ran(event, command),
            (false, expected.to_owned()),
            "{event} {command}"
        );
    }
    // A stranger's pull request must not be applied with the repository's secrets.
    assert_eq!(ran("pull_request_target", "auto"), (true, String::new()));
    assert_eq!(ran("push", "apply"), (true, String::new()));
    for (input, value) in [("offline", "yes"), ("comment", ""), ("doctor", "1")] {
        let log = prepared(Runner::new("push"), &server)
            .with(input, value)
            .run()
            .failure();
        assert!(
            log.contains(&format!("the input `{input}` is `{value}`")),
            "{log}"
        );
    }
}

/// The names in the first column of a table of docs/ci.md.
fn documented(heading: &str) -> BTreeSet<String> {
    let document = text("docs/ci.md");
    let table = document
        .split(&format!("\n### {heading}\n"))
        .nth(1)
        .unwrap();
    let table = table.split("\n#").next().unwrap();
    let row = Regex::new(r"(?m)^\| `([a-z0-9-]+)` \|").unwrap();
    row.captures_iter(table)
        .map(|it| it[1].to_owned())
        .collect()
}

#[test]
fn each_input_and_output_is_described_in_the_action_and_in_the_document() {
    let action: Value = serde_saphyr::from_str(&text("action.yml")).unwrap();
    let source = text("action.yml");
    for (kind, heading) in [("inputs", "Inputs"), ("outputs", "Outputs")] {
        let declared = action[kind].as_object().unwrap();
        for (name, it) in declared {
            assert!(it["description"].as_str().unwrap().len() > 20, "{name}");
            assert!(
                kind == "outputs" || source.contains(&format!("inputs.{name} ")),
                "{name}"
            );
        }
        let names: BTreeSet<String> = declared.keys().cloned().collect();
        assert_eq!(documented(heading), names);
    }
}

#[test]
fn a_user_s_workflow_is_five_lines_of_the_action() {
    let document = text("docs/ci.md");
    let block = Regex::new(r"(?s)```yaml\n(name: runners\n.*?)```").unwrap();
    let workflow = block.captures(&document).unwrap()[1].to_owned();
    let workflow: Value = serde_saphyr::from_str(&workflow).unwrap();
    let jobs = workflow["jobs"].as_object().unwrap().values();
    let steps: Vec<&Value> = jobs
        .flat_map(|it| it["steps"].as_array().unwrap())
        .collect();
    let ours = steps.iter().find(|it| {
        it["uses"]
            .as_str()
            .is_some_and(|it| it.starts_with("YOUR-ORG/arcctl@"))
    });
    // Its inputs are inputs of the action, and on a push it applies the profile.
    let (server, _) = release(PROGRAM);
    let mut runner = prepared(Runner::new("push"), &server);
    for (name, value) in ours.unwrap()["with"].as_object().unwrap() {
        runner = runner.with(name, value.as_str().unwrap());
    }
    let lines = ours.unwrap()["with"].as_object().unwrap().len() + 2;
    assert!(lines <= 5, "{lines} lines");
    runner.run().ok();
    assert!(
        calls(&runner).starts_with("up up -f runners/arcctl.yaml --yes"),
        "{}",
        calls(&runner)
    );
}

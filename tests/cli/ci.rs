//! arcctl as a step of GitHub Actions: its output streams and files, and the `JUnit` report.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read what it made has failed"
)]

use std::{collections::BTreeMap, fs, path::Path, process::Output, time::Duration};

use arcctl::{
    doctor::{
        Finding,
        check::{Severity, Verdict},
    },
    report::junit,
};
use regex::Regex;
use xmlparser::{ElementEnd, Token, Tokenizer};

use crate::repository::{command, empty, stdout, text};

/// A step with a workspace in `directory`; the profile is in a directory of it.
fn step(directory: &Path, arguments: &[&str]) -> Output {
    command(directory, arguments)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", directory)
        .env("GITHUB_STEP_SUMMARY", directory.join("summary.md"))
        .env("GITHUB_OUTPUT", directory.join("output"))
        .env("ARCCTL_GITHUB_TOKEN", TOKEN)
        .current_dir(directory.join("runners"))
        .output()
        .unwrap()
}

const TOKEN: &str = "ghp_canary0123456789canary0123456789";

fn workspace(profile: &str) -> tempfile::TempDir {
    let directory = empty();
    fs::create_dir(directory.path().join("runners")).unwrap();
    fs::write(directory.path().join("runners/arcctl.yaml"), profile).unwrap();
    directory
}

/// The lines that GitHub's runner takes as commands.
fn commands(output: &Output) -> Vec<String> {
    let lines = |stream: &[u8]| -> Vec<String> {
        let text = String::from_utf8(stream.to_vec()).unwrap();
        text.split(['\n', '\r']).map(str::to_owned).collect()
    };
    let all = [lines(&output.stdout), lines(&output.stderr)].concat();
    all.into_iter()
        .filter(|it| it.trim_start().starts_with("::") || it.contains("##["))
        .collect()
}

/// A profile with a problem on each of `count` lines, and a key that would be a command.
fn broken(count: usize) -> String {
    let mut profile = text("profiles/repository.yaml");
    let unknown: Vec<String> = (0..count).map(|it| format!("unknown{it}: 1\n")).collect();
    profile.push_str(&unknown.concat());
    profile.push_str("\"\\n::add-mask::runners\\r##[error]x\": 1\n");
    profile
}

#[test]
fn problems_of_a_profile_are_annotations_on_its_lines_and_nothing_else_is_a_command() {
    let directory = workspace(&broken(2));
    let before = text("profiles/repository.yaml").lines().count();
    let output = step(directory.path(), &["plan", "--offline"]);
    assert_eq!(output.status.code(), Some(65));
    let found = commands(&output);
    assert_eq!(found.len(), 3, "{found:#?}");
    for (index, line) in found.iter().enumerate() {
        let place = format!(
            "::error file=runners/arcctl.yaml,line={},",
            before + index + 1
        );
        assert!(line.starts_with(&place), "{line}");
    }
    assert!(
        found[0].contains("title=profile%3A unknown0::"),
        "{}",
        found[0]
    );
    assert!(!found[2].contains("##["), "{}", found[2]);
    let summary = fs::read_to_string(directory.path().join("summary.md")).unwrap();
    assert!(summary.contains("3 problems"), "{summary}");

    // Elsewhere there are neither commands nor files.
    let directory = workspace(&broken(2));
    let output = command(&directory.path().join("runners"), &["plan", "--offline"])
        .env("GITHUB_STEP_SUMMARY", directory.path().join("summary.md"))
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!told.contains("::error file="), "{told}");
    assert!(!directory.path().join("summary.md").exists());
}

#[test]
fn no_more_annotations_than_github_shows_and_stdout_stays_one_document() {
    let directory = workspace(&broken(30));
    let output = step(directory.path(), &["plan", "--offline", "-o", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["error"]["code"], 65);
    assert!(
        document["error"]["message"]
            .as_str()
            .unwrap()
            .contains("unknown29"),
        "the document has them all"
    );
    let found = commands(&output);
    assert_eq!(found.len(), 10, "{found:#?}");
    assert!(
        found[9].ends_with("::and 22 more: the log has them all"),
        "{}",
        found[9]
    );
}

#[test]
fn a_plan_is_in_the_summary() {
    let directory = workspace(&text("profiles/repository.yaml"));
    fs::write(directory.path().join("summary.md"), "before\n").unwrap();
    let output = step(directory.path(), &["plan", "--offline"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(commands(&output), Vec::<String>::new());
    let summary = fs::read_to_string(directory.path().join("summary.md")).unwrap();
    assert!(
        summary.starts_with("before\n### arcctl plan: <code>"),
        "{summary}"
    );
    assert!(
        summary.contains("| create | <code>namespace/-/actions-runner</code> |  |"),
        "{summary}"
    );
}

#[test]
fn the_credential_is_never_told_unless_that_is_asked_for() {
    let directory = workspace(&text("profiles/repository.yaml"));
    for arguments in [
        &["doctor"][..],
        &["plan"],
        &["up", "--yes"],
        &["doctor", "-o", "json"],
    ] {
        let output = step(directory.path(), arguments);
        let all = [output.stdout, output.stderr].concat();
        let all = String::from_utf8(all).unwrap();
        assert!(
            !all.contains("canary") && !all.contains("add-mask"),
            "{all}"
        );
    }
}

#[test]
fn the_credential_is_masked_on_request_before_all_else_and_never_written_to_a_file() {
    let directory = workspace(&text("profiles/repository.yaml"));
    let output = step(directory.path(), &["doctor", "--mask"]);
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    let with: Vec<&str> = told.lines().filter(|it| it.contains("canary")).collect();
    assert_eq!(with, [format!("::add-mask::{TOKEN}")]);
    assert!(
        !String::from_utf8(output.stdout.clone())
            .unwrap()
            .contains("canary")
    );
    let annotations = commands(&output);
    let first = annotations.iter().position(|it| it.starts_with("::error"));
    let mask = annotations
        .iter()
        .position(|it| it.starts_with("::add-mask"));
    assert!(mask < first && first.is_some(), "{annotations:#?}");
    let summary = fs::read_to_string(directory.path().join("summary.md")).unwrap();
    assert!(
        summary.contains("| check | found | fix |") && !summary.contains("canary"),
        "{summary}"
    );

    let log = directory.path().join("log");
    command(&directory.path().join("runners"), &["doctor", "--mask"])
        .env("GITHUB_ACTIONS", "true")
        .env("ARCCTL_GITHUB_TOKEN", TOKEN)
        .stderr(fs::File::create(&log).unwrap())
        .stdout(fs::File::create(directory.path().join("out")).unwrap())
        .status()
        .unwrap();
    let log = fs::read_to_string(log).unwrap();
    assert!(!log.contains("::") && !log.contains("canary"), "{log}");
}

/// An element: its name, its attributes, and the names of those around it.
type Element = (String, BTreeMap<String, String>, Vec<String>);

/// The elements of a well-formed document.
fn elements(xml: &str) -> Vec<Element> {
    let (mut open, mut found): (Vec<String>, Vec<Element>) = (Vec::new(), Vec::new());
    for token in Tokenizer::from(xml) {
        match token.unwrap_or_else(|error| panic!("{error}: {xml}")) {
            Token::ElementStart { local, .. } => {
                found.push((local.to_string(), BTreeMap::new(), open.clone()));
                open.push(local.to_string());
            }
            Token::Attribute { local, value, .. } => {
                let attributes = &mut found.last_mut().unwrap().1;
                let twice = attributes.insert(local.to_string(), value.to_string());
                assert_eq!(twice, None, "{local}");
            }
            Token::ElementEnd { end, .. } => match end {
                ElementEnd::Open => {}
                ElementEnd::Empty => drop(open.pop()),
                ElementEnd::Close(_, name) => {
                    assert_eq!(open.pop().as_deref(), Some(name.as_str()));
                }
            },
            _ => {}
        }
    }
    assert!(open.is_empty(), "{open:?}");
    found
}

/// The elements of the schema that the viewers have in common (Jenkins' junit-10.xsd), as far as arcctl uses them: the
/// element, what it stands in, the attributes it must have, and those it may have.
const SCHEMA: [(&str, &str, &[&str], &[&str]); 6] = [
    (
        "testsuites",
        "",
        &[],
        &["name", "time", "tests", "failures", "disabled", "errors"],
    ),
    (
        "testsuite",
        "testsuites",
        &["name", "tests"],
        &[
            "failures",
            "errors",
            "time",
            "skipped",
            "timestamp",
            "hostname",
        ],
    ),
    (
        "testcase",
        "testsuite",
        &["name", "classname"],
        &["time", "status", "assertions"],
    ),
    ("skipped", "testcase", &[], &["message", "type"]),
    ("error", "testcase", &[], &["type", "message"]),
    ("failure", "testcase", &[], &["type", "message"]),
];

fn check(xml: &str) -> Vec<Element> {
    let found = elements(xml);
    for (name, attributes, around) in &found {
        let (_, within, must, may) = SCHEMA
            .iter()
            .find(|it| it.0 == name)
            .unwrap_or_else(|| panic!("the schema has no `{name}`"));
        assert_eq!(around.last().map_or("", String::as_str), *within, "{name}");
        for attribute in *must {
            assert!(
                attributes.contains_key(*attribute),
                "{name} lacks {attribute}"
            );
        }
        for attribute in attributes.keys().map(String::as_str) {
            assert!(
                must.contains(&attribute) || may.contains(&attribute),
                "{name} has {attribute}"
            );
        }
    }
    for suite in found.iter().filter(|it| it.0.starts_with("testsuite")) {
        let count = |name: &str| found.iter().filter(|it| it.0 == name).count().to_string();
        assert_eq!(suite.1["tests"], count("testcase"));
        assert_eq!(suite.1["failures"], count("failure"));
        assert_eq!(suite.1["errors"], count("error"));
        assert!(suite.1["time"].parse::<f64>().is_ok());
        if let Some(skipped) = suite.1.get("skipped") {
            assert_eq!(*skipped, count("skipped"));
        }
    }
    found
}

fn findings() -> Vec<Finding> {
    let finding = |id, severity, verdict| Finding {
        id,
        category: "cluster",
        severity,
        claim: "something is <true> & \"well\"",
        verdict,
        follows: None,
    };
    let unknown = || Verdict::Unknown {
        why: "nobody answers ]]> \u{1b}[31m\u{0}".into(),
        fix: "wait".into(),
        refused: false,
    };
    let broken = || Verdict::broken("a \"b\" <c>\n::error::d", "make it & so");
    vec![
        finding("holds", Severity::Required, Verdict::Holds),
        finding("skipped", Severity::Required, Verdict::skipped("not here")),
        finding("broken", Severity::Required, broken()),
        finding("unknown", Severity::Required, unknown()),
        finding("advice", Severity::Advice, broken()),
        finding("advice-unknown", Severity::Advice, unknown()),
    ]
}

#[test]
fn a_report_for_test_viewers_keeps_to_their_schema_and_passes_nothing_that_is_not_known() {
    let outcome = |xml: &str, name: &str| {
        let found = check(xml);
        let at = found
            .iter()
            .position(|it| it.0 == "testcase" && it.1["name"] == name)
            .unwrap();
        match found.get(at + 1) {
            Some((inner, ..)) if inner != "testcase" => inner.clone(),
            _ => "passed".to_owned(),
        }
    };
    let elapsed = Duration::from_millis(1234);
    let xml = junit::text(&findings(), false, elapsed);
    assert!(xml.contains("time=\"1.234\""), "{xml}");
    for (name, expected) in [
        ("holds", "passed"),
        ("skipped", "skipped"),
        ("broken", "failure"),
        ("unknown", "error"),
        ("advice", "skipped"),
        ("advice-unknown", "skipped"),
    ] {
        assert_eq!(outcome(&xml, name), expected, "{name}");
    }
    let strict = junit::text(&findings(), true, elapsed);
    assert_eq!(outcome(&strict, "advice"), "failure");
    assert_eq!(outcome(&strict, "advice-unknown"), "error");
    check(&junit::text(&[], false, elapsed));
}

#[test]
fn doctor_alone_writes_it_and_also_when_it_fails() {
    let directory = empty();
    let xml = stdout(directory.path(), &["doctor", "-o", "junit"], 65);
    let found = check(&xml);
    assert!(found.iter().any(|it| it.0 == "error"), "{xml}");
    let none = stdout(directory.path(), &["plan", "-o", "junit"], 64);
    assert_eq!(none, "");

    let directory = workspace(&text("profiles/repository.yaml"));
    let xml = stdout(
        &directory.path().join("runners"),
        &["doctor", "-o", "junit"],
        1,
    );
    let found = check(&xml);
    let helm = found
        .iter()
        .find(|it| it.1.get("name").is_some_and(|it| it == "helm-usable"));
    assert_eq!(helm.unwrap().1["classname"], "arcctl.doctor.tools");
}

/// What sets a pull request apart in the name of a concurrency group, and is empty on every other event.
const APART: &str =
    "${{ github.event_name == 'pull_request' && format('-{0}', github.ref) || '' }}";

/// The workflows of docs/ci.md: they parse, have what they need, and call arcctl as it can be called.
#[test]
fn the_workflows_in_the_documents_are_workflows() {
    let document = text("docs/ci.md");
    let block = Regex::new(r"(?s)```yaml\n(.*?)```").unwrap();
    let mut called = 0;
    for found in block.captures_iter(&document) {
        let workflow: serde_json::Value = serde_saphyr::from_str(&found[1]).unwrap();
        if workflow["stages"].is_array() {
            // GitLab's form.
            let jobs = workflow.as_object().unwrap().values();
            let lines = jobs.flat_map(|it| [&it["script"], &it["after_script"]]);
            let lines = lines.filter_map(serde_json::Value::as_array).flatten();
            called += lines.map(|it| calls(it.as_str().unwrap())).sum::<usize>();
            continue;
        }
        assert!(workflow["on"].is_object(), "{workflow}");
        // Who signs in to AWS needs a token for it, and nobody else.
        let signs_in = found[1].contains("configure-aws-credentials");
        let token = &workflow["permissions"]["id-token"];
        assert_eq!(*token == "write", signs_in, "{workflow}");
        assert_eq!(workflow["concurrency"]["cancel-in-progress"], false);
        // Of a repository, one workflow with this group runs at a time: those that write must have the same.
        let group = workflow["concurrency"]["group"].as_str().unwrap();
        if signs_in {
            let group = group.replace(APART, "");
            assert_eq!(group, "runners", "{workflow}");
        }
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            assert!(!job["runs-on"].is_null(), "{name}");
            for step in job["steps"].as_array().unwrap() {
                assert!(
                    step["run"].is_string() != step["uses"].is_string(),
                    "{step}"
                );
                called += step["run"].as_str().map_or(0, calls);
            }
        }
    }
    let inline = Regex::new(r"`(arcctl [^`]+)`").unwrap();
    called += inline
        .captures_iter(&document)
        .map(|it| calls(&it[1]))
        .sum::<usize>();
    assert!(called >= 8, "only {called} calls were looked at");
    let json = Regex::new(r"(?s)```json\n(.*?)```").unwrap();
    for found in json.captures_iter(&document) {
        serde_json::from_str::<serde_json::Value>(&found[1]).unwrap();
    }
}

/// In a pipeline of Jenkins a step that fails ends its block, and with it the `junit` that follows.
#[test]
fn jenkins_keeps_the_report_of_a_doctor_that_fails() {
    let document = text("docs/ci.md");
    let block = Regex::new(r"(?s)```groovy\n(.*?)```").unwrap();
    let pipeline = block.captures(&document).unwrap()[1].to_owned();
    let shell = Regex::new(r"(.*)\bsh '([^']+)'").unwrap();
    let mut called = 0;
    for line in pipeline.lines() {
        let Some(found) = shell.captures(line) else {
            continue;
        };
        called += calls(&found[2]);
        if found[2].contains("-o junit") {
            assert_eq!(found[1].trim(), "catchError {", "{line}");
        }
    }
    assert_eq!(called, 3, "{pipeline}");
}

/// A role that trusts an identity provider needs one that is there.
#[test]
fn the_identity_provider_of_the_trust_policy_is_created_before() {
    let document = text("docs/ci.md");
    let block = Regex::new(r"(?s)```json\n(.*?)```").unwrap();
    let found = block.captures(&document).unwrap();
    let policy: serde_json::Value = serde_json::from_str(&found[1]).unwrap();
    let statement = &policy["Statement"][0];
    let provider = statement["Principal"]["Federated"].as_str().unwrap();
    let (_, host) = provider.split_once(":oidc-provider/").unwrap();
    let audience = statement["Condition"]["StringEquals"][format!("{host}:aud")]
        .as_str()
        .unwrap();
    let command = format!(
        "$ aws iam create-open-id-connect-provider --url https://{host} --client-id-list {audience}\n"
    );
    let before = &document[..found.get(0).unwrap().start()];
    assert!(before.contains(&command), "{command}");
    // The other subjects: of a pull request, and at GitLab.
    assert!(document.contains("`repo:YOUR-ORG/YOUR-REPOSITORY:pull_request`"));
    let (_, gitlab) = document.split_once("\n## GitLab\n").unwrap();
    let subject = "`project_path:GROUP/PROJECT:ref_type:branch:ref:main`";
    assert!(gitlab.contains(subject));
}

/// Checks a shell line's call of arcctl against its help; how many there are.
fn calls(line: &str) -> usize {
    let Some(arguments) = line.strip_prefix("arcctl ") else {
        return 0;
    };
    let mut words = arguments.split_whitespace();
    let directory = empty();
    let mut command = vec![words.next().unwrap()];
    let help = |command: &[&str]| stdout(directory.path(), &[command, &["--help"]].concat(), 0);
    let mut text = help(&command);
    while text.contains("\nCommands:\n") {
        command.push(words.next().unwrap());
        text = help(&command);
    }
    for flag in words.filter(|it| it.starts_with('-')) {
        let known = Regex::new(&format!(r"(^|[\s,]){}([\s,]|$)", regex::escape(flag))).unwrap();
        assert!(known.is_match(&text), "{line}: {flag}");
    }
    1
}

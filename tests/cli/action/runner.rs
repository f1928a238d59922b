//! Runs `action.yml` as GitHub's runner runs a composite action: inputs and their defaults, conditions, the files by which
//! steps give outputs, variables and paths, and the shell that the runner starts. Only what `action.yml` uses; anything else
//! fails. (`act` would do the same in a container, which is not to be had here.)

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use regex::{Captures, Regex};
use serde_json::Value;

use crate::repository::{empty, root, text};

/// What a step left.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Whether it ran; it is skipped where its condition does not hold.
    pub(super) ran: bool,
    pub(super) outputs: BTreeMap<String, String>,
    pub(super) log: String,
}

/// What the job left.
#[derive(Debug)]
pub(super) struct Done {
    /// Whether a step failed.
    pub(super) failed: bool,
    /// By their ids.
    pub(super) steps: BTreeMap<String, Step>,
    /// The outputs of the action.
    pub(super) outputs: BTreeMap<String, String>,
    pub(super) summary: String,
}

impl Done {
    /// The log of all steps.
    pub(super) fn log(&self) -> String {
        self.steps.values().map(|it| it.log.as_str()).collect()
    }

    #[track_caller]
    pub(super) fn ok(self) -> Self {
        assert!(!self.failed, "{}", self.log());
        self
    }

    /// The log; the job must have failed.
    #[track_caller]
    pub(super) fn failure(&self) -> String {
        assert!(self.failed, "{}", self.log());
        self.log()
    }
}

/// A runner with its directories, and a job that uses the action.
pub(super) struct Runner {
    directory: tempfile::TempDir,
    /// `with:` of the job's step.
    pub(super) inputs: BTreeMap<String, String>,
    /// The `github` context, by its paths.
    pub(super) github: BTreeMap<String, String>,
    /// `RUNNER_OS`.
    pub(super) system: &'static str,
}

impl Runner {
    /// On an event of the repository `o/r`.
    pub(super) fn new(event: &str) -> Self {
        let directory = empty();
        for name in ["workspace", "temp", "tools"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let github = [
            ("event_name", event),
            ("repository", "o/r"),
            ("actor", "somebody"),
            ("run_id", "42"),
            ("server_url", "http://127.0.0.1:1"),
            ("api_url", "http://127.0.0.1:1"),
            ("action_repository", "example-org/arcctl"),
            ("token", TOKEN),
        ];
        let github = github.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            directory,
            inputs: BTreeMap::new(),
            github: github.into(),
            system: "Linux",
        }
    }

    /// On pull request 7, whose head is in `repository`.
    pub(super) fn on_pull_request(repository: &str) -> Self {
        let mut runner = Self::new("pull_request");
        for (name, value) in [
            ("number", "7"),
            ("head.sha", "0123456789abcdef"),
            ("head.repo.full_name", repository),
        ] {
            let name = format!("event.pull_request.{name}");
            runner.github.insert(name, value.to_owned());
        }
        runner
    }

    pub(super) fn with(mut self, input: &str, value: impl Into<String>) -> Self {
        self.inputs.insert(input.to_owned(), value.into());
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs all steps.
    pub(super) fn run(&self) -> Done {
        let action: Value = serde_saphyr::from_str(&text("action.yml")).unwrap();
        assert_eq!(action["runs"]["using"], "composite");
        let mut context = Context {
            inputs: self.inputs(&action),
            github: &self.github,
            steps: BTreeMap::new(),
            failed: false,
        };
        let mut path = vec![
            "/usr/local/bin".to_owned(),
            "/usr/bin".into(),
            "/bin".into(),
        ];
        let summary = self.path("summary");
        fs::write(&summary, "").unwrap();
        for step in action["runs"]["steps"].as_array().unwrap() {
            let id = step["id"].as_str().unwrap().to_owned();
            let condition = step["if"].as_str().unwrap_or("success()");
            let mut left = Step::default();
            if context.holds(condition) {
                left = self.step(step, &context, &mut path);
                context.failed |= left.outputs.contains_key("\0failed");
            }
            assert!(context.steps.insert(id, left).is_none());
        }
        let outputs = action["outputs"].as_object().unwrap().iter();
        Done {
            outputs: outputs
                .map(|(name, it)| (name.clone(), context.filled(it["value"].as_str().unwrap())))
                .collect(),
            failed: context.failed,
            summary: fs::read_to_string(summary).unwrap(),
            steps: context.steps,
        }
    }

    /// The inputs, with the defaults of those that the job does not set.
    fn inputs(&self, action: &Value) -> BTreeMap<String, String> {
        let declared = action["inputs"].as_object().unwrap();
        for name in self.inputs.keys() {
            assert!(declared.contains_key(name), "there is no input {name}");
        }
        let none = Context {
            inputs: BTreeMap::new(),
            github: &self.github,
            steps: BTreeMap::new(),
            failed: false,
        };
        let value = |name: &String, it: &Value| match self.inputs.get(name) {
            Some(value) => value.clone(),
            None => none.filled(it["default"].as_str().unwrap()),
        };
        declared
            .iter()
            .map(|(name, it)| (name.clone(), value(name, it)))
            .collect()
    }

    #[expect(clippy::disallowed_methods, reason = "a step is a program")]
    fn step(&self, step: &Value, context: &Context<'_>, path: &mut Vec<String>) -> Step {
        for key in step.as_object().unwrap().keys() {
            let known = ["id", "if", "shell", "env", "run"].contains(&key.as_str());
            assert!(known, "a step has `{key}`");
        }
        assert_eq!(step["shell"], "bash");
        let script = self.path("temp/script.sh");
        fs::write(&script, context.filled(step["run"].as_str().unwrap())).unwrap();
        let given = ["output", "env", "path"].map(|it| self.path(&format!("temp/{it}")));
        for file in &given {
            fs::write(file, "").unwrap();
        }
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-e", "-o", "pipefail"])
            .arg(&script)
            .current_dir(self.path("workspace"))
            .env_clear()
            .env("PATH", path.join(":"))
            .env("HOME", self.path("temp"))
            .envs([("CI", "true"), ("GITHUB_ACTIONS", "true")])
            .env("GITHUB_ACTION_PATH", root())
            .env("GITHUB_WORKSPACE", self.path("workspace"))
            .env("GITHUB_OUTPUT", &given[0])
            .env("GITHUB_ENV", &given[1])
            .env("GITHUB_PATH", &given[2])
            .env("GITHUB_STEP_SUMMARY", self.path("summary"))
            .env("RUNNER_TEMP", self.path("temp"))
            .env("RUNNER_TOOL_CACHE", self.path("tools"))
            .env("RUNNER_OS", self.system)
            .env("RUNNER_ARCH", if ARM { "ARM64" } else { "X64" })
            .stdin(Stdio::null());
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            command.env(name, context.filled(value.as_str().unwrap()));
        }
        let ended = command.output().unwrap();
        let mut outputs = pairs(&given[0]);
        assert_eq!(
            pairs(&given[1]),
            BTreeMap::new(),
            "the action sets no variables"
        );
        let added = fs::read_to_string(&given[2]).unwrap();
        path.splice(0..0, added.lines().map(str::to_owned));
        if !ended.status.success() {
            outputs.insert("\0failed".into(), String::new());
        }
        let log = [ended.stdout, ended.stderr].concat();
        Step {
            ran: true,
            outputs,
            log: String::from_utf8(log).unwrap(),
        }
    }
}

/// The job's token.
pub(super) const TOKEN: &str = "ghs_0123456789canary0123456789";

/// Whether this machine is one with arm64.
pub(super) const ARM: bool = cfg!(target_arch = "aarch64");

/// The lines `NAME=VALUE` of a file that a step wrote.
fn pairs(file: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| line.split_once('=').unwrap_or_else(|| panic!("{line}")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What expressions can name.
struct Context<'a> {
    inputs: BTreeMap<String, String>,
    github: &'a BTreeMap<String, String>,
    steps: BTreeMap<String, Step>,
    failed: bool,
}

impl Context<'_> {
    /// Whether a step with this condition runs. Terms are joined with `&&`; each is a comparison, or says something of the job.
    fn holds(&self, condition: &str) -> bool {
        let condition = condition.trim();
        let inner = condition.strip_prefix("${{");
        let condition = inner.map_or(condition, |it| it.strip_suffix("}}").unwrap());
        // Without a word about the job's state, `success()` is meant.
        let anyway = condition.contains("cancelled()") || condition.contains("always()");
        (anyway || !self.failed)
            && condition.split("&&").all(|term| match term.trim() {
                "success()" => !self.failed,
                "!cancelled()" | "always()" => true,
                term => {
                    let both = term.split_once(" == ").or_else(|| term.split_once(" != "));
                    let (left, right) = both.unwrap_or_else(|| panic!("{term}"));
                    let equal = term.contains(" == ");
                    (self.value(left) == self.value(right)) == equal
                }
            })
    }

    /// `text` with its expressions evaluated.
    fn filled(&self, text: &str) -> String {
        let expression = Regex::new(r"\$\{\{\s*(.*?)\s*\}\}").unwrap();
        let value = |found: &Captures<'_>| self.value(&found[1]);
        expression.replace_all(text, value).into_owned()
    }

    /// A literal, or what a path of a context names. What is not set is empty, as at GitHub; what cannot be set is a mistake.
    fn value(&self, expression: &str) -> String {
        let expression = expression.trim();
        if let Some(literal) = expression.strip_prefix('\'') {
            return literal.strip_suffix('\'').unwrap().to_owned();
        }
        let (root, path) = expression
            .split_once('.')
            .unwrap_or_else(|| panic!("{expression}"));
        match root {
            "inputs" => self.inputs[path].clone(),
            "github" => match self.github.get(path) {
                Some(value) => value.clone(),
                None if path.starts_with("event.") => String::new(),
                None => panic!("{expression}"),
            },
            "steps" => {
                let (id, output) = path.split_once(".outputs.").unwrap();
                let step = self.steps.get(id).unwrap_or_else(|| panic!("{expression}"));
                step.outputs.get(output).cloned().unwrap_or_default()
            }
            _ => panic!("{expression}"),
        }
    }
}

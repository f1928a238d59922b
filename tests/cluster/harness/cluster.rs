//! A sandbox for one test: a real control plane, and arcctl run as a user runs it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use arcctl_sandbox::{
    proxy::System,
    world::{Options, Pace, Sandbox},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{harness::running::Running, harness::waiting::PATIENCE};

/// A running sandbox.
pub(crate) struct Cluster {
    // Before the runtime, whose tasks it is made of.
    world: Sandbox,
    runtime: Runtime,
    directory: tempfile::TempDir,
    outputs: Mutex<Vec<String>>,
    tokens: Mutex<Vec<String>>,
}

/// The window of the sandbox's profile.
const WINDOW: &str = "{name: weekend, from: Sat 00:00, to: Mon 00:00, min: 1}";

/// What a run of arcctl ended with.
#[must_use = "look at its code, its document or its messages"]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Cluster {
    /// A sandbox without delays in which something goes wrong.
    pub(crate) fn with_faults(faults: &[&str]) -> Self {
        Self::start(Options {
            pace: Pace::Fast,
            faults: faults.iter().map(ToString::to_string).collect(),
            ..Options::default()
        })
    }

    /// A sandbox without delays.
    pub(crate) fn fast() -> Self {
        Self::start(Options {
            pace: Pace::Fast,
            ..Options::default()
        })
    }

    /// A sandbox without delays, with AWS; without moto there is none, and the test fails.
    pub(crate) fn with_aws() -> Self {
        Self::start(Options {
            pace: Pace::Fast,
            aws: true,
            ..Options::default()
        })
    }

    pub(crate) fn start(options: Options) -> Self {
        let runtime = Runtime::new().unwrap();
        let world = runtime.block_on(Sandbox::start(options)).unwrap();
        let token = world.github().token().to_owned();
        Self {
            world,
            runtime,
            directory: tempfile::tempdir().unwrap(),
            outputs: Mutex::default(),
            tokens: Mutex::new(vec![token]),
        }
    }

    pub(crate) fn world(&self) -> &Sandbox {
        &self.world
    }

    /// Waits for what speaks to the sandbox itself.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// A file of this test.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A token that is a secret of this test too.
    pub(crate) fn keep_secret(&self, token: &str) {
        self.tokens.lock().unwrap().push(token.to_owned());
    }

    pub(crate) fn tokens(&self) -> Vec<String> {
        self.tokens.lock().unwrap().clone()
    }

    /// Everything that arcctl has written in this test.
    pub(crate) fn outputs(&self) -> Vec<String> {
        self.outputs.lock().unwrap().clone()
    }

    /// What holds at the end of every test.
    pub(crate) fn finish(self) {
        assert_eq!(self.world.github().violations(), Vec::<String>::new());
        self.assert_no_secret();
    }

    /// The sandbox's profile, changed: each of `edits` takes the place of a text that must be there. Its window is days
    /// away, so that a test does the same on a Saturday.
    pub(crate) fn profile(&self, name: &str, edits: &[(&str, &str)]) -> PathBuf {
        self.edited("ARCCTL_SANDBOX_PROFILE", name, edits)
    }

    /// The same of the profile that names the cluster as EKS does.
    pub(crate) fn eks_profile(&self, name: &str, edits: &[(&str, &str)]) -> PathBuf {
        self.edited("ARCCTL_SANDBOX_EKS_PROFILE", name, edits)
    }

    fn edited(&self, variable: &str, name: &str, edits: &[(&str, &str)]) -> PathBuf {
        let original = &self.world.environment()[variable];
        let mut text = std::fs::read_to_string(original).unwrap();
        assert!(text.contains(WINDOW), "the profile has no `{WINDOW}`");
        text = text.replace(WINDOW, &distant_window());
        for (from, to) in edits {
            assert!(text.contains(from), "the profile has no `{from}`");
            text = text.replace(from, to);
        }
        self.file(&format!("{name}.yaml"), &text)
    }

    /// Runs arcctl with `arguments`, in the sandbox's environment.
    pub(crate) fn arcctl(&self, arguments: &[&str]) -> Ended {
        self.arcctl_with(arguments, &[])
    }

    /// Runs arcctl with some variables of the environment changed.
    pub(crate) fn arcctl_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let output = self.command(arguments, variables).output().unwrap();
        let ended = Ended::new(&output);
        self.keep(&ended);
        ended
    }

    /// Starts arcctl and goes on; give what it ends with to [`Cluster::keep`].
    pub(crate) fn arcctl_in_background(&self, arguments: &[&str]) -> Running {
        self.arcctl_in_background_with(arguments, &[])
    }

    /// The same, with some variables of the environment changed.
    pub(crate) fn arcctl_in_background_with(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Running {
        Running::start(&mut self.command(arguments, variables))
    }

    /// Remembers what arcctl wrote, for the end of the test.
    pub(crate) fn keep(&self, ended: &Ended) {
        let mut outputs = self.outputs.lock().unwrap();
        outputs.extend([&ended.stdout, &ended.stderr].map(String::clone));
    }

    pub(crate) fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        // A torture of hours is not to meet a new build half-way.
        let program = std::env::var_os("ARCCTL_TORTURE_PROGRAM")
            .unwrap_or_else(|| env!("CARGO_BIN_EXE_arcctl").into());
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.world.environment())
            .env("HOME", self.directory.path())
            .env("USER", "tester")
            .env("HOSTNAME", "test")
            .env("NO_COLOR", "1")
            .envs(variables.iter().copied())
            .stdin(Stdio::null());
        command
    }

    /// `plan` with a JSON result.
    pub(crate) fn plan(&self, profile: &Path, more: &[&str]) -> Ended {
        let profile = profile.to_str().unwrap();
        self.arcctl(&[&["plan", "-f", profile, "-o", "json"], more].concat())
    }

    /// `up` with `--yes` and a JSON result.
    pub(crate) fn up(&self, profile: &Path, more: &[&str]) -> Ended {
        let profile = profile.to_str().unwrap();
        self.arcctl(&[&["up", "-f", profile, "--yes", "-o", "json"], more].concat())
    }

    /// Runs kubectl as the administrator; what it says on stdout.
    pub(crate) fn kubectl(&self, arguments: &[&str], input: Option<&str>) -> String {
        self.tool("kubectl", arguments, input)
    }

    /// Runs helm as the administrator.
    pub(crate) fn helm(&self, arguments: &[&str], input: Option<&str>) -> String {
        self.tool("helm", arguments, input)
    }

    fn tool(&self, program: &str, arguments: &[&str], input: Option<&str>) -> String {
        self.try_tool(program, arguments, input)
            .unwrap_or_else(|said| panic!("{program} {arguments:?}: {said}"))
    }

    pub(crate) fn try_tool(
        &self,
        program: &str,
        arguments: &[&str],
        input: Option<&str>,
    ) -> Result<String, String> {
        use std::io::Write;
        let home = self.directory.path();
        let mut child = Command::new(program)
            .args(arguments)
            .env("HELM_CACHE_HOME", home.join("helm-cache"))
            .env("HELM_CONFIG_HOME", home.join("helm-config"))
            .env("HELM_DATA_HOME", home.join("helm-data"))
            .envs(self.world.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.unwrap_or_default().to_owned();
        // Beside the reading of its output: both pipes are smaller than what a chart renders to.
        let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// One object, as kubectl gives it.
    pub(crate) fn get(&self, kind: &str, namespace: &str, name: &str) -> Value {
        let text = self.kubectl(&["-n", namespace, "get", kind, name, "-o", "json"], None);
        serde_json::from_str(&text).unwrap()
    }

    /// Who has issued the API server's certificate: PEM in base64, as kubeconfigs and EKS have it.
    pub(crate) fn certificate_authority(&self) -> String {
        let text = self.kubectl(&["config", "view", "--raw", "-o", "json"], None);
        let config: Value = serde_json::from_str(&text).unwrap();
        let cluster = &config["clusters"][0]["cluster"];
        let data = cluster["certificate-authority-data"].as_str();
        data.unwrap().to_owned()
    }

    /// Where the charts are, as helm's `--repo` takes it.
    pub(crate) fn charts_url(&self) -> String {
        self.world.proxy(System::Charts).unwrap().url()
    }

    /// Waits until the controller's webhook answers, as somebody does by hand: by trying again.
    pub(crate) fn webhook_serves(&self) {
        let probe = json!({
            "apiVersion": "actions.summerwind.dev/v1alpha1",
            "kind": "RunnerDeployment",
            "metadata": {"name": "probe", "namespace": "default"},
            "spec": {"template": {"spec": {"enterprise": "dogecompany"}}},
        });
        let arguments = ["create", "--dry-run=server", "-f", "-"];
        let tries = || self.try_tool("kubectl", &arguments, Some(&probe.to_string()));
        let end = Instant::now() + PATIENCE;
        while let Err(said) = tries() {
            assert!(Instant::now() < end, "{said}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Scales the controller; to 0, once its pods are gone.
    pub(crate) fn scale_controller(&self, replicas: u32) {
        let of = |words: &[&str]| {
            let namespace = ["-n", "actions-runner-system"];
            self.kubectl(&[&namespace, words].concat(), None)
        };
        let replicas_flag = format!("--replicas={replicas}");
        of(&[
            "scale",
            "deployment/actions-runner-controller",
            &replicas_flag,
        ]);
        if replicas == 0 {
            let label = "app.kubernetes.io/instance=actions-runner-controller";
            of(&["wait", "--for=delete", "--timeout=5m", "pods", "-l", label]);
        }
    }

    /// The requests that the proxy before the API server has counted as writes by a client.
    pub(crate) fn kubernetes_writes(&self) -> u64 {
        self.world
            .proxy(System::Kubernetes)
            .unwrap()
            .counts()
            .writes
    }
}

impl Ended {
    pub(crate) fn new(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The JSON document on stdout: exactly one.
    #[track_caller]
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("{error}\nstdout: {}\nstderr: {}", self.stdout, self.stderr)
        })
    }

    /// The document of a run that must have ended with `code`.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32) -> Value {
        assert_eq!(
            self.code, code,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self.document()
    }

    /// How it failed, for a snapshot: what a program sees of it, and what a person reads.
    #[track_caller]
    pub(crate) fn failure(&self) -> String {
        let document = self.document();
        let error = &document["error"];
        assert_eq!(error["code"], self.code, "{document:#}");
        let start = self.stderr.find("error: ").unwrap_or_else(|| {
            panic!("no error on stderr: {}", self.stderr);
        });
        let text = |value: &Value| value.as_str().unwrap_or("null").to_owned();
        settled(&format!(
            "exit: {}\noutcome: {}\nsystem: {}\nobject: {}\n\n{}",
            self.code,
            text(&document["outcome"]),
            text(&error["system"]),
            text(&error["object"]),
            &self.stderr[start..],
        ))
    }

    /// The steps that a plan would write, as `action id`, and the paths that differ below each.
    #[track_caller]
    pub(crate) fn planned(&self) -> String {
        let mut lines = Vec::new();
        for step in self.document()["steps"].as_array().unwrap() {
            if matches!(step["action"].as_str(), Some("keep" | "later")) {
                continue;
            }
            let word = |key: &str| step[key].as_str().unwrap().to_owned();
            lines.push(format!("{} {}", word("action"), word("id")));
            for difference in step["differences"].as_array().unwrap() {
                lines.push(format!(
                    "  {}: {} -> {}",
                    difference["path"].as_str().unwrap(),
                    difference["from"],
                    difference["to"]
                ));
            }
        }
        settled(&lines.join("\n"))
    }

    /// The ids of the steps that changed something, sorted.
    #[track_caller]
    pub(crate) fn changed(&self) -> Vec<String> {
        let document = self.document();
        let mut ids: Vec<String> = document["steps"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|step| step["outcome"] == "ok" && step["action"] != "keep")
            .map(|step| step["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    }
}

/// A weekly window of two days that begins in three.
pub(crate) fn distant_window() -> String {
    let today = jiff::Timestamp::now()
        .to_zoned_datetime(jiff::tz::TimeZone::get("Asia/Seoul").unwrap())
        .weekday();
    let name = |days: i64| match today.wrapping_add(days) {
        jiff::civil::Weekday::Monday => "Mon",
        jiff::civil::Weekday::Tuesday => "Tue",
        jiff::civil::Weekday::Wednesday => "Wed",
        jiff::civil::Weekday::Thursday => "Thu",
        jiff::civil::Weekday::Friday => "Fri",
        jiff::civil::Weekday::Saturday => "Sat",
        jiff::civil::Weekday::Sunday => "Sun",
    };
    let (from, to) = (name(3), name(5));
    format!("{{name: distant, from: {from} 00:00, to: {to} 00:00, min: 1}}")
}

/// Takes what differs from run to run out of a message: ports, names with random ends, durations, paths, ids.
pub(crate) fn settled(text: &str) -> String {
    let mut settled = text.to_owned();
    for (pattern, with) in [
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"\(Kubernetes 1\.\d+\)", "(Kubernetes 1.MINOR)"),
        (
            r"(basic|controller|manager|webhook|cainjector)(-[a-z0-9]{5,10})-[a-z0-9]{5}\b",
            "$1-HASH-ID",
        ),
        (r"\(request [^)]*\)", "(request ID)"),
        (
            r"([ `(])/[^ `]*/([A-Za-z0-9._-]+\.(yaml|tgz)\d*)",
            "${1}DIR/$2",
        ),
        (
            r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
            "TIME",
        ),
        // The days of the window that the profile has far from today.
        (
            r"from [A-Z][a-z]{2} 00:00 to [A-Z][a-z]{2} 00:00",
            "from DAY 00:00 to DAY 00:00",
        ),
    ] {
        settled = regex::Regex::new(pattern)
            .unwrap()
            .replace_all(&settled, with)
            .into_owned();
    }
    settled
}

//! Runs the shell command of a Job's container, really, on this machine, in place of a container. It has this machine's
//! network; on an isolated node it reaches none of the servers that its variables name. Where it names a path of a
//! volume, it gets the directory that has the volume's files.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::process::Command;

use super::status::containers;

/// How long a command may take; the deadline of its Job ends it before.
const LIMIT: Duration = Duration::from_mins(10);

/// The name of the API server in a cluster.
pub(super) const API_SERVER: &str = "https://kubernetes.default.svc";

/// Where the sandbox's servers are, and where nobody is.
const SERVERS: &str = "127.0.0.1";
const NOBODY: &str = "127.0.0.2";

/// How a container ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Ended {
    /// Its exit code.
    pub(super) code: i32,
    /// Its termination message.
    pub(super) message: String,
}

impl Ended {
    /// A container that SIGTERM has ended: 128 and the signal's number.
    pub(super) fn by_signal() -> Self {
        Self {
            code: 143,
            message: String::new(),
        }
    }
}

/// What stands for a container's world.
pub(super) struct World<'a> {
    /// The directory of the command.
    pub(super) directory: &'a Path,
    /// What the script names in the container, each with what it is here: paths and addresses.
    pub(super) names: Vec<(String, String)>,
    /// Whether the node reaches none of the sandbox's servers.
    pub(super) cut_off: bool,
}

impl World<'_> {
    /// A script with what its names are here; of names that begin alike the longest counts.
    fn placed(&self, script: &str) -> String {
        let (mut text, mut rest) = (String::new(), script);
        while let Some(next) = rest.chars().next() {
            let named = self.names.iter().filter(|(name, _)| {
                let name = name.as_str();
                !name.is_empty() && rest.starts_with(name)
            });
            if let Some((name, here)) = named.max_by_key(|(name, _)| name.len()) {
                text.push_str(here);
                rest = &rest[name.len()..];
            } else {
                text.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        text
    }
}

/// Ends all that a command has started, unless it has ended by itself.
struct Group(Option<u32>);

impl Group {
    /// Its first program has ended: nothing is to be killed.
    fn let_go(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // A group that is gone already needs no end.
            let _ended = std::process::Command::new("sh")
                .args(["-c", &format!("kill -9 -{id}")])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// The container whose command runs.
pub(super) fn container(pod: &Pod) -> Option<&Container> {
    let [container] = containers(pod) else {
        return None;
    };
    let command = container.command.as_deref().unwrap_or_default();
    let is_shell = matches!(command, [shell, flag, _] if is_shell(shell) && flag == "-c");
    is_shell.then_some(container)
}

fn is_shell(program: &str) -> bool {
    matches!(program, "/bin/bash" | "/bin/sh")
}

/// Whether the command of a container does nothing but end well: `true`, alone or in a shell.
pub(super) fn ends_at_once(container: &Container) -> bool {
    let words = container.command.iter().chain(&container.args).flatten();
    let words: Vec<&str> = words.map(|word| word.trim()).collect();
    let program = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    match words[..] {
        [word] => program(word) == "true",
        [shell, "-c", script] => {
            matches!(program(shell).as_str(), "sh" | "bash")
                && matches!(script, "true" | ":" | "exit 0")
        }
        _ => false,
    }
}

/// Runs it to its end. What is left of it when this is dropped is killed.
pub(super) async fn run(container: &Container, world: &World<'_>) -> Result<Ended> {
    let command = container.command.as_deref().unwrap_or_default();
    let [program, flag, script] = command else {
        return Ok(Ended::default());
    };
    let message = world.directory.join("termination-log");
    let path = container.termination_message_path.as_deref();
    let place = path.unwrap_or("/dev/termination-log");
    let mut shell = std::process::Command::new(program.trim_start_matches("/bin/"));
    shell
        .args([flag, &world.placed(script)])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TMPDIR", world.directory)
        .current_dir(world.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    for variable in container.env.iter().flatten() {
        let value = variable.value.clone().unwrap_or_default();
        match value.as_str() {
            value if value == place => shell.env(&variable.name, &message),
            value if world.cut_off => shell.env(&variable.name, value.replace(SERVERS, NOBODY)),
            value => shell.env(&variable.name, value),
        };
    }
    let mut shell = Command::from(shell);
    let mut child = shell.kill_on_drop(true).spawn()?;
    let mut group = Group(child.id());
    let code = if let Ok(status) = tokio::time::timeout(LIMIT, child.wait()).await {
        group.let_go();
        status?.code().unwrap_or(137)
    } else {
        137
    };
    Ok(Ended {
        code,
        message: tokio::fs::read_to_string(&message)
            .await
            .unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn pod(script: &str) -> Pod {
        from_value(json!({"spec": {"containers": [{
            "name": "c", "command": ["/bin/bash", "-c", script],
            "env": [{"name": "LOG", "value": "/dev/termination-log"}, {"name": "WHERE", "value": "http://127.0.0.1:1"}],
        }]}}))
        .unwrap()
    }

    async fn run_in(directory: &Path, pod: &Pod, cut_off: bool) -> Ended {
        let pair = |name: &str, here: &str| (name.to_owned(), here.to_owned());
        let world = World {
            directory,
            names: vec![pair("/etc/a", "short"), pair("/etc/a/b", "/etc/a/long")],
            cut_off,
        };
        run(container(pod).unwrap(), &world).await.unwrap()
    }

    #[tokio::test]
    async fn a_command_runs_and_leaves_its_message() {
        let directory = tempfile::tempdir().unwrap();
        let pod = pod(r#"echo "$WHERE" > "$LOG"; exit 3"#);
        let ended = run_in(directory.path(), &pod, false).await;
        assert_eq!(
            (ended.code, ended.message.as_str()),
            (3, "http://127.0.0.1:1\n")
        );
        let ended = run_in(directory.path(), &pod, true).await;
        assert_eq!(ended.message, "http://127.0.0.2:1\n");
    }

    #[tokio::test]
    async fn a_script_gets_what_its_names_are_here() {
        let directory = tempfile::tempdir().unwrap();
        let pod = pod(r#"echo /etc/a/b/c /etc/a/d > "$LOG""#);
        let ended = run_in(directory.path(), &pod, false).await;
        assert_eq!(ended.message, "/etc/a/long/c short/d\n");
    }

    #[tokio::test]
    async fn what_a_command_has_started_ends_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let pod = pod("(sleep 2; touch late) & wait");
        let running = run_in(directory.path(), &pod, false);
        let limit = Duration::from_millis(500);
        assert!(tokio::time::timeout(limit, running).await.is_err());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!directory.path().join("late").exists());
    }

    #[test]
    fn a_command_that_does_nothing_ends_at_once() {
        let ends = |command: Value, arguments: Value| {
            let container = json!({"name": "c", "command": command, "args": arguments});
            ends_at_once(&from_value(container).unwrap())
        };
        assert!(ends(json!(["/bin/true"]), json!(null)));
        assert!(ends(json!(["sh", "-c"]), json!(["exit 0"])));
        assert!(!ends(json!(null), json!(null)));
        assert!(!ends(json!(["sleep", "1"]), json!(null)));
        assert!(!ends(json!(["sh", "-c", "true; sleep 9"]), json!(null)));
    }

    #[test]
    fn a_command_that_is_no_shells_does_not_run() {
        let mut pod = pod("true");
        pod.spec.as_mut().unwrap().containers[0].command = Some(vec!["/startupapicheck".into()]);
        assert!(container(&pod).is_none());
    }
}

//! Runs the shell command of a Job's container, really, on this machine, in place of a container. It has this machine's
//! network; on an isolated node it reaches none of the sandbox's servers.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::process::Command;

use super::status::containers;

/// How long a command may take.
const LIMIT: Duration = Duration::from_mins(1);

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

/// The container whose command runs.
pub(super) fn container(pod: &Pod) -> Option<&Container> {
    let [container] = containers(pod) else {
        return None;
    };
    let command = container.command.as_deref().unwrap_or_default();
    let is_shell = matches!(command, [shell, flag, _] if shell == "/bin/bash" && flag == "-c");
    is_shell.then_some(container)
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

/// Runs it to its end.
pub(super) async fn run(container: &Container, cut_off: bool) -> Result<Ended> {
    let command = container.command.as_deref().unwrap_or_default();
    let directory = tempfile::tempdir()?;
    let message = directory.path().join("termination-log");
    let path = container.termination_message_path.as_deref();
    let place = path.unwrap_or("/dev/termination-log");
    let mut shell = Command::new("bash");
    shell
        .args(&command[1..])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TMPDIR", directory.path())
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    for variable in container.env.iter().flatten() {
        let value = variable.value.clone().unwrap_or_default();
        match value.as_str() {
            value if value == place => shell.env(&variable.name, &message),
            value if cut_off => shell.env(&variable.name, value.replace(SERVERS, NOBODY)),
            value => shell.env(&variable.name, value),
        };
    }
    let status = match tokio::time::timeout(LIMIT, shell.status()).await {
        Ok(status) => status?.code().unwrap_or(137),
        Err(_) => 137,
    };
    Ok(Ended {
        code: status,
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

    #[tokio::test]
    async fn a_command_runs_and_leaves_its_message() {
        let pod = pod(r#"echo "$WHERE" > "$LOG"; exit 3"#);
        let container = container(&pod).unwrap();
        let ended = run(container, false).await.unwrap();
        assert_eq!(
            (ended.code, ended.message.as_str()),
            (3, "http://127.0.0.1:1\n")
        );
        let ended = run(container, true).await.unwrap();
        assert_eq!(ended.message, "http://127.0.0.2:1\n");
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

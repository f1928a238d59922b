//! The child processes of the sandbox, in one process group that cannot outlive it.
//!
//! A small shell leads the group and reads a pipe whose other end only this process holds. When the pipe closes, by `stop`,
//! by drop or because this process was killed, the shell kills the whole group, including itself.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};
use rand::RngExt as _;

/// A group of programs that ends with the sandbox.
pub struct ProcessGroup {
    id: i32,
    logs: PathBuf,
    lifeline: Mutex<Option<ChildStdin>>,
    children: Mutex<Vec<(String, Child)>>,
}

impl ProcessGroup {
    /// Starts the group; its programs log to files in `logs`.
    pub fn new(logs: &Path) -> Result<Self> {
        std::fs::create_dir_all(logs)
            .with_context(|| format!("cannot make the directory `{}`", logs.display()))?;
        let mut leader = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -9 0"])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start `sh`, which ends the sandbox's programs")?;
        let lifeline = leader.stdin.take();
        Ok(Self {
            id: i32::try_from(leader.id())?,
            logs: logs.to_owned(),
            lifeline: Mutex::new(lifeline),
            children: Mutex::new(vec![("sh".to_owned(), leader)]),
        })
    }

    /// Starts a program of the group; it logs to `NAME.log`.
    pub fn spawn(&self, name: &str, command: &mut Command) -> Result<()> {
        let log = self.log(name);
        let file =
            File::create(&log).with_context(|| format!("cannot write `{}`", log.display()))?;
        let child = command
            .process_group(self.id)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start `{}`", command.get_program().display()))?;
        self.children()?.push((name.to_owned(), child));
        Ok(())
    }

    /// The log file of a program.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// An error once a program has ended, with the last line it logged.
    pub fn check(&self) -> Result<()> {
        for (name, child) in self.children()?.iter_mut() {
            if let Some(status) = child.try_wait()? {
                let log = self.log(name);
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                let last = text.lines().last().unwrap_or("nothing was logged");
                bail!(
                    "`{name}` ended with {status}: {last}: read `{}`",
                    log.display()
                );
            }
        }
        Ok(())
    }

    /// Kills every program of the group and waits for their ends.
    pub fn stop(&self) {
        if let Ok(mut lifeline) = self.lifeline.lock() {
            drop(lifeline.take());
        }
        if let Ok(mut children) = self.children.lock() {
            for (_, mut child) in children.drain(..) {
                // A child that cannot be waited for is gone already.
                let _ended = child.wait();
            }
        }
    }

    fn children(&self) -> Result<std::sync::MutexGuard<'_, Vec<(String, Child)>>> {
        self.children
            .lock()
            .ok()
            .context("a thread of the sandbox panicked: run it again")
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A free port on loopback, below the range that outgoing connections are given, so that it is
/// still free when the program that it is for binds it.
pub fn free_port() -> Result<u16> {
    let mut random = rand::rng();
    for _ in 0..200 {
        let port = random.random_range(20_000..32_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port on 127.0.0.1 between 20000 and 32000: end what listens there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_ends_is_reported_with_its_last_line() {
        let directory = tempfile::tempdir().unwrap();
        let group = ProcessGroup::new(directory.path()).unwrap();
        group
            .spawn(
                "broken",
                Command::new("sh").args(["-c", "echo no disk; exit 3"]),
            )
            .unwrap();
        let error = loop {
            if let Err(error) = group.check() {
                break error.to_string();
            }
            std::thread::yield_now();
        };
        assert!(
            error.contains("`broken`") && error.contains("no disk"),
            "{error}"
        );
    }

    #[test]
    fn stop_kills_children_and_grandchildren() {
        let directory = tempfile::tempdir().unwrap();
        let group = ProcessGroup::new(directory.path()).unwrap();
        let script = "sleep 600 & echo $!; wait";
        group
            .spawn("parent", Command::new("sh").args(["-c", script]))
            .unwrap();
        let pid = loop {
            let text = std::fs::read_to_string(group.log("parent")).unwrap();
            if text.ends_with('\n') {
                break text.trim().to_owned();
            }
            std::thread::yield_now();
        };
        let alive = || {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
        };
        assert!(alive());
        group.stop();
        // The grandchild has the same group; the kernel may need a moment to end it.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while alive() {
            assert!(
                std::time::Instant::now() < deadline,
                "process {pid} is still alive"
            );
            std::thread::yield_now();
        }
    }
}

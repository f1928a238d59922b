//! A run of arcctl in the background: to interrupt it, or to change something while it waits.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{harness::cluster::Ended, harness::waiting::PATIENCE};

/// How soon a run ends that a signal has stopped.
const SOON: Duration = Duration::from_secs(15);

/// A run that goes on.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    results: Receiver<String>,
    stdout: JoinHandle<String>,
}

impl Running {
    /// Starts `command`.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines() {
                // Nobody listens any more once the test has failed.
                let _ignored = sender.send(line.unwrap());
            }
        });
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, results) = channel();
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            for line in output.lines() {
                let line = line.unwrap();
                text.push_str(&line);
                text.push('\n');
                let _ignored = sender.send(line);
            }
            text
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
            results,
            stdout,
        }
    }

    /// Waits until a line on stderr contains `text`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line with `{text}`:\n{}", self.seen.join("\n"));
            };
            let found = line.contains(text);
            self.seen.push(line);
            if found {
                return;
            }
        }
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a line on stdout contains `text`.
    #[track_caller]
    pub(crate) fn wait_for_result(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.results.recv_timeout(left) {
                Ok(line) if line.contains(text) => return,
                Ok(_) => {}
                Err(error) => panic!("no line with `{text}` on stdout: {error}"),
            }
        }
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        self.signal("INT");
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let (signal, id) = (format!("-{name}"), self.id().to_string());
        let sent = Command::new("kill").args([signal, id]).status().unwrap();
        assert!(sent.success());
    }

    /// Whether it goes on.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Whether it has come to its end.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends a signal, and waits for the end: within seconds, where what the run waits for would take minutes.
    #[track_caller]
    pub(crate) fn end_on(self, signal: &str) -> Ended {
        self.signal(signal);
        let asked = Instant::now();
        let ended = self.end();
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        ended
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let status = self.child.wait().unwrap();
        let stdout = self.stdout.join().unwrap();
        self.seen.extend(self.lines.iter());
        Ended {
            code: status.code().unwrap_or(-1),
            stdout,
            stderr: self.seen.join("\n") + "\n",
        }
    }
}

//! arcctl at a terminal: `script` (util-linux) makes a pseudo-terminal, whose other end types and reads.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use crate::harness::{cluster::Ended, waiting::PATIENCE};

/// A program that runs at a terminal.
pub(crate) struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Receiver<Vec<u8>>,
    bytes: Vec<u8>,
    /// How much of the text was waited for already.
    read: usize,
    /// The keys that were pressed.
    pub(crate) keys: usize,
    began: Instant,
}

impl Terminal {
    /// Starts `command` at a terminal of so many columns, in its environment and directory.
    pub(crate) fn start(command: &Command, columns: u16) -> Self {
        let words = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        let quoted: Vec<String> = words
            .map(|it| format!("'{}'", it.to_str().unwrap().replace('\'', r"'\''")))
            .collect();
        let line = format!("stty cols {columns} rows 40; exec {}", quoted.join(" "));
        let set = command
            .get_envs()
            .filter_map(|(key, value)| Some((key, value?)));
        let mut child = Command::new("script")
            .args([
                "--quiet",
                "--flush",
                "--return",
                "--command",
                &line,
                "/dev/null",
            ])
            .env_clear()
            .envs(set)
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .current_dir(command.get_current_dir().unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let keyboard = child.stdin.take().unwrap();
        let mut display = child.stdout.take().unwrap();
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = display.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            keyboard,
            screen,
            bytes: Vec::new(),
            read: 0,
            keys: 0,
            began: Instant::now(),
        }
    }

    /// What the terminal has shown, without the sequences that move the cursor and set colors.
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes).replace('\r', "");
        let sequence = regex::Regex::new("\x1b\\[[0-9;?]*[A-Za-z]").unwrap();
        sequence.replace_all(&text, "").into_owned()
    }

    /// Waits until `text` is shown, after what was waited for before.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let shown = self.text();
            let new = shown.get(self.read..).unwrap_or_default();
            if let Some(at) = new.find(text) {
                self.read += at + text.len();
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            let Ok(more) = self.screen.recv_timeout(left) else {
                panic!("`{text}` is not shown after:\n{shown}");
            };
            self.bytes.extend(more);
        }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys += keys.chars().count();
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// How long it has been running.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits for the end; everything that was shown is in `stderr`.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        // `script` goes on while somebody may type.
        let status = self.child.wait().unwrap();
        drop(self.keyboard);
        while let Ok(more) = self.screen.recv_timeout(Duration::from_secs(2)) {
            self.bytes.extend(more);
        }
        let text = String::from_utf8_lossy(&self.bytes).replace('\r', "");
        Ended {
            code: status.code().unwrap_or(-1),
            stdout: String::new(),
            stderr: text,
        }
    }
}

//! A panic in a process that holds a token: it is reported like any error, nothing it leaves contains the token, and there
//! is no core dump.

use std::{
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Output, Stdio},
    sync::Mutex,
    time::Duration,
};

use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    canary::{CANARY, given_away, healthy_github, output, program, refusing_kubernetes, set_up},
    canned::Canned,
    *,
};

const ABORTED: i32 = 6;

/// How long arcctl may take to ask GitHub.
const PATIENCE: Duration = Duration::from_secs(20);

/// A run that has signed in to GitHub, and then panics as `fault` says.
async fn panicked(fault: &str, arguments: &[&str]) -> (Output, String) {
    let (kubernetes, github) = (refusing_kubernetes().await, healthy_github().await);
    let directory = tempfile::tempdir().unwrap();
    set_up(directory.path(), &github.url(), &kubernetes.url);
    let mut command = program(directory.path(), arguments);
    command.env("ARCCTL_FAULT", fault);
    let ended = output(command).await;
    assert!(github.requests() >= 4, "it has not signed in");
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    let all = format!("{}\n{}", text(&ended.stdout), text(&ended.stderr));
    assert_eq!(given_away(&all), None, "{fault}: {all}");
    assert_eq!(cores(directory.path()), Vec::<String>::new(), "{fault}");
    (ended, all)
}

/// The cores in a directory, whatever they are called.
fn cores(directory: &Path) -> Vec<String> {
    let files = std::fs::read_dir(directory).unwrap().flatten();
    let names = files.map(|it| it.file_name().to_string_lossy().into_owned());
    names.filter(|it| it.starts_with("core")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_told_as_an_error_without_its_values() {
    let (ended, _) = panicked("panic", &["up", "--yes", "-o", "json"]).await;
    let document: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(document["schema"], "arcctl.run/v1");
    assert_eq!(document["outcome"], "failed");
    assert_eq!(document["error"]["code"], 1);
    assert_eq!(document["error"]["system"], "local");
    let stderr = String::from_utf8(ended.stderr).unwrap();
    let told = &stderr[stderr.find("error: ").unwrap()..];
    let place = Regex::new(r"src/terminal/panic\.rs:\d+:\d+").unwrap();
    assert!(place.is_match(told), "{told}");
    let mut table = Table::default();
    table.row("a panic with a token in it", &place.replace(told, "PLACE"));

    let (ended, all) = panicked("words", &["plan"]).await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(all.contains("caused by: words of the program"), "{all}");
    assert_eq!(ended.stdout, b"");

    // In a task that nobody waits for, the run goes on to its own end.
    let (ended, all) = panicked("task", &["plan"]).await;
    assert!(all.contains("internal error in arcctl"), "{all}");
    assert_eq!(ended.status.code(), Some(4), "{all}");
    table.compare("own_fault");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_leaves_no_core() {
    let (ended, all) = panicked("abort", &["up", "--yes", "-o", "json"]).await;
    assert_eq!(ended.status.signal(), Some(ABORTED), "{all}");
    assert!(!ended.status.core_dumped());
    // What is looked for is something that can be there.
    let directory = tempfile::tempdir().unwrap();
    let aborting = r#"ulimit -c "$(ulimit -H -c)"; kill -ABRT $$"#;
    let control = shell(directory.path(), aborting);
    let [_, largest] = core_limit("self");
    if largest != "0" && !core_is_piped() {
        assert!(control.status.core_dumped());
        assert_ne!(cores(directory.path()), Vec::<String>::new());
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "another program is what arcctl is compared with"
)]
fn shell(directory: &Path, script: &str) -> Output {
    let mut command = std::process::Command::new("sh");
    let command = command.args(["-c", script]).current_dir(directory);
    command.output().unwrap()
}

/// How large a core a process may leave, and how large it may say that one may be.
fn core_limit(process: &str) -> [String; 2] {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = limits
        .lines()
        .find(|it| it.starts_with("Max core file size"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    [words[4].to_owned(), words[5].to_owned()]
}

/// Whether cores are handed to a program.
fn core_is_piped() -> bool {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    pattern.starts_with('|') || pattern.starts_with('/')
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_with_a_token_may_leave_no_core_whatever_ends_it() {
    let (sender, mut asked) = mpsc::unbounded_channel();
    // A GitHub that answers when this test ends.
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let ended = Mutex::new(ended);
    let github = Canned::start(move |_, head| {
        let _nobody_waits = sender.send(head.to_owned());
        let _no_answer = ended.lock().unwrap().recv_timeout(PATIENCE);
        String::new()
    })
    .await;
    let kubernetes = refusing_kubernetes().await;
    let directory = tempfile::tempdir().unwrap();
    set_up(directory.path(), &github.url, &kubernetes.url);
    let mut command = program(directory.path(), &["plan"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let request = tokio::time::timeout(PATIENCE, asked.recv()).await;
    assert!(
        request.unwrap().unwrap().contains(CANARY),
        "it has no token"
    );
    let [soft, hard] = core_limit(&child.id().to_string());
    assert!(soft == "0" && hard == "0", "{soft} {hard}");
    let sent = shell(directory.path(), &format!("kill -ABRT {}", child.id()));
    assert!(sent.status.success());
    let status = child.wait().unwrap();
    assert!(
        status.signal().is_some() && !status.core_dumped(),
        "{status}"
    );
    assert_eq!(cores(directory.path()), Vec::<String>::new());
    drop(end);
}

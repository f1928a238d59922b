//! A server of releases and of GitHub's comments, on loopback; simulated.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use serde_json::{Value, json};

use super::runner::TOKEN;

/// What the server has, and what it was asked.
#[derive(Default)]
pub(super) struct State {
    /// Files, by their paths.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// The comments of pull request 7, in order.
    pub(super) comments: Vec<Value>,
    /// The status with which every change is refused.
    pub(super) refuses: Option<u16>,
    /// The method and how many of its next requests to the API are answered with 502, as by GitHub where a server behind it is
    /// away.
    pub(super) away: (&'static str, usize),
    /// `METHOD PATH` of each request.
    pub(super) requests: Vec<String>,
}

/// A server; it answers until the process ends.
pub(super) struct Server {
    /// Its URL.
    pub(super) url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let own = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &own);
            }
        });
        Self { url, state }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The texts of the comments.
    pub(super) fn comments(&self) -> Vec<String> {
        let state = self.state();
        let text = |it: &Value| it["body"].as_str().unwrap().to_owned();
        state.comments.iter().map(text).collect()
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let header = |name: &str| {
        let mut pairs = head.iter().filter_map(|it| it.split_once(": "));
        let found = pairs.find(|it| it.0.eq_ignore_ascii_case(name));
        found.map(|it| it.1.to_owned())
    };
    let length = header("content-length").map_or(0, |it| it.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut words = head[0].split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let mut state = state.lock().unwrap();
    state.requests.push(format!("{method} {target}"));
    let signed_in = header("authorization") == Some(format!("Bearer {TOKEN}"));
    let (status, body) = match state.files.get(target) {
        Some(file) if method == "GET" => (200, file.clone()),
        _ if target.starts_with("/api/") && !signed_in => (401, b"{}".to_vec()),
        _ if target.starts_with("/api/") && state.away.1 > 0 && method == state.away.0 => {
            state.away.1 -= 1;
            (502, b"<html>Unicorn!</html>".to_vec())
        }
        _ => {
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let (status, answer) = api(&mut state, method, target, &body);
            (status, answer.to_string().into_bytes())
        }
    };
    drop(state);
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
}

/// The three routes of comments (docs.github.com/rest/issues/comments), for pull request 7 of `o/r`.
fn api(state: &mut State, method: &str, target: &str, body: &Value) -> (u16, Value) {
    const LIST: &str = "/api/repos/o/r/issues/7/comments";
    const ONE: &str = "/api/repos/o/r/issues/comments/";
    if !target.starts_with("/api/") {
        return (404, json!({"message": "Not Found"}));
    }
    if let (Some(status), "POST" | "PATCH") = (state.refuses, method) {
        return (
            status,
            json!({"message": "Resource not accessible by integration"}),
        );
    }
    if method == "GET"
        && let Some(query) = target.strip_prefix(LIST)
    {
        let page: usize = query
            .strip_prefix("?per_page=100&page=")
            .unwrap()
            .parse()
            .unwrap();
        let page = state.comments.iter().skip((page - 1) * 100).take(100);
        return (200, page.cloned().collect());
    }
    let text = body["body"].as_str().unwrap_or_default();
    // GitHub counts characters.
    if text.is_empty() || text.chars().count() > 65_536 {
        return (422, json!({"message": "Validation Failed"}));
    }
    if method == "POST" && target == LIST {
        let id = 1000 + state.comments.len();
        let made = comment(id, "Bot", "NONE", text);
        state.comments.push(made.clone());
        return (201, made);
    }
    if method == "PATCH"
        && let Some(id) = target.strip_prefix(ONE)
    {
        let id: usize = id.parse().unwrap();
        let mut all = state.comments.iter_mut();
        let found = all.find(|it| it["id"] == id).unwrap();
        found["body"] = text.into();
        return (200, found.clone());
    }
    (404, json!({"message": "Not Found"}))
}

/// A comment as GitHub describes it.
pub(super) fn comment(id: usize, kind: &str, association: &str, text: &str) -> Value {
    json!({
        "id": id, "body": text, "user": {"login": "x", "type": kind}, "author_association": association,
        "html_url": format!("https://github.example/o/r/pull/7#issuecomment-{id}"),
    })
}

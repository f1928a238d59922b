//! The probe's script, run by bash here as in a pod: its results for a role by Pod Identity. Loopback only.
#![expect(
    clippy::disallowed_methods,
    reason = "a test starts the program it is about, and waits for it"
)]
#![expect(
    clippy::unwrap_used,
    reason = "in a test a panic is how it fails; clippy.toml knows only functions marked as tests"
)]

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Command, Stdio},
    thread,
};

use arcctl::desired::pool::probe::{Answer, State, answers};

/// A made-up token, which must be sent and never said.
const TOKEN: &str = "eyJ-canary";

/// An agent that gives one answer; what it was sent as Authorization.
fn agent(status: &str, body: &str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("http://{}/v1/credentials", listener.local_addr().unwrap());
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let lines = lines.map_while(Result::ok).take_while(|it| !it.is_empty());
        let sent: Vec<String> = lines.collect();
        stream.write_all(answer.as_bytes()).unwrap();
        let mut found = sent.iter().filter_map(|it| it.split_once(": "));
        let value = found.find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        value.map_or_else(String::new, |it| it.1.to_owned())
    });
    (place, served)
}

/// What the script says of the role; nothing listens where GitHub should be.
fn said(variables: &[(&str, &str)]) -> Answer {
    let directory = tempfile::tempdir().unwrap();
    let message = directory.path().join("message");
    let status = Command::new("bash")
        .args(["-c", include_str!("../../templates/probe.sh")])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("TMPDIR", directory.path())
        .env("ANSWERS", &message)
        .envs([
            ("HOST", "127.0.0.1"),
            ("PORT", "1"),
            ("API", "http://127.0.0.1:1"),
        ])
        .env("ROLE_BY", "podIdentity")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let text = std::fs::read_to_string(&message).unwrap();
    assert!(!text.contains("canary"), "{text}");
    let found = answers(&text).into_iter().find(|it| it.step == "aws");
    found.unwrap_or_else(|| panic!("nothing of the role: {text}"))
}

#[test]
fn a_role_by_pod_identity_is_taken_on_or_it_is_said_why_not() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), TOKEN).unwrap();
    let file = token.path().to_str().unwrap();
    let asked = |place: &str, file: &str| {
        said(&[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", place),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file),
        ])
    };
    let none = said(&[]);
    assert_eq!(none.state, State::Bad);
    assert!(none.said.contains("no association"), "{none:?}");

    let lost = asked("http://127.0.0.1:1", "/nowhere/token");
    assert_eq!(
        (lost.state, lost.said.as_str()),
        (State::Bad, "/nowhere/token is not there")
    );

    let refused = asked("http://127.0.0.1:1/v1/credentials", file);
    assert_eq!(refused.state, State::Bad);
    assert!(refused.said.contains("Failed to connect"), "{refused:?}");

    let (place, served) = agent(
        "400 Bad Request",
        "{\"message\":\"[abc]: (AccessDeniedException) no association canary\"}",
    );
    let denied = asked(&place, file);
    assert_eq!(served.join().unwrap(), TOKEN);
    assert_eq!(denied.state, State::Bad);
    assert!(
        denied
            .said
            .ends_with("HTTP status 400: AccessDeniedException"),
        "{denied:?}"
    );

    let (place, served) = agent(
        "200 OK",
        "{\"AccessKeyId\":\"ASIA-canary\",\"SecretAccessKey\":\"canary\",\"Token\":\"canary\"}",
    );
    let good = asked(&place, file);
    assert_eq!(served.join().unwrap(), TOKEN);
    assert_eq!(good.state, State::Good, "{good:?}");
}

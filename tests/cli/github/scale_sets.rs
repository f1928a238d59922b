//! Runner scale sets: the way to the Actions service, and what it answers (reference: scale-sets.md 8).

use std::sync::{
    Arc,
    atomic::{AtomicU16, AtomicUsize, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    canned::{Canned, json},
    *,
};

const SET: &str = r#"{"id": 7, "name": "fast", "runnerGroupId": 3, "runnerGroupName": "team",
    "labels": [{"name": "fast", "type": "System"}], "statistics": {"totalIdleRunners": 2}}"#;

/// A token of the service, which ends in so many seconds.
fn issued(seconds: i64) -> String {
    let exp = jiff::Timestamp::now().as_second() + seconds;
    format!(
        "e30.{}.c2ln",
        URL_SAFE_NO_PAD.encode(format!(r#"{{"exp": {exp}}}"#))
    )
}

/// The request line and the credential of a request.
fn line_and_login(head: &str) -> (&str, &str) {
    let line = head.lines().next().unwrap();
    let login = head
        .lines()
        .find_map(|it| it.strip_prefix("authorization: "));
    (line.trim_end_matches(" HTTP/1.1"), login.unwrap_or(""))
}

/// An API whose service is itself, below `/tenant`; `service` answers its requests by the request line.
async fn api(
    lasts: i64,
    service: impl Fn(&str) -> String + Send + Sync + 'static,
) -> (Canned, GitHub) {
    provider();
    // The service is found by the address of the server, which is known once it listens.
    let address: Arc<std::sync::OnceLock<String>> = Arc::default();
    let known = Arc::clone(&address);
    let server = Canned::start(move |_, head| {
        let (line, login) = line_and_login(head);
        if line == "POST /api/v3/orgs/dogecompany/actions/runners/registration-token" {
            assert_eq!(login, "Bearer ghp_abcdefghijklmnop");
            return json(201, "", r#"{"token": "REGISTRATION", "expires_at": "x"}"#);
        }
        if line == "POST /api/v3/actions/runner-registration" {
            assert_eq!(login, "RemoteAuth REGISTRATION");
            let (url, token) = (known.get().unwrap(), issued(lasts));
            return json(
                200,
                "",
                &format!(r#"{{"url": "{url}/tenant/", "token": "{token}"}}"#),
            );
        }
        assert!(login.starts_with("Bearer e30."), "{login}");
        service(line)
    })
    .await;
    address.set(server.url.clone()).unwrap();
    let client = client(Server::of(Some(&server.url)), token("ghp_abcdefghijklmnop"));
    (server, client)
}

/// The requests to the service, as request lines.
fn asked(server: &Canned) -> Vec<String> {
    let lines = server.seen().into_iter();
    lines
        .map(|it| line_and_login(&it).0.to_owned())
        .filter(|it| it.contains("/tenant/"))
        .collect()
}

#[tokio::test]
async fn a_scale_set_is_found_by_group_and_name_and_read_by_id() {
    let (server, client) = api(3600, |line| {
        if line.contains("/runnergroups/?groupName=team%20a") {
            return json(
                200,
                "",
                r#"{"count": 1, "value": [{"id": 3, "name": "Team A"}]}"#,
            );
        }
        if line.contains("runnerscalesets/7") {
            return json(200, "", SET);
        }
        json(200, "", &format!(r#"{{"count": 1, "value": [{SET}]}}"#))
    })
    .await;
    let found = client
        .scale_set_named(ORGANIZATION, Some("team a"), "fast")
        .await;
    assert_eq!(found.unwrap().unwrap().id, 7);
    let read = client.scale_set(ORGANIZATION, 7).await.unwrap().unwrap();
    assert!(read.has_label("FAST"));
    assert_eq!(read.statistics.unwrap().total_idle_runners, 2);
    assert_eq!(client.scale_sets(ORGANIZATION).await.unwrap().len(), 1);
    let other = client.scale_set_named(ORGANIZATION, None, "other").await;
    assert!(other.unwrap().is_none());
    let version = "api-version=6.0-preview";
    assert_eq!(
        asked(&server),
        [
            format!("GET /tenant/_apis/runtime/runnergroups/?groupName=team%20a&{version}"),
            format!(
                "GET /tenant/_apis/runtime/runnerscalesets?runnerGroupId=3&name=fast&{version}"
            ),
            format!("GET /tenant/_apis/runtime/runnerscalesets/7?{version}"),
            format!("GET /tenant/_apis/runtime/runnerscalesets?{version}"),
            format!(
                "GET /tenant/_apis/runtime/runnerscalesets?runnerGroupId=1&name=other&{version}"
            ),
        ]
    );
    // The way to the service is asked for once, and all of it is reads.
    assert_eq!(server.seen().len(), 7);
    assert_eq!(client.requests.snapshot().writes, 0);
}

#[tokio::test]
async fn a_body_may_begin_with_a_byte_order_mark() {
    let (_server, client) = api(3600, |line| {
        let gone = r#"{"typeKey": "RunnerScaleSetNotFoundException", "message": "No scale set"}"#;
        let (status, body) = if line.contains("runnerscalesets/7") {
            (200, SET)
        } else {
            (404, gone)
        };
        json(status, "", &format!("\u{feff}{body}"))
    })
    .await;
    assert!(client.scale_set(ORGANIZATION, 7).await.unwrap().is_some());
    assert!(client.scale_set(ORGANIZATION, 8).await.unwrap().is_none());
    let error = client.scale_sets(ORGANIZATION).await.unwrap_err();
    assert!(error.causes[0].contains("No scale set"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_none_and_its_deletion_a_success() {
    let gone = r#"{"typeKey": "RunnerScaleSetNotFoundException", "message": "No scale set"}"#;
    let (server, client) = api(3600, move |_| json(404, "", gone)).await;
    assert!(client.scale_set(ORGANIZATION, 7).await.unwrap().is_none());
    let named = client.scale_set_named(ORGANIZATION, Some("team"), "fast");
    assert!(named.await.unwrap().is_none());
    client.remove_scale_set(ORGANIZATION, 7).await.unwrap();
    assert!(asked(&server)[2].starts_with("DELETE /tenant/_apis/runtime/runnerscalesets/7?"));
    assert_eq!(client.requests.snapshot().writes, 1);
    // A list is never absent.
    let error = client.scale_sets(ORGANIZATION).await.unwrap_err();
    assert!(error.causes[0].contains("No scale set"), "{error}");
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_after_a_401() {
    let (server, client) = api(59, |_| json(200, "", SET)).await;
    for _ in 0..2 {
        client.scale_set(ORGANIZATION, 7).await.unwrap();
    }
    assert_eq!(server.seen().len(), 6);

    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let (server, client) = api(3600, move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => json(401, "", r#"{"message": "expired"}"#),
        _ => json(200, "", SET),
    })
    .await;
    assert!(client.scale_set(ORGANIZATION, 7).await.unwrap().is_some());
    assert_eq!(server.seen().len(), 6);

    let (server, client) = api(3600, |_| json(401, "", r#"{"message": "never"}"#)).await;
    let error = client.scale_set(ORGANIZATION, 7).await.unwrap_err();
    assert_eq!((server.seen().len(), error.kind.exit_code()), (6, 4));
}

#[tokio::test]
async fn a_registration_token_that_is_not_known_yet_is_sent_again() {
    provider();
    let status = Arc::new(AtomicU16::new(403));
    let answered = Arc::clone(&status);
    let server = Canned::start(move |before, head| {
        let (line, _) = line_and_login(head);
        if line.ends_with("/registration-token") {
            return json(201, "", r#"{"token": "REGISTRATION"}"#);
        }
        // The second attempt is known, unless this server never knows it.
        let status = answered.load(Ordering::SeqCst);
        match before {
            2 if status == 403 => json(
                200,
                "",
                r#"{"url": "http://127.0.0.1:9/", "token": "t.e30.x"}"#,
            ),
            _ => json(status, "", r#"{"message": "REGISTRATION is not known"}"#),
        }
    })
    .await;
    let client = |url: &str| client(Server::of(Some(url)), token("ghp_abcdefghijklmnop"));
    // The service that it names does not listen: this is how far it came.
    let error = client(&server.url)
        .scale_sets(ORGANIZATION)
        .await
        .unwrap_err();
    assert!(error.message.contains("127.0.0.1:9"), "{error}");
    assert_eq!(
        server
            .seen()
            .iter()
            .filter(|it| it.contains("runner-registration"))
            .count(),
        2
    );

    status.store(401, Ordering::SeqCst);
    let error = client(&server.url)
        .scale_sets(ORGANIZATION)
        .await
        .unwrap_err();
    assert_eq!(error.kind.exit_code(), 4);
    // What was sent, and comes back, is not told.
    assert!(!all_of(&error).contains("REGISTRATION"), "{error}");
}

//! The list of runners: its pages, its number of requests, no retries of some, and the pauses that GitHub requests.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use arcctl_sandbox::github::{NewRunner, Owner, RateLimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    canned::{Canned, json},
    *,
};

fn add(github: &sandbox::GitHub, owner: &Owner, numbers: Range<usize>) {
    for number in numbers {
        let runner = NewRunner {
            name: format!("basic-{number}"),
            ..NewRunner::default()
        };
        github.add_runner(owner, runner).unwrap();
    }
}

async fn names(client: &GitHub, scope: Scope<'_>) -> BTreeSet<String> {
    let runners = client.runners(scope).await.unwrap();
    let names: BTreeSet<_> = runners.iter().map(|it| it.name.clone()).collect();
    assert_eq!(names.len(), runners.len(), "one is there twice");
    names
}

#[tokio::test]
async fn runners_come_by_hundreds() {
    for (mode, owner, scope) in [
        (
            enterprise_server(),
            Owner::enterprise("dogecompany"),
            ENTERPRISE,
        ),
        (
            Mode::Cloud,
            Owner::organization("dogecompany"),
            ORGANIZATION,
        ),
        (
            enterprise_server(),
            Owner::repository("dogecompany", "app"),
            REPOSITORY,
        ),
    ] {
        let github = stand_in(mode.clone()).await;
        add(&github, &owner, 0..250);
        let client = client(server(&github, &mode), token(github.token()));
        assert_eq!(names(&client, scope).await.len(), 250);
        assert_eq!(client.requests.snapshot().reads, 3);
        assert_eq!(github.violations(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_runner_is_found_by_its_name_also_where_the_server_ignores_names() {
    let mode = enterprise_server();
    let github = stand_in(mode.clone()).await;
    add(&github, &Owner::enterprise("dogecompany"), 0..250);
    let client = client(server(&github, &mode), token(github.token()));
    for (ignores, calls) in [(false, 3), (true, 1 + 2 * 4)] {
        if ignores {
            github.ignore_runner_names();
        }
        let before = github.requests();
        for (name, is_there) in [("basic-7", true), ("basic-249", true), ("basic-250", false)] {
            let found = client.runner_named(ENTERPRISE, name).await.unwrap();
            let expected = is_there.then(|| name.to_owned());
            assert_eq!(found.map(|it| it.name), expected, "ignored: {ignores}");
        }
        assert_eq!(github.requests() - before, calls);
    }
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn ten_thousand_runners_and_the_audit_are_within_the_budget() {
    let mode = Mode::Cloud;
    let github = stand_in(mode.clone()).await;
    let owner = Owner::organization("dogecompany");
    add(&github, &owner, 0..10_000);
    let client = client(server(&github, &mode), token(github.token()));
    client.audit(ORGANIZATION, Some("arc-admin")).await.unwrap();
    assert_eq!(names(&client, ORGANIZATION).await.len(), 10_000);
    assert_eq!(github.requests(), 103);
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again_and_does_not_count() {
    let mode = Mode::Cloud;
    let github = stand_in(mode.clone()).await;
    let owner = Owner::organization("dogecompany");
    add(&github, &owner, 0..250);
    let client = client(server(&github, &mode), token(github.token()));
    let before = names(&client, ORGANIZATION).await;
    let left = || async {
        let audit = client.audit(ORGANIZATION, Some("arc-admin")).await.unwrap();
        audit.remaining.unwrap()
    };
    github.set_rate_limit(Some(RateLimit::of(5000)));
    assert_eq!(names(&client, ORGANIZATION).await, before);
    assert_eq!(left().await, 5000, "what was not sent was counted");
    github.set_rate_limit(Some(RateLimit::of(5000)));
    add(&github, &owner, 250..251);
    assert_eq!(names(&client, ORGANIZATION).await.len(), 251);
    // The total is on every page.
    assert_eq!(left().await, 4997);
    assert_eq!(github.violations(), Vec::<String>::new());
}

/// A list of `total` runners as JSON, page by page.
fn page_of(head: &str, total: usize) -> String {
    let number = head.split("page=").nth(2).unwrap();
    let number: usize = number.split([' ', '&']).next().unwrap().parse().unwrap();
    let runners: Vec<_> = ((number - 1) * 100..total.min(number * 100))
        .map(|id| serde_json::json!({"id": id, "name": format!("r-{id}"), "status": "online", "busy": false}))
        .collect();
    serde_json::json!({"total_count": total, "runners": runners}).to_string()
}

#[tokio::test]
async fn a_pause_that_one_page_is_asked_for_is_one_for_all_and_a_long_one_ends_the_listing() {
    provider();
    let refused = Arc::new(Mutex::new(None));
    let when = Arc::clone(&refused);
    let early = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&early);
    let busy = Canned::start(move |before, head| {
        let mut refused = when.lock().unwrap();
        if before == 1 {
            *refused = Some(Instant::now());
            return json(403, "retry-after: 1\r\n", r#"{"message": "slow down"}"#);
        }
        if refused.is_some_and(|it: Instant| it.elapsed() < Duration::from_secs(1)) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        json(200, "", &page_of(head, 2000))
    })
    .await;
    let client = client(Server::of(Some(&busy.url)), token("ghp_abcdefghijklmnop"));
    assert_eq!(names(&client, ORGANIZATION).await.len(), 2000);
    assert_eq!(busy.seen().len(), 21);
    // Those that were on their way: five beside the one.
    let early = early.load(Ordering::Relaxed);
    assert!(early <= 5, "{early} came within the pause");

    let busier = Canned::start(|before, head| match before {
        0..3 => json(200, "", &page_of(head, 2000)),
        _ => json(429, "retry-after: 60\r\n", r#"{"message": "slow down"}"#),
    })
    .await;
    let client = super::client(Server::of(Some(&busier.url)), token("ghp_abcdefghijklmnop"));
    let error = client.runners(ORGANIZATION).await.unwrap_err();
    assert!(
        error.passing && error.to_string().contains("secondary"),
        "{error}"
    );
    assert!(busier.seen().len() <= 3 + 12, "{}", busier.seen().len());
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "a server that takes a moment, so that requests meet"
)]
async fn pages_are_asked_for_side_by_side_and_never_more_than_six() {
    provider();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (count, peak) = (Arc::clone(&now), Arc::clone(&most));
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (count, peak) = (Arc::clone(&count), Arc::clone(&peak));
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                peak.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                count.fetch_sub(1, Ordering::SeqCst);
                let head = String::from_utf8(head).unwrap();
                let answer = json(200, "", &page_of(&head, 3000));
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    let client = client(Server::of(Some(&url)), token("ghp_abcdefghijklmnop"));
    assert_eq!(names(&client, ORGANIZATION).await.len(), 3000);
    let peak = most.load(Ordering::SeqCst);
    assert!((3..=6).contains(&peak), "{peak} at a time");
    server.abort();
}

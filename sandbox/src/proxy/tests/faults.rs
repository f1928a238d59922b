//! Tests of each fault.

use std::io::ErrorKind;
use std::time::Instant;

use super::*;

fn fault(text: &str) -> Fault {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_status_is_answered_in_the_systems_own_words() {
    let other = Other::start(None).await;
    let proxy = other.behind(System::Kubernetes).await;
    let id = proxy.add_fault(fault("503@PATCH:/leases#2"));
    let url = format!("{}/apis/coordination.k8s.io/v1/leases/a", proxy.url());
    assert_eq!(send("PATCH", &url, &[], "{}").await.unwrap().status, 200);
    assert_eq!(send("GET", &url, &[], "").await.unwrap().status, 200);
    let answer = send("PATCH", &url, &[], "{}").await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["kind"]),
        (503, &"Status".into())
    );
    assert_eq!(answer.json()["reason"], "ServiceUnavailable");
    assert_eq!(send("PATCH", &url, &[], "{}").await.unwrap().status, 200);
    assert_eq!(other.seen(), 3);
    assert!(proxy.remove_fault(id) && !proxy.remove_fault(id));

    let github = other.behind(System::GitHub).await;
    github.add_fault(fault("401@POST:/registration-token"));
    let url = format!(
        "{}/api/v3/orgs/o/actions/runners/registration-token",
        github.url()
    );
    assert_eq!(
        send("POST", &url, &[], "").await.unwrap().message(),
        "Bad credentials"
    );

    let aws = other.behind(System::Aws).await;
    aws.add_fault(fault("403"));
    let form = (
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    );
    let answer = send("POST", &aws.url(), &[form], "Action=GetRole")
        .await
        .unwrap();
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(
        text.starts_with("<ErrorResponse>") && text.contains("AccessDenied"),
        "{text}"
    );
}

#[tokio::test]
async fn a_response_of_the_tests_own_has_its_body_and_headers() {
    let other = Other::start(None).await;
    let proxy = other.behind(System::GitHub).await;
    let headers = vec![("retry-after".to_owned(), "7".to_owned())];
    let body = Some("slow down".to_owned());
    proxy.add_fault(Fault::always(Effect::Respond {
        status: 429,
        body,
        headers,
    }));
    let answer = send("GET", &proxy.url(), &[], "").await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after")),
        (429, Some("7"))
    );
    assert_eq!(answer.body, "slow down");
    assert_eq!(other.seen(), 0);
}

#[tokio::test]
async fn a_reset_is_a_reset_before_or_after_the_other_side_acted() {
    let other = Other::start(None).await;
    let proxy = other.behind(System::Kubernetes).await;
    let request = "POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
    let before = proxy.add_fault(fault("reset"));
    let error = ended(&proxy, request).await.unwrap_err();
    assert_eq!(
        (error.kind(), other.seen()),
        (ErrorKind::ConnectionReset, 0)
    );
    assert!(proxy.remove_fault(before));
    proxy.add_fault(fault("reset-after@write#1"));
    let error = ended(&proxy, request).await.unwrap_err();
    assert_eq!(
        (error.kind(), other.seen()),
        (ErrorKind::ConnectionReset, 1)
    );
    assert_eq!(proxy.requests()[1].status, Some(200));
    let closing = request.replace("content-length", "connection: close\r\ncontent-length");
    assert!(
        ended(&proxy, &closing)
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn a_truncated_body_is_shorter_than_it_says() {
    let other = Other::start(None).await;
    let proxy = other.behind(System::GitHub).await;
    proxy.add_fault(fault("truncate=5"));
    let request = "GET /abcdef HTTP/1.1\r\nhost: x\r\n\r\n";
    let text = ended(&proxy, request).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-length: 16"), "{head}");
    assert_eq!(body, "GET /");
    let error = send("GET", &proxy.url(), &[], "").await.err().unwrap();
    assert_eq!(error.to_string(), "error reading a body from connection");
}

#[tokio::test]
async fn delays_and_slow_bodies_take_their_time() {
    let other = Other::start(None).await;
    let proxy = other.behind(System::GitHub).await;
    let body = "x".repeat(3000);
    let begun = Instant::now();
    let id = proxy.add_fault(fault("delay=150ms"));
    assert_eq!(
        send("POST", &proxy.url(), &[], &body).await.unwrap().status,
        200
    );
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert!(proxy.remove_fault(id));
    proxy.add_fault(fault("slow=60ms"));
    let begun = Instant::now();
    let answer = send("POST", &proxy.url(), &[], &body).await.unwrap();
    assert!(answer.body.ends_with(body.as_bytes()));
    assert!(
        begun.elapsed() >= Duration::from_millis(180),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_hang_is_neither_an_answer_nor_an_end() {
    let other = Other::start(None).await;
    let proxy = other.behind(System::GitHub).await;
    proxy.add_fault(fault("hang"));
    let url = proxy.url();
    let waiting = send("GET", &url, &[], "");
    let waited = tokio::time::timeout(Duration::from_millis(200), waiting).await;
    assert!(waited.is_err(), "it was answered");
    assert_eq!((other.seen(), proxy.requests()[0].status), (0, None));
}

#[tokio::test]
async fn what_a_fault_is_not_for_is_not_counted_either() {
    let other = Other::start(None).await;
    let proxy = other.behind(System::Kubernetes).await;
    let mut second = fault("503@write#2");
    second.matching.without = vec!["/leases/".into()];
    proxy.add_fault(second);
    for (path, status) in [("/a", 200), ("/leases/x", 200), ("/b?c", 503), ("/d", 200)] {
        let url = format!("{}{path}", proxy.url());
        let answer = send("PATCH", &url, &[], "{}").await.unwrap();
        assert_eq!(answer.status, status, "{path}");
    }
}

#[tokio::test]
async fn the_client_is_killed_at_its_nth_write() {
    for (text, reached) in [("kill@write#2", 1), ("kill-after@write#2", 2)] {
        let other = Other::start(None).await;
        let proxy = other.behind(System::Kubernetes).await;
        let (killed, mut was_killed) = mpsc::unbounded();
        proxy.on_kill(move || killed.unbounded_send(()).unwrap());
        proxy.add_fault(fault(text));
        let url = format!("{}/x", proxy.url());
        assert_eq!(
            send("PATCH", &format!("{url}?dryRun=All"), &[], "")
                .await
                .unwrap()
                .status,
            200
        );
        assert_eq!(send("PATCH", &url, &[], "").await.unwrap().status, 200);
        tokio::select! {
            _ = send("PATCH", &url, &[], "") => panic!("a killed client got an answer"),
            _ = futures::StreamExt::next(&mut was_killed) => {}
        }
        assert_eq!(other.seen(), reached + 1, "{text}: with the dry run");
    }
}

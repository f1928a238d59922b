//! Tests of forwarding and counting by a proxy.

mod faults;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::channel::mpsc;
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::certificates::Authority;
use crate::listen::{Body, BoxError, Unanswered, whole};
use crate::test_client::{open, send};

/// The other side of the tests: it counts what reaches it, and answers with what it got.
struct Other {
    server: Server,
    seen: Arc<AtomicU64>,
    pieces: mpsc::UnboundedSender<&'static str>,
}

impl Other {
    async fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let seen = Arc::new(AtomicU64::new(0));
        let (pieces, stream) = mpsc::unbounded();
        let stream = Arc::new(Mutex::new(Some(stream)));
        let counter = Arc::clone(&seen);
        let server = Server::start(0, tls, move |_| {
            let (seen, stream) = (Arc::clone(&counter), Arc::clone(&stream));
            move |request| {
                seen.fetch_add(1, Ordering::SeqCst);
                let stream = stream
                    .lock()
                    .unwrap()
                    .take_if(|_| request.uri().path() == "/watch");
                answer(request, stream)
            }
        });
        Self {
            server: server.await.unwrap(),
            seen,
            pieces,
        }
    }

    fn seen(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }

    async fn behind(&self, system: System) -> Proxy {
        let url = format!("http://{}", self.server.address());
        Proxy::start(&url, Options::plain(system)).await.unwrap()
    }
}

async fn answer(
    request: Request<Incoming>,
    stream: Option<mpsc::UnboundedReceiver<&'static str>>,
) -> Result<Response<Body>, Unanswered> {
    use futures::StreamExt as _;
    if let Some(stream) = stream {
        let frames = stream.map(|piece| Ok::<_, BoxError>(Frame::data(Bytes::from(piece))));
        let body = http_body_util::BodyExt::boxed(StreamBody::new(frames));
        return Ok(Response::new(body));
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .map_or("-", |value| value.to_str().unwrap())
            .to_owned()
    };
    let text = format!(
        "{} {} {} {} {}",
        parts.method,
        parts.uri,
        header("authorization"),
        header("host"),
        String::from_utf8_lossy(&body)
    );
    Ok(Response::new(whole(text)))
}

/// Sends a request by hand and returns how the connection ended.
async fn ended(proxy: &Proxy, request: &str) -> std::io::Result<String> {
    let address = proxy.url().strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_502() {
    let other = Other::start(None).await;
    let proxy = other.behind(System::GitHub).await;
    other.server.stop().await;
    let answer = send("GET", &proxy.url(), &[], "").await.unwrap();
    assert_eq!(answer.status, 502);
    assert_eq!(proxy.requests()[0].status, Some(502));
}

#[tokio::test]
async fn an_https_upstream_needs_its_authority() {
    let options = Options::plain(System::Kubernetes);
    let error = Proxy::start("https://127.0.0.1:1", options)
        .await
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("certificate authority"),
        "{error}"
    );
}

#[tokio::test]
async fn requests_pass_as_they_are_and_are_counted() {
    let other = Other::start(None).await;
    let proxy = other.behind(System::Kubernetes).await;
    let headers = [("authorization", "Bearer abc")];
    let url = format!("{}/api/v1/pods?limit=1", proxy.url());
    let answer = send("GET", &url, &headers, "").await.unwrap();
    let host = proxy.url().replace("http://", "");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert_eq!(text, format!("GET /api/v1/pods?limit=1 Bearer abc {host} "));
    let url = format!("{}/api/v1/pods", proxy.url());
    let answer = send("POST", &url, &[], "body").await.unwrap();
    assert!(answer.body.ends_with(b"body"));
    send("POST", &format!("{url}?dryRun=All"), &[], "x")
        .await
        .unwrap();
    let counts = proxy.counts();
    assert_eq!((counts.reads, counts.writes), (2, 1));
    assert_eq!(
        counts.methods,
        BTreeMap::from([("GET".into(), 1), ("POST".into(), 2)])
    );
    proxy.reset_counts();
    assert_eq!(proxy.counts(), Counts::default());
}

#[tokio::test]
async fn aws_actions_in_bodies_are_told_apart_and_still_arrive() {
    let other = Other::start(None).await;
    let proxy = other.behind(System::Aws).await;
    let form = "Action=DescribeSecurityGroups&Version=1";
    let answer = send("POST", &proxy.url(), &[], form).await.unwrap();
    assert!(answer.body.ends_with(form.as_bytes()));
    send("POST", &proxy.url(), &[], "Action=CreateRole")
        .await
        .unwrap();
    assert_eq!((proxy.counts().reads, proxy.counts().writes), (1, 1));
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let other = Other::start(None).await;
    let proxy = other.behind(System::GitHub).await;
    let request = "GET /one HTTP/1.1\r\nhost: x\r\n\r\nGET /two HTTP/1.1\r\nhost: x\r\n\
                   connection: close\r\n\r\n";
    let text = ended(&proxy, request).await.unwrap();
    assert!(
        text.contains("GET /one") && text.contains("GET /two"),
        "{text}"
    );
}

#[tokio::test]
async fn a_watch_streams() {
    let other = Other::start(None).await;
    let proxy = other.behind(System::Kubernetes).await;
    let url = format!("{}/watch", proxy.url());
    other.pieces.unbounded_send("first").unwrap();
    let mut body = open("GET", &url, &[], "").await.unwrap().into_body();
    let next = async |body: &mut Incoming| {
        let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await;
        frame
            .expect("nothing was streamed")
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap()
    };
    assert_eq!(next(&mut body).await, "first");
    // The second piece is made only after the first has arrived: nothing waits for the end.
    other.pieces.unbounded_send("second").unwrap();
    assert_eq!(next(&mut body).await, "second");
    drop(body);
    // The other side hears that nobody watches any more.
    let gone = async {
        while !other.pieces.is_closed() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone)
        .await
        .expect("the watch was left open");
}

#[tokio::test]
async fn tls_ends_at_the_proxy_and_begins_again_behind_it() {
    let authority = Authority::new("test").unwrap();
    let leaf = authority.server(&["127.0.0.1", "localhost"]).unwrap();
    let other = Other::start(Some(leaf.server_config().unwrap())).await;
    let options = Options {
        tls: Some(leaf.server_config().unwrap()),
        upstream_certificate_authority: Some(authority.certificate().to_owned()),
        ..Options::plain(System::Kubernetes)
    };
    let upstream = format!("https://{}", other.server.address());
    let first = Proxy::start(&upstream, options).await.unwrap();
    assert!(first.url().starts_with("https://127.0.0.1:"));
    // A plain proxy in front is the client that speaks TLS to the first.
    let options = Options {
        upstream_certificate_authority: Some(authority.certificate().to_owned()),
        ..Options::plain(System::Kubernetes)
    };
    let second = Proxy::start(&first.url(), options).await.unwrap();
    let headers = [("authorization", "Bearer t")];
    let answer = send("GET", &format!("{}/version", second.url()), &headers, "")
        .await
        .unwrap();
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.starts_with("GET /version Bearer t"), "{text}");
    // Another authority is not believed.
    let options = Options {
        upstream_certificate_authority: Some(Authority::new("x").unwrap().certificate().to_owned()),
        ..Options::plain(System::Kubernetes)
    };
    let wrong = Proxy::start(&first.url(), options).await.unwrap();
    assert_eq!(
        send("GET", &wrong.url(), &[], "").await.unwrap().status,
        502
    );
}

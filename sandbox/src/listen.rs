//! A small HTTP/1.1 server on loopback for the stand-ins and the proxies: it supports TLS, and it can reset a connection,
//! which common servers cannot.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use anyhow::Context as _;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// Any error; what a body may end with.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer, made here or passed through.
pub(crate) type Body = BoxBody<Bytes, BoxError>;

/// A body that is known as a whole.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed()
}

/// Why a request is not answered: the connection ends instead.
#[derive(Debug)]
pub(crate) struct Unanswered;

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sandbox closes this connection without an answer")
    }
}

impl std::error::Error for Unanswered {}

/// The client's connection, as a handler sees it.
#[derive(Clone, Default)]
pub(crate) struct Connection {
    reset: Arc<AtomicBool>,
}

impl Connection {
    /// Has the connection end with a TCP reset, not with an orderly close, once the handler gives up on it.
    pub(crate) fn reset(&self) -> Unanswered {
        self.reset.store(true, Ordering::SeqCst);
        Unanswered
    }
}

/// A running server. It and its connections end when this is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves on a free port of loopback, or on the one given. `connect` is called once per connection and returns
    /// what answers its requests, one after the other.
    pub(crate) async fn start<C, H, F>(
        port: u16,
        tls: Option<Arc<ServerConfig>>,
        connect: C,
    ) -> anyhow::Result<Self>
    where
        C: Fn(Connection) -> H + Send + 'static,
        H: Fn(Request<Incoming>) -> F + Send + 'static,
        F: Future<Output = Result<Response<Body>, Unanswered>> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("cannot listen on port {port} of loopback"))?;
        let address = listener.local_addr()?;
        let acceptor = tls.map(|config| TlsAcceptor::from(http1_only(&config)));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { continue };
                        let connection = Connection::default();
                        let handler = connect(connection.clone());
                        connections.spawn(serve(stream, connection, acceptor.clone(), handler));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it and waits until the port is free.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        // The only error is the cancellation just asked for.
        drop((&mut self.task).await);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request per connection at a time is what the proxies' faults are defined on, so HTTP/2 is not offered.
pub(crate) fn http1_only(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

async fn serve<H, F>(
    stream: TcpStream,
    connection: Connection,
    acceptor: Option<TlsAcceptor>,
    handler: H,
) where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Response<Body>, Unanswered>>,
{
    // A client that is slow to acknowledge would otherwise see small answers 40 ms late.
    drop(stream.set_nodelay(true));
    let stream = Resettable {
        stream,
        reset: connection.reset,
    };
    let service = service_fn(handler);
    // The client hears of every error here by its connection ending; there is nobody else to tell.
    match acceptor {
        None => drop(
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await,
        ),
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                let io = TokioIo::new(stream);
                drop(http1::Builder::new().serve_connection(io, service).await);
            }
        }
    }
}

/// A stream that is reset, not closed, when it is dropped with its flag set.
struct Resettable {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Resettable {
    fn drop(&mut self) {
        if self.reset.load(Ordering::SeqCst) {
            // It can only fail on a stream that is gone already.
            drop(self.stream.set_zero_linger());
        }
    }
}

impl AsyncRead for Resettable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Resettable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // An orderly close must not go out ahead of the reset.
        if self.reset.load(Ordering::SeqCst) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

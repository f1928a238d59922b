//! Connects a proxy to the system behind it: one connection for each of the client's.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use http::{Request, Response, Uri, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use crate::listen::Body;

/// Where a proxy forwards to.
pub(super) struct Upstream {
    authority: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A connection to it, made when first needed and made again when it has ended.
pub(super) struct Link {
    upstream: Arc<Upstream>,
    sender: Mutex<Option<SendRequest<Body>>>,
}

impl Upstream {
    /// Reads a URL; `authority` is the PEM of the certificate authority of an `https` one.
    pub(super) fn new(url: &str, certificate_authority: Option<&str>) -> anyhow::Result<Self> {
        let uri: Uri = url
            .parse()
            .with_context(|| format!("`{url}` is not a URL"))?;
        let host = uri
            .host()
            .with_context(|| format!("`{url}` names no host"))?
            .to_owned();
        let tls = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => {
                let name = ServerName::try_from(host.clone())?;
                Some((connector(certificate_authority)?, name))
            }
            _ => bail!("`{url}` is neither http nor https"),
        };
        let port = uri
            .port_u16()
            .unwrap_or(if tls.is_some() { 443 } else { 80 });
        Ok(Self {
            authority: format!("{host}:{port}"),
            tls,
        })
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Body>> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => start(stream).await,
            Some((connector, name)) => start(connector.connect(name.clone(), stream).await?).await,
        }
    }
}

impl Link {
    pub(super) fn new(upstream: Arc<Upstream>) -> Self {
        Self {
            upstream,
            sender: Mutex::new(None),
        }
    }

    /// Forwards a request.
    pub(super) async fn send(&self, request: Request<Body>) -> anyhow::Result<Response<Incoming>> {
        let mut request = stripped(request);
        let mut sender = self.sender.lock().await;
        if let Some(open) = sender.as_mut()
            && open.ready().await.is_ok()
        {
            match open.try_send_request(request).await {
                Ok(response) => return Ok(response),
                // The other side closed an idle connection just now: nothing was sent, so it can be sent again.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let fresh = sender.insert(self.upstream.connect().await?);
        Ok(fresh.send_request(request).await?)
    }
}

async fn start<S>(stream: S) -> anyhow::Result<SendRequest<Body>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends when the sender and the last body are dropped; errors reach the client through those.
    drop(tokio::spawn(connection));
    Ok(sender)
}

/// Takes off what is between two neighbours only.
fn stripped(mut request: Request<Body>) -> Request<Body> {
    for name in [
        header::CONNECTION,
        header::EXPECT,
        header::TE,
        header::TRANSFER_ENCODING,
    ] {
        request.headers_mut().remove(name);
    }
    request.headers_mut().remove("keep-alive");
    *request.version_mut() = Version::HTTP_11;
    request
}

fn connector(certificate_authority: Option<&str>) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let pem = certificate_authority.context("an https upstream needs a certificate authority")?;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

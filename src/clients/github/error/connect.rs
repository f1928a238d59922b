//! Classifies connection errors by their types: DNS, TCP, TLS certificate, timeout.

use std::{error::Error as StdError, io};

use rustls::CertificateError;

use super::issuer;
use crate::{
    clients::{
        cause::innermost,
        github::server::{Product, Server},
    },
    error::{Error, System},
};

/// The kinds of connection errors.
#[derive(Debug)]
enum Fault<'a> {
    /// Its certificate is not accepted.
    Certificate(&'a CertificateError),
    /// TLS failed in another way.
    Tls(&'a rustls::Error),
    /// Connection refused.
    Refused,
    /// Timeout.
    TimedOut,
    /// Something else.
    Other,
}

fn fault<'a>(error: &'a (dyn StdError + 'static), timed_out: bool) -> Fault<'a> {
    match find::<rustls::Error>(error) {
        Some(rustls::Error::InvalidCertificate(reason)) => return Fault::Certificate(reason),
        Some(other) => return Fault::Tls(other),
        None => {}
    }
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => Fault::Refused,
        Some(io::ErrorKind::TimedOut) => Fault::TimedOut,
        _ if timed_out => Fault::TimedOut,
        _ => Fault::Other,
    }
}

/// The first error of a type in the chain. An error inside an `io::Error` is not in its chain, so it is checked too.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|it| find::<T>(it)) {
            return Some(found);
        }
        current = error.source();
    }
    None
}

/// Whether a retry can succeed: not for an invalid certificate, and not after a timeout.
pub(crate) fn may_pass(error: &reqwest::Error) -> bool {
    !error.is_builder() && !error.is_timeout() && find::<rustls::Error>(error).is_none()
}

/// The error for a failed connection. `bundle`: the profile has a CA bundle.
pub(crate) async fn unreachable(error: &reqwest::Error, server: &Server, bundle: bool) -> Error {
    let api = &server.api;
    let cannot = |cause: String| {
        Error::failed(System::GitHub, format!("cannot reach GitHub at `{api}`"))
            .object(api)
            .cause(cause)
    };
    match fault(error, error.is_timeout()) {
        Fault::Certificate(reason) => {
            let issuer = presented_issuer(api).await;
            untrusted(reason, issuer.as_deref(), server, bundle).object(api)
        }
        Fault::Tls(tls) => cannot(tls.to_string())
            .hint("the TLS handshake failed: check github.url, and whether a proxy intercepts the connection"),
        Fault::Refused => cannot("the connection was refused".into())
            .hint(format!("check {} and that the server is up", place(server)))
            .passing(true),
        Fault::TimedOut => cannot("the connection timed out".into())
            .hint("allow connections from this machine to port 443 of the server (firewall, security group, VPN, proxy)")
            .passing(true),
        Fault::Other if !resolves(api).await => cannot("its name does not resolve on this machine".into())
            .hint(format!("check {}, and the DNS of this machine (private zone, VPN)", place(server)))
            .passing(true),
        Fault::Other => cannot(innermost(error))
            .hint(format!("check {} and the network to it (firewall, security group, VPN, proxy)", place(server)))
            .passing(true),
    }
}

const fn place(server: &Server) -> &'static str {
    match server.product {
        Product::Cloud => "the access to the internet",
        Product::EnterpriseServer => "github.url in the profile",
    }
}

/// The error for a certificate that is not accepted; `issuer` is the issuer in it.
fn untrusted(
    reason: &CertificateError,
    issuer: Option<&str>,
    server: &Server,
    bundle: bool,
) -> Error {
    let api = &server.api;
    let by = issuer.map_or_else(
        || "an authority that it does not name".to_owned(),
        |it| format!("`{it}`"),
    );
    let (message, hint) = match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            format!("the certificate of GitHub at `{api}` has expired (issued by {by})"),
            "the server's administrator must renew it; check this machine's clock as well".to_owned(),
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            format!("the certificate at `{api}` is not valid for this host name (issued by {by})"),
            format!("check {}: it must be the host name in the certificate", place(server)),
        ),
        _ if bundle => (
            format!("the certificate of GitHub at `{api}` is issued by {by}, which is not in github.caBundle"),
            "add that authority's certificate (PEM) to the file that github.caBundle names; arcctl, the controller and the runners use this file".to_owned(),
        ),
        _ => (
            format!("the certificate of GitHub at `{api}` is issued by {by}, which this machine does not trust"),
            "save that authority's certificate as PEM and name the file in the profile, `github.caBundle: {file: ca.pem}`; arcctl, the controller and the runners use this file".to_owned(),
        ),
    };
    Error::failed(System::GitHub, message).hint(hint)
}

/// Reads the issuer from a second connection without certificate checks. No token is sent, and the result is not trusted.
async fn presented_issuer(api: &str) -> Option<String> {
    let client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .tls_info(true)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_secs(5))
        .build()
        .ok()?;
    let answer = client.head(api).send().await.ok()?;
    let seen = answer.extensions().get::<reqwest::tls::TlsInfo>()?;
    issuer::issuer(seen.peer_certificate()?)
}

/// Whether this machine can resolve the host. With a proxy it may not need to; then DNS is not the
/// cause, and the first cause in the chain is shown.
async fn resolves(api: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(api) else {
        return true;
    };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return true;
    };
    tokio::net::lookup_host((host, port)).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_io_error_wraps_is_found() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::other(tls));
        assert!(matches!(
            fault(&wrapped, false),
            Fault::Certificate(CertificateError::UnknownIssuer)
        ));
    }

    #[test]
    fn a_refused_connection_and_a_timeout_are_told_apart() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(matches!(fault(&refused, false), Fault::Refused));
        let other = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(matches!(fault(&other, true), Fault::TimedOut));
        assert!(matches!(fault(&other, false), Fault::Other));
    }
}

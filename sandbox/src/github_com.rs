//! The way to github.com, for a program that is configured with no other server: the proxy of its environment, which leads
//! the hosts of github.com to the stand-in, by HTTPS with a certificate of the sandbox's own, and to nobody outside.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::certificates::Authority;
use crate::egress::connect;
use crate::listen::http1_only;

/// The host of the REST API.
pub(crate) const API: &str = "api.github.com";

/// The host of the Actions service, which the API names.
pub(crate) const SERVICE: &str = "pipelines.actions.githubusercontent.com";

/// The running proxy; it and its tunnels end when this is dropped.
pub(crate) struct GitHubCom {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl GitHubCom {
    /// Starts it on a free port of loopback; `github` is the address of the stand-in, which speaks plain HTTP.
    pub(crate) async fn start(authority: &Authority, github: &str) -> Result<Self> {
        let leaf = authority.server(&[API, SERVICE])?;
        // What is in the tunnel is passed on as it is, and the stand-in speaks HTTP/1.1.
        let config = leaf.server_config()?;
        let acceptor = TlsAcceptor::from(http1_only(&config));
        let github: SocketAddr = github
            .trim_start_matches("http://")
            .parse()
            .with_context(|| format!("`{github}` is no address of a stand-in"))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut tunnels = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { continue };
                        tunnels.spawn(tunnel(stream, acceptor.clone(), github));
                    }
                    Some(_) = tunnels.join_next() => {}
                }
            }
        });
        Ok(Self { address, task })
    }

    /// Its address, as a variable of the environment names it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for GitHubCom {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tunnel(mut stream: TcpStream, acceptor: TlsAcceptor, github: SocketAddr) -> Result<()> {
    stream.set_nodelay(true)?;
    let authority = connect::authority(&mut stream).await?;
    let host = authority.split(':').next().unwrap_or_default();
    if [API, SERVICE].contains(&host) {
        connect::accept(&mut stream).await?;
        let mut client = acceptor.accept(stream).await?;
        let mut server = TcpStream::connect(github).await?;
        server.set_nodelay(true)?;
        tokio::io::copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    match authority.parse::<SocketAddr>() {
        // Not every program leaves out this machine.
        Ok(address) if address.ip().is_loopback() => {
            let mut server = TcpStream::connect(address).await?;
            server.set_nodelay(true)?;
            connect::accept(&mut stream).await?;
            tokio::io::copy_bidirectional(&mut stream, &mut server).await?;
            Ok(())
        }
        _ => connect::refuse(&mut stream, "the sandbox reaches nobody outside").await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn nobody_outside_is_reached() {
        let authority = Authority::new("test").unwrap();
        let proxy = GitHubCom::start(&authority, "http://127.0.0.1:1")
            .await
            .unwrap();
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        let head = b"CONNECT registry.example:443 HTTP/1.1\r\nHost: registry.example:443\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 the sandbox"), "{answer}");
    }
}

//! HTTP CONNECT, as the API server sends it to a proxy on a Unix socket, and programs to the proxy of their environment.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// No honest head is longer.
const LONGEST: usize = 8 * 1024;

/// Where the API server wants to go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Target {
    pub(super) address: IpAddr,
    pub(super) port: u16,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

/// Reads a request that names an address.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Target> {
    target(&authority(stream).await?)
}

/// Reads a request up to the end of its head: the host and the port that it names. What follows it belongs to the tunnel.
pub(crate) async fn authority(stream: &mut (impl AsyncRead + Unpin)) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST {
            bail!("the head of a CONNECT request is longer than {LONGEST} bytes");
        }
        // Byte by byte, so that nothing behind the head is taken away from the tunnel.
        head.push(stream.read_u8().await?);
    }
    parse(&String::from_utf8_lossy(&head))
}

/// Agrees; the tunnel begins.
pub(crate) async fn accept(stream: &mut (impl AsyncWrite + Unpin)) -> Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await?;
    Ok(())
}

/// Agrees, and lets go with bytes unread, which the other side sees as a reset.
pub(super) async fn reset(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<()> {
    accept(stream).await?;
    stream.read_u8().await?;
    Ok(())
}

/// Refuses; the API server repeats the status line, so that `reason` reaches its caller.
pub(crate) async fn refuse(stream: &mut (impl AsyncWrite + Unpin), reason: &str) -> Result<()> {
    let answer = format!("HTTP/1.1 503 {reason}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    Ok(())
}

fn parse(head: &str) -> Result<String> {
    let line = head.lines().next().unwrap_or_default();
    let words: Vec<&str> = line.split(' ').collect();
    let ["CONNECT", authority, "HTTP/1.1"] = words[..] else {
        bail!("`{line}` is not a CONNECT request");
    };
    Ok(authority.to_owned())
}

fn target(authority: &str) -> Result<Target> {
    let Ok(address) = authority.parse::<SocketAddr>() else {
        bail!("`{authority}` is not an address and a port");
    };
    Ok(Target {
        address: address.ip(),
        port: address.port(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_requests_are_refused() {
        for head in [
            "",
            "GET / HTTP/1.1\r\n\r\n",
            "CONNECT 10.0.0.1 HTTP/1.1\r\n\r\n",
        ] {
            let read = parse(head).and_then(|it| target(&it));
            assert!(read.is_err(), "{head:?}");
        }
        let named = parse("CONNECT name:443 HTTP/1.1\r\n\r\n").unwrap();
        let error = target(&named).unwrap_err().to_string();
        assert_eq!(error, "`name:443` is not an address and a port");
    }

    #[tokio::test]
    async fn what_follows_the_head_stays_in_the_stream() {
        let mut stream: &[u8] = b"CONNECT 10.244.0.7:9443 HTTP/1.1\r\nHost: x\r\n\r\nhello";
        let target = read(&mut stream).await.unwrap();
        assert_eq!(target.to_string(), "10.244.0.7:9443");
        assert_eq!(stream, b"hello");
    }

    #[tokio::test]
    async fn an_endless_head_ends() {
        let error = read(&mut tokio::io::repeat(b'x'))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("longer than 8192 bytes"), "{error}");
    }

    #[tokio::test]
    async fn a_refusal_carries_its_reason_in_the_status_line() {
        let mut answer = Vec::new();
        refuse(
            &mut answer,
            "dial tcp 10.0.0.1:443: connect: connection refused",
        )
        .await
        .unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 dial tcp 10.0.0.1:443: connect: conn"));
    }
}

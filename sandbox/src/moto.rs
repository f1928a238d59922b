//! Starts moto, the AWS simulator, if it is installed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cloud::AccessKey;
use crate::processes::{ProcessGroup, free_port};
use crate::tools;

/// A Python program on a loaded machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// The region of the reference profile.
pub const REGION: &str = "ap-northeast-2";

/// A running moto; it ends with the process group it was started in.
pub struct Moto {
    address: SocketAddr,
}

impl Moto {
    /// Starts it without waiting for it; `None` where it is not installed.
    pub fn launch(processes: &ProcessGroup) -> Result<Option<Self>> {
        let Ok(program) = tools::find("moto_server") else {
            return Ok(None);
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let port = address.port().to_string();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port]);
        processes.spawn("moto", &mut command)?;
        Ok(Some(Self { address }))
    }

    /// Waits until it answers.
    pub async fn wait(&self, processes: &ProcessGroup) -> Result<()> {
        let started = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            if self.answers().await.unwrap_or(false) {
                return Ok(());
            }
            processes.check()?;
            if started.elapsed() > DEADLINE {
                let (seconds, log) = (DEADLINE.as_secs(), processes.log("moto"));
                bail!(
                    "`moto` does not answer after {seconds} s: read `{}`",
                    log.display()
                );
            }
        }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn answers(&self) -> Result<bool> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(b"GET /moto-api/ HTTP/1.0\r\n\r\n").await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        Ok(status.ends_with(b" 200"))
    }
}

/// What the AWS SDKs need to find the simulated AWS at `url`, with the access key `key`.
pub fn environment(url: &str, key: &AccessKey) -> BTreeMap<String, String> {
    [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", key.id.as_str()),
        ("AWS_SECRET_ACCESS_KEY", &key.secret),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        // Without it the SDKs ask a link-local address for a role.
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

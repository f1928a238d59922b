//! The sandbox's pod network, only for the API server's connections to admission webhooks.
//!
//! The API server sends `CONNECT ADDRESS:PORT` to a Unix socket. The address is an endpoint (a pod's) or a Service's
//! cluster IP; either is resolved to its Service, and the stand-in registered for that Service responds. Without one, as
//! with a pod whose server does not listen yet: `connection refused`.

pub(crate) mod connect;
mod resolve;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use anyhow::{Context as _, Result, bail};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What goes wrong on the way to a Service, on request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EgressFault {
    /// Packets vanish, as behind a closed security group: the caller runs into its timeout.
    Hang,
    /// Nothing listens.
    Refuse,
    /// The connection is made and reset at the first byte.
    Reset,
}

impl EgressFault {
    /// Reads `hang=NAMESPACE/SERVICE`, `refuse=…` or `reset=…`: where, and what.
    pub fn parse(text: &str) -> Result<(String, String, Self)> {
        let parts = text
            .split_once('=')
            .and_then(|(fault, at)| Some((fault, at.split_once('/')?)));
        let fault = match parts {
            Some(("hang", _)) => Self::Hang,
            Some(("refuse", _)) => Self::Refuse,
            Some(("reset", _)) => Self::Reset,
            _ => bail!(
                "`{text}` is not a fault of the way to webhooks: write `hang=NAMESPACE/SERVICE`, \
                 `refuse=NAMESPACE/SERVICE` or `reset=NAMESPACE/SERVICE`"
            ),
        };
        let (namespace, service) = parts.map(|(_, at)| at).unwrap_or_default();
        Ok((namespace.to_owned(), service.to_owned(), fault))
    }
}

/// The registry of the stand-ins that serve Services, and the proxy that leads to them. Clones
/// share one registry.
#[derive(Clone)]
pub struct Egress {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    client: OnceLock<kube::Client>,
    socket: PathBuf,
    routes: Mutex<HashMap<Service, SocketAddr>>,
    faults: Mutex<HashMap<Service, EgressFault>>,
    server: Mutex<Option<JoinHandle<()>>>,
    /// Rings whenever a route or a fault changes, so that open tunnels look again.
    changes: watch::Sender<()>,
}

/// A Service by namespace and name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Service {
    namespace: String,
    name: String,
}

impl Service {
    fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl Egress {
    /// Listens on the Unix socket `socket`; until [`Egress::attach`], every target is refused.
    pub fn bind(socket: &Path) -> Result<Self> {
        let listener = UnixListener::bind(socket)
            .with_context(|| format!("cannot listen on `{}`", socket.display()))?;
        let shared = Arc::new(Shared {
            socket: socket.to_owned(),
            ..Shared::default()
        });
        let server = tokio::spawn(serve(listener, shared.clone()));
        if let Ok(mut slot) = shared.server.lock() {
            *slot = Some(server);
        }
        Ok(Self { shared })
    }

    /// Gives the proxy the client with which it finds the Service behind an address.
    pub fn attach(&self, client: kube::Client) {
        // A second client of the same cluster would answer the same; the first one stays.
        let _kept = self.shared.client.set(client);
    }

    /// The Unix socket that the API server dials.
    pub fn socket(&self) -> &Path {
        &self.shared.socket
    }

    /// Lets the server at `address` answer for a Service.
    pub fn register(&self, namespace: &str, service: &str, address: SocketAddr) {
        if let Ok(mut routes) = self.shared.routes.lock() {
            routes.insert(Service::new(namespace, service), address);
        }
        self.shared.changes.send_replace(());
    }

    /// Nothing answers for a Service any more: open connections to it end, new ones are refused.
    pub fn unregister(&self, namespace: &str, service: &str) {
        if let Ok(mut routes) = self.shared.routes.lock() {
            routes.remove(&Service::new(namespace, service));
        }
        self.shared.changes.send_replace(());
    }

    /// Makes connections to a Service fail, or, with `None`, work again.
    pub fn set_fault(&self, namespace: &str, service: &str, fault: Option<EgressFault>) {
        if let Ok(mut faults) = self.shared.faults.lock() {
            let service = Service::new(namespace, service);
            match fault {
                Some(fault) => faults.insert(service, fault),
                None => faults.remove(&service),
            };
        }
        self.shared.changes.send_replace(());
    }

    /// Stops listening.
    pub fn stop(&self) {
        if let Ok(mut server) = self.shared.server.lock()
            && let Some(server) = server.take()
        {
            server.abort();
        }
    }
}

impl Shared {
    fn route(&self, service: &Service) -> Option<SocketAddr> {
        self.routes.lock().ok()?.get(service).copied()
    }

    fn fault(&self, service: &Service) -> Option<EgressFault> {
        self.faults.lock().ok()?.get(service).copied()
    }
}

async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            // The API server reports what it could not reach; there is nobody else to tell.
            let _closed = tunnel(stream, &shared).await;
        });
    }
}

async fn tunnel(mut stream: UnixStream, shared: &Shared) -> Result<()> {
    let target = connect::read(&mut stream).await?;
    let service = match shared.client.get() {
        Some(client) => resolve::service(client, &target).await?,
        None => None,
    };
    let refused = format!("dial tcp {target}: connect: connection refused");
    let Some(service) = service else {
        return connect::refuse(&mut stream, &refused).await;
    };
    match shared.fault(&service) {
        Some(EgressFault::Hang) => return std::future::pending().await,
        Some(EgressFault::Refuse) => return connect::refuse(&mut stream, &refused).await,
        Some(EgressFault::Reset) => return connect::reset(&mut stream).await,
        None => {}
    }
    let Some(address) = shared.route(&service) else {
        return connect::refuse(&mut stream, &refused).await;
    };
    let mut changes = shared.changes.subscribe();
    let Ok(mut upstream) = TcpStream::connect(address).await else {
        return connect::refuse(&mut stream, &refused).await;
    };
    connect::accept(&mut stream).await?;
    let stands = |()| shared.route(&service) == Some(address) && shared.fault(&service).is_none();
    tokio::select! {
        copied = tokio::io::copy_bidirectional(&mut stream, &mut upstream) => { copied?; }
        _ended = changes.wait_for(|&now| !stands(now)) => {}
    }
    Ok(())
}

//! A reverse proxy in front of a remote system: it counts the client's requests, and injects faults. It uses HTTP/1.1 on
//! both sides, streams bodies both ways, and forwards credentials unchanged.

mod classify;
mod fault;
mod forward;
mod refusal;
mod specification;
mod upstream;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::request;
use rustls::ServerConfig;

pub use self::classify::{Kind, System};
pub use self::fault::{Effect, Fault, Matching, MethodMatch, Nth};
pub use self::specification::{CertificateFault, FaultSpecification};
use self::upstream::{Link, Upstream};
use crate::cloud::cluster::Supplement;
use crate::listen::Server;

/// How a proxy is set up.
pub struct Options {
    /// What it stands in front of.
    pub system: System,
    /// With which certificate it speaks HTTPS to its clients; plain HTTP without.
    pub tls: Option<Arc<ServerConfig>>,
    /// The certificate authority of an `https` upstream, as PEM.
    pub upstream_certificate_authority: Option<String>,
    /// What the system does not know of a cluster, put into its answers.
    pub supplement: Option<Arc<Supplement>>,
}

impl Options {
    /// Plain HTTP on both sides.
    pub fn plain(system: System) -> Self {
        Self {
            system,
            tls: None,
            upstream_certificate_authority: None,
            supplement: None,
        }
    }
}

/// How many requests came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that change nothing that lasts; dry runs are among them.
    pub reads: u64,
    /// Those that change something.
    pub writes: u64,
    /// All of them, by method.
    pub methods: BTreeMap<String, u64>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Record {
    /// Whether it changes anything.
    pub kind: Kind,
    /// Its method.
    pub method: String,
    /// Its path with its query.
    pub path: String,
    /// The status it was answered with; `None` while it is not, or if it never was.
    pub status: Option<u16>,
    /// How many bytes of the answer's body were passed on, as they are on the wire.
    pub bytes: usize,
}

/// Names a fault, to take it away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultId(u64);

/// A running proxy; it ends when this is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    server: Server,
    scheme: &'static str,
}

/// Called when a fault kills the client.
type Hook = Box<dyn Fn() + Send + Sync>;

struct Shared {
    system: System,
    state: Mutex<State>,
    on_kill: Mutex<Option<Hook>>,
    supplement: Option<Arc<Supplement>>,
}

#[derive(Default)]
struct State {
    records: Vec<Record>,
    faults: Vec<Active>,
    last_id: u64,
}

struct Active {
    id: FaultId,
    fault: Fault,
    seen: u64,
}

impl Proxy {
    /// Starts a proxy on a free port of loopback; `upstream` is the other side's URL, without a path.
    pub async fn start(upstream: &str, options: Options) -> anyhow::Result<Self> {
        let authority = options.upstream_certificate_authority.as_deref();
        let upstream = Arc::new(Upstream::new(upstream, authority)?);
        let shared = Arc::new(Shared {
            system: options.system,
            state: Mutex::default(),
            on_kill: Mutex::default(),
            supplement: options.supplement,
        });
        let scheme = if options.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let for_connections = Arc::clone(&shared);
        let server = Server::start(0, options.tls, move |connection| {
            let shared = Arc::clone(&for_connections);
            let link = Arc::new(Link::new(Arc::clone(&upstream)));
            move |request| {
                let (shared, link) = (Arc::clone(&shared), Arc::clone(&link));
                forward::handle(shared, link, connection.clone(), request)
            }
        })
        .await?;
        Ok(Self {
            shared,
            server,
            scheme,
        })
    }

    /// Its address: what the client is given in place of the upstream's.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.server.address())
    }

    /// How many requests came since the start or since [`Proxy::reset_counts`].
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for record in &self.shared.state().records {
            match record.kind {
                Kind::Read => counts.reads += 1,
                Kind::Write => counts.writes += 1,
            }
            *counts.methods.entry(record.method.clone()).or_default() += 1;
        }
        counts
    }

    /// The requests that came, in order.
    pub fn requests(&self) -> Vec<Record> {
        self.shared.state().records.clone()
    }

    /// Forgets the requests that came; faults keep their counts.
    pub fn reset_counts(&self) {
        self.shared.state().records.clear();
    }

    /// Adds a fault. Of several that apply to a request, the first added happens; all of them count it.
    pub fn add_fault(&self, fault: Fault) -> FaultId {
        let mut state = self.shared.state();
        state.last_id += 1;
        let id = FaultId(state.last_id);
        state.faults.push(Active { id, fault, seen: 0 });
        id
    }

    /// Takes a fault away; false if it is not there.
    pub fn remove_fault(&self, id: FaultId) -> bool {
        let mut state = self.shared.state();
        let before = state.faults.len();
        state.faults.retain(|active| active.id != id);
        state.faults.len() < before
    }

    /// Says what kills the client, for the faults [`Effect::Kill`] and [`Effect::KillAfter`].
    pub fn on_kill(&self, hook: impl Fn() + Send + Sync + 'static) {
        let mut slot = self
            .shared
            .on_kill
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Box::new(hook));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, and says what is to happen to it.
    fn arrived(
        &self,
        kind: Kind,
        request: &request::Parts,
        action: Option<&str>,
    ) -> (usize, Option<Effect>) {
        let path = request
            .uri
            .path_and_query()
            .map_or("", |path| path.as_str());
        let named = action.map(|action| format!("{path}?Action={action}&"));
        let path = named.as_deref().unwrap_or(path);
        let method = request.method.as_str();
        let mut state = self.state();
        let mut effect = None;
        for active in &mut state.faults {
            if active.fault.matching.matches(kind, method, path) {
                active.seen += 1;
                if effect.is_none() && active.fault.nth.includes(active.seen) {
                    effect = Some(active.fault.effect.clone());
                }
            }
        }
        let (method, path) = (method.to_owned(), path.to_owned());
        state.records.push(Record {
            kind,
            method,
            path,
            status: None,
            bytes: 0,
        });
        (state.records.len() - 1, effect)
    }

    fn answered(&self, index: usize, status: u16) {
        // The record is gone when the counts were reset in between.
        if let Some(record) = self.state().records.get_mut(index) {
            record.status = Some(status);
        }
    }

    fn passed(&self, index: usize, bytes: usize) {
        if let Some(record) = self.state().records.get_mut(index) {
            record.bytes += bytes;
        }
    }

    fn kill(&self) {
        if let Some(hook) = &*self.on_kill.lock().unwrap_or_else(PoisonError::into_inner) {
            hook();
        }
    }
}

#[cfg(test)]
mod tests;

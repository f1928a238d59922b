//! A helm repository over HTTP that serves the stand-in charts of `sandbox/charts`, packaged in memory.
//! `sandbox/charts/README.md` describes how a package is built from a directory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context as _, anyhow};
use arcctl_facts::Table;
use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::{Bytes, Incoming};
use sha2::{Digest as _, Sha256};

use crate::listen::{Body, Server, Unanswered, whole};

/// A chart that is served, in one version.
struct Chart {
    name: &'static str,
    version: &'static str,
    app_version: &'static str,
    /// What is known of its custom resources, and the directory of the package that their definitions go to.
    crds: Option<Definitions>,
}

/// Where the facts of definitions are, and the directory that they go to.
type Definitions = (fn() -> &'static Table, &'static str);

impl Chart {
    /// One of the two charts of runner scale sets: chart, app and image have one version, and only the controller's has
    /// CRDs. Those of 0.14.2 stand for the others'.
    const fn of_scale_sets(name: &'static str, version: &'static str) -> Self {
        let is_controller = name.len() == SCALE_SET_CONTROLLER.len();
        let crds: Definitions = (arcctl_facts::gha_runner_scale_set_0_14_2, "crds");
        Self {
            name,
            version,
            app_version: version,
            crds: if is_controller { Some(crds) } else { None },
        }
    }
}

/// Another version of cert-manager's chart: the CRDs of v1.21.1 stand for all.
const fn cert_manager(version: &'static str) -> Chart {
    Chart {
        name: "cert-manager",
        version,
        app_version: version,
        crds: Some((arcctl_facts::cert_manager_1_21_1, "files/crds")),
    }
}

const SCALE_SET: &str = "gha-runner-scale-set";
const SCALE_SET_CONTROLLER: &str = "gha-runner-scale-set-controller";

const CHARTS: [Chart; 20] = [
    Chart {
        name: "actions-runner-controller",
        version: "0.23.7",
        app_version: "0.27.6",
        crds: Some((arcctl_facts::actions_runner_controller_0_23_7, "crds")),
    },
    Chart {
        name: "actions-runner-controller",
        version: "0.23.3",
        app_version: "0.27.4",
        crds: Some((arcctl_facts::actions_runner_controller_0_23_3, "crds")),
    },
    cert_manager("v1.21.1"),
    cert_manager("v1.20.4"),
    cert_manager("v1.19.6"),
    cert_manager("v1.18.6"),
    cert_manager("v1.17.4"),
    cert_manager("v1.16.5"),
    cert_manager("v1.15.5"),
    cert_manager("v1.14.7"),
    cert_manager("v1.13.6"),
    cert_manager("v1.12.0"),
    Chart::of_scale_sets(SCALE_SET, "0.15.1"),
    Chart::of_scale_sets(SCALE_SET, "0.14.2"),
    Chart::of_scale_sets(SCALE_SET, "0.14.1"),
    Chart::of_scale_sets(SCALE_SET, "0.13.1"),
    Chart::of_scale_sets(SCALE_SET_CONTROLLER, "0.15.1"),
    Chart::of_scale_sets(SCALE_SET_CONTROLLER, "0.14.2"),
    Chart::of_scale_sets(SCALE_SET_CONTROLLER, "0.14.1"),
    Chart::of_scale_sets(SCALE_SET_CONTROLLER, "0.13.1"),
];

/// Everything the repository serves, by file name.
type Files = BTreeMap<String, Bytes>;

/// A running repository; it ends when this is dropped.
pub struct ChartRepository {
    server: Option<Server>,
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    files: &'static Files,
    requests: AtomicU64,
    /// The status every request is refused with; 0 is none.
    refusal: AtomicU16,
    /// The status that requests for a provenance are refused with; 0 is none.
    provenance_refusal: AtomicU16,
    /// What is served in the place of the files of the same names, and beside them.
    changed: Mutex<Files>,
}

impl Shared {
    fn changed(&self) -> MutexGuard<'_, Files> {
        // A poisoned lock only means that another task panicked; the value is still whole.
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file, as it is served now.
    fn file(&self, name: &str) -> Option<Bytes> {
        let changed = self.changed().get(name).cloned();
        changed.or_else(|| self.files.get(name).cloned())
    }
}

impl ChartRepository {
    /// Starts a repository on a free port of loopback.
    pub async fn start() -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            files: files()?,
            requests: AtomicU64::new(0),
            refusal: AtomicU16::new(0),
            provenance_refusal: AtomicU16::new(0),
            changed: Mutex::default(),
        });
        let server = listen(0, &shared).await?;
        let port = server.address().port();
        Ok(Self {
            server: Some(server),
            port,
            shared,
        })
    }

    /// Its address, as `helm --repo` takes it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many requests it had.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Stops listening: connections are refused until [`ChartRepository::up`].
    pub async fn down(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Listens again, on the same port.
    pub async fn up(&mut self) -> anyhow::Result<()> {
        if self.server.is_none() {
            self.server = Some(listen(self.port, &self.shared).await?);
        }
        Ok(())
    }

    /// Publishes a version of a chart again, in an archive with other bytes; the index has its new digest.
    pub fn republish(&self, name: &str, version: &str) -> anyhow::Result<()> {
        let file = format!("{name}-{version}.tgz");
        let old = self.shared.file(&file).context("there is no such chart")?;
        let mut content = Vec::new();
        GzDecoder::new(&old[..]).read_to_end(&mut content)?;
        let mut archive = GzBuilder::new()
            .mtime(1)
            .write(Vec::new(), Compression::fast());
        archive.write_all(&content)?;
        let new = archive.finish()?;
        let index = self
            .shared
            .file("index.yaml")
            .context("there is no index")?;
        let index = std::str::from_utf8(&index)?;
        let (from, to) = (hex(&Sha256::digest(&old)), hex(&Sha256::digest(&new)));
        let index = index.replace(&from, &to);
        let mut changed = self.shared.changed();
        changed.insert("index.yaml".to_owned(), index.into());
        changed.insert(file, new.into());
        Ok(())
    }

    /// The archive of a version of a chart, as it is served now.
    pub fn archive(&self, name: &str, version: &str) -> Option<Bytes> {
        self.shared.file(&format!("{name}-{version}.tgz"))
    }

    /// Serves a provenance for a version of a chart, from now on. Nobody has signed it.
    pub fn sign_wrongly(&self, name: &str, version: &str) {
        let file = format!("{name}-{version}.tgz.prov");
        let text = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nsimulated\n";
        self.shared.changed().insert(file, text.into());
    }

    /// Refuses every request with a status, until told otherwise.
    pub fn refuse_with(&self, status: Option<StatusCode>) {
        let status = status.map_or(0, |status| status.as_u16());
        self.shared.refusal.store(status, Ordering::SeqCst);
    }

    /// Refuses only the requests for a provenance with a status, until told otherwise.
    pub fn refuse_provenance_with(&self, status: Option<StatusCode>) {
        let status = status.map_or(0, |status| status.as_u16());
        let refusal = &self.shared.provenance_refusal;
        refusal.store(status, Ordering::SeqCst);
    }
}

async fn listen(port: u16, shared: &Arc<Shared>) -> anyhow::Result<Server> {
    let shared = Arc::clone(shared);
    Server::start(port, None, move |_| {
        let shared = Arc::clone(&shared);
        move |request| std::future::ready(Ok::<_, Unanswered>(answer(&shared, &request)))
    })
    .await
}

fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Body> {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let told = |refusal: &AtomicU16| StatusCode::from_u16(refusal.load(Ordering::SeqCst)).ok();
    let name = request.uri().path().trim_start_matches('/');
    let is_provenance = name.strip_suffix(".prov").is_some();
    let of_provenance = || told(&shared.provenance_refusal).filter(|_| is_provenance);
    let refusal = told(&shared.refusal).or_else(of_provenance);
    let (status, body) = match (refusal, shared.file(name)) {
        (Some(status), _) => (status, Bytes::new()),
        (None, Some(file)) => (StatusCode::OK, file),
        (None, None) => (StatusCode::NOT_FOUND, Bytes::new()),
    };
    let mut response = Response::new(whole(body));
    *response.status_mut() = status;
    let kind = if name == "index.yaml" {
        "text/yaml"
    } else {
        "application/gzip"
    };
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The packages and their index, made once in a process: compressing the CRDs takes a moment.
fn files() -> anyhow::Result<&'static Files> {
    static FILES: OnceLock<Result<Files, String>> = OnceLock::new();
    let made = FILES.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        make(root).map_err(|error| format!("{error:#}"))
    });
    made.as_ref()
        .map_err(|error| anyhow!("the charts cannot be packaged: {error}"))
}

fn make(root: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let mut index = "apiVersion: v1\nentries:\n".to_owned();
    let mut last = "";
    for chart in &CHARTS {
        let Chart {
            name,
            version,
            app_version,
            ..
        } = *chart;
        let package = chart.package(root)?;
        let digest = hex(&Sha256::digest(&package));
        if name != last {
            writeln!(index, "  {name}:")?;
            last = name;
        }
        write!(
            index,
            "  - apiVersion: v2\n    name: {name}\n    version: {version}\n    \
             appVersion: {app_version}\n    type: application\n    created: {MOMENT}\n    \
             digest: {digest}\n    urls:\n    - {name}-{version}.tgz\n"
        )?;
        files.insert(format!("{name}-{version}.tgz"), package.into());
    }
    writeln!(index, "generated: {MOMENT}")?;
    files.insert("index.yaml".to_owned(), index.into());
    Ok(files)
}

/// The same files give the same bytes, so nothing here may depend on the clock.
const MOMENT: &str = "\"2026-01-01T00:00:00Z\"";

impl Chart {
    /// The chart as helm packages it.
    fn package(&self, root: &Path) -> anyhow::Result<Vec<u8>> {
        let gzip = GzBuilder::new()
            .mtime(0)
            .write(Vec::new(), Compression::fast());
        let mut archive = tar::Builder::new(gzip);
        for (path, content) in self.contents(root)? {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len().try_into()?);
            header.set_mode(0o644);
            header.set_mtime(0);
            archive.append_data(&mut header, Path::new(self.name).join(path), &content[..])?;
        }
        Ok(archive.into_inner()?.finish()?)
    }

    /// Its files, by their path in the chart; `Chart.yaml` comes first by its name.
    fn contents(&self, root: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
        let directory = root.join("charts").join(self.name);
        let mut contents = BTreeMap::new();
        let metadata = read(&directory.join("Chart.yaml"))?;
        contents.insert(
            "Chart.yaml".into(),
            self.versioned(&String::from_utf8(metadata)?),
        );
        let own_values = directory.join(format!("values-{}.yaml", self.values_of()));
        let values = if own_values.is_file() {
            own_values
        } else {
            directory.join("values.yaml")
        };
        contents.insert("values.yaml".into(), read(&values)?);
        for file in list(&directory.join("templates"))? {
            let name = file.file_name().context("a file has no name")?;
            contents.insert(Path::new("templates").join(name), read(&file)?);
        }
        let Some((table, crds)) = self.crds else {
            return Ok(contents);
        };
        for kind in table().kinds() {
            let definition = table().definition(kind).context("a kind has no schema")?;
            let name = definition["metadata"]["name"]
                .as_str()
                .context("a CRD has no name")?;
            let text = serde_saphyr::to_string(&definition)?;
            contents.insert(
                Path::new(crds).join(format!("{name}.yaml")),
                format!("---\n{text}").into_bytes(),
            );
        }
        Ok(contents)
    }

    /// The version whose values it has: those of cert-manager before v1.15 are v1.12.0's.
    fn values_of(&self) -> &'static str {
        let is_old = ["v1.13.", "v1.14."]
            .iter()
            .any(|it| self.version.starts_with(it));
        if self.name == "cert-manager" && is_old {
            "v1.12.0"
        } else {
            self.version
        }
    }

    fn versioned(&self, metadata: &str) -> Vec<u8> {
        let mut text = String::new();
        for line in metadata.lines() {
            let line = match line.split_once(':') {
                Some(("version", _)) => format!("version: {}", self.version),
                Some(("appVersion", _)) => format!("appVersion: {}", self.app_version),
                _ => line.to_owned(),
            };
            text.push_str(&line);
            text.push('\n');
        }
        text.into_bytes()
    }
}

fn list(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("cannot read the directory `{}`", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        // No chart here has templates in directories of their own.
        if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
#[path = "chart_repository_tests.rs"]
mod tests;

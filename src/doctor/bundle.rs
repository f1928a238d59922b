//! The archive of `--bundle` for a maintainer: the redacted facts, the report and the versions. Also reads it back, so
//! that the same checks run offline. Pure: no I/O.

use std::io::Read;

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};

use super::snapshot::Snapshot;
use crate::{
    error::{Error, Result, System},
    secret::value::redacted,
};

/// The file with the facts.
const WORLD: &str = "world.json";

/// The file with the versions.
const VERSIONS: &str = "versions.json";

/// The largest file of facts that is read: 10 000 runners need a tenth of it.
const LIMIT: u64 = 256 * 1024 * 1024;

/// The archive of `world` and the `report` on it.
pub fn pack(snapshot: &Snapshot, report: &Value) -> Result<Vec<u8>> {
    let value = serde_json::to_value(snapshot).map_err(|it| failed(&it))?;
    let versions = json!({
        "bundle": "arcctl.bundle/v1",
        "arcctl": env!("CARGO_PKG_VERSION"),
        "kubernetes": snapshot.kubernetes.as_ref().ok().map(|it| format!("{}.{}", it.0, it.1)),
        "certManagerChart": snapshot.profile.cert_manager.chart_version,
        "controllerChart": snapshot.profile.controller.chart_version,
        "time": snapshot.now,
    });
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, value) in [
        (VERSIONS, versions),
        ("report.json", report.clone()),
        (WORLD, value),
    ] {
        let text = serde_json::to_vec_pretty(&shown(&value)).map_err(|it| failed(&it))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        let path = format!("arcctl-bundle/{name}");
        archive
            .append_data(&mut header, path, text.as_slice())
            .map_err(|it| failed(&it))?;
    }
    archive
        .into_inner()
        .and_then(GzEncoder::finish)
        .map_err(|it| failed(&it))
}

/// The world in an archive.
pub fn unpack(archive: &[u8]) -> Result<Snapshot> {
    let mut entries = tar::Archive::new(GzDecoder::new(archive).take(LIMIT));
    let (mut by, mut snapshot) = (String::from("another version"), None);
    for entry in entries.entries().map_err(|it| unreadable(&it))? {
        let mut entry = entry.map_err(|it| unreadable(&it))?;
        let path = entry.path().map_err(|it| unreadable(&it))?.into_owned();
        let name = path.file_name().unwrap_or_default();
        if name != WORLD && name != VERSIONS {
            continue;
        }
        let mut text = Vec::new();
        entry.read_to_end(&mut text).map_err(|it| unreadable(&it))?;
        if name == WORLD {
            snapshot = Some(text);
        } else if let Ok(versions) = serde_json::from_slice::<Value>(&text) {
            let version = versions["arcctl"].as_str().unwrap_or_default();
            by = format!("arcctl {version}");
        }
    }
    let Some(snapshot) = snapshot else {
        return Err(unreadable(&format!("it has no {WORLD}")));
    };
    serde_json::from_slice(&snapshot).map_err(|error| {
        Error::failed(
            System::Local,
            format!("the bundle was made by {by}, and this one cannot read it"),
        )
        .cause(error)
        .hint(format!("judge it with the arcctl that made it: {by}"))
    })
}

/// The part of a document that may be published. Secrets are without values, see `redact::shape`.
fn shown(value: &Value) -> Value {
    let mut shown = redacted(value);
    if let (Some(secret), Some(shown)) = (value.get("secret"), shown.get_mut("secret")) {
        *shown = secret.clone();
    }
    shown
}

fn failed(error: &impl ToString) -> Error {
    Error::failed(System::Local, "cannot make the bundle")
        .cause(error.to_string())
        .hint("report this as a bug")
}

fn unreadable(error: &impl ToString) -> Error {
    Error::failed(
        System::Local,
        "this is no bundle of `arcctl doctor --bundle`",
    )
    .cause(error.to_string())
    .hint("give the .tar.gz itself, whole and as it was made")
}

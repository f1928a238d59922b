//! A bundle in a file: where each blob is in it. Blobs are read piece by piece.

use std::{
    collections::BTreeMap,
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{parts::name, unusable};
use crate::{
    bundle::{Descriptor, PLACE},
    error::Result,
    units::digest::sha256,
};

/// The largest document in bytes: an index, a manifest, a lock or a chart.
const LARGEST_DOCUMENT: u64 = 4 << 20;

/// Fails if a document of this size is too large to be read into the memory.
pub(super) fn check_size(bundle: &str, document: &str, size: u64) -> Result<()> {
    if size <= LARGEST_DOCUMENT {
        return Ok(());
    }
    let why = format!("`{document}` has {size} bytes, which is too much for a document");
    Err(unusable(bundle, &why))
}

/// A bundle in a file.
pub(super) struct Archive {
    path: PathBuf,
    file: File,
    /// Where each file of the layout begins, and its size in bytes.
    entries: BTreeMap<String, (u64, u64)>,
}

/// The `index.json` of a layout.
#[derive(Deserialize)]
struct Root {
    manifests: Vec<Descriptor>,
}

impl Archive {
    /// Opens one, and reads what it has.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let wrong = |cause: std::io::Error| unusable(&path.display().to_string(), &cause);
        let file = File::open(path).map_err(wrong)?;
        let entries = entries(&file).map_err(wrong)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            entries,
        })
    }

    /// Its name, for messages.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// What it has, each with its place in a registry.
    pub(super) fn manifests(&self) -> Result<Vec<(String, Descriptor)>> {
        let bytes = self.document("index.json")?;
        let root: Root =
            serde_json::from_slice(&bytes).map_err(|it| unusable(&self.name(), &it))?;
        let placed = root.manifests.into_iter().filter_map(|it| {
            let place = it.annotations.get(PLACE)?.clone();
            Some((place, it))
        });
        Ok(placed.collect())
    }

    /// A document whose bytes have this digest.
    pub(super) fn content(&self, digest: &str) -> Result<Vec<u8>> {
        let bytes = self.document(&name(digest))?;
        let found = sha256(&bytes);
        if found == digest {
            return Ok(bytes);
        }
        let why = format!("the digest of blob `{digest}` is {found}");
        Err(unusable(&self.name(), &why))
    }

    /// A piece of a blob.
    pub(super) fn piece(&self, digest: &str, at: u64, length: u64) -> std::io::Result<Vec<u8>> {
        let known = self.entries.get(&name(digest)).copied();
        let Some((begin, _)) = known.filter(|(_, size)| at + length <= *size) else {
            return Err(std::io::Error::other(format!(
                "the bundle has no {length} bytes of it at {at}"
            )));
        };
        let mut piece = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
        self.file.read_exact_at(&mut piece, begin + at)?;
        Ok(piece)
    }

    fn document(&self, name: &str) -> Result<Vec<u8>> {
        let missing = || unusable(&self.name(), &format!("it has no `{name}`"));
        let (begin, size) = self.entries.get(name).copied().ok_or_else(missing)?;
        check_size(&self.name(), name, size)?;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        self.file
            .read_exact_at(&mut bytes, begin)
            .map_err(|it| unusable(&self.name(), &it))?;
        Ok(bytes)
    }
}

/// The files in a tar archive.
fn entries(file: &File) -> std::io::Result<BTreeMap<String, (u64, u64)>> {
    let mut archive = tar::Archive::new(file);
    let mut found = BTreeMap::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let name = entry.path()?.display().to_string();
        found.insert(name, (entry.raw_file_position(), entry.size()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_is_too_large_is_refused_by_its_size() {
        assert!(check_size("b.tar", "bundle:x", LARGEST_DOCUMENT).is_ok());
        let error = check_size("b.tar", "bundle:x", LARGEST_DOCUMENT + 1).unwrap_err();
        assert!(
            error.causes[0].contains("`bundle:x` has 4194305 bytes"),
            "{error}"
        );
    }
}

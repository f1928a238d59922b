//! The parts of a bundle while it is made: an image layout in a directory beside its file, which an interrupted run leaves
//! and the next one continues; at the end it becomes one archive.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::unwritten;
use crate::{
    error::{Error, Result, System},
    units::digest::sha256,
};

/// What a directory with a layout says of itself.
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// The mode of the files in the archive.
const MODE: u32 = 0o644;

/// The parts of a bundle.
pub(super) struct Parts {
    /// The file of the bundle.
    bundle: PathBuf,
    directory: PathBuf,
}

impl Parts {
    /// Those of the bundle in `file`.
    pub(super) fn of(file: &Path) -> Result<Self> {
        let parts = Self {
            bundle: file.to_owned(),
            directory: beside(file, ".parts"),
        };
        let blobs = parts.directory.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(|it| unwritten(&blobs, &it))?;
        Ok(parts)
    }

    /// The file of a blob.
    pub(super) fn blob(&self, digest: &str) -> PathBuf {
        self.directory.join(name(digest))
    }

    /// Writes a blob that is in the memory.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<()> {
        let path = self.blob(&sha256(bytes));
        // A file of that name may be a part of one, if a run was killed.
        let temporary = beside(&path, ".new");
        fs::write(&temporary, bytes)
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(|it| unwritten(&path, &it))
    }

    /// Writes the archive with these blobs, and removes the parts. The same parts always give the same archive.
    pub(super) async fn packed(self, index: Vec<u8>, digests: BTreeSet<String>) -> Result<u64> {
        let packing = tokio::task::spawn_blocking(move || self.pack(&index, &digests));
        packing.await.map_err(|error| {
            Error::failed(System::Local, "the bundle was not packed")
                .cause(error)
                .hint("report this as a bug")
        })?
    }

    fn pack(&self, index: &[u8], digests: &BTreeSet<String>) -> Result<u64> {
        let temporary = beside(&self.bundle, ".part");
        let size = self
            .written(&temporary, index, digests)
            .map_err(|it| unwritten(&temporary, &it))?;
        fs::rename(&temporary, &self.bundle).map_err(|it| unwritten(&self.bundle, &it))?;
        fs::remove_dir_all(&self.directory).map_err(|it| unwritten(&self.directory, &it))?;
        Ok(size)
    }

    fn written(
        &self,
        path: &Path,
        index: &[u8],
        digests: &BTreeSet<String>,
    ) -> std::io::Result<u64> {
        let mut archive = tar::Builder::new(File::create(path)?);
        for (name, content) in [("oci-layout", LAYOUT), ("index.json", index)] {
            archive.append_data(&mut header(content.len() as u64), name, content)?;
        }
        for digest in digests {
            let file = File::open(self.blob(digest))?;
            let size = file.metadata()?.len();
            archive.append_data(&mut header(size), name(digest), file)?;
        }
        let file = archive.into_inner()?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

/// The header of a file; without owner and time.
fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(MODE);
    header.set_mtime(0);
    header
}

/// The name of a blob in a layout.
pub(super) fn name(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

/// The path with an ending added.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

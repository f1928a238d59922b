//! Writes a lock: as a whole or not at all.

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use tempfile::Builder;

use crate::error::{Error, Result, System};

/// What everybody may read; the umask takes away from it.
const MODE: u32 = 0o666;

/// Writes `text` to the file at `path`, unless it has it already. Whether it was written.
pub(super) fn write(path: &Path, text: &str) -> Result<bool> {
    if fs::read_to_string(path).is_ok_and(|it| it == text) {
        return Ok(false);
    }
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let written = Builder::new()
        .permissions(Permissions::from_mode(MODE))
        .tempfile_in(directory)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|it| it.error)
        });
    written.map(|_| true).map_err(|cause| {
        Error::failed(
            System::Local,
            format!("cannot write `{}`; the file is unchanged", path.display()),
        )
        .object(path.display())
        .cause(cause)
        .hint("make the directory of the profile writable")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_not_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("arcctl.lock");
        assert!(write(&file, "one").unwrap());
        assert!(!write(&file, "one").unwrap());
        assert!(write(&file, "two").unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(write(&directory.path().join("none/arcctl.lock"), "x").is_err());
    }
}

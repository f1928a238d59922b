//! Writes a changed profile: as a whole or not at all, and never over somebody else's change.

use std::{fs, io::Write as _, path::Path};

use tempfile::NamedTempFile;

use crate::error::{Error, Result, System};

/// Replaces the file at `path`, which had the text `old`. A link stays a link, and the file keeps its permissions.
pub(crate) fn write(path: &Path, old: &str, new: &str) -> Result<()> {
    let failed = |cause: &dyn std::fmt::Display| {
        Error::failed(
            System::Local,
            format!("cannot write `{}`; the file is unchanged", path.display()),
        )
        .object(path.display())
        .cause(cause)
        .hint("make the file and its directory writable, or change it by hand")
    };
    let target = fs::canonicalize(path).map_err(|it| failed(&it))?;
    let directory = target.parent().unwrap_or(Path::new("."));
    let written = NamedTempFile::new_in(directory).and_then(|mut file| {
        file.write_all(new.as_bytes())?;
        file.as_file()
            .set_permissions(fs::metadata(&target)?.permissions())?;
        file.as_file().sync_all()?;
        Ok(file)
    });
    let file = written.map_err(|it| failed(&it))?;
    // As late as possible: an editor may have saved it since it was read.
    if fs::read_to_string(&target).map_err(|it| failed(&it))? != old {
        return Err(Error::failed(
            System::Local,
            format!("`{}` was changed meanwhile", path.display()),
        )
        .object(path.display())
        .hint("run it again"));
    }
    file.persist(&target).map_err(|it| failed(&it.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_a_change_of_somebody_else_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (
            directory.path().join("a.yaml"),
            directory.path().join("link.yaml"),
        );
        fs::write(&file, "old").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
            std::os::unix::fs::symlink(&file, &link).unwrap();
            write(&link, "old", "new").unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            let mode = fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o640);
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        let error = write(&file, "old", "newer").unwrap_err();
        assert!(error.message.contains("was changed"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        let files = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(files, 2, "nothing is left behind");
        assert!(write(&directory.path().join("none.yaml"), "", "x").is_err());
    }
}

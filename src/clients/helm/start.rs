//! What is told of a helm that the system does not start.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

use super::find::VARIABLE;
use crate::error::{Error, System};

/// What there is at `path`, to be read after its name: `is a file with mode 0644`.
pub(super) fn state(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(it) if it.is_dir() => "is a directory".to_owned(),
        Ok(it) if it.is_file() => {
            format!(
                "is a file with mode {:04o}",
                it.permissions().mode() & 0o7777
            )
        }
        Ok(_) => "is no file".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "does not exist".to_owned(),
        Err(error) => format!("cannot be looked at: {error}"),
    }
}

/// The error of `program` that was not started to do `what`. The system gives one reason for several causes, so all of them are
/// named.
pub(super) fn not_started(what: &str, program: &Path, error: &io::Error) -> Error {
    let file = program.display();
    let look = match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "this user may not execute it, and the system does not say why: `ls -lL '{file}'` shows its mode and owner; this user must also have the execute permission of each directory above it, and `mount` must not show `noexec` for its file system"
        ),
        io::ErrorKind::NotFound => format!(
            "it exists, but what runs it does not: the interpreter in its first line if it is a script, else the loader of another system; `file '{file}'` shows which"
        ),
        _ => format!("it may be built for another machine: `file '{file}'` shows for which"),
    };
    let cause = format!(
        "`{file}`, which {}, is not started: {error}",
        state(program)
    );
    Error::failed(System::Helm, format!("cannot {what}"))
        .cause(cause)
        .hint(format!(
            "{look}; or set `{VARIABLE}` to the path of another helm"
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("helm");
        assert_eq!(state(root.path()), "is a directory");
        assert_eq!(state(&file), "does not exist");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(state(&file), "is a file with mode 0640");
    }

    #[test]
    fn no_cause_of_a_missing_permission_is_assumed() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("helm");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = not_started("read helm's version", &file, &denied);
        let told = error.to_string();
        let named = format!("`{}`, which is a file with mode 0700", file.display());
        assert!(told.starts_with("cannot read helm's version"), "{told}");
        assert!(told.contains(&named), "{told}");
        let hint = error.hint.unwrap();
        for part in ["ls -lL", "directory above it", "noexec", VARIABLE] {
            assert!(hint.contains(part), "{part}: {hint}");
        }
    }
}

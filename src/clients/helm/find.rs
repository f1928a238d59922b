//! Finds the helm program.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::start::state;
use crate::error::{Error, Result, System};

/// The environment variable that names the helm program; without it, `helm` in PATH is used.
pub(crate) const VARIABLE: &str = "ARCCTL_HELM";

/// What to do without a helm; with the place to get it.
const INSTALL: &str = "install helm 3.13 or newer, or helm 4 (https://helm.sh/docs/intro/install), and make sure that it is in PATH, or set `ARCCTL_HELM` to its path";

/// Where helm is searched, and where its logins are.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The value of PATH.
    pub path: Option<String>,
    /// The value of `ARCCTL_HELM`: a file, or, if it has no `/`, a name that is searched in PATH.
    pub named: Option<String>,
    /// The file with the logins of `helm registry login`, if there is one.
    pub registries: Option<PathBuf>,
}

impl Places {
    /// The path of helm. Starts no process, so that it may be another program, or one that is too old.
    pub(super) fn find(&self) -> Result<PathBuf> {
        let Some(named) = &self.named else {
            return self.in_path("helm").ok_or_else(|| {
                let error = Error::failed(System::Helm, "`helm` is not in PATH").hint(INSTALL);
                self.with_other(error, "helm")
            });
        };
        let found = if named.contains('/') {
            // As an absolute path: the program is started in other directories too.
            std::path::absolute(named).ok().filter(|it| is_program(it))
        } else {
            self.in_path(named)
        };
        found.ok_or_else(|| {
            let what = format!("`{VARIABLE}` is `{named}`, which is not a program");
            let error = Error::failed(System::Helm, what).hint(format!(
                "set `{VARIABLE}` to the path of helm, or unset it, so that `helm` in PATH is used"
            ));
            if named.contains('/') {
                error.cause(format!("`{named}` {}", state(Path::new(named))))
            } else {
                self.with_other(error, named)
            }
        })
    }

    fn in_path(&self, name: &str) -> Option<PathBuf> {
        self.each_in_path(name).find(|it| is_program(it))
    }

    fn each_in_path(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        let directories = self.path.iter().flat_map(std::env::split_paths);
        directories.map(move |directory| directory.join(name))
    }

    /// `error` with what has the name in PATH, and is no program.
    fn with_other(&self, error: Error, name: &str) -> Error {
        match self.each_in_path(name).find(|it| it.exists()) {
            Some(other) => error.cause(format!("`{}` {}", other.display(), state(&other))),
            None => error,
        }
    }
}

/// Whether `path` is a file that somebody may execute.
fn is_program(path: &Path) -> bool {
    let executable = |it: std::fs::Metadata| it.is_file() && it.permissions().mode() & 0o111 != 0;
    std::fs::metadata(path).is_ok_and(executable)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Directories `a`, with a `helm` that is no program and one that is a directory, and `b`, with `helm` and `helm4`.
    fn places() -> (tempfile::TempDir, Places) {
        let root = tempfile::tempdir().unwrap();
        for (file, mode) in [("a/helm", 0o644), ("b/helm", 0o755), ("b/helm4", 0o755)] {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir_all(root.path().join("c/helm")).unwrap();
        let directories = ["c", "a", "b"].map(|it| root.path().join(it));
        let path = std::env::join_paths(directories).unwrap();
        let path = Some(path.into_string().unwrap());
        let places = Places {
            path,
            ..Places::default()
        };
        (root, places)
    }

    /// The error of `places`, with its hint.
    fn told(places: &Places) -> String {
        let error = places.find().unwrap_err();
        format!("{error}; {}", error.hint.as_deref().unwrap())
    }

    #[test]
    fn helm_is_the_first_program_of_that_name_in_path() {
        let (root, places) = places();
        assert_eq!(places.find().unwrap(), root.path().join("b/helm"));
    }

    #[test]
    fn without_one_the_error_says_where_to_get_it() {
        for path in [None, Some(String::new()), Some("/nowhere".to_owned())] {
            let error = told(&Places {
                path,
                ..Places::default()
            });
            assert!(error.contains("`helm` is not in PATH"), "{error}");
            assert!(error.contains("https://helm.sh/"), "{error}");
            assert!(error.contains(VARIABLE), "{error}");
        }
    }

    #[test]
    fn a_helm_that_is_no_program_is_named_with_its_mode() {
        let (root, places) = places();
        fs::remove_dir_all(root.path().join("b")).unwrap();
        fs::remove_dir_all(root.path().join("c")).unwrap();
        let file = root.path().join("a/helm").display().to_string();
        let state = format!("`{file}` is a file with mode 0644");
        let of = |named: Option<&str>| Places {
            named: named.map(str::to_owned),
            ..places.clone()
        };
        for named in [None, Some("helm"), Some(file.as_str())] {
            let error = told(&of(named));
            assert!(error.contains(&state), "{error}");
        }
        let error = told(&of(Some("/nowhere/helm")));
        assert!(error.contains("`/nowhere/helm` does not exist"), "{error}");
    }

    #[test]
    fn the_variable_names_another_and_is_never_passed_over() {
        let (root, places) = places();
        let of = |named: &str| Places {
            named: Some(named.to_owned()),
            ..places.clone()
        };
        let file = root.path().join("b/helm4");
        assert_eq!(of(file.to_str().unwrap()).find().unwrap(), file);
        assert_eq!(of("helm4").find().unwrap(), file);
        let data = root.path().join("a/helm").display().to_string();
        for wrong in [&data, "/nowhere/helm", "helm5", "./helm"] {
            let error = told(&of(wrong));
            assert!(error.contains(&format!("`{wrong}`")), "{error}");
            assert!(error.contains("unset it"), "{error}");
        }
    }
}

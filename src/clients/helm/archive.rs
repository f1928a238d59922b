//! The archives of charts: their digests, compared with those of a lock, and their provenance.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{Helm, charts::key};
use crate::{
    desired::{
        lock::{Lock, Verification},
        resource::Chart,
    },
    error::{Error, ErrorKind, Result, System},
    units::digest::sha256,
};

/// What `helm verify` says of a signature that does not prove the archive (helm, pkg/provenance/sign.go; go-crypto,
/// openpgp/errors). Everything else is a fault of the keyring or of helm, and says nothing of the chart.
const UNPROVEN: [&str; 9] = [
    "sha256 sum does not match",
    "provenance does not contain a SHA",
    "signature block not found",
    "message block must have",
    "signature made by unknown entity",
    "signature made by revoked key",
    "openpgp: invalid signature",
    "openpgp: signature expired",
    "openpgp: key expired",
];

/// The archive of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The digest of its bytes.
    pub digest: String,
    /// Whether its provenance was verified.
    pub provenance: Verification,
}

impl Helm {
    /// The same, which refuses an archive that has another digest than in `lock`, and a chart that is not in it.
    #[must_use]
    pub fn locked(mut self, lock: Option<&Lock>) -> Self {
        self.locked = lock.map(|it| {
            let charts = it.charts.iter();
            let digests =
                charts.map(|it| (format!("{}-{}", it.name, it.version), it.archive.clone()));
            digests.collect()
        });
        self
    }

    /// Whether charts are compared with a lock.
    pub fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    /// The same, which verifies provenance with the public keys in a file.
    #[must_use]
    pub fn with_keyring(mut self, file: Option<PathBuf>) -> Self {
        self.keyring = file;
        self
    }

    /// Fetches a chart, and describes its archive. A provenance that is not valid is an error, one that is missing is not.
    pub async fn archive(&self, chart: &Chart) -> Result<Archive> {
        self.major().await?;
        let path = self.pull(chart).await?;
        let digest = digest(chart, &path)?;
        let provenance = self.provenance(chart, &path).await?;
        Ok(Archive { digest, provenance })
    }

    /// Fetches a chart; the path of its archive, which is not a directory.
    pub async fn fetched(&self, chart: &Chart) -> Result<PathBuf> {
        self.major().await?;
        let path = self.pull(chart).await?;
        digest(chart, &path)?;
        Ok(path)
    }

    /// The path of an archive that has the digest of the lock; without a lock, of any.
    pub(super) fn as_locked(&self, chart: &Chart, path: PathBuf) -> Result<PathBuf> {
        let Some(locked) = &self.locked else {
            return Ok(path);
        };
        let key = key(chart);
        let Some(expected) = locked.get(&key) else {
            let what = format!("chart `{key}` is not in the lock");
            return Err(Error::new(ErrorKind::Refused, System::Helm, what)
                .object(&chart.location)
                .hint("run `arcctl lock`, look at what changes in the file, and commit it"));
        };
        let found = digest(chart, &path)?;
        if found == *expected {
            return Ok(path);
        }
        Err(Error::new(
            ErrorKind::Refused,
            System::Helm,
            format!("chart `{key}` is not the one in the lock: its archive has other content"),
        )
        .object(&chart.location)
        .cause(format!("{expected} in the lock, {found} at the repository"))
        .hint("a released version should never change: find out from the publisher why it did; `arcctl lock` accepts it"))
    }

    async fn provenance(&self, chart: &Chart, archive: &Path) -> Result<Verification> {
        let Some(keyring) = &self.keyring else {
            return Ok(Verification::NotChecked);
        };
        let mut beside = archive.as_os_str().to_owned();
        beside.push(".prov");
        if !Path::new(&beside).is_file() {
            return Ok(Verification::Missing);
        }
        let what = format!("verify the signature of chart `{}`", key(chart));
        let arguments: Vec<OsString> = vec![
            "verify".into(),
            archive.into(),
            "--keyring".into(),
            keyring.into(),
        ];
        let said = self
            .run(&what, arguments, false, None)
            .await
            .map_err(|error| unverified(error.object(&chart.location), keyring))?;
        Ok(Verification::Verified {
            by: after(&said, "Signed by:"),
            fingerprint: after(&said, "Using Key With Fingerprint:"),
        })
    }
}

/// The error of `helm verify`: refused only where it has judged the signature.
fn unverified(mut error: Error, keyring: &Path) -> Error {
    let is_unproven = |it: &String| UNPROVEN.iter().any(|words| it.contains(words));
    if !error.causes.iter().any(is_unproven) {
        return error.hint(format!(
            "check the keyring `{}`: it must be readable, and in the binary form of GnuPG, as `gpg --export KEY > FILE` writes it, without --armor",
            keyring.display()
        ));
    }
    error.kind = ErrorKind::Refused;
    error.hint(
        "if the publisher has a new key, put it into `provenance.keyring`; otherwise do not install this chart, and ask the publisher",
    )
}

/// The digest of the archive at `path`.
fn digest(chart: &Chart, path: &Path) -> Result<String> {
    let failed = |cause: &dyn std::fmt::Display, hint: &str| {
        let what = format!("cannot lock chart `{}`", key(chart));
        Error::failed(System::Local, what)
            .object(path.display())
            .cause(cause)
            .hint(hint)
    };
    if path.is_dir() {
        let hint = "package it with `helm package`, and name the directory with the package under `charts`";
        return Err(failed(&"a directory has no digest", hint));
    }
    let bytes = std::fs::read(path).map_err(|it| failed(&it, "make the file readable"))?;
    Ok(sha256(&bytes))
}

/// What stands after `name` in the output of `helm verify`; empty if nothing does.
fn after(text: &str, name: &str) -> String {
    let mut lines = text.lines();
    let found = lines.find_map(|line| line.trim().strip_prefix(name));
    found.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::clients::{helm::Places, kube::Access};

    /// Puts an archive, and a provenance if there is a file `signed` beside the program; verifies it if that is not empty.
    const PROGRAM: &str = "#!/bin/sh\nhere=\"${0%/*}\"\ncase \"$1\" in\nversion) echo v3.22.0 ;;\npull) while [ \"$1\" != --destination ]; do shift; done; echo content > \"$2/a-1.0.0.tgz\"; [ ! -f \"$here/signed\" ] || echo x > \"$2/a-1.0.0.tgz.prov\" ;;\nverify) [ -s \"$here/signed\" ] || { echo 'Error: openpgp: signature made by unknown entity' >&2; exit 1; }\nprintf 'Signed by: A Team <a@example.com>\\nUsing Key With Fingerprint: 0123\\nChart Hash Verified: sha256:00\\n' ;;\nesac\n";

    struct Fake {
        directory: tempfile::TempDir,
    }

    impl Fake {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let program = directory.path().join("helm");
            std::fs::write(&program, PROGRAM).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
            Self { directory }
        }

        fn helm(&self) -> Helm {
            let path = self.directory.path().to_str().unwrap();
            let places = Places {
                // The program needs `sh` and its words only.
                path: Some(path.to_owned()),
                ..Places::default()
            };
            Helm::new(&places, Access::default(), Vec::new()).unwrap()
        }

        fn sign(&self, text: &str) {
            std::fs::write(self.directory.path().join("signed"), text).unwrap();
        }
    }

    fn chart() -> Chart {
        Chart {
            name: "a".into(),
            version: "1.0.0".into(),
            location: "https://charts.example.com".into(),
        }
    }

    fn lock(archive: &str) -> Lock {
        let chart = serde_json::json!({"name": "a", "version": "1.0.0", "repository": "https://charts.example.com",
            "archive": archive, "values": "", "provenance": {"state": "missing"}, "locked": "2026-11-27T00:00:00Z"});
        let lock =
            serde_json::json!({"version": 1, "profile": "x", "charts": [chart], "images": []});
        Lock::parse(&lock.to_string()).unwrap()
    }

    #[tokio::test]
    async fn an_archive_with_another_digest_than_in_the_lock_is_refused() {
        let fake = Fake::new();
        let other = sha256(b"other");
        let helm = fake.helm().locked(Some(&lock(&other)));
        let error = helm.fetch(&chart()).await.unwrap_err();
        assert_eq!(error.kind.exit_code(), 7);
        assert!(error.causes[0].contains(&other), "{error}");
        let helm = fake.helm().locked(Some(&lock(&sha256(b"content\n"))));
        helm.fetch(&chart()).await.unwrap();
        assert_eq!(helm.processes(), 2);
    }

    #[tokio::test]
    async fn a_chart_that_a_lock_does_not_have_is_refused() {
        let fake = Fake::new();
        let mut lock = lock(&sha256(b"content\n"));
        lock.charts.clear();
        let helm = fake.helm().locked(Some(&lock));
        let error = helm.fetch(&chart()).await.unwrap_err();
        assert_eq!(error.kind.exit_code(), 7);
        assert!(error.message.contains("is not in the lock"), "{error}");
        fake.helm().locked(None).fetch(&chart()).await.unwrap();
    }

    #[tokio::test]
    async fn a_provenance_is_verified_missing_or_wrong() {
        let fake = Fake::new();
        let signature = async |helm: Helm| helm.archive(&chart()).await.map(|it| it.provenance);
        let keyring = || Some(PathBuf::from("keys.gpg"));
        assert_eq!(
            signature(fake.helm()).await.unwrap(),
            Verification::NotChecked
        );
        let helm = fake.helm().with_keyring(keyring());
        assert_eq!(signature(helm).await.unwrap(), Verification::Missing);
        fake.sign("");
        let error = signature(fake.helm().with_keyring(keyring()))
            .await
            .unwrap_err();
        assert_eq!(error.kind.exit_code(), 7);
        assert!(error.causes[0].contains("unknown entity"), "{error}");
        fake.sign("well");
        let helm = fake.helm().with_keyring(keyring());
        let expected = Verification::Verified {
            by: "A Team <a@example.com>".into(),
            fingerprint: "0123".into(),
        };
        assert_eq!(signature(helm).await.unwrap(), expected);
    }

    #[test]
    fn a_keyring_that_cannot_be_read_is_no_wrong_signature() {
        let said = |cause: &str| {
            let error = Error::failed(System::Helm, "cannot verify").cause(cause);
            unverified(error, Path::new("keys.asc"))
        };
        let unread =
            said("failed to load keyring: openpgp: invalid data: tag byte does not have MSB set");
        assert_eq!(unread.kind.exit_code(), 1);
        let hint = unread.hint.unwrap();
        assert!(
            hint.contains("keys.asc") && hint.contains("--armor"),
            "{hint}"
        );
        for wrong in UNPROVEN {
            assert_eq!(said(wrong).kind.exit_code(), 7, "{wrong}");
        }
    }

    #[test]
    fn a_directory_cannot_be_locked() {
        let directory = tempfile::tempdir().unwrap();
        let error = digest(&chart(), directory.path()).unwrap_err();
        assert!(error.hint.unwrap().contains("helm package"));
    }
}

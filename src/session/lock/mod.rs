//! The lock beside a profile: how it is read, made, and compared with what the registries have.

pub(crate) mod make;
mod registries;

use std::path::{Path, PathBuf};

use crate::{
    desired::{
        Desired,
        lock::{Difference, Lock, Pins, needed, refusal, unsigned},
    },
    error::{Error, ErrorKind, Result, System},
    plan::{Step, locked},
    profile::Profile,
    terminal::{args::GlobalArgs, output::Output},
};

/// The ending of a lock's file.
const ENDING: &str = "lock";

/// A lock, and its file.
#[derive(Clone, Debug)]
pub(crate) struct LockFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its content.
    pub(crate) lock: Lock,
}

/// What a session knows of the lock; nothing without one.
#[derive(Debug, Default)]
pub(crate) struct Locked {
    /// The digests that images are pinned by.
    pub(crate) pins: Pins,
    differences: Vec<Difference>,
    name: String,
}

/// The file of the lock of a profile: `arcctl.lock` beside `arcctl.yaml`. A profile from stdin has none.
pub(crate) fn path(global: &GlobalArgs) -> Option<PathBuf> {
    (global.file != Path::new("-")).then(|| global.file.with_extension(ENDING))
}

/// Reads the lock beside the profile, if there is one.
pub(crate) fn read(global: &GlobalArgs) -> Result<Option<LockFile>> {
    let Some(path) = path(global) else {
        return Ok(None);
    };
    let unread = |cause: &dyn std::fmt::Display| {
        Error::new(
            ErrorKind::InvalidProfile,
            System::Local,
            format!("cannot read the lock `{}`", path.display()),
        )
        .object(path.display())
        .cause(cause)
        .hint("run `arcctl lock` to create it again, or restore the committed version if it was changed by mistake")
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unread(&error)),
    };
    let lock = Lock::parse(&text).map_err(|it| unread(&it))?;
    Ok(Some(LockFile { path, lock }))
}

/// The digests by which the images of rendered files are pinned: those of the lock beside the profile, if there is one. It
/// is compared with the profile, and not with the registries.
pub(crate) fn rendered(profile: &Profile, global: &GlobalArgs) -> Result<Pins> {
    let Some(file) = read(global)? else {
        return Ok(Pins::default());
    };
    let needed =
        needed(profile, jiff::Timestamp::now()).map_err(|error| super::wanted_error(&error))?;
    let differences = file.lock.lacks(&needed, &|_| true);
    match refusal(&differences, &file.path.display().to_string()) {
        Some(error) => Err(error),
        None => Ok(Pins::of(&file.lock)),
    }
}

impl LockFile {
    /// Compares the lock with the profile and with the registries, for the resources in `desired`.
    pub(crate) async fn compared(
        &self,
        profile: &Profile,
        desired: &[Desired],
        global: &GlobalArgs,
        output: Output,
    ) -> Result<Locked> {
        let needed =
            needed(profile, jiff::Timestamp::now()).map_err(|error| super::wanted_error(&error))?;
        let is_used = |id: &str| desired.iter().any(|it| it.id.as_str() == id);
        let mut differences = self.lock.lacks(&needed, &is_used);
        differences.extend(unsigned(profile, &self.lock));
        let images = self.lock.images_of(&needed, &is_used);
        let references = images.iter().map(|it| it.image.clone()).collect();
        let read = registries::Read::Digests;
        let found = registries::read(profile, &references, read, global, output).await?;
        differences.extend(images.into_iter().filter_map(|image| {
            let now = found.get(&image.image).and_then(Option::as_ref);
            Difference::of_image(image, now.map(|it| it.digest.as_str()))
        }));
        Ok(Locked {
            pins: Pins::of(&self.lock),
            differences,
            name: self.path.display().to_string(),
        })
    }
}

impl Locked {
    /// Fails if anything differs from the lock.
    pub(crate) fn check(&self) -> Result<()> {
        match refusal(&self.differences, &self.name) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Fails if anything differs that others have changed. What the profile has and the lock lacks is let through: the profile
    /// at hand is not in its file yet, so that `arcctl lock` could not lock it.
    pub(crate) fn check_others(&self) -> Result<()> {
        let is_of_others = |it: &&Difference| !it.kind.is_of_the_profile();
        let others: Vec<Difference> = self
            .differences
            .iter()
            .filter(is_of_others)
            .cloned()
            .collect();
        match refusal(&others, &self.name) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The tags that have moved, as steps of a plan.
    pub(crate) fn steps(&self) -> Vec<Step> {
        locked::steps(&self.differences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::lock::Kind;

    #[test]
    fn a_pool_that_is_not_in_the_file_yet_needs_no_lock_but_what_moved_is_refused() {
        let locked = |kinds: &[Kind]| Locked {
            differences: kinds
                .iter()
                .map(|kind| Difference {
                    of: "image",
                    name: "runner:1".into(),
                    kind: *kind,
                    locked: None,
                    found: None,
                })
                .collect(),
            ..Locked::default()
        };
        let newer = locked(&[Kind::NotLocked, Kind::ValuesChanged]);
        assert_eq!(newer.check().unwrap_err().kind.exit_code(), 7);
        assert!(newer.check_others().is_ok());
        let moved = locked(&[Kind::NotLocked, Kind::Moved]);
        let error = moved.check_others().unwrap_err();
        assert!(error.message.contains("something differs"), "{error}");
    }
}

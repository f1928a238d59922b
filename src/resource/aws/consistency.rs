//! IAM is eventually consistent: remembers what this run has written, so that old reads after a write are not taken for the
//! current state. Documents that other tools write as well are in [`documents`](super::documents).
//!
//! Source: IAM user guide, "Changes that I make are not always immediately visible".

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::Instant;

use super::{NO_SUCH_ENTITY, documents::Shown};
use crate::{clients::aws::error::Asked, error::Error, resource::observed::Readiness};

/// How long AWS may show the state before a write of this run.
pub(super) const LATE: Duration = Duration::from_secs(20);

pub(super) const UNSEEN: &str = "AWS does not show yet what was written";

/// The last write of each object, and what AWS showed since.
#[derive(Debug, Default)]
pub struct Writes(Mutex<HashMap<String, Entry>>);

#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) write: Option<Write>,
    pub(super) shown: Shown,
    /// Whether AWS has accepted that our statements leave it, or that it is deleted as a whole.
    out: bool,
    /// The message about it.
    pub(super) told: Option<String>,
}

#[derive(Debug)]
pub(super) struct Write {
    pub(super) at: Instant,
    /// Whether it replaced a document that other tools write too.
    pub(super) whole: bool,
}

/// Whether a read can be trusted after a write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The read shows the current state.
    Counts,
    /// The read shows what was written; this is still watched for.
    Settles(&'static str),
    /// The read may be outdated, for this reason.
    NotYet(&'static str),
}

impl Verdict {
    /// What is still waited for.
    pub(super) const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Counts => None,
            Self::Settles(reason) | Self::NotYet(reason) => Some(reason),
        }
    }

    /// How ready an object is that is as wanted by this read.
    pub(super) fn readiness(self) -> Readiness {
        match self {
            Self::Counts => Readiness::Ready,
            Self::Settles(reason) => Readiness::Settling {
                reason: reason.into(),
            },
            Self::NotYet(reason) => Readiness::progressing(reason),
        }
    }
}

impl Writes {
    /// Runs `work` with the entry of `object`.
    pub(super) fn with<T>(&self, object: &str, work: impl FnOnce(&mut Entry) -> T) -> T {
        // A poisoned lock only means that another task panicked; the map is still whole.
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(entries.entry(object.to_owned()).or_default())
    }

    /// Records a write of `object`.
    pub(super) fn record(&self, object: &str) {
        let write = Write {
            at: Instant::now(),
            whole: false,
        };
        self.with(object, |entry| entry.write = Some(write));
    }

    /// Removes the record of a write of `object`.
    pub(super) fn forget(&self, object: &str) {
        self.with(object, |entry| entry.write = None);
    }

    /// Records that AWS has accepted that our statements leave `object`, or that it is deleted as a whole.
    pub(super) fn took_out(&self, object: &str) {
        self.with(object, |entry| entry.out = true);
    }

    /// Whether AWS has accepted that in this run. It may still show them.
    pub(super) fn is_out(&self, object: &str) -> bool {
        self.with(object, |entry| entry.out)
    }

    #[expect(clippy::result_large_err, reason = "the error is the SDK's own")]
    /// Handles the response to a recorded write of `object`; removes the record if AWS rejected the write, so that no later
    /// read has to wait.
    pub(super) fn answered<T, E>(
        &self,
        object: &str,
        answer: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<T, SdkError<E, HttpResponse>> {
        if let Err(SdkError::ServiceError(refused)) = &answer
            && refused.raw().status().as_u16() < 500
        {
            self.forget(object);
        }
        answer
    }

    /// Whether a read of `object` can be trusted. A read can mix old and new parts, so for a
    /// while after a write only the wanted state counts.
    pub(super) fn judge(&self, object: &str, as_wanted: bool) -> Verdict {
        self.with(object, |entry| match &entry.write {
            Some(write) if !as_wanted && write.at.elapsed() < LATE => Verdict::NotYet(UNSEEN),
            _ => Verdict::Counts,
        })
    }
}

/// The error of a write to a role or its policies. A new role is not visible everywhere in IAM at once, so a missing role is
/// retried. A missing policy or permissions boundary is not.
pub(super) fn failed_at_role<E>(asked: Asked<'_>, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let late = error.code() == Some(NO_SUCH_ENTITY)
        && is_about_a_role(error.message().unwrap_or_default());
    failed(asked, error, late)
}

/// The error of a write to an object that IAM has just returned: it may not be visible everywhere yet, so a missing object
/// is retried. If it was deleted, the next read shows it.
pub(super) fn failed_at_what_is_there<E>(
    asked: Asked<'_>,
    error: &SdkError<E, HttpResponse>,
) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let late = error.code() == Some(NO_SUCH_ENTITY);
    failed(asked, error, late)
}

/// The error of a write; it is retried if what it needs is only visible `late`.
pub(super) fn failed<E>(asked: Asked<'_>, error: &SdkError<E, HttpResponse>, late: bool) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let failed = asked.failed(error);
    if late { failed.passing(true) } else { failed }
}

/// Whether IAM reports a missing role. Matches the whole sentence, because a role's name can contain any word.
fn is_about_a_role(said: &str) -> bool {
    said.starts_with("The role with name ") && said.trim_end().ends_with(" cannot be found.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_a_role_is_not_there_is_known_by_the_form() {
        for (said, role) in [
            ("The role with name runners cannot be found.", true),
            ("The role with name ci-policy-runner cannot be found.", true),
            ("The role with name not-attachable cannot be found.", true),
            (
                "Policy arn:aws:iam::111122223333:policy/role-with-name does not exist or is not attachable.",
                false,
            ),
            (
                "Scope ARN: arn:aws:iam::111122223333:policy/x does not exist or is not attachable.",
                false,
            ),
            ("The user with name The role cannot be found.", false),
            ("", false),
        ] {
            assert_eq!(is_about_a_role(said), role, "{said}");
        }
    }
}

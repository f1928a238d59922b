//! What this run has written at AWS, so that its next look is not misled: IAM shows a write late, from one reading to the next
//! as it was and as it is. What others write as a whole too is in [`documents`](super::documents).
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
use crate::{clients::aws::error::Asked, error::Error};

/// How long AWS may show what was there before a write of our own.
pub(super) const LATE: Duration = Duration::from_secs(20);

pub(super) const UNSEEN: &str = "AWS does not show yet what was written";

/// The newest write of each thing, and what was shown of it.
#[derive(Debug, Default)]
pub struct Writes(Mutex<HashMap<String, Entry>>);

#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) write: Option<Write>,
    pub(super) shown: Shown,
    /// What is to be said of it.
    pub(super) told: Option<String>,
}

#[derive(Debug)]
pub(super) struct Write {
    pub(super) at: Instant,
    /// Whether it replaced a document that others write too.
    pub(super) whole: bool,
}

/// What a look says, in the light of what was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// What is seen counts.
    Counts,
    /// It does not yet, for this reason.
    NotYet(&'static str),
}

impl Writes {
    /// Does something with what is known of `object`.
    pub(super) fn with<T>(&self, object: &str, work: impl FnOnce(&mut Entry) -> T) -> T {
        // A poisoned lock only means that another task panicked; the map is still whole.
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(entries.entry(object.to_owned()).or_default())
    }

    /// Remembers that `object` has been written.
    pub(super) fn record(&self, object: &str) {
        let write = Write {
            at: Instant::now(),
            whole: false,
        };
        self.with(object, |entry| entry.write = Some(write));
    }

    /// Forgets that `object` has been written.
    pub(super) fn forget(&self, object: &str) {
        self.with(object, |entry| entry.write = None);
    }

    #[expect(clippy::result_large_err, reason = "the error is the SDK's own")]
    /// The answer to the write of `object` that is remembered; one that AWS has refused was not done, and nothing is waited
    /// for.
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

    /// Whether it counts what is seen of `object`. Parts of it may be shown as they were and others as they are, so for a
    /// while after a write only what is as wanted does.
    pub(super) fn judge(&self, object: &str, as_wanted: bool) -> Verdict {
        self.with(object, |entry| match &entry.write {
            Some(write) if !as_wanted && write.at.elapsed() < LATE => Verdict::NotYet(UNSEEN),
            _ => Verdict::Counts,
        })
    }
}

/// The failure of a write to a role, or to what is in it: a role that was made a moment ago is not known everywhere at
/// IAM, so that it is not there passes. A policy or a boundary that is not there does not.
pub(super) fn failed_at_role<E>(asked: Asked<'_>, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let late = error.code() == Some(NO_SUCH_ENTITY)
        && is_about_a_role(error.message().unwrap_or_default());
    failed(asked, error, late)
}

/// The failure of a write to what IAM has just shown: it may be so new that it is not known everywhere, and so that it is not
/// there passes. Where it is gone, the next look says so.
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

/// The failure of a write, which passes where what it needs is only shown `late`.
pub(super) fn failed<E>(asked: Asked<'_>, error: &SdkError<E, HttpResponse>, late: bool) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let failed = asked.failed(error);
    if late { failed.passing(true) } else { failed }
}

/// Whether IAM says that a role is not there. By the whole form: the role's own name may have any word in it.
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

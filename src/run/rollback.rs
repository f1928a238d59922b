//! Rolls back a credential that this run replaced and could not verify.

use crate::{
    error::{Error, ErrorKind},
    execute::{
        self, Options, StepResult,
        rollback::{self, PutBack},
    },
    session::Session,
};

/// Restores a credential that this run replaced by one that it could not verify. Not after an interruption: the next run
/// continues, with a credential that has passed the audit. The run's error stays the same, even if the rollback fails.
pub(crate) async fn put_back(
    session: &Session,
    options: &Options<'_>,
    failure: &mut Error,
    steps: &mut Vec<StepResult>,
    on_event: &mut dyn FnMut(&execute::Event),
) {
    let ends = [
        ErrorKind::Failed,
        ErrorKind::Unauthorized,
        ErrorKind::TimedOut,
    ];
    if !ends.contains(&failure.kind) || !session.context.rotation().is_open() {
        return;
    }
    if !session.takes_old_token().await {
        failure.causes.push(
            "the Secret keeps the new credential: GitHub does not take the old one either".into(),
        );
        return;
    }
    let again = rollback::put_back(&session.desired, &session.context, options, steps, on_event);
    let again = again.await;
    let back = "the new credential was not proven: the Secret has the old one again";
    failure.causes.push(match &again {
        PutBack::Done => format!("{back}, and the controller works with it"),
        PutBack::NotRestarted => {
            format!("{back}; the controller was not restarted, and works with it still")
        }
        PutBack::SecretOnly(error) => format!(
            "{back}; the controller is not seen to work with it: {}",
            error.document().message
        ),
        PutBack::Failed(error) => format!(
            "putting the old credential back failed too: {}",
            error.document().message
        ),
    });
    if !matches!(again, PutBack::Failed(_)) {
        rollback::mark_put_back(&session.desired, steps, failure);
    }
}

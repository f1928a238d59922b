//! An ordinary `up` as a part of a command that is made of several.

use std::time::Instant;

use super::{ended, install};
use crate::{
    error::Result,
    session::{Session, teardown::advice},
    terminal::{args::GlobalArgs, deadline::RunLimit, output::Output, profile_file::ProfileFile},
};

/// How it has ended.
pub(crate) struct Upped {
    /// How many resources it has changed.
    pub(crate) changed: usize,
    /// Whether it has changed something, or has waited for a proof in vain: nothing of the kind before its first step.
    pub(crate) has_tried: bool,
    /// Whether it was begun, or why it did not succeed.
    pub(crate) ended: Result<bool>,
}

/// Opens a session for it.
pub(crate) async fn open(
    global: &GlobalArgs,
    file: ProfileFile,
    output: Output,
) -> Result<Session> {
    let session = Box::pin(Session::open(global, file, false, output)).await?;
    advice::refuse_own_runner(&session.context, &session.desired).await?;
    Ok(session)
}

/// Checks everything that a run checks before its first write: the lock, the plan, its pods, the permissions and the charts.
pub(crate) async fn check(session: &Session, limit: &RunLimit, output: Output) -> Result<()> {
    session.lock.check()?;
    Box::pin(install::check(session, limit, output)).await
}

/// Runs it, with a question unless `yes`, if nothing differs from the lock beside the profile.
pub(crate) async fn up(
    mut session: Session,
    yes: bool,
    global: &GlobalArgs,
    limit: &mut RunLimit,
    output: Output,
) -> Upped {
    let not_begun = |error| Upped {
        changed: 0,
        has_tried: false,
        ended: Err(error),
    };
    if let Err(error) = session.lock.check() {
        return not_begun(error);
    }
    let started = Instant::now();
    let asked = install::Asked {
        yes,
        adopt: false,
        actions: &global.actions,
    };
    let work = install::attempts(&asked, &mut session, limit, output);
    let (steps, error) = match Box::pin(work).await {
        Ok(ended) => ended,
        Err(error) => return not_begun(error),
    };
    let mut run = ended(&session, started, steps, error);
    let result = match run.error.take() {
        Some(error) => Err(error),
        None => Ok(run.is_started()),
    };
    if matches!(result, Ok(true)) {
        let online = session.promises(jiff::Timestamp::now());
        output.note(run.text(&online).trim_end());
    }
    Upped {
        changed: run.changed(),
        has_tried: run.has_tried(),
        ended: result,
    }
}

//! The steps of an upgrade and of the way back: each ends with something written that the next one, or the next run of the
//! command, finds.

use std::time::Instant;

use super::begin::installed;
use crate::{
    cli::commands::smoke::{self, SmokeArgs},
    clients::kube::Kube,
    error::{Error, ErrorKind, Result},
    execute::lease::Lease,
    inventory::{self, Home},
    profile::KubeDuration,
    report::{self, upgrade::Upgraded},
    run::{READING, backup, holder, ordinary, say_taken_over},
    session::Session,
    terminal::{
        args::GlobalArgs, deadline::RunLimit, output::Output, profile_file::ProfileFile,
        profile_write::write,
    },
    upgrade::{BACK, Next, Stage, Upgrade, check_record, path::Step, versions::Versions},
};

/// Where a job runs that tries the runners.
pub(super) struct Smoke {
    /// The repository with the workflow.
    pub(super) repository: String,
    /// The variable with the token that dispatches.
    pub(super) token_env: Option<String>,
}

impl Smoke {
    /// The job on one pool.
    fn on(&self, pool: &str, timeout: KubeDuration) -> SmokeArgs {
        let (repository, token_env) = (self.repository.clone(), self.token_env.clone());
        SmokeArgs::of_pool(pool.to_owned(), repository, token_env, timeout)
    }
}

/// How far an upgrade is.
pub(super) struct Place {
    /// The cluster with the inventory.
    pub(super) kube: Kube,
    /// The profile.
    pub(super) file: ProfileFile,
    /// Its text.
    pub(super) text: String,
    /// Its text at the end.
    pub(super) written: String,
    /// The upgrade.
    pub(super) upgrade: Upgrade,
    /// Its record in the inventory, as this run has read or written it last; `None`: it has none yet.
    pub(super) recorded: Option<Upgrade>,
    /// The job that tries the runners, if one is asked for.
    pub(super) smoke: Option<Smoke>,
}

/// A run of the command.
pub(super) struct Work<'a> {
    /// The arguments of every command.
    pub(super) global: &'a GlobalArgs,
    /// Where it writes.
    pub(super) output: Output,
    /// Its time limit, and its lease: held from before the first step to the end, so that no other run comes between two steps.
    pub(super) limit: RunLimit,
    /// When it began.
    pub(super) started: Instant,
    /// What it tells at its end.
    pub(super) report: Upgraded,
    /// Whether it has said which cluster and GitHub it changes.
    pub(super) has_told_target: bool,
}

/// Why the steps have ended early.
#[derive(Debug)]
enum Halt {
    /// What a step made was not proven: the versions before come back.
    Unproven(Error),
    /// Something else, which decides nothing about the versions: the same command goes on.
    Other(Error),
}

impl Halt {
    /// Of an error of a run or of a job. `has_tried`: it has changed something or waited for a proof, so that the error is one of
    /// the versions. Somebody who stops the command, a credential that is refused or another run decide nothing about them.
    fn of(error: Error, has_tried: bool) -> Self {
        let is_of_versions = matches!(
            error.kind,
            ErrorKind::Failed | ErrorKind::TimedOut | ErrorKind::Stale
        );
        if has_tried && is_of_versions {
            Self::Unproven(error)
        } else {
            Self::Other(error)
        }
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Work<'_> {
    /// Takes the steps, or goes back. `again`: it was begun by an earlier run.
    pub(super) async fn go(&mut self, mut place: Place, again: bool) -> Result<()> {
        self.begin(&place).await?;
        let gone = Box::pin(self.forth(&mut place, again)).await;
        let ended = match gone {
            Ok(()) => Ok(()),
            Err(Halt::Other(error)) => Err(error),
            Err(Halt::Unproven(error)) => {
                self.output.note(format!(
                    "a step failed, and the previous versions are being restored: {}",
                    error.document().message
                ));
                // The step that failed may have used up the time, and has stopped the run.
                self.limit.begin_again();
                place.written.clone_from(&place.text);
                Err(returned(error, Box::pin(self.back(&mut place)).await))
            }
        };
        self.limit.release_lease().await;
        self.report.upgrade = Some(place.upgrade);
        ended
    }

    /// Goes back, of what an earlier run has done.
    pub(super) async fn go_back(&mut self, mut place: Place) -> Result<()> {
        self.begin(&place).await?;
        let ended = Box::pin(self.back(&mut place)).await;
        self.limit.release_lease().await;
        self.report.upgrade = Some(place.upgrade);
        ended
    }

    /// Acquires the lease for all that follows. What this run has read before must still be true: another one may have ended
    /// since.
    async fn begin(&mut self, place: &Place) -> Result<()> {
        let profile = &place.file.profile;
        let (home, holder) = (&profile.controller.namespace, holder());
        let hold = self.limit.hold();
        let taken = Lease::acquire(&place.kube, home, &profile.name, &holder, hold);
        let lease = self.limit.within("waiting for the lease", taken).await?;
        say_taken_over(&lease, self.output);
        self.limit.keep_lease(lease);
        let checked = self.check(place).await;
        if checked.is_err() {
            self.limit.release_lease().await;
        }
        checked
    }

    /// Fails if this run has lost its lease, or if another one has changed the record.
    async fn check(&self, place: &Place) -> Result<()> {
        self.limit.stopped()?;
        let read = inventory::read(&place.kube, Home::of(&place.file.profile));
        let known = self.limit.within(READING, read).await?;
        check_record(known.upgrade.as_ref(), place.recorded.as_ref())
    }

    async fn forth(&mut self, place: &mut Place, again: bool) -> Result<(), Halt> {
        if again && place.upgrade.stage == Stage::Forth {
            // What an earlier run has begun is proven before the next step.
            self.prove(place).await?;
        }
        loop {
            self.read_again(place).await?;
            match place.upgrade.next()? {
                Next::Save => self.save(place).await?,
                Next::Step(step) => self.step(place, *step).await?,
                Next::Finish => {
                    self.write(place)?;
                    place.upgrade.stage = Stage::Done;
                    return self.record(place).await.map_err(Halt::Other);
                }
                Next::Restore | Next::Nothing => return Ok(()),
            }
        }
    }

    /// Goes on from what is recorded and installed: somebody may have changed it since the last step.
    async fn read_again(&self, place: &mut Place) -> Result<()> {
        self.check(place).await?;
        if place.upgrade.stage == Stage::Forth {
            let read = installed(&place.kube, &place.file.profile);
            let installed = self.limit.within(READING, read).await?;
            place.upgrade = place.upgrade.continued(&installed);
        }
        Ok(())
    }

    /// Makes the backup.
    async fn save(&mut self, place: &mut Place) -> Result<()> {
        let session = Box::pin(self.open(place, &place.upgrade.from)).await?;
        let before = place.recorded.as_ref();
        let saved = backup::make(&session, &place.text, &mut place.upgrade, before);
        self.limit.within("making the backup", saved).await?;
        place.recorded = Some(place.upgrade.clone());
        self.report.stage = Some(Stage::Saving);
        let parts = place.upgrade.backup.len();
        self.output.note(format!(
            "wrote the backup to the cluster, as {parts} objects"
        ));
        place.upgrade.stage = Stage::Forth;
        self.record(place).await
    }

    /// Records a step, makes and proves it.
    async fn step(&mut self, place: &mut Place, step: Step) -> Result<(), Halt> {
        let done = self.report.done + 1;
        let all = self.report.done + place.upgrade.rest()?.len();
        self.output
            .note(format!("step {done} of {all}: {}", step.text()));
        place.upgrade.now.clone_from(&step.after);
        self.record(place).await?;
        self.prove(place).await?;
        self.report.done += 1;
        Ok(())
    }

    /// Makes and proves the versions of the step that has begun, with a job where one tries them.
    async fn prove(&mut self, place: &Place) -> Result<(), Halt> {
        self.up(place, &place.upgrade.now).await?;
        if place.upgrade.is_tried()? {
            self.smoke(place).await?;
        }
        Ok(())
    }

    /// Goes back to the versions before, and removes the backup: the record goes last. Nothing is changed, the CRDs least of all,
    /// before it is known that all the rest can follow.
    async fn back(&mut self, place: &mut Place) -> Result<()> {
        let session = Box::pin(self.open(place, &place.upgrade.from)).await?;
        Box::pin(ordinary::check(&session, &self.limit, self.output)).await?;
        place.upgrade.stage = Stage::Back;
        self.record(place).await?;
        self.restore(&session, &place.upgrade).await?;
        let work = ordinary::up(session, true, self.global, &mut self.limit, self.output);
        let upped = Box::pin(work).await;
        self.report.changed += upped.changed;
        upped.ended?;
        self.write(place)?;
        let removed = backup::remove(&place.kube, &place.file.profile);
        self.limit.within("removing the backup", removed).await?;
        self.report.stage = None;
        self.report.went_back = true;
        Ok(())
    }

    /// Puts the CRDs back.
    async fn restore(&mut self, session: &Session, upgrade: &Upgrade) -> Result<()> {
        let restored = backup::restore_crds(&session.context.kube, upgrade);
        let missing = self.limit.within("restoring the CRDs", restored).await?;
        for id in missing {
            self.output.note(format!(
                "advice: `{id}` is missing from the backup: its CRD comes from the chart"
            ));
        }
        Ok(())
    }

    /// Writes how far it is into the inventory: before anything that follows from it.
    async fn record(&mut self, place: &mut Place) -> Result<()> {
        let (home, before) = (Home::of(&place.file.profile), place.recorded.as_ref());
        let written = inventory::remember_upgrade(&place.kube, home, &place.upgrade, before);
        self.limit.within("recording the upgrade", written).await?;
        place.recorded = Some(place.upgrade.clone());
        self.report.stage = Some(place.upgrade.stage);
        Ok(())
    }

    fn write(&mut self, place: &mut Place) -> Result<()> {
        if place.text != place.written {
            write(&self.global.file, &place.text, &place.written)?;
            place.text.clone_from(&place.written);
            self.report.written = true;
        }
        Ok(())
    }

    /// An ordinary `up` with these versions.
    async fn up(&mut self, place: &Place, versions: &Versions) -> Result<(), Halt> {
        let session = Box::pin(self.open(place, versions)).await?;
        let work = ordinary::up(session, true, self.global, &mut self.limit, self.output);
        let upped = Box::pin(work).await;
        self.report.changed += upped.changed;
        match upped.ended {
            Ok(_) => Ok(()),
            Err(error) => Err(Halt::of(error, upped.has_tried)),
        }
    }

    /// A session of the profile with these versions.
    pub(super) async fn open(&mut self, place: &Place, versions: &Versions) -> Result<Session> {
        let file = ProfileFile {
            profile: versions.put(&place.file.profile),
            ..place.file.clone()
        };
        let opened = ordinary::open(self.global, file, self.output);
        let session = self.limit.within(READING, opened).await?;
        if !std::mem::replace(&mut self.has_told_target, true) {
            self.output.note_sentence(&session.target(), 2);
        }
        Ok(session)
    }

    /// Fails if the job that tries the runners could not be dispatched: found out once, before the first step.
    pub(super) async fn check_smoke(&self, place: &Place) -> Result<()> {
        let first = place.file.profile.pools.first();
        let (Some(smoke), Some(pool)) = (&place.smoke, first) else {
            return Ok(());
        };
        let args = smoke.on(&pool.name, self.limit.rest());
        let checked = smoke::check(&args, self.global, self.output);
        self.limit.within(READING, checked).await
    }

    /// Has a job run on a pool with its new image, or on the profile's first, if a repository with the workflow is named.
    async fn smoke(&self, place: &Place) -> Result<(), Halt> {
        let Some(smoke) = &place.smoke else {
            return Ok(());
        };
        let own = place.upgrade.tried_pool();
        let own = own.and_then(|it| it.split_once('/'));
        let first = place.file.profile.pools.first();
        let Some(pool) = own.map(|it| it.1).or(first.map(|it| it.name.as_str())) else {
            return Ok(());
        };
        let args = smoke.on(pool, self.limit.rest());
        let ended = Box::pin(smoke::ended(&args, self.global, self.output)).await?;
        self.output.note(report::smoke::text(&ended).trim_end());
        match ended.error {
            Some(error) => Err(Halt::of(error, true)),
            None => Ok(()),
        }
    }
}

/// The error of a step, with how the way back has ended.
fn returned(error: Error, back: Result<()>) -> Error {
    match back {
        Ok(()) => error.cause("the previous versions are restored"),
        Err(failure) => error
            .cause(format!(
                "restoring the previous versions failed: {}",
                failure.document().message
            ))
            .hint(format!("`{BACK}` continues to restore them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::System;

    #[test]
    fn only_what_a_step_made_leads_back() {
        let leads_back = |kind, has_tried| {
            let halt = Halt::of(Error::new(kind, System::Kubernetes, "x"), has_tried);
            matches!(halt, Halt::Unproven(_))
        };
        for kind in [ErrorKind::Failed, ErrorKind::TimedOut, ErrorKind::Stale] {
            assert!(leads_back(kind, true), "{kind:?}");
            // The charts could not be fetched, for example.
            assert!(!leads_back(kind, false), "{kind:?}");
        }
        for kind in [
            ErrorKind::Unauthorized,
            ErrorKind::Locked,
            ErrorKind::Interrupted,
        ] {
            assert!(!leads_back(kind, true), "{kind:?}");
        }
        let other: Halt = Error::new(ErrorKind::Failed, System::Local, "x").into();
        assert!(matches!(other, Halt::Other(_)));
    }
}

//! The steps of an upgrade and of the way back: each ends with something written that the next one, or the next run of the
//! command, finds.

use std::time::Instant;

use crate::{
    cli::commands::smoke::{self, SmokeArgs},
    clients::kube::Kube,
    error::{Error, ErrorKind, Result},
    execute::lease::Lease,
    inventory::{self, Home},
    profile::KubeDuration,
    report::{self, upgrade::Upgraded},
    run::{READING, backup, holder, ordinary},
    session::Session,
    terminal::{
        args::GlobalArgs, deadline::RunLimit, output::Output, profile_file::ProfileFile,
        profile_write::write, signals::stop_on_signals,
    },
    upgrade::{BACK, Next, Stage, Upgrade, path::Step, versions::Versions},
};

/// Where a job runs that tries the runners.
pub(super) struct Smoke {
    /// The repository with the workflow.
    pub(super) repository: String,
    /// The variable with the token that dispatches.
    pub(super) token_env: Option<String>,
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
    /// The job that tries the runners, if one is asked for.
    pub(super) smoke: Option<Smoke>,
}

/// A run of the command.
pub(super) struct Work<'a> {
    /// The arguments of every command.
    pub(super) global: &'a GlobalArgs,
    /// Where it writes.
    pub(super) output: Output,
    /// The time limit that was given.
    pub(super) timeout: KubeDuration,
    /// What is left of it.
    pub(super) limit: RunLimit,
    /// When it began.
    pub(super) started: Instant,
    /// What it tells at its end.
    pub(super) report: Upgraded,
    /// Whether it has said which cluster and GitHub it changes.
    pub(super) has_told_target: bool,
}

/// Whether the versions before come back after an error of this kind: what a step made was not proven. Somebody who stops the
/// command, a credential that is refused or another run decide nothing about the versions.
const fn is_of_the_step(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Failed | ErrorKind::TimedOut | ErrorKind::Stale
    )
}

impl Work<'_> {
    /// Takes the steps, or goes back. `again`: it was begun by an earlier run.
    pub(super) async fn go(&mut self, mut place: Place, again: bool) -> Result<()> {
        let gone = Box::pin(self.forth(&mut place, again)).await;
        let ended = match gone {
            Err(error) if place.upgrade.stage == Stage::Forth && is_of_the_step(error.kind) => {
                self.output.note(format!(
                    "a step was not proven, and the versions from before come back: {}",
                    error.document().message
                ));
                // The step that failed may have used up the time, and has stopped the run.
                self.limit = RunLimit::new(self.timeout, stop_on_signals(), self.output);
                place.written.clone_from(&place.text);
                Err(returned(error, Box::pin(self.back(&mut place)).await))
            }
            other => other,
        };
        self.report.upgrade = Some(place.upgrade);
        ended
    }

    async fn forth(&mut self, place: &mut Place, again: bool) -> Result<()> {
        if again && place.upgrade.stage == Stage::Forth {
            // What an earlier run has begun is proven before the next step.
            self.up(place, &place.upgrade.now.clone()).await?;
        }
        loop {
            match place.upgrade.next()? {
                Next::Save => self.save(place).await?,
                Next::Step(step) => self.step(place, *step).await?,
                Next::Finish => {
                    self.write(place)?;
                    place.upgrade.stage = Stage::Done;
                    return self.record(place).await;
                }
                Next::Restore | Next::Nothing => return Ok(()),
            }
        }
    }

    /// Makes the backup.
    async fn save(&mut self, place: &mut Place) -> Result<()> {
        let session = Box::pin(self.open(place, &place.upgrade.from)).await?;
        let saved = backup::make(&session, &place.text, &mut place.upgrade);
        self.limit.within("making the backup", saved).await?;
        self.report.stage = Some(Stage::Saving);
        let parts = place.upgrade.backup.len();
        self.output
            .note(format!("the backup is in the cluster, in {parts} objects"));
        place.upgrade.stage = Stage::Forth;
        self.record(place).await
    }

    /// Records a step, makes and proves it.
    async fn step(&mut self, place: &mut Place, step: Step) -> Result<()> {
        let (done, all) = (self.report.done + 1, self.report.steps.len());
        self.output
            .note(format!("step {done} of {all}: {}", step.text()));
        place.upgrade.now.clone_from(&step.after);
        self.record(place).await?;
        self.up(place, &step.after).await?;
        if step.canary || step.after == place.upgrade.to {
            self.smoke(place, &step).await?;
        }
        self.report.done += 1;
        Ok(())
    }

    /// Goes back to the versions before, and removes the backup: the record goes last. Nothing is changed, the CRDs least of all,
    /// before it is known that all the rest can follow.
    pub(super) async fn back(&mut self, place: &mut Place) -> Result<()> {
        let session = Box::pin(self.open(place, &place.upgrade.from)).await?;
        Box::pin(ordinary::check(&session, &self.limit, self.output)).await?;
        place.upgrade.stage = Stage::Back;
        self.record(place).await?;
        self.restore(&session, &place.upgrade).await?;
        let work = ordinary::up(session, true, self.global, &mut self.limit, self.output);
        let (changed, ended) = Box::pin(work).await;
        self.report.changed += changed;
        ended?;
        self.write(place)?;
        let removed = backup::remove(&place.kube, &place.file.profile, &place.upgrade);
        self.limit.within("removing the backup", removed).await?;
        self.report.stage = None;
        self.report.went_back = true;
        Ok(())
    }

    /// Puts the CRDs back, under the lease.
    async fn restore(&mut self, session: &Session, upgrade: &Upgrade) -> Result<()> {
        let profile = &session.context.profile;
        let hold = self.limit.options(&profile.timeouts, false, true).hold();
        let restored = async {
            let kube = &session.context.kube;
            let home = &profile.controller.namespace;
            let lease = Lease::acquire(kube, home, &profile.name, &holder(), hold).await?;
            let restored = backup::restore_crds(kube, upgrade).await;
            lease.release().await;
            restored
        };
        let missing = self.limit.within("putting the CRDs back", restored).await?;
        for id in missing {
            self.output.note(format!(
                "advice: `{id}` is not in the backup any more: its CRD comes from the chart"
            ));
        }
        Ok(())
    }

    /// Writes how far it is into the inventory: before anything that follows from it.
    async fn record(&mut self, place: &Place) -> Result<()> {
        let home = Home::of(&place.file.profile);
        let written = inventory::remember_upgrade(&place.kube, home, &place.upgrade);
        self.limit.within("recording the upgrade", written).await?;
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
    async fn up(&mut self, place: &Place, versions: &Versions) -> Result<()> {
        let session = Box::pin(self.open(place, versions)).await?;
        let work = ordinary::up(session, true, self.global, &mut self.limit, self.output);
        let (changed, ended) = Box::pin(work).await;
        self.report.changed += changed;
        ended.map(|_| ())
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

    /// Has a job run on the first of the step's pools, or of the profile's, if a repository with the workflow is named.
    async fn smoke(&self, place: &Place, step: &Step) -> Result<()> {
        let Some(smoke) = &place.smoke else {
            return Ok(());
        };
        let own = step.pools.first().and_then(|it| it.split_once('/'));
        let first = place.file.profile.pools.first();
        let Some(pool) = own.map(|it| it.1).or(first.map(|it| it.name.as_str())) else {
            return Ok(());
        };
        let args = SmokeArgs::of_pool(
            pool.to_owned(),
            smoke.repository.clone(),
            smoke.token_env.clone(),
            self.limit.rest(),
        );
        let ended = Box::pin(smoke::ended(&args, self.global, self.output)).await?;
        self.output.note(report::smoke::text(&ended).trim_end());
        ended.error.map_or(Ok(()), Err)
    }
}

/// The error of a step, with how the way back has ended.
fn returned(error: Error, back: Result<()>) -> Error {
    match back {
        Ok(()) => error.cause("the versions from before are there again"),
        Err(failure) => error
            .cause(format!(
                "and the way back has failed: {}",
                failure.document().message
            ))
            .hint(format!("`{BACK}` goes on with the way back")),
    }
}

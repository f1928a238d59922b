//! The steps of a migration: each ends with something written that the next one, or the next run of the command, finds.

use super::MigrateArgs;
use crate::{
    clients::kube::Kube,
    error::{Error, Result, System},
    inventory::{self, Home},
    migration::{
        Migration, Next, Stage,
        counterpart::{Counterpart, Wish, counterpart},
        peaks::Peaks,
        text::File,
        workflows::Workflows,
    },
    observe,
    plan::Changes,
    profile::Pool,
    report::{self, migration::Migrated, plan::Layout},
    run::{READING, ordinary},
    session::Session,
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        output::Output,
        profile_file::{self, ProfileFile},
        profile_write::write,
        prompt,
    },
};

/// How far a migration is: what the profile says, and the record.
pub(super) struct Place {
    /// The cluster with the inventory.
    pub(super) kube: Kube,
    /// The profile.
    pub(super) file: ProfileFile,
    /// Its text.
    pub(super) text: String,
    /// The migration.
    pub(super) migration: Migration,
}

/// A run of the command.
pub(super) struct Work<'a> {
    /// Its arguments.
    pub(super) args: &'a MigrateArgs,
    /// The arguments of every command.
    pub(super) global: &'a GlobalArgs,
    /// Where it writes.
    pub(super) output: Output,
    /// Its time limit.
    pub(super) limit: RunLimit,
    /// What it tells at its end.
    pub(super) report: Migrated,
    /// Whether it has said which cluster and GitHub it changes.
    pub(super) has_told_target: bool,
}

impl Work<'_> {
    /// Goes on from `place` to the end, or to where it is to stop.
    pub(super) async fn go(&mut self, mut place: Place) -> Result<()> {
        let gone = Box::pin(self.steps(&mut place)).await;
        self.report.migration = Some(place.migration);
        gone
    }

    async fn steps(&mut self, place: &mut Place) -> Result<()> {
        let first = place.migration.next(&place.file.profile)?;
        if !self.args.dry_run {
            Box::pin(self.check(place, &first)).await?;
        }
        loop {
            let next = place.migration.next(&place.file.profile)?;
            if self.args.dry_run {
                return Box::pin(self.show(place, &next)).await;
            }
            let goes_on = match next {
                Next::Add(name) => Box::pin(self.add(place, &name)).await?,
                Next::Prove => Box::pin(self.prove(place)).await?,
                Next::TakeOut(name) => self.take_out(place, &name, &first).await?,
                Next::Restore => Box::pin(self.restore(place)).await?,
                Next::Finish => return Box::pin(self.finish(place)).await,
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// Puts the pool `name` into the profile.
    async fn add(&mut self, place: &mut Place, name: &str) -> Result<bool> {
        place.migration.unproven();
        let (new, text) = self.with(place, name)?;
        let file = profile_file::with_text(&text, self.global)?;
        refuse_alone(place, &file.name, &text)?;
        let opened = Box::pin(self.open(file.clone())).await;
        let session = opened.map_err(without_labels)?;
        // The lock cannot have a pool that the file does not have yet: the run that makes it compares them.
        session.lock.check_others()?;
        let plan = observe::plan(&session.context, &session.desired, false);
        self.limit.within(READING, plan).await?;
        let question = format!("Put pool `{name}` into `{}`?", file.name);
        let told = self.told(place, &new);
        if !self.agreed(&told, &question)? {
            self.report.declined = true;
            self.output.note("nothing was changed");
            return Ok(false);
        }
        self.record(place).await?;
        self.write(place, text, file)?;
        Ok(true)
    }

    /// Makes both pools, and goes on once the new one is proven.
    async fn prove(&mut self, place: &mut Place) -> Result<bool> {
        self.record(place).await?;
        if !Box::pin(self.up(place)).await? {
            return Ok(false);
        }
        Box::pin(self.smoke(place)).await?;
        let (from, to) = (&place.migration.from, &place.migration.to);
        if let Some(new) = place.file.profile.pool(&from.namespace, to) {
            self.compare(place, new);
        }
        if self.args.beside || !self.has_had_a_runner(place) {
            return Ok(false);
        }
        let workflows = self.report.workflows.as_ref();
        let mut told = vec![format!(
            "pool `{to}` is verified; next, pool `{}` finishes its jobs and is removed, also from `{}`",
            from.name, place.file.name
        )];
        told.extend(
            workflows
                .map(|it| it.text(&from.name, to))
                .unwrap_or_default(),
        );
        let question = format!("Remove pool `{}`?", from.name);
        if !self.agreed(&told.join("\n"), &question)? {
            return Ok(false);
        }
        place.migration.stage = Stage::Removing;
        self.record(place).await?;
        Ok(true)
    }

    /// Takes the pool `name` out of the profile; `first` is the step with which this run of the command began.
    async fn take_out(&mut self, place: &mut Place, name: &str, first: &Next) -> Result<bool> {
        let text = file_of(place).without(name)?;
        let file = profile_file::with_text(&text, self.global)?;
        if place.migration.asks_to_go_back(first) {
            let told = format!(
                "pool `{0}` is created and verified as it was before; then pool `{name}` finishes its jobs and is removed, also from `{1}`",
                place.migration.from.name, file.name
            );
            if !self.agreed(&told, "Go back?")? {
                return Ok(false);
            }
        }
        self.record(place).await?;
        self.write(place, text, file)?;
        Ok(true)
    }

    /// Makes and proves the old pool as it was. The new one is kept until then: jobs may have no other.
    async fn restore(&mut self, place: &mut Place) -> Result<bool> {
        self.record(place).await?;
        if !Box::pin(self.up(place)).await? {
            return Ok(false);
        }
        place.migration.stage = Stage::Back;
        self.record(place).await?;
        Ok(true)
    }

    /// Removes what is left of the pool that is not in the profile any more.
    async fn finish(&mut self, place: &mut Place) -> Result<()> {
        self.record(place).await?;
        if !Box::pin(self.up(place)).await? {
            return Ok(());
        }
        let home = Home::of(&place.file.profile);
        let forgotten = inventory::forget_migration(&place.kube, home, &place.migration);
        let doing = "removing the record of the migration";
        self.limit.within(doing, forgotten).await?;
        self.report.stage = None;
        Ok(())
    }

    /// Shows what comes next, and the plan of the run that makes the new pool.
    async fn show(&mut self, place: &Place, next: &Next) -> Result<()> {
        let from = &place.migration.from.name;
        let (mut told, file) = match next {
            Next::Add(name) => {
                let (new, text) = self.with(place, name)?;
                let file = profile_file::with_text(&text, self.global)?;
                (self.told(place, &new), Some(file))
            }
            Next::Prove => (
                format!(
                    "both pools are in the profile: they are created and verified, then `{from}` is removed"
                ),
                Some(place.file.clone()),
            ),
            Next::TakeOut(name) => (
                format!("pool `{name}` finishes its jobs and is removed, also from the profile"),
                None,
            ),
            Next::Restore => (
                format!(
                    "pool `{from}` is created and verified as it was before, then `{}` is removed",
                    place.migration.to
                ),
                Some(place.file.clone()),
            ),
            Next::Finish => (
                "the profile has only one of the two pools: the other one finishes its jobs and is removed"
                    .to_owned(),
                None,
            ),
        };
        self.report.changes = Some(Changes::default());
        if let Some(file) = file {
            let opened = Box::pin(self.open(file)).await;
            let session = opened.map_err(without_labels)?;
            match next {
                Next::Add(_) => session.lock.check_others()?,
                _ => session.lock.check()?,
            }
            let plan = observe::plan(&session.context, &session.desired, false);
            let plan = self.limit.within(READING, plan).await?;
            self.report.changes = Some(plan.changes());
            let text = report::plan::text(&plan, self.output.verbosity > 0, Layout::Grouped);
            told = format!("{told}\n\n{}", text.trim_end());
        }
        if !self.output.is_json() {
            self.output.result(&format!("{told}\n"));
        }
        Ok(())
    }

    /// The pool `name`, and the profile's text with it.
    fn with(&mut self, place: &Place, name: &str) -> Result<(Pool, String)> {
        let from = &place.migration.from;
        let (after, made) = if name == from.name {
            refuse_unknown(from)?;
            let as_it_was = Counterpart {
                pool: from.clone(),
                differs: Vec::new(),
            };
            (&place.migration.to, as_it_was)
        } else {
            // The profile's own, which may have changed since the migration began.
            let old = place.file.profile.pool(&from.namespace, &from.name);
            let wish = Wish {
                name,
                mode: place.migration.mode,
                image: place.migration.image.as_deref(),
                labels: !place.migration.no_labels,
            };
            (&from.name, counterpart(old.unwrap_or(from), &wish)?)
        };
        let text = file_of(place).with(after, &made.pool)?;
        self.report.differs = made.differs;
        self.compare(place, &made.pool);
        Ok((made.pool, text))
    }

    /// Finds out what the new pool changes for jobs.
    fn compare(&mut self, place: &Place, new: &Pool) {
        if place.migration.stage.is_way_back() {
            return;
        }
        let old = &place.migration.from;
        self.report.peaks = Some(Peaks::of(old, new));
        self.report.workflows = Some(Workflows::of(&place.file.profile, old, new));
    }

    /// What is about to happen, for a question.
    fn told(&self, place: &Place, new: &Pool) -> String {
        let (to, file) = (&place.migration.to, &place.file.name);
        if place.migration.stage.is_way_back() {
            let ends = if place.migration.was_there {
                "stays"
            } else {
                "finishes its jobs and is removed"
            };
            return format!(
                "pool `{}` is added to `{file}` again as it was, created and verified; then `{to}` {ends}",
                new.name
            );
        }
        let mut told = self.report.summary(&place.migration, new);
        if self.args.smoke.is_some() && !self.args.beside {
            told.push_str(&smoke_needs(&new.name));
        }
        told
    }

    fn agreed(&mut self, told: &str, question: &str) -> Result<bool> {
        prompt::agreed(told, question, self.args.yes, &mut self.limit, self.output)
    }

    /// Writes how far it is into the inventory: before anything that follows from it.
    async fn record(&mut self, place: &Place) -> Result<()> {
        let home = Home::of(&place.file.profile);
        let written = inventory::remember_migration(&place.kube, home, &place.migration);
        self.limit
            .within("recording the migration", written)
            .await?;
        self.report.stage = Some(place.migration.stage);
        Ok(())
    }

    fn write(&mut self, place: &mut Place, text: String, file: ProfileFile) -> Result<()> {
        write(&self.global.file, &place.text, &text)?;
        (place.text, place.file) = (text, file);
        self.report.written = true;
        Ok(())
    }

    /// An ordinary `up` with the profile; false if somebody answered no.
    async fn up(&mut self, place: &Place) -> Result<bool> {
        let session = Box::pin(self.open(place.file.clone())).await?;
        let (yes, global, output) = (self.args.yes, self.global, self.output);
        let work = ordinary::up(session, yes, global, &mut self.limit, output);
        let upped = Box::pin(work).await;
        self.report.changed += upped.changed;
        upped.ended
    }

    /// A session of a profile.
    pub(super) async fn open(&mut self, file: ProfileFile) -> Result<Session> {
        let opened = ordinary::open(self.global, file, self.output);
        let session = self.limit.within(READING, opened).await?;
        if !std::mem::replace(&mut self.has_told_target, true) {
            self.output.note_sentence(&session.target(), 2);
        }
        Ok(session)
    }
}

/// What to do where the server gives scale sets no labels.
fn without_labels(error: Error) -> Error {
    let object = error.object.as_deref().unwrap_or_default();
    if error.system == System::GitHub && object.ends_with(".labels") {
        return error.hint(
            "use `--no-labels`: the new pool then has no labels, and jobs find it only by its name",
        );
    }
    error
}

/// What the job of `--smoke` needs, which nobody can have committed before the new pool is in the profile.
fn smoke_needs(pool: &str) -> String {
    format!(
        "\n`--smoke` needs a job for `{pool}` in the workflow of the repository: if there is none, answer no, run this command with `--beside`, then `arcctl render`, commit the workflow, and run the same command again without `--beside`"
    )
}

/// Fails where nothing has the old pool any more: neither the profile, nor the Secret that is made when a migration begins.
fn refuse_unknown(from: &Pool) -> Result<()> {
    if !from.image.is_empty() {
        return Ok(());
    }
    Err(Error::failed(
        System::Kubernetes,
        format!("the record of pool `{}` from before the migration no longer exists", from.name),
    )
    .object(format!("pool `{}`", from.name))
    .hint("add the pool to the profile by hand, as it is in your repository, and run the same command again"))
}

/// What refuses the profile without the pool that is to go, told before anything is written.
fn refuse_alone(place: &Place, name: &str, text: &str) -> Result<()> {
    let Some(goes) = place.migration.goes() else {
        return Ok(());
    };
    File { name, text }.without(goes).map(|_| ())
}

fn file_of(place: &Place) -> File<'_> {
    File {
        name: &place.file.name,
        text: &place.text,
    }
}

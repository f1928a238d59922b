//! `arcctl migrate`: moves a pool to the other mode of the controller, with both pools in between.

mod checks;
mod steps;

use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::{
    error::{Error, ErrorKind, Result, System},
    inventory,
    migration::{Asked, migration},
    profile::{KubeDuration, Mode},
    report::migration::Migrated,
    run::READING,
    session::connection::Connection,
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        output::Output,
        profile_file::{self, ProfileFile},
        signals::stop_on_signals,
    },
    upgrade::Upgrade,
};
use steps::Work;

/// Move a pool to the other mode: create and verify a new pool, then drain and remove the old one
///
/// Adds the new pool to the profile, after the old one; comments and everything else stay. Both pools take jobs, as far as their
/// labels allow, until the new one is verified. Then the old pool finishes its jobs and is removed, also from the profile. To
/// continue an interrupted migration, run the same command again; to undo it, use `--back`. docs/scale-sets.md lists the
/// differences between the modes.
#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct MigrateArgs {
    /// Pool to move
    #[arg(value_name = "POOL")]
    pool: String,
    /// Mode of the new pool
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        required_unless_present = "back"
    )]
    to: Option<To>,
    /// Undo the migration: keep the old pool, or create it again, and remove the new one
    #[arg(long, conflicts_with_all = ["to", "name", "image", "no_labels", "beside", "smoke"])]
    back: bool,
    /// Name of the new pool [default: POOL-ss for a scale set, POOL-rd for the other mode]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Image of the new pool [default: the other mode's standard image, with the same runner version]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Create the scale set without labels, for a GitHub Enterprise Server before 3.18: only its name selects it
    #[arg(long)]
    no_labels: bool,
    /// Stop when the new pool is verified, and keep both pools
    #[arg(long)]
    beside: bool,
    /// Before the old pool is removed, run a job on the new one, with the workflow of `arcctl render` in this repository
    ///
    /// The workflow needs a job for the new pool: run the command with `--beside` first, then `arcctl render`, commit the
    /// workflow, and run the command again without `--beside`.
    #[arg(long, value_name = "OWNER/NAME")]
    smoke: Option<String>,
    /// With --smoke: environment variable with the token that dispatches the workflow [default: the profile's credential]
    #[arg(long, value_name = "VARIABLE", requires = "smoke")]
    token_env: Option<String>,
    /// Show the next step, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    /// Time limit for the whole command
    #[arg(long, value_name = "DURATION", default_value = "30m")]
    timeout: KubeDuration,
}

/// The modes, as in the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    /// A runner scale set of GitHub's own controller
    #[value(name = "scaleSet")]
    ScaleSet,
    /// A `RunnerDeployment` of the community controller
    #[value(name = "runnerDeployment")]
    RunnerDeployment,
}

impl MigrateArgs {
    fn asked(&self) -> Asked<'_> {
        let mode = self.to.map(|it| match it {
            To::ScaleSet => Mode::ScaleSet,
            To::RunnerDeployment => Mode::RunnerDeployment,
        });
        Asked {
            pool: &self.pool,
            mode: mode.filter(|_| !self.back),
            name: self.name.as_deref(),
            image: self.image.as_deref(),
            no_labels: self.no_labels,
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: &MigrateArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let started = Instant::now();
    let what = "a migration changes";
    let (file, text) = profile_file::read_to_change(what, args.dry_run, args.yes, global, output)?;
    let limit = RunLimit::new(args.timeout, stop_on_signals(), output);
    let mut work = Work {
        report: Migrated {
            profile: file.profile.name.clone(),
            file: file.name.clone(),
            pool: args.pool.clone(),
            ..Migrated::default()
        },
        args,
        global,
        output,
        limit,
        has_told_target: false,
    };
    let ended = Box::pin(migrate(&mut work, file, text)).await;
    let mut report = work.report;
    report.error = ended.err();
    report.elapsed = started.elapsed();
    Ok(finish(&report, global, output))
}

/// Finds out what is asked for, and does it.
async fn migrate(work: &mut Work<'_>, file: ProfileFile, text: String) -> Result<()> {
    let (global, profile) = (work.global, &file.profile);
    let opened = async {
        let kube = Box::pin(Connection::open(global, profile)).await?.kube;
        let home = inventory::Home::of(profile);
        let known = inventory::read(&kube, home).await?;
        refuse_upgrade(known.upgrade.as_ref())?;
        let known = inventory::with_pools(&kube, home, known.migrations, profile).await?;
        Ok((kube, known))
    };
    let (kube, recorded) = work.limit.within(READING, opened).await?;
    let Some(migration) = migration(profile, &recorded, &work.args.asked())? else {
        return Ok(());
    };
    let known = recorded
        .iter()
        .find(|it| it.from.name == migration.from.name);
    work.report.stage = known.map(|it| it.stage);
    let place = steps::Place {
        kube,
        file,
        text,
        migration,
    };
    Box::pin(work.go(place)).await
}

/// Each step of an upgrade is proven with the pools as they were at its beginning.
fn refuse_upgrade(upgrade: Option<&Upgrade>) -> Result<()> {
    let Some(upgrade) = upgrade.filter(|it| it.is_in_progress()) else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::Refused,
        System::Kubernetes,
        "an upgrade is in progress",
    )
    .object(format!("the upgrade of {}", upgrade.began))
    .hint(upgrade.notice()))
}

fn finish(report: &Migrated, global: &GlobalArgs, output: Output) -> u8 {
    if output.is_json() {
        output.document(&report.document());
    }
    if let Some(error) = &report.error {
        global.actions.failure(error);
        output.print_error(error);
        if let Some(migration) = report.migration.as_ref().filter(|_| report.stage.is_some()) {
            output.note(migration.notice());
        }
        return error.kind.exit_code();
    }
    let text = report.text();
    if !output.is_json() && !text.is_empty() {
        output.result(&text);
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upgrade::{Stage, versions::Versions};

    #[test]
    fn a_migration_waits_for_the_end_of_an_upgrade() {
        let upgrade = |stage| Upgrade {
            from: Versions::default(),
            now: Versions::default(),
            to: Versions::default(),
            stage,
            began: "2026-11-27 09:00 UTC".into(),
            backup: Vec::new(),
            secret: None,
        };
        for stage in [Stage::Saving, Stage::Forth, Stage::Back] {
            let error = refuse_upgrade(Some(&upgrade(stage))).unwrap_err();
            assert_eq!(error.kind.exit_code(), 7);
            assert!(error.hint.unwrap().contains("arcctl rollback"), "{stage:?}");
        }
        assert!(refuse_upgrade(Some(&upgrade(Stage::Done))).is_ok());
        assert!(refuse_upgrade(None).is_ok());
    }
}

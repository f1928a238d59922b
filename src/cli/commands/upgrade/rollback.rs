//! `arcctl rollback`: the versions before the last upgrade, from its backup.

use clap::Args;

use super::{
    begin::{look, pending, refuse_lock, with_versions},
    finish, read,
    steps::{Place, Work},
};
use crate::{
    error::{Error, ErrorKind, Result, System},
    profile::KubeDuration,
    report::upgrade::Consent,
    terminal::{args::GlobalArgs, output::Output, profile_file::ProfileFile, prompt},
    upgrade::{Stage, path::path},
};

/// Go back to the versions before the last upgrade
///
/// Restores the CRDs from the backup that `arcctl upgrade` made in the cluster, and runs an `up` with the previous versions, which
/// the profile gets too. Refuses if something else has changed since the upgrade. It also undoes an interrupted upgrade, and
/// continues an interrupted rollback (docs/upgrade.md).
#[derive(Args)]
pub(crate) struct RollbackArgs {
    /// Show the versions to go back to, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    /// Time limit for the whole command
    #[arg(long, value_name = "DURATION", default_value = "30m")]
    timeout: KubeDuration,
}

/// Runs the command.
pub(crate) async fn run(args: &RollbackArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let (file, text) = read(args.dry_run, args.yes, global, output)?;
    let mut work = Work::new(&file, args.timeout, global, output);
    let ended = Box::pin(roll_back(&mut work, args, file, text)).await;
    Ok(finish(work, ended, global, output))
}

async fn roll_back(
    work: &mut Work<'_>,
    args: &RollbackArgs,
    file: ProfileFile,
    text: String,
) -> Result<()> {
    refuse_lock(work)?;
    let seen = look(work, &file.profile).await?;
    let Some(upgrade) = seen.known.upgrade.clone() else {
        return Err(no_upgrade(&file.profile.name));
    };
    upgrade.check_unchanged(&seen.installed)?;
    work.report.stage = Some(upgrade.stage);
    work.report.upgrade = Some(upgrade.clone());
    // The same steps, backwards, in one.
    work.report.steps = path(&upgrade.from, &upgrade.to)?;
    let written = with_versions(work, &file, &text, &upgrade.from)?;
    let place = Place {
        kube: seen.kube,
        file,
        text,
        written,
        recorded: Some(upgrade.clone()),
        upgrade,
        smoke: None,
    };
    if place.upgrade.stage == Stage::Done {
        Box::pin(refuse_changed(work, &place)).await?;
    }
    let told = format!(
        "roll back to the versions before the upgrade of {} ({}), from its backup in {} objects",
        place.upgrade.began,
        place.upgrade.text(),
        place.upgrade.backup.len()
    );
    if args.dry_run {
        work.report.consent = Consent::NotAsked;
        if !work.output.is_json() {
            work.output.result(&format!("{told}\n"));
        }
        return Ok(());
    }
    if !prompt::confirmed(&told, "Go back?", args.yes, &mut work.limit, work.output)? {
        work.report.consent = Consent::Declined;
        return Ok(());
    }
    Box::pin(work.go_back(place)).await
}

fn no_upgrade(profile: &str) -> Error {
    Error::new(
        ErrorKind::Usage,
        System::Kubernetes,
        format!("profile `{profile}` has no upgrade to roll back"),
    )
    .object(profile)
    .hint("write the versions that you want into the profile, and run `arcctl up`")
}

/// Fails if the cluster is not as the upgrade has left it: going back would also change something else.
async fn refuse_changed(work: &mut Work<'_>, place: &Place) -> Result<()> {
    let session = Box::pin(work.open(place, &place.upgrade.to)).await?;
    let pending = pending(work, &session).await?;
    if pending == 0 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Refused,
        System::Kubernetes,
        format!(
            "there were other changes after the upgrade of {}: {pending} resources differ from `{}`",
            place.upgrade.began, place.file.name
        ),
    )
    .object(&place.file.name)
    .hint("`arcctl plan` shows them; apply the profile with `arcctl up`, then roll back"))
}

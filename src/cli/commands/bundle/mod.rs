//! `arcctl bundle`: the charts and images of the profile in one file, for a registry that cannot reach theirs.

use std::{path::PathBuf, time::Instant};

use clap::{Args, Subcommand};

use crate::{
    error::{Error, ErrorKind, Result, System},
    profile::{KubeDuration, Profile},
    report::bundle::BundleReport,
    session::bundle::{create::create, push::push, registry},
    terminal::{
        args::GlobalArgs, deadline::RunLimit, output::Output, profile_file,
        signals::stop_on_signals,
    },
};

/// The platform of the images, where none is named: that of most nodes.
const PLATFORM: &str = "linux/amd64";

/// The value of `--platform` for all of them.
const ALL: &str = "all";

/// Put every chart and image of the profile into one file, and push it to a registry
#[derive(Args)]
pub(crate) struct BundleArgs {
    #[command(subcommand)]
    command: BundleCommand,
}

#[derive(Subcommand)]
enum BundleCommand {
    /// Read every chart and image of the lock, and write them into one file
    Create(CreateArgs),
    /// Push a bundle to a registry: only what it lacks
    Push(PushArgs),
}

/// Read every chart and image of the lock, and write them into one file
///
/// The file is an OCI image layout in a tar archive, with the lock and a bill of materials. Without a lock the charts and images
/// are read as they are now. It needs helm and the registries, and no cluster. An interrupted run is continued by the next one:
/// what was downloaded is in `FILE.parts` (docs/bundle.md).
#[derive(Args)]
struct CreateArgs {
    /// The file of the bundle [default: the profile's name with `.bundle.tar`]
    #[arg(value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// A platform of the nodes, for example `linux/arm64`; `all` for every platform of each image. Can be repeated
    #[arg(long, value_name = "PLATFORM", default_value = PLATFORM)]
    platform: Vec<String>,
    /// Time limit for the whole run
    #[arg(long, value_name = "DURATION", default_value = "2h")]
    timeout: KubeDuration,
}

/// Push a bundle to a registry: only what it lacks
///
/// The logins are those of `docker login` and `helm registry login`, else the pull secrets of the profile. Images keep their
/// path: `quay.io/jetstack/cert-manager-webhook` becomes `REGISTRY/PATH/jetstack/cert-manager-webhook`. An interrupted run is
/// continued by the next one.
#[derive(Args)]
struct PushArgs {
    /// The file of the bundle
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// The registry, as `oci://REGISTRY/PATH`
    #[arg(value_name = "REGISTRY")]
    registry: String,
    /// Time limit for the whole run
    #[arg(long, value_name = "DURATION", default_value = "2h")]
    timeout: KubeDuration,
}

/// Runs the command.
pub(crate) async fn run(args: &BundleArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let began = Instant::now();
    let profile = profile_file::read(global, output)?.profile;
    let mut report = BundleReport {
        profile: profile.name.clone(),
        ..BundleReport::default()
    };
    match &args.command {
        BundleCommand::Create(args) => {
            let file = args.file(&profile);
            let platforms = args.platforms()?;
            let limit = RunLimit::new(args.timeout, stop_on_signals(), output);
            let making = Box::pin(create(&profile, &file, &platforms, global, output));
            let made = limit.within("reading charts and images", making).await?;
            report.created = Some(made);
        }
        BundleCommand::Push(args) => {
            let registry = registry(&args.registry)?;
            let limit = RunLimit::new(args.timeout, stop_on_signals(), output);
            let pushing = Box::pin(push(&profile, &args.bundle, registry, global, output));
            let pushed = limit.within("pushing the bundle", pushing).await?;
            report.pushed = Some(pushed);
        }
    }
    report.elapsed = began.elapsed();
    if output.is_json() {
        output.document(&report.document(None));
    } else {
        output.result(&report.text());
    }
    if let Some(made) = &report.created {
        output.note(format!(
            "next: `arcctl bundle push {} oci://REGISTRY/PATH`",
            made.file
        ));
    }
    if let Some(pushed) = &report.pushed {
        output.note(format!(
            "next: `arcctl up --bundle oci://{}`",
            pushed.registry
        ));
    }
    Ok(0)
}

impl CreateArgs {
    fn file(&self, profile: &Profile) -> PathBuf {
        let default = || PathBuf::from(format!("{}.bundle.tar", profile.name));
        self.bundle.clone().unwrap_or_else(default)
    }

    /// The platforms; none for all.
    fn platforms(&self) -> Result<Vec<String>> {
        if self.platform.iter().any(|it| it == ALL) {
            return Ok(Vec::new());
        }
        let is_platform = |it: &&String| {
            let parts: Vec<&str> = it.split('/').collect();
            matches!(parts.len(), 2 | 3) && parts.iter().all(|it| !it.is_empty())
        };
        match self.platform.iter().find(|it| !is_platform(it)) {
            None => Ok(self.platform.clone()),
            Some(wrong) => Err(Error::new(
                ErrorKind::Usage,
                System::Local,
                format!("`{wrong}` is not a platform"),
            )
            .hint("write it as OS/ARCHITECTURE, for example linux/arm64, or `all`")),
        }
    }
}

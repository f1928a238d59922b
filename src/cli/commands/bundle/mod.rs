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
    Create(CreateArgs),
    Push(PushArgs),
}

/// Download every chart and image of the lock, and write them into one file
///
/// The file is an OCI image layout in a tar archive, with the lock and a bill of materials (SBOM). Without a lock it gets the
/// current charts and images. It needs helm and the registries, but no cluster. To continue an interrupted run, run the same
/// command again: downloaded parts are kept in `FILE.parts` (docs/bundle.md).
#[derive(Args)]
struct CreateArgs {
    /// File of the bundle [default: NAME.bundle.tar, with the profile's name]
    #[arg(value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Platform of the nodes, for example `linux/arm64`, or `all` for every platform of each image; can be repeated
    #[arg(long, value_name = "PLATFORM", default_value = PLATFORM)]
    platform: Vec<String>,
    /// Time limit for the whole run
    #[arg(long, value_name = "DURATION", default_value = "2h")]
    timeout: KubeDuration,
}

/// Push a bundle to a registry; what is already there is not pushed again
///
/// It uses the logins of `docker login` and `helm registry login`, else the pull secrets of the profile. Images keep their path:
/// `quay.io/jetstack/cert-manager-webhook` becomes `REGISTRY/PATH/jetstack/cert-manager-webhook`. To continue an interrupted
/// run, run the same command again.
#[derive(Args)]
struct PushArgs {
    /// File of the bundle
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// Registry and path, as `oci://REGISTRY/PATH`
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

//! The arguments that every command accepts.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use clap::ArgAction;

use super::{
    github_actions::Actions,
    output::{Color, Format, ProgressStyle},
};

/// What every command takes. In its help, after its own options.
#[derive(clap::Args, Clone)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Profile file; `-` reads stdin
    #[arg(
        short,
        long,
        global = true,
        value_name = "PROFILE",
        default_value = "arcctl.yaml"
    )]
    pub(crate) file: PathBuf,
    /// Output format
    #[arg(short, long, global = true, value_enum, default_value = "human")]
    pub(crate) output: Format,
    /// Kubeconfig file [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Kubeconfig context; overrides `cluster.context` of the profile
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// When to use color
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub(crate) color: Color,
    /// How the progress of a run is shown
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub(crate) progress: ProgressStyle,
    /// Show unchanged resources and log decisions (-vv: requests to all systems and helm's arguments, -vvv: retries and
    /// watch events). `ARCCTL_LOG` in the environment names a file for the whole log
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Show only the result and errors
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) quiet: u8,
    /// In GitHub Actions: ask GitHub's log to hide the credential; only needed where it is not one of the workflow's
    /// secrets. The credential goes to stderr for that, so do not use it where stderr is kept (`2>&1`, `tee`)
    #[arg(long, global = true)]
    pub(crate) mask: bool,
    /// The profile's name, once it is read: error documents contain it too.
    #[arg(skip)]
    pub(crate) profile: Arc<OnceLock<String>>,
    /// The annotations, summary and outputs for GitHub Actions.
    #[arg(skip)]
    pub(crate) actions: Actions,
}

impl GlobalArgs {
    pub(crate) fn profile_name(&self) -> &str {
        self.profile.get().map_or("", String::as_str)
    }
}

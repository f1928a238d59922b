//! The arguments that every command takes.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use clap::ArgAction;

use super::{
    github_actions::Actions,
    output::{Color, Format},
};

/// What every command takes.
#[derive(clap::Args, Clone)]
pub(crate) struct GlobalArgs {
    /// The profile; `-` is stdin
    #[arg(
        short,
        long,
        global = true,
        value_name = "PROFILE",
        default_value = "arcctl.yaml"
    )]
    pub(crate) file: PathBuf,
    /// The form of the result on stdout
    #[arg(short, long, global = true, value_enum, default_value = "human")]
    pub(crate) output: Format,
    /// The kubeconfig; by the usual rules where left out
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig, before the profile's own
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub(crate) color: Color,
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
    /// The profile's name, once it is read: documents of failures have it too.
    #[arg(skip)]
    pub(crate) profile: Arc<OnceLock<String>>,
    /// What is left behind in GitHub Actions.
    #[arg(skip)]
    pub(crate) actions: Actions,
}

impl GlobalArgs {
    pub(crate) fn profile_name(&self) -> &str {
        self.profile.get().map_or("", String::as_str)
    }
}

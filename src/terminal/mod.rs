//! The command's user interface: output, prompts, environment variables and signals.

pub(crate) mod args;
pub(crate) mod deadline;
pub(crate) mod environment;
pub(crate) mod github_actions;
pub(crate) mod output;
pub(crate) mod panic;
pub(crate) mod pool_names;
pub(crate) mod profile_file;
pub(crate) mod profile_write;
pub(crate) mod progress;
pub(crate) mod prompt;
pub(crate) mod question;
pub(crate) mod second_signal;
pub(crate) mod signals;

//! `arcctl init`: looks, asks, and writes a profile.
//!
//! `look/` reads; `facts`, `answers`, `questions` and `text` are pure. Nothing is written before the last question is
//! answered, and never over a file that exists.

mod adopt;
pub(crate) mod answers;
mod dialog;
pub(crate) mod facts;
mod look;
mod outcome;
pub(crate) mod questions;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod text;
mod wizard;

use std::path::Path;

use answers::{Answers, Key};
use outcome::finish;
use text::Extras;
use wizard::Wizard;

use crate::{
    error::{Error, ErrorKind, Result, System},
    terminal::{args::GlobalArgs, deadline::RunLimit, output::Output, question},
};

/// What the command line asks for.
pub(crate) struct Request {
    /// The answers of the flags.
    pub answers: Answers,
    /// What no question asks for.
    pub extras: Extras,
    /// Whether the defaults are taken.
    pub yes: bool,
    /// The AWS region to look for clusters in.
    pub region: Option<String>,
    /// Whether an installation made by hand is read in place of questions.
    pub from_cluster: bool,
    /// Its controller, as NAMESPACE/RELEASE, where there are several.
    pub controller: Option<String>,
}

/// Looks, asks and writes; returns the exit code.
pub(crate) async fn run(request: Request, global: &GlobalArgs, output: Output) -> Result<u8> {
    let path = &global.file;
    refuse_existing(path)?;
    if request.from_cluster {
        let limit = RunLimit::reading(output);
        return Box::pin(adopt::run(request, global, &limit, output)).await;
    }
    if !request.yes && !question::is_possible() {
        return Err(no_terminal());
    }
    let limit = RunLimit::reading(output);
    let mut wizard = Wizard::new(request, global, output);
    let text = Box::pin(wizard.profile(&limit)).await?;
    Box::pin(finish(wizard, text, &limit, global, output)).await
}

/// A profile is never overwritten.
fn refuse_existing(path: &Path) -> Result<()> {
    // A link that leads nowhere is something that exists too.
    if path == Path::new("-") || path.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(exists(path))
}

fn exists(path: &Path) -> Error {
    Error::new(
        ErrorKind::Refused,
        System::Local,
        format!("`{}` exists, and `arcctl init` overwrites nothing", path.display()),
    )
    .object(path.display())
    .hint("name another file with -f, or go on with this one: `arcctl plan` shows what it would change")
}

fn no_terminal() -> Error {
    let needed = [Key::Cluster, Key::Scope].map(Key::flag);
    Error::new(
        ErrorKind::Usage,
        System::Local,
        "cannot ask questions without a terminal",
    )
    .hint(format!(
        "use --yes with {}; the other questions have defaults, and `arcctl init --help` lists their flags",
        needed.join("; ")
    ))
}

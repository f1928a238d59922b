//! Reads the profile file of `-f`.

use std::{
    io::{ErrorKind as ErrorSource, Read},
    path::{Path, PathBuf},
};

use super::{
    args::GlobalArgs,
    output::{CHANGE, Output, paint},
    prompt,
};
use crate::{
    desired,
    error::{Error, ErrorKind, Result, System},
    profile::{Loaded, Profile, ProfileErrors, lint::Finding, load_to_change_images, load_with},
};

/// A loaded profile, and the base directory of its file names.
#[derive(Clone)]
pub(crate) struct ProfileFile {
    /// The profile.
    pub profile: Profile,
    /// Its directory; the working directory for stdin.
    pub directory: PathBuf,
    /// Its name, for messages.
    pub name: String,
    /// The warnings about it, with their lines.
    pub advice: Vec<String>,
}

impl ProfileFile {
    /// The error of a profile that parses but is invalid.
    pub(crate) fn invalid(&self, error: &dyn std::fmt::Display) -> Error {
        Error::new(
            ErrorKind::InvalidProfile,
            System::Profile,
            error.to_string(),
        )
        .object(&self.name)
        .hint(format!("correct `{}`", self.name))
    }
}

/// Loads and lints the profile; warnings are written to stderr.
pub(crate) fn read(global: &GlobalArgs, output: Output) -> Result<ProfileFile> {
    Ok(loaded(&load_with, global, output)?.0)
}

/// The same, with the text of the file, for a command that changes it. Unless it is a dry run, this fails where the profile has
/// no file, with `what` the command does to it, and where nobody can be asked.
pub(crate) fn read_to_change(
    what: &str,
    dry_run: bool,
    yes: bool,
    global: &GlobalArgs,
    output: Output,
) -> Result<(ProfileFile, String)> {
    check_exists(global)?;
    if !dry_run {
        if global.file == Path::new("-") {
            let message = format!("{what} the profile's file, and `-f -` has none");
            return Err(Error::new(ErrorKind::Usage, System::Local, message)
                .hint("name the file with -f, or see what would be done with --dry-run"));
        }
        prompt::check(yes)?;
    }
    loaded(&load_with, global, output)
}

/// The same for a command that changes the pools' images: an image may be too old. With the text of the file.
pub(crate) fn read_to_change_images(
    global: &GlobalArgs,
    output: Output,
) -> Result<(ProfileFile, String)> {
    loaded(&load_to_change_images, global, output)
}

/// A function that loads a profile.
type Load = dyn Fn(&str, &str, &dyn Fn(&Profile) -> Vec<Finding>) -> Result<Loaded, ProfileErrors>;

fn loaded(load: &Load, global: &GlobalArgs, output: Output) -> Result<(ProfileFile, String)> {
    let path = &global.file;
    let name = name(path);
    let text = text(path, &name)?;
    let loaded = checked(load, &text, global)?;
    global.actions.profile(path, &loaded);
    // Each command reads one profile.
    global.profile.get_or_init(|| loaded.profile.name.clone());
    for advice in &loaded.advice {
        let label = paint(CHANGE, "advice:");
        output.note(format!(
            "{label} {name}:{}:{}: {}",
            advice.line, advice.column, advice.message
        ));
        if let Some(hint) = &advice.hint {
            output.note(format!("        {hint}"));
        }
    }
    Ok((of(loaded, path), text))
}

/// The same file with another text, which a command is about to write into it; without its warnings.
pub(crate) fn with_text(text: &str, global: &GlobalArgs) -> Result<ProfileFile> {
    Ok(of(checked(&load_with, text, global)?, &global.file))
}

fn name(path: &Path) -> String {
    if path == Path::new("-") {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    }
}

fn checked(load: &Load, text: &str, global: &GlobalArgs) -> Result<Loaded> {
    let path = &global.file;
    let name = name(path);
    load(text, &name, &desired::lint::lint).map_err(|errors| {
        global.actions.problems(path, &errors.problems);
        let text = errors.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
        Error::new(ErrorKind::InvalidProfile, System::Profile, text)
            .object(&name)
            .hint(format!("correct `{name}`; docs/profile.md describes every key, and `arcctl schema` prints the JSON Schema for your editor"))
    })
}

/// The profile with its file names relative to its own directory.
fn of(loaded: Loaded, path: &Path) -> ProfileFile {
    let name = name(path);
    let directory = path
        .parent()
        .filter(|it| !it.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut profile = loaded.profile;
    for chart in [
        &mut profile.charts.cert_manager,
        &mut profile.charts.controller,
        &mut profile.charts.scale_sets,
    ] {
        if let Some(location) = chart.as_mut().filter(|it| !it.contains("://")) {
            *location = directory.join(&*location).display().to_string();
        }
    }
    let provenance = profile.provenance.as_mut();
    if let Some(keyring) = provenance.and_then(|it| it.keyring.as_mut()) {
        *keyring = directory.join(&*keyring).display().to_string();
    }
    ProfileFile {
        profile,
        directory: directory.to_owned(),
        advice: loaded
            .advice
            .iter()
            .map(|it| format!("{name}:{}: {}", it.line, it.message))
            .collect(),
        name,
    }
}

/// Fails if there is no such file: before a question about the terminal, which nobody without a profile is asked.
pub(crate) fn check_exists(global: &GlobalArgs) -> Result<()> {
    let path = &global.file;
    if path == Path::new("-") {
        return Ok(());
    }
    match path.metadata() {
        Err(error) if error.kind() == ErrorSource::NotFound => {
            Err(unread(&error, &path.display().to_string()))
        }
        _ => Ok(()),
    }
}

fn text(path: &Path, name: &str) -> Result<String> {
    let read = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    read.map_err(|error| unread(&error, name))
}

/// The error of a profile that cannot be read.
fn unread(error: &std::io::Error, name: &str) -> Error {
    let (message, hint) = if error.kind() == ErrorSource::NotFound {
        (
            format!("there is no profile `{name}`"),
            "`arcctl init` asks a few questions and writes one; or pass the path of another with -f",
        )
    } else {
        (
            format!("cannot read the profile `{name}`"),
            "pass its path with -f; the default is `arcctl.yaml` in the current directory",
        )
    };
    Error::new(ErrorKind::InvalidProfile, System::Profile, message)
        .object(name)
        .cause(error)
        .hint(hint)
}

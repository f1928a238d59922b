//! The results of a command in GitHub Actions: annotations, the step's summary and its outputs, all written at its end.

use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{environment::variable, output::Output};
use crate::{
    error::Error,
    profile::{Loaded, Problem},
    report::{
        github::{self, Annotation, ProfilePlace},
        markdown,
        run::Run,
    },
    secret::text::masked,
};

/// Collects results while a command runs. Unused outside of GitHub Actions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Actions(Arc<Mutex<Gathered>>);

#[derive(Debug, Default)]
struct Gathered {
    place: Option<ProfilePlace>,
    annotations: Vec<Annotation>,
    summary: String,
    outputs: Vec<(&'static str, usize)>,
}

impl Actions {
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        // A poisoned lock only means that another task panicked; the value is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the problems of the profile file `path`.
    pub(super) fn problems(&self, path: &Path, problems: &[Problem]) {
        let file = in_repository(path);
        let found = github::of_problems(problems, &file);
        self.gathered().annotations.extend(found);
    }

    /// Records that the profile file `path` was read.
    pub(super) fn profile(&self, path: &Path, loaded: &Loaded) {
        let names = loaded.profile.pools.iter().map(|it| it.name.clone());
        self.gathered().place = Some(ProfilePlace {
            file: in_repository(path),
            pools: names.zip(loaded.pool_lines.iter().copied()).collect(),
        });
        self.problems(path, &loaded.advice);
    }

    /// The command failed with `error`; skipped if the profile's own problems are already annotated.
    pub(crate) fn failure(&self, error: &Error) {
        let mut gathered = self.gathered();
        let told = |it: &Annotation| it.level == github::Level::Error && it.place.is_some();
        if !gathered.annotations.iter().any(told) {
            let own = github::of_error(error, gathered.place.as_ref());
            gathered.annotations.push(own);
        }
    }

    /// Adds the annotations that `make` returns for the lines of the profile's pools.
    pub(crate) fn annotate(&self, make: impl FnOnce(Option<&ProfilePlace>) -> Vec<Annotation>) {
        let mut gathered = self.gathered();
        let found = make(gathered.place.as_ref());
        gathered.annotations.extend(found);
    }

    /// Adds `text` to the step's summary.
    pub(crate) fn summarize(&self, text: &str) {
        let summary = &mut self.gathered().summary;
        summary.push_str(text);
        summary.push('\n');
    }

    /// A run of `command` ended.
    pub(crate) fn run(&self, run: &Run, command: &str) {
        self.annotate(|place| github::of_run(run, place));
        self.summarize(&markdown::run(run, command));
        self.set("changed", run.changed());
    }

    /// Sets an output of the step.
    pub(crate) fn set(&self, name: &'static str, value: usize) {
        self.gathered().outputs.push((name, value));
    }

    /// Writes annotations, summary and outputs.
    pub(crate) fn finish(&self, output: Output) {
        if !output.in_actions {
            return;
        }
        let gathered = self.gathered();
        for line in github::annotations(&gathered.annotations) {
            output.command(&line);
        }
        let mut outputs = String::new();
        for (name, value) in &gathered.outputs {
            // Writing to a String cannot fail.
            let _ignored = writeln!(outputs, "{name}={value}");
        }
        append("GITHUB_OUTPUT", &outputs, None, output);
        append(
            "GITHUB_STEP_SUMMARY",
            &masked(&gathered.summary),
            Some(github::SUMMARY),
            output,
        );
    }
}

/// Appends to the file that `variable_name` contains. A write error does not change the command's result.
fn append(variable_name: &str, text: &str, limit: Option<usize>, output: Output) {
    let Some(path) = variable(variable_name) else {
        return;
    };
    if text.is_empty() {
        return;
    }
    // Earlier commands of this step have used some of the space.
    let taken = std::fs::metadata(&path).map_or(0, |it| it.len());
    let taken = usize::try_from(taken).unwrap_or(usize::MAX);
    let text = match limit {
        Some(limit) => github::summary(text, limit.saturating_sub(taken)),
        None => text.to_owned(),
    };
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
        output.note(format!("advice: cannot write {variable_name}: {error}"));
    }
}

/// A path relative to the repository's root, if it is in the repository.
fn in_repository(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let workspace = variable("GITHUB_WORKSPACE").map(PathBuf::from);
    let inside = workspace
        .as_deref()
        .and_then(|it| whole.strip_prefix(it).ok());
    inside.unwrap_or(path).display().to_string()
}

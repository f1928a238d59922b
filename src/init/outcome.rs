//! Writes the profile, and shows what `arcctl plan` makes of it.

use std::{io::Write, path::Path};

use super::{adopt::reasons::Explained, answers::Answers, exists, facts::Line, wizard::Wizard};
use crate::{
    desired,
    error::{Error, ErrorKind, Result, System},
    observe,
    plan::{Changes, Plan},
    profile::{Loaded, Problem, load_with},
    report::{
        init::{Difference, Found, Init, document},
        plan::counted,
    },
    run::READING,
    session::Session,
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        output::{CHANGE, DIM, Output, paint},
        profile_file,
    },
};

/// A profile, and all that is reported about it.
pub(super) struct Written<'a> {
    /// Its name.
    pub profile: String,
    /// The answers it was made of.
    pub answers: &'a Answers,
    /// What was found.
    pub found: &'a [Line],
    /// Its text.
    pub text: String,
    /// The advice about it.
    pub advice: Vec<Problem>,
    /// Where it differs from an installation made by hand.
    pub differences: Vec<Explained>,
    /// The changes that a plan has with it; `None` if none was made.
    pub planned: Option<Result<Changes>>,
}

/// Checks the profile, writes it, and plans with it.
pub(super) async fn finish(
    wizard: Wizard<'_>,
    text: String,
    limit: &RunLimit,
    global: &GlobalArgs,
    output: Output,
) -> Result<u8> {
    let loaded = checked(&text)?;
    global.profile.get_or_init(|| loaded.profile.name.clone());
    let mut written = Written {
        profile: wizard.name(),
        answers: &wizard.answers,
        found: &wizard.found,
        text,
        advice: loaded.advice,
        differences: Vec::new(),
        planned: None,
    };
    write(&written, global, output)?;
    if !is_stdout(global) {
        let planned = Box::pin(planned(limit, global, output)).await;
        // The profile is there; only a signal ends the command.
        limit.stopped()?;
        written.planned = Some(planned.map(|it| it.changes()));
    }
    report(&written, global, output);
    Ok(0)
}

fn is_stdout(global: &GlobalArgs) -> bool {
    global.file == Path::new("-")
}

/// Writes the profile: to its file, or to stdout.
pub(super) fn write(written: &Written<'_>, global: &GlobalArgs, output: Output) -> Result<()> {
    if !is_stdout(global) {
        create(&global.file, &written.text)?;
        if !output.is_json() {
            output.result(&format!("wrote {}\n", global.file.display()));
        }
    } else if !output.is_json() {
        output.result(&written.text);
    }
    Ok(())
}

/// Shows what a plan makes of the profile, or the whole as a document.
pub(super) fn report(written: &Written<'_>, global: &GlobalArgs, output: Output) {
    if output.is_json() {
        output.document(&document(&init(written, global), None));
        return;
    }
    match &written.planned {
        None => {}
        Some(Ok(changes)) => {
            output.result(&format!("{}\n", counted(*changes)));
            output.note(paint(
                DIM,
                "`arcctl plan` shows the plan in full, `arcctl up` does it",
            ));
        }
        Some(Err(error)) => {
            output.note(paint(CHANGE, "`arcctl plan` does not work with it yet:"));
            output.print_error(error);
        }
    }
}

fn init(written: &Written<'_>, global: &GlobalArgs) -> Init {
    let answers = written.answers.all();
    let planned = written.planned.as_ref();
    Init {
        profile: written.profile.clone(),
        file: (!is_stdout(global)).then(|| global.file.display().to_string()),
        text: Some(written.text.clone()),
        answers: answers
            .map(|(key, value)| (key.name().to_owned(), value.to_owned()))
            .collect(),
        found: written
            .found
            .iter()
            .map(|it| Found {
                what: it.what.to_owned(),
                read: it.read.clone(),
            })
            .collect(),
        advice: written
            .advice
            .iter()
            .map(|it| format!("line {}: {}", it.line, it.message))
            .collect(),
        differences: written
            .differences
            .iter()
            .map(|it| Difference {
                object: it.object.clone(),
                path: it.path.clone(),
                why: it.why.clone(),
            })
            .collect(),
        changes: planned.and_then(|it| it.as_ref().ok()).copied(),
        plan_error: planned
            .and_then(|it| it.as_ref().err())
            .map(Error::document),
    }
}

/// The profile as the program reads it: what `init` writes must pass.
fn checked(text: &str) -> Result<Loaded> {
    load_with(text, "the new profile", &desired::lint::lint).map_err(|errors| {
        Error::new(
            ErrorKind::InvalidProfile,
            System::Profile,
            errors.to_string().trim_end(),
        )
        .hint("nothing was written; give another answer, or another --name, --pool or --image")
    })
}

fn create(path: &Path, text: &str) -> Result<()> {
    let made = std::fs::File::create_new(path);
    let written = made.and_then(|mut file| {
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all());
        if written.is_err() {
            // Half a profile is worse than none.
            drop(std::fs::remove_file(path));
        }
        written
    });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(path),
        _ => Error::failed(System::Local, format!("cannot write `{}`", path.display()))
            .object(path.display())
            .cause(error)
            .hint("name a file in a directory that can be written, with -f"),
    })
}

/// The plan of `arcctl plan`.
async fn planned(limit: &RunLimit, global: &GlobalArgs, output: Output) -> Result<Plan> {
    let file = profile_file::read(global, output)?;
    let read = async {
        let session = Box::pin(Session::open(global, file, false, output)).await?;
        observe::plan(&session.context, &session.desired, false).await
    };
    limit.within(READING, read).await
}

//! The output of a run in GitHub Actions: workflow commands, masks, and the limits of both. Pure: no I/O.
//!
//! A command is a line that begins with `::`. All other output goes through [`guarded`], so that no text from another
//! system becomes a command.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::run::Run;
use crate::{
    clients::credential::Credential,
    doctor::{
        Finding,
        check::{Severity as CheckSeverity, Verdict},
    },
    error::Error,
    profile::{Problem, Severity},
    secret::text::masked,
    units::listed::and_more,
};

/// How many annotations of a level GitHub shows per step.
const SHOWN: usize = 10;

/// How long the message of an annotation may be, in characters.
const MESSAGE: usize = 4096;

/// How long the summary of one step may be, in bytes.
pub const SUMMARY: usize = 1024 * 1024;

/// The shortest line of a secret that is masked: shorter ones occur by chance, and would be cut out everywhere.
const MASKED: usize = 8;

/// The level of an annotation, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It made the step fail.
    Error,
    /// It is only risky.
    Warning,
}

/// A message, with its line in a file if known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The level.
    pub level: Level,
    /// The file and a line of it, from 1.
    pub place: Option<(String, usize)>,
    /// The title.
    pub title: String,
    /// The message.
    pub message: String,
}

/// The profile as a file of the repository, and the lines of its pools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfilePlace {
    /// Its path in the repository.
    pub file: String,
    /// The pools with their lines.
    pub pools: Vec<(String, usize)>,
}

impl ProfilePlace {
    /// The line of the pool that the object `id` (`kind/namespace/name`) belongs to.
    fn of(&self, id: &str) -> Option<(String, usize)> {
        const KINDS: [&str; 4] = [
            "runner-deployment",
            "horizontal-runner-autoscaler",
            "runner-pods",
            "registration",
        ];
        let mut parts = id.splitn(3, '/');
        let (kind, name) = (parts.next()?, parts.nth(1)?);
        let (_, line) = self
            .pools
            .iter()
            .find(|(pool, _)| KINDS.contains(&kind) && pool == name)?;
        Some((self.file.clone(), *line))
    }
}

/// Starts a group of lines that can be folded.
pub fn group(name: &str) -> String {
    format!("::group::{}", data(name))
}

/// Ends it.
pub const END_GROUP: &str = "::endgroup::";

/// The commands that mask the credential in the log, and its base64 form, which a Secret contains.
pub fn masks(credential: &Credential) -> Vec<String> {
    let secret = match credential {
        Credential::Token(secret) => secret,
        Credential::App { private_key, .. } => private_key,
    };
    let text = secret.expose();
    let encoded = STANDARD.encode(text);
    // Older runners only mask whole values, and a log has one line at a time.
    text.lines()
        .chain([encoded.as_str()])
        .filter(|it| it.len() >= MASKED && !it.starts_with("-----"))
        .map(|it| format!("::add-mask::{}", value(it)))
        .collect()
}

/// The commands for `annotations`: the worst first, up to GitHub's limit, then how many more there are.
pub fn annotations(annotations: &[Annotation]) -> Vec<String> {
    let mut lines = Vec::new();
    for level in [Level::Error, Level::Warning] {
        let mut of_level: Vec<&Annotation> = Vec::new();
        for it in annotations.iter().filter(|it| it.level == level) {
            if !of_level.contains(&it) {
                of_level.push(it);
            }
        }
        let fits = if of_level.len() > SHOWN {
            SHOWN - 1
        } else {
            of_level.len()
        };
        lines.extend(of_level.iter().take(fits).map(|it| command(it)));
        if let Some(more) = and_more(of_level.len() - fits, "") {
            lines.push(command(&Annotation {
                level,
                place: None,
                title: "arcctl".into(),
                message: format!("{more}: the log has them all"),
            }));
        }
    }
    lines
}

fn command(annotation: &Annotation) -> String {
    let word = match annotation.level {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    // Before `%`, `:` and line breaks are escaped: a secret is not recognized among them, nor if it is cut.
    let title = property(&masked(&annotation.title));
    let place = annotation
        .place
        .as_ref()
        .map(|(file, line)| format!("file={},line={line},", property(file)))
        .unwrap_or_default();
    let message = data(&cut(&masked(&annotation.message), MESSAGE));
    format!("::{word} {place}title={title}::{message}")
}

/// The first `length` characters.
fn cut(text: &str, length: usize) -> Cow<'_, str> {
    if text.chars().nth(length).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(length - 1).chain(['…']).collect())
}

/// The message of a command: one line, without commands in the older syntax.
fn data(text: &str) -> String {
    value(&text.replace("##[", "## ["))
}

/// A value that the runner reads unchanged.
fn value(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// `text` in which no line is a command: `::error::` becomes `: :error::`, and `##[error]`, the older form, which may
/// stand anywhere in a line, `## [error]`.
pub fn guarded(text: &str) -> Cow<'_, str> {
    if !is_command(text) {
        return Cow::Borrowed(text);
    }
    let mut guarded = String::with_capacity(text.len() + 8);
    for line in text.split_inclusive(['\n', '\r']) {
        let rest = line.trim_start_matches(|it: char| it.is_whitespace());
        match rest.strip_prefix("::") {
            Some(rest) => {
                guarded.push_str(": :");
                guarded.push_str(rest);
            }
            None => guarded.push_str(line),
        }
    }
    Cow::Owned(guarded.replace("##[", "## ["))
}

/// Whether a line of `text` is a command to GitHub's runner.
pub fn is_command(text: &str) -> bool {
    text.contains("##[")
        || text
            .split(['\n', '\r'])
            .any(|line| line.trim_start().starts_with("::"))
}

/// A JSON document with the same data in which no line is a command.
pub fn guarded_json(text: &str) -> String {
    text.replace("##[", "#\\u0023[")
}

/// Cuts a summary to the limit, in whole lines.
pub fn summary(text: &str, room: usize) -> String {
    if text.len() <= room {
        return text.to_owned();
    }
    let total = text.lines().count();
    let (mut kept, mut lines) = (String::new(), 0);
    // Space for the line that reports what is left out.
    let room = room.saturating_sub(80);
    for line in text.split_inclusive('\n') {
        if kept.len() + line.len() > room {
            break;
        }
        kept.push_str(line);
        lines += 1;
    }
    let more = and_more(total - lines, "line").unwrap_or_default();
    format!("{kept}\n… {more}: the log has them all\n")
}

/// The problems of a profile.
pub fn of_problems(problems: &[Problem], file: &str) -> Vec<Annotation> {
    problems
        .iter()
        .map(|it| {
            let level = match it.severity {
                Severity::Error => Level::Error,
                Severity::Advice => Level::Warning,
            };
            let path = match it.path.as_str() {
                "" => "profile".to_owned(),
                path => format!("profile: {path}"),
            };
            Annotation {
                level,
                place: Some((file.to_owned(), it.line.max(1))),
                title: path,
                message: with_hint(&it.message, it.hint.as_deref()),
            }
        })
        .collect()
}

/// The errors of a run: independent failures before their consequences, each on its pool's line.
pub fn of_run(run: &Run, place: Option<&ProfilePlace>) -> Vec<Annotation> {
    let failed = run
        .steps
        .iter()
        .filter_map(|it| Some((it.id.to_string(), it.error.as_ref()?)))
        .filter(|(_, error)| !error.consequence);
    let mut found: Vec<Annotation> = failed
        .map(|(id, error)| {
            let place = place.and_then(|it| it.of(&id));
            Annotation {
                place,
                ..of_error(error, None)
            }
        })
        .collect();
    if let Some(error) = &run.error {
        let own = of_error(error, place);
        if !found.iter().any(|it| it.message == own.message) {
            found.insert(0, own);
        }
    }
    found
}

/// An error; on its pool's line if it is about a pool.
pub fn of_error(error: &Error, place: Option<&ProfilePlace>) -> Annotation {
    let object = error.object.as_deref();
    Annotation {
        level: Level::Error,
        place: object.and_then(|it| place?.of(it)),
        title: object.map_or_else(|| "arcctl".to_owned(), |it| format!("arcctl: {it}")),
        message: with_hint(&error.document().message, error.hint.as_deref()),
    }
}

/// The doctor's findings: the roots, required ones as errors.
pub fn of_findings(findings: &[Finding]) -> Vec<Annotation> {
    findings
        .iter()
        .filter(|it| it.follows.is_none())
        .filter_map(|it| {
            let (found, fix) = match &it.verdict {
                Verdict::Broken { found, fix, .. } => (found.clone(), fix),
                Verdict::Unknown { why, fix, .. } => (format!("not known: {why}"), fix),
                Verdict::Holds | Verdict::Skipped { .. } => return None,
            };
            Some(Annotation {
                level: match it.severity {
                    CheckSeverity::Required => Level::Error,
                    CheckSeverity::Advice => Level::Warning,
                },
                place: None,
                title: format!("arcctl doctor: {}", it.id),
                message: with_hint(
                    &found,
                    Some(fix).filter(|it| !it.is_empty()).map(String::as_str),
                ),
            })
        })
        .collect()
}

fn with_hint(message: &str, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{message}\nhint: {hint}"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests;

//! Parses and checks a profile: returns [`Profile`] or all problems. Pure: the text is an argument.

use std::fmt;

use super::{
    Profile,
    diagnostic::{Problem, Severity, render},
    lint::{Finding, lint},
    path::Path,
    validate,
    yaml::{self, Node, Position},
};

/// A valid profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The profile, defaults filled in.
    pub profile: Profile,
    /// Risks that are not errors.
    pub advice: Vec<Problem>,
    /// The line of each pool, from 1.
    pub pool_lines: Vec<usize>,
}

/// All problems of a profile; its text is from [`render`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileErrors {
    /// The file name in messages.
    pub file_name: String,
    /// The problems, in the order of the file; at least one error, advice as well.
    pub problems: Vec<Problem>,
    /// The problems with their lines.
    text: String,
}

impl ProfileErrors {
    fn new(mut problems: Vec<Problem>, source: &str, file_name: &str) -> Self {
        sort(&mut problems);
        let text = render(&problems, source, file_name);
        Self {
            file_name: file_name.to_owned(),
            problems,
            text,
        }
    }
}

impl fmt::Display for ProfileErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for ProfileErrors {}

/// Parses, validates and lints a profile; `file_name` is its name in messages.
pub fn load(text: &str, file_name: &str) -> Result<Loaded, ProfileErrors> {
    load_with(text, file_name, &|_| Vec::new())
}

/// The same, with `more` rules: those that check the resulting manifests, which this module does not know.
pub fn load_with(
    text: &str,
    file_name: &str,
    more: &dyn Fn(&Profile) -> Vec<Finding>,
) -> Result<Loaded, ProfileErrors> {
    load_but(text, file_name, more, &|_| false)
}

/// The same, for a command that changes the pools' images: what is wrong with an image, such as its age, is advice.
pub fn load_to_change_images(
    text: &str,
    file_name: &str,
    more: &dyn Fn(&Profile) -> Vec<Finding>,
) -> Result<Loaded, ProfileErrors> {
    load_but(text, file_name, more, &|path| {
        let pools = Path::root().key("pools");
        path.last_key() == Some("image") && path.segments().len() == 3 && path.is_in(&pools)
    })
}

/// Errors of the rules at a path that is `forgiven` are advice.
fn load_but(
    text: &str,
    file_name: &str,
    more: &dyn Fn(&Profile) -> Vec<Finding>,
    forgiven: &dyn Fn(&Path) -> bool,
) -> Result<Loaded, ProfileErrors> {
    let tree = read(text).map_err(|problem| ProfileErrors::new(vec![problem], text, file_name))?;
    let checked = validate::check(&tree);
    let mut problems = checked.problems;
    let profile = serde_json::from_value::<Profile>(checked.value);
    match &profile {
        Ok(profile) => {
            // Skip findings about neutral values that replaced wrong ones.
            let findings = lint(profile);
            // The first finding at a path counts, unless a later one is more severe.
            let known: Vec<(Path, Severity)> = findings
                .iter()
                .map(|it| (it.path.clone(), it.severity))
                .collect();
            let more = more(profile).into_iter().filter(|finding| {
                !known
                    .iter()
                    .any(|(path, severity)| *path == finding.path && *severity <= finding.severity)
            });
            let honest = findings.into_iter().chain(more).filter(|finding| {
                !checked.wrong.iter().any(|path| finding.path.is_in(path))
                    && !checked.uncertain.contains(&finding.path)
            });
            problems.extend(honest.map(|mut finding| {
                if forgiven(&finding.path) {
                    finding.severity = Severity::Advice;
                }
                locate(&tree, &finding)
            }));
        }
        Err(error) if problems.is_empty() => {
            problems.push(whole(tree.span.start, &error.to_string(), None));
        }
        Err(_) => {}
    }
    match profile {
        Ok(profile)
            if problems
                .iter()
                .all(|problem| problem.severity == Severity::Advice) =>
        {
            sort(&mut problems);
            let pools = Path::root().key("pools");
            let line = |index| tree.locate(&pools.index(index)).line;
            Ok(Loaded {
                pool_lines: (0..profile.pools.len()).map(line).collect(),
                profile,
                advice: problems,
            })
        }
        _ => Err(ProfileErrors::new(problems, text, file_name)),
    }
}

fn read(text: &str) -> Result<Node, Problem> {
    match yaml::parse(text) {
        Ok(Some(tree)) => Ok(tree),
        Ok(None) => {
            let hint = "begin with `apiVersion: arcctl.dev/v1`, or let `arcctl init` write one";
            let at = Position { line: 1, column: 1 };
            Err(whole(at, "the profile is empty", Some(hint)))
        }
        Err(error) => Err(whole(error.at, &error.message, error.hint.as_deref())),
    }
}

/// A problem of the whole file.
fn whole(at: Position, message: &str, hint: Option<&str>) -> Problem {
    Problem::new(at, "", Severity::Error, message, hint)
}

fn locate(tree: &Node, finding: &Finding) -> Problem {
    let Finding {
        path,
        message,
        hint,
        severity,
    } = finding;
    Problem::new(
        tree.locate(path),
        &path.to_string(),
        *severity,
        message,
        hint.as_deref(),
    )
}

fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by(|one, other| {
        (one.line, one.column, one.severity).cmp(&(other.line, other.column, other.severity))
    });
    problems.dedup();
}

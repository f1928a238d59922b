//! What the workflows must say that use the pool, and how they are found. Pure: no I/O.

use super::counterpart::found_by;
use crate::profile::{Pool, Profile, Scope};

/// What workflows are to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workflows {
    /// The labels of the old pool that the new one does not have.
    pub lost: Vec<String>,
    /// Those that both have: their jobs run on either.
    pub shared: Vec<String>,
    /// The value of `runs-on` that surely finds the new pool.
    pub runs_on: String,
    /// The command that finds the workflows that name labels of the old pool.
    pub search: String,
}

impl Workflows {
    /// For a migration from `old` to `new`.
    pub fn of(profile: &Profile, old: &Pool, new: &Pool) -> Self {
        let then = found_by(new);
        let is_kept = |label: &String| then.iter().any(|it| it.eq_ignore_ascii_case(label));
        let (shared, lost): (Vec<String>, Vec<String>) =
            found_by(old).into_iter().partition(is_kept);
        Self {
            lost,
            shared,
            runs_on: runs_on(new, old),
            search: search(profile, old),
        }
    }

    /// What is to change, line by line.
    pub fn text(&self, old: &str, new: &str) -> Vec<String> {
        let runs_on = &self.runs_on;
        let change = if self.lost.is_empty() {
            format!(
                "no workflow needs a change: `{new}` has all labels of `{old}`, and jobs with these labels run on both pools; `runs-on: {runs_on}` selects only the new pool"
            )
        } else {
            format!(
                "jobs with the label {} find no runner after `{old}` is removed: change their workflows to `runs-on: {runs_on}`",
                listed(&self.lost)
            )
        };
        vec![change, format!("find the workflows: `{}`", self.search)]
    }
}

fn listed(labels: &[String]) -> String {
    let labels: Vec<String> = labels.iter().map(|it| format!("`{it}`")).collect();
    labels.join(" or ")
}

/// A scale set has its name, and where the old pool has that as a label, one that it does not have; another pool its labels.
fn runs_on(pool: &Pool, old: &Pool) -> String {
    let own = found_by(pool);
    if pool.is_scale_set() {
        let theirs = found_by(old);
        let is_theirs = |label: &String| theirs.iter().any(|it| it.eq_ignore_ascii_case(label));
        return match own.iter().find(|it| !is_theirs(it)) {
            Some(label) if is_theirs(&pool.name) => format!("[{}, {label}]", pool.name),
            _ => pool.name.clone(),
        };
    }
    let own = own.iter().filter(|it| *it != "linux").map(String::as_str);
    format!("[{}]", own.collect::<Vec<_>>().join(", "))
}

/// GitHub's own command line searches with the rights of whoever runs it: a token for runners may read no code.
fn search(profile: &Profile, pool: &Pool) -> String {
    let github = profile.github_of(pool);
    let place = match github.scope() {
        Some(Scope::Repository(name)) => format!("--repo {name}"),
        Some(Scope::Organization(name)) => format!("--owner {name}"),
        // No search goes through an enterprise.
        Some(Scope::Enterprise(_)) | None => "--owner ORGANIZATION".to_owned(),
    };
    let host = github.url.as_deref().and_then(|it| it.split("://").nth(1));
    let host = host.map(|it| it.trim_end_matches('/'));
    let host = host.map_or_else(String::new, |it| format!("GH_HOST={it} "));
    let own = found_by(pool);
    // The most telling one: what every runner has finds every workflow.
    let label = own.last().map_or("self-hosted", String::as_str);
    format!("{host}gh search code 'runs-on {label} path:.github/workflows' {place}")
}

//! An upgrade of cert-manager, the controllers and the runners' images, as data: from some versions to others, one step at a
//! time, and back. Pure: no I/O.
//!
//! Each step is an ordinary run with the profile's versions of that step. What comes next follows from the record in the inventory
//! and from the versions that are installed: an upgrade that was interrupted anywhere goes on when the same command runs again,
//! or goes back.

pub mod api_versions;
pub mod backup;
pub mod compatibility;
pub mod path;
pub mod versions;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind, Result, System},
    profile::Profile,
    units::version::triple,
};
use path::{Step, steps};
use versions::{Component, Versions, chart_of};

/// The command that goes on with an upgrade.
pub const FORTH: &str = "arcctl upgrade";
/// The command that goes back.
pub const BACK: &str = "arcctl rollback";

/// An upgrade that has begun, as the inventory has it; one that has ended is kept, so that it can be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// The versions before.
    pub from: Versions,
    /// The versions of the last step that has begun.
    pub now: Versions,
    /// The versions that are wanted.
    pub to: Versions,
    /// How far it is.
    pub stage: Stage,
    /// When it began.
    pub began: String,
    /// The ids of the objects of its backup.
    pub backup: Vec<String>,
    /// The version of the controller's Secret before: its resourceVersion, never its value.
    pub secret: Option<String>,
}

/// How far an upgrade is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The backup is being made; nothing else has changed.
    Saving,
    /// It takes its steps.
    Forth,
    /// It goes back.
    Back,
    /// It has ended; the backup is kept.
    Done,
}

impl Stage {
    /// Its word in documents.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Saving => "saving",
            Self::Forth => "forth",
            Self::Back => "back",
            Self::Done => "done",
        }
    }
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The backup is made.
    Save,
    /// The next step: it is recorded, and then a run makes and proves it.
    Step(Box<Step>),
    /// All steps are taken: the profile gets the versions.
    Finish,
    /// A run with the versions before, and then the backup goes.
    Restore,
    /// Nothing is left to do.
    Nothing,
}

impl Upgrade {
    /// What comes next, once what is recorded has been made and proven.
    pub fn next(&self) -> Result<Next> {
        Ok(match self.stage {
            Stage::Saving => Next::Save,
            Stage::Forth => match self.rest()?.into_iter().next() {
                Some(step) => Next::Step(Box::new(step)),
                None => Next::Finish,
            },
            Stage::Back => Next::Restore,
            Stage::Done => Next::Nothing,
        })
    }

    /// The steps that are left.
    pub fn rest(&self) -> Result<Vec<Step>> {
        steps(&self.now, &self.to, self.moved().next().is_some())
    }

    /// Whether a job tries what the last step that has begun has made: the image of the first pool, and the versions at the end. An
    /// earlier run may have been interrupted before or during that job.
    pub fn is_tried(&self) -> Result<bool> {
        Ok(self.moved().next().is_some() || self.rest()?.is_empty())
    }

    /// The pool of that job, as `namespace/name`: one with its new image, at the end another than the first. `None`: no image changes,
    /// and any pool will do.
    pub fn tried_pool(&self) -> Option<&str> {
        self.moved().last()
    }

    /// The pools whose image is not the one before any more, as `namespace/name`.
    fn moved(&self) -> impl Iterator<Item = &str> {
        let images = self.now.images.iter();
        let moved = images.filter(move |(key, image)| self.from.images.get(*key) != Some(*image));
        moved.map(|(key, _)| key.as_str())
    }

    /// The same, continued in a cluster with these charts: a run that was killed may have got further than its record, and
    /// somebody may have gone back in between.
    #[must_use]
    pub fn continued(&self, installed: &Versions) -> Self {
        let mut upgrade = self.clone();
        for (component, version) in &installed.charts {
            if upgrade.now.charts.contains_key(component) {
                upgrade.now.charts.insert(*component, version.clone());
            }
        }
        upgrade
    }

    /// Whether it has begun and not ended.
    pub const fn is_in_progress(&self) -> bool {
        !matches!(self.stage, Stage::Done)
    }

    /// What it changes in all, for people.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        for (component, to) in &self.to.charts {
            if let Some(from) = self.from.charts.get(component).filter(|it| *it != to) {
                parts.push(format!("{} {from} -> {to}", component.word()));
            }
        }
        let images = self.to.images.iter();
        let changed = images.filter(|(key, to)| self.from.images.get(*key) != Some(*to));
        match changed.count() {
            0 => {}
            1 => parts.push("the image of a pool".to_owned()),
            count => parts.push(format!("the images of {count} pools")),
        }
        parts.join(", ")
    }

    /// That it is in progress, and what to run, for other commands.
    pub fn notice(&self) -> String {
        let stage = match self.stage {
            Stage::Back => format!("is being rolled back: `{BACK}` continues it"),
            _ => format!("is not finished: `{FORTH}` continues it, `{BACK}` undoes it"),
        };
        format!("the upgrade of {} ({}) {stage}", self.began, self.text())
    }

    /// Fails if it cannot be taken back: something else has changed the versions since.
    pub fn check_unchanged(&self, installed: &Versions) -> Result<()> {
        if self.stage != Stage::Done {
            return Ok(());
        }
        let changed = self.to.charts.iter().find_map(|(component, version)| {
            let there = installed.charts.get(component);
            let is_same = there.is_some_and(|it| is_same(it, version));
            (!is_same).then_some((component, version, there))
        });
        let Some((component, version, there)) = changed else {
            return Ok(());
        };
        let there = there.map_or("not installed", String::as_str);
        Err(Error::new(
            ErrorKind::Refused,
            System::Helm,
            format!(
                "the upgrade of {} installed {} {version}, and now it is {there}: somebody else has changed it since",
                self.began,
                component.word()
            ),
        )
        .object(format!("the upgrade of {}", self.began))
        .hint("write the versions that you want into the profile, and run `arcctl up`; a new `arcctl upgrade` makes a new backup"))
    }
}

/// Fails if the record that the inventory has is not the one that this run has read or written last: another run has changed it, and
/// what this one would do next follows from what is not true any more.
pub fn check_record(there: Option<&Upgrade>, known: Option<&Upgrade>) -> Result<()> {
    if there == known {
        return Ok(());
    }
    let is = there.map_or_else(
        || "the inventory has no upgrade any more".to_owned(),
        |it| {
            format!(
                "the inventory has that of {}, {}",
                it.began,
                it.stage.word()
            )
        },
    );
    let of = known.or(there).map_or("", |it| it.began.as_str());
    Err(Error::new(
        ErrorKind::Locked,
        System::Kubernetes,
        "another run has changed the record of the upgrade meanwhile",
    )
    .object(format!("the upgrade of {of}"))
    .cause(is)
    .hint(format!(
        "wait until that run ends; then `{FORTH}` or `{BACK}` goes on from there"
    )))
}

/// Whether two texts are the same version: charts write it with a `v` or without.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    one.trim_start_matches('v') == other.trim_start_matches('v')
}

/// The versions that are wanted: those asked for, else the newest that this arcctl installs, or a newer one that is installed
/// or that the profile names.
pub fn wanted(
    profile: &Profile,
    installed: &Versions,
    asked: &BTreeMap<Component, String>,
) -> Result<Versions> {
    let own = Versions::defaults();
    let mut wanted = installed.clone();
    for component in Component::CHARTS {
        let given = asked.get(&component);
        let Some(there) = installed.charts.get(&component) else {
            if let Some(version) = given {
                return Err(not_installed(component, version));
            }
            continue;
        };
        let newest = || {
            let known = [there.as_str(), chart_of(profile, component)];
            let all = known
                .into_iter()
                .chain(own.charts.get(&component).map(String::as_str));
            all.max_by_key(|it| triple(it)).unwrap_or(there).to_owned()
        };
        let version = given.cloned().unwrap_or_else(newest);
        wanted.charts.insert(component, version);
    }
    Ok(wanted)
}

fn not_installed(component: Component, version: &str) -> Error {
    let word = component.word();
    versions::usage(&format!(
        "`--to {word}={version}`: this profile has not installed {word}"
    ))
    .hint("leave it out of `--to`: arcctl upgrades only what this profile has installed")
}

#[cfg(test)]
mod tests;

//! The migration of a pool from one mode to the other, as data: a new pool beside the old one, then the new one alone. Pure:
//! no I/O.
//!
//! Both pools are pools of the profile, so that a migration is made of ordinary runs, and so that every other command knows
//! both of them. What comes next follows from the profile and from the record in the inventory: a migration that was
//! interrupted anywhere goes on when the same command runs again, or goes back.

pub mod counterpart;
pub mod held;
pub mod peaks;
pub mod text;
pub mod workflows;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind, Result, System},
    profile::{Mode, Pool, Profile},
};

/// The longest name of a pool.
const LONGEST_NAME: usize = 40;

/// A migration that has begun, as the inventory has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Migration {
    /// The old pool, as the profile had it.
    pub from: Pool,
    /// The name of the new pool, in the same namespace.
    pub to: String,
    /// The mode of the new pool.
    pub mode: Mode,
    /// How far it is.
    pub stage: Stage,
    /// Whether the profile had the new pool before: then going back leaves it.
    #[serde(default)]
    pub was_there: bool,
    /// The image of the new pool, if it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Whether the new pool is to have no label but its name.
    #[serde(default)]
    pub no_labels: bool,
}

/// How far a migration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The new pool comes, beside the old one.
    Beside,
    /// The new pool is proven, and the old one goes.
    Removing,
    /// The old pool comes back, or is proven again, and the new one is kept meanwhile.
    Restoring,
    /// The old pool is proven, and the new one goes again.
    Back,
}

impl Stage {
    /// Whether it goes back.
    pub const fn is_way_back(self) -> bool {
        matches!(self, Self::Restoring | Self::Back)
    }
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The pool of this name is put into the profile.
    Add(String),
    /// Both pools are in the profile: they are made, and proven.
    Prove,
    /// The pool of this name is taken out of the profile.
    TakeOut(String),
    /// A run makes and proves the old pool, while the new one is kept.
    Restore,
    /// A run removes what is left of the pool that the profile does not have any more.
    Finish,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The old pool.
    pub pool: &'a str,
    /// The new mode; `None` to go back.
    pub mode: Option<Mode>,
    /// The name of the new pool, if it was given.
    pub name: Option<&'a str>,
    /// Its image, if it was given.
    pub image: Option<&'a str>,
    /// Whether it is to have no label but its name.
    pub no_labels: bool,
}

/// A mode, as in the profile.
pub const fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::RunnerDeployment => "runnerDeployment",
        Mode::ScaleSet => "scaleSet",
    }
}

/// The name of the pool beside `pool`: with a suffix for its mode, or without the one of the other mode, so that there and back
/// ends with the first name.
pub fn new_name(pool: &str, mode: Mode) -> String {
    let (own, others) = match mode {
        Mode::ScaleSet => ("-ss", "-rd"),
        Mode::RunnerDeployment => ("-rd", "-ss"),
    };
    match pool.strip_suffix(others) {
        Some(short) if !short.is_empty() => short.to_owned(),
        _ => format!("{pool}{own}"),
    }
}

/// The migration that is asked for: the recorded one, or a new one. `None` if it was finished before.
pub fn migration(
    profile: &Profile,
    recorded: &[Migration],
    asked: &Asked<'_>,
) -> Result<Option<Migration>> {
    if let Some(known) = recorded.iter().find(|it| it.from.name == asked.pool) {
        return known.continued(asked, profile).map(Some);
    }
    if let Some(other) = recorded.first() {
        return Err(in_progress(other));
    }
    let Some(mode) = asked.mode else {
        return Err(usage(&format!(
            "no migration of pool `{}` is in progress",
            asked.pool
        ))
        .hint("to undo a migration that has ended, migrate the new pool: `arcctl migrate NEW --to MODE`"));
    };
    let to = asked
        .name
        .map_or_else(|| new_name(asked.pool, mode), str::to_owned);
    let named = |name: &str| profile.pools.iter().find(|it| it.name == name);
    let Some(from) = named(asked.pool) else {
        return match named(&to) {
            Some(new) if new.mode == mode => Ok(None),
            _ => Err(unknown(profile, asked.pool)),
        };
    };
    let there = named(&to);
    fits(from, &to, there, mode)?;
    Ok(Some(Migration {
        from: from.clone(),
        mode,
        stage: Stage::Beside,
        was_there: there.is_some(),
        image: asked.image.map(str::to_owned),
        no_labels: asked.no_labels,
        to,
    }))
}

/// Fails if `from` cannot have a pool of this name and mode beside it; `there` is the pool that has the name.
fn fits(from: &Pool, to: &str, there: Option<&Pool>, mode: Mode) -> Result<()> {
    let own = &from.name;
    if from.mode == mode {
        return Err(
            usage(&format!("pool `{own}` already has mode {}", word(mode)))
                .hint("`arcctl status` shows the mode of each pool"),
        );
    }
    if to.len() > LONGEST_NAME {
        return Err(usage(&format!(
            "the name of the new pool, `{to}`, has {} characters: a pool's name has at most {LONGEST_NAME}",
            to.len()
        ))
        .hint("set a shorter name with --name"));
    }
    match there {
        Some(there) if there.mode != mode || there.namespace != from.namespace => {
            Err(usage(&format!(
                "`{to}` is the name of another pool, of mode {} in namespace `{}`",
                word(there.mode),
                there.namespace
            ))
            .hint("give the new pool another name with --name"))
        }
        _ => Ok(()),
    }
}

fn usage(message: &str) -> Error {
    Error::new(ErrorKind::Usage, System::Local, message)
}

fn unknown(profile: &Profile, pool: &str) -> Error {
    let there = profile.pools.iter().map(|it| format!("`{}`", it.name));
    let there: Vec<String> = there.collect();
    usage(&format!("unknown pool `{pool}`")).hint(format!(
        "profile `{}` has {}",
        profile.name,
        there.join(", ")
    ))
}

/// One at a time: two would make it hard to tell whose jobs went where.
fn in_progress(other: &Migration) -> Error {
    Error::new(
        ErrorKind::Refused,
        System::Kubernetes,
        format!(
            "another migration is in progress: pool `{}` to `{}`",
            other.from.name, other.to
        ),
    )
    .object(format!("pool `{}`", other.from.name))
    .hint(format!(
        "end it first: `{}` finishes it, `{}` undoes it",
        other.forth(),
        other.back()
    ))
}

impl Migration {
    /// The same, in the direction that is asked for. What an earlier run has proven counts only where nothing but the removal
    /// is left: as long as the other pool is in the profile, it is proven again.
    fn continued(&self, asked: &Asked<'_>, profile: &Profile) -> Result<Self> {
        let other_mode = asked.mode.is_some_and(|it| it != self.mode);
        let other_name = asked.name.is_some_and(|it| it != self.to);
        let other_image = asked.image.is_some() && asked.image != self.image.as_deref();
        let other_labels = asked.no_labels && !self.no_labels;
        if other_mode || other_name || other_image || other_labels {
            return Err(in_progress(self));
        }
        let (old, new) = self.pools_in(profile);
        let stage = match (asked.mode, self.stage) {
            (None, Stage::Back) if old && !new => Stage::Back,
            (None, _) => Stage::Restoring,
            (Some(_), Stage::Removing) if new && !old => Stage::Removing,
            // From the beginning: what is there already is kept.
            (Some(_), _) => Stage::Beside,
        };
        Ok(Self {
            stage,
            ..self.clone()
        })
    }

    /// Whether the profile has the old pool, and the new one.
    fn pools_in(&self, profile: &Profile) -> (bool, bool) {
        let has = |name: &str| profile.pool(&self.from.namespace, name).is_some();
        (has(&self.from.name), has(&self.to))
    }

    /// What comes next, by the pools in `profile`.
    pub fn next(&self, profile: &Profile) -> Result<Next> {
        let (old, new) = (self.from.name.clone(), self.to.clone());
        let goes = !self.was_there;
        let (has_old, has_new) = self.pools_in(profile);
        Ok(match (self.stage, has_old, has_new) {
            (_, false, false) => return Err(self.lost(profile)),
            (Stage::Beside | Stage::Removing, true, false) => Next::Add(new),
            (Stage::Beside, _, true) => Next::Prove,
            (Stage::Removing, true, true) => Next::TakeOut(old),
            (Stage::Restoring | Stage::Back, false, true) => Next::Add(old),
            (Stage::Restoring | Stage::Back, true, true) if goes => Next::TakeOut(new),
            (Stage::Restoring, true, _) => Next::Restore,
            (Stage::Removing, false, true) | (Stage::Back, true, _) => Next::Finish,
        })
    }

    /// Whether to ask before the new pool is taken out on the way back, in a run of the command that began with `first`: a
    /// question before the old pool was put back has told of it.
    pub const fn asks_to_go_back(&self, first: &Next) -> bool {
        self.stage.is_way_back() && !matches!(first, Next::Add(_))
    }

    /// Before a pool is put into the profile: what was proven before it left is not proven any more.
    pub const fn unproven(&mut self) {
        self.stage = match self.stage {
            Stage::Beside | Stage::Removing => Stage::Beside,
            Stage::Restoring | Stage::Back => Stage::Restoring,
        };
    }

    fn lost(&self, profile: &Profile) -> Error {
        Error::new(
            ErrorKind::InvalidProfile,
            System::Profile,
            format!(
                "a migration from pool `{}` to pool `{}` is in progress, and the profile has neither of them",
                self.from.name, self.to
            ),
        )
        .object(format!("profile `{}`", profile.name))
        .hint(format!(
            "add `{}` to the profile again, and run the same command",
            self.from.name
        ))
    }

    /// The command that goes on.
    pub fn forth(&self) -> String {
        let mut command = format!("arcctl migrate {} --to {}", self.from.name, word(self.mode));
        if self.to != new_name(&self.from.name, self.mode) {
            command.push_str(" --name ");
            command.push_str(&self.to);
        }
        if let Some(image) = &self.image {
            command.push_str(" --image ");
            command.push_str(image);
        }
        if self.no_labels {
            command.push_str(" --no-labels");
        }
        command
    }

    /// The command that goes back.
    pub fn back(&self) -> String {
        format!("arcctl migrate {} --back", self.from.name)
    }

    /// That it is in progress, and what to run, for other commands.
    pub fn notice(&self) -> String {
        let (old, new) = (&self.from.name, &self.to);
        let stage = match self.stage {
            Stage::Beside => "both pools are kept",
            Stage::Removing => "the old pool is being removed",
            Stage::Restoring => {
                "it is being undone, and both pools are kept until the old one is verified"
            }
            Stage::Back if self.was_there => "it is being undone, and both pools are kept",
            Stage::Back => "it is being undone, and the new pool is being removed",
        };
        format!(
            "pool `{old}` ({}) is being migrated to `{new}` ({}); {stage}: `{}` finishes the migration, `{}` undoes it",
            word(self.from.mode),
            word(self.mode),
            self.forth(),
            self.back()
        )
    }
}

#[cfg(test)]
mod tests;

//! A migration as text and as `arcctl.migration/v1`. Pure: no I/O.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    error::Error,
    migration::{Migration, Stage, peaks::Peaks, word, workflows::Workflows},
    plan::Changes,
    profile::Pool,
};

/// What a run of `arcctl migrate` found and did.
#[derive(Debug, Default)]
pub struct Migrated {
    /// The profile's name.
    pub profile: String,
    /// The profile's file.
    pub file: String,
    /// Whether this run changed it.
    pub written: bool,
    /// The pool that was asked for.
    pub pool: String,
    /// The migration; `None` before it is known, or if it was finished before.
    pub migration: Option<Migration>,
    /// How far it is, by the record in the cluster; `None`: none is in progress.
    pub stage: Option<Stage>,
    /// How the new pool differs from the old one.
    pub differs: Vec<String>,
    /// The most runners.
    pub peaks: Option<Peaks>,
    /// What workflows are to change.
    pub workflows: Option<Workflows>,
    /// What the next run would change, with `--dry-run`.
    pub changes: Option<Changes>,
    /// How many resources were changed.
    pub changed: usize,
    /// Whether somebody answered no.
    pub declined: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it did not succeed.
    pub error: Option<Error>,
}

impl Migrated {
    /// The JSON document.
    pub fn document(&self) -> Value {
        let stage = self.stage.map(|it| match it {
            Stage::Beside => "beside",
            Stage::Removing => "removing",
            Stage::Restoring => "restoring",
            Stage::Back => "back",
        });
        let workflows = self.workflows.as_ref().map(|it| {
            json!({"runsOn": it.runs_on, "lost": it.lost, "shared": it.shared, "search": it.search})
        });
        let migration = self.migration.as_ref();
        json!({
            "schema": "arcctl.migration/v1",
            "profile": self.profile,
            "outcome": self.outcome(),
            "file": self.file,
            "written": self.written,
            "pool": self.pool,
            "newPool": migration.map(|it| &it.to),
            "mode": migration.map(|it| word(it.mode)),
            "stage": stage,
            "differs": self.differs,
            "peaks": self.peaks,
            "workflows": workflows,
            "changes": self.changes,
            "changed": self.changed,
            "seconds": (self.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            "error": self.error.as_ref().map(Error::document),
        })
    }

    fn outcome(&self) -> &'static str {
        match &self.error {
            Some(error) => error.kind.outcome(),
            None if self.declined => "not-started",
            None => "ok",
        }
    }

    /// What is about to happen, for a question: `new` is the new pool.
    pub fn summary(&self, migration: &Migration, new: &Pool) -> String {
        let (old, file) = (&migration.from, &self.file);
        let mut lines = vec![format!(
            "pool `{}` ({}) moves to `{}` ({}): the new pool is created and verified; then the old pool finishes its jobs and is removed. `{file}` gets the new pool now, and loses the old one at the end.",
            old.name,
            word(old.mode),
            new.name,
            word(new.mode),
        )];
        lines.extend(self.differs.iter().map(|it| format!("  - {it}")));
        lines.extend(self.peaks.map(|it| it.text(old, new)));
        let workflows = self.workflows.iter();
        lines.extend(workflows.flat_map(|it| it.text(&old.name, &new.name)));
        lines.join("\n")
    }

    /// The closing lines for people, of a run without an error.
    pub fn text(&self) -> String {
        let seconds = self.elapsed.as_secs_f64();
        let Some(migration) = &self.migration else {
            return format!("pool `{}` is already migrated\n", self.pool);
        };
        let (old, new) = (&migration.from.name, &migration.to);
        if self.changes.is_some() || self.declined {
            return String::new();
        }
        match self.stage {
            None if migration.stage == Stage::Back && migration.was_there => {
                format!("pool `{old}` is as before, and `{new}` stays, {seconds:.1} s\n")
            }
            None if migration.stage == Stage::Back => {
                format!("pool `{old}` is as before, and `{new}` is removed, {seconds:.1} s\n")
            }
            None => format!("pool `{new}` has replaced `{old}`, {seconds:.1} s\n"),
            Some(_) => format!("{}\n", migration.notice()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Mode;

    fn migrated(stage: Option<Stage>, at: Stage) -> Migrated {
        let from = Pool {
            name: "basic".into(),
            max: 4,
            ..Pool::default()
        };
        Migrated {
            pool: "basic".into(),
            migration: Some(Migration {
                from,
                to: "basic-ss".into(),
                mode: Mode::ScaleSet,
                stage: at,
                was_there: false,
                image: None,
                no_labels: false,
            }),
            stage,
            ..Migrated::default()
        }
    }

    #[test]
    fn the_end_says_which_pool_is_there() {
        let text = |stage, at| migrated(stage, at).text();
        assert!(text(None, Stage::Removing).starts_with("pool `basic-ss` has replaced `basic`"));
        assert!(text(None, Stage::Back).starts_with("pool `basic` is as before"));
        let restoring = text(Some(Stage::Restoring), Stage::Restoring);
        assert!(
            restoring.contains("both pools are kept until the old one is verified"),
            "{restoring}"
        );
        let both = text(Some(Stage::Beside), Stage::Beside);
        assert!(
            both.contains("`arcctl migrate basic --back` undoes it"),
            "{both}"
        );
        assert_eq!(
            Migrated {
                pool: "basic".into(),
                ..Migrated::default()
            }
            .text(),
            "pool `basic` is already migrated\n"
        );
    }

    #[test]
    fn the_document_has_the_stage() {
        let document = migrated(Some(Stage::Removing), Stage::Removing).document();
        assert_eq!(document["stage"], "removing");
        assert_eq!(document["newPool"], "basic-ss");
        assert_eq!(document["mode"], "scaleSet");
        assert_eq!(document["outcome"], "ok");
        assert_eq!(Migrated::default().document()["stage"], Value::Null);
    }
}

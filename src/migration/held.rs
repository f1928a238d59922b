//! What a run must not remove while a migration goes on. Pure: no I/O.

use super::{Migration, Stage};
use crate::{
    desired::{names, resource::Id},
    error::{Error, ErrorKind, Result, System},
    profile::{Mode, Profile},
};

impl Migration {
    /// The pools that a run must not remove, although the profile at hand may lack one of them.
    fn held(&self) -> Vec<(&str, Mode)> {
        let old = (self.from.name.as_str(), self.from.mode);
        let new = (self.to.as_str(), self.mode);
        match self.stage {
            Stage::Beside | Stage::Restoring => vec![old, new],
            Stage::Removing => vec![new],
            Stage::Back if self.was_there => vec![old, new],
            Stage::Back => vec![old],
        }
    }

    /// The pool that is to go; `None` where both stay.
    pub fn goes(&self) -> Option<&str> {
        match (self.stage.is_way_back(), self.was_there) {
            (false, _) => Some(&self.from.name),
            (true, false) => Some(&self.to),
            (true, true) => None,
        }
    }

    /// Whether a run must not remove this object of the profile called `profile`: the profile at hand may be a copy from before.
    pub fn holds(&self, id: &Id, profile: &str) -> bool {
        let is_of = |(name, mode): &(&str, Mode)| {
            let keeps_minimums = *mode == Mode::ScaleSet;
            id.name() == *name || (keeps_minimums && id.name() == names::schedule_name(profile))
        };
        id.namespace() == Some(self.from.namespace.as_str()) && self.held().iter().any(is_of)
    }
}

/// Refuses another minor version of the charts while it would end `outgoing`, scale sets by namespace and name, of which a
/// migration keeps one that the profile lacks: nothing would make that one again.
pub fn refuse_outgoing(
    migrations: &[Migration],
    profile: &Profile,
    outgoing: &[(String, String)],
) -> Result<()> {
    let lacks = |namespace: &str, name: &str| {
        let pool = profile.pool(namespace, name);
        pool.is_none_or(|it| !it.is_scale_set())
    };
    for (namespace, name) in outgoing.iter().filter(|it| lacks(&it.0, &it.1)) {
        let id = Id::new("scale-set", Some(namespace), name);
        let Some(holder) = migrations.iter().find(|it| it.holds(&id, &profile.name)) else {
            continue;
        };
        return Err(Error::new(
            ErrorKind::Refused,
            System::Kubernetes,
            format!(
                "`scaleSets.chartVersion: {}` would delete scale set `{name}`, which a migration keeps and this profile does not have",
                profile.scale_sets.chart_version
            ),
        )
        .object(&id)
        .hint(format!(
            "end the migration first, with the previous version: `{}` finishes it, `{}` undoes it; or use the profile with both pools",
            holder.forth(),
            holder.back()
        )));
    }
    Ok(())
}

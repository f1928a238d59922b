//! The ids at GitHub in the inventory: what this cluster has made, also when its objects are gone.

use std::collections::BTreeMap;

use super::objects::Place;
use crate::{error::Result, inventory, resource::context::Context};

/// All of them, by [`Place::key`].
pub(super) async fn ids(context: &Context) -> Result<BTreeMap<String, u64>> {
    inventory::scale_sets(&context.kube, inventory::Home::of(&context.profile)).await
}

impl Place<'_> {
    /// Its `namespace/name`, by which the inventory knows it.
    pub(super) fn key(self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Its recorded id.
    pub(super) async fn recorded(self, context: &Context) -> Result<Option<u64>> {
        Ok(ids(context).await?.get(&self.key()).copied())
    }

    /// Records its id, or with `None` removes the record.
    pub(super) async fn record(self, context: &Context, id: Option<u64>) -> Result<()> {
        let home = inventory::Home::of(&context.profile);
        let place = (self.namespace, self.name);
        inventory::remember_scale_set(&context.kube, home, place, id).await
    }
}

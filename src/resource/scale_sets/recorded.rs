//! The records of the inventory: the id and the scope at GitHub of what this cluster has made, also when its objects are gone.
//!
//! An id of another scope is another scale set: the controller keeps the id when the address of a set changes, asks for it in
//! the new scope, and leaves the old scale set where it was.

use std::collections::BTreeMap;

use serde_json::Value;

use super::objects::{ID, Place, id};
use crate::{
    desired::{
        resource::scale_set::{SetRecord, is_same_scope},
        scale_set::values::config_url,
    },
    error::{Error, ErrorKind, Result, System},
    inventory,
    resource::context::Context,
};

/// All of them, by [`Place::key`].
pub(super) async fn records(context: &Context) -> Result<BTreeMap<String, SetRecord>> {
    inventory::scale_sets(&context.kube, inventory::Home::of(&context.profile)).await
}

/// The address of the scope in which the profile has the scale set `name`.
pub(super) fn wanted_scope(context: &Context, name: &str) -> Result<String> {
    let (_, profile) = context.github_of(name);
    config_url(&profile.github).map_err(|error| {
        Error::new(
            ErrorKind::InvalidProfile,
            System::Profile,
            error.to_string(),
        )
        .hint("correct the profile")
    })
}

/// The address of the scope in which a set is registered, by its object.
pub(super) fn scope_of(set: &Value) -> Option<&str> {
    set["spec"]["githubConfigUrl"].as_str()
}

/// The id and the scope of a set that is registered elsewhere than in `wanted`: by its record, and by its object where the
/// record names no scope.
pub(crate) fn elsewhere<'a>(
    record: Option<&'a SetRecord>,
    live: Option<&'a Value>,
    wanted: &str,
) -> Option<(u64, &'a str)> {
    let recorded = record.and_then(|it| Some((it.id, it.scope.as_deref()?)));
    let by_object = || live.and_then(|it| Some((id(it)?, scope_of(it)?)));
    let known = recorded.or_else(by_object);
    known.filter(|(_, scope)| !is_same_scope(scope, wanted))
}

/// Where the scale set `name` is registered instead of `wanted`; a sentence.
pub(crate) fn elsewhere_words(name: &str, (id, scope): (u64, &str), wanted: &str) -> String {
    format!(
        "runner scale set `{name}` (id {id}) is registered in {scope}, and the profile has it in {wanted}"
    )
}

/// What to do about it: while the profile has the old scope, the credential of that scope deletes the scale set.
pub(crate) fn way_back(scope: &str) -> String {
    format!(
        "a pool cannot change its scope in one run: write {scope} in the profile again, remove the pool, run `arcctl up`, which deletes the scale set there, and then add the pool with the new scope"
    )
}

/// How the scale set `name` is registered again when GitHub has none of its id. Its annotation goes first, since until 0.15 the
/// controller cannot delete what GitHub does not have; the set goes too, since its listener and its runners keep the id that
/// they were made with (actions-runner-controller#4370).
pub(crate) fn registered_again(namespace: &str, name: &str) -> String {
    format!(
        "have it registered again: `kubectl -n {namespace} annotate autoscalingrunnerset {name} {ID}-`, then `kubectl -n {namespace} delete autoscalingrunnerset {name}`, then `arcctl up`"
    )
}

impl Place<'_> {
    /// Its `namespace/name`, by which the inventory knows it.
    pub(super) fn key(self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Its record.
    pub(super) async fn recorded(self, context: &Context) -> Result<Option<SetRecord>> {
        Ok(records(context).await?.remove(&self.key()))
    }

    /// Records it, or with `None` removes the record.
    pub(super) async fn record(self, context: &Context, record: Option<&SetRecord>) -> Result<()> {
        let home = inventory::Home::of(&context.profile);
        let place = (self.namespace, self.name);
        inventory::remember_scale_set(&context.kube, home, place, record).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OLD: &str = "https://github.com/old";
    const NEW: &str = "https://github.com/new";

    fn record(scope: Option<&str>) -> SetRecord {
        SetRecord {
            id: 7,
            scope: scope.map(str::to_owned),
        }
    }

    fn live(scope: &str) -> Value {
        json!({"metadata": {"annotations": {"runner-scale-set-id": "7"}}, "spec": {"githubConfigUrl": scope}})
    }

    #[test]
    fn a_set_of_another_scope_is_known_by_its_record() {
        let old = record(Some(OLD));
        assert_eq!(elsewhere(Some(&old), None, NEW), Some((7, OLD)));
        // An upgrade has changed the address of the object, and the controller has kept the id.
        let changed = live(NEW);
        assert_eq!(elsewhere(Some(&old), Some(&changed), NEW), Some((7, OLD)));
        assert_eq!(elsewhere(Some(&old), None, OLD), None);
        assert_eq!(elsewhere(None, None, NEW), None);
    }

    #[test]
    fn without_a_scope_in_the_record_the_object_says_it() {
        let (bare, there) = (record(None), live(OLD));
        assert_eq!(elsewhere(Some(&bare), Some(&there), NEW), Some((7, OLD)));
        assert_eq!(elsewhere(Some(&bare), None, NEW), None);
        // What is not registered can still go anywhere.
        let mut new = live(OLD);
        new["metadata"] = json!({});
        assert_eq!(elsewhere(None, Some(&new), NEW), None);
    }
}

//! The deletion of a set, in the controller's order: listener, runners, scale set at GitHub, what the chart made, the set
//! itself. What cannot be done holds all that follows, for ever.

use anyhow::Result;
use serde_json::Value;

use super::names::{OF_SET, PROTECTION, annotation};
use super::reconciler::{Reconciler, Snapshot};
use super::scale_set::{listener_of, runner_sets};
use super::{ACCOUNT, BINDING, LISTENER, ROLE, RUNNERS, SET};
use crate::objects::{Kind, SECRET, at, has_finalizer, without_finalizer};

/// What the chart made with a finalizer, by the annotation that names it, in the order in which it is let go.
const PROTECTED: [(&str, Kind); 7] = [
    ("kubernetes-mode-role-binding-name", BINDING),
    ("kubernetes-mode-role-name", ROLE),
    ("kubernetes-mode-service-account-name", ACCOUNT),
    ("no-permission-service-account-name", ACCOUNT),
    ("github-secret-name", SECRET),
    ("manager-role-binding", BINDING),
    ("manager-role-name", ROLE),
];

impl Reconciler {
    /// Brings the deletion of a set one step on.
    pub(super) async fn delete_set(&mut self, set: &Value, snapshot: &Snapshot) -> Result<()> {
        if !has_finalizer(set, OF_SET) {
            return Ok(());
        }
        if let Some(listener) = listener_of(set, snapshot) {
            return self.end(&LISTENER, listener).await;
        }
        let runners = runner_sets(set, snapshot);
        for runners in &runners {
            self.end(&RUNNERS, runners).await?;
        }
        if !runners.is_empty() || !self.is_deregistered(set).await? {
            return Ok(());
        }
        for (suffix, kind) in PROTECTED {
            let name = annotation(set, &format!("actions.github.com/cleanup-{suffix}"));
            if name.is_empty() {
                continue;
            }
            let object = self.objects.get(&kind, (at(set).0, name)).await?;
            if let Some(object) = object.filter(|it| has_finalizer(it, PROTECTION)) {
                let patch = without_finalizer(&object, PROTECTION);
                self.objects.merge(&kind, at(&object), &patch).await?;
            }
        }
        // The deregistration has changed the set.
        if let Some(set) = self.objects.get(&SET, at(set)).await? {
            let patch = without_finalizer(&set, OF_SET);
            self.objects.merge(&SET, at(&set), &patch).await?;
        }
        Ok(())
    }
}

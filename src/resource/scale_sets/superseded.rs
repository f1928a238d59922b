//! The listener that a scale set had before its runner group changed: its controller makes another one beside it, and never
//! removes it. Pure but for the reads and the deletion.
//!
//! The name of a listener has a hash of the namespace, the group and the address of its scale set, and the controller looks for
//! the listener with the name of the set as it is now (controllers/actions.github.com/resourcebuilder.go of Actions Runner
//! Controller at 0.14, `scaleSetListenerName`). The former listener keeps the only session that GitHub allows. A change from
//! 0.13.0 to a later patch does the same (actions-runner-controller#4346).

use serde_json::{Value, json};

use super::{
    API_VERSION,
    objects::{Place, listeners, name},
};
use crate::{
    clients::kube::Target,
    diff::Difference,
    error::Result,
    resource::{context::Context, deletion::ending},
};

impl Place<'_> {
    /// What differs while a former listener is there.
    pub(super) async fn former_listeners(self, context: &Context) -> Result<Option<Difference>> {
        let all = listeners(&context.kube, self).await?;
        let former = superseded(&all).into_iter().map(name);
        let former: Vec<&str> = former.collect();
        Ok((!former.is_empty()).then(|| Difference {
            path: "formerListeners".into(),
            from: json!(former),
            to: Value::Null,
        }))
    }

    /// Deletes the former listeners; their controller removes what belongs to them.
    pub(super) async fn end_former_listeners(self, context: &Context) -> Result<()> {
        let all = listeners(&context.kube, self).await?;
        for listener in superseded(&all) {
            let (kind, namespace) = ("AutoscalingListener", self.controller_namespace);
            let target = Target::namespaced(API_VERSION, kind, namespace, name(listener));
            context.kube.delete_same(&target, listener).await?;
        }
        Ok(())
    }
}

/// The listeners that another one has taken the place of: those that are older than the newest. Those that are being deleted
/// do not count. If two are the newest, it is not known which one the controller wants, and none is superseded.
pub(super) fn superseded(all: &[Value]) -> Vec<&Value> {
    let staying = || all.iter().filter(|it| ending(it).is_none());
    let newest = staying().map(made).max().unwrap_or_default();
    if staying().filter(|it| made(it) == newest).count() > 1 {
        return Vec::new();
    }
    staying().filter(|it| made(it) < newest).collect()
}

/// When an object was made; such times of the API server compare as texts.
fn made(object: &Value) -> &str {
    let time = &object["metadata"]["creationTimestamp"];
    time.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(name: &str, time: &str) -> Value {
        json!({"metadata": {"name": name, "creationTimestamp": time}})
    }

    fn found(all: &[Value]) -> Vec<&str> {
        superseded(all).into_iter().map(name).collect()
    }

    #[test]
    fn only_what_is_older_than_the_newest_goes() {
        let (old, new) = (
            listener("old", "2026-01-01T00:00:00Z"),
            listener("new", "2026-01-01T00:00:09Z"),
        );
        assert_eq!(found(&[]), [""; 0]);
        assert_eq!(found(std::slice::from_ref(&new)), [""; 0]);
        assert_eq!(found(&[new.clone(), old.clone()]), ["old"]);
        let twin = listener("twin", "2026-01-01T00:00:09Z");
        assert_eq!(found(&[new.clone(), twin, old.clone()]), [""; 0]);
        let mut leaving = new;
        leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z".into();
        assert_eq!(found(&[leaving, old]), [""; 0]);
    }
}

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
    objects::{Place, listeners, minor, name, version},
};
use crate::{
    clients::kube::Target,
    diff::Difference,
    error::Result,
    resource::{context::Context, deletion::ending},
};

/// The path of the difference while former listeners are there.
pub(crate) const FORMER_LISTENERS: &str = "formerListeners";

/// The minor versions whose controllers name listeners as [`listener_name`] does.
const NAMED_ALIKE: [(u32, u32); 2] = [(0, 14), (0, 15)];

/// The letters and digits of generated names in Kubernetes.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

impl Place<'_> {
    /// What differs while a former listener of the set `live` is there.
    pub(super) async fn former_listeners(
        self,
        context: &Context,
        live: &Value,
    ) -> Result<Option<Difference>> {
        let all = listeners(&context.kube, self).await?;
        let former = superseded(&all, live).into_iter().map(name);
        let former: Vec<&str> = former.collect();
        Ok((!former.is_empty()).then(|| Difference {
            path: FORMER_LISTENERS.into(),
            from: json!(former),
            to: Value::Null,
        }))
    }

    /// Deletes the former listeners of the set `live`; their controller removes what belongs to them.
    pub(super) async fn end_former_listeners(self, context: &Context, live: &Value) -> Result<()> {
        let all = listeners(&context.kube, self).await?;
        for listener in superseded(&all, live) {
            let (kind, namespace) = ("AutoscalingListener", self.controller_namespace);
            let target = Target::namespaced(API_VERSION, kind, namespace, name(listener));
            context.kube.delete_same(&target, listener).await?;
        }
        Ok(())
    }
}

/// The listeners that another one has taken the place of: all but the one with the name of the set as it is now, once that
/// one is there. Those that are being deleted do not count. Where the name is not known, the newest is taken for the one that
/// the controller wants; if two are the newest, none is superseded.
pub(crate) fn superseded<'a>(
    all: impl IntoIterator<Item = &'a Value>,
    set: &Value,
) -> Vec<&'a Value> {
    let staying = all.into_iter().filter(|it| ending(it).is_none());
    let staying: Vec<&Value> = staying.collect();
    let wanted = match listener_name(set) {
        Some(known) => staying.iter().copied().find(|it| name(it) == known),
        None => newest(&staying),
    };
    let Some(wanted) = wanted else {
        return Vec::new();
    };
    let is_former = |it: &&Value| name(it) != name(wanted);
    staying.into_iter().filter(is_former).collect()
}

/// The one that was made last; `None` if two were.
fn newest<'a>(all: &[&'a Value]) -> Option<&'a Value> {
    let newest = all.iter().copied().max_by_key(|it| made(it))?;
    let is_alone = all.iter().filter(|it| made(it) == made(newest)).count() == 1;
    is_alone.then_some(newest)
}

/// The name of the listener that the controller makes for a set as it is now. `None` where it is not known: of minor versions
/// whose source nobody has compared.
pub(crate) fn listener_name(set: &Value) -> Option<String> {
    version(set)
        .and_then(minor)
        .filter(|it| NAMED_ALIKE.contains(it))?;
    let metadata = |key: &str| set["metadata"][key].as_str();
    let spec = |key: &str| set["spec"][key].as_str().unwrap_or_default();
    let (namespace, of_set) = (metadata("namespace")?, metadata("name")?);
    let (group, url) = (spec("runnerGroup"), spec("githubConfigUrl"));
    let hash = short_hash(&format!("{namespace}@{group}@{url}"));
    Some(format!("{of_set}-{hash}-listener"))
}

/// The FNV-1a hash of 32 bits of a text in decimal digits, each written with the alphabet of generated names; the first eight
/// of them (k8s.io/apimachinery, `rand.SafeEncodeString`).
fn short_hash(text: &str) -> String {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let digits = hash.to_string();
    let letters = digits
        .bytes()
        .map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]));
    letters.take(8).collect()
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

    fn set(version: &str, group: &str) -> Value {
        json!({
            "metadata": {"namespace": "actions-runner", "name": "fast", "labels": {"app.kubernetes.io/version": version}},
            "spec": {"githubConfigUrl": "https://github.com/enterprises/dogecompany", "runnerGroup": group},
        })
    }

    /// What is found for a set whose names are not known.
    fn found(all: &[Value]) -> Vec<&str> {
        let found = superseded(all, &set("0.99.0", ""));
        found.into_iter().map(name).collect()
    }

    #[test]
    fn the_name_follows_the_group() {
        // The hash was made with another program.
        let named = |version: &str, group: &str| listener_name(&set(version, group));
        assert_eq!(
            named("0.14.2", "").as_deref(),
            Some("fast-5b44d78f-listener")
        );
        assert_ne!(named("0.14.2", "ci"), named("0.14.2", ""));
        assert_eq!(named("0.15.0", "ci"), named("0.14.2", "ci"));
        assert_eq!(named("0.13.0", ""), None);
        assert_eq!(named("dev", ""), None);
    }

    #[test]
    fn the_one_with_the_name_of_the_set_stays_however_old_it_is() {
        let (now, before) = (set("0.14.2", ""), set("0.14.2", "ci"));
        let names = [&now, &before].map(|it| listener_name(it).unwrap());
        let all = [
            listener(&names[0], "2026-01-01T00:00:00Z"),
            listener(&names[1], "2026-01-02T00:00:00Z"),
        ];
        let found = superseded(&all, &now);
        assert_eq!(found.into_iter().map(name).collect::<Vec<_>>(), [&names[1]]);
        // Before the controller has made the one that the set wants, the former one has the session.
        assert_eq!(superseded(&all[1..], &now), [&json!(null); 0]);
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

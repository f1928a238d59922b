//! The `CustomResourceDefinitions` of a chart: applied server-side, never part of a release (DESIGN 5).
//!
//! They are compared without the chart: an annotation on each contains the chart's version and a hash of
//! its spec, as the API server returned it from the apply. One whose spec is [`known`] is not read whole again.

pub(crate) mod known;
mod removal;
mod spec;

use serde_json::{Value, json};

use self::spec::{as_stored, spec_hash};
use crate::{
    clients::{
        helm::Helm,
        kube::{Mode, Selection, Target},
    },
    desired::resource::{CrdSet, Id},
    diff::Difference,
    error::{Error, Result, System},
    resource::{
        context::Context,
        helm::manifest::objects,
        observed::{Observed, Ownership, Present, Readiness},
        scale_sets::minor,
    },
};

/// The annotation with the chart of a CRD, `NAME-VERSION`.
const CHART: &str = "arcctl.dev/chart";
/// The annotation with the hash of its spec at that time.
const SPEC_HASH: &str = "arcctl.dev/spec-hash";
/// Keeps a CRD that its release no longer contains: cert-manager's charts before v1.15 would delete all
/// Certificates (reference: observed.md 9).
const RESOURCE_POLICY: &str = "helm.sh/resource-policy";
const API_VERSION: &str = "apiextensions.k8s.io/v1";
const KIND: &str = "CustomResourceDefinition";

/// What was read of a CRD.
enum Read {
    /// It does not exist.
    Absent,
    /// Its metadata: it is as an earlier whole read found it, as wanted and Established.
    AsKnown,
    /// All of it.
    Whole(Value),
}

impl CrdSet {
    fn label(&self) -> String {
        format!("{}-{}", self.chart.name, self.chart.version)
    }

    /// The watches until they are Established.
    pub fn selections(&self) -> Vec<Selection> {
        vec![Selection::all(API_VERSION, KIND).labelled("app.kubernetes.io/managed-by=arcctl")]
    }

    /// Reads each CRD and compares its annotations.
    pub(crate) async fn observe(&self, context: &Context) -> Result<Observed> {
        let names = self.names.iter();
        let reads = names
            .map(|name| async move { Ok::<_, Error>((name, self.read(context, name).await?)) });
        let live = futures::future::try_join_all(reads).await?;
        if live.iter().all(|(_, live)| matches!(live, Read::Absent)) {
            return Ok(Observed::Absent);
        }
        let mut differences = Vec::new();
        let mut pending = Vec::new();
        let mut leaving = None;
        for (name, live) in &live {
            match live {
                Read::Absent => {
                    context.crds.forget(name);
                    differences.push(changed(name, Value::Null, &self.label()));
                }
                Read::AsKnown => {}
                // It is created again after its deletion: until then the API server accepts no object of its kind.
                Read::Whole(live) if live["metadata"]["deletionTimestamp"].is_string() => {
                    let held = objects_of(context, live).await.unwrap_or_default();
                    leaving.get_or_insert_with(|| terminating(live, &held));
                }
                Read::Whole(live) => {
                    let difference = self.compare(name, live);
                    if !established(live) {
                        pending.push(name.as_str());
                    } else if difference.is_none() {
                        context.crds.learn(name, live);
                    }
                    differences.extend(difference);
                }
            }
        }
        if !differences.is_empty() && minor::keeps_crds(context, self).await? {
            let id = Id::new("crds", None, &self.chart.name);
            let later = std::mem::take(&mut differences);
            context.remarks.defer(id.as_str(), later);
        }
        let readiness = leaving.unwrap_or_else(|| match pending.as_slice() {
            [] => Readiness::Ready,
            [name] => Readiness::progressing(format!("CRD `{name}` is not Established yet")),
            names => Readiness::progressing(format!(
                "{} CRDs are not Established yet, among them `{}`",
                names.len(),
                names[0]
            )),
        });
        // CRDs are shared by all their users: they are adopted, and kept at teardown.
        Ok(Observed::Present(Present {
            differences,
            readiness,
            ownership: Ownership::Ours,
        }))
    }

    /// Reads one CRD: no more than its metadata where that shows that it still is what is known of it.
    async fn read(&self, context: &Context, name: &str) -> Result<Read> {
        let target = Target::cluster(API_VERSION, KIND, name);
        if let Some(known) = context.crds.of(name) {
            match context.kube.metadata(&target).await? {
                None => return Ok(Read::Absent),
                Some(live) if known.describes(&live, &self.label()) => return Ok(Read::AsKnown),
                Some(_) => {}
            }
        }
        let live = context.kube.get(&target).await?;
        Ok(live.map_or(Read::Absent, Read::Whole))
    }

    fn compare(&self, name: &str, live: &Value) -> Option<Difference> {
        let annotations = &live["metadata"]["annotations"];
        if annotations[CHART] != json!(self.label()) {
            return Some(changed(name, annotations[CHART].clone(), &self.label()));
        }
        // A file of `render` that another tool applied, and watches: no API server had seen its spec.
        if annotations[SPEC_HASH].is_null() {
            return None;
        }
        let hash = spec_hash(live);
        (annotations[SPEC_HASH] != json!(hash)).then(|| Difference {
            path: format!("{name}.spec"),
            from: json!("changed by hand"),
            to: json!(self.label()),
        })
    }

    /// Reads the CRDs from the chart and applies them.
    pub async fn apply(&self, context: &Context) -> Result<()> {
        let manifests = self.manifests(&context.helm, context.kubernetes).await?;
        let applies = manifests.iter().map(|crd| apply_one(context, crd));
        futures::future::try_join_all(applies).await.map(|_| ())
    }

    /// The manifests of the chart's CRDs, for an API server of this version.
    pub async fn manifests(&self, helm: &Helm, kubernetes: (u32, u32)) -> Result<Vec<Value>> {
        let text = match &self.templated {
            None => helm.show_crds(&self.chart).await?,
            Some(values) => helm.template(&self.chart, values, kubernetes).await?,
        };
        let what = format!("chart `{}`", self.label());
        let crds: Vec<Value> = objects(&text, &what)?
            .into_iter()
            .filter(|it| it["kind"] == KIND)
            .collect();
        if let Some(name) = self
            .names
            .iter()
            .find(|name| !crds.iter().any(|it| it["metadata"]["name"] == ***name))
        {
            return Err(
                Error::failed(System::Helm, format!("{what} has no CRD `{name}`")).hint(
                    "check the chart's version in the profile, and the mirror under `charts`",
                ),
            );
        }
        Ok(crds.iter().map(|it| self.manifest(it)).collect())
    }

    fn manifest(&self, crd: &Value) -> Value {
        let mut manifest = json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": crd["metadata"]["name"],
                "labels": {"app.kubernetes.io/managed-by": "arcctl"},
                "annotations": {CHART: self.label(), RESOURCE_POLICY: "keep"},
            },
            "spec": crd["spec"],
        });
        // An annotation injects the CA of cert-manager's webhook; the chart's own annotations are kept.
        for (key, value) in crd["metadata"]["annotations"]
            .as_object()
            .into_iter()
            .flatten()
        {
            manifest["metadata"]["annotations"][key] = value.clone();
        }
        manifest
    }
}

/// Applies a CRD with a hash of its spec as the API server stores it.
async fn apply_one(context: &Context, crd: &Value) -> Result<()> {
    let name = crd["metadata"]["name"].as_str().unwrap_or_default();
    let target = Target::cluster(API_VERSION, KIND, name);
    let mut manifest = crd.clone();
    let mut hash = spec_hash(&json!({"spec": as_stored(crd["spec"].clone())}));
    // They are large. A second apply corrects the hash where the API server stores something else than was foreseen; a
    // run that is killed in between leaves a wrong hash, and the next one applies again.
    for _ in 0..2 {
        manifest["metadata"]["annotations"][SPEC_HASH] = json!(hash);
        let stored = context.kube.apply(&manifest, Mode::Commit).await;
        let stored = spec_hash(&stored.map_err(|failure| failure.about(&target))?);
        if stored == hash {
            break;
        }
        tracing::debug!("{target} is stored otherwise than it was sent");
        hash = stored;
    }
    Ok(())
}

/// Why CRDs are being deleted, from their observed state.
pub fn crds_leave(observed: &Observed) -> Option<&str> {
    let Observed::Present(present) = observed else {
        return None;
    };
    let reason = present.readiness.reason()?;
    (reason.starts_with("CRD `") && reason.contains(LEAVES)).then_some(reason)
}

/// A part of the reason for a CRD that is being deleted.
const LEAVES: &str = "` is being deleted";

/// What the deletion of a CRD waits for: the API server reports it in a condition, but without the names of
/// the objects (`there`).
fn terminating(live: &Value, there: &[Value]) -> Readiness {
    let name = live["metadata"]["name"].as_str().unwrap_or_default();
    let conditions = live["status"]["conditions"].as_array();
    let said = conditions
        .into_iter()
        .flatten()
        .find(|it| it["type"] == "Terminating" && it["status"] == "True")
        .and_then(|it| it["message"].as_str())
        .map(|it| format!(": {it}"))
        .unwrap_or_default();
    let reason = format!("CRD `{name}{LEAVES}{said}");
    let held = |it: &&Value| it["metadata"]["finalizers"].is_array();
    let Some(held) = there.iter().find(held) else {
        return Readiness::progressing(reason);
    };
    let finalizers: Vec<&str> = held["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let namespace = match held["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("-n {namespace} "),
        None => String::new(),
    };
    let object = held["metadata"]["name"].as_str().unwrap_or_default();
    Readiness::stuck(
        format!(
            "{reason}; {} waits for {}",
            described(live, held),
            finalizers.join(", ")
        ),
        format!(
            "let the program whose finalizer it is take it off; if that program is gone: `kubectl {namespace}patch {name} {object} --type=merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'`, also for each other object of the kind"
        ),
    )
}

/// The first object of the kind that `crd` defines, except generated ones.
async fn first_object(context: &Context, crd: &Value) -> Result<Option<String>> {
    let group = crd["spec"]["group"].as_str().unwrap_or_default();
    let found = objects_of(context, crd).await?;
    Ok(found
        .iter()
        .find(|it| !is_owned_within(it, group))
        .map(|it| described(crd, it)))
}

/// The objects of the kind that `crd` defines; none where it has no served version.
async fn objects_of(context: &Context, crd: &Value) -> Result<Vec<Value>> {
    let spec = &crd["spec"];
    let served = spec["versions"].as_array().into_iter().flatten();
    let Some(version) = served
        .filter(|it| it["served"] == true)
        .find_map(|it| it["name"].as_str())
    else {
        return Ok(Vec::new());
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, kind) = (text(&spec["group"]), text(&spec["names"]["kind"]));
    let selection = Selection::all(&format!("{group}/{version}"), &kind);
    context.kube.list(&selection).await
}

/// The name of an object of the kind that `crd` defines, for messages.
fn described(crd: &Value, object: &Value) -> String {
    let kind = crd["spec"]["names"]["kind"].as_str().unwrap_or_default();
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    match metadata["namespace"].as_str() {
        Some(namespace) => format!("{kind} `{namespace}/{name}`"),
        None => format!("{kind} `{name}`"),
    }
}

/// Whether an object of another of these CRDs owns it. Its owner is found itself if it exists; otherwise the garbage
/// collector deletes this one, which can take a while.
fn is_owned_within(object: &Value, group: &str) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let domain = |it: &str| it.rsplit('.').take(2).collect::<Vec<_>>().join(".");
    owners.into_iter().flatten().any(|it| {
        let owner = it["apiVersion"].as_str().and_then(|it| it.split_once('/'));
        it["controller"] == true && owner.is_some_and(|(it, _)| domain(it) == domain(group))
    })
}

fn changed(name: &str, from: Value, to: &str) -> Difference {
    Difference {
        path: name.into(),
        from,
        to: json!(to),
    }
}

fn established(live: &Value) -> bool {
    live["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crd_that_is_being_deleted_says_what_holds_it() {
        let crd = json!({
            "metadata": {"name": "runners.actions.summerwind.dev", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"names": {"kind": "Runner"}},
            "status": {"conditions": [
                {"type": "Established", "status": "True"},
                {"type": "Terminating", "status": "True", "message": "CustomResource deletion is in progress"},
            ]},
        });
        let alone = terminating(&crd, &[]);
        let reason = "CRD `runners.actions.summerwind.dev` is being deleted: CustomResource deletion is in progress";
        assert_eq!(alone, Readiness::progressing(reason));
        let runner = json!({"metadata": {"namespace": "n", "name": "a", "finalizers": ["f", "g"]}});
        let held = terminating(&crd, &[json!({"metadata": {"name": "b"}}), runner]);
        let Readiness::Stuck {
            reason: said, hint, ..
        } = &held
        else {
            panic!("{held:?}");
        };
        assert_eq!(*said, format!("{reason}; Runner `n/a` waits for f, g"));
        assert!(
            hint.contains("kubectl -n n patch runners.actions.summerwind.dev a --type=merge"),
            "{hint}"
        );
        let observed = |readiness| Observed::Present(Present::same(readiness));
        assert_eq!(crds_leave(&observed(alone)), Some(reason));
        let new = Readiness::progressing("CRD `x` is not Established yet");
        assert_eq!(crds_leave(&observed(new)), None);
    }
}

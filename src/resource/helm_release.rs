//! A Helm release: compared by its own record and by the live objects, so that an unchanged run starts no helm.

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    HelmRelease,
    context::Context,
    difference::{Difference, differences, missing},
    manifest::objects,
    observed::{Observed, Ownership, Present, Readiness},
    release_record::{ReleaseRecord, newest, with_credential},
};
use crate::{
    clients::kube::{Kube, Selection, Target},
    error::{Error, Result, System},
};

/// How long a `pending-*` or `uninstalling` release is taken for the work of a live helm, in seconds. One of arcctl's
/// own ends after 180 s at the latest (clients/helm.rs), also where the arcctl that started it was killed.
const OWN_HELM: i64 = 190;

/// The same of a release made by hand: helm waits for 5 minutes where nothing else is said.
const OTHER_HELM: i64 = 310;

/// How many live objects are read at a time.
const CONCURRENT_READS: usize = 16;

/// What stands in the values for the version of the controller's Secret while that is not known.
const SECRET_VERSION: &str = "${SECRET_VERSION}";

impl HelmRelease {
    /// What a watch must look at to see this release change.
    pub fn selections(&self) -> Vec<Selection> {
        vec![records(&self.namespace, &self.name)]
    }

    async fn record(&self, context: &Context) -> Result<Option<ReleaseRecord>> {
        newest_release(&context.kube, &self.namespace, &self.name).await
    }

    /// Compares the release's record with what is wanted, and the live objects with its manifest.
    pub async fn observe(&self, context: &Context) -> Result<Observed> {
        let Some(record) = self.record(context).await? else {
            return Ok(Observed::Absent);
        };
        if matches!(record.status.as_str(), "uninstalled") {
            return Ok(Observed::Absent);
        }
        let ownership = record.ownership(&self.profile);
        if let Some(readiness) = at_work(&record, Timestamp::now().as_second()) {
            return Ok(Observed::Present(Present {
                differences: Vec::new(),
                readiness,
                ownership,
            }));
        }
        let mut differences = self.compare(&record, &self.known_values(context));
        if differences.is_empty() && ownership == Ownership::Ours {
            differences = self.drift(context, &record).await?;
        }
        Ok(Observed::Present(Present {
            differences,
            readiness: Readiness::Ready,
            ownership,
        }))
    }

    fn compare(&self, record: &ReleaseRecord, values: &Value) -> Vec<Difference> {
        let mut found = Vec::new();
        if record.status != "deployed" {
            found.push(Difference {
                path: "status".into(),
                from: json!(record.status),
                to: json!("deployed"),
            });
        }
        let plain = |version: &str| version.trim_start_matches('v').to_owned();
        if plain(&record.chart_version) != plain(&self.chart.version) {
            found.push(Difference {
                path: "chart.version".into(),
                from: json!(record.chart_version),
                to: json!(self.chart.version),
            });
        }
        found.extend(differences(
            &json!({"values": record.values}),
            &json!({"values": values}),
        ));
        found
    }

    /// What someone changed by hand in the objects of the release.
    async fn drift(&self, context: &Context, record: &ReleaseRecord) -> Result<Vec<Difference>> {
        let what = format!("the manifest of release `{}`", self.name);
        let manifests = objects(&record.manifest, &what, &self.namespace)?;
        let found: Vec<Vec<Difference>> = stream::iter(manifests)
            .map(|manifest| async move {
                let Some(target) = Target::of(&manifest) else {
                    return Ok(Vec::new());
                };
                let live = context.kube.get(&target).await?;
                Ok::<_, Error>(drift_of(&target, live.as_ref(), &manifest))
            })
            .buffer_unordered(CONCURRENT_READS)
            .try_collect()
            .await?;
        let mut found: Vec<Difference> = found.into_iter().flatten().collect();
        found.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(found)
    }

    /// The values, with what this run has learnt in place of the placeholder.
    fn known_values(&self, context: &Context) -> Value {
        match context.secret_version() {
            Some(version) => fill(self.values.clone(), &version),
            None => self.values.clone(),
        }
    }

    /// Installs or upgrades the release, after a dead run's lock is taken away.
    pub async fn apply(&self, context: &Context) -> Result<()> {
        if let Some(record) = self.record(context).await?
            && is_unfinished(&record)
        {
            if record.status == "uninstalling" {
                return Err(self.half_uninstalled());
            }
            if let Some(readiness) = at_work(&record, Timestamp::now().as_second()) {
                let reason = readiness.reason().unwrap_or_default().to_owned();
                return Err(Error::failed(System::Kubernetes, reason).passing(true));
            }
            // The record of an unfinished revision is helm's lock; the objects stay, and the next upgrade takes them.
            let lock = Target::namespaced("v1", "Secret", &self.namespace, &record.secret);
            context.kube.delete(&lock).await?;
        }
        let release = Self {
            values: self.known_values(context),
            ..self.clone()
        };
        context.helm.upgrade(&release).await.map_err(|error| {
            error.object(format!("helm-release/{}/{}", self.namespace, self.name))
        })?;
        self.mend(context).await?;
        self.forget_credentials(context).await
    }

    /// A release that was taken over keeps its old revisions, with the credential that was given as a value: they go.
    async fn forget_credentials(&self, context: &Context) -> Result<()> {
        let secrets = context
            .kube
            .list(&records(&self.namespace, &self.name))
            .await?;
        for name in with_credential(&secrets) {
            let target = Target::namespaced("v1", "Secret", &self.namespace, &name);
            context.kube.delete(&target).await?;
        }
        Ok(())
    }

    /// Helm neither upgrades nor installs over what an uninstallation left (reference: observed.md 9).
    fn half_uninstalled(&self) -> Error {
        let (name, namespace) = (&self.name, &self.namespace);
        Error::failed(
            System::Helm,
            format!("release `{name}` was being uninstalled, and that did not end"),
        )
        .object(format!("helm-release/{namespace}/{name}"))
        .hint(format!(
            "end it: `helm -n {namespace} uninstall {name} --no-hooks`; then run the same command again"
        ))
    }

    /// Helm 3 compares custom resources with its last manifest and not with what is live: what was edited by hand in a
    /// Certificate or an Issuer is put back here.
    async fn mend(&self, context: &Context) -> Result<()> {
        let Some(record) = self.record(context).await? else {
            return Ok(());
        };
        let what = format!("the manifest of release `{}`", self.name);
        for manifest in objects(&record.manifest, &what, &self.namespace)? {
            let Some(target) = Target::of(&manifest).filter(|it| is_custom(it.kind.group())) else {
                continue;
            };
            if let Some(live) = context.kube.get(&target).await?
                && !missing(&live, &manifest).is_empty()
            {
                context.kube.merge(&target, &manifest).await?;
            }
        }
        Ok(())
    }
}

/// Whether a group is none of Kubernetes' own.
fn is_custom(group: &str) -> bool {
    group.contains('.') && !group.ends_with(".k8s.io") || group == "cert-manager.io"
}

fn records(namespace: &str, name: &str) -> Selection {
    Selection::namespaced("v1", "Secret", namespace).labelled(format!("owner=helm,name={name}"))
}

/// The newest record of a release; `None` where it is not installed.
pub async fn newest_release(
    kube: &Kube,
    namespace: &str,
    name: &str,
) -> Result<Option<ReleaseRecord>> {
    let secrets = kube.list(&records(namespace, name)).await?;
    newest(&secrets).map_err(|cause| {
        Error::failed(
            System::Helm,
            format!("cannot read the record of release `{name}`"),
        )
        .object(format!("helm-release/{namespace}/{name}"))
        .cause(cause)
        .hint(format!(
            "look at it with `helm -n {namespace} history {name}`"
        ))
    })
}

fn is_unfinished(record: &ReleaseRecord) -> bool {
    record.status.starts_with("pending-") || record.status == "uninstalling"
}

/// Whether a live helm is at work on the release.
pub(super) fn at_work(record: &ReleaseRecord, now: i64) -> Option<Readiness> {
    let since = now - record.modified?;
    let longest = match record.profile {
        Some(_) => OWN_HELM,
        None => OTHER_HELM,
    };
    (is_unfinished(record) && since < longest).then(|| {
        Readiness::progressing(format!(
            "another helm is at work on the release ({}, since {since} s)",
            record.status
        ))
    })
}

fn drift_of(target: &Target, live: Option<&Value>, manifest: &Value) -> Vec<Difference> {
    let name = format!("live.{}/{}", target.kind.name(), target.name);
    match live {
        None => vec![Difference {
            path: name,
            from: Value::Null,
            to: json!("present"),
        }],
        Some(live) => missing(live, &without_write_only(manifest))
            .into_iter()
            .map(|found| Difference {
                path: format!("{name}.{}", found.path),
                ..found
            })
            .collect(),
    }
}

/// What the API server takes but never gives back.
fn without_write_only(manifest: &Value) -> Value {
    let mut manifest = manifest.clone();
    if let Some(map) = manifest.as_object_mut() {
        map.remove("stringData");
    }
    manifest
}

fn fill(value: Value, version: &str) -> Value {
    match value {
        Value::String(text) if text == SECRET_VERSION => Value::String(version.into()),
        Value::Array(list) => list.into_iter().map(|it| fill(it, version)).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, fill(value, version)))
            .collect(),
        other => other,
    }
}

//! Compares and applies a Helm release: reads helm's record and the live objects, so that an unchanged run starts no helm.

use serde_json::{Value, json};

use super::{
    lock::Holder,
    manifest_drift::Drift,
    record::{ReleaseRecord, has_credential, is_deployed, is_of_arcctl, newest},
};
use crate::{
    clients::kube::{Kube, Selection, Target},
    desired::{names, resource::HelmRelease},
    diff::{Difference, differences},
    error::{Error, Result, System},
    resource::{
        as_it_is::{AS_IT_IS, TAKEN_OVER, is_left},
        context::Context,
        deletion::release_id,
        observed::{Observed, Ownership, Present, Readiness},
        scale_sets::{by_hand, minor},
    },
};

/// The placeholder in the values for the version of the controller's Secret, while it is unknown.
const SECRET_VERSION: &str = "${SECRET_VERSION}";

impl HelmRelease {
    /// The watches for changes of this release.
    pub fn selections(&self) -> Vec<Selection> {
        vec![current(&self.namespace, &self.name)]
    }

    fn id(&self) -> String {
        release_id(&self.namespace, &self.name)
    }

    async fn record(&self, context: &Context) -> Result<Option<ReleaseRecord>> {
        newest_release(&context.kube, &self.namespace, &self.name).await
    }

    /// Compares the release's record with the wanted one, and the live objects with its manifest.
    pub async fn observe(&self, context: &Context) -> Result<Observed> {
        let record = self.record(context).await?;
        let Some(record) = record.filter(|it| it.status != "uninstalled") else {
            minor::refuse_for_others(context, self, None).await?;
            minor::refuse_beside_left(context, self).await?;
            return self.before_installation(context).await;
        };
        let ownership = record.ownership(&self.profile);
        let holder = Self::holder(context, &record);
        let untouched = is_left_as_it_is(context, &record, &ownership);
        if !untouched {
            // Reported in the plan, before any write.
            let installed = Some(record.chart_version.as_str());
            minor::refuse_for_others(context, self, installed).await?;
        }
        if record.status == "uninstalling" {
            return Err(self.half_uninstalled(holder));
        }
        if holder == Holder::Alive {
            return Ok(Observed::Present(Present {
                differences: Vec::new(),
                readiness: self.at_work(&record),
                ownership,
            }));
        }
        let mut differences = self.compare(&record, &self.known_values(context));
        if untouched {
            context.remarks.defer(&self.id(), differences.clone());
            if ownership == Ownership::Ours {
                return Ok(Observed::Present(Present::same(Readiness::Ready)));
            }
        }
        if differences.is_empty() && ownership == Ownership::Ours {
            let (accepted, drift): (Vec<Drift>, Vec<Drift>) = self
                .drift(context, &record)
                .await?
                .into_iter()
                .partition(|it| record.accepted.contains(&it.difference.path));
            self.tell(context, &accepted);
            differences = drift.into_iter().map(|it| it.difference).collect();
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

    /// The values, with known facts of this run in place of the placeholder.
    fn known_values(&self, context: &Context) -> Value {
        match context.secret_version() {
            Some(version) => fill(self.values.clone(), &version),
            None => self.values.clone(),
        }
    }

    /// Installs or upgrades the release, after the lock of an ended helm is deleted. Drift that one upgrade does not fix,
    /// another does not fix either: it is accepted, so that older good revisions stay in the history.
    pub async fn apply(&self, context: &Context) -> Result<()> {
        let record = self.record(context).await?;
        let values = self.known_values(context);
        if let Some(record) = &record {
            let ownership = record.ownership(&self.profile);
            if is_left_as_it_is(context, record, &ownership) {
                return self.mark(context, record).await;
            }
            if record.status == "uninstalling" {
                return Err(self.half_uninstalled(Self::holder(context, record)));
            }
            let is_installed = record.status != "uninstalled";
            let installed = is_installed.then_some(record.chart_version.as_str());
            minor::wait_for_others(context, self, installed).await?;
            self.unlock(context, record).await?;
            if context.remarks.was_upgraded(&self.id(), &values) {
                return self.after_upgrade(context, record, &values).await;
            }
        }
        let release = Self {
            values: values.clone(),
            ..self.clone()
        };
        if record.is_none() {
            minor::wait_for_others(context, self, None).await?;
        }
        if context.adopt && record.is_none() {
            self.take_what_is_there(context).await?;
        }
        let revision = record.map_or(1, |it| it.next_revision());
        context
            .helm
            .upgrade(&release, revision)
            .await
            .map_err(|error| error.object(self.id()))?;
        context.remarks.upgraded(&self.id(), &values);
        self.forget_credentials(context).await?;
        if self.chart.name == names::SCALE_SET_CHART {
            by_hand::let_go_what_is_left_out(context, &self.namespace, &self.name).await?;
        }
        let Some(record) = self.record(context).await? else {
            return Ok(());
        };
        self.mend(context, &record).await?;
        let left = self.drift(context, &record).await?;
        self.accept(context, &record, &left).await
    }

    /// Handles a release that differs after this run upgraded it to these values.
    async fn after_upgrade(
        &self,
        context: &Context,
        record: &ReleaseRecord,
        values: &Value,
    ) -> Result<()> {
        let differences = self.compare(record, values);
        if differences.is_empty() {
            let mut left = self.drift(context, record).await?;
            left.retain(|it| !record.accepted.contains(&it.difference.path));
            return self.accept(context, record, &left).await;
        }
        let paths: Vec<&str> = differences.iter().map(|it| it.path.as_str()).collect();
        Err(Error::failed(
            System::Helm,
            format!(
                "release `{}` is not as the profile says after an upgrade",
                self.name
            ),
        )
        .object(self.id())
        .cause(format!("these differ: {}", paths.join(", ")))
        .hint(format!(
            "somebody else upgrades it too: see who and when with `helm -n {} history {}`, end that, and run the same command again",
            self.namespace, self.name
        )))
    }

    /// Makes the release arcctl's by the labels of its newest record, and changes nothing else: the next revision inherits
    /// the labels, but not the annotation.
    async fn mark(&self, context: &Context, record: &ReleaseRecord) -> Result<()> {
        let target = Target::namespaced("v1", "Secret", &self.namespace, &record.secret);
        let patch = json!({"metadata": {
            "resourceVersion": record.version(),
            "labels": {names::PROFILE_LABEL: self.profile},
            "annotations": {TAKEN_OVER: AS_IT_IS},
        }});
        context.kube.merge(&target, &patch).await.map(|_| ())
    }

    /// Deletes old revisions of an adopted release that have a credential in their values. Only those are read whose labels
    /// say that arcctl did not create them.
    async fn forget_credentials(&self, context: &Context) -> Result<()> {
        let all = release_records(&self.namespace, &self.name);
        for listed in context.kube.list_metadata(&all).await? {
            let name = listed["metadata"]["name"].as_str().unwrap_or_default();
            let target = Target::namespaced("v1", "Secret", &self.namespace, name);
            if !is_of_arcctl(&listed)
                && let Some(secret) = context.kube.get(&target).await?
                && has_credential(&secret)
            {
                context.kube.delete(&target).await?;
            }
        }
        Ok(())
    }

    /// The error: helm can neither upgrade nor install over an interrupted uninstallation (reference: observed.md 9).
    fn half_uninstalled(&self, holder: Holder) -> Error {
        let (name, namespace) = (&self.name, &self.namespace);
        let end = format!("`helm -n {namespace} uninstall {name} --no-hooks`");
        let (said, hint) = match holder {
            Holder::Alive => (
                format!("release `{name}` is being uninstalled"),
                format!(
                    "wait until that has ended (`helm -n {namespace} status {name}`); if no helm runs any more, end it with {end}; then run the same command again"
                ),
            ),
            Holder::Nobody | Holder::Watched | Holder::Gone => (
                format!("release `{name}` was being uninstalled, and that did not end"),
                format!("end it: {end}; then run the same command again"),
            ),
        };
        Error::failed(System::Helm, said)
            .object(self.id())
            .hint(hint)
    }
}

/// Whether this run adopts the release without an upgrade, which would restart its pods. A broken release
/// (failed, half uninstalled) is upgraded.
pub(in crate::resource) fn is_left_as_it_is(
    context: &Context,
    record: &ReleaseRecord,
    ownership: &Ownership,
) -> bool {
    record.status == "deployed" && is_left(context.adopt, ownership, &record.seen)
}

/// The records of all revisions of a release.
pub fn release_records(namespace: &str, name: &str) -> Selection {
    Selection::namespaced("v1", "Secret", namespace).labelled(format!("owner=helm,name={name}"))
}

/// The records that a later revision has not superseded: as a rule one.
fn current(namespace: &str, name: &str) -> Selection {
    Selection::namespaced("v1", "Secret", namespace)
        .labelled(format!("owner=helm,name={name},status!=superseded"))
}

/// The newest record of a release; `None` where it is not installed. A record has up to a megabyte, and helm keeps several:
/// those of superseded revisions are read only where no later one is deployed.
pub async fn newest_release(
    kube: &Kube,
    namespace: &str,
    name: &str,
) -> Result<Option<ReleaseRecord>> {
    let found = kube.list(&current(namespace, name)).await?;
    // Helm supersedes every deployed revision before it deploys another, so one that is deployed and the highest of these is
    // the highest of all. A failed or pending one may be older than a superseded one whose successor was deleted.
    let secrets = if is_deployed(&found) {
        found
    } else {
        kube.list(&release_records(namespace, name)).await?
    };
    newest(&secrets).map_err(|cause| {
        Error::failed(
            System::Helm,
            format!("cannot read the record of release `{name}`"),
        )
        .object(release_id(namespace, name))
        .cause(cause)
        .hint(format!(
            "look at it with `helm -n {namespace} history {name}`"
        ))
    })
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

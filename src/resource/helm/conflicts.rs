//! Finds conflicts before helm installs a release: existing objects with the chart's names that lack the release's
//! ownership labels. arcctl renders the chart, so that the plan lists all of them; helm reports only the first one,
//! in the middle of the installation.
//!
//! Helm's rule (helm.sh/helm, pkg/action/validate.go, `checkOwnership`): the label `app.kubernetes.io/managed-by: Helm`
//! and the two annotations with the release's name and namespace.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{manifest::objects, release::newest_release};
use crate::{
    clients::kube::Target,
    desired::{
        names::{CONTROLLER, MANAGED_BY},
        resource::HelmRelease,
    },
    diff::Difference,
    error::{Error, ErrorKind, Result, System},
    resource::{
        context::Context,
        deletion::release_id,
        observed::{Observed, Ownership, Present, Readiness},
    },
};

pub(super) const RELEASE_NAME: &str = "meta.helm.sh/release-name";
pub(super) const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// How many objects are read at a time.
const CONCURRENT_READS: usize = 16;

/// A conflicting object.
struct InTheWay {
    target: Target,
    /// The release in its annotations, name and namespace.
    release: Option<(String, String)>,
}

impl InTheWay {
    fn whose(&self) -> String {
        match &self.release {
            Some((name, namespace)) => format!("release {name} in namespace {namespace}"),
            None => "no release".to_owned(),
        }
    }
}

impl HelmRelease {
    /// The state of the release before its installation: absent, or blocked by foreign objects.
    pub(super) async fn before_installation(&self, context: &Context) -> Result<Observed> {
        let id = release_id(&self.namespace, &self.name);
        if context.remarks.is_clear(&id) {
            return Ok(Observed::Absent);
        }
        let found = match self.in_the_way(context).await {
            Ok(found) => found,
            // Without the chart there is no installation; the download before the first write reports the cause. A chart
            // that is not the one of the lock is refused here.
            Err(error) if error.system == System::Helm && error.kind != ErrorKind::Refused => {
                context.remarks.say(
                    &id,
                    Some(format!(
                        "whether objects of this chart are there already is not known: {}",
                        error.message
                    )),
                );
                return Ok(Observed::Absent);
            }
            Err(error) => return Err(error),
        };
        if found.is_empty() {
            context.remarks.clear(&id);
            return Ok(Observed::Absent);
        }
        self.refuse_installed(context, &found).await?;
        let own = format!("release {} in namespace {}", self.name, self.namespace);
        let difference = |it: &InTheWay| {
            let path = format!("live.{}/{}", it.target.kind.name(), it.target.name);
            Difference::of(&path, &it.whose().into(), &own.clone().into())
        };
        Ok(Observed::Present(Present {
            differences: found.iter().map(difference).collect(),
            readiness: Readiness::Ready,
            ownership: Ownership::Foreign {
                evidence: format!(
                    "helm would not install it over what is there: {}",
                    found
                        .iter()
                        .map(|it| format!("{} of {}", it.target, it.whose()))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            },
        }))
    }

    /// Labels conflicting objects as this release's, so that helm adopts them (`--adopt`).
    pub(super) async fn take_what_is_there(&self, context: &Context) -> Result<()> {
        let found = self.in_the_way(context).await?;
        self.refuse_installed(context, &found).await?;
        let marks = json!({"metadata": {
            "labels": {MANAGED_BY: "Helm"},
            "annotations": {RELEASE_NAME: self.name, RELEASE_NAMESPACE: self.namespace},
        }});
        for it in found {
            context.kube.merge(&it.target, &marks).await?;
        }
        Ok(())
    }

    async fn in_the_way(&self, context: &Context) -> Result<Vec<InTheWay>> {
        let text = context.helm.render(self, context.kubernetes).await?;
        let what = format!("chart `{}`", self.chart.name);
        let found: Vec<Option<InTheWay>> = stream::iter(objects(&text, &what)?)
            .map(|manifest| async move {
                let Some(target) = context.kube.place(&manifest, &self.namespace).await? else {
                    return Ok(None);
                };
                let live = context.kube.get(&target).await?;
                Ok::<_, Error>(live.and_then(|live| self.stumbles(target, &live)))
            })
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The object, where it would block helm.
    fn stumbles(&self, target: Target, live: &Value) -> Option<InTheWay> {
        let metadata = &live["metadata"];
        let annotation = |key: &str| metadata["annotations"][key].as_str().map(str::to_owned);
        let release = annotation(RELEASE_NAME).zip(annotation(RELEASE_NAMESPACE));
        let own = (self.name.clone(), self.namespace.clone());
        let is_own = release.as_ref() == Some(&own) && metadata["labels"][MANAGED_BY] == "Helm";
        (!is_own).then_some(InTheWay { target, release })
    }

    /// Objects of another installed release cannot be adopted: its next upgrade would undo it, its uninstallation
    /// would delete them.
    async fn refuse_installed(&self, context: &Context, found: &[InTheWay]) -> Result<()> {
        let mut releases: Vec<&(String, String)> =
            found.iter().filter_map(|it| it.release.as_ref()).collect();
        releases.sort();
        releases.dedup();
        for (name, namespace) in releases {
            if (name, namespace) == (&self.name, &self.namespace) {
                continue;
            }
            let record = newest_release(&context.kube, namespace, name).await?;
            if record.is_none_or(|it| it.status == "uninstalled") {
                continue;
            }
            let of = |it: &&InTheWay| {
                it.release
                    .as_ref()
                    .is_some_and(|own| (&own.0, &own.1) == (name, namespace))
            };
            let objects: Vec<String> = found
                .iter()
                .filter(of)
                .map(|it| it.target.to_string())
                .collect();
            return Err(Error::new(
                ErrorKind::Refused,
                System::Kubernetes,
                format!("release `{name}` in namespace `{namespace}` has what release `{}` would install", self.name),
            )
            .object(release_id(&self.namespace, &self.name))
            .cause(objects.join(", "))
            .hint(self.beside(name, namespace)));
        }
        Ok(())
    }

    /// The hint: how both releases can exist, or which one to uninstall.
    fn beside(&self, name: &str, namespace: &str) -> String {
        let uninstall = format!(
            "uninstall it first, where nothing uses it: `helm -n {namespace} uninstall {name}`"
        );
        if self.chart.name == CONTROLLER {
            format!(
                "set `controller.release` in the profile to another name: both then have objects of their own; or {uninstall}"
            )
        } else {
            format!("{uninstall}; or leave this cluster to it")
        }
    }
}

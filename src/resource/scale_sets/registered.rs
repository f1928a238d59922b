//! Whether a scale set is registered at GitHub as the profile wants it, and its listener works.
//!
//! GitHub gives the scale set of a name and group to whoever asks, without a look at who made it, and two listeners then fight
//! over one session (reference: scale-sets.md 0). So GitHub is asked before the first write, and the id of what this cluster
//! has made is recorded.

use serde_json::{Value, json};

use super::{
    compared::{LabelDifference, made_anew},
    events,
    objects::{Place, id, minor, version},
    recorded,
};
use crate::{
    clients::{
        github::RegisteredSet,
        kube::{Selection, Target},
    },
    desired::{
        names,
        resource::scale_set::{ScaleSet, SetRecord},
    },
    diff::Difference,
    error::{Error, ErrorKind, Result, System},
    resource::{
        context::{Context, scope},
        deletion::ending,
        observed::{Observed, Ownership, Present, Readiness},
    },
};

/// A set whose runners' version GitHub refuses; the controller removes everything of it (reference: scale-sets.md 4).
pub(crate) const OUTDATED: &str = "Outdated";

impl ScaleSet {
    /// The names of its objects.
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            namespace: &self.namespace,
            name: &self.name,
            controller_namespace: &self.controller_namespace,
        }
    }

    /// The watches for a wait.
    pub(crate) fn selections(&self) -> Vec<Selection> {
        self.place().selections()
    }

    /// Whether it is registered as wanted, and its listener works. Its id is recorded as soon as it is known, and a listener
    /// whose place another one has taken is removed: these are the differences which this proof reports.
    pub(crate) async fn observe(&self, context: &Context) -> Result<Observed> {
        let scope = recorded::wanted_scope(context, &self.name)?;
        let (live, record) = tokio::try_join!(
            async { context.kube.get(&self.target()).await },
            self.place().recorded(context)
        )?;
        if let Some(there) = recorded::elsewhere(record.as_ref(), live.as_ref(), &scope) {
            return Err(self.of_another_scope(there, &scope));
        }
        let Some(live) = live else {
            return self.before(context, &scope).await;
        };
        if let Some(reason) = ending(&live) {
            let reason = format!("AutoscalingRunnerSet `{}`: {reason}", self.name);
            return Ok(Observed::Present(Present::same(Readiness::progressing(
                reason,
            ))));
        }
        let mut present = Present::same(self.readiness(context, &live).await?);
        if present.readiness != Readiness::Ready {
            let former = self.place().former_listeners(context, &live).await?;
            present.differences.extend(former);
        }
        if let Some(id) = id(&live) {
            let wanted = SetRecord {
                id,
                scope: Some(scope),
            };
            if record.as_ref() != Some(&wanted) {
                present.differences.push(Difference {
                    path: "inventory.scaleSet".into(),
                    from: json!(record),
                    to: json!(wanted),
                });
            }
        }
        Ok(Observed::Present(present))
    }

    /// Removes former listeners. Records its id and its scope, so that it can be deleted at GitHub when the controller cannot.
    pub(crate) async fn apply(&self, context: &Context) -> Result<()> {
        let Some(live) = context.kube.get(&self.target()).await? else {
            return Ok(());
        };
        self.place().end_former_listeners(context, &live).await?;
        let Some(id) = id(&live) else {
            return Ok(());
        };
        let record = SetRecord {
            id,
            scope: Some(recorded::wanted_scope(context, &self.name)?),
        };
        self.place().record(context, Some(&record)).await
    }

    /// It would be made a second time, and the one in the other scope would stay there for ever.
    fn of_another_scope(&self, there: (u64, &str), wanted: &str) -> Error {
        Error::new(
            ErrorKind::Refused,
            System::GitHub,
            recorded::elsewhere_words(&self.name, there, wanted),
        )
        .object(names::scale_set_id(&self.namespace, &self.name))
        .hint(recorded::way_back(there.1))
    }

    /// Before the cluster has it: whether GitHub has one of this name and group that another cluster made.
    async fn before(&self, context: &Context, wanted: &str) -> Result<Observed> {
        let (github, profile) = context.github_of(&self.name);
        let group = self.group.as_deref();
        let found = github
            .scale_set_named(scope(profile)?, group, &self.name)
            .await?;
        let mut present = Present::same(Readiness::progressing(format!(
            "AutoscalingRunnerSet `{}` does not exist yet",
            self.name
        )));
        let Some(found) = found else {
            return Ok(Observed::Present(present));
        };
        let known = recorded::records(context).await?;
        let mut known = known.iter();
        let place = known.find(|it| it.1.is(found.id, wanted)).map(|it| it.0);
        if let Some(other) = place.filter(|it| **it != self.place().key()) {
            return Err(self.moved(other));
        }
        if place.is_none() {
            present.ownership = Ownership::Foreign {
                evidence: format!(
                    "GitHub has a runner scale set `{}` that this cluster has not made: {}; with the same name, two clusters compete for its jobs, so give the pool another name or group, or delete that one where it was created",
                    self.name,
                    found.in_words()
                ),
            };
        }
        Ok(Observed::Present(present))
    }

    /// The pool had another namespace, and is still registered from there.
    fn moved(&self, other: &str) -> Error {
        Error::new(
            ErrorKind::Refused,
            System::GitHub,
            format!("runner scale set `{}` is still registered by `{other}`", self.name),
        )
        .object(names::scale_set_id(&self.namespace, &self.name))
        .hint("a pool cannot change its namespace in one run: remove it from the profile, run `arcctl up`, then add it with the new namespace")
    }

    /// The proofs, in their order: each with its reason where it fails.
    async fn readiness(&self, context: &Context, live: &Value) -> Result<Readiness> {
        let target = self.controller_target();
        let controller = context.kube.get(&target).await?;
        if let Some(wrong) = self.version_trouble(live, controller.as_ref()) {
            return Ok(wrong);
        }
        if live["status"]["phase"] == OUTDATED {
            return Ok(self.outdated());
        }
        let Some(id) = id(live) else {
            return self.unregistered(context, live, controller.as_ref()).await;
        };
        let (github, profile) = context.github_of(&self.name);
        let Some(found) = github.scale_set(scope(profile)?, id).await? else {
            return Ok(self.unknown_at_github(id));
        };
        self.remark_on_labels(context, &found);
        if let Some(wrong) = self.mismatch(&found) {
            return Ok(wrong);
        }
        let listener = self.place().listener(context, live).await?;
        if listener == Readiness::Ready || is_available(controller.as_ref()) {
            return Ok(listener);
        }
        // Without a controller nobody makes the listener.
        Ok(self.without_controller(controller.as_ref()))
    }

    fn controller_target(&self) -> Target {
        let (namespace, name) = (&self.controller_namespace, &self.controller);
        Target::namespaced("apps/v1", "Deployment", namespace, name)
    }

    /// Whether the controller would delete the set, since its version is another one.
    fn version_trouble(&self, live: &Value, controller: Option<&Value>) -> Option<Readiness> {
        let (its, of_the_controller) = (version(live)?, version(controller?)?);
        if minor(its)? == minor(of_the_controller)? {
            return None;
        }
        Some(Readiness::stuck(
            format!(
                "AutoscalingRunnerSet `{}` is of version {its} and its controller of {of_the_controller}: a controller deletes the sets of another minor version",
                self.name
            ),
            format!(
                "`arcctl up` brings both to {}, with the jobs of the set ended first; do not upgrade one of the charts alone",
                self.chart_version
            ),
        ))
    }

    fn outdated(&self) -> Readiness {
        let (namespace, name) = (&self.namespace, &self.name);
        Readiness::stuck(
            format!(
                "AutoscalingRunnerSet `{name}` is Outdated: GitHub refuses the version of its runners, and the controller has removed them"
            ),
            format!(
                "set a newer `image` of the pool in the profile and run `arcctl up`; if the image is current: `kubectl -n {namespace} patch autoscalingrunnerset {name} --subresource=status --type=merge -p '{{\"status\":{{\"phase\":\"\"}}}}'`"
            ),
        )
    }

    fn unknown_at_github(&self, id: u64) -> Readiness {
        let name = &self.name;
        Readiness::stuck(
            format!(
                "GitHub has no runner scale set with the id {id} of AutoscalingRunnerSet `{name}`"
            ),
            recorded::registered_again(&self.namespace, name),
        )
    }

    /// Shows in the plan where the labels differ. One that left the profile keeps nothing from working, so no step waits for it.
    fn remark_on_labels(&self, context: &Context, found: &RegisteredSet) {
        let id = names::scale_set_id(&self.namespace, &self.name);
        let told = LabelDifference::of(&self.name, &self.labels, found.labels()).in_words();
        let again = made_anew(&self.namespace, &self.name);
        let remark = told.map(|it| format!("at GitHub it {it}: {again}"));
        context.remarks.say(id.as_str(), remark);
    }

    /// Why it is not registered yet.
    async fn unregistered(
        &self,
        context: &Context,
        live: &Value,
        controller: Option<&Value>,
    ) -> Result<Readiness> {
        let secret = Target::namespaced("v1", "Secret", &self.namespace, &self.secret);
        if context.kube.get(&secret).await?.is_none() {
            return Ok(Readiness::stuck(
                format!(
                    "Secret `{}/{}`, with which the controller registers scale set `{}`, does not exist",
                    self.namespace, self.secret, self.name
                ),
                "`arcctl up` makes it again",
            ));
        }
        if !is_available(controller) {
            return Ok(self.without_controller(controller));
        }
        let (github, profile) = context.github_of(&self.name);
        if let Some((reason, hint)) = github.group_trouble(profile, &self.name).await? {
            return Ok(Readiness::stuck(reason, hint));
        }
        if let Err(error) = github.registration(scope(profile)?).await {
            return refused(error);
        }
        let log = context.profile.scale_sets.log_command();
        let events = context.events(&self.namespace).await?;
        if let Some(said) = events::newest(&events, &live["metadata"]["uid"]) {
            return Ok(Readiness::stuck(
                format!(
                    "the controller does not register scale set `{}`: {said}",
                    self.name
                ),
                format!("its log has more: `{log}`"),
            ));
        }
        Ok(Readiness::progressing(format!(
            "the controller has not registered scale set `{}` at GitHub yet",
            self.name
        )))
    }

    fn without_controller(&self, controller: Option<&Value>) -> Readiness {
        let place = format!("{}/{}", self.controller_namespace, self.controller);
        if controller.is_none() {
            return Readiness::stuck(
                format!("the controller of scale sets, Deployment `{place}`, does not exist"),
                "`arcctl up` installs it",
            );
        }
        Readiness::progressing(format!(
            "the controller of scale sets, Deployment `{place}`, has no available pod yet"
        ))
    }
}

/// Whether a Deployment has an available pod.
pub(crate) fn is_available(deployment: Option<&Value>) -> bool {
    deployment.is_some_and(|it| it["status"]["availableReplicas"].as_u64().unwrap_or(0) > 0)
}

/// A refusal of the credential is a reason of its own; another failure of the call is an error.
fn refused(error: Error) -> Result<Readiness> {
    match error.kind {
        ErrorKind::Unauthorized => Ok(Readiness::unauthorized(&error)),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::scale_set, *};

    #[test]
    fn only_another_minor_version_is_trouble() {
        let labelled =
            |version: &str| json!({"metadata": {"labels": {"app.kubernetes.io/version": version}}});
        let told = |its: &str, controller: &str| {
            scale_set().version_trouble(&labelled(its), Some(&labelled(controller)))
        };
        assert_eq!(told("0.14.1", "0.14.2"), None);
        assert_eq!(told("0.14.1", "dev"), None);
        assert!(told("0.13.1", "0.14.2").is_some());
        assert_eq!(scale_set().version_trouble(&labelled("0.13.1"), None), None);
    }
}

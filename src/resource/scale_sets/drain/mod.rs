//! Removes a scale set: no new jobs, then those that run end, then its `AutoscalingRunnerSet` goes, while the controller that
//! deregisters it is there. The release is uninstalled after that.
//!
//! Deleting the set before the release keeps the roles by which the controller works; helm deletes both at once (reference:
//! scale-sets.md 10). Where the controller cannot do it, arcctl does (`by_hand`).
//!
//! A set that another minor version of the charts makes again keeps its release, and as a rule its scale set at GitHub: the
//! controller deletes that by the id in the set's annotation, and the next controller finds it by name and group (reference:
//! scale-sets.md 0 and 10). So no job that waits has to be assigned anew. Where the controller was faster, or the labels are
//! others, the set is registered again, and the jobs wait at GitHub meanwhile.

mod at_github;

use serde_json::{Value, json};

use super::{
    going::{Going, Next, Way, busy, free, next_of_live, secret_of},
    objects::{self, Objects, Place},
};
use crate::{
    clients::kube::{Selection, Target},
    desired::{
        names,
        resource::{OwnSecret, SecretContent, scale_set::ScaleSetDrain},
    },
    error::Result,
    resource::{
        context::Context,
        deletion::{ending, ours},
        helm::uninstall,
        observed::{Observed, Ownership, Present, Readiness},
    },
};

/// The field manager of the limits while a set is drained: an `up` after an interrupted teardown must see them as drift.
const MANAGER: &str = "arcctl-drain";

/// The result of a look.
enum Look {
    /// It is not there, or of somebody else.
    NotOurs(Observed),
    /// What is there, and the next step.
    Ours(Box<Going>, Next),
}

/// Why a set is not that of this profile's release: the release may be gone, and another tool have made one of its name.
pub(super) fn of_another(live: &Value, profile: &str) -> Option<String> {
    let metadata = &live["metadata"];
    match metadata["labels"][names::PROFILE_LABEL].as_str() {
        Some(label) if label == profile => None,
        Some(label) => Some(format!("its label `{}` is `{label}`", names::PROFILE_LABEL)),
        // One that was taken over has it after its first upgrade.
        None if metadata["annotations"]["meta.helm.sh/release-name"].is_string() => None,
        None => Some(format!("it has no label `{}`", names::PROFILE_LABEL)),
    }
}

impl ScaleSetDrain {
    /// The names of its objects.
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            namespace: &self.namespace,
            name: &self.name,
            controller_namespace: &self.controller_namespace,
        }
    }

    /// The watches for its deletion.
    pub(crate) fn selections(&self) -> Vec<Selection> {
        self.place().selections()
    }

    /// What remains of it, and what blocks its deletion.
    pub(crate) async fn remains(&self, context: &Context) -> Result<Observed> {
        Ok(match self.look(context).await? {
            Look::NotOurs(observed) => observed,
            Look::Ours(_, Next::Gone) => Observed::Absent,
            Look::Ours(_, Next::Wait(readiness)) => ours(readiness),
            Look::Ours(..) => ours(Readiness::Ready),
        })
    }

    /// What is there, and the next step, if it is this profile's: by its release, or by its recorded id.
    async fn look(&self, context: &Context) -> Result<Look> {
        let profile = &context.profile.name;
        let owner = uninstall::owner(context, &self.namespace, &self.name, profile).await?;
        let going = self.read(context).await?;
        if self.is_back(&going.objects) {
            return Ok(Look::NotOurs(Observed::Absent));
        }
        match owner {
            Some(Ownership::Ours) => {}
            Some(ownership) => {
                return Ok(Look::NotOurs(Observed::Present(Present {
                    ownership,
                    ..Present::same(Readiness::Ready)
                })));
            }
            None if going.recorded.is_none() => return Ok(Look::NotOurs(Observed::Absent)),
            None => {}
        }
        if let Some(live) = going.objects.set.as_ref()
            && let Some(evidence) = of_another(live, profile)
        {
            return Ok(Look::NotOurs(Observed::Present(Present {
                ownership: Ownership::Foreign { evidence },
                ..Present::same(Readiness::Ready)
            })));
        }
        let next = self.next(context, &going).await?;
        Ok(Look::Ours(Box::new(going), next))
    }

    /// Runs the next step.
    pub(crate) async fn delete(&self, context: &Context) -> Result<()> {
        let Look::Ours(going, next) = self.look(context).await? else {
            return Ok(());
        };
        let target = objects::set(&self.namespace, &self.name);
        match (next, &going.objects.set) {
            (Next::Quiet, Some(live)) => {
                self.remember(context, &going, live).await?;
                self.place().end_former_listeners(context, live).await?;
                let patch = json!({
                    "metadata": {"resourceVersion": live["metadata"]["resourceVersion"]},
                    "spec": {"minRunners": 0, "maxRunners": 0},
                });
                let patched = context.kube.merge_as(&target, &patch, MANAGER).await;
                patched.map(|_| ())
            }
            (Next::PutBack, Some(live)) => self.put_back(context, live).await,
            (Next::Delete, Some(live)) => {
                self.remember(context, &going, live).await?;
                let is_kept = self.is_kept(context, &going, live).await?;
                context.kube.delete_same(&target, live).await?;
                // Not before: the controller would register a set without an id again. After that it still has the
                // listener to remove first.
                if is_kept {
                    self.keep_registration(context, &going, live).await?;
                }
                Ok(())
            }
            (Next::Keep, Some(live)) => self.keep_registration(context, &going, live).await,
            (Next::Free, _) => self.free(context, &going).await,
            (Next::Deregister(id), _) => self.deregister(context, &going, id).await,
            (Next::Forget, _) => self.place().record(context, None).await,
            _ => Ok(()),
        }
    }

    async fn read(&self, context: &Context) -> Result<Going> {
        let controller = Target::namespaced(
            "apps/v1",
            "Deployment",
            &self.controller_namespace,
            &self.controller,
        );
        let (objects, controller, recorded) = tokio::try_join!(
            Objects::read(&context.kube, self.place()),
            context.kube.get(&controller),
            self.place().recorded(context),
        )?;
        let has_secret = match objects.set.as_ref().and_then(secret_of) {
            Some(secret) => {
                let target = Target::namespaced("v1", "Secret", &self.namespace, secret);
                context.kube.get(&target).await?.is_some()
            }
            None => true,
        };
        Ok(Going {
            objects,
            controller,
            has_secret,
            recorded,
        })
    }

    async fn next(&self, context: &Context, going: &Going) -> Result<Next> {
        let objects = &going.objects;
        if objects.is_empty() {
            // Its roles are those of its release, and its scale set at GitHub waits for it.
            if self.successor.is_some() {
                return Ok(Next::Gone);
            }
            // The controller lets the roles go while it removes the set, and never after that.
            if self.holds_roles(context).await? {
                return Ok(Next::Free);
            }
            return self.at_github(context, going).await;
        }
        let hangs = going.hangs(context.kube.now());
        let way = Way::of(&context.removal, going, hangs);
        if let Some(live) = objects.set.as_ref().filter(|it| ending(it).is_none()) {
            if self.waits_for_controller(way) {
                return Ok(Next::Wait(self.without_controller()));
            }
            let next = next_of_live(live, going, way, context.removal.force);
            if matches!(next, Next::Delete)
                && let Some(waits) = self.jobs(context, going, live).await?
            {
                return Ok(Next::Wait(waits));
            }
            return Ok(next);
        }
        if let Some(live) = &objects.set
            && self.is_kept(context, going, live).await?
        {
            return Ok(Next::Keep);
        }
        Ok(match way {
            Way::ByHand => free(going, context.removal.force),
            Way::Controller if !going.has_secret => Next::PutBack,
            Way::Controller => Next::Wait(match busy(going) {
                Some(busy) => busy,
                None => self.being_removed(context, objects, hangs),
            }),
            Way::Waiting => Next::Wait(self.without_controller()),
        })
    }

    /// What the controller has still to remove; where it takes long, where its reason is.
    fn being_removed(&self, context: &Context, objects: &Objects, hangs: bool) -> Readiness {
        let reason = format!(
            "the controller removes scale set `{}`: {} left",
            self.name,
            objects.in_words()
        );
        if !hangs {
            return Readiness::progressing(reason);
        }
        let log = context.profile.scale_sets.log_command();
        Readiness::stuck(
            reason,
            format!(
                "the controller's log has the reason: `{log}`{}",
                self.by_force()
            ),
        )
    }

    /// Creates the Secret again, from the credential of this run.
    async fn put_back(&self, context: &Context, live: &Value) -> Result<()> {
        let secret = OwnSecret {
            namespace: self.namespace.clone(),
            name: secret_of(live).unwrap_or_default().to_owned(),
            profile: context.profile.name.clone(),
            content: SecretContent::Credential {
                pool: self.name.clone(),
            },
        };
        secret.apply(context).await
    }

    /// The other way of a teardown; an upgrade has none, since it waits for the jobs.
    const fn by_force(&self) -> &'static str {
        if self.successor.is_some() {
            ""
        } else {
            "; or let arcctl remove it without the controller: `arcctl teardown --force`"
        }
    }

    /// Whether nothing is changed before the controller is there. A set that comes back takes jobs as long as nobody touches
    /// it, and there is no `--force`: without the controller its removal would begin, and never end.
    fn waits_for_controller(&self, way: Way) -> bool {
        self.successor.is_some() && way == Way::Waiting
    }

    fn without_controller(&self) -> Readiness {
        let (namespace, name) = (&self.controller_namespace, &self.controller);
        let other_way = if self.successor.is_some() {
            format!(
                "; or stop it: `kubectl -n {namespace} scale deployment {name} --replicas=0`, then run the same command again: arcctl removes the scale sets itself"
            )
        } else {
            self.by_force().to_owned()
        };
        Readiness::stuck(
            format!(
                "the controller that deregisters scale set `{}`, Deployment `{namespace}/{name}`, has no available pod",
                self.name
            ),
            format!("see why with `kubectl -n {namespace} describe deployment {name}`{other_way}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_another_tool_with_its_name_is_not_ours() {
        let with = |metadata: Value| of_another(&json!({"metadata": metadata}), "mine");
        assert_eq!(
            with(json!({"labels": {"arcctl.dev/profile": "mine"}})),
            None
        );
        assert!(with(json!({"labels": {"arcctl.dev/profile": "theirs"}})).is_some());
        let by_helm = json!({"annotations": {"meta.helm.sh/release-name": "fast"}});
        assert_eq!(with(by_helm), None);
        assert!(with(json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}})).is_some());
    }

    fn drain(successor: Option<&str>) -> ScaleSetDrain {
        ScaleSetDrain {
            namespace: "n".into(),
            name: "fast".into(),
            controller_namespace: "arc-systems".into(),
            controller: "arc-gha-rs-controller".into(),
            successor: successor.map(str::to_owned),
        }
    }

    #[test]
    fn an_upgrade_touches_no_set_of_a_broken_controller_and_says_what_to_do() {
        let upgrade = drain(Some("0.15.1"));
        assert!(upgrade.waits_for_controller(Way::Waiting));
        assert!(!upgrade.waits_for_controller(Way::ByHand));
        assert!(!upgrade.waits_for_controller(Way::Controller));
        assert!(!drain(None).waits_for_controller(Way::Waiting));
        let hint = |it: ScaleSetDrain| format!("{:?}", it.without_controller());
        let stopped = "kubectl -n arc-systems scale deployment arc-gha-rs-controller --replicas=0";
        assert!(hint(upgrade).contains(stopped));
        assert!(hint(drain(None)).contains("arcctl teardown --force"));
    }

    #[test]
    fn a_set_of_the_version_that_makes_it_again_is_back() {
        let is_back = |successor: Option<&str>, version: Option<&str>| {
            let drain = drain(successor);
            let set = version
                .map(|it| json!({"metadata": {"labels": {"app.kubernetes.io/version": it}}}));
            drain.is_back(&Objects {
                set,
                ..Objects::default()
            })
        };
        assert!(is_back(Some("0.15.1"), Some("0.15.0")));
        assert!(!is_back(Some("0.15.1"), Some("0.14.2")));
        assert!(!is_back(Some("0.15.1"), None) && !is_back(None, Some("0.15.1")));
    }
}

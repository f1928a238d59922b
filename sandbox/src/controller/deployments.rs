//! Creates `RunnerReplicaSet`s for `RunnerDeployment`s, and `Runner`s for these.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::reconciler::{Reconciler, Snapshot};
use super::{DEPLOYMENT, REPLICA_SET, RUNNER, runner_pod};
use crate::objects::{self, at, is_deleted, is_owned_by, text, uid};

const NAME: &str = "runner-deployment-name";
const HASH: &str = "runner-template-hash";

impl Reconciler {
    /// A new template makes a new set at full size; the old one goes when the new one is ready.
    pub(super) async fn reconcile_deployment(
        &mut self,
        deployment: &Value,
        snapshot: &Snapshot,
    ) -> Result<()> {
        if is_deleted(deployment) {
            return Ok(());
        }
        let template = &deployment["spec"]["template"];
        let hash = template_hash(template, self.configuration.has_var_run_limit);
        let desired = replicas(deployment);
        let sets: Vec<&Value> = snapshot
            .replica_sets
            .iter()
            .filter(|set| is_owned_by(set, uid(deployment)) && !is_deleted(set))
            .collect();
        let (current, old) = current_and_old(&sets, &hash);
        let Some(current) = current else {
            let set = replica_set(deployment, &hash, desired);
            self.objects
                .create(&REPLICA_SET, at(deployment).0, &set)
                .await?;
            return Ok(());
        };
        let scaled = &deployment["spec"]["effectiveTime"];
        if replicas(current) != desired || current["spec"]["effectiveTime"] != *scaled {
            let patch = json!({ "spec": { "replicas": desired, "effectiveTime": scaled } });
            self.objects
                .merge(&REPLICA_SET, at(current), &patch)
                .await?;
        }
        if count(current, "readyReplicas") >= desired {
            for set in old {
                self.retire(set).await?;
            }
        }
        let sum = |field: &str| -> i64 { sets.iter().map(|set| count(set, field)).sum() };
        let status = json!({
            "availableReplicas": sum("availableReplicas"), "desiredReplicas": desired,
            "readyReplicas": sum("readyReplicas"), "replicas": sum("replicas"),
            "updatedReplicas": count(current, "replicas"),
        });
        self.status(&DEPLOYMENT, deployment, &status).await
    }

    /// A set cannot be removed gracefully: it is emptied first, if its status tells that there is something in it.
    async fn retire(&self, set: &Value) -> Result<()> {
        if count(set, "replicas") == 0 {
            return self.objects.delete(&REPLICA_SET, at(set)).await;
        }
        if replicas(set) != 0 {
            let patch = json!({ "spec": { "replicas": 0 } });
            self.objects.merge(&REPLICA_SET, at(set), &patch).await?;
        }
        Ok(())
    }

    /// Makes and removes Runners.
    pub(super) async fn reconcile_replica_set(
        &mut self,
        set: &Value,
        snapshot: &Snapshot,
    ) -> Result<()> {
        if is_deleted(set) {
            return Ok(());
        }
        let own: Vec<&Value> = snapshot
            .runners
            .iter()
            .filter(|runner| is_owned_by(runner, uid(set)))
            .collect();
        let live: Vec<&Value> = own
            .iter()
            .copied()
            .filter(|runner| !is_deleted(runner))
            .collect();
        // One that has no pod yet, or gets none, holds up all: no Runner is made or removed, and the status stays
        // (`collectPodsForOwners`, runner_pod_owner.go, v0.27.6).
        if live.iter().any(|runner| !is_synced(runner)) {
            return Ok(());
        }
        let desired = usize::try_from(replicas(set)).unwrap_or(0);
        let held = SignedDuration::try_from(self.delays.recreation)?;
        if !is_held_back(set, &live, held, Timestamp::now()) {
            for _ in live.len()..desired {
                self.objects
                    .create(&RUNNER, at(set).0, &runner(set))
                    .await?;
            }
        }
        if live.len() > desired {
            self.scale_down(set, &live, snapshot).await?;
        }
        let is_up = |runner: &&&Value| text(runner, "/status/phase") == "Running";
        let ready = live.iter().filter(is_up).count();
        let available = live
            .iter()
            .filter(|runner| runner["status"]["ready"] == true)
            .count();
        let status = json!({
            "availableReplicas": available, "readyReplicas": ready, "replicas": own.len(),
        });
        self.status(&REPLICA_SET, set, &status).await
    }
}

/// The hash of a template. The original's covers the names of all fields of its types, of those without a value too: a controller
/// whose types have a field more makes a new set for a template that is as before (`ComputeHash` there).
fn template_hash(template: &Value, has_var_run_limit: bool) -> String {
    let unset = if has_var_run_limit {
        json!(["dockerVarRunVolumeSizeLimit"])
    } else {
        json!([])
    };
    runner_pod::hash(&json!({ "template": template, "unset": unset }))
}

/// The set that a deployment works with, if it has one of this template, and all others. It is the newest of its sets: an older
/// one of the same template is not taken again, and a new one is made (`runnerdeployment_controller.go`, v0.27.6). What is left of
/// a template from before may lack fields that the CRD of the time between did not have. Of sets made in the same second, the
/// one of this template.
fn current_and_old<'a>(sets: &[&'a Value], hash: &str) -> (Option<&'a Value>, Vec<&'a Value>) {
    let mut sets = sets.to_vec();
    sets.sort_by_key(|set| {
        let made = text(set, "/metadata/creationTimestamp").to_owned();
        (made, label(set, HASH) == hash)
    });
    let newest = sets.last().copied();
    let current = newest.filter(|set| label(set, HASH) == hash);
    if current.is_some() {
        sets.pop();
    }
    (current, sets)
}

/// Whether a set gets no Runner in place of one that ended. Once a webhook has scaled it and a Runner was made since, the
/// controller expects a word of GitHub that fewer are needed. Another webhook ends it, and so does a set without Runners
/// (`syncRunnerPodsOwners`, `runner_pod_owner.go`, v0.27.6).
fn is_held_back(set: &Value, live: &[&Value], held: SignedDuration, now: Timestamp) -> bool {
    let time = |object: &Value, pointer: &str| text(object, pointer).parse::<Timestamp>().ok();
    let Some(scaled) = time(set, "/spec/effectiveTime") else {
        return false;
    };
    let made = live
        .iter()
        .filter_map(|runner| time(runner, "/metadata/annotations/sync-time"))
        .max();
    let is_ephemeral = set.pointer("/spec/template/spec/ephemeral") != Some(&Value::Bool(false));
    is_ephemeral && made.is_some_and(|made| made > scaled && now.duration_since(made) < held)
}

/// Whether the controller has seen the pod of a Runner.
fn is_synced(runner: &Value) -> bool {
    !text(runner, "/status/phase").is_empty()
}

/// The replicas that an object asks for; one, when it does not say.
pub(super) fn replicas(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

fn count(set: &Value, field: &str) -> i64 {
    set["status"][field].as_i64().unwrap_or(0)
}

fn label<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"]["labels"][name]
        .as_str()
        .unwrap_or_default()
}

fn replica_set(deployment: &Value, hash: &str, replicas: i64) -> Value {
    let name = at(deployment).1;
    let own = json!({ NAME: name, HASH: hash });
    let mut template = deployment["spec"]["template"].clone();
    let mut labels = template
        .pointer("/metadata/labels")
        .cloned()
        .unwrap_or(json!({}));
    labels[NAME] = name.into();
    labels[HASH] = hash.into();
    template["metadata"]["labels"] = labels.clone();
    json!({
        "metadata": {
            "generateName": format!("{name}-"), "namespace": at(deployment).0, "labels": labels,
            "ownerReferences": objects::owner_reference(deployment),
        },
        "spec": {
            "effectiveTime": deployment["spec"]["effectiveTime"], "replicas": replicas,
            "selector": { "matchLabels": own }, "template": template,
        },
    })
}

fn runner(set: &Value) -> Value {
    let template = &set["spec"]["template"];
    let mut annotations = template
        .pointer("/metadata/annotations")
        .cloned()
        .unwrap_or(json!({}));
    annotations["sync-time"] = objects::seconds(Timestamp::now()).into();
    json!({
        "metadata": {
            "generateName": format!("{}-", at(set).1), "namespace": at(set).0,
            "labels": template.pointer("/metadata/labels"), "annotations": annotations,
            "finalizers": [super::runners::FINALIZER],
            "ownerReferences": objects::owner_reference(set),
        },
        "spec": template["spec"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_without_replicas_starts_with_one() {
        assert_eq!(replicas(&json!({ "spec": {} })), 1);
        assert_eq!(replicas(&json!({ "spec": { "replicas": 0 } })), 0);
    }

    #[test]
    fn a_controller_with_other_types_has_another_hash_of_the_same_template() {
        let template = json!({ "spec": { "enterprise": "e" } });
        let hash = template_hash(&template, true);
        assert_eq!(hash, template_hash(&template, true));
        assert_ne!(hash, template_hash(&template, false));
    }

    #[test]
    fn a_runner_without_a_phase_has_no_pod_yet() {
        assert!(!is_synced(
            &json!({ "status": { "registration": { "token": "t" } } })
        ));
        assert!(is_synced(&json!({ "status": { "phase": "Pending" } })));
    }

    #[test]
    fn after_a_webhook_no_runner_takes_the_place_of_one_that_ended() {
        let set = json!({ "spec": { "effectiveTime": "2026-11-28T00:00:00Z" } });
        let runner = |made: &str| json!({ "metadata": { "annotations": { "sync-time": made } } });
        let (before, since) = (
            runner("2026-11-27T23:59:00Z"),
            runner("2026-11-28T00:00:05Z"),
        );
        let held = |set: &Value, live: &[&Value], now: &str| {
            let delay = SignedDuration::from_mins(10);
            is_held_back(set, live, delay, now.parse().unwrap())
        };
        let soon = "2026-11-28T00:01:00Z";
        assert!(held(&set, &[&before, &since], soon));
        assert!(!held(&set, &[&before], soon), "the webhook's own Runner");
        assert!(!held(&set, &[], soon), "none is left");
        assert!(!held(&set, &[&since], "2026-11-28T00:10:05Z"));
        assert!(!held(&json!({ "spec": {} }), &[&since], soon));
        let mut kept = set;
        kept["spec"]["template"]["spec"]["ephemeral"] = false.into();
        assert!(!held(&kept, &[&since], soon));
    }

    #[test]
    fn a_set_of_a_template_from_before_is_not_taken_again() {
        let set = |hash: &str, made: &str| json!({ "metadata": { "creationTimestamp": made, "labels": { HASH: hash } } });
        let (first, second) = (
            set("b", "2026-11-26T00:00:00Z"),
            set("a", "2026-11-26T00:01:00Z"),
        );
        let both = [&first, &second];
        assert_eq!(current_and_old(&both, "a"), (Some(&second), vec![&first]));
        // Back to the first template: the controller makes a third set.
        let (current, old) = current_and_old(&both, "b");
        assert_eq!((current, old.len()), (None, 2));
        let third = set("b", "2026-11-26T00:02:00Z");
        let (current, old) = current_and_old(&[&third, &first, &second], "b");
        assert_eq!((current, old), (Some(&third), vec![&first, &second]));
        let at_once = set("c", "2026-11-26T00:01:00Z");
        let (current, _) = current_and_old(&[&at_once, &second], "c");
        assert_eq!(current, Some(&at_once));
        assert_eq!(current_and_old(&[], "a").0, None);
    }

    #[test]
    fn a_set_and_its_runners_carry_the_deployments_name_and_the_hash() {
        let deployment = json!({
            "metadata": { "name": "basic", "namespace": "n" },
            "spec": { "template": { "metadata": { "labels": { "a": "b" } }, "spec": { "enterprise": "e" } } },
        });
        let mut set = replica_set(&deployment, "h4sh", 2);
        set["metadata"]["name"] = "basic-abcde".into();
        let runner = runner(&set);
        assert_eq!(runner["metadata"]["generateName"], "basic-abcde-");
        let labels = json!({ "a": "b", NAME: "basic", HASH: "h4sh" });
        assert_eq!(runner["metadata"]["labels"], labels);
        assert_eq!(runner["spec"]["enterprise"], "e");
    }
}

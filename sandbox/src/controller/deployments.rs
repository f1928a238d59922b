//! Creates `RunnerReplicaSet`s for `RunnerDeployment`s, and `Runner`s for these.

use anyhow::Result;
use jiff::Timestamp;
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
        let hash = runner_pod::hash(template);
        let desired = replicas(deployment);
        let sets: Vec<&Value> = snapshot
            .replica_sets
            .iter()
            .filter(|set| is_owned_by(set, uid(deployment)) && !is_deleted(set))
            .collect();
        let (current, old): (Vec<&Value>, Vec<&Value>) =
            sets.iter().partition(|set| label(set, HASH) == hash);
        let Some(current) = current.first().copied() else {
            let set = replica_set(deployment, &hash, desired);
            self.objects
                .create(&REPLICA_SET, at(deployment).0, &set)
                .await?;
            return Ok(());
        };
        if replicas(current) != desired {
            let patch = json!({ "spec": { "replicas": desired } });
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

    /// A set cannot be removed gracefully: it is emptied first.
    async fn retire(&self, set: &Value) -> Result<()> {
        if replicas(set) != 0 {
            let patch = json!({ "spec": { "replicas": 0 } });
            self.objects.merge(&REPLICA_SET, at(set), &patch).await?;
        } else if count(set, "replicas") == 0 {
            self.objects.delete(&REPLICA_SET, at(set)).await?;
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
        let desired = usize::try_from(replicas(set)).unwrap_or(0);
        for _ in live.len()..desired {
            self.objects
                .create(&RUNNER, at(set).0, &runner(set))
                .await?;
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
            "effectiveTime": Value::Null, "replicas": replicas,
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

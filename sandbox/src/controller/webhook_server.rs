//! The controller's webhook server, with its visible behavior: while one of its pods is ready, GitHub's job events become
//! reservations of the matching autoscaler (reference: arc.md 2.3). Without a ready pod an event is lost, as with GitHub's
//! deliveries.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::manager::PODS;
use super::{AUTOSCALER, DEPLOYMENT, GitHubSettings};
use crate::github::{Broker, JobEvent};
use crate::objects::{self, Objects, POD, at, text};

/// How often GitHub's events are looked for.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a reservation is kept where its trigger does not say.
const DEFAULT_DURATION: SignedDuration = SignedDuration::from_mins(10);

/// The replicas that a queued job reserves, whatever `amount` its trigger has (`Handle`,
/// `horizontal_runner_autoscaler_webhook.go`, v0.27.6).
const ONE_JOB: i64 = 1;

/// Runs until it is dropped.
pub(super) async fn run(objects: Objects, settings: Arc<GitHubSettings>) {
    let Some(broker) = settings.broker.clone() else {
        return std::future::pending().await;
    };
    let mut told = HashMap::new();
    loop {
        // A pass that fails is repeated: the API server may be restarting.
        let _again = pass(&objects, &broker, &mut told).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Delivers each change of a job's state once.
async fn pass(
    objects: &Objects,
    broker: &Broker,
    told: &mut HashMap<u64, &'static str>,
) -> Result<()> {
    let news: Vec<JobEvent> = broker
        .events()
        .into_iter()
        .filter(|it| told.get(&it.job) != Some(&it.status))
        .collect();
    if news.is_empty() {
        return Ok(());
    }
    let pods = objects.list(&POD, Some(PODS)).await?;
    let is_served = pods.iter().any(|pod| {
        objects::is_ready(pod) && objects::started_at(pod, "github-webhook-server").is_some()
    });
    for event in news {
        if is_served {
            deliver(objects, &event).await?;
        }
        told.insert(event.job, event.status);
    }
    Ok(())
}

async fn deliver(objects: &Objects, event: &JobEvent) -> Result<()> {
    if event.status == "in_progress" {
        return Ok(());
    }
    let autoscalers = objects.list(&AUTOSCALER, None).await?;
    let deployments = objects.list(&DEPLOYMENT, None).await?;
    let Some((autoscaler, trigger)) = target(&autoscalers, &deployments, event) else {
        return Ok(());
    };
    let now = Timestamp::now();
    let mut held: Vec<Value> = autoscaler
        .pointer("/spec/capacityReservations")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    held.retain(|one| {
        let end = text(one, "/expirationTime").parse::<Timestamp>();
        end.is_ok_and(|end| end > now)
    });
    if event.status == "queued" {
        let duration = text(trigger, "/duration").parse::<jiff::Span>().ok();
        let duration = duration.and_then(|it| SignedDuration::try_from(it).ok());
        let end = now + duration.unwrap_or(DEFAULT_DURATION);
        held.push(json!({
            "effectiveTime": objects::seconds(now),
            "expirationTime": objects::seconds(end),
            "replicas": ONE_JOB,
        }));
    } else if !held.is_empty() {
        held.remove(0);
    }
    let patch = json!({"spec": {"capacityReservations": held}});
    objects.merge(&AUTOSCALER, at(autoscaler), &patch).await?;
    Ok(())
}

/// The first autoscaler with a trigger whose runners take the job: of its repository, then of its organization, then of an
/// enterprise. The controller looks them up in an index by these names, letter by letter.
fn target<'a>(
    autoscalers: &'a [Value],
    deployments: &[Value],
    event: &JobEvent,
) -> Option<(&'a Value, &'a Value)> {
    let owner = event.repository.split('/').next().unwrap_or_default();
    let is_for = |spec: &Value, level: usize| match level {
        0 => text(spec, "/repository") == event.repository,
        1 => text(spec, "/organization") == owner,
        _ => !text(spec, "/enterprise").is_empty(),
    };
    (0..3).find_map(|level| {
        autoscalers.iter().find_map(|autoscaler| {
            let trigger = autoscaler.pointer("/spec/scaleUpTriggers/0")?;
            trigger.pointer("/githubEvent/workflowJob")?;
            let name = (
                at(autoscaler).0,
                text(autoscaler, "/spec/scaleTargetRef/name"),
            );
            let deployment = deployments.iter().find(|it| at(it) == name)?;
            let spec = deployment.pointer("/spec/template/spec")?;
            (is_for(spec, level) && has_labels(spec, &event.labels))
                .then_some((autoscaler, trigger))
        })
    })
}

/// Every label of a job but `self-hosted` must be declared, those that every runner has too.
fn has_labels(spec: &Value, wanted: &[String]) -> bool {
    let declared = spec["labels"].as_array();
    let has = |label: &String| {
        declared
            .into_iter()
            .flatten()
            .any(|it| it.as_str().is_some_and(|it| it.eq_ignore_ascii_case(label)))
    };
    let wanted = wanted.iter().filter(|it| *it != "self-hosted");
    wanted.into_iter().all(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(name: &str, spec: &Value) -> Value {
        json!({"metadata": {"name": name, "namespace": "n"}, "spec": {"template": {"spec": spec}}})
    }

    fn autoscaler(name: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "n"}, "spec": {
            "scaleTargetRef": {"name": name},
            "scaleUpTriggers": [{"githubEvent": {"workflowJob": {}}, "amount": 1}]}})
    }

    fn event(labels: &[&str]) -> JobEvent {
        JobEvent {
            job: 1,
            repository: "acme/web".into(),
            labels: labels.iter().map(ToString::to_string).collect(),
            status: "queued",
        }
    }

    #[test]
    fn the_repository_comes_before_the_organization_and_labels_must_be_declared() {
        let autoscalers = [autoscaler("org"), autoscaler("repo")];
        let deployments = [
            deployment(
                "org",
                &json!({"organization": "acme", "labels": ["a", "linux"]}),
            ),
            deployment("repo", &json!({"repository": "acme/web", "labels": ["a"]})),
        ];
        let chosen = |labels: &[&str]| {
            let found = target(&autoscalers, &deployments, &event(labels));
            found.map(|(it, _)| at(it).1.to_owned())
        };
        assert_eq!(chosen(&["self-hosted", "a"]).as_deref(), Some("repo"));
        assert_eq!(chosen(&["self-hosted", "linux"]).as_deref(), Some("org"));
        assert_eq!(chosen(&["self-hosted", "x64"]), None);
    }

    #[test]
    fn a_name_in_other_letters_is_another_name() {
        let chosen = |spec: &Value| {
            let deployments = [deployment("a", spec)];
            target(&[autoscaler("a")], &deployments, &event(&[])).is_some()
        };
        assert!(chosen(&json!({"organization": "acme"})));
        assert!(!chosen(&json!({"organization": "Acme"})));
        assert!(!chosen(&json!({"repository": "acme/Web"})));
    }
}

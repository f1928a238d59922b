//! Restores the previous credential when the new one could not be verified.

use tokio::time::Instant;

use super::{Event, Options, Span, StepResult, Stop, ending, execute};
use crate::{
    desired::{
        Desired, Phase,
        resource::{Id, Resource},
    },
    error::Error,
    plan::Action,
    resource::{context::Context, newest_release},
};

/// The annotation on the controller's pods with the version of the Secret.
const SECRET_VERSION: &str = "arcctl.dev/secret-version";

/// The result of the rollback.
#[derive(Debug)]
pub enum PutBack {
    /// The controller works with the previous credential.
    Done,
    /// The Secret has the previous credential, and the controller was not restarted in between.
    NotRestarted,
    /// The Secret has the previous credential, and the controller does not work.
    SecretOnly(Error),
    /// The Secret may have either credential.
    Failed(Error),
}

/// Writes the previous data into the Secret, and waits until the controller works with it. Runs the usual steps, but
/// only those that this run had started: the controller reads its credential at start, so one that was not restarted
/// still uses the previous one. Adds the results to `steps`.
pub async fn put_back(
    desired: &[Desired],
    context: &Context,
    options: &Options<'_>,
    steps: &mut Vec<StepResult>,
    on_event: &mut dyn FnMut(&Event),
) -> PutBack {
    context.rotation().restore();
    let restarted = is_restarted(desired, context, steps).await;
    let again = to_do_again(desired, steps, restarted);
    // The failed step has stopped the run; a signal or a lost lease still stops the rollback.
    options
        .stop
        .send_if_modified(|stop| stop.take_if(|it| *it == Stop::Failed).is_some());
    // The run that failed may have used up its time.
    let limit = options.timeouts.controller.get();
    let options = Options {
        deadline: Instant::now() + limit,
        limit,
        stop: options.stop.clone(),
        paused: options.paused.clone(),
        ..*options
    };
    let results = execute(&again, context, &options, on_event).await;
    let secret = |it: &&StepResult| again.iter().any(|step| step.id == it.id && is_secret(step));
    let written = results
        .iter()
        .find(secret)
        .is_some_and(|it| it.action.is_some() && it.error.is_none());
    let failed = ending(&results, &options);
    add(steps, results);
    match failed {
        None if restarted => PutBack::Done,
        None => PutBack::NotRestarted,
        Some(error) if written => PutBack::SecretOnly(error),
        Some(error) => PutBack::Failed(error),
    }
}

/// Whether this run has passed the new version of the Secret to the controller's release, so that its pods restart with
/// the new credential. True if that is unknown.
async fn is_restarted(desired: &[Desired], context: &Context, steps: &[StepResult]) -> bool {
    let release = desired.iter().filter(|it| it.phase == Phase::Controller);
    let release = release.filter(|it| is_begun(steps, &it.id));
    let release = release.filter_map(|it| match &it.resource {
        Resource::Release(release) => Some(release),
        _ => None,
    });
    for release in release {
        let record = newest_release(&context.kube, &release.namespace, &release.name).await;
        let given = match &record {
            Ok(Some(record)) => record.values["podAnnotations"][SECRET_VERSION].as_str(),
            Ok(None) => continue,
            Err(_) => return true,
        };
        let written = context.secret_version();
        if written.is_none() || given == written.as_deref() {
            return true;
        }
    }
    false
}

fn is_begun(steps: &[StepResult], id: &Id) -> bool {
    let step = steps.iter().find(|it| it.id == *id);
    step.is_some_and(|it| !matches!(it.action, None | Some(Action::Keep)))
}

/// The Secret; and if the controller was `restarted`, the steps of its phase that were started or that verify it.
fn to_do_again(desired: &[Desired], steps: &[StepResult], restarted: bool) -> Vec<Desired> {
    let again = |it: &&Desired| {
        let of_the_controller = restarted && it.phase == Phase::Controller;
        is_secret(it) || of_the_controller && (is_begun(steps, &it.id) || it.resource.is_proof())
    };
    desired.iter().filter(again).cloned().collect()
}

/// Merges the results of repeated steps into those of the run: a step that succeeded first and failed when repeated has
/// failed.
fn add(steps: &mut Vec<StepResult>, again: Vec<StepResult>) {
    for result in again {
        let Some(step) = steps.iter_mut().find(|it| it.id == result.id) else {
            steps.push(result);
            continue;
        };
        step.elapsed += result.elapsed;
        step.span = match (step.span.take(), result.span) {
            (Some(first), Some(last)) => Some(Span {
                ended: last.ended,
                ..first
            }),
            (first, last) => first.or(last),
        };
        step.written |= result.written;
        step.action = match (step.action, result.action) {
            (None | Some(Action::Keep), again) => again.or(step.action),
            (first, _) => first,
        };
        if step.error.is_none() {
            step.error = result.error;
        }
    }
}

fn is_secret(desired: &Desired) -> bool {
    matches!(desired.resource, Resource::ControllerSecret(_))
}

/// Marks the Secret as unchanged, since its previous data is restored; its step ends as the run does.
pub fn mark_put_back(desired: &[Desired], steps: &mut [StepResult], failure: &Error) {
    let secret = |step: &StepResult| {
        let of_the_step = desired.iter().find(|it| it.id == step.id);
        of_the_step.is_some_and(is_secret)
    };
    for step in steps
        .iter_mut()
        .filter(|it| secret(it) && it.error.is_none())
    {
        let message = format!("`{}` has the old credential again", step.id);
        let error = Error::new(failure.kind, failure.system, message)
            .object(&step.id)
            .cause("the new one was not proven");
        // Restored data counts as unchanged.
        step.written = false;
        step.error = Some(match &failure.hint {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        desired::{
            Goal,
            resource::{Chart, ControllerSecret, HelmRelease, WebhookProof},
        },
        error::System,
    };

    fn step(kind: &str, phase: Phase, resource: Resource) -> Desired {
        Desired {
            id: Id::new(kind, Some("s"), "controller"),
            phase,
            after: Vec::new(),
            resource,
            goal: Goal::Present,
        }
    }

    fn wanted() -> Vec<Desired> {
        let chart = Chart {
            name: "c".into(),
            version: "1".into(),
            location: "l".into(),
        };
        let release = HelmRelease {
            name: "controller".into(),
            namespace: "s".into(),
            chart,
            values: serde_json::Value::Null,
            profile: "p".into(),
        };
        let secret = ControllerSecret {
            namespace: "s".into(),
            name: "controller".into(),
            profile: "p".into(),
            managed: true,
            credential: String::new(),
            runner_namespaces: Vec::new(),
        };
        let proof = WebhookProof::Controller {
            namespace: "s".into(),
            release: "controller".into(),
            runner_namespace: "r".into(),
        };
        vec![
            step("secret", Phase::Wiring, Resource::ControllerSecret(secret)),
            step(
                "helm-release",
                Phase::Controller,
                Resource::Release(release),
            ),
            step("webhook", Phase::Controller, Resource::Webhook(proof)),
        ]
    }

    fn result(kind: &str, action: Option<Action>, failed: bool) -> StepResult {
        StepResult {
            id: Id::new(kind, Some("s"), "controller"),
            action,
            written: action == Some(Action::Update),
            elapsed: Duration::from_secs(1),
            span: None,
            error: failed.then(|| Error::failed(System::Helm, "no")),
        }
    }

    fn kinds(steps: &[StepResult], restarted: bool) -> Vec<String> {
        let again = to_do_again(&wanted(), steps, restarted);
        again.iter().map(|it| it.id.kind().to_owned()).collect()
    }

    #[test]
    fn an_upgrade_that_was_not_begun_is_not_begun_to_put_a_credential_back() {
        let secret = || result("secret", Some(Action::Update), false);
        let release = |action, failed| [secret(), result("helm-release", action, failed)];
        assert_eq!(kinds(&[secret()], false), ["secret"]);
        assert_eq!(kinds(&release(None, false), false), ["secret"]);
        // Attempted, but helm was not started: another operation on the release is in progress.
        assert_eq!(
            kinds(&release(Some(Action::Update), true), false),
            ["secret"]
        );
        let all = ["secret", "helm-release", "webhook"];
        assert_eq!(kinds(&release(Some(Action::Update), false), true), all);
        assert_eq!(kinds(&release(Some(Action::Update), true), true), all);
        // Another release of the phase that was not started is kept as it is.
        assert_eq!(kinds(&release(None, false), true), ["secret", "webhook"]);
        assert!(!is_begun(
            &release(Some(Action::Keep), false),
            &wanted()[1].id
        ));
    }

    #[test]
    fn what_is_done_once_more_is_in_the_steps() {
        let mut steps = vec![
            result("secret", Some(Action::Update), false),
            result("helm-release", Some(Action::Update), false),
            result("webhook", None, false),
        ];
        let again = vec![
            result("secret", Some(Action::Update), false),
            result("helm-release", Some(Action::Update), true),
            result("webhook", Some(Action::Keep), true),
        ];
        add(&mut steps, again);
        assert_eq!(steps.len(), 3);
        assert!(steps[0].error.is_none() && steps[0].elapsed.as_secs() == 2);
        assert!(steps[1].error.is_some(), "the second upgrade failed");
        assert_eq!(steps[2].action, Some(Action::Keep));
        assert!(steps[2].error.is_some());
    }
}

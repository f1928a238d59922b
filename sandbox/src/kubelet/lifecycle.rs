//! The kubelets' loop: moves each bound pod through its phases.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::watcher;
use kube::{Client, ResourceExt as _};
use serde_json::Value;

use super::command::{self, Ended};
use super::events::{Note, Recorder};
use super::fault;
use super::lookup;
use super::memory::{Memories, Memory};
use super::needs::{self, Found, Need};
use super::shown;
use super::status::{self, Cause, Place};
use super::{Failed, Settings};

struct Context {
    client: Client,
    settings: Settings,
    recorder: Arc<Recorder>,
    memories: Memories,
    addresses: AtomicU32,
}

/// The watch of all bound pods.
pub(super) fn controller(client: Client) -> Controller<Pod> {
    Controller::new(
        Api::all(client),
        watcher::Config::default().fields("spec.nodeName!="),
    )
    .with_config(Config::default().concurrency(0))
}

/// Leads pods until it is dropped.
pub(super) async fn run(
    controller: Controller<Pod>,
    client: Client,
    settings: Settings,
    recorder: Arc<Recorder>,
) {
    let retry = settings.delays.retry;
    let context = Arc::new(Context {
        client,
        settings,
        recorder,
        memories: Memories::default(),
        addresses: AtomicU32::new(0),
    });
    controller
        .run(reconcile, move |_, _, _| Action::requeue(retry), context)
        .for_each(async |_| {})
        .await;
}

async fn reconcile(pod: Arc<Pod>, context: Arc<Context>) -> Result<Action, Failed> {
    let turn = Turn {
        pod: &pod,
        context: &context,
        uid: pod.uid().unwrap_or_default(),
    };
    match turn.step().await {
        Ok(action) => Ok(action),
        // Gone, or changed in the meantime: the watch tells what is true now.
        Err(error) if is_outdated(&error) => Ok(Action::await_change()),
        Err(error) => Err(error.into()),
    }
}

fn is_outdated(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(kube::Error::Api(status)) if matches!(status.code, 404 | 409)
    )
}

/// One look at one pod.
struct Turn<'a> {
    pod: &'a Pod,
    context: &'a Context,
    uid: String,
}

impl Turn<'_> {
    async fn step(&self) -> Result<Action> {
        if self.context.settings.paused.load(Ordering::Relaxed) {
            return Ok(Action::await_change());
        }
        if self.pod.metadata.deletion_timestamp.is_some() {
            return self.end().await;
        }
        if shown::is_done(self.pod) {
            return Ok(Action::await_change());
        }
        if let Some(left) = self.memory().rest() {
            return Ok(Action::requeue(left));
        }
        if shown::is_running(self.pod) {
            self.keep_running().await
        } else {
            self.start().await
        }
    }

    async fn start(&self) -> Result<Action> {
        let delays = &self.context.settings.delays;
        if !shown::is_accepted(self.pod) {
            self.wait(None, "ContainerCreating", None).await?;
        }
        let (client, memory) = (&self.context.client, self.memory());
        let namespace = self.pod.namespace().unwrap_or_default();
        for need in needs::of_volumes(self.pod) {
            let failure = lookup::failure(client, &namespace, &need, Need::mount_failure);
            if let Some(message) = failure.await? {
                let attempts = memory.mounts + 1;
                self.remember(|memory| memory.mounts = attempts);
                self.note(true, "FailedMount", &message).await?;
                return Ok(self.retry_after(delays.before_mount(attempts)));
            }
        }
        for container in status::containers(self.pod) {
            let image = container.image.as_deref().unwrap_or_default();
            if fault::is_pull_broken(&self.context.settings.faults, image) {
                return self.fail_to_pull(container, image).await;
            }
        }
        for need in needs::of_variables(self.pod) {
            let words = |need: &Need, found: Found<'_>| need.variable_failure(found, &namespace);
            let failure = lookup::failure(client, &namespace, &need, words);
            if let Some(message) = failure.await? {
                self.wait(Some(&need.by), "CreateContainerConfigError", Some(&message))
                    .await?;
                self.note(true, "Failed", &format!("Error: {message}"))
                    .await?;
                return Ok(self.retry_after(delays.retry));
            }
        }
        let left = delays.start.saturating_sub(memory.accepted.elapsed());
        if !left.is_zero() {
            return Ok(Action::requeue(left));
        }
        self.run().await
    }

    async fn run(&self) -> Result<Action> {
        for container in status::containers(self.pod) {
            let name = &container.name;
            self.note(false, "Created", &format!("Created container {name}"))
                .await?;
            self.note(false, "Started", &format!("Started container {name}"))
                .await?;
        }
        self.remember(|memory| memory.running = Some(Instant::now()));
        self.keep_running().await
    }

    async fn fail_to_pull(&self, container: &Container, image: &str) -> Result<Action> {
        let backs_off = shown::waits_for(self.pod, &container.name, "ErrImagePull");
        if backs_off || shown::waits_for(self.pod, &container.name, "ImagePullBackOff") {
            let message = format!("Back-off pulling image {image:?}");
            self.note(false, "BackOff", &message).await?;
            self.note(true, "Failed", "Error: ImagePullBackOff").await?;
            let message = format!("{message}: ErrImagePull: {}", fault::pull_error(image));
            self.wait(Some(&container.name), "ImagePullBackOff", Some(&message))
                .await?;
        } else {
            let error = fault::pull_error(image);
            self.note(false, "Pulling", &format!("Pulling image {image:?}"))
                .await?;
            let message = format!("Failed to pull image {image:?}: {error}");
            self.note(true, "Failed", &message).await?;
            self.note(true, "Failed", "Error: ErrImagePull").await?;
            self.wait(Some(&container.name), "ErrImagePull", Some(&error))
                .await?;
        }
        Ok(self.retry_after(self.context.settings.delays.retry))
    }

    async fn keep_running(&self) -> Result<Action> {
        let delays = &self.context.settings.delays;
        let since = self.memory().running.unwrap_or_else(|| {
            let now = Instant::now();
            self.remember(|memory| memory.running = Some(now));
            now
        });
        let (host, address) = (self.host(), self.address());
        let place = Place {
            host: &host,
            pod: &address,
        };
        if let Some(container) = self.crashing() {
            let patch = status::crashing(self.pod, &place, Timestamp::now(), &container.name);
            self.patch(patch).await?;
            let (name, pod) = (&container.name, self.pod.name_any());
            let message = format!("Back-off restarting failed container {name} in pod {pod}");
            self.note(true, "BackOff", &message).await?;
            return Ok(self.retry_after(delays.retry * 5));
        }
        if shown::is_of_job(self.pod)
            && since.elapsed() >= delays.job
            && shown::is_running(self.pod)
        {
            let ended = match command::container(self.pod) {
                Some(container) => {
                    let cut_off = self.context.settings.cut_off.load(Ordering::Relaxed);
                    command::run(container, cut_off).await?
                }
                None => Ended::default(),
            };
            self.patch(status::ended(self.pod, Timestamp::now(), &ended))
                .await?;
            return Ok(Action::await_change());
        }
        let left = |container: &Container| {
            let delay = if delays.probes {
                shown::initial_delay(container)
            } else {
                Duration::ZERO
            };
            delay.saturating_sub(since.elapsed())
        };
        let ready = |container: &Container| left(container).is_zero();
        if !shown::is_ready_as(self.pod, ready) {
            let patch = status::running(self.pod, &place, Timestamp::now(), ready);
            self.patch(patch).await?;
        }
        let waits = status::containers(self.pod)
            .iter()
            .map(left)
            .filter(|left| !left.is_zero());
        let job = shown::is_of_job(self.pod).then(|| delays.job.saturating_sub(since.elapsed()));
        Ok(waits
            .chain(job)
            .min()
            .map_or_else(Action::await_change, Action::requeue))
    }

    async fn end(&self) -> Result<Action> {
        let delays = &self.context.settings.delays;
        let since = self.memory().ending.unwrap_or_else(|| {
            let now = Instant::now();
            self.remember(|memory| memory.ending = Some(now));
            now
        });
        let left = delays.termination.saturating_sub(since.elapsed());
        if !left.is_zero() {
            return Ok(Action::requeue(left));
        }
        if shown::is_running(self.pod) {
            let ended = Ended::by_signal();
            self.patch(status::ended(self.pod, Timestamp::now(), &ended))
                .await?;
        }
        // Once the kubelet has let go, only finalizers hold the pod.
        if self.pod.metadata.deletion_grace_period_seconds != Some(0) {
            let only = Preconditions {
                uid: Some(self.uid.clone()),
                resource_version: None,
            };
            let parameters = DeleteParams::default().grace_period(0).preconditions(only);
            self.pods()
                .delete(&self.pod.name_any(), &parameters)
                .await?;
        }
        self.context.recorder.forget(&self.uid);
        if self.pod.finalizers().is_empty() {
            self.context.memories.forget(&self.uid);
        }
        Ok(Action::await_change())
    }

    async fn wait(
        &self,
        container: Option<&str>,
        reason: &str,
        message: Option<&str>,
    ) -> Result<()> {
        let is_shown = container.is_some_and(|name| shown::waits_for(self.pod, name, reason));
        if is_shown {
            return Ok(());
        }
        let cause = Cause {
            container,
            reason,
            message,
        };
        self.patch(status::waiting(
            self.pod,
            &self.host(),
            Timestamp::now(),
            &cause,
        ))
        .await
    }

    async fn patch(&self, status: Value) -> Result<()> {
        let patch = Patch::Strategic(status);
        self.pods()
            .patch_status(&self.pod.name_any(), &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    async fn note(&self, warning: bool, reason: &str, message: &str) -> Result<()> {
        let note = Note {
            component: "kubelet",
            warning,
            reason,
            message,
        };
        self.context.recorder.write(self.pod, &note).await
    }

    fn pods(&self) -> Api<Pod> {
        let namespace = self.pod.namespace().unwrap_or_default();
        Api::namespaced(self.context.client.clone(), &namespace)
    }

    fn crashing(&self) -> Option<&Container> {
        status::containers(self.pod).iter().find(|container| {
            let image = container.image.as_deref().unwrap_or_default();
            fault::is_crashing(&self.context.settings.faults, image)
        })
    }

    fn host(&self) -> String {
        let name = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.as_deref());
        let node = self
            .context
            .settings
            .nodes
            .iter()
            .find(|node| Some(&*node.name) == name);
        node.map(|node| node.address.clone()).unwrap_or_default()
    }

    fn address(&self) -> String {
        let shares_host = self.pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true);
        if shares_host {
            return self.host();
        }
        if let Some(address) = self.memory().address {
            return address;
        }
        let number = self.context.addresses.fetch_add(1, Ordering::Relaxed);
        let address = format!("10.244.{}.{}", number / 250, 1 + number % 250);
        self.remember(|memory| memory.address = Some(address.clone()));
        address
    }

    fn retry_after(&self, delay: Duration) -> Action {
        self.remember(|memory| memory.retry = Some(Instant::now() + delay));
        Action::requeue(delay)
    }

    fn memory(&self) -> Memory {
        self.context.memories.of(&self.uid)
    }

    fn remember(&self, change: impl FnOnce(&mut Memory)) {
        self.context.memories.change(&self.uid, change);
    }
}

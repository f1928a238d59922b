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

use super::command::{self, Ended, World};
use super::events::{Note, Recorder};
use super::fault;
use super::history::{Histories, History};
use super::images::Stores;
use super::pod_state;
use super::probes;
use super::status::{self, Place};
use super::volumes;
use super::{Failed, Settings};

/// How often it is looked whether a pod goes while its command runs.
const LOOK: Duration = Duration::from_millis(250);

/// What every turn needs.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) settings: Settings,
    pub(super) images: Arc<Stores>,
    recorder: Recorder,
    histories: Histories,
    addresses: AtomicU32,
}

/// Leads the pods that are bound to a node until it is dropped.
pub(super) async fn run(client: Client, settings: Settings, images: Arc<Stores>) {
    let retry = settings.delays.retry;
    let pods: Api<Pod> = Api::all(client.clone());
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone()),
        client,
        settings,
        images,
        histories: Histories::default(),
        addresses: AtomicU32::new(0),
    });
    Controller::new(pods, watcher::Config::default().fields("spec.nodeName!="))
        .with_config(Config::default().concurrency(0))
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
pub(super) struct Turn<'a> {
    pub(super) pod: &'a Pod,
    pub(super) context: &'a Context,
    pub(super) uid: String,
}

impl Turn<'_> {
    async fn step(&self) -> Result<Action> {
        if self.context.settings.paused.load(Ordering::Relaxed) {
            return Ok(Action::await_change());
        }
        if self.pod.metadata.deletion_timestamp.is_some() {
            return self.end().await;
        }
        if pod_state::is_done(self.pod) {
            return Ok(Action::await_change());
        }
        if let Some(left) = self.history().rest() {
            return Ok(Action::requeue(left));
        }
        if pod_state::is_running(self.pod) {
            self.keep_running().await
        } else {
            self.start().await
        }
    }

    pub(super) async fn keep_running(&self) -> Result<Action> {
        let delays = &self.context.settings.delays;
        let since = self.history().running.unwrap_or_else(|| {
            let now = Instant::now();
            self.remember(|history| history.running = Some(now));
            now
        });
        let (host, address) = (self.host(), self.address());
        let place = Place {
            host: &host,
            pod: &address,
        };
        if let Some((container, code)) = self.ending() {
            let crash = (container.name.as_str(), code);
            let patch = status::crashing(self.pod, &place, Timestamp::now(), crash);
            self.patch(patch).await?;
            let (name, pod) = (&container.name, self.pod.name_any());
            let message = format!("Back-off restarting failed container {name} in pod {pod}");
            self.note(true, "BackOff", &message).await?;
            return Ok(self.retry_after(delays.retry * 5));
        }
        if pod_state::is_of_job(self.pod)
            && since.elapsed() >= delays.job
            && pod_state::is_running(self.pod)
        {
            let ended = match command::container(self.pod) {
                Some(container) => self.command(container).await?,
                None => Some(Ended::default()),
            };
            let Some(ended) = ended else {
                return Ok(Action::await_change());
            };
            self.patch(status::ended(self.pod, Timestamp::now(), &ended))
                .await?;
            return Ok(Action::await_change());
        }
        let left = |container: &Container| {
            let delay = if delays.probes {
                probes::ready_after(container)
            } else {
                Duration::ZERO
            };
            delay.saturating_sub(since.elapsed())
        };
        let ready = |container: &Container| left(container).is_zero();
        if !pod_state::is_ready_as(self.pod, ready) {
            let patch = status::running(self.pod, &place, Timestamp::now(), ready);
            self.patch(patch).await?;
        }
        let waits = status::containers(self.pod)
            .iter()
            .map(left)
            .filter(|left| !left.is_zero());
        let job =
            pod_state::is_of_job(self.pod).then(|| delays.job.saturating_sub(since.elapsed()));
        Ok(waits
            .chain(job)
            .min()
            .map_or_else(Action::await_change, Action::requeue))
    }

    /// Runs the command of a Job's container, once; `None` where the pod goes before, and the command with it.
    async fn command(&self, container: &Container) -> Result<Option<Ended>> {
        if let Some(ended) = self.history().ended {
            return Ok(Some(ended));
        }
        let Context {
            client, settings, ..
        } = self.context;
        let directory = tempfile::tempdir()?;
        let volumes = volumes::mount(client, self.pod, container, directory.path());
        let mut names = volumes.await?;
        names.push((command::API_SERVER.to_owned(), settings.api.clone()));
        let world = World {
            directory: directory.path(),
            names,
            cut_off: settings.cut_off.load(Ordering::Relaxed),
        };
        let ended = tokio::select! {
            ended = command::run(container, &world) => ended?,
            gone = self.gone() => return gone.map(|()| None),
        };
        self.remember(|history| history.ended = Some(ended.clone()));
        Ok(Some(ended))
    }

    /// Waits until the pod is being deleted, or is not there any more.
    async fn gone(&self) -> Result<()> {
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tick.tick().await;
            let live = self.pods().get_opt(&self.pod.name_any()).await?;
            let stays = live.is_some_and(|it| {
                it.metadata.deletion_timestamp.is_none() && it.metadata.uid == self.pod.metadata.uid
            });
            if !stays {
                return Ok(());
            }
        }
    }

    async fn end(&self) -> Result<Action> {
        let delays = &self.context.settings.delays;
        let since = self.history().ending.unwrap_or_else(|| {
            let now = Instant::now();
            self.remember(|history| history.ending = Some(now));
            now
        });
        let left = delays.termination.saturating_sub(since.elapsed());
        if !left.is_zero() {
            return Ok(Action::requeue(left));
        }
        if pod_state::is_running(self.pod) {
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
        self.context.images.forget(&self.uid);
        if self.pod.finalizers().is_empty() {
            self.context.histories.forget(&self.uid);
        }
        Ok(Action::await_change())
    }

    pub(super) async fn patch(&self, status: Value) -> Result<()> {
        let patch = Patch::Strategic(status);
        self.pods()
            .patch_status(&self.pod.name_any(), &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    pub(super) async fn note(&self, warning: bool, reason: &str, message: &str) -> Result<()> {
        let note = Note {
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

    /// A container that ends and is started again and again, and the exit code that it ends with.
    fn ending(&self) -> Option<(&Container, i32)> {
        let mut containers = status::containers(self.pod).iter();
        containers.find_map(|container| {
            let image = container.image.as_deref().unwrap_or_default();
            if fault::is_crashing(&self.context.settings.faults, image) {
                return Some((container, 1));
            }
            let ends = command::ends_at_once(container) && !pod_state::is_of_job(self.pod);
            ends.then_some((container, 0))
        })
    }

    pub(super) fn node_name(&self) -> &str {
        let spec = self.pod.spec.as_ref();
        let name = spec.and_then(|spec| spec.node_name.as_deref());
        name.unwrap_or_default()
    }

    pub(super) fn host(&self) -> String {
        let name = self.node_name();
        let mut nodes = self.context.settings.nodes.iter();
        let node = nodes.find(|node| node.name == name);
        node.map(|node| node.address.clone()).unwrap_or_default()
    }

    fn address(&self) -> String {
        let shares_host = self.pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true);
        if shares_host {
            return self.host();
        }
        if let Some(address) = self.history().address {
            return address;
        }
        let number = self.context.addresses.fetch_add(1, Ordering::Relaxed);
        let address = format!("10.244.{}.{}", number / 250, 1 + number % 250);
        self.remember(|history| history.address = Some(address.clone()));
        address
    }

    pub(super) fn retry_after(&self, delay: Duration) -> Action {
        self.remember(|history| history.retry = Some(Instant::now() + delay));
        Action::requeue(delay)
    }

    pub(super) fn history(&self) -> History {
        self.context.histories.of(&self.uid)
    }

    pub(super) fn remember(&self, change: impl FnOnce(&mut History)) {
        self.context.histories.change(&self.uid, change);
    }
}

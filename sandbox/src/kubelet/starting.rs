//! A pod from its node to running containers: its volumes, its init containers one after another, its images, its
//! variables.

use std::time::Instant;

use anyhow::Result;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;

use super::dependencies::{self, Dependency, Found};
use super::fault;
use super::history::Init;
use super::images::Pull;
use super::lifecycle::Turn;
use super::lookup;
use super::pod_state;
use super::status::{self, Cause};
use crate::duration::as_go;

impl Turn<'_> {
    /// Brings a pod nearer to its running containers; what it waits for decides when it is looked at again.
    pub(super) async fn start(&self) -> Result<Action> {
        if !pod_state::is_accepted(self.pod) {
            self.wait(None).await?;
        }
        if let Some(action) = self.mount().await? {
            return Ok(action);
        }
        if let Some(action) = self.make_sandbox() {
            return Ok(action);
        }
        for (number, container) in status::init_containers(self.pod).iter().enumerate() {
            if let Some(action) = self.initialize(number, container).await? {
                return Ok(action);
            }
        }
        for container in status::containers(self.pod) {
            if let Some(action) = self.pull(container).await? {
                return Ok(action);
            }
        }
        for container in status::containers(self.pod) {
            if let Some(action) = self.read_variables(container).await? {
                return Ok(action);
            }
        }
        self.run().await
    }

    /// Mounts the volumes; what to do where one cannot be mounted.
    async fn mount(&self) -> Result<Option<Action>> {
        let client = &self.context.client;
        let namespace = self.pod.namespace().unwrap_or_default();
        for dependency in dependencies::of_volumes(self.pod) {
            let failure =
                lookup::failure(client, &namespace, &dependency, Dependency::mount_failure);
            if let Some(message) = failure.await? {
                let attempts = self.history().mounts + 1;
                self.remember(|history| history.mounts = attempts);
                self.note(true, "FailedMount", &message).await?;
                let delay = self.context.settings.delays.before_mount(attempts);
                return Ok(Some(self.retry_after(delay)));
            }
        }
        Ok(None)
    }

    /// What is left of the time that a pod takes on its node until its first container can be made.
    fn make_sandbox(&self) -> Option<Action> {
        let delay = self.context.settings.delays.start;
        let left = delay.saturating_sub(self.history().accepted.elapsed());
        (!left.is_zero()).then(|| Action::requeue(left))
    }

    /// Runs an init container to its end; what to do until then. A sidecar (`restartPolicy: Always`) only has to run.
    async fn initialize(&self, number: usize, container: &Container) -> Result<Option<Action>> {
        let delay = self.context.settings.delays.job;
        let Some(init) = self.history().inits.get(number).cloned() else {
            if let Some(action) = self.pull(container).await? {
                return Ok(Some(action));
            }
            if let Some(action) = self.read_variables(container).await? {
                return Ok(Some(action));
            }
            let image = container.image.as_deref().unwrap_or_default();
            if fault::is_crashing(&self.context.settings.faults, image) {
                return self.crash(container).await.map(Some);
            }
            self.note_start(&container.name).await?;
            self.remember(|history| history.inits.push(Init::new(Timestamp::now())));
            self.wait(None).await?;
            return Ok((!status::is_sidecar(container)).then(|| Action::requeue(delay)));
        };
        if init.ended.is_some() || status::is_sidecar(container) {
            return Ok(None);
        }
        let left = delay.saturating_sub(init.started.elapsed());
        if !left.is_zero() {
            return Ok(Some(Action::requeue(left)));
        }
        self.remember(|history| {
            if let Some(init) = history.inits.get_mut(number) {
                init.ended = Some(Timestamp::now());
            }
        });
        self.wait(None).await?;
        Ok(None)
    }

    /// An init container that ends with an error again and again.
    async fn crash(&self, container: &Container) -> Result<Action> {
        let (name, pod) = (&container.name, self.pod.name_any());
        let message = format!("back-off 10s restarting failed container={name} pod={pod}");
        self.wait(Some(&Cause {
            container: name,
            reason: "CrashLoopBackOff",
            message: Some(&message),
        }))
        .await?;
        let message = format!("Back-off restarting failed container {name} in pod {pod}");
        self.note(true, "BackOff", &message).await?;
        Ok(self.retry_after(self.context.settings.delays.retry * 5))
    }

    /// Has the image of a container on the node; what to do until then.
    async fn pull(&self, container: &Container) -> Result<Option<Action>> {
        let image = container.image.as_deref().unwrap_or_default();
        if self.history().pulled.contains(&container.name) {
            return Ok(None);
        }
        if fault::is_pull_broken(&self.context.settings.faults, image) {
            return self.fail_to_pull(container, image).await.map(Some);
        }
        let node = self.node_name();
        let for_container = (self.uid.as_str(), container.name.as_str());
        let always = container.image_pull_policy.as_deref() == Some("Always");
        let images = &self.context.images;
        match images.look(node, for_container, image, always, Instant::now()) {
            Pull::Pulling { is_new, left } => {
                if is_new {
                    self.note(false, "Pulling", &format!("Pulling image {image:?}"))
                        .await?;
                }
                return Ok(Some(Action::requeue(left)));
            }
            Pull::Pulled { took, bytes } => {
                let took = as_go(took);
                let message = format!(
                    "Successfully pulled image {image:?} in {took} ({took} including waiting). \
                     Image size: {bytes} bytes."
                );
                self.note(false, "Pulled", &message).await?;
            }
            Pull::Present if images.are_pulled() => {
                let message = format!(
                    "Container image {image:?} already present on machine and can be accessed by the pod"
                );
                self.note(false, "Pulled", &message).await?;
            }
            Pull::Present => {}
        }
        self.remember(|history| {
            history.pulled.insert(container.name.clone());
        });
        Ok(None)
    }

    async fn fail_to_pull(&self, container: &Container, image: &str) -> Result<Action> {
        let name = &container.name;
        let show = async |reason, message: &str| {
            self.wait(Some(&Cause {
                container: name,
                reason,
                message: Some(message),
            }))
            .await
        };
        let error = fault::pull_error(image);
        let backs_off = pod_state::waits_for(self.pod, name, "ErrImagePull");
        if backs_off || pod_state::waits_for(self.pod, name, "ImagePullBackOff") {
            let message = format!("Back-off pulling image {image:?}");
            self.note(false, "BackOff", &message).await?;
            self.note(true, "Failed", "Error: ImagePullBackOff").await?;
            let message = format!("{message}: ErrImagePull: {error}");
            show("ImagePullBackOff", &message).await?;
        } else {
            self.note(false, "Pulling", &format!("Pulling image {image:?}"))
                .await?;
            let message = format!("Failed to pull image {image:?}: {error}");
            self.note(true, "Failed", &message).await?;
            self.note(true, "Failed", "Error: ErrImagePull").await?;
            show("ErrImagePull", &error).await?;
        }
        Ok(self.retry_after(self.context.settings.delays.retry))
    }

    /// Reads the variables of a container, and as whom it runs; what to do where one has no value, or it may not be root.
    async fn read_variables(&self, container: &Container) -> Result<Option<Action>> {
        let client = &self.context.client;
        let namespace = self.pod.namespace().unwrap_or_default();
        for dependency in dependencies::of_variables(container) {
            let words = |dependency: &Dependency, found: Found<'_>| {
                dependency.variable_failure(found, &namespace)
            };
            let failure = lookup::failure(client, &namespace, &dependency, words);
            if let Some(message) = failure.await? {
                let action = self.cannot_configure(&dependency.by, &message).await?;
                return Ok(Some(action));
            }
        }
        let refused = fault::refused_root(&self.context.settings.faults, self.pod, container);
        let Some(message) = refused else {
            return Ok(None);
        };
        self.cannot_configure(&container.name, &message)
            .await
            .map(Some)
    }

    /// Shows that a container cannot be made as the pod has it.
    async fn cannot_configure(&self, container: &str, message: &str) -> Result<Action> {
        self.wait(Some(&Cause {
            container,
            reason: "CreateContainerConfigError",
            message: Some(message),
        }))
        .await?;
        self.note(true, "Failed", &format!("Error: {message}"))
            .await?;
        Ok(self.retry_after(self.context.settings.delays.retry))
    }

    async fn run(&self) -> Result<Action> {
        for container in status::containers(self.pod) {
            self.note_start(&container.name).await?;
        }
        self.remember(|history| history.running = Some(Instant::now()));
        self.keep_running().await
    }

    async fn note_start(&self, container: &str) -> Result<()> {
        self.note(false, "Created", &format!("Created container {container}"))
            .await?;
        self.note(false, "Started", &format!("Started container {container}"))
            .await
    }

    /// Shows that the containers wait, and why one of them does.
    async fn wait(&self, cause: Option<&Cause<'_>>) -> Result<()> {
        let is_shown = cause
            .is_some_and(|cause| pod_state::waits_for(self.pod, cause.container, cause.reason));
        if is_shown {
            return Ok(());
        }
        let inits = self.history().inits;
        let (host, now) = (self.host(), Timestamp::now());
        self.patch(status::waiting(self.pod, &host, now, &inits, cause))
            .await
    }
}

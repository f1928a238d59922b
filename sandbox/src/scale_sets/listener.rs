//! The program in a listener's pod: it has the scale set's session, polls for messages, and asks for runners.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::service::{Credential, Failure, Service, VERSION};
use super::{Delays, Faults, LISTENER_PODS, RUNNER, RUNNERS};
use crate::app::App;
use crate::controller::GitHubSettings;
use crate::controller::agent::ended;
use crate::objects::{self, Objects, POD, SECRET, at, is_deleted, text, uid};

/// The program in one pod.
struct Program {
    task: JoinHandle<()>,
    /// The session it has open, for its orderly end.
    open: Arc<Mutex<Option<Open>>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Open {
    url: String,
    credential: Credential,
    path: String,
}

/// Runs the listeners of all pods until it is dropped.
pub(super) async fn run(
    objects: Objects,
    settings: &Arc<GitHubSettings>,
    delays: Delays,
    faults: &Faults,
    changed: &Notify,
) {
    let service = Service::new(settings, delays.github_timeout);
    let messages = Service::new(settings, delays.message_timeout);
    let (Ok(service), Ok(messages)) = (service, messages) else {
        return;
    };
    let mut programs: HashMap<String, Program> = HashMap::new();
    loop {
        if !settings.paused.load(Ordering::Relaxed)
            && let Ok(pods) = objects.list(&POD, Some(LISTENER_PODS)).await
        {
            end_all_but(&pods, &mut programs, &service).await;
            for pod in pods.iter().filter(|pod| runs(pod)) {
                programs.entry(uid(pod).to_owned()).or_insert_with(|| {
                    let open = Arc::default();
                    let listener = Listener {
                        objects: objects.clone(),
                        service: service.clone(),
                        messages: messages.clone(),
                        delays,
                        pod: pod.clone(),
                        open: Arc::clone(&open),
                        seen: Seen::default(),
                    };
                    let task = tokio::spawn(listener.live(faults.listener_dies));
                    Program { task, open }
                });
            }
        }
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

fn runs(pod: &Value) -> bool {
    !is_deleted(pod) && objects::started_at(pod, "listener").is_some()
}

/// Ends the programs whose pods do not run any more. One that is deleted closes its session; one that was evicted, or has
/// died, leaves it behind.
async fn end_all_but(pods: &[Value], programs: &mut HashMap<String, Program>, service: &Service) {
    let over: Vec<String> = programs
        .keys()
        .filter(|id| !pods.iter().any(|pod| uid(pod) == *id && runs(pod)))
        .cloned()
        .collect();
    for id in over {
        let Some(program) = programs.remove(&id) else {
            continue;
        };
        program.task.abort();
        let pod = pods.iter().find(|pod| uid(pod) == id);
        let is_orderly =
            pod.is_none_or(|pod| is_deleted(pod) || text(pod, "/status/phase") != "Failed");
        let open = program
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(open) = open.filter(|_| is_orderly) {
            let who = (open.url.as_str(), &open.credential);
            // A session that cannot be closed ends by itself.
            let _left = service.call(who, Method::DELETE, &open.path, None).await;
        }
    }
}

struct Listener {
    objects: Objects,
    service: Service,
    messages: Service,
    delays: Delays,
    pod: Value,
    open: Arc<Mutex<Option<Open>>>,
    seen: Seen,
}

/// What a listener remembers from message to message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// How many runners it asked for last.
    pub(super) asked: u64,
    /// The number of its last patch.
    pub(super) patches: u64,
}

impl Seen {
    /// The next patch, for so many assigned and completed jobs: how many runners, and its number. Patch 0 is followed even
    /// where it makes a set smaller: the first one, and that of a quiet poll while there are no more than the minimum.
    pub(super) fn next(
        &mut self,
        (assigned, completed): (u64, u64),
        (min, max): (u64, u64),
    ) -> (u64, u64) {
        let first = self.patches == 0;
        self.patches += 1;
        let mut wanted = max.min(min + assigned);
        let mut number = if first { 0 } else { self.patches };
        if assigned == 0 && completed == 0 && !first {
            wanted = wanted.max(self.asked);
            if wanted == min {
                number = 0;
            }
        }
        self.asked = wanted;
        (wanted, number)
    }
}

/// What the Secret of a listener says.
struct Settings {
    url: String,
    credential: Credential,
    id: u64,
    min: u64,
    max: u64,
    namespace: String,
    runners: String,
}

impl Listener {
    /// Listens until something fails; then the program ends, and with it its pod.
    async fn live(mut self, dies: Option<Duration>) {
        tokio::time::sleep(self.delays.listener).await;
        let dies = async {
            match dies {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        };
        let pod = self.pod.clone();
        let (objects, open) = (self.objects.clone(), Arc::clone(&self.open));
        tokio::select! {
            _failed = self.listen() => {}
            () = dies => {}
        }
        open.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A pod that is gone already needs no status.
        let _gone = objects.merge_status(&POD, at(&pod), &ended(&pod, 1)).await;
    }

    async fn settings(&self) -> Result<Settings> {
        let name = format!("{}-config", at(&self.pod).1);
        let secret = self.objects.get(&SECRET, (at(&self.pod).0, &name)).await?;
        let secret = secret.context("there is no configuration")?;
        let bytes = STANDARD.decode(text(&secret, "/data/config.json"))?;
        let configuration: Value = serde_json::from_slice(&bytes)?;
        let part = |name: &str| configuration[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| configuration[name].as_u64().unwrap_or_default();
        let (min, max) = (number("min_runners"), number("max_runners"));
        if min > max {
            bail!("MinRunners \"{min}\" cannot be greater than MaxRunners \"{max}\"");
        }
        Ok(Settings {
            url: part("configure_url"),
            credential: Credential {
                token: part("token"),
                app: App {
                    id: part("app_id"),
                    installation: part("app_installation_id"),
                    key: part("app_private_key"),
                },
            },
            id: number("runner_scale_set_id"),
            min,
            max,
            namespace: part("ephemeral_runner_set_namespace"),
            runners: part("ephemeral_runner_set_name"),
        })
    }

    async fn listen(&mut self) -> Result<()> {
        let settings = self.settings().await?;
        let mut session = self.session(&settings).await?;
        let assigned = assigned(&session);
        self.ask(&settings, (assigned, 0)).await?;
        let mut last = 0;
        loop {
            let queue = text(&session, "/messageQueueUrl").to_owned();
            let token = format!("Bearer {}", text(&session, "/messageQueueAccessToken"));
            let headers = [
                ("accept", format!("application/json; api-version={VERSION}")),
                ("x-scalesetmaxcapacity", settings.max.to_string()),
            ];
            let url = format!("{queue}?lastMessageId={last}");
            let answer = self
                .messages
                .send(Method::GET, &url, &token, &headers, None)
                .await;
            match answer {
                Ok((202, _)) => self.ask(&settings, (0, 0)).await?,
                Ok((_, message)) => {
                    last = message["messageId"].as_u64().unwrap_or_default();
                    let url = format!("{queue}/{last}");
                    self.handle(&settings, &message).await?;
                    let told = self.messages.send(Method::DELETE, &url, &token, &[], None);
                    told.await.map_err(|failure| refused(&failure))?;
                }
                Err(failure) if failure.status == 401 => {
                    let path = session_path(settings.id, Some(text(&session, "/sessionId")));
                    let who = (settings.url.as_str(), &settings.credential);
                    let renewed = self.service.call(who, Method::PATCH, &path, None).await;
                    session = renewed.map_err(|failure| refused(&failure))?;
                }
                Err(failure) if failure.status == 0 || failure.status >= 500 => {
                    tokio::time::sleep(self.delays.retry).await;
                }
                Err(failure) => return Err(refused(&failure)),
            }
        }
    }

    /// The scale set's session. It is asked for once: while another listener has it the program ends, and the controller starts the
    /// next pod at once (actions/scaleset, `createMessageSession` in `session_client.go`; actions-runner-controller#4285, #4656).
    async fn session(&self, settings: &Settings) -> Result<Value> {
        let who = (settings.url.as_str(), &settings.credential);
        let body = json!({ "ownerName": at(&self.pod).1 });
        let path = session_path(settings.id, None);
        let answer = self.service.call(who, Method::POST, &path, Some(&body));
        let session = match answer.await {
            Ok(session) => session,
            Err(failure) => {
                if failure.status == 409 {
                    tokio::time::sleep(self.delays.session_refused).await;
                }
                return Err(refused(&failure));
            }
        };
        let open = Open {
            url: settings.url.clone(),
            credential: settings.credential.clone(),
            path: session_path(settings.id, Some(text(&session, "/sessionId"))),
        };
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
        Ok(session)
    }

    /// Follows a message: takes the jobs that are offered, tells the runners theirs, and asks for runners.
    async fn handle(&mut self, settings: &Settings, message: &Value) -> Result<()> {
        let events: Vec<Value> = serde_json::from_str(text(message, "/body")).unwrap_or_default();
        let of = |kind: &str| -> Vec<&Value> {
            let events = events.iter();
            events.filter(|it| it["messageType"] == kind).collect()
        };
        let offered: Vec<&Value> = of("JobAvailable");
        if !offered.is_empty() {
            let ids: Value = offered
                .iter()
                .map(|it| it["runnerRequestId"].clone())
                .collect();
            let who = (settings.url.as_str(), &settings.credential);
            let path = format!("runtime/runnerscalesets/{}/acquirejobs", settings.id);
            let acquired = self
                .service
                .call(who, Method::POST, &path, Some(&ids))
                .await;
            acquired.map_err(|failure| refused(&failure))?;
        }
        for started in of("JobStarted") {
            self.note(settings, started).await?;
        }
        let completed = u64::try_from(of("JobCompleted").len()).unwrap_or_default();
        let assigned = if offered.is_empty() {
            assigned(message)
        } else {
            // What was just acquired is not in the message's figures yet.
            assigned(message) + u64::try_from(offered.len()).unwrap_or_default()
        };
        self.ask(settings, (assigned, completed)).await
    }

    /// Writes the job of a runner to its object; one that is gone has none.
    async fn note(&self, settings: &Settings, started: &Value) -> Result<()> {
        let name = text(started, "/runnerName");
        let repository = format!(
            "{}/{}",
            text(started, "/ownerName"),
            text(started, "/repositoryName")
        );
        let status = json!({
            "jobId": started["jobId"],
            "jobRequestId": started["runnerRequestId"],
            "jobRepositoryName": repository,
            "jobWorkflowRef": started["jobWorkflowRef"],
            "workflowRunId": started["workflowRunId"],
            "jobDisplayName": started["jobDisplayName"],
        });
        let place = (settings.namespace.as_str(), name);
        self.objects.merge_status(&RUNNER, place, &status).await?;
        Ok(())
    }

    async fn ask(&mut self, settings: &Settings, jobs: (u64, u64)) -> Result<()> {
        let (replicas, patch) = self.seen.next(jobs, (settings.min, settings.max));
        let patch = json!({ "spec": { "replicas": replicas, "patchID": patch } });
        let place = (settings.namespace.as_str(), settings.runners.as_str());
        let patched = self.objects.merge(&RUNNERS, place, &patch).await?;
        patched.context("the set of runners is gone")?;
        Ok(())
    }
}

fn assigned(message: &Value) -> u64 {
    message["statistics"]["totalAssignedJobs"]
        .as_u64()
        .unwrap_or_default()
}

fn session_path(id: u64, session: Option<&str>) -> String {
    let path = format!("runtime/runnerscalesets/{id}/sessions");
    session.map_or_else(|| path.clone(), |session| format!("{path}/{session}"))
}

fn refused(failure: &Failure) -> anyhow::Error {
    anyhow::anyhow!(
        "{} {}: {}",
        failure.status,
        failure.exception,
        failure.message
    )
}

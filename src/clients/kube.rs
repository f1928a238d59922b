//! The Kubernetes API, as plain JSON objects: get, list, server-side apply, delete, watch.
//!
//! Every call has a timeout, is counted, and is repeated when the server was only busy. An error names the object.

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    Api, Client, Config,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
        PostParams, Preconditions, ValidationDirective,
    },
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
    core::Status,
    discovery::{Discovery, Scope, verbs},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::Value;

use super::{
    aws::login::Login,
    requests::{Call, Counter},
};
use crate::error::{Error, ErrorKind, Result, System};

/// The field manager of everything arcctl applies (DESIGN 5).
pub const FIELD_MANAGER: &str = "arcctl";

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a call that only met a busy server is made.
const ATTEMPTS: u32 = 4;

/// A kind of object, with the plural that its URL has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    resource: ApiResource,
}

impl Kind {
    /// The kind `kind` of `api_version` (`apps/v1`).
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        Self {
            resource: ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)),
        }
    }

    /// The kind's API group; empty for the core.
    pub fn group(&self) -> &str {
        &self.resource.group
    }

    /// The name of the kind in URLs and RBAC rules.
    pub fn plural(&self) -> &str {
        &self.resource.plural
    }

    /// The kind's name.
    pub fn name(&self) -> &str {
        &self.resource.kind
    }
}

/// An object's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; `None` for cluster-wide kinds.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Target {
    /// An object of a namespace.
    pub fn namespaced(api_version: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            kind: Kind::new(api_version, kind),
            namespace: Some(namespace.into()),
            name: name.into(),
        }
    }

    /// A cluster-wide object.
    pub fn cluster(api_version: &str, kind: &str, name: &str) -> Self {
        Self {
            kind: Kind::new(api_version, kind),
            namespace: None,
            name: name.into(),
        }
    }

    /// The address a manifest has.
    pub fn of(manifest: &Value) -> Option<Self> {
        let metadata = manifest.get("metadata")?;
        Some(Self {
            kind: Kind::new(
                manifest.get("apiVersion")?.as_str()?,
                manifest.get("kind")?.as_str()?,
            ),
            namespace: metadata
                .get("namespace")
                .and_then(Value::as_str)
                .map(Into::into),
            name: metadata.get("name")?.as_str()?.into(),
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} `", self.kind.name())?;
        if let Some(namespace) = &self.namespace {
            write!(formatter, "{namespace}/")?;
        }
        write!(formatter, "{}`", self.name)
    }
}

/// Objects to watch or list.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Their kind.
    pub kind: Kind,
    /// Their namespace; `None` for all.
    pub namespace: Option<String>,
    /// A label selector.
    pub labels: Option<String>,
    /// A field selector.
    pub fields: Option<String>,
}

impl Selection {
    /// All objects of a kind in a namespace.
    pub fn namespaced(api_version: &str, kind: &str, namespace: &str) -> Self {
        Self {
            kind: Kind::new(api_version, kind),
            namespace: Some(namespace.into()),
            labels: None,
            fields: None,
        }
    }

    /// All objects of a kind.
    pub fn all(api_version: &str, kind: &str) -> Self {
        Self {
            kind: Kind::new(api_version, kind),
            namespace: None,
            labels: None,
            fields: None,
        }
    }

    /// Those with these labels.
    #[must_use]
    pub fn labelled(mut self, selector: impl Into<String>) -> Self {
        self.labels = Some(selector.into());
        self
    }

    /// Those with these fields.
    #[must_use]
    pub fn with_fields(mut self, selector: impl Into<String>) -> Self {
        self.fields = Some(selector.into());
        self
    }
}

/// Which cluster, by kubeconfig.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// A kubeconfig file; by the usual rules where left out.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it.
    pub context: Option<String>,
    /// Who shows the cluster who this is, where that is EKS by its name.
    pub login: Option<Arc<Login>>,
}

impl Access {
    /// The same with the context named that is current now, so that another program cannot change it half-way.
    #[must_use]
    pub fn pinned(mut self) -> Self {
        if self.context.is_none() {
            let read = match &self.kubeconfig {
                Some(path) => Kubeconfig::read_from(path),
                None => Kubeconfig::read(),
            };
            // What cannot be read is the error of `connect`, which says more.
            self.context = read.ok().and_then(|it| it.current_context);
        }
        self
    }

    /// The flags that lead helm to the same cluster, with credentials that serve for longer than it runs.
    pub(super) async fn helm_flags(&self) -> Result<Vec<OsString>> {
        if let Some(login) = &self.login {
            login.renew().await?;
        }
        let mut flags = Vec::new();
        if let Some(context) = &self.context {
            flags.extend(["--kube-context".into(), context.into()]);
        }
        if let Some(kubeconfig) = &self.kubeconfig {
            flags.extend(["--kubeconfig".into(), kubeconfig.into()]);
        }
        Ok(flags)
    }

    /// What it says; without a kubeconfig, what a pod of the cluster knows.
    pub(super) async fn config(&self) -> Result<Config> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..Default::default()
        };
        let read = match &self.kubeconfig {
            Some(path) => match Kubeconfig::read_from(path) {
                Ok(file) => Config::from_custom_kubeconfig(file, &options).await,
                Err(error) => Err(error),
            },
            None => Config::from_kubeconfig(&options).await,
        };
        match read {
            Ok(config) => Ok(config),
            // In a pod there is no kubeconfig; one that is there and cannot be read is not passed over.
            Err(error) if self.context.is_none() && is_absent(&error) => {
                Config::incluster().map_err(|_| unreadable(&error))
            }
            Err(error) => Err(unreadable(&error)),
        }
    }
}

/// A connection to the API server.
#[derive(Clone)]
pub struct Kube {
    client: Client,
    /// The API server's URL.
    pub server: String,
    /// The calls made.
    pub requests: Arc<Counter>,
    login: Option<Arc<Login>>,
}

/// The Status of a refused call, where the server sent one.
pub fn status(error: &kube::Error) -> Option<&Status> {
    match error {
        kube::Error::Api(status) => Some(status),
        _ => None,
    }
}

impl Kube {
    /// Connects as `access` says; without a kubeconfig, as a pod of the cluster. No call is made yet.
    pub async fn connect(access: &Access) -> Result<Self> {
        let mut config = access.config().await?;
        config.connect_timeout = Some(Duration::from_secs(10));
        // Repeating is `call`'s work, where it is counted and has a limit.
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| {
            let kind = match &error {
                kube::Error::Auth(_) => ErrorKind::Unauthorized,
                _ => ErrorKind::Failed,
            };
            Error::new(
                kind,
                System::Kubernetes,
                format!("cannot use the API server `{server}`"),
            )
            .cause(innermost(&error))
            .hint("check the certificate authority and credentials of the kubeconfig's context; renew single sign-on, for example with `aws sso login`")
        })?;
        Ok(Self {
            client,
            server,
            requests: Arc::default(),
            login: access.login.clone(),
        })
    }

    fn api(&self, kind: &Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind.resource),
            None => Api::all_with(self.client.clone(), &kind.resource),
        }
    }

    /// Makes one call: with a timeout, counted, repeated while the server is only busy.
    async fn call<T, F>(
        &self,
        kind: Call,
        what: &str,
        make: impl Fn() -> F,
    ) -> Result<T, KubeFailure>
    where
        F: Future<Output = Result<T, kube::Error>>,
    {
        let mut pause = tokio::time::interval(Duration::from_millis(300));
        pause.tick().await;
        let mut attempt = 1;
        loop {
            let failed = |reply| KubeFailure {
                what: what.into(),
                reply,
                login: self.login.clone(),
            };
            if let Some(login) = &self.login
                && let Err(error) = login.renew().await
            {
                return Err(failed(Reply::SignedOut(Box::new(error))));
            }
            self.requests.count(kind);
            let failure = match tokio::time::timeout(CALL_TIMEOUT, make()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => failed(Reply::Refused(Box::new(error))),
                Err(_) => failed(Reply::Silence),
            };
            if attempt >= ATTEMPTS || !failure.is_passing(kind) {
                return Err(failure);
            }
            attempt += 1;
            pause.tick().await;
        }
    }

    /// The object, or `None` where it or its kind is not there.
    pub async fn get(&self, target: &Target) -> Result<Option<Value>> {
        let api = self.api(&target.kind, target.namespace.as_deref());
        let found = self
            .call(Call::Read, &format!("read {target}"), || {
                api.get(&target.name)
            })
            .await;
        match found {
            Ok(object) => Ok(Some(to_value(&object))),
            Err(failure) if failure.code() == Some(404) => Ok(None),
            Err(failure) => Err(failure.about(target)),
        }
    }

    /// The objects of a selection; none where the kind is not there.
    pub async fn list(&self, selection: &Selection) -> Result<Vec<Value>> {
        let api = self.api(&selection.kind, selection.namespace.as_deref());
        let parameters = ListParams {
            label_selector: selection.labels.clone(),
            field_selector: selection.fields.clone(),
            ..Default::default()
        };
        let what = format!("list {} objects", selection.kind.name());
        match self.call(Call::Read, &what, || api.list(&parameters)).await {
            Ok(list) => Ok(list.items.iter().map(to_value).collect()),
            Err(failure) if failure.code() == Some(404) => Ok(Vec::new()),
            Err(failure) => Err(failure.about_kind(selection)),
        }
    }

    /// Applies `manifest` server-side with strict field validation; a dry run changes nothing.
    pub async fn apply(&self, manifest: &Value, mode: Mode) -> Result<Value, KubeFailure> {
        let Some(target) = Target::of(manifest) else {
            return Err(KubeFailure {
                what: "apply an object without a name".into(),
                reply: Reply::Silence,
                login: None,
            });
        };
        let api = self.api(&target.kind, target.namespace.as_deref());
        let parameters = PatchParams {
            dry_run: mode == Mode::DryRun,
            force: true,
            field_manager: Some(FIELD_MANAGER.into()),
            field_validation: Some(ValidationDirective::Strict),
        };
        let patch = Patch::Apply(manifest);
        self.call(mode.call(), &format!("apply {target}"), || {
            api.patch(&target.name, &parameters, &patch)
        })
        .await
        .map(|object| to_value(&object))
    }

    /// Creates `manifest`; a dry run changes nothing.
    pub async fn create(&self, manifest: &Value, mode: Mode) -> Result<Value, KubeFailure> {
        let refused = |what: &str| KubeFailure {
            what: what.into(),
            reply: Reply::Silence,
            login: None,
        };
        let metadata = manifest.get("metadata");
        let kind = Kind::new(
            manifest
                .get("apiVersion")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            manifest
                .get("kind")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        );
        let namespace = metadata
            .and_then(|it| it.get("namespace"))
            .and_then(Value::as_str);
        let api = self.api(&kind, namespace);
        let object: DynamicObject = serde_json::from_value(manifest.clone())
            .map_err(|_| refused("create an object that is none"))?;
        let parameters = PostParams {
            dry_run: mode == Mode::DryRun,
            field_manager: Some(FIELD_MANAGER.into()),
        };
        self.call(mode.call(), &format!("create a {}", kind.name()), || {
            api.create(&parameters, &object)
        })
        .await
        .map(|object| to_value(&object))
    }

    /// Replaces `manifest`, which carries the resourceVersion it was read at.
    pub async fn replace(&self, manifest: &Value) -> Result<Value, KubeFailure> {
        let silence = || KubeFailure {
            what: "replace an object".into(),
            reply: Reply::Silence,
            login: None,
        };
        let target = Target::of(manifest).ok_or_else(silence)?;
        let api = self.api(&target.kind, target.namespace.as_deref());
        let object: DynamicObject =
            serde_json::from_value(manifest.clone()).map_err(|_| silence())?;
        let parameters = PostParams {
            dry_run: false,
            field_manager: Some(FIELD_MANAGER.into()),
        };
        self.call(Call::Write, &format!("replace {target}"), || {
            api.replace(&target.name, &parameters, &object)
        })
        .await
        .map(|object| to_value(&object))
    }

    /// Merges `patch` into the object.
    pub async fn merge(&self, target: &Target, patch: &Value) -> Result<Value> {
        let api = self.api(&target.kind, target.namespace.as_deref());
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..Default::default()
        };
        let patch = Patch::Merge(patch);
        self.call(Call::Write, &format!("patch {target}"), || {
            api.patch(&target.name, &parameters, &patch)
        })
        .await
        .map(|object| to_value(&object))
        .map_err(|failure| failure.about(target))
    }

    /// Deletes the object in the background; absent is success.
    pub async fn delete(&self, target: &Target) -> Result<()> {
        self.delete_with(target, &DeleteParams::background()).await
    }

    /// Deletes the object that was read as `live`: not one that has its name by now, nor one that has changed since.
    pub async fn delete_exactly(&self, target: &Target, live: &Value) -> Result<()> {
        let text = |key: &str| live["metadata"][key].as_str().map(str::to_owned);
        let parameters = DeleteParams::background().preconditions(Preconditions {
            resource_version: text("resourceVersion"),
            uid: text("uid"),
        });
        self.delete_with(target, &parameters).await
    }

    /// Deletes the pod that was read as `live` without waiting for its containers.
    pub async fn kill_pod(&self, target: &Target, live: &Value) -> Result<()> {
        let parameters = DeleteParams::background()
            .grace_period(0)
            .preconditions(Preconditions {
                resource_version: None,
                uid: live["metadata"]["uid"].as_str().map(str::to_owned),
            });
        self.delete_with(target, &parameters).await
    }

    /// The kinds of objects that a namespace can hold and that can be listed.
    pub async fn namespaced_kinds(&self) -> Result<Vec<Kind>> {
        let found = self
            .call(Call::Read, "ask for its kinds of objects", || {
                Discovery::new(self.client.clone()).run_aggregated()
            })
            .await
            .map_err(|failure| failure.about_server(&self.server))?;
        Ok(found
            .groups()
            .flat_map(kube::discovery::ApiGroup::recommended_resources)
            .filter(|(_, can)| {
                can.scope == Scope::Namespaced && can.supports_operation(verbs::LIST)
            })
            .map(|(resource, _)| Kind { resource })
            .collect())
    }

    async fn delete_with(&self, target: &Target, parameters: &DeleteParams) -> Result<()> {
        let api = self.api(&target.kind, target.namespace.as_deref());
        match self
            .call(Call::Write, &format!("delete {target}"), || {
                api.delete(&target.name, parameters)
            })
            .await
        {
            Ok(_) => Ok(()),
            Err(failure) if failure.code() == Some(404) => Ok(()),
            Err(failure) => Err(failure.about(target)),
        }
    }

    /// Whether this user may do what `review`, a `SelfSubjectAccessReview`, asks for.
    pub async fn allows(&self, review: &Value) -> Result<bool> {
        let kind = Kind::new("authorization.k8s.io/v1", "SelfSubjectAccessReview");
        let api = self.api(&kind, None);
        let object: DynamicObject = serde_json::from_value(review.clone()).map_err(|error| {
            Error::failed(System::Local, "cannot ask for a permission").cause(error)
        })?;
        let parameters = PostParams::default();
        let answer = self
            .call(Call::Read, "ask for a permission", || {
                api.create(&parameters, &object)
            })
            .await
            .map_err(|failure| failure.about_server(&self.server))?;
        Ok(answer.data["status"]["allowed"] == true)
    }

    /// The API server's version, as (1, 36).
    pub async fn version(&self) -> Result<(u32, u32)> {
        let what = format!("ask the API server `{}` for its version", self.server);
        let answer = self
            .call(Call::Read, &what, || self.client.apiserver_version())
            .await
            .map_err(|failure| failure.about_server(&self.server))?;
        let digits = |text: &str| {
            text.chars()
                .take_while(char::is_ascii_digit)
                .collect::<String>()
                .parse()
                .ok()
        };
        Ok((
            digits(&answer.major).unwrap_or(1),
            digits(&answer.minor).unwrap_or(0),
        ))
    }

    /// A signal for each change among `selections`, for a waiter. Errors of a watch are signals too: the waiter then
    /// looks for itself.
    pub fn changes(&self, selections: &[Selection]) -> impl Stream<Item = ()> + Send + use<> {
        let streams = selections.iter().map(|selection| {
            self.requests.count(Call::Read);
            let api = self.api(&selection.kind, selection.namespace.as_deref());
            let config = watcher::Config {
                label_selector: selection.labels.clone(),
                field_selector: selection.fields.clone(),
                ..Default::default()
            };
            // A watch that ended or failed is opened again, with pauses that grow.
            watcher::watcher(api, config)
                .default_backoff()
                .map(|_| ())
                .boxed()
        });
        futures::stream::select_all(streams.collect::<Vec<_>>())
    }
}

/// Whether there is no kubeconfig at all.
fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Why a kubeconfig cannot be used.
fn unreadable(error: &KubeconfigError) -> Error {
    let (message, hint) = match error {
        KubeconfigError::LoadContext(name) => (
            format!("the kubeconfig has no context `{name}`"),
            "`kubectl config get-contexts` lists them; name one with --context or as cluster.context in the profile",
        ),
        KubeconfigError::CurrentContextNotSet => (
            "the kubeconfig has no current context".into(),
            "name one with --context or as cluster.context in the profile",
        ),
        _ => (
            "cannot read the kubeconfig".into(),
            "name a file with --kubeconfig or KUBECONFIG, and a context of it with --context",
        ),
    };
    Error::failed(System::Kubernetes, message)
        .cause(innermost(error))
        .hint(hint)
}

/// Whether a call changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only tried.
    DryRun,
    /// Done.
    Commit,
}

impl Mode {
    const fn call(self) -> Call {
        match self {
            Self::DryRun => Call::DryRun,
            Self::Commit => Call::Write,
        }
    }
}

/// A call that did not succeed, before anything is known of what it was for.
#[derive(Debug)]
pub struct KubeFailure {
    what: String,
    reply: Reply,
    login: Option<Arc<Login>>,
}

#[derive(Debug)]
enum Reply {
    Refused(Box<kube::Error>),
    Silence,
    /// It was not asked: there is nobody to ask as any more.
    SignedOut(Box<Error>),
}

impl KubeFailure {
    /// The HTTP status, where the server sent one.
    pub fn code(&self) -> Option<u16> {
        self.status().map(|status| status.code)
    }

    /// The server's Status.
    pub fn status(&self) -> Option<&Status> {
        match &self.reply {
            Reply::Refused(error) => status(error),
            Reply::Silence | Reply::SignedOut(_) => None,
        }
    }

    /// What the server said, once.
    pub fn said(&self) -> String {
        match &self.reply {
            Reply::Silence => format!("no answer in {} s", CALL_TIMEOUT.as_secs()),
            Reply::SignedOut(error) => error.document().message,
            Reply::Refused(error) => match error.as_ref() {
                kube::Error::Api(status) => status.message.clone(),
                other => innermost(other),
            },
        }
    }

    /// Whether the call may be repeated: the server was busy, or (for reads) the line was bad.
    fn is_passing(&self, call: Call) -> bool {
        match self.code() {
            Some(429 | 503 | 504) => true,
            // A dry run that answers 500 met a webhook, and is asked again at the waiter's pace.
            Some(500) => call == Call::Read,
            Some(_) => false,
            // An applied or created object may have arrived: only reads are repeated blindly.
            None => call != Call::Write && !self.is_unauthenticated(),
        }
    }

    /// Whether the credentials could not even be made: an exec plugin that failed, an expired single sign-on.
    fn is_unauthenticated(&self) -> bool {
        match &self.reply {
            Reply::Refused(error) => matches!(**error, kube::Error::Auth(_)),
            Reply::Silence => false,
            Reply::SignedOut(_) => true,
        }
    }

    fn kind(&self) -> ErrorKind {
        match self.code() {
            Some(401 | 403) => ErrorKind::Unauthorized,
            None if self.is_unauthenticated() => ErrorKind::Unauthorized,
            _ => ErrorKind::Failed,
        }
    }

    /// As an error about `target`.
    pub fn about(&self, target: &Target) -> Error {
        self.error(&target.to_string())
    }

    fn about_kind(&self, selection: &Selection) -> Error {
        self.error(&format!("{} objects", selection.kind.name()))
    }

    fn about_server(&self, server: &str) -> Error {
        self.error(&format!("API server `{server}`"))
    }

    fn error(&self, object: &str) -> Error {
        if let Reply::SignedOut(error) = &self.reply {
            return (**error).clone();
        }
        let own = self.login.as_ref().and_then(|login| match self.code() {
            Some(401) => Some(login.unknown()),
            None if !self.is_unauthenticated() => Some(login.unreachable()),
            _ => None,
        });
        let hint = match self.code() {
            Some(401) => {
                "the API server does not know you: renew the credentials of this kubeconfig context"
            }
            Some(403) => "grant what docs/rbac.yaml lists to this user, or use another --context",
            Some(409) => "something else writes to it at the same time: run the command again",
            Some(400 | 422) => {
                "the API server does not accept this object: check the profile's values for it"
            }
            Some(_) => {
                "run the command again; if it stays, look at the API server's events with `kubectl get events -A`"
            }
            None if self.is_unauthenticated() => {
                "renew what this kubeconfig context authenticates with, for example `aws sso login`"
            }
            None => "check that the API server is reachable from here: `kubectl version`",
        };
        Error::new(
            self.kind(),
            System::Kubernetes,
            format!("cannot {}", self.what),
        )
        .object(object.replace('`', ""))
        .cause(self.said())
        .hint(own.unwrap_or_else(|| hint.to_owned()))
        .passing(
            !self.is_unauthenticated()
                && matches!(self.code(), None | Some(404 | 409 | 429 | 500..)),
        )
    }
}

/// The last source of an error: the one that says what happened.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    crate::secret::without_userinfo(&current.to_string())
}

fn to_value(object: &DynamicObject) -> Value {
    // A DynamicObject is JSON by construction, so this cannot fail; Null would read as an object without anything.
    serde_json::to_value(object).unwrap_or_default()
}

//! Read calls: objects, kinds, permissions, version, watches.

use futures::{Stream, StreamExt};
use kube::{
    ResourceExt as _,
    api::{DynamicObject, ListParams, PostParams},
    discovery::{ApiGroup, Discovery, Scope, verbs},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};

use super::{Kind, Kube, Selection, Target, to_value};
use crate::{
    clients::requests::Call,
    error::{Error, Result, System},
};

/// The page size of large lists.
const PAGE: u32 = 500;

impl Kube {
    /// The object, or `None` if it or its kind does not exist.
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

    /// Whether the object exists. Only its metadata is read: a CRD may have hundreds of kilobytes, and a Secret its secret.
    pub async fn exists(&self, target: &Target) -> Result<bool> {
        Ok(self.metadata(target).await?.is_some())
    }

    /// The metadata of the object, without the rest; `None` if it or its kind does not exist. It takes the same right as
    /// [`Kube::get`].
    pub async fn metadata(&self, target: &Target) -> Result<Option<Value>> {
        let api = self.api(&target.kind, target.namespace.as_deref());
        let found = self
            .call(Call::Read, &format!("read {target}"), || {
                api.get_metadata(&target.name)
            })
            .await;
        match found {
            Ok(found) => Ok(Some(json!({"metadata": found.metadata}))),
            Err(failure) if failure.code() == Some(404) => Ok(None),
            Err(failure) => Err(failure.about(target)),
        }
    }

    /// The objects of a selection; none if the kind does not exist.
    pub async fn list(&self, selection: &Selection) -> Result<Vec<Value>> {
        let api = self.api(&selection.kind, selection.namespace.as_deref());
        let parameters = parameters(selection);
        let what = format!("list {} objects", selection.kind.name());
        match self.call(Call::Read, &what, || api.list(&parameters)).await {
            Ok(list) => Ok(list.items.iter().map(to_value).collect()),
            Err(failure) if failure.code() == Some(404) => Ok(Vec::new()),
            Err(failure) => Err(failure.about_kind(selection)),
        }
    }

    /// The metadata of the objects of a selection, without the rest: for objects that are large, or whose content is secret.
    pub async fn list_metadata(&self, selection: &Selection) -> Result<Vec<Value>> {
        let api = self.api(&selection.kind, selection.namespace.as_deref());
        let parameters = parameters(selection);
        let what = format!("list {} objects", selection.kind.name());
        let listed = self.call(Call::Read, &what, || api.list_metadata(&parameters));
        match listed.await {
            Ok(list) => Ok(list
                .items
                .iter()
                .map(|it| json!({"metadata": it.metadata}))
                .collect()),
            Err(failure) if failure.code() == Some(404) => Ok(Vec::new()),
            Err(failure) => Err(failure.about_kind(selection)),
        }
    }

    /// The objects of several selections, read concurrently.
    pub async fn list_each(&self, selections: &[Selection]) -> Result<Vec<Value>> {
        let lists = selections.iter().map(|selection| self.list(selection));
        let lists = futures::future::try_join_all(lists).await?;
        Ok(lists.into_iter().flatten().collect())
    }

    /// Calls `see` for each object of a selection, one page at a time, so that memory is limited to a page. No objects
    /// if the kind does not exist.
    pub async fn each(&self, selection: &Selection, mut see: impl FnMut(&Value)) -> Result<()> {
        let api = self.api(&selection.kind, selection.namespace.as_deref());
        let mut parameters = parameters(selection).limit(PAGE);
        let what = format!("list {} objects", selection.kind.name());
        loop {
            let page = match self.call(Call::Read, &what, || api.list(&parameters)).await {
                Ok(page) => page,
                Err(failure) if failure.code() == Some(404) => return Ok(()),
                Err(failure) => return Err(failure.about_kind(selection)),
            };
            for object in &page.items {
                see(&to_value(object));
            }
            parameters.continue_token = page.metadata.continue_.filter(|it| !it.is_empty());
            if parameters.continue_token.is_none() {
                return Ok(());
            }
        }
    }

    /// The namespaced kinds that support `list`.
    pub async fn namespaced_kinds(&self) -> Result<Vec<Kind>> {
        let kinds = self.listable_kinds().await?;
        let namespaced = kinds.into_iter().filter(|it| it.0 == Scope::Namespaced);
        Ok(namespaced.map(|it| it.1).collect())
    }

    /// The kinds that support `list` and whose API group `is_wanted`.
    pub async fn kinds_of(&self, is_wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Kind>> {
        let kinds = self.listable_kinds().await?;
        let wanted = kinds.into_iter().filter(|it| is_wanted(it.1.group()));
        Ok(wanted.map(|it| it.1).collect())
    }

    async fn listable_kinds(&self) -> Result<Vec<(Scope, Kind)>> {
        let found = self
            .call(Call::Read, "ask for its kinds of objects", || {
                Discovery::new(self.client.clone()).run_aggregated()
            })
            .await
            .map_err(|failure| failure.about_server(&self.server))?;
        Ok(found
            .groups()
            .flat_map(ApiGroup::recommended_resources)
            .filter(|(_, can)| can.supports_operation(verbs::LIST))
            .map(|(resource, can)| (can.scope, Kind { resource }))
            .collect())
    }

    /// Whether this user has the permission in `review`, a `SelfSubjectAccessReview`.
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
        let what = format!("get the version of API server `{}`", self.server);
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

    /// An event for each change in `selections`, for a wait loop. Errors of a watch are events too: the wait loop then
    /// reads the state itself.
    pub fn changes(&self, selections: &[Selection]) -> impl Stream<Item = ()> + Send + use<> {
        let streams = selections.iter().map(|selection| {
            self.requests.count(Call::Read);
            let api = self.api(&selection.kind, selection.namespace.as_deref());
            let config = watcher::Config {
                label_selector: selection.labels.clone(),
                field_selector: selection.fields.clone(),
                ..Default::default()
            };
            // A watch that ended or failed is restarted, with increasing pauses.
            watcher::watcher(api, config)
                .default_backoff()
                .map({
                    let name = selection.kind.name().to_owned();
                    move |event| log_event(&name, &event)
                })
                .boxed()
        });
        futures::stream::select_all(streams.collect::<Vec<_>>())
    }
}

/// The objects that a list asks for.
fn parameters(selection: &Selection) -> ListParams {
    ListParams {
        label_selector: selection.labels.clone(),
        field_selector: selection.fields.clone(),
        ..ListParams::default()
    }
}

/// Logs a watch event of `kind`.
fn log_event(kind: &str, event: &watcher::Result<watcher::Event<DynamicObject>>) {
    match event {
        Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
            tracing::trace!("kubernetes watch: {kind} `{}` is there", object.name_any());
        }
        Ok(watcher::Event::Delete(object)) => {
            tracing::trace!("kubernetes watch: {kind} `{}` is gone", object.name_any());
        }
        Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
        Err(error) => tracing::trace!("kubernetes watch of {kind} is opened again: {error}"),
    }
}

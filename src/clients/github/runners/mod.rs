//! Lists all runners of a scope: pages of 100, a few at a time, with `ETag`s so that unchanged pages are not sent again.

pub(crate) mod downloads;
pub(crate) mod remove;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt, TryStreamExt, stream};
use http::{Method, StatusCode};
use serde::Deserialize;

use super::{GitHub, Runner, auth::app::Purpose, hidden, scope::prefix};
use crate::{clients::requests::Call, error::Result, profile::Scope};

/// The largest page size of GitHub.
pub(super) const PAGE: usize = 100;

/// How many pages are requested at a time: GitHub's secondary limits restrict concurrent requests.
const CONCURRENT: usize = 6;

#[derive(Deserialize)]
pub(super) struct RunnerPage {
    total_count: usize,
    pub(super) runners: Vec<Runner>,
}

/// The last pages, by path, each with its `ETag`.
#[derive(Default)]
pub(super) struct Pages(Mutex<HashMap<String, (String, Arc<RunnerPage>)>>);

impl Pages {
    fn find(&self, path: &str) -> Option<(String, Arc<RunnerPage>)> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.get(path).cloned()
    }

    fn keep(&self, path: String, tag: &str, page: &Arc<RunnerPage>) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.insert(path, (tag.to_owned(), Arc::clone(page)));
    }
}

impl GitHub {
    /// All runners of `scope`. The first page contains the total count; the other pages are read concurrently. A runner that
    /// moves between pages meanwhile is listed once.
    pub async fn runners(&self, scope: Scope<'_>) -> Result<Vec<Runner>> {
        let first = self.page(scope, 1).await?;
        let (mut read, mut total) = (1, first.total_count);
        let mut full = first.runners.len() >= PAGE;
        let mut runners = BTreeMap::new();
        add(&mut runners, &first);
        while full && read * PAGE < total {
            let last = total.div_ceil(PAGE);
            let mut pages = stream::iter(read + 1..=last)
                .map(|number| self.page(scope, number))
                .buffered(CONCURRENT);
            // An incomplete page is the last one, whatever the count is.
            while full && let Some(page) = pages.try_next().await? {
                full = page.runners.len() >= PAGE;
                total = total.max(page.total_count);
                add(&mut runners, &page);
            }
            read = last;
        }
        Ok(runners.into_values().collect())
    }

    async fn page(&self, scope: Scope<'_>, number: usize) -> Result<Arc<RunnerPage>> {
        let path = format!(
            "{}/actions/runners?per_page={PAGE}&page={number}",
            prefix(scope)
        );
        let (tag, known) = self.pages.find(&path).unzip();
        let bearer = self.bearer(Purpose::Runners(scope)).await?;
        let answer = self
            .attempt_if_changed(Call::Read, &Method::GET, &path, &bearer, tag.as_deref())
            .await?;
        if let Some(known) = known
            && answer.status == StatusCode::NOT_MODIFIED
        {
            return Ok(known);
        }
        if !answer.is_taken() {
            return Err(self.refused(&answer, scope, &bearer).await);
        }
        let page = self.json(&answer, "the list of runners");
        let page: Arc<RunnerPage> = Arc::new(page.map_err(|error| hidden(error, &bearer))?);
        if let Some(tag) = answer.header("etag") {
            self.pages.keep(path, tag, &page);
        }
        Ok(page)
    }
}

fn add(runners: &mut BTreeMap<u64, Runner>, page: &RunnerPage) {
    runners.extend(page.runners.iter().map(|it| (it.id, it.clone())));
}

//! All runners of a scope: pages of 100, a few side by side, and those that have not changed are not sent again.

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

/// The largest page GitHub serves.
pub(super) const PAGE: usize = 100;

/// How many pages are asked for at a time: GitHub's secondary limits are for those who ask for many at once.
const CONCURRENT: usize = 6;

#[derive(Deserialize)]
pub(super) struct RunnerPage {
    total_count: usize,
    pub(super) runners: Vec<Runner>,
}

/// The pages there were last, by path, each with its tag.
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
    /// All runners of `scope`. The first page tells how many there are, the others are read side by side. One that moved
    /// from page to page meanwhile is there once.
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
            // A page that is not full is the last, whatever the count says.
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

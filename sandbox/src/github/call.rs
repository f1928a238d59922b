//! A parsed request to the stand-in, and its response before it is sent.
//!
//! Pure: no I/O.

use std::collections::HashMap;

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::query::{percent_decode, query_pairs};

/// A request, taken apart.
pub(super) struct Call<'a> {
    pub(super) method: &'a Method,
    /// The path's segments, decoded, without `/api/v3`.
    pub(super) segments: Vec<String>,
    pub(super) query: HashMap<String, String>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// Where the client reaches this API: `http://HOST/api/v3`.
    pub(super) base: String,
    /// The path below `base`, as it came.
    pub(super) path: &'a str,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        method: &'a Method,
        path: &'a str,
        query: &str,
        headers: &'a HeaderMap,
        body: &'a [u8],
        base: String,
    ) -> Self {
        let segments = path.split('/').skip(1).map(percent_decode).collect();
        let query = query_pairs(query).into_iter().collect();
        Self {
            method,
            segments,
            query,
            headers,
            body,
            base,
            path,
        }
    }

    /// The token of the header `Authorization`, in either of the two ways GitHub takes it.
    pub(super) fn token(&self) -> Option<&'a str> {
        let header = self.headers.get("authorization")?.to_str().ok()?;
        let (scheme, token) = header.split_once(' ')?;
        let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
        known.then(|| token.trim())
    }

    pub(super) fn json(&self) -> Result<Value, Refusal> {
        if self.body.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_slice(self.body)
            .map_err(|_| Refusal::Unprocessable("Problems parsing JSON".to_owned()))
    }

    /// One page of a list under `key`, with the header `Link` where there are more.
    pub(super) fn page(&self, key: &str, items: &[Value]) -> Answer {
        self.page_of(key, items, Value::clone)
    }

    /// The same of items that are only described where they are shown: a page of ten thousand is a hundred.
    pub(super) fn page_of<T>(
        &self,
        key: &str,
        items: &[T],
        described: impl Fn(&T) -> Value,
    ) -> Answer {
        let number = |name: &str| {
            self.query
                .get(name)
                .and_then(|text| text.parse::<usize>().ok())
        };
        let per_page = number("per_page").unwrap_or(30).clamp(1, 100);
        let page = number("page").unwrap_or(1).max(1);
        let last = items.len().div_ceil(per_page).max(1);
        let shown: Vec<_> = items
            .iter()
            .skip((page - 1) * per_page)
            .take(per_page)
            .map(described)
            .collect();
        let answer = Answer::ok(json!({"total_count": items.len(), key: shown}));
        let links: Vec<_> = [
            (page > 1, "prev", page - 1),
            (page < last, "next", page + 1),
            (page < last, "last", last),
            (page > 1, "first", 1),
        ]
        .into_iter()
        .filter(|(shown, ..)| *shown)
        .map(|(_, rel, page)| {
            let (base, path) = (&self.base, self.path);
            let name = match self.query.get("name") {
                Some(name) => format!("&name={name}"),
                None => String::new(),
            };
            format!("<{base}{path}?per_page={per_page}&page={page}{name}>; rel=\"{rel}\"")
        })
        .collect();
        if links.is_empty() {
            answer
        } else {
            answer.with("link", links.join(", "))
        }
    }
}

/// An answer before the headers that every answer has.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Option<Value>,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub(super) fn ok(body: Value) -> Self {
        Self {
            status: StatusCode::OK,
            body: Some(body),
            headers: Vec::new(),
        }
    }

    pub(super) fn created(body: Value) -> Self {
        Self {
            status: StatusCode::CREATED,
            ..Self::ok(body)
        }
    }

    pub(super) fn accepted(body: Value) -> Self {
        Self {
            status: StatusCode::ACCEPTED,
            ..Self::ok(body)
        }
    }

    pub(super) fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            body: None,
            headers: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        if let Refusal::Told(told) = refusal {
            return told.answer();
        }
        let status = refusal.status();
        let mut body = json!({
            "message": refusal.message(),
            "documentation_url": "https://docs.github.com/rest",
        });
        // The one shape that has no `status` is that of 422.
        if status != StatusCode::UNPROCESSABLE_ENTITY {
            body["status"] = json!(status.as_str());
        }
        Self {
            status,
            body: Some(body),
            headers: refusal.headers(),
        }
    }
}

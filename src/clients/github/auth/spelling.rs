//! Whether an organization or a repository is written as GitHub writes it: its API takes names in any letter case, and the
//! controller's webhook server compares the name in an event with that in the pool exactly.

use http::Method;
use serde_json::Value;

use crate::{
    clients::github::{
        GitHub,
        scope::{describe, key, prefix},
    },
    error::Result,
    profile::{Profile, Scope},
};

impl GitHub {
    /// Advice on a name in other letters than GitHub's, where a pool has triggers: no event would ever match it. Enterprises have
    /// no such name that could be read.
    pub async fn spelling(&self, profile: &Profile) -> Result<Option<String>> {
        let scope = profile.github.scope();
        let Some(scope) = scope.filter(|_| profile.has_triggers()) else {
            return Ok(None);
        };
        let (written, field) = match scope {
            Scope::Enterprise(_) => return Ok(None),
            Scope::Organization(name) => (name, "login"),
            Scope::Repository(name) => (name, "full_name"),
        };
        let path = prefix(scope);
        let answer = self.call(&Method::GET, &path, scope).await?;
        let body: Value = self.json(&answer, &format!("GET /{path}"))?;
        let named = body[field].as_str().unwrap_or(written);
        // A renamed one has another name, which is another matter.
        let differs = named != written && named.eq_ignore_ascii_case(written);
        Ok(differs.then(|| {
            format!(
                "{} is `{named}` at GitHub: the controller's webhook server compares names exactly, so `triggers` never make a runner; write `{named}` as {}",
                describe(scope),
                key(scope)
            )
        }))
    }
}

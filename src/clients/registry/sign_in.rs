//! Sends a request with the login that the registry accepts: to the token server that it names, or with each request.

use std::sync::atomic::Ordering;

use http::{Method, StatusCode, header};
use reqwest::Url;

use super::{
    ATTEMPTS, Parts, Repository,
    answer::Answer,
    authorized,
    challenge::Challenge,
    login::{Login, Token},
    retried,
};
use crate::{error::Result, secret::Secret};

impl<'a> Repository<'a> {
    /// The same with any parts, and at most so many attempts: a request that must not be sent twice has one.
    pub(super) async fn exchanged(
        &self,
        method: &Method,
        url: &Url,
        parts: Parts<'_>,
        most: u32,
    ) -> Result<Answer> {
        let answer = self.attempts(method, url, parts, most).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let challenge = Challenge::best(&answer.headers);
        let mut error = self.refused(&answer);
        let mut absent = None;
        for (index, login) in self.in_turn() {
            match self.signed_in(challenge.as_ref(), login).await {
                Ok(Some(authorization)) => self.remember(Some(authorization)),
                // The registry wants no login of this kind.
                Ok(None) => continue,
                Err(other) if other.passing => return Err(other),
                Err(other) => {
                    error = other;
                    continue;
                }
            }
            let answer = self.attempts(method, url, parts, most).await?;
            // For a blob a registry may name another place.
            if answer.status.is_success() || answer.status.is_redirection() {
                self.accepted.store(index, Ordering::Relaxed);
                self.hidden.store(false, Ordering::Relaxed);
                return Ok(answer);
            }
            error = self.refused(&answer);
            if error.passing {
                return Err(error);
            }
            // Some registries answer so where the login may not read the repository.
            if answer.status == StatusCode::NOT_FOUND {
                self.hidden.store(true, Ordering::Relaxed);
                absent = Some(answer);
            } else if ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&answer.status) {
                self.accepted.store(index, Ordering::Relaxed);
                return Ok(answer);
            }
        }
        // Nothing says which login is the right one: the next call tries all of them again.
        if self.logins.len() > 1 {
            self.remember(None);
        }
        absent.ok_or(error)
    }

    /// The logins, beginning with the one that was accepted last; nobody's, where there is none.
    fn in_turn(&self) -> impl Iterator<Item = (usize, Option<&'a Login>)> {
        let count = self.logins.len().max(1);
        let first = self.accepted.load(Ordering::Relaxed);
        let indexes = (0..count).map(move |it| (first + it) % count);
        indexes.map(move |it| (it, self.logins.get(it).copied()))
    }

    /// The `Authorization` for the repository, as the registry wants it; `None` where it wants another kind of login.
    async fn signed_in(
        &self,
        challenge: Option<&Challenge>,
        login: Option<&Login>,
    ) -> Result<Option<Secret>> {
        match (challenge, login) {
            (Some(Challenge::Bearer(wanted)), _) => {
                let url = wanted.url(&self.address, login.is_some_and(Login::is_posted))?;
                let token = self.token(url, login).await?;
                let value = format!("Bearer {}", token.expose());
                Ok(Some(Secret::trimmed(&value).0))
            }
            (Some(Challenge::Basic), Some(login)) => {
                let wrong = "needs a user name and a password, and the login has only a token";
                let value = login.basic().ok_or_else(|| self.address.failed(wrong))?;
                Ok(Some(value))
            }
            _ => Ok(None),
        }
    }

    /// A token from the server that the registry names.
    async fn token(&self, url: Url, login: Option<&Login>) -> Result<Secret> {
        let host = url.host_str().unwrap_or_default();
        let method = if login.is_some_and(Login::is_posted) {
            Method::POST
        } else {
            Method::GET
        };
        let request = || self.token_request(&url, login);
        let answer = retried(&method, &url, host, request, ATTEMPTS).await?;
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        let token: Token = answer.json(&self.address)?;
        token.value().ok_or_else(|| {
            self.address
                .failed("has a token server that returned no token")
        })
    }

    fn token_request(&self, url: &Url, login: Option<&Login>) -> reqwest::RequestBuilder {
        match login {
            Some(Login::Identity(token)) => {
                let mut form = url.clone();
                form.query_pairs_mut()
                    .append_pair("grant_type", "refresh_token")
                    .append_pair("client_id", "arcctl")
                    .append_pair("refresh_token", token.expose());
                let mut target = url.clone();
                target.set_query(None);
                self.http
                    .post(target)
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form.query().unwrap_or_default().to_owned())
            }
            Some(login @ Login::Basic { .. }) => {
                authorized(self.http.get(url.clone()), login.basic().as_ref())
            }
            None => self.http.get(url.clone()),
        }
    }
}

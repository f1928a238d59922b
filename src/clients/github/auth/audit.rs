//! Checks before the first write: the server and its version; the credential's kind, permissions, owner and expiry; the rate
//! limit; and last, a call that proves that runners can register (reference: arc.md 5).

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::{app::Purpose, misplaced::misplaced};
use crate::{
    clients::{
        github::{
            GitHub, OLDEST, Product, TokenKind, Version,
            error::{
                ErrorContext,
                forbidden::{missing_permission, missing_scope, not_for_enterprises},
                not_github,
                reason::Ground,
                token_page,
            },
            hidden,
            response::Answer,
            scope::{describe, may_be_enough, permission},
        },
        requests::Call,
    },
    error::{Error, ErrorKind, Result, System},
    profile::Scope,
    secret::Secret,
};

/// Days before its expiry from which arcctl warns about a token.
const SOON: i64 = 30;

/// Days before its expiry from which a token is rejected: it would not outlast a weekend.
const TOO_SOON: i64 = 3;

/// Remaining requests below which arcctl warns: the controller makes a few per minute and pool.
const FEW_REQUESTS: u64 = 500;

const DAY: i64 = 86_400;

/// The version header, in every response of a GitHub Enterprise Server.
const VERSION_HEADER: &str = "x-github-enterprise-version";

/// The result of the audit of a server and a credential.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// The version of the GitHub Enterprise Server.
    pub version: Option<String>,
    /// The kind of the credential.
    pub kind: TokenKind,
    /// The login the token belongs to; an App has none.
    pub login: Option<String>,
    /// The scopes of the token, for kinds that have scopes.
    pub scopes: Option<Vec<String>>,
    /// When the token expires.
    pub expires: Option<Timestamp>,
    /// The remaining requests of the rate limit, where there is one.
    pub remaining: Option<u64>,
    /// Advice, one sentence each.
    pub advice: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct User {
    pub(super) login: String,
    #[serde(rename = "type", default)]
    kind: String,
}

impl GitHub {
    /// Runs all checks before the first write. `owner` is the login that the token must belong to.
    pub async fn audit(&self, scope: Scope<'_>, owner: Option<&str>) -> Result<Audit> {
        self.token_fits()?;
        kind_fits(&self.case(scope))?;
        let bearer = self.bearer(Purpose::Runners(scope)).await?;
        // Boxed: the concurrent calls make a large future, and all callers' futures would be as large.
        let mut audit = Box::pin(self.examine(scope, owner, &bearer))
            .await
            .map_err(|error| hidden(error, &bearer))?;
        // A server's message can contain what arcctl sent.
        for text in audit
            .advice
            .iter_mut()
            .chain(&mut audit.login)
            .chain(&mut audit.version)
        {
            *text = bearer.redact(text);
        }
        Ok(audit)
    }

    async fn examine(
        &self,
        scope: Scope<'_>,
        owner: Option<&str>,
        bearer: &Secret,
    ) -> Result<Audit> {
        let case = self.case(scope);
        let mut audit = Audit {
            kind: self.kind,
            ..Audit::default()
        };
        let hello = self.hello(scope, bearer).await?;
        audit.version = self.version(&hello)?;
        let user = async {
            match self.kind {
                TokenKind::App => Ok(None),
                _ => self.user(scope, bearer).await.map(Some),
            }
        };
        let rate = async {
            match self.server.product {
                Product::Cloud => Ok(hello.clone()),
                Product::EnterpriseServer => self.ask("rate_limit", bearer).await,
            }
        };
        let (user, rate) = tokio::try_join!(user, rate)?;
        match user {
            None => self.granted(&case).await?,
            Some((answer, user)) => {
                self.rights(&answer, &case, &mut audit)?;
                audit.advice.extend(self.owned(&user, owner)?);
                audit.login = Some(user.login);
            }
        }
        if let Some((remaining, advice)) = requests_left(&rate) {
            audit.remaining = Some(remaining);
            audit.advice.extend(advice);
        }
        self.registration(scope).await?;
        Ok(audit)
    }

    /// Whether the credential looks like a GitHub token; otherwise it is never sent.
    pub(super) fn token_fits(&self) -> Result<()> {
        match misplaced(&self.credential) {
            None => Ok(()),
            Some(it) => Err(Error::new(
                ErrorKind::Unauthorized,
                System::GitHub,
                format!("the value of github.token is {}", it.is),
            )
            .object(&self.server.api)
            .hint(it.hint)),
        }
    }

    pub(super) async fn ask(&self, path: &str, bearer: &Secret) -> Result<Answer> {
        self.attempt(Call::Read, &Method::GET, path, bearer).await
    }

    fn case<'a>(&'a self, scope: Scope<'a>) -> ErrorContext<'a> {
        ErrorContext {
            server: &self.server,
            scope,
            kind: self.kind,
            visible: None,
        }
    }

    /// Checks that the App's installation has the permission. Its tokens always expire within an hour: no warning for that.
    async fn granted(&self, case: &ErrorContext<'_>) -> Result<()> {
        let granted = self
            .current_installation(Purpose::Runners(case.scope))
            .await?
            .permissions;
        let has = |key: &str| granted.get(key).is_some_and(|level| level == "write");
        let lacks = permission(case.scope).is_some_and(|needed| !has(needed.key));
        match missing_permission(case).filter(|_| lacks) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The expiry and the scopes of a token, as far as the response contains them.
    fn rights(&self, answer: &Answer, case: &ErrorContext<'_>, audit: &mut Audit) -> Result<()> {
        if let Some(ends) = answer.token_expires() {
            audit.expires = Some(ends);
            audit.advice.extend(self.ending(ends, answer.received)?);
        }
        audit.scopes = answer.scopes();
        // The request for a registration token decides about a scope of which nothing is documented.
        let is_known = |it: &&Vec<String>| !may_be_enough(it, case.scope);
        let scopes = audit.scopes.as_ref().filter(is_known);
        if let Some(error) = scopes.and_then(|it| missing_scope(it, case)) {
            return Err(error);
        }
        if self.kind == TokenKind::OAuth {
            audit.advice.push(
                "the GitHub token belongs to an OAuth app, like that of `gh auth token`: it is revoked when the user logs out; use a personal access token".into(),
            );
        }
        Ok(())
    }

    pub(super) const fn hello_path(&self) -> &'static str {
        match self.server.product {
            Product::Cloud => "rate_limit",
            Product::EnterpriseServer => "meta",
        }
    }

    /// The first call. GitHub Enterprise Server returns its version from `GET /meta`; github.com has no version, and its
    /// rate limit is needed anyway.
    async fn hello(&self, scope: Scope<'_>, bearer: &Secret) -> Result<Answer> {
        let answer = self.ask(self.hello_path(), bearer).await?;
        match answer.status {
            status if status.is_success() => Ok(answer),
            // A GitHub Enterprise Server without a rate limit, configured as github.com: its version is checked instead.
            StatusCode::NOT_FOUND if self.server.product == Product::Cloud => Ok(answer),
            StatusCode::NOT_FOUND => Err(not_github(&answer, &self.server)),
            _ => Err(self.refused(&answer, scope, bearer).await),
        }
    }

    /// The version of the server; the controller must support it.
    pub(super) fn version(&self, hello: &Answer) -> Result<Option<String>> {
        let body: Value = self.json(hello, &format!("GET /{}", self.hello_path()))?;
        let api = &self.server.api;
        let said = body["installed_version"]
            .as_str()
            .or_else(|| hello.header(VERSION_HEADER))
            .and_then(|it| it.rsplit('@').next());
        let wrong = |message: String, hint: &str| {
            Err(Error::failed(System::GitHub, message)
                .object(api)
                .hint(hint))
        };
        match (self.server.product, said) {
            (Product::Cloud, None) => Ok(None),
            (Product::Cloud, Some(said)) => wrong(
                format!(
                    "a GitHub Enterprise Server ({said}) answers at `{api}`, where the profile means github.com"
                ),
                "set github.url in the profile to the address of your server",
            ),
            (Product::EnterpriseServer, None) => wrong(
                format!(
                    "the server at `{api}` is not a GitHub Enterprise Server: it returns no version"
                ),
                "remove github.url from the profile for github.com; otherwise it must be the server's own address",
            ),
            (Product::EnterpriseServer, Some(said)) => match Version::parse(said) {
                Some(version) if version < OLDEST => wrong(
                    format!(
                        "GitHub Enterprise Server at `{api}` is {said}, and Actions Runner Controller needs {OLDEST} or newer"
                    ),
                    "upgrade the server; arcctl cannot make runners work on this one",
                ),
                _ => Ok(Some(said.to_owned())),
            },
        }
    }

    /// The user that the token belongs to.
    async fn user(&self, scope: Scope<'_>, bearer: &Secret) -> Result<(Answer, User)> {
        let answer = self.ask("user", bearer).await?;
        // Only installation tokens have no user.
        let nobody = answer.ground() == Some(Ground::NotForIntegrations);
        if nobody && self.kind == TokenKind::Unknown {
            return Err(installation_token(&self.case(scope)));
        }
        if !answer.is_taken() {
            return Err(self.refused(&answer, scope, bearer).await);
        }
        let user = self.json(&answer, "GET /user")?;
        Ok((answer, user))
    }

    /// Checks that the token belongs to the expected login; returns advice or an error.
    fn owned(&self, user: &User, owner: Option<&str>) -> Result<Option<String>> {
        let login = &user.login;
        match owner {
            Some(owner) if login.eq_ignore_ascii_case(owner) => Ok(None),
            Some(owner) => Err(Error::new(
                ErrorKind::Unauthorized,
                System::GitHub,
                format!("the GitHub token belongs to `{login}`, not to `{owner}`"),
            )
            .object(&self.server.api)
            .hint(format!(
                "create the token as `{owner}`, or correct github.tokenOwner in the profile"
            ))),
            None if user.kind == "User" || user.kind.is_empty() => Ok(Some(format!(
                "the GitHub token belongs to `{login}`: if this is a person's account, the runners stop working when the person leaves; use a separate account for the runners, and name it in github.tokenOwner"
            ))),
            None => Ok(None),
        }
    }

    /// Advice about a token that expires soon; an error for one that expires within days.
    fn ending(&self, ends: Timestamp, now: Timestamp) -> Result<Option<String>> {
        let left = ends.duration_since(now);
        let days = left.as_secs() / DAY;
        let date = ends.strftime("%Y-%m-%d %H:%M UTC");
        if left >= SignedDuration::from_secs(SOON * DAY) {
            return Ok(None);
        }
        let span = match days {
            0 => "in less than a day".to_owned(),
            1 => "in 1 day".to_owned(),
            days => format!("in {days} days"),
        };
        if left >= SignedDuration::from_secs(TOO_SOON * DAY) {
            return Ok(Some(format!(
                "the GitHub token expires {span}, on {date}, and the runners stop working then: create a new token before that date"
            )));
        }
        Err(Error::new(
            ErrorKind::Unauthorized,
            System::GitHub,
            format!("the GitHub token expires {span}, on {date}, and the runners stop working then"),
        )
        .object(&self.server.api)
        .hint(format!(
            "create a token that expires later at {} and store it in the source that github.token names",
            token_page(&self.server, self.kind)
        )))
    }
}

/// Rejects kinds of credential that cannot work, without a call.
fn kind_fits(case: &ErrorContext<'_>) -> Result<()> {
    let enterprise = matches!(case.scope, Scope::Enterprise(_));
    match case.kind {
        TokenKind::Installation => Err(installation_token(case)),
        TokenKind::FineGrained | TokenKind::UserOfApp | TokenKind::App if enterprise => {
            Err(not_for_enterprises(case))
        }
        _ => Ok(()),
    }
}

/// The error for a token that expires with its job or within an hour.
fn installation_token(case: &ErrorContext<'_>) -> Error {
    Error::new(
        ErrorKind::Unauthorized,
        System::GitHub,
        "the GitHub token is an installation token, like the GITHUB_TOKEN of a job: it expires when the job ends, and the runners stop working then",
    )
    .object(&case.server.api)
    .hint(format!(
        "store a personal access token for {} in a workflow secret and name it in github.token; or set github.app, so that arcctl creates installation tokens",
        describe(case.scope)
    ))
}

/// The remaining requests, and advice if they are few. A server without a rate limit returns 404.
fn requests_left(answer: &Answer) -> Option<(u64, Option<String>)> {
    if !answer.status.is_success() {
        return None;
    }
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let core = &body["resources"]["core"];
    let remaining = core["remaining"].as_u64()?;
    let reset = core["reset"]
        .as_i64()
        .and_then(|it| Timestamp::from_second(it).ok());
    let until = reset.map_or_else(String::new, |it| {
        format!(" until {}", it.strftime("%Y-%m-%d %H:%M UTC"))
    });
    let advice = (remaining < FEW_REQUESTS).then(|| {
        format!("this GitHub account has only {remaining} API requests left{until}: the controller needs them too; use a separate account for it")
    });
    Some((remaining, advice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::github::response::tests::answer;

    fn limit(remaining: u64) -> Answer {
        let body = serde_json::json!({"resources": {"core": {"limit": 5000, "remaining": remaining, "reset": 1_795_435_200}}});
        Answer {
            body: body.to_string().into_bytes(),
            ..answer(200, &[("content-type", "application/json")])
        }
    }

    #[test]
    fn a_server_without_a_rate_limit_gives_no_advice() {
        assert!(requests_left(&answer(404, &[])).is_none());
        assert!(requests_left(&answer(200, &[])).is_none());
    }

    #[test]
    fn few_requests_are_spoken_of_and_many_are_not() {
        assert_eq!(requests_left(&limit(500)), Some((500, None)));
        let (remaining, advice) = requests_left(&limit(499)).unwrap();
        assert_eq!(remaining, 499);
        assert!(
            advice
                .unwrap()
                .contains("only 499 API requests left until 2026-11-23")
        );
    }
}

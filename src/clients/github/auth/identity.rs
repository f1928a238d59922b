//! The server's version, and the owner, scopes and organizations of a credential: what can be read before the scope of the
//! runners is known (`arcctl init`).

use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use super::audit::User;
use crate::{
    clients::{
        github::{GitHub, Product, TokenKind, error::common, hidden, response::Answer},
        requests::Call,
    },
    error::{Error, ErrorKind, Result, System},
    secret::Secret,
};

/// The size of a page of organizations, and the maximum number of pages.
const PAGE: usize = 100;
const PAGES: usize = 5;

/// A credential and its server, without a scope.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The version of the GitHub Enterprise Server.
    pub version: Option<String>,
    /// The kind of the credential.
    pub kind: TokenKind,
    /// The login the token belongs to; `None` for an App.
    pub login: Option<String>,
    /// The scopes of the token, for kinds that have scopes.
    pub scopes: Option<Vec<String>>,
    /// When the token expires.
    pub expires: Option<Timestamp>,
    /// The logins of the organizations that the token sees, in alphabetical order.
    pub organizations: Result<Vec<String>>,
    /// How many more there are, which GitHub does not list: the token is not authorized for their single sign-on.
    pub left_out: usize,
}

impl GitHub {
    /// Reads who the credential belongs to. An App has neither a login nor a list of organizations.
    pub async fn identity(&self) -> Result<Identity> {
        self.token_fits()?;
        let crate::clients::credential::Credential::Token(bearer) = &self.credential else {
            return Ok(Identity {
                version: None,
                kind: self.kind,
                login: None,
                scopes: None,
                expires: None,
                organizations: Ok(Vec::new()),
                left_out: 0,
            });
        };
        let read = Box::pin(self.identify(bearer)).await;
        read.map_err(|error| hidden(error, bearer))
    }

    async fn identify(&self, bearer: &Secret) -> Result<Identity> {
        let hello = self.ask(self.hello_path(), bearer).await?;
        // A server without a rate limit answers 404; `version` then tells that it is not github.com.
        let is_other =
            hello.status == StatusCode::NOT_FOUND && self.server.product == Product::Cloud;
        if !hello.is_taken() && !is_other {
            return Err(self.declined(&hello, "its version"));
        }
        let version = self.version(&hello)?;
        let answer = self.ask("user", bearer).await?;
        if !answer.is_taken() {
            return Err(self.declined(&answer, "the owner of the token"));
        }
        let user: User = self.json(&answer, "GET /user")?;
        let organizations = self.organizations(bearer).await;
        let left_out = organizations.as_ref().map_or(0, |(_, left_out)| *left_out);
        let organizations = organizations.map(|(logins, _)| logins);
        Ok(Identity {
            version: version.map(|it| bearer.redact(&it)),
            kind: self.kind,
            login: Some(bearer.redact(&user.login)),
            scopes: answer.scopes(),
            expires: answer.token_expires(),
            organizations: organizations.map_err(|error| hidden(error, bearer)),
            left_out,
        })
    }

    /// The organizations that the token sees, and how many GitHub leaves out; a classic token needs the scope `read:org` or
    /// `user` for it.
    async fn organizations(&self, bearer: &Secret) -> Result<(Vec<String>, usize)> {
        let (mut logins, mut left_out) = (Vec::new(), 0);
        for number in 1..=PAGES {
            let path = format!("user/orgs?per_page={PAGE}&page={number}");
            let answer = self
                .attempt(Call::Read, &Method::GET, &path, bearer)
                .await?;
            if !answer.is_taken() {
                return Err(self.declined(&answer, "the organizations of the token's owner"));
            }
            left_out = answer.left_out().max(left_out);
            let page: Vec<Value> = self.json(&answer, "the organizations")?;
            let full = page.len() >= PAGE;
            let names = page.iter().filter_map(|it| it["login"].as_str());
            logins.extend(names.map(|it| bearer.redact(it)));
            if !full {
                break;
            }
        }
        logins.sort_unstable_by_key(|it| it.to_lowercase());
        Ok((logins, left_out))
    }

    /// The error for an error response to a call without a scope; `what` is the wanted data.
    fn declined(&self, answer: &Answer, what: &str) -> Error {
        let api = &self.server.api;
        if let Some(error) = common(answer, &self.server) {
            return error;
        }
        let error = match answer.status {
            StatusCode::UNAUTHORIZED => Error::new(
                ErrorKind::Unauthorized,
                System::GitHub,
                format!("GitHub at `{api}` does not accept the token"),
            )
            .hint("create another token, and store it where the old one is"),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Error::new(
                ErrorKind::Unauthorized,
                System::GitHub,
                format!("the token may not read {what} at `{api}`"),
            )
            .hint("add the permission to the token"),
            _ => Error::failed(
                System::GitHub,
                format!("GitHub at `{api}` does not return {what}"),
            ),
        };
        error.object(api).cause(answer.said())
    }
}

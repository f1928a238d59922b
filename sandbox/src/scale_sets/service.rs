//! The calls of the controller and of the listener to GitHub and its Actions service. Only to a server on loopback.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jiff::Timestamp;
use reqwest::Client;
use serde_json::{Value, json};

use crate::app::App;
use crate::controller::GitHubSettings;
use crate::controller::github::{cause, client, on_loopback};
use crate::github::BYTE_ORDER_MARK;
use crate::objects::text;

const USER_AGENT: &str = "{\"system\":\"actions-runner-controller\"}";
/// The version of the service's API.
pub(super) const VERSION: &str = "6.0-preview";
/// A connection lasts an hour; it is renewed a minute before.
const LASTS: Duration = Duration::from_mins(59);

/// What a Secret has for GitHub.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Credential {
    pub(super) token: String,
    pub(super) app: App,
}

impl Credential {
    /// The credential in a Secret; `None` for one that the controller refuses: without one, with half an App, with an
    /// installation that is no number, or with both kinds (apis/actions.github.com/v1alpha1/appconfig/appconfig.go at 0.14:
    /// `FromSecret` and `Validate`).
    pub(super) fn of(secret: &Value) -> Option<Self> {
        let part = |key: &str| {
            let bytes = STANDARD.decode(secret["data"][key].as_str()?).ok()?;
            String::from_utf8(bytes).ok()
        };
        let part = |key: &str| part(key).unwrap_or_default();
        let app = App {
            id: part("github_app_id"),
            installation: part("github_app_installation_id"),
            key: part("github_app_private_key"),
        };
        let installation: i64 = match app.installation.as_str() {
            "" => 0,
            number => number.parse().ok()?,
        };
        let token = part("github_token");
        let has_app = installation > 0 && !app.id.is_empty() && !app.key.is_empty();
        match (token.is_empty(), has_app) {
            (false, false) => Some(Self {
                token,
                app: App::default(),
            }),
            (true, true) => Some(Self { token, app }),
            _ => None,
        }
    }
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// 0 without an answer.
    pub(super) status: u16,
    /// The name of the service's exception.
    pub(super) exception: String,
    pub(super) message: String,
}

impl Failure {
    fn unanswered(message: String) -> Self {
        Self {
            status: 0,
            exception: String::new(),
            message,
        }
    }

    fn of(status: u16, body: &Value) -> Self {
        let exception = text(body, "/typeKey").to_owned();
        let message = text(body, "/message").to_owned();
        Self {
            status,
            exception,
            message,
        }
    }
}

/// A connection to the service.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    url: String,
    token: String,
    until: Instant,
}

/// The way to GitHub.
#[derive(Clone)]
pub(super) struct Service {
    http: Client,
    settings: Arc<GitHubSettings>,
    timeout: Duration,
    connections: Arc<Mutex<HashMap<(String, Credential), Connection>>>,
}

impl Service {
    pub(super) fn new(settings: &Arc<GitHubSettings>, timeout: Duration) -> anyhow::Result<Self> {
        Ok(Self {
            http: client(settings, timeout)?,
            settings: Arc::clone(settings),
            timeout,
            connections: Arc::default(),
        })
    }

    /// Calls an operation of the service for who is configured at `url`.
    pub(super) async fn call(
        &self,
        (url, credential): (&str, &Credential),
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let connection = self.connection(url, credential).await?;
        let separator = if path.contains('?') { '&' } else { '?' };
        let target = format!(
            "{}/_apis/{path}{separator}api-version={VERSION}",
            connection.url.trim_end_matches('/')
        );
        let authorization = format!("Bearer {}", connection.token);
        let answer = self.send(method, &target, &authorization, &[], body).await;
        if answer.as_ref().is_err_and(|it| it.status == 401) {
            let key = (url.to_owned(), credential.clone());
            self.known().remove(&key);
        }
        answer.map(|(_, body)| body)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Credential), Connection>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(&self, url: &str, credential: &Credential) -> Result<Connection, Failure> {
        let key = (url.to_owned(), credential.clone());
        let known = self.known().get(&key).cloned();
        if let Some(known) = known.filter(|it| it.until > Instant::now()) {
            return Ok(known);
        }
        let (api, scope) = place(url, self.settings.public.as_deref())
            .ok_or_else(|| Failure::unanswered(format!("invalid config URL {url}")))?;
        let token = self.token(&api, credential).await?;
        let target = format!("{api}/{scope}/actions/runners/registration-token");
        let bearer = format!("Bearer {token}");
        let (_, body) = self.send(Method::POST, &target, &bearer, &[], None).await?;
        let target = format!("{api}/actions/runner-registration");
        let remote = format!("RemoteAuth {}", text(&body, "/token"));
        let body = json!({ "url": url, "runner_event": "register" });
        let (_, body) = self
            .send(Method::POST, &target, &remote, &[], Some(&body))
            .await?;
        let connection = Connection {
            url: text(&body, "/url").to_owned(),
            token: text(&body, "/token").to_owned(),
            until: Instant::now() + LASTS,
        };
        self.known().insert(key, connection.clone());
        Ok(connection)
    }

    /// The token for the REST API: the one that is given, or that of an App's installation.
    async fn token(&self, api: &str, credential: &Credential) -> Result<String, Failure> {
        let app = &credential.app;
        if app.id.is_empty() {
            return Ok(credential.token.clone());
        }
        let jwt = app.jwt(Timestamp::now().as_second()).ok_or_else(|| {
            Failure::unanswered("the private key of the App is not one".to_owned())
        })?;
        let target = app.tokens(api);
        let bearer = format!("Bearer {jwt}");
        let (_, body) = self.send(Method::POST, &target, &bearer, &[], None).await?;
        Ok(text(&body, "/token").to_owned())
    }

    /// Sends a request; an answer that is no success is a failure.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &str,
        authorization: &str,
        headers: &[(&'static str, String)],
        body: Option<&Value>,
    ) -> Result<(u16, Value), Failure> {
        on_loopback(url).map_err(Failure::unanswered)?;
        if self.settings.cut_off.load(Ordering::Relaxed) {
            tokio::time::sleep(self.timeout).await;
            return Err(Failure::unanswered("context deadline exceeded".to_owned()));
        }
        let mut request = self
            .http
            .request(method, url)
            .header("authorization", authorization)
            .header("user-agent", USER_AGENT);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await;
        let answer = answer.map_err(|error| Failure::unanswered(cause(&error)))?;
        let status = answer.status();
        let bytes = answer.bytes().await;
        let bytes = bytes.map_err(|error| Failure::unanswered(cause(&error)))?;
        let json = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
        let body: Value = serde_json::from_slice(json).unwrap_or_default();
        if status.is_success() {
            Ok((status.as_u16(), body))
        } else {
            Err(Failure::of(status.as_u16(), &body))
        }
    }
}

/// The API's address, and the scope in its paths, for the address that runners are configured with.
pub(super) fn place(url: &str, public: Option<&str>) -> Option<(String, String)> {
    let parsed: http::Uri = url.parse().ok()?;
    let (scheme, host) = (parsed.scheme_str()?, parsed.host()?);
    let is_public = ["github.com", "www.github.com", "github.localhost"].contains(&host)
        || host.ends_with(".ghe.com");
    let api = if is_public {
        public.unwrap_or("https://api.github.com").to_owned()
    } else {
        format!("{scheme}://{}/api/v3", parsed.authority()?)
    };
    let path = parsed.path().trim_matches('/');
    let scope = match *path.split('/').collect::<Vec<_>>() {
        ["enterprises", slug] => format!("enterprises/{slug}"),
        [login] if !login.is_empty() => format!("orgs/{login}"),
        [login, name] => format!("repos/{login}/{name}"),
        _ => return None,
    };
    Some((api.trim_end_matches('/').to_owned(), scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_follows_from_the_address() {
        let of = |url: &str| place(url, Some("http://127.0.0.1:9"));
        let (api, scope) = of("https://github.com/o/r/").unwrap();
        assert_eq!(
            (api.as_str(), scope.as_str()),
            ("http://127.0.0.1:9", "repos/o/r")
        );
        let (api, scope) = of("http://127.0.0.1:8/enterprises/e").unwrap();
        assert_eq!(
            (api.as_str(), scope.as_str()),
            ("http://127.0.0.1:8/api/v3", "enterprises/e")
        );
        assert_eq!(of("https://github.com/e/o/r"), None);
        assert_eq!(of("https://github.com/"), None);
    }

    #[test]
    fn a_secret_without_a_credential_has_none() {
        assert_eq!(
            Credential::of(&json!({ "data": { "other": "eA==" } })),
            None
        );
        let found = Credential::of(&json!({ "data": { "github_token": "dA==" } })).unwrap();
        assert_eq!(found.token, "t");
    }

    #[test]
    fn a_secret_has_one_whole_credential() {
        let of = |parts: &[(&str, &str)]| {
            let mut data = json!({});
            for (key, text) in parts {
                data[*key] = STANDARD.encode(text).into();
            }
            Credential::of(&json!({ "data": data }))
        };
        let token = ("github_token", "t");
        let app = [
            ("github_app_id", "1"),
            ("github_app_installation_id", "77"),
            ("github_app_private_key", "k"),
        ];
        assert_eq!(of(&app).unwrap().app.installation, "77");
        assert_eq!(of(&app[..2]), None, "an App without its key");
        assert_eq!(of(&[token, app[0], app[1], app[2]]), None, "both");
        assert_eq!(of(&[token, app[0]]).unwrap().app.id, "");
        assert_eq!(of(&[token, ("github_app_installation_id", "x")]), None);
    }
}

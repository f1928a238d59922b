//! The GitHub calls of the controller, and of the runner inside a pod. Only to a server on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use http::Method;
use jiff::Timestamp;
use reqwest::Client;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::configuration::Configuration;
use super::{Credentials, Delays, GitHubSettings};
use crate::app::App;
use crate::objects::text;

const USER_AGENT: &str = "actions-runner-controller";

/// A token of an installation lasts an hour; it is renewed a minute before.
const TOKEN_LASTS: Duration = Duration::from_mins(59);

/// The level that runners belong to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Scope(String);

impl Scope {
    /// As in the API's paths.
    pub(super) fn path(&self) -> &str {
        &self.0
    }

    /// The scope in the spec of a runner.
    pub(super) fn of(spec: &Value) -> Option<Self> {
        let given = |field: &str| spec[field].as_str().filter(|value| !value.is_empty());
        let path = given("enterprise").map(|name| format!("enterprises/{name}"));
        let path = path.or_else(|| given("organization").map(|name| format!("orgs/{name}")));
        path.or_else(|| given("repository").map(|name| format!("repos/{name}")))
            .map(Self)
    }
}

/// A registration token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) value: String,
    pub(super) expires: Timestamp,
}

/// A runner as GitHub lists it.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) busy: bool,
}

/// What GitHub answered to the removal of a runner.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Removal {
    /// It is gone.
    Done,
    /// A job runs on it.
    Busy,
    /// The token may not remove it: the controller gives up.
    Forbidden,
    /// Something that may pass: the controller tries again.
    Failed(String),
}

/// A client of one GitHub with one token.
#[derive(Clone)]
pub(super) struct GitHub {
    http: Client,
    api: String,
    pub(super) web: String,
    authorization: String,
    app: App,
    /// The token of the App's installation, and until when it is used.
    installation: Arc<tokio::sync::Mutex<Option<(String, Instant)>>>,
    cut_off: Arc<AtomicBool>,
    timeout: Duration,
    credentials: Credentials,
}

impl GitHub {
    /// The client that the controller makes at its start.
    pub(super) fn new(
        configuration: &Configuration,
        settings: &Arc<GitHubSettings>,
        delays: &Delays,
    ) -> Result<Self> {
        let enterprise = configuration.enterprise_url.trim_end_matches('/');
        let public = settings
            .public
            .as_deref()
            .unwrap_or("https://api.github.com");
        let (api, web) = if enterprise.is_empty() {
            let web = Some(configuration.runner_url.as_str()).filter(|url| !url.is_empty());
            (
                public.to_owned(),
                web.unwrap_or("https://github.com").to_owned(),
            )
        } else {
            (format!("{enterprise}/api/v3"), enterprise.to_owned())
        };
        let http = client(settings, delays.github_timeout)?;
        let authorization = format!("Bearer {}", configuration.token);
        Ok(Self {
            http,
            api,
            web: format!("{}/", web.trim_end_matches('/')),
            authorization,
            app: configuration.app.clone(),
            installation: Arc::default(),
            cut_off: Arc::clone(&settings.cut_off),
            timeout: delays.github_timeout,
            credentials: settings.credentials.clone(),
        })
    }

    /// Asks for a registration token.
    pub(super) async fn registration_token(&self, scope: &Scope) -> Result<Token, String> {
        let url = format!(
            "{}/{}/actions/runners/registration-token",
            self.api, scope.0
        );
        let (status, body) = self.send(Method::POST, &url).await?;
        let expires = text(&body, "/expires_at").parse();
        match (status, expires) {
            (201, Ok(expires)) => Ok(Token {
                value: text(&body, "/token").to_owned(),
                expires,
            }),
            _ => Err(format!("POST {url}: {status} {}", text(&body, "/message"))),
        }
    }

    /// Lists all runners of a scope.
    pub(super) async fn runners(&self, scope: &Scope) -> Result<Vec<Listed>, String> {
        let mut runners = Vec::new();
        for page in 1.. {
            let url = format!(
                "{}/{}/actions/runners?page={page}&per_page=100",
                self.api, scope.0
            );
            let (status, body) = self.send(Method::GET, &url).await?;
            if status != 200 {
                return Err(format!("GET {url}: {status} {}", text(&body, "/message")));
            }
            let listed = body["runners"].as_array().cloned().unwrap_or_default();
            runners.extend(listed.iter().map(|one| Listed {
                id: one["id"].as_i64().unwrap_or_default(),
                name: text(one, "/name").to_owned(),
                busy: one["busy"] == true,
            }));
            if listed.len() < 100 {
                break;
            }
        }
        Ok(runners)
    }

    /// Reads one page of what is at a path of the API.
    pub(super) async fn read(&self, path: &str) -> Result<Value, String> {
        let url = format!("{}/{path}", self.api);
        match self.send(Method::GET, &url).await? {
            (200, body) => Ok(body),
            (status, body) => Err(format!("GET {url}: {status} {}", text(&body, "/message"))),
        }
    }

    /// Removes a runner.
    pub(super) async fn remove(&self, scope: &Scope, id: i64) -> Removal {
        let url = format!("{}/{}/actions/runners/{id}", self.api, scope.0);
        match self.send(Method::DELETE, &url).await {
            Ok((204 | 404, _)) => Removal::Done,
            Ok((422, _)) => Removal::Busy,
            Ok((403, _)) => Removal::Forbidden,
            Ok((status, body)) => Removal::Failed(format!(
                "DELETE {url}: {status} {}",
                text(&body, "/message")
            )),
            Err(error) => Removal::Failed(error),
        }
    }

    async fn send(&self, method: Method, url: &str) -> Result<(u16, Value), String> {
        let verb = method.as_str();
        let verb = format!("{}{}", &verb[..1], verb[1..].to_lowercase());
        let failed = |cause: &str| format!("{verb} \"{url}\": {cause}");
        let authorization = match self.credentials.for_call(url) {
            Some(token) => format!("Bearer {token}"),
            None if self.app.id.is_empty() => self.authorization.clone(),
            None => self.of_installation().await.map_err(|it| failed(&it))?,
        };
        self.call(method, url, authorization).await
    }

    /// What the App's installation authenticates with: its token, which lasts an hour.
    async fn of_installation(&self) -> Result<String, String> {
        let mut known = self.installation.lock().await;
        if let Some((authorization, until)) = known.as_ref()
            && *until > Instant::now()
        {
            return Ok(authorization.clone());
        }
        let jwt = self.app.jwt(Timestamp::now().as_second());
        let jwt = jwt.ok_or("could not parse the private key of the App")?;
        let url = self.app.tokens(&self.api);
        let (status, body) = self
            .call(Method::POST, &url, format!("Bearer {jwt}"))
            .await?;
        if status != 201 {
            let message = text(&body, "/message");
            return Err(format!(
                "could not refresh installation id {}'s token: received non 2xx response status: {status} {message}",
                self.app.installation
            ));
        }
        let authorization = format!("Bearer {}", text(&body, "/token"));
        *known = Some((authorization.clone(), Instant::now() + TOKEN_LASTS));
        Ok(authorization)
    }

    async fn call(
        &self,
        method: Method,
        url: &str,
        authorization: String,
    ) -> Result<(u16, Value), String> {
        let verb = method.as_str();
        let verb = format!("{}{}", &verb[..1], verb[1..].to_lowercase());
        let failed = |cause: &str| format!("{verb} \"{url}\": {cause}");
        if authorization.contains(['\n', '\r']) {
            let value = "invalid header field value for \"Authorization\"";
            return Err(failed(&format!("net/http: {value}")));
        }
        on_loopback(url).map_err(|cause| failed(&cause))?;
        if self.cut_off.load(Ordering::Relaxed) {
            tokio::time::sleep(self.timeout).await;
            return Err(failed("context deadline exceeded"));
        }
        let request = self
            .http
            .request(method, url)
            .header("authorization", authorization)
            .header("accept", "application/vnd.github+json")
            .header("user-agent", USER_AGENT);
        let answer = request
            .send()
            .await
            .map_err(|error| failed(&cause(&error)))?;
        let status = answer.status().as_u16();
        let body = answer
            .bytes()
            .await
            .map_err(|error| failed(&cause(&error)))?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// What the runner inside a pod does at its start: it registers itself with its registration token.
pub(super) async fn register(http: &Client, web: &str, runner: &Value) -> Result<i64, String> {
    on_loopback(web)?;
    let url = format!("{web}_sandbox/runners");
    let answer = http
        .post(&url)
        .json(runner)
        .send()
        .await
        .map_err(|error| cause(&error))?;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or_default();
    match body["id"].as_i64() {
        Some(id) if status == 201 => Ok(id),
        _ => Err(format!("{status} {}", text(&body, "/message"))),
    }
}

/// What GitHub sees of a registered runner: whether it is connected, and whether a job runs on it.
pub(super) async fn tell(
    http: &Client,
    web: &str,
    id: i64,
    online: bool,
    busy: bool,
) -> Result<(), String> {
    on_loopback(web)?;
    let url = format!("{web}_sandbox/runners/{id}/status");
    let status = if online { "online" } else { "offline" };
    let body = json!({ "status": status, "busy": busy });
    let answer = http.post(&url).json(&body).send().await;
    answer.map_err(|error| cause(&error))?;
    Ok(())
}

/// A client that trusts what the sandbox trusts.
pub(crate) fn client(settings: &GitHubSettings, timeout: Duration) -> Result<Client> {
    let mut roots = rustls::RootCertStore::empty();
    for pem in &settings.trusted {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.context("a trusted certificate is not PEM")?)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .timeout(timeout)
        .no_proxy();
    Ok(client.build()?)
}

/// The sandbox speaks to nobody outside; elsewhere there is, for it, no such host.
pub(crate) fn on_loopback(url: &str) -> Result<(), String> {
    let host = url
        .parse::<http::Uri>()
        .ok()
        .and_then(|url| url.host().map(ToOwned::to_owned));
    let host = host.unwrap_or_default();
    if matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]") {
        Ok(())
    } else {
        Err(format!("dial tcp: lookup {host}: no such host"))
    }
}

/// The cause of a failed request, as Go words the common ones.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "context deadline exceeded".to_owned();
    }
    let mut last: &dyn std::error::Error = error;
    while let Some(next) = last.source() {
        last = next;
    }
    if error.is_connect() {
        format!("dial tcp: connect: {last}").to_lowercase()
    } else {
        last.to_string()
    }
}

/// The body with which a runner registers.
pub(super) fn registration(
    token: &str,
    name: &str,
    labels: &str,
    group: &str,
    ephemeral: bool,
    version: Option<&str>,
) -> Value {
    let labels: Vec<&str> = labels
        .split(',')
        .filter(|label| !label.is_empty())
        .collect();
    let mut body =
        json!({ "token": token, "name": name, "labels": labels, "ephemeral": ephemeral });
    if !group.is_empty() {
        body["group"] = group.into();
    }
    // A runner that may updates itself to what GitHub ships, before its first job.
    if let Some(version) = version {
        body["version"] = version.into();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_is_spoken_to() {
        let error = on_loopback("https://api.github.com/x").unwrap_err();
        assert_eq!(error, "dial tcp: lookup api.github.com: no such host");
        on_loopback("http://127.0.0.1:8080/api/v3").unwrap();
    }

    #[test]
    fn a_scope_is_the_first_that_is_given() {
        assert_eq!(Scope::of(&json!({})), None);
        let scope = Scope::of(&json!({ "enterprise": "", "repository": "o/r" }));
        assert_eq!(scope, Some(Scope("repos/o/r".to_owned())));
    }
}

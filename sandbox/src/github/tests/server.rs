//! Tests of paths, headers, certificates, and the validation against the description.

use http_body_util::BodyExt as _;
use serde_json::json;

use super::*;

#[tokio::test]
async fn an_enterprise_server_has_its_api_below_api_v3() {
    let github = start().await;
    let answer = send("GET", &format!("{}/meta", github.url()), &[], "")
        .await
        .unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (404, Some("text/html"))
    );
    let answer = get(&github, "/meta").await;
    assert_eq!(answer.json()["installed_version"], "3.19.0");
    let version = answer.header("x-github-enterprise-version");
    assert_eq!(version, Some("enterprise-server@3.19.0"));
    let options = Options {
        mode: Mode::Cloud,
        ..Options::default()
    };
    let cloud = GitHub::start(options).await.unwrap();
    let url = format!("{}/meta", cloud.url());
    let answer = send("GET", &url, &[("user-agent", "test")], "")
        .await
        .unwrap();
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.json().get("installed_version")
        ),
        (200, None)
    );
    assert_eq!(
        get(&cloud, &format!("{ENTERPRISE}/runners")).await.status,
        200
    );
    assert_eq!(cloud.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_token_tells_its_owner_scopes_and_end() {
    let github = start().await;
    let token = Token::classic("doge", &["repo"]).expiring_in(Duration::from_hours(24));
    let answer = get_with(&github, &github.add_token(token)).await;
    assert_eq!(answer.json()["login"], "doge");
    assert_eq!(answer.header("x-oauth-scopes"), Some("repo"));
    let end = answer
        .header("github-authentication-token-expiration")
        .unwrap();
    assert!(end.ends_with(" UTC") && end.len() == 23, "{end}");
    assert_eq!(
        get(&github, "/user")
            .await
            .header("github-authentication-token-expiration"),
        None
    );
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_request_that_breaks_the_description_is_recorded() {
    let github = start().await;
    get(&github, &format!("{ENTERPRISE}/runners?perpage=100")).await;
    get(&github, "/enterprise/dogecompany").await;
    let violations = github.violations();
    assert_eq!(violations.len(), 2, "{violations:?}");
    assert!(
        violations[0].contains("parameter `perpage` is unknown"),
        "{violations:?}"
    );
    assert!(
        violations[1].contains("no such operation"),
        "{violations:?}"
    );
}

#[tokio::test]
async fn the_sandbox_tells_its_state_without_secrets() {
    let github = start().await;
    let token = json!({"login": "second", "scopes": ["repo"]});
    let token = sandbox(&github, "POST", "/tokens", &token).await.json()["token"].clone();
    let token = token.as_str().unwrap();
    assert_eq!(get_with(&github, token).await.status, 200);
    let state = sandbox(&github, "GET", "/state", &Value::Null).await;
    let text = String::from_utf8(state.body.to_vec()).unwrap();
    assert!(!text.contains(token) && !text.contains(github.token()));
    assert_eq!(state.json()["simulated"], true);
    assert_eq!(state.json()["tokens"][1]["login"], "second");
    let answer = sandbox(&github, "DELETE", "/tokens", &json!({"token": token})).await;
    assert_eq!(answer.status, 204);
    assert_eq!(get_with(&github, token).await.status, 401);
}

#[tokio::test]
async fn https_is_spoken_with_the_given_certificate() {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (der, private) = (key.cert.der().clone(), key.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], private.try_into().unwrap())
        .unwrap();
    let options = Options {
        tls: Some(Arc::new(config)),
        ..Options::default()
    };
    let github = GitHub::start(options).await.unwrap();
    assert!(github.url().starts_with("https://127.0.0.1:"));

    let address = github.url().strip_prefix("https://").unwrap().to_owned();
    let status = async |trusted: bool| {
        let mut roots = rustls::RootCertStore::empty();
        if trusted {
            roots.add(der.clone()).unwrap();
        }
        let client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(|error| error.to_string())?;
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("/api/v3/meta").header("host", "localhost");
        let request = request
            .body(http_body_util::Empty::<hyper::body::Bytes>::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        response.into_body().collect().await.unwrap();
        Ok::<_, String>(status.as_u16())
    };
    assert!(status(false).await.unwrap_err().contains("UnknownIssuer"));
    assert_eq!(status(true).await, Ok(403), "no user agent, but an answer");
}

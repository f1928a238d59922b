//! Test data: over forty formats of secrets in profiles, chart values, objects, events and messages. Each contains the
//! canary, plain or encoded.

#[cfg(test)]
mod in_texts;

use base64::{Engine, engine::general_purpose::STANDARD};
use in_texts::{arguments, texts, told_in_messages};
use serde_json::{Value, json};

/// The canary that no output may contain. Its format is not that of a token: only its path shows that it is secret.
pub(crate) const PLAIN: &str = "canary-horse-staple";

/// A canary with a token's format.
pub(crate) const FORMED: &str = "ghp_CaNaRy0123456789abcdefghij";

/// The encodings of the canaries that no output may contain.
pub(crate) fn forms() -> Vec<String> {
    let mut forms = vec![PLAIN.to_owned(), FORMED.to_owned(), "CaNaRy".to_owned()];
    for text in [PLAIN, FORMED] {
        for before in ["", "a", "ab", "user:"] {
            let encoded = STANDARD.encode(format!("{before}{text}"));
            // Without the characters that depend on neighbouring bytes.
            forms.push(
                encoded[4..encoded.len() - 4]
                    .trim_start_matches('=')
                    .to_owned(),
            );
        }
    }
    forms
}

/// The formats as configuration values: in a profile or an object.
#[expect(clippy::too_many_lines, reason = "a list, to be read as one")]
pub(crate) fn values() -> Vec<(&'static str, Value)> {
    let encoded = STANDARD.encode(PLAIN);
    let twice = STANDARD.encode(STANDARD.encode(FORMED));
    let (begin, end) = ("-----BEGIN RSA PRIVATE", "-----END RSA PRIVATE");
    let pem = format!("{begin} KEY-----\nMIIE{PLAIN}\nabc\n{end} KEY-----\n");
    let docker = json!({"auths": {"r.example": {"username": "me", "password": PLAIN, "auth": STANDARD.encode(format!("me:{PLAIN}"))}}});
    vec![
        ("a token by its key", json!({"token": PLAIN})),
        (
            "a token by its form",
            json!({"note": format!("it is {FORMED} now")}),
        ),
        (
            "a secret access key",
            json!({"AWS_SECRET_ACCESS_KEY": PLAIN}),
        ),
        ("a session token", json!({"AWS_SESSION_TOKEN": PLAIN})),
        (
            "an access key's id",
            json!({"id": "AKIACaNaRy0123456789".to_uppercase().replace("CANARY", "CANARY0")}),
        ),
        ("an API key", json!({"STRIPE_API_KEY": PLAIN})),
        ("an API key in camel case", json!({"apiKey": PLAIN})),
        ("a header's API key", json!({"x-api-key": PLAIN})),
        ("a password, cut short", json!({"DB_PASSWD": PLAIN})),
        ("a password, shorter", json!({"DB_PASS": PLAIN})),
        ("a password of PostgreSQL", json!({"PGPASSWORD": PLAIN})),
        ("a passphrase", json!({"key": {"passphrase": PLAIN}})),
        (
            "the webhook's secret of the chart",
            json!({"githubWebhookServer": {"secret": {"create": true, "name": "x", "github_webhook_secret_token": PLAIN}}}),
        ),
        (
            "the chart's own token",
            json!({"authSecret": {"create": false, "github_token": PLAIN}}),
        ),
        (
            "the chart's basic auth",
            json!({"authSecret": {"github_basicauth_username": "me", "github_basicauth_password": PLAIN}}),
        ),
        (
            "an App's key",
            json!({"authSecret": {"github_app_private_key": pem}}),
        ),
        ("a key in PEM by its form", json!({"extra": pem})),
        (
            "a key in PEM in one line",
            json!({"extra": pem.replace('\n', "\\n")}),
        ),
        (
            "an entry of an environment",
            json!({"env": [{"name": "REGISTRY_PASSWORD", "value": PLAIN}]}),
        ),
        (
            "an entry of an environment by its form",
            json!({"env": [{"name": "X", "value": FORMED}]}),
        ),
        (
            "an environment as a map",
            json!({"env": {"NPM_TOKEN": PLAIN}}),
        ),
        (
            "an entry with a key",
            json!({"parameters": [{"key": "client_secret", "value": PLAIN}]}),
        ),
        (
            "a header",
            json!({"httpHeaders": [{"name": "Authorization", "value": format!("Bearer {PLAIN}")}]}),
        ),
        (
            "a flag and its value",
            json!({"args": ["--user", "me", "--password", PLAIN]}),
        ),
        (
            "a flag with its value",
            json!({"args": [format!("--api-key={PLAIN}")]}),
        ),
        (
            "a variable of a command",
            json!({"command": ["sh", "-c", format!("GH_TOKEN={PLAIN} run")]}),
        ),
        (
            "a URL with a login",
            json!({"proxy": format!("http://me:{PLAIN}@proxy:3128")}),
        ),
        (
            "a URL with a token alone",
            json!({"url": format!("https://{PLAIN}@git.example/x")}),
        ),
        (
            "a URL's query",
            json!({"url": format!("https://x.example/?page=1&access_token={PLAIN}&x=2")}),
        ),
        (
            "a presigned URL",
            json!({"url": format!("https://b.s3.amazonaws.com/k?X-Amz-Signature={PLAIN}")}),
        ),
        (
            "a connection string",
            json!({"db": format!("Server=x;User Id=me;Password={PLAIN};")}),
        ),
        (
            "a connection string by its key",
            json!({"AZURE_STORAGE_CONNECTION_STRING": PLAIN}),
        ),
        (
            "a URL of a database",
            json!({"DATABASE_URL": format!("postgres://me:{PLAIN}@db/x")}),
        ),
        (
            "JSON in a text",
            json!({"config": json!({"db": {"password": PLAIN}}).to_string()}),
        ),
        (
            "JSON in JSON in a text",
            json!({"config": json!({"inner": json!({"token": PLAIN}).to_string()}).to_string()}),
        ),
        (
            "YAML in a text",
            json!({"config": format!("db:\n  host: x\n  password: {PLAIN}\n")}),
        ),
        (
            "a file of properties",
            json!({"config": format!("user=me\npassword={PLAIN}\n")}),
        ),
        (
            "Docker's configuration",
            json!({".dockerconfigjson": STANDARD.encode(docker.to_string())}),
        ),
        (
            "Docker's configuration by its form",
            json!({"file": docker.to_string()}),
        ),
        (
            "Docker's configuration in base64",
            json!({"file": STANDARD.encode(docker.to_string())}),
        ),
        (
            "a token in base64",
            json!({"file": STANDARD.encode(FORMED)}),
        ),
        ("a token in base64 twice", json!({"file": twice})),
        (
            "the data of a Secret",
            json!({"kind": "Secret", "data": {"anything": encoded}}),
        ),
        (
            "the text of a Secret",
            json!({"kind": "Secret", "stringData": {"name": PLAIN}}),
        ),
        (
            "a ConfigMap's entry",
            json!({"kind": "ConfigMap", "data": {"db.password": PLAIN}}),
        ),
        (
            "kubectl's copy of a Secret",
            json!({"annotations": {"kubectl.kubernetes.io/last-applied-configuration": json!({"kind": "Secret", "data": {"x": encoded}}).to_string()}}),
        ),
        ("a key of TLS", json!({"tls.key": PLAIN})),
        ("a key of SSH", json!({"id_ed25519": PLAIN})),
        ("a signing key", json!({"signingKey": PLAIN})),
        (
            "a JSON web token",
            json!({"x": format!("eyJhbGciOi.{PLAIN}.{PLAIN}")}),
        ),
        (
            "a hook of Slack",
            json!({"hook": format!("https://hooks.slack.com/services/T0/B0/CaNaRy0123456789")}),
        ),
        ("a list of tokens", json!({"tokens": [PLAIN, PLAIN]})),
        (
            "a map below credentials",
            json!({"credentials": {"anything": PLAIN}}),
        ),
        ("a key of a map", json!({"map": {FORMED: "x"}})),
        ("a cookie", json!({"headers": {"Cookie": PLAIN}})),
    ]
    .into_iter()
    .chain(texts().into_iter().map(|(name, text)| (name, json!({"text": text}))))
    .chain(arguments())
    .collect()
}

/// The formats in external texts: events, messages of admission policies, logs.
pub(crate) fn messages() -> Vec<String> {
    let encoded = STANDARD.encode(PLAIN);
    vec![
        format!("Error: bad credentials for {FORMED}"),
        format!("denied the request: {{\"data\":{{\"github_token\":\"{encoded}\"}}}}"),
        format!("denied: {{\\\"data\\\":{{\\\"github_token\\\":\\\"{encoded}\\\"}}}}"),
        format!("object map[data:map[github_token:{encoded}] kind:Secret] is refused"),
        format!("Get \"https://me:{PLAIN}@proxy:3128/x\": EOF"),
        format!("GET https://x.example/?token={PLAIN}&a=1 returned 403"),
        format!("command failed: curl -H 'Authorization: Bearer {FORMED}' https://x"),
        format!("login --password {PLAIN} failed"),
        format!("env GH_TOKEN={PLAIN} is set"),
        format!("password: {PLAIN}"),
        format!("secret {} does not decode", STANDARD.encode(FORMED)),
        format!("-----BEGIN EC PRIVATE KEY-----\nMIIE{PLAIN}\n-----END EC PRIVATE KEY-----"),
    ]
    .into_iter()
    .chain(told_in_messages())
    .collect()
}

//! Tests every canary format with every masking function.

use serde_json::Value;

use super::{
    canaries::{forms, messages, values},
    text::{Manner, masked, masked_document},
    value::{redacted, told},
};

fn given_away(text: &str) -> Option<String> {
    forms().into_iter().find(|it| text.contains(it))
}

#[test]
fn no_shape_gets_through_a_document() {
    let values = values();
    assert!(values.len() >= 100, "{}", values.len());
    let mut wrong = Vec::new();
    for (name, value) in values {
        assert!(
            given_away(&value.to_string()).is_some()
                || name.contains("base64")
                || name.contains("id"),
            "{name}: no canary in it"
        );
        for shown in [redacted(&value), told(&value)] {
            let text = shown.to_string();
            if given_away(&text).is_some() {
                wrong.push(format!("{name}: {text}"));
            }
        }
        // Masking a masked document changes nothing.
        let once = redacted(&value);
        assert_eq!(redacted(&once), once, "{name}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Texts that contain the name of a secret or look like one, and have no secret.
#[test]
fn what_is_no_secret_stays_readable() {
    let files = [
        "passwordSecretRef: name",
        "passwordSecretRef: name\ntokenOwner: arc-admin\nsecretName: x\n",
        "[db]\npassword_file = /run/password\ntoken_ttl = 3600\n",
        "<passwordFile>/run/password</passwordFile>",
        "env:\n- name: TOKEN_URL\n  value: https://x.example/token\n",
        "env:\n- name: TOKEN\n  valueFrom:\n    secretKeyRef:\n      name: s\n      key: token\n",
        "volumes:\n- name: token\n  secret:\n    secretName: x\n    defaultMode: 420\n",
        "rules:\n- resources: [secrets, pods]\n  verbs: [get]\n",
        "docker run -p 8080:80 -u 1000 x",
        "curl -u \"$USER:$TOKEN\" https://x.example",
        "curl -fsSL https://x.example/?sort=key&page=2",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\ndata:\n  mode: fast\n",
        "policy: secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-west-1:111122223333:secret:x-AbCdEf",
        "[profile x]\ncredential_process = /opt/get\nmax_tokens = 4096\n",
        "mkdir -p a/b && ssh -p 2222 me@host.example",
        "password: ${DB_PASSWORD}\nuser: me\n",
        "export TOKEN=\"$(cat /run/token)\"\nrun\n",
        "git@github.com:org/repo.git and mailto:me@x.example",
        "registry:5000/a@sha256:0123 and actions/checkout@v4",
        "machine: m5.large\nlogin: me\n",
        "https://x.example/?code=404&key=name&session_length=3",
        "webhookPort: 9443\ngithubWebhookServer:\n  enabled: false\n",
        "tokenReview: true\nautomountServiceAccountToken: false\n",
    ];
    for text in files {
        for manner in [Manner::Strict, Manner::Lenient] {
            assert_eq!(masked_document(text, manner), text);
        }
    }
    let messages = [
        "password: required",
        "the token: expired, make a new one",
        "secrets \"controller-manager\" not found",
        "secret/actions-runner-system/controller-manager: created",
        "--- PASS: TestToken (0.00s)",
        "flag --token requires a value",
        "`--password` and --token are exclusive",
        "use --token-env VARIABLE, or --token <TOKEN>",
        "token = (sensitive value)",
        "authorization: denied",
        "by default a user has no password here",
        "docker login failed: -p is not given",
    ];
    for text in messages {
        assert_eq!(masked(text), text);
    }
}

/// github.com's installation tokens since 2026 (github.blog, changelog of 2026-05-15).
#[test]
fn an_installation_token_with_a_jwt_is_masked_to_its_end() {
    let message = "remote: ghs_123_eyJhbGciOi.eyJpc3MiOi-x_y.c2ln-bmF0_dXJl is refused";
    let shown = masked(message);
    for part in ["eyJhbGciOi", "eyJpc3MiOi", "x_y", "c2ln", "bmF0", "dXJl"] {
        assert!(!shown.contains(part), "{shown}");
    }
    assert!(shown.starts_with("remote: ") && shown.ends_with(" is refused"));
    let message = "remote: ghs_eyJhbGciOi.eyJpc3MiOi-x_y.c2ln-bmF0_dXJl is refused";
    assert_eq!(masked(message), "remote: *** is refused");
}

/// The lines of its base64 are too short there to be known by themselves: `+` and `/` are escaped.
#[test]
fn a_private_key_in_a_url_is_masked() {
    let key = "-----BEGIN RSA PRIVATE KEY-----%0AMIIE%2Bab%2F%0A";
    for blank in ["%20", "+", " "] {
        let key = key.replace(' ', blank);
        assert_eq!(masked(&format!("sent {key}")), "sent ***");
        let end = "-----END RSA PRIVATE KEY-----".replace(' ', blank);
        assert_eq!(masked(&format!("sent {key}{end} here")), "sent *** here");
    }
}

/// As `rustls-pki-types` prints a line of a PEM file that it cannot parse.
#[test]
fn a_secret_in_a_list_of_bytes_is_masked() {
    let key = r"-----BEGIN EC PRIVATE KEY-----\nMIIE\n";
    for secret in [key, "token ghp_abcdefghij0123456789", "password=hunter2"] {
        let list = format!("{:?}", secret.as_bytes());
        for list in [list.replace(", ", " "), list.replace(", ", ","), list] {
            let shown = masked(&format!("illegal line: {list}, it says")).into_owned();
            assert_eq!(shown, "illegal line: ***, it says");
        }
    }
    let harmless = format!("ports [80, 443], bytes {:?}", b"actions-runner");
    assert_eq!(masked(&harmless), harmless);
}

#[test]
fn no_shape_gets_through_a_message() {
    for message in messages() {
        for shown in [masked(&message), masked_document(&message, Manner::Strict)] {
            assert_eq!(given_away(&shown), None, "{message}: {shown}");
        }
        let wrapped = Value::String(message.clone());
        assert_eq!(given_away(&told(&wrapped).to_string()), None, "{message}");
    }
}

//! Rules about the GitHub server, the scope and the credential. Pure.

use super::{
    super::{KubernetesSecretKey, Profile, Scope, TokenSource},
    Path, Report,
    url::Url,
};

pub(super) fn check(profile: &Profile, report: &mut Report) {
    scope(profile, report);
    server(profile, report);
    credential(profile, report);
}

fn scope(profile: &Profile, report: &mut Report) {
    let github = &profile.github;
    let path = Path::from(["github"]);
    let given = [
        ("enterprise", &github.enterprise),
        ("organization", &github.organization),
        ("repository", &github.repository),
    ];
    let given: Vec<&str> = given
        .iter()
        .filter(|(_, name)| name.is_some())
        .map(|(key, _)| *key)
        .collect();
    match given.as_slice() {
        [] => report.error(
            path,
            "nobody is named whose runners these are",
            "write exactly one of `enterprise`, `organization` and `repository` (OWNER/NAME)",
        ),
        [_] => {}
        [first, others @ ..] => {
            for other in others {
                report.error(
                    path.key(other),
                    format!("there is `{first}` already, and runners have one owner"),
                    "keep one of them",
                );
            }
        }
    }
}

fn server(profile: &Profile, report: &mut Report) {
    let path = Path::from(["github", "url"]);
    let Some(text) = &profile.github.url else {
        if profile.github.ca_bundle.is_some() {
            report.advice(
                Path::from(["github", "caBundle"]),
                "github.com has a public certificate and needs no `caBundle`",
                "remove it, or add the `url` of your server",
            );
        }
        return;
    };
    let form = "write `https://HOST`";
    let Some(url) = Url::parse(text) else {
        report.error(path, "`url` is not the URL of a server", form);
        return;
    };
    let host = url.host.to_ascii_lowercase();
    if ["github.com", "www.github.com", "api.github.com"].contains(&host.as_str()) {
        report.error(
            path,
            format!("`url` is for a GitHub Enterprise Server, and this is {host}"),
            "leave `url` out for github.com",
        );
    } else if host == "ghe.com" || host.ends_with(".ghe.com") {
        report.error(
            path,
            format!(
                "`{host}` is GitHub Enterprise Cloud with data residency, which is not supported"
            ),
            "arcctl works with github.com and with a GitHub Enterprise Server",
        );
    } else if url.has_user {
        report.error(
            path,
            "a user name or token has no place in `url`",
            format!("{form}, and the credential under `token`"),
        );
    } else if !url.path.is_empty() {
        report.error(
            path,
            format!("`url` ends with the host, and `{}` follows it", url.path),
            form,
        );
    } else if url.scheme == "http" && !url.is_loopback() {
        report.error(
            path,
            "the credential would cross the network in clear",
            form,
        );
    } else if !["http", "https"].contains(&url.scheme) {
        report.error(
            path,
            format!("`{}` is not a scheme of GitHub", url.scheme),
            form,
        );
    }
}

fn credential(profile: &Profile, report: &mut Report) {
    let github = &profile.github;
    let path = Path::from(["github"]);
    // Without either, the environment has one, under the names that `gh` has for it.
    if github.token.is_some() && github.app.is_some() {
        report.error(
            path.key("app"),
            "there is a `token` already, and the controller uses one credential",
            "keep one of them",
        );
    }
    if let Some(token) = &github.token {
        source(token, &path.key("token"), report);
    }
    let Some(app) = &github.app else { return };
    let path = path.key("app");
    source(&app.private_key, &path.key("privateKey"), report);
    if matches!(github.scope(), Some(Scope::Enterprise(_))) {
        report.error(
            path.clone(),
            "GitHub does not let an App register runners of an enterprise",
            "use a classic token with `manage_runners:enterprise`, or the scope `organization`",
        );
    }
    if github.token_owner.is_some() && github.token.is_none() {
        report.advice(
            Path::from(["github", "tokenOwner"]),
            "`tokenOwner` means nothing with an App",
            "remove it",
        );
    }
}

fn source(source: &TokenSource, path: &Path, report: &mut Report) {
    let given = [
        ("env", source.env.is_some()),
        ("file", source.file.is_some()),
        ("secretsManager", source.secrets_manager.is_some()),
        ("ssm", source.ssm.is_some()),
        ("kubernetesSecret", source.kubernetes_secret.is_some()),
    ];
    let given: Vec<&str> = given
        .iter()
        .filter(|(_, is)| *is)
        .map(|(key, _)| *key)
        .collect();
    let name = path.last_key().unwrap_or_default();
    match given.as_slice() {
        [] => report.error(
            path.clone(),
            format!("`{name}` does not say where the secret is"),
            "write one of `env`, `file`, `secretsManager`, `ssm` and `kubernetesSecret`",
        ),
        [_] => {}
        [first, others @ ..] => {
            for other in others {
                report.error(
                    path.key(other),
                    format!("there is `{first}` already, and the secret has one source"),
                    "keep one of them",
                );
            }
        }
    }
    for (key, value) in [
        ("file", &source.file),
        ("secretsManager", &source.secrets_manager),
        ("ssm", &source.ssm),
    ] {
        if value.as_ref().is_some_and(|value| value.trim().is_empty()) {
            report.error(
                path.key(key),
                format!("`{key}` is empty"),
                "name where the secret is",
            );
        }
    }
    if let Some(secret) = &source.kubernetes_secret {
        secret_key(secret, &path.key("kubernetesSecret"), report);
    }
}

fn secret_key(secret: &KubernetesSecretKey, path: &Path, report: &mut Report) {
    for (key, value) in [("namespace", &secret.namespace), ("name", &secret.name)] {
        if !is_object_name(value) {
            report.error(
                path.key(key),
                format!("the {key} of a Secret is made of a-z, 0-9, `-` and `.`"),
                "correct the name",
            );
        }
    }
    if secret.key.is_empty() {
        report.error(
            path.key("key"),
            "`key` is empty",
            "name the key of the Secret that holds the value",
        );
    }
}

/// Whether Kubernetes takes it as the name of an object.
pub(super) fn is_object_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
        && !name.starts_with(['-', '.'])
        && !name.ends_with(['-', '.'])
}

//! Rules for the GitHub server, the scope and the credential. Pure.

use super::{Path, Report, url::Url};
use crate::{
    profile::{
        GitHub, KubernetesSecretKey, Pool, PoolGitHub, Profile, Scope, TokenSource,
        has_data_residency, object_names,
    },
    units::Arn,
};

pub(super) fn check(profile: &Profile, report: &mut Report) {
    let github = Path::from(["github"]);
    scope(&profile.github, &github, report);
    server(profile, report);
    credential(&profile.github, &github, report);
    for (index, pool) in profile.pools.iter().enumerate() {
        let path = Path::from(["pools"]).index(index).key("github");
        if let Some(own) = &pool.github {
            of_pool(profile, pool, own, &path, report);
        }
    }
}

/// Checks a pool's own scope and credential.
fn of_pool(profile: &Profile, pool: &Pool, own: &PoolGitHub, path: &Path, report: &mut Report) {
    if !own.has_scope() && !own.has_credential() {
        let without = "it has neither a scope nor a credential, and everything is the profile's";
        return report.error(
            path.clone(),
            without,
            "add `enterprise`, `organization`, `repository`, `token` or `app`, or remove `github`",
        );
    }
    let merged = profile.github_of(pool);
    scope(&merged, path, report);
    let mut named = merged.clone();
    named.token.clone_from(&own.token);
    named.app.clone_from(&own.app);
    named.token_owner.clone_from(&own.token_owner);
    credential(&named, path, report);
    if own.has_credential() {
        return;
    }
    // A GitHub App installation and a fine-grained token belong to one account (docs.github.com).
    if merged.app.is_some() {
        report.error(
            path.clone(),
            "the profile's App is installed in one account, and this pool's scope is another one",
            "add `app` with the installation in this scope, or `token`",
        );
    }
}

fn scope(github: &GitHub, path: &Path, report: &mut Report) {
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
            path.clone(),
            "no scope is set",
            "write exactly one of `enterprise`, `organization` and `repository` (OWNER/NAME)",
        ),
        [_] => names(github, path, report),
        [first, others @ ..] => {
            for other in others {
                report.error(
                    path.key(other),
                    format!("`{first}` is already set, and runners have one scope"),
                    "keep one of them",
                );
            }
        }
    }
}

/// Whether it is a valid repository name; `.git` is only part of clone URLs.
pub(super) fn is_repository(name: &str) -> bool {
    let is_part = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    !name.is_empty() && name.chars().all(is_part) && name.strip_suffix(".git").is_none()
}

/// Whether it is a valid account name: of an organization, a user, an enterprise.
fn is_account(name: &str) -> bool {
    let is_part = |it: char| it.is_ascii_alphanumeric() || "_-".contains(it);
    !name.is_empty() && name.chars().all(is_part)
}

/// Checks names as in GitHub's URLs.
fn names(github: &GitHub, path: &Path, report: &mut Report) {
    let accounts = [
        ("enterprise", &github.enterprise),
        ("organization", &github.organization),
        ("tokenOwner", &github.token_owner),
    ];
    for (key, name) in accounts {
        // GitHub Apps are users with the suffix `[bot]`.
        let plain = name.as_deref().map(|it| it.trim_end_matches("[bot]"));
        if let (Some(name), false) = (name, plain.is_none_or(is_account)) {
            let hint = match name.trim_start_matches('@') {
                short if is_account(short) => format!("write `{short}`"),
                _ if key == "tokenOwner" => {
                    "write the login, which is in the address of the user's page".into()
                }
                _ => "write it as in its address: letters, digits and `-`".into(),
            };
            report.error(
                path.key(key),
                format!("`{name}` is no name of GitHub's"),
                hint,
            );
        }
    }
    let parts = github
        .repository
        .as_deref()
        .and_then(|it| it.split_once('/'));
    if let Some((owner, name)) = parts
        && !(is_account(owner) && is_repository(name))
    {
        let hint = offered(owner, name).map_or_else(
            || "write OWNER/NAME, as in its address".to_owned(),
            |short| format!("write `{short}`, as in its address"),
        );
        report.error(
            path.key("repository"),
            format!("`{owner}/{name}` is no repository of GitHub's"),
            hint,
        );
    }
}

/// The repository in a clone URL or a mention, if valid.
fn offered(owner: &str, name: &str) -> Option<String> {
    let owner = owner.rsplit([':', '@']).next()?;
    let name = name.trim_end_matches(".git");
    (is_account(owner) && is_repository(name)).then(|| format!("{owner}/{name}"))
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
    if let Some((message, hint)) = of_the_cloud(&host, profile) {
        report.error(path, message, hint);
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

/// Why GitHub's own `host` is not one for `github.url`, and what to write.
fn of_the_cloud(host: &str, profile: &Profile) -> Option<(String, &'static str)> {
    if ["github.com", "www.github.com", "api.github.com"].contains(&host) {
        return Some((
            format!("`url` is for a GitHub Enterprise Server, and this is {host}"),
            "leave `url` out for github.com",
        ));
    }
    if host == "ghe.com" {
        return Some((
            "with data residency each enterprise has a host of its own below `ghe.com`".into(),
            "write `https://NAME.ghe.com`",
        ));
    }
    (has_data_residency(host) && profile.has_deployments()).then(|| {
        (
            format!("`{host}` is GitHub Enterprise Cloud with data residency: the controller of pools without `mode: scaleSet` looks for its API where a GitHub Enterprise Server has it"),
            "write `mode: scaleSet` in every pool: GitHub's own controller knows these hosts",
        )
    })
}

fn credential(github: &GitHub, path: &Path, report: &mut Report) {
    // Without both, the credential comes from the environment variables of `gh`.
    if github.token.is_some() && github.app.is_some() {
        report.error(
            path.key("app"),
            "`token` is already set, and the controller uses one credential",
            "keep one of them",
        );
    }
    if let Some(token) = &github.token {
        source(token, &path.key("token"), report);
    }
    let Some(app) = &github.app else { return };
    source(&app.private_key, &path.key("app").key("privateKey"), report);
    if matches!(github.scope(), Some(Scope::Enterprise(_))) {
        report.error(
            path.key("app"),
            "a GitHub App cannot register runners of an enterprise",
            "use a classic token with `manage_runners:enterprise`, or the scope `organization`",
        );
    }
    if github.token_owner.is_some() && github.token.is_none() {
        report.advice(
            path.key("tokenOwner"),
            "`tokenOwner` has no effect with an App",
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
            format!("`{name}` names no source of the secret"),
            "write one of `env`, `file`, `secretsManager`, `ssm` and `kubernetesSecret`",
        ),
        [_] => {}
        [first, others @ ..] => {
            for other in others {
                report.error(
                    path.key(other),
                    format!("`{first}` is already set, and the secret has one source"),
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
    stored(source, path, report);
    if let Some(secret) = &source.kubernetes_secret {
        secret_key(secret, &path.key("kubernetesSecret"), report);
    }
}

/// Names in AWS Secrets Manager and SSM (their API references: `GetSecretValue`, `GetParameter`).
fn stored(source: &TokenSource, path: &Path, report: &mut Report) {
    for (key, value, marks, kind) in [
        (
            "secretsManager",
            &source.secrets_manager,
            "/_+=.@!-",
            "secret",
        ),
        ("ssm", &source.ssm, "/_.-", "parameter"),
    ] {
        let Some(value) = value.as_deref().filter(|it| !it.trim().is_empty()) else {
            continue;
        };
        let is_name = |text: &str| {
            text.chars()
                .all(|it| it.is_ascii_alphanumeric() || marks.contains(it))
        };
        let fits = if value.starts_with("arn:") {
            Arn::parse(value).is_some_and(|it| it.has_account() && !it.region.is_empty())
        } else {
            // A parameter may have a version or label suffix.
            let name = if key == "ssm" {
                value.split(':').next().unwrap_or_default()
            } else {
                value
            };
            is_name(name)
        };
        if !fits {
            report.error(
                path.key(key),
                format!("this is neither the name nor the ARN of a {kind}"),
                format!("write its name, or `arn:aws:…:REGION:ACCOUNT:…`; the whole {kind} is the credential, no key of it"),
            );
        }
    }
}

fn secret_key(secret: &KubernetesSecretKey, path: &Path, report: &mut Report) {
    for (key, value) in [("namespace", &secret.namespace), ("name", &secret.name)] {
        if !object_names::is_object_name(value) {
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

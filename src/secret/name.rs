//! Whether a name (of a key, a variable, a header, a flag) is that of a secret. Pure: no I/O.
//!
//! Conventions differ: `AWS_SECRET_ACCESS_KEY`, `dbPasswd`, `github_webhook_secret_token`, `tls.key`. So a name is
//! split into words. Names that only describe a secret or its location (`secretName`, `tokenOwner`, `passwordFile`) do
//! not count. Sources of the names: the types of the Kubernetes API (`SecretKeySelector`, `SecretVolumeSource`,
//! `ServiceAccountTokenProjection`, `kubernetes.io/dockerconfigjson`), the values of the controller's and
//! cert-manager's charts, the AWS SDKs' and `PostgreSQL`'s environment variables.

use super::words::{DESCRIBING, HARMLESS_KEYS, HOOKS, KEYS, PAIRS, PLACES, WHOLE, WITHIN};

/// Whether the value of this name is a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let words = words(name);
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    // TOKEN_2 is a token too.
    while words.len() > 1 && words.last().is_some_and(|it| is_number(it)) {
        words.pop();
    }
    let Some((last, before)) = words.split_last() else {
        return false;
    };
    // `PWD` is the shell's working directory; `existingSecret` and `imagePullSecrets` are names of Secrets.
    if ["PWD", "OLDPWD"].contains(&name) || before.contains(&"existing") || before.contains(&"pull")
    {
        return false;
    }
    if ["max", "min", "num", "total"].contains(&words[0]) {
        return false;
    }
    // `secret_id` of Vault's AppRole is a secret.
    if DESCRIBING.contains(last) && (*last != "id" || before.last() != Some(&"secret")) {
        return false;
    }
    if is_hook(&words) {
        return true;
    }
    if ["url", "uri"].contains(last) {
        return false;
    }
    if ["key", "keys"].contains(last) {
        return is_secret_key(name, before);
    }
    is_named(&words)
}

/// Whether the value of this name is a GitHub credential: `INPUT_GITHUB-TOKEN`, `GH_PAT`.
pub(crate) fn is_for_github(name: &str) -> bool {
    let github =
        |word: &String| word.contains("github") || ["gh", "ghe", "ghes"].contains(&word.as_str());
    is_secret(name) && words(name).iter().any(github)
}

/// Whether a key below the key of a secret only gives its location or describes it.
pub(crate) fn is_place(name: &str) -> bool {
    if is_secret(name) {
        return false;
    }
    let words = words(name);
    let last = words.last().map(String::as_str).unwrap_or_default();
    DESCRIBING.contains(&last) || PLACES.contains(&last)
}

fn is_named(words: &[&str]) -> bool {
    // An AWS service, in ARNs and actions: `secretsmanager:GetSecretValue`.
    let words: Vec<&str> = words
        .iter()
        .filter(|it| **it != "secretsmanager")
        .copied()
        .collect();
    let single = |word: &&str| WHOLE.contains(word) || WITHIN.iter().any(|it| word.contains(it));
    let pair = |pair: &[&str]| matches!(pair, [first, second] if PAIRS.contains(&(first, second)));
    // `kubernetes.io/dockerconfigjson` and `docker config json` name the same.
    let joined = words.concat();
    words.iter().any(single)
        || words.windows(2).any(pair)
        || ["dockerconfigjson", "dockercfg", "apikey"]
            .iter()
            .any(|it| joined.ends_with(it))
}

/// Whether a name is that of a webhook whose URL needs no other credential.
fn is_hook(words: &[&str]) -> bool {
    let words = match words {
        [before @ .., "url" | "uri"] => before,
        _ => words,
    };
    matches!(words, [.., service, "hook" | "webhook"] if HOOKS.contains(service))
}

/// Whether a name that ends in `key` is that of a secret: true for `API_KEY` and `tls.key`, false for `cacheKey` and
/// `existingSecretPasswordKey` (the key of a Secret).
fn is_secret_key(name: &str, before: &[&str]) -> bool {
    let Some(which) = before.last() else {
        return false;
    };
    if KEYS.contains(which)
        || WITHIN
            .iter()
            .any(|it| which.ends_with(it) && it.ends_with("key"))
    {
        return true;
    }
    let shouted = !name.bytes().any(|it| it.is_ascii_lowercase());
    shouted && !HARMLESS_KEYS.contains(which)
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|it| it.is_ascii_digit())
}

/// The words of a name, in lower case: split at other characters than letters and digits, and before capitals.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in name.split(|it: char| !it.is_alphanumeric()) {
        let characters: Vec<char> = part.chars().collect();
        let mut word = String::new();
        for (index, character) in characters.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|it| characters.get(it));
            let next = characters.get(index + 1);
            // `dbPassword` splits before `P`, and `APIKey` before `K`.
            let begins = character.is_uppercase()
                && before.is_some_and(|it| {
                    !it.is_uppercase() || next.is_some_and(|next| next.is_lowercase())
                });
            if begins && !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            word.extend(character.to_lowercase());
        }
        if !word.is_empty() {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_in_every_spelling() {
        for name in [
            "token",
            "github_token",
            "GITHUB_TOKEN",
            "TOKEN_2",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "STRIPE_API_KEY",
            "apiKey",
            "APIKey",
            "api-key",
            "x-api-key",
            "DB_PASSWD",
            "dbPasswd",
            "DB_PASS",
            "DB_PWD",
            "PGPASSWORD",
            "MYSQL_ROOT_PASSWORD",
            "github_webhook_secret_token",
            "githubWebhookSecretToken",
            "clientSecret",
            "secret_id",
            "tls.key",
            "ca.key",
            "id_rsa",
            "SSH_PRIVATE_KEY",
            "signingKey",
            "SENTRY_KEY",
            ".dockerconfigjson",
            "DOCKER_AUTH_CONFIG",
            "auth",
            "Authorization",
            "proxy-authorization",
            "passphrase",
            "GH_PAT",
            "connectionString",
            "AZURE_STORAGE_CONNECTION_STRING",
            "SENTRY_DSN",
            "COSIGN_PASSWORD",
            "credentials",
            "github_app_private_key",
            "X-Amz-Signature",
            "X-Amz-Security-Token",
            "sessionCookie",
            "HMAC",
            "WEBHOOK_HMAC",
            "stripe_key",
            "pgpass",
            "SLACK_WEBHOOK",
            "slackWebhookUrl",
            "storepass",
        ] {
            assert!(is_secret(name), "{name}");
        }
    }

    #[test]
    fn what_describes_a_secret_or_says_where_it_is_is_shown() {
        for name in [
            "name",
            "key",
            "secretName",
            "secretKeyRef",
            "privateKeySecretRef",
            "existingSecret",
            "existingSecretPasswordKey",
            "imagePullSecrets",
            "tokenOwner",
            "tokenExpirationSeconds",
            "passwordFile",
            "TOKEN_URL",
            "authorization_request",
            "AWS_ACCESS_KEY_ID",
            "arcctl.dev/secret-version",
            "secretsManager",
            "authSecret.create",
            "author",
            "authority",
            "certificate-authority-data",
            "publicKey",
            "PUBLIC_KEY",
            "CACHE_KEY",
            "cacheKey",
            "topologyKey",
            "PWD",
            "compass",
            "keyboard",
            "installationId",
            "caBundle",
            "path",
            "passwordSecretRef",
            "githubWebhookServer",
            "webhookPort",
            "WEBHOOK_URL",
            "slackChannel",
            "hmacAlgorithm",
            "bypass",
            "max_tokens",
            "secretsmanager",
            "credential_process",
            "",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn below_a_secret_its_place_is_shown_and_nothing_else() {
        for name in [
            "env",
            "file",
            "secretsManager",
            "ssm",
            "namespace",
            "name",
            "key",
            "create",
        ] {
            assert!(is_place(name), "{name}");
        }
        for name in [
            "value",
            "text",
            "github_webhook_secret_token",
            "token",
            "foo",
            "data",
        ] {
            assert!(!is_place(name), "{name}");
        }
    }

    #[test]
    fn a_credential_for_github_is_known_by_its_name() {
        for name in [
            "GITHUB_TOKEN",
            "INPUT_GITHUB-TOKEN",
            "gh_pat",
            "GHES_TOKEN",
            "TF_VAR_github_token",
            "GITHUB_APP_PRIVATE_KEY",
        ] {
            assert!(is_for_github(name), "{name}");
        }
        for name in [
            "TOKEN",
            "GITHUB_REPOSITORY",
            "GITHUB_TOKEN_FILE",
            "HIGH_TOKEN",
            "AWS_SESSION_TOKEN",
        ] {
            assert!(!is_for_github(name), "{name}");
        }
    }

    #[test]
    fn words_are_parted_where_a_reader_parts_them() {
        assert_eq!(
            words("AWS_SECRET_ACCESS_KEY"),
            ["aws", "secret", "access", "key"]
        );
        assert_eq!(words("APIKeyOfX"), ["api", "key", "of", "x"]);
        assert_eq!(words("tls.key"), ["tls", "key"]);
    }
}

//! Whether an answer can be used. Pure: no I/O.

use super::{ANY, APP, CLOUD, Key, NONE, SCHEDULES, SOURCES, numbers, source};
use crate::secret::shape::is_refused;

/// The answer `text` to `key`, without spaces around it and in its full form; an error says what is expected.
pub(crate) fn checked(key: Key, text: &str) -> Result<String, String> {
    let text = text.trim();
    // A token that was pasted: it is not repeated.
    if is_refused(text) {
        return Err(
            "this is a secret: name the place where it is, and revoke this one, since it was shown"
                .into(),
        );
    }
    if text.is_empty() || text.contains(['\n', '\r', '\'', '"']) {
        return Err("a name without quotes and line breaks".into());
    }
    match key {
        Key::Server => server(text),
        Key::Runners => match numbers(text) {
            Some((min, max)) if min >= 1 && min <= max && max <= 10_000 => {
                Ok(format!("{min}-{max}"))
            }
            Some((0, _)) => Err(ZERO.into()),
            _ => Err("the fewest and the most runners as MIN-MAX, for example 2-16".into()),
        },
        _ => {
            let (fits, expected) = form(key, text);
            if fits {
                Ok(text.to_owned())
            } else {
                Err(expected.to_owned())
            }
        }
    }
}

/// Whether an answer has its form, and the form in words.
fn form(key: Key, text: &str) -> (bool, &'static str) {
    match key {
        Key::Cluster => (
            is_cluster(text),
            "an EKS cluster and its region as NAME@REGION, for example runners@ap-northeast-2",
        ),
        Key::Credential | Key::AppPem => (
            (key == Key::Credential && text == APP)
                || half(text, &SOURCES)
                || source(text).is_some(),
            "env:NAME, file:PATH, secretsManager:NAME, ssm:NAME or kubernetesSecret:NAMESPACE/NAME/KEY",
        ),
        Key::App => (
            is_pair(text, |it| it.bytes().all(|it| it.is_ascii_digit())),
            "the id of the App and that of its installation as ID/INSTALLATION, for example 123456/7890123",
        ),
        Key::Scope => (
            is_scope(text),
            "a name as in its address; a repository as OWNER/NAME",
        ),
        Key::Containers => (["dind", NONE].contains(&text), "dind or none"),
        Key::Schedule => (
            SCHEDULES.contains(&text),
            "none, weekends or nights-and-weekends",
        ),
        Key::TimeZone => (
            jiff::tz::TimeZone::get(text).is_ok(),
            "an IANA time zone, for example Asia/Seoul",
        ),
        Key::Nodes => (
            text == ANY || text.contains('.'),
            "an EC2 instance type, for example t3a.large, or any",
        ),
        // The others are names; two have a function of their own.
        Key::CaBundle | Key::Group | Key::Role | Key::Server | Key::Runners => (true, ""),
    }
}

fn is_cluster(text: &str) -> bool {
    let eks = |it: &str| {
        it.split_once('@')
            .is_some_and(|(name, region)| !name.is_empty() && region.contains('-'))
    };
    match text.split_once(':') {
        Some(("context", name)) => !name.is_empty(),
        Some(("eks", place)) => place.is_empty() || eks(place),
        _ => false,
    }
}

fn is_scope(text: &str) -> bool {
    let plain = |it: &str| {
        it.chars()
            .all(|it| it.is_ascii_alphanumeric() || "._-".contains(it))
    };
    match text.split_once(':') {
        Some(("enterprise" | "organization", name)) => plain(name),
        Some(("repository", name)) => name.is_empty() || is_pair(name, plain),
        _ => false,
    }
}

/// Whether `text` is two parts that fit, with a slash between.
fn is_pair(text: &str, fits: impl Fn(&str) -> bool) -> bool {
    text.split_once('/').is_some_and(|(first, second)| {
        [first, second]
            .into_iter()
            .all(|it| !it.is_empty() && fits(it))
    })
}

/// Why a minimum of 0 is not offered.
const ZERO: &str = "at least 1: the metric of this profile is the share of busy runners, and without a runner nothing is \
                    busy, so it would stay at 0 (docs/profile.md, `scaling`, has metrics that can leave 0)";

fn half(text: &str, kinds: &[&str]) -> bool {
    text.strip_suffix(':').is_some_and(|it| kinds.contains(&it))
}

fn server(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let host = rest.trim_end_matches('/');
    let bare = host.to_ascii_lowercase();
    if ["github.com", "www.github.com", "api.github.com"].contains(&bare.as_str()) {
        return Ok(CLOUD.to_owned());
    }
    if host.is_empty() || host.contains(['/', '@', ' ']) {
        return Err(
            "github.com, or the address of a GitHub Enterprise Server as https://HOST".into(),
        );
    }
    Ok(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_read_in_its_full_form() {
        for (key, text, expected) in [
            (Key::Server, "ghe.example.com/", "https://ghe.example.com"),
            (Key::Server, "https://GitHub.com", "github.com"),
            (Key::Server, "http://127.0.0.1:80", "http://127.0.0.1:80"),
            (Key::Runners, " 2 - 16", "2-16"),
            (Key::Runners, "3", "3-3"),
            (
                Key::Cluster,
                "eks:runners@ap-northeast-2",
                "eks:runners@ap-northeast-2",
            ),
            (Key::Credential, "env:TOKEN", "env:TOKEN"),
            (
                Key::Credential,
                "kubernetesSecret:a/b/c",
                "kubernetesSecret:a/b/c",
            ),
            (Key::Scope, "repository:a/b", "repository:a/b"),
            (Key::TimeZone, "Asia/Seoul", "Asia/Seoul"),
        ] {
            assert_eq!(checked(key, text).as_deref(), Ok(expected), "{text}");
        }
        for (key, text) in [
            (Key::Server, "https://"),
            (Key::Server, "https://a/b"),
            (Key::Runners, "0-4"),
            (Key::Runners, "5-4"),
            (Key::Runners, "many"),
            (Key::Cluster, "eks:runners"),
            (Key::Cluster, "runners"),
            (Key::Credential, "TOKEN"),
            (Key::Credential, "kubernetesSecret:a/b"),
            (Key::App, "12"),
            (Key::App, "12/x"),
            (Key::Scope, "repository:a"),
            (Key::Scope, "organization:a/b"),
            (Key::TimeZone, "Seoul"),
            (Key::Group, "a'b"),
            (Key::Nodes, "large"),
            (Key::Role, ""),
        ] {
            assert!(checked(key, text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_is_refused_and_not_repeated() {
        let token = "ghp_0123456789abcdefghij0123456789abcdef";
        let why = checked(Key::Credential, token).unwrap_err();
        assert!(!why.contains("0123"), "{why}");
        assert!(checked(Key::Role, token).is_err());
    }
}

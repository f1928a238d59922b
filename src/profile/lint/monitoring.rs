//! Rules about `monitoring`. Pure.

use super::{super::Profile, Path, Report};

/// The label of everything that arcctl owns, and the beginning of its others.
const RESERVED: [&str; 2] = ["app.kubernetes.io/managed-by", "arcctl.dev/"];

pub(super) fn check(profile: &Profile, report: &mut Report) {
    let Some(monitoring) = &profile.monitoring else {
        return;
    };
    let path = Path::from(["monitoring"]).key("labels");
    for (key, value) in &monitoring.labels {
        if RESERVED.iter().any(|it| key.starts_with(it)) {
            report.error(
                path.key(key),
                format!("`{key}` is a label that arcctl sets itself"),
                "remove it",
            );
        } else if !is_key(key) {
            report.error(
                path.key(key),
                format!("`{key}` cannot be the name of a label"),
                "write at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends, and before them, if you like, a domain and `/`",
            );
        } else if !is_name(value, true) {
            report.error(
                path.key(key),
                format!("`{value}` cannot be the value of a label"),
                "write at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends",
            );
        }
    }
}

fn is_key(key: &str) -> bool {
    let (domain, name) = match key.split_once('/') {
        Some((domain, name)) => (Some(domain), name),
        None => (None, key),
    };
    let is_domain = |domain: &str| {
        domain.len() <= 253
            && domain.split('.').all(|part| {
                is_name(part, false)
                    && !part.contains(|it: char| it == '_' || it.is_ascii_uppercase())
            })
    };
    is_name(name, false) && domain.is_none_or(is_domain)
}

/// Letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_name(text: &str, may_be_empty: bool) -> bool {
    let inside = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    let ends = |text: &str| {
        text.starts_with(|it: char| it.is_ascii_alphanumeric())
            && text.ends_with(|it: char| it.is_ascii_alphanumeric())
    };
    text.len() <= 63 && text.chars().all(inside) && (ends(text) || text.is_empty() && may_be_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_as_kubernetes_wants_them() {
        for good in ["release", "a", "a.b_c-d", "example.com/release"] {
            assert!(is_key(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "",
            "-a",
            "a-",
            "a b",
            "Example.com/a",
            "/a",
            "a/",
            "a/b/c",
            &long,
        ] {
            assert!(!is_key(bad), "{bad}");
        }
        assert!(is_name("", true) && is_name("kube-prometheus", true) && !is_name("é", true));
    }
}

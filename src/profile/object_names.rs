//! The formats of names, labels and keys that the API server accepts. Pure.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation` (`IsDNS1123Label`, `IsDNS1123Subdomain`, `IsQualifiedName`,
//! `IsValidLabelValue`, `IsValidPortName`); documentation: "Object Names and IDs" and "Labels and Selectors".

/// The format of most object names, for hints.
pub const OBJECT_NAME: &str =
    "at most 253 characters of a-z, 0-9, `-` and `.`, with a letter or digit at both ends";
/// The format of names of containers, volumes and namespaces, for hints.
pub const SHORT_NAME: &str =
    "at most 63 characters of a-z, 0-9 and `-`, with a letter or digit at both ends";
/// The format of label and annotation keys, for hints.
pub const KEY: &str = "at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends, and before them, if you like, a domain and `/`";
/// The format of label values, for hints.
pub const VALUE: &str =
    "at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends";

/// Whether it is a valid name of a container, a volume or a namespace.
pub fn is_short_name(name: &str) -> bool {
    name.len() <= 63 && is_part(name)
}

/// Whether it is a valid name of most objects.
pub fn is_object_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_part)
}

/// Whether it is a valid key of a label, an annotation, a node selector, a toleration.
pub fn is_key(key: &str) -> bool {
    let (domain, name) = match key.split_once('/') {
        Some((domain, name)) => (Some(domain), name),
        None => (None, key),
    };
    is_name(name) && domain.is_none_or(is_object_name)
}

/// Whether it is a valid label value.
pub fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

/// Whether it is a valid port name: at most 15 characters of a-z, 0-9 and `-`, a letter among them.
pub fn is_port_name(name: &str) -> bool {
    name.len() <= 15
        && is_part(name)
        && !name.contains("--")
        && name.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_name(text: &str) -> bool {
    let inside = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    (1..=63).contains(&text.len())
        && text.chars().all(inside)
        && text.starts_with(|it: char| it.is_ascii_alphanumeric())
        && text.ends_with(|it: char| it.is_ascii_alphanumeric())
}

fn is_part(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !part.is_empty()
        && part.bytes().all(|byte| plain(byte) || byte == b'-')
        && !part.starts_with('-')
        && !part.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_as_kubernetes_wants_them() {
        for good in [
            "release",
            "a",
            "a.b_c-d",
            "example.com/release",
            "A/B".to_lowercase().as_str(),
        ] {
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
        assert!(is_label_value("") && is_label_value("kube-prometheus"));
        assert!(!is_label_value("é") && !is_label_value(&long) && !is_label_value("a b"));
    }

    #[test]
    fn names_are_as_kubernetes_wants_them() {
        assert!(is_object_name("a.b-c.d0") && is_short_name("a-b"));
        for bad in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a b", "a/b"] {
            assert!(!is_object_name(bad), "{bad}");
        }
        assert!(!is_short_name("a.b") && !is_short_name(&"a".repeat(64)));
        assert!(is_port_name("http") && is_port_name("h2-c"));
        for bad in ["", "80", "a--b", "Http", "a-name-that-is-long"] {
            assert!(!is_port_name(bad), "{bad}");
        }
    }
}

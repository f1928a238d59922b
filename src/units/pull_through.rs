//! Pull-through rules of Amazon ECR: which registries have one, and the addresses that they give. Pure.
//!
//! Source: Amazon ECR's user guide, "Sync an upstream registry with an Amazon ECR private registry"
//! (docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html), and its API reference,
//! `CreatePullThroughCacheRule`. ECR has rules for some registries more (Azure, GitLab, Chainguard, ECR itself): no image of
//! arcctl is there.

/// A registry that Amazon ECR pulls images through from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its host in the reference of an image.
    pub host: &'static str,
    /// Its host in a rule.
    pub url: &'static str,
    /// Its name in a rule.
    pub name: &'static str,
    /// The prefix of its repositories, where the profile names no other.
    pub prefix: &'static str,
    /// Whether a rule needs a login, as a secret in Secrets Manager.
    pub needs_login: bool,
}

/// The registries. The prefixes are those that ECR's console proposes, where the guide names one.
pub const UPSTREAMS: [Upstream; 5] = [
    Upstream {
        host: "docker.io",
        url: "registry-1.docker.io",
        name: "docker-hub",
        prefix: "docker-hub",
        needs_login: true,
    },
    Upstream {
        host: "ghcr.io",
        url: "ghcr.io",
        name: "github-container-registry",
        prefix: "ghcr",
        needs_login: true,
    },
    Upstream {
        host: "public.ecr.aws",
        url: "public.ecr.aws",
        name: "ecr-public",
        prefix: "ecr-public",
        needs_login: false,
    },
    Upstream {
        host: "quay.io",
        url: "quay.io",
        name: "quay",
        prefix: "quay",
        needs_login: false,
    },
    Upstream {
        host: "registry.k8s.io",
        url: "registry.k8s.io",
        name: "k8s",
        prefix: "kubernetes",
        needs_login: false,
    },
];

/// What the name of a secret with a login must begin with.
pub const SECRET_PREFIX: &str = "ecr-pullthroughcache/";

/// The prefix of a rule for repositories without one.
pub const ROOT: &str = "ROOT";

/// The registry with this host in references.
pub fn upstream(host: &str) -> Option<&'static Upstream> {
    UPSTREAMS.iter().find(|it| it.host == host)
}

/// A place in a private registry of Amazon ECR: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/PREFIX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The account, 12 digits.
    pub account: &'a str,
    /// The region.
    pub region: &'a str,
    /// What the names of its repositories begin with, without a slash at its end; empty for all repositories.
    pub prefix: &'a str,
}

impl<'a> Place<'a> {
    /// Takes an address apart; `None` for another registry.
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_end_matches('/');
        let (host, prefix) = text.split_once('/').unwrap_or((text, ""));
        let (account, rest) = host.split_once(".dkr.ecr.")?;
        let (region, suffix) = rest.split_once('.')?;
        let is_account = account.len() == 12 && account.bytes().all(|it| it.is_ascii_digit());
        let is_found = is_account && !region.is_empty() && !suffix.is_empty();
        is_found.then_some(Self {
            account,
            region,
            prefix,
        })
    }
}

/// Whether a rule can have this prefix: 2 to 30 characters of a-z, 0-9 and, between them, `.`, `_`, `-` and `/`.
pub fn is_prefix(text: &str) -> bool {
    let part = |part: &str| {
        let ends = |it: Option<char>| it.is_some_and(|it| it.is_ascii_alphanumeric());
        ends(part.chars().next()) && ends(part.chars().next_back())
    };
    let known = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "._-/".contains(it);
    (2..=30).contains(&text.len()) && text.chars().all(known) && text.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registry_has_a_prefix_of_its_own() {
        for it in UPSTREAMS {
            assert!(is_prefix(it.prefix), "{it:?}");
            assert_eq!(upstream(it.host), Some(&it));
            let same = UPSTREAMS.iter().filter(|other| other.prefix == it.prefix);
            assert_eq!(same.count(), 1, "{it:?}");
        }
        assert_eq!(upstream("registry-1.docker.io"), None);
        assert_eq!(upstream("registry.example.com"), None);
    }

    #[test]
    fn an_address_of_a_private_registry_is_taken_apart() {
        let found =
            Place::parse("111122223333.dkr.ecr.ap-northeast-2.amazonaws.com/a/quay/").unwrap();
        assert_eq!(
            (found.account, found.region, found.prefix),
            ("111122223333", "ap-northeast-2", "a/quay")
        );
        let whole = Place::parse("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn").unwrap();
        assert_eq!((whole.region, whole.prefix), ("cn-north-1", ""));
        for other in [
            "",
            "public.ecr.aws/docker",
            "registry.example.com/dkr.ecr/a",
            "1.dkr.ecr.us-east-1.amazonaws.com/a",
            "111122223333.dkr.ecr.us-east-1/a",
        ] {
            assert_eq!(Place::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_prefix_has_the_form_of_a_repository() {
        for good in ["docker-hub", "a1", "team/cache", "a_b.c"] {
            assert!(is_prefix(good), "{good}");
        }
        let long = "a".repeat(31);
        for bad in ["", "a", "Quay", "-a", "a-", "a//b", "/a", "a/", "ä1", &long] {
            assert!(!is_prefix(bad), "{bad}");
        }
    }
}

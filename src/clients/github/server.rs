//! The GitHub server of a profile: its API URL, web URL and version. Pure: no I/O.

use std::fmt;

use crate::profile::{api_of, has_data_residency};

/// The oldest GitHub Enterprise Server that the controller supports (reference: arc.md 5, minimums).
pub const OLDEST: Version = Version { major: 3, minor: 6 };

/// A GitHub server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The URL of its API, without a trailing `/`.
    pub api: String,
    /// The URL of its web pages, without a trailing `/`.
    pub web: String,
    /// The expected product.
    pub product: Product,
}

/// The GitHub products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// github.com, or a host of it with data residency (`NAME.ghe.com`).
    Cloud,
    /// A GitHub Enterprise Server.
    EnterpriseServer,
}

impl Server {
    /// The server at `url`, the value of `github.url`; github.com without one.
    pub fn of(url: Option<&str>) -> Self {
        let Some(url) = url else {
            return Self {
                api: api_of(None),
                web: "https://github.com".into(),
                product: Product::Cloud,
            };
        };
        let web = url.trim_end_matches('/').to_owned();
        Self {
            api: api_of(Some(url)),
            product: if has_data_residency(url) {
                Product::Cloud
            } else {
                Product::EnterpriseServer
            },
            web,
        }
    }
}

/// The version of a GitHub Enterprise Server, major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl Version {
    /// Parses `3.19.0`, and `enterprise-server@3.19.0` from the header.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers = text.rsplit('@').next()?;
        let mut numbers = numbers.split('.');
        Some(Self {
            major: numbers.next()?.parse().ok()?,
            minor: numbers.next()?.parse().ok()?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_version_is_none() {
        assert_eq!(Version::parse("enterprise-server"), None);
        assert_eq!(Version::parse("3"), None);
        assert_eq!(Version::parse(""), None);
    }

    #[test]
    fn versions_compare_by_number_and_not_by_text() {
        let parsed = Version::parse("enterprise-server@3.19.0").unwrap();
        assert!(parsed > OLDEST);
        assert!(Version::parse("3.5.19").unwrap() < OLDEST);
    }

    #[test]
    fn a_server_of_its_own_has_its_api_under_a_path() {
        let server = Server::of(Some("https://ghe.example/"));
        assert_eq!(server.api, "https://ghe.example/api/v3");
        assert_eq!(server.web, "https://ghe.example");
        assert_eq!(Server::of(None).api, "https://api.github.com");
        let tenant = Server::of(Some("https://doge.ghe.com"));
        assert_eq!(tenant.api, "https://api.doge.ghe.com");
        assert_eq!(
            Server::of(Some("https://ghe.com.evil")).api,
            "https://ghe.com.evil/api/v3"
        );
    }
}

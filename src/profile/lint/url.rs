//! Parses the parts of a URL that the rules need. Pure.
//!
//! Not with the crate `url`: it repairs (`https:/ghe`, `127.1`), and the controller gets the profile's text as it is.

/// The parts of a URL.
pub(super) struct Url<'a> {
    pub(super) scheme: &'a str,
    /// Whether it contains a user name or password.
    pub(super) has_user: bool,
    pub(super) host: &'a str,
    /// The part after host and port; `/` alone counts as empty.
    pub(super) path: &'a str,
}

impl<'a> Url<'a> {
    /// Parses a URL; `None` if it is invalid.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (has_user, host_port) = match authority.rsplit_once('@') {
            Some((_, host_port)) => (true, host_port),
            None => (false, authority),
        };
        let (host, port) = if let Some(rest) = host_port.strip_prefix('[') {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                rest.strip_prefix(':').or(rest.is_empty().then_some("80")),
            )
        } else {
            let (host, port) = host_port.split_once(':').unwrap_or((host_port, "80"));
            let label = |label: &str| {
                !label.is_empty()
                    && label
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            };
            host.split('.').all(label).then_some(())?;
            (host, Some(port))
        };
        port?.parse::<u16>().ok()?;
        let path = if path == "/" { "" } else { path };
        Some(Self {
            scheme,
            has_user,
            host,
            path,
        })
    }

    /// Whether the host is the local machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let url = Url::parse("https://user:pass@ghe.example.com:8443/api").unwrap();
        assert_eq!(
            (url.scheme, url.host, url.path, url.has_user),
            ("https", "ghe.example.com", "/api", true)
        );
        assert!(Url::parse("http://[::1]:80/").unwrap().is_loopback());
        assert!(Url::parse("http://127.0.0.1:1").unwrap().is_loopback());
        assert_eq!(Url::parse("https://ghe/").unwrap().path, "");
        for text in [
            "",
            "ghe.example.com",
            "https://",
            "https://a b",
            "https://a:99999",
            "https://a..b",
            "http://[::1",
        ] {
            assert!(Url::parse(text).is_none(), "{text}");
        }
    }
}

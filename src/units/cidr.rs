//! CIDRs in the canonical form of EC2, so that one network has one text. Pure: no I/O.
//!
//! Source: EC2 API reference, `IpRange.CidrIp`: `100.68.0.18/18` is stored as `100.68.0.0/18`; IPv6 in lower case and
//! compressed.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

/// An IPv4 or IPv6 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(IpNet);

impl Network {
    /// Parses a CIDR in any form.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        // The standard library is stricter: some programs read `010.0.0.0` as octal, others as decimal.
        text.split_once('/')?.0.parse::<IpAddr>().ok()?;
        text.parse::<IpNet>().ok().map(|it| Self(it.trunc()))
    }

    /// The canonical text of a CIDR; other text is returned unchanged.
    pub fn canonical(text: &str) -> String {
        Self::parse(text).map_or_else(|| text.to_owned(), |it| it.to_string())
    }

    /// Whether two texts are the same network.
    pub fn same(left: &str, right: &str) -> bool {
        left == right || Self::parse(left).is_some_and(|it| Self::parse(right) == Some(it))
    }

    /// Whether it is an IPv6 network.
    pub fn is_v6(&self) -> bool {
        matches!(self.0, IpNet::V6(_))
    }

    /// Whether `networks` together contain all of it.
    pub fn is_covered_by(&self, networks: &[Self]) -> bool {
        let all: Vec<IpNet> = networks.iter().map(|it| it.0).collect();
        // Adjacent networks are merged first.
        IpNet::aggregate(&all).iter().any(|it| it.contains(&self.0))
    }

    /// Whether it contains all addresses: `0.0.0.0/0` or `::/0`.
    pub fn is_everything(&self) -> bool {
        self.0.prefix_len() == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_has_one_text() {
        for (given, kept) in [
            ("100.68.0.18/18", "100.68.0.0/18"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/32", "10.1.2.3/32"),
            ("2001:DB8:0:0::1/64", "2001:db8::/64"),
            (
                "2001:0db8:0000:0000:0000:0000:0000:0001/128",
                "2001:db8::1/128",
            ),
            ("::1/0", "::/0"),
            ("no network", "no network"),
        ] {
            assert_eq!(Network::canonical(given), kept);
            assert!(Network::same(given, kept));
        }
        for (left, right) in [
            ("10.0.0.0/8", "10.0.0.0/9"),
            ("a", "b"),
            ("0.0.0.0/0", "::/0"),
        ] {
            assert!(!Network::same(left, right), "{left} {right}");
        }
        for wrong in [
            "10.0.0.0",
            "10.0.0.0/33",
            "2001:db8::/129",
            "010.0.0.0/8",
            "",
        ] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn networks_cover_together() {
        let covered = |network: &str, by: &[&str]| {
            let by: Vec<Network> = by.iter().map(|it| Network::parse(it).unwrap()).collect();
            Network::parse(network).unwrap().is_covered_by(&by)
        };
        for (network, by, expected) in [
            ("10.0.0.1/32", &["0.0.0.0/0"][..], true),
            ("10.255.0.0/16", &["10.0.0.0/8"], true),
            ("10.0.0.0/8", &["10.0.0.0/16"], false),
            ("10.0.0.0/8", &["10.0.0.0/9", "10.128.0.0/9"], true),
            ("0.0.0.0/0", &["0.0.0.0/1", "128.0.0.0/1"], true),
            ("2001:db8:1::/48", &["2001:db8::/32"], true),
            ("2001:db8::/32", &["0.0.0.0/0"], false),
            ("10.0.0.0/8", &["::/0"], false),
            ("10.0.0.0/8", &[], false),
        ] {
            assert_eq!(covered(network, by), expected, "{network} {by:?}");
        }
    }
}

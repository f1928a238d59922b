//! Whether rules of security groups let a connection through. Pure: no I/O.

use std::{fmt, net::IpAddr};

/// Which way a connection goes, as the group with the rule sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It comes in.
    Ingress,
    /// It goes out.
    Egress,
}

/// The other side of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// What is in a security group.
    Group(String),
    /// Addresses.
    Cidr(String),
}

impl Direction {
    /// Its name: `ingress` or `egress`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// The direction of that name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Ingress, Self::Egress]
            .into_iter()
            .find(|it| it.word() == word)
    }
}

impl Peer {
    /// The group's id, or the CIDR.
    pub fn name(&self) -> &str {
        match self {
            Self::Group(name) | Self::Cidr(name) => name,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ingress => "from",
            Self::Egress => "to",
        })
    }
}

/// A rule that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LiveRule {
    /// Its id.
    pub(super) id: String,
    /// Whether it is about connections that go out.
    pub(super) egress: bool,
    /// `tcp`, a number, or `-1` for all.
    pub(super) protocol: String,
    /// The first port; -1 is any.
    pub(super) from_port: i32,
    /// The last port.
    pub(super) to_port: i32,
    /// The addresses of the other side.
    pub(super) cidr: Option<String>,
    /// The group of the other side.
    pub(super) group: Option<String>,
    /// Whether its tags say that it is this cluster and profile's.
    pub(super) ours: bool,
}

impl LiveRule {
    /// Whether it is about TCP connections to `port` in `direction`.
    fn concerns(&self, direction: Direction, port: u16) -> bool {
        let port = i32::from(port);
        let tcp = matches!(self.protocol.as_str(), "tcp" | "6")
            && (self.from_port == -1 || (self.from_port..=self.to_port).contains(&port));
        self.egress == (direction == Direction::Egress) && (self.protocol == "-1" || tcp)
    }
}

/// Whether `rules` let TCP connections to `port` through: by naming one of `peers`, or by covering all of `addresses`.
pub(super) fn covered(
    rules: &[LiveRule],
    direction: Direction,
    port: u16,
    peers: &[String],
    addresses: &[String],
) -> bool {
    let rules: Vec<&LiveRule> = rules
        .iter()
        .filter(|it| it.concerns(direction, port))
        .collect();
    let named = |rule: &&LiveRule| rule.group.as_ref().is_some_and(|it| peers.contains(it));
    let covers = |rule: &&LiveRule, address: &str| {
        rule.cidr.as_deref().is_some_and(|it| contains(it, address))
    };
    // Every address is a part of this one, also where the addresses are not known.
    let everything = |rule: &&LiveRule| rule.cidr.as_deref() == Some("0.0.0.0/0");
    rules.iter().any(named)
        || rules.iter().any(everything)
        || (!addresses.is_empty()
            && addresses
                .iter()
                .all(|address| rules.iter().any(|rule| covers(rule, address))))
}

/// Whether the CIDR `outer` contains all of `inner`.
fn contains(outer: &str, inner: &str) -> bool {
    let (Some((outer, long)), Some((inner, longer))) = (network(outer), network(inner)) else {
        return false;
    };
    outer.1 == inner.1 && long <= longer && {
        let bits = outer.1 - long;
        bits >= 128 || outer.0 >> bits == inner.0 >> bits
    }
}

/// An address with the number of its bits, and how many of them are the network's.
fn network(cidr: &str) -> Option<((u128, u32), u32)> {
    let (address, length) = cidr.split_once('/')?;
    let number = match address.parse().ok()? {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let length = length.parse().ok().filter(|it| *it <= number.1)?;
    Some((number, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(
        protocol: &str,
        from: i32,
        to: i32,
        cidr: Option<&str>,
        group: Option<&str>,
    ) -> LiveRule {
        LiveRule {
            protocol: protocol.into(),
            from_port: from,
            to_port: to,
            cidr: cidr.map(str::to_owned),
            group: group.map(str::to_owned),
            ..LiveRule::default()
        }
    }

    fn passes(rules: &[LiveRule], addresses: &[&str]) -> bool {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        covered(rules, Direction::Ingress, 443, &["sg-a".into()], &addresses)
    }

    #[test]
    fn equivalent_rules_are_recognised() {
        let subnets = ["10.1.0.0/24", "10.1.1.0/24"];
        assert!(passes(
            &[rule("tcp", 443, 443, None, Some("sg-a"))],
            &subnets
        ));
        assert!(passes(&[rule("-1", -1, -1, None, Some("sg-a"))], &subnets));
        assert!(passes(
            &[rule("tcp", 0, 65535, None, Some("sg-a"))],
            &subnets
        ));
        assert!(passes(
            &[rule("6", 400, 500, Some("10.0.0.0/8"), None)],
            &subnets
        ));
        assert!(passes(&[rule("-1", -1, -1, Some("0.0.0.0/0"), None)], &[]));
        let one_each = [
            rule("tcp", 443, 443, Some("10.1.0.0/24"), None),
            rule("tcp", 443, 443, Some("10.1.1.0/24"), None),
        ];
        assert!(passes(&one_each, &subnets));
    }

    #[test]
    fn what_is_narrower_or_beside_is_not() {
        let subnets = ["10.1.0.0/24", "10.1.1.0/24"];
        for wrong in [
            rule("tcp", 444, 500, None, Some("sg-a")),
            rule("udp", 443, 443, None, Some("sg-a")),
            rule("tcp", 443, 443, None, Some("sg-b")),
            rule("tcp", 443, 443, Some("10.1.0.0/24"), None),
            rule("tcp", 443, 443, Some("10.1.0.0/25"), None),
            rule("tcp", 443, 443, Some("::/0"), None),
            LiveRule {
                egress: true,
                ..rule("tcp", 443, 443, None, Some("sg-a"))
            },
        ] {
            assert!(!passes(std::slice::from_ref(&wrong), &subnets), "{wrong:?}");
        }
        assert!(!passes(
            &[rule("tcp", 443, 443, Some("10.0.0.0/8"), None)],
            &[]
        ));
    }

    #[test]
    fn a_network_contains_its_parts() {
        for (outer, inner, expected) in [
            ("0.0.0.0/0", "10.0.0.1/32", true),
            ("10.0.0.0/8", "10.255.0.0/16", true),
            ("10.0.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/8", false),
            ("::/0", "2001:db8::/32", true),
            ("2001:db8::/32", "2001:db8:1::/48", true),
            ("10.0.0.0/33", "10.0.0.0/33", false),
            ("nonsense", "10.0.0.0/8", false),
        ] {
            assert_eq!(contains(outer, inner), expected, "{outer} {inner}");
        }
    }
}

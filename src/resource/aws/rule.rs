//! Evaluates security group rules: whether they allow a connection. Pure: no I/O.

use crate::{
    desired::resource::aws::{Direction, Peer},
    units::Network,
};

/// A live rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LiveRule {
    /// The group of the rule.
    pub(super) home: String,
    /// Its id.
    pub(super) id: String,
    /// Whether it is an egress rule.
    pub(super) egress: bool,
    /// `tcp`, a number, or `-1` for all.
    pub(super) protocol: String,
    /// The first port; -1 is all ports.
    pub(super) from_port: i32,
    /// The last port.
    pub(super) to_port: i32,
    /// The CIDR block of the peer.
    pub(super) cidr: Option<String>,
    /// The prefix list of the peer.
    pub(super) prefix_list: Option<String>,
    /// The CIDR blocks in that prefix list, once it has been read.
    pub(super) listed: Vec<String>,
    /// The security group of the peer.
    pub(super) group: Option<String>,
    /// Whether its tags are those of this cluster and profile.
    pub(super) ours: bool,
}

impl LiveRule {
    /// Whether it allows TCP connections to `port` in `direction`.
    pub(super) fn concerns(&self, direction: Direction, port: u16) -> bool {
        let port = i32::from(port);
        let tcp = matches!(self.protocol.as_str(), "tcp" | "6")
            && (self.from_port == -1 || (self.from_port..=self.to_port).contains(&port));
        self.egress == (direction == Direction::Egress) && (self.protocol == "-1" || tcp)
    }

    /// Whether it has exactly this peer.
    pub(super) fn is_with(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Group(group) => self.group.as_ref() == Some(group),
            Peer::Cidr(cidr) => self.cidr.as_ref().is_some_and(|it| Network::same(it, cidr)),
        }
    }

    fn networks(&self) -> impl Iterator<Item = Network> {
        let texts = self.cidr.iter().chain(&self.listed);
        texts.filter_map(|it| Network::parse(it))
    }
}

/// Whether `addresses` are unknown: there are none, or they include all addresses.
pub(super) fn are_unknown(addresses: &[String]) -> bool {
    let everything = |it: &String| Network::parse(it).is_some_and(|it| it.is_everything());
    addresses.iter().all(everything)
}

/// Whether `rules` allow TCP connections to `port`: by naming one of `peers`, or by covering all of `addresses`.
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
    if rules.iter().any(named) {
        return true;
    }
    let networks: Vec<Network> = rules.iter().flat_map(|it| it.networks()).collect();
    let everything = ["0.0.0.0/0".to_owned()];
    // Where the addresses are unknown, all addresses must be allowed.
    let addresses = if addresses.is_empty() {
        &everything
    } else {
        addresses
    };
    addresses
        .iter()
        .all(|it| Network::parse(it).is_some_and(|it| it.is_covered_by(&networks)))
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
    fn an_ipv4_rule_covers_no_ipv6() {
        let both = ["10.1.0.0/24", "2001:db8:1::/64"];
        let v4 = rule("tcp", 443, 443, Some("0.0.0.0/0"), None);
        let v6 = rule("tcp", 443, 443, Some("2001:DB8::/32"), None);
        assert!(!passes(std::slice::from_ref(&v4), &both));
        assert!(!passes(std::slice::from_ref(&v6), &both));
        assert!(passes(&[v4, v6], &both));
    }

    #[test]
    fn a_prefix_list_covers_what_is_in_it() {
        let list = |networks: &[&str]| LiveRule {
            prefix_list: Some("pl-1".into()),
            listed: networks.iter().map(ToString::to_string).collect(),
            ..rule("tcp", 443, 443, None, None)
        };
        assert!(passes(
            &[list(&["192.0.2.0/24", "10.1.0.0/16"])],
            &["10.1.0.0/24"]
        ));
        assert!(passes(
            &[list(&["10.1.0.0/25", "10.1.0.128/25"])],
            &["10.1.0.0/24"]
        ));
        assert!(!passes(&[list(&["10.2.0.0/16"])], &["10.1.0.0/24"]));
        assert!(
            !passes(&[list(&[])], &["10.1.0.0/24"]),
            "it has not been read"
        );
        assert!(
            !passes(&[list(&["10.1.0.0/16"])], &[]),
            "the addresses are not known"
        );
    }

    #[test]
    fn a_rule_is_found_in_whichever_form_its_network_is_written() {
        let live = rule("tcp", 443, 443, Some("100.68.0.0/18"), None);
        assert!(live.is_with(&Peer::Cidr("100.68.0.18/18".into())));
        assert!(!live.is_with(&Peer::Cidr("100.68.0.0/19".into())));
        let live = rule("tcp", 443, 443, Some("2001:db8::/32"), None);
        assert!(live.is_with(&Peer::Cidr("2001:0DB8:0::/32".into())));
        assert!(!live.is_with(&Peer::Group("2001:db8::/32".into())));
    }
}

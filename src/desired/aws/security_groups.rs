//! The required security group rules: between the nodes, the GitHub server and the controller's webhooks. Pure: no I/O.

use std::cmp::Reverse;

use super::{Known, NodeNetwork, resource};
use crate::{
    desired::{
        Desired,
        resource::{
            Id,
            aws::{AwsResource, Direction, Peer, SecurityGroupRule},
        },
    },
    profile::{Aws, GithubServer, Profile},
    units::Network,
};

/// The purpose of the rules from the nodes to the GitHub server.
pub const TO_SERVER: &str = "the runners reach the GitHub server";
/// The purpose of the rule from the API server to the webhooks.
pub const TO_WEBHOOKS: &str = "the API server reaches the webhooks of the controller";

/// The port of the GitHub server.
const HTTPS: u16 = 443;
/// The port of kubelet, which EKS' required rules open to the API server.
const KUBELET: u16 = 10250;

/// The rules, by security group and connection.
pub(super) fn rules(profile: &Profile, aws: &Aws, known: &Known) -> Vec<Desired> {
    connections(profile, aws, known)
        .into_iter()
        .map(rule)
        .collect()
}

/// A rule and its id.
pub fn rule(rule: SecurityGroupRule) -> Desired {
    let (direction, port, peer) = (rule.direction, rule.port, rule.peer.name());
    let name = format!("{}-{port}-{direction}-{peer}", direction.word());
    let id = Id::new("security-group-rule", Some(&rule.group), &name);
    resource(id, AwsResource::Rule(rule))
}

/// Whether `profile` needs the connection of `rule`, whatever nodes the cluster has now: a cluster without nodes may
/// get new ones.
pub fn is_for(profile: &Profile, rule: &SecurityGroupRule) -> bool {
    let Some(aws) = &profile.aws else {
        return false;
    };
    let server = aws.github_server.as_ref();
    let group = server.and_then(|it| it.security_group.as_deref());
    let cidr = server.and_then(|it| it.cidr.as_deref());
    let is_server = |peer: &Peer| match peer {
        Peer::Group(peer) => group == Some(peer.as_str()),
        Peer::Cidr(peer) => cidr.is_some_and(|it| Network::same(it, peer)),
    };
    match rule.direction {
        Direction::Ingress if group == Some(rule.group.as_str()) => rule.port == HTTPS,
        Direction::Ingress => {
            profile.has_deployments() && rule.port == profile.controller.webhook_port
        }
        Direction::Egress => rule.port == HTTPS && is_server(&rule.peer),
    }
}

impl Known {
    /// The security group to create a node's rule in: one of its own if it has one, else the cluster's. Of several: the one that
    /// is tagged as the cluster's, as a node has one of these (AWS cloud provider, Karpenter); then the one of the most nodes'
    /// networks, so that few rules are needed; only then the order of the ids decides.
    fn own_group<'a>(&self, network: &'a NodeNetwork) -> Option<&'a String> {
        let own = |it: &&String| !self.control_plane_groups.contains(it);
        let networks = |group: &String| {
            let all = self.nodes.iter();
            all.filter(|it| it.groups.contains(group)).count()
        };
        let own = network.groups.iter().filter(own);
        own.min_by_key(|it| (!self.tagged_groups.contains(*it), Reverse(networks(it))))
            .or(network.groups.first())
    }

    /// The CIDRs for a peer known only by its group. If pods have IPv6 addresses, the peer may too.
    fn anywhere(&self) -> Vec<String> {
        let both = ["0.0.0.0/0", "::/0"].map(str::to_owned);
        if self.ipv6 { both.into() } else { Vec::new() }
    }
}

/// The required connections, each as the rule to create for it.
fn connections(profile: &Profile, aws: &Aws, known: &Known) -> Vec<SecurityGroupRule> {
    let mut rules: Vec<SecurityGroupRule> = Vec::new();
    for network in &known.nodes {
        let Some(own) = known.own_group(network) else {
            continue;
        };
        let server = aws.github_server.iter();
        let server = server.flat_map(|server| to_server(profile, server, network, own, known));
        for rule in server.chain(to_webhooks(profile, known, network, own)) {
            // Nodes with different groups may need the same rule: then one that covers all of them is required.
            match rules.iter_mut().find(|it| it.is_same(&rule)) {
                Some(known) => {
                    known.groups.retain(|it| rule.groups.contains(it));
                    known.peers.retain(|it| rule.peers.contains(it));
                    known.addresses.extend(rule.addresses);
                }
                None => rules.push(rule),
            }
        }
    }
    rules
}

/// The rules from nodes to the GitHub server.
fn to_server(
    profile: &Profile,
    server: &GithubServer,
    network: &NodeNetwork,
    own: &str,
    known: &Known,
) -> Vec<SecurityGroupRule> {
    let out = |peer, peers, addresses| SecurityGroupRule {
        group: own.to_owned(),
        groups: network.groups.clone(),
        direction: Direction::Egress,
        port: HTTPS,
        peer,
        peers,
        addresses,
        purpose: TO_SERVER.to_owned(),
        instead: None,
        sid: known.sid.clone(),
        profile: profile.name.clone(),
    };
    let mut rules = Vec::new();
    if let Some(group) = &server.security_group {
        rules.push(SecurityGroupRule {
            group: group.clone(),
            groups: vec![group.clone()],
            direction: Direction::Ingress,
            ..out(
                Peer::Group(own.to_owned()),
                network.groups.clone(),
                network.subnets.clone(),
            )
        });
        rules.push(out(
            Peer::Group(group.clone()),
            vec![group.clone()],
            known.anywhere(),
        ));
    }
    if let Some(cidr) = &server.cidr {
        // In EC2's form: arcctl finds a rule by its text.
        let cidr = Network::canonical(cidr);
        rules.push(out(Peer::Cidr(cidr.clone()), Vec::new(), vec![cidr]));
    }
    rules
}

/// The rule from the API server to the controller's webhooks, whichever nodes run its pods.
fn to_webhooks(
    profile: &Profile,
    known: &Known,
    network: &NodeNetwork,
    own: &str,
) -> Option<SecurityGroupRule> {
    // GitHub's own controller of scale sets has no webhooks.
    let group = known
        .control_plane_groups
        .first()
        .filter(|_| profile.has_deployments())?;
    Some(SecurityGroupRule {
        group: own.to_owned(),
        groups: network.groups.clone(),
        direction: Direction::Ingress,
        port: profile.controller.webhook_port,
        peer: Peer::Group(group.clone()),
        peers: known.control_plane_groups.clone(),
        addresses: known.control_plane_subnets.clone(),
        purpose: TO_WEBHOOKS.to_owned(),
        instead: (profile.controller.webhook_port != KUBELET).then_some(
            "write `webhookPort: 10250` under `controller` in the profile: EKS's own rules let that port through",
        ),
        sid: known.sid.clone(),
        profile: profile.name.clone(),
    })
}

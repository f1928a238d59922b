//! Security group rules as EC2 stores them: CIDRs in canonical form, no duplicates, and no group of a VPC that is not joined.
//!
//! Sources: EC2 API reference, `IpRange.CidrIp` and `Ipv6Range.CidrIpv6` ("100.68.0.18/18 is modified to
//! 100.68.0.0/18"); error code `InvalidPermission.Duplicate`, which does not look at descriptions; `InvalidGroup.NotFound` for
//! groups of two VPCs (ansible/ansible issue 30053), unless a peering connection joins them (VPC peering guide, "Update
//! your security groups to reference peer security groups").

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::{call::Call, refusal::Refusal};
use crate::cloud::api::{Api, texts};

/// Whether a call adds or takes away rules.
pub(super) fn concerns(call: &Call) -> bool {
    call.service == "ec2"
        && (call.action.starts_with("AuthorizeSecurityGroup")
            || call.action.starts_with("RevokeSecurityGroup"))
}

/// Writes the CIDRs as EC2 keeps them, and refuses a rule that EC2 would not add.
pub(super) async fn judge(call: &mut Call, moto: &Api) -> Result<(), Refusal> {
    canonical(call)?;
    if !call.action.starts_with("Authorize") {
        return Ok(());
    }
    let filter = [
        ("Filter.1.Name", "group-id"),
        ("Filter.1.Value.1", group(call).unwrap_or_default()),
    ];
    let there = moto.ec2("DescribeSecurityGroupRules", &filter).await;
    if let Some(refusal) = duplicate(call, &there.unwrap_or_default()) {
        return Err(refusal);
    }
    let own = vpc(moto, group(call).unwrap_or_default()).await;
    for peer in peers(call) {
        let theirs = vpc(moto, &peer).await;
        if let (Some(own), Some(theirs)) = (&own, &theirs)
            && own != theirs
        {
            let peerings = moto.ec2("DescribeVpcPeeringConnections", &[]).await;
            if !is_joined(&peerings.unwrap_or_default(), own, theirs) {
                let said = "You have specified two resources that belong to different networks.";
                return Err(Refusal::new(400, "InvalidGroup.NotFound", said));
            }
        }
    }
    Ok(())
}

/// The VPC of a group.
async fn vpc(moto: &Api, group: &str) -> Option<String> {
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group)];
    let answer = moto.ec2("DescribeSecurityGroups", &filter).await.ok()?;
    texts(&answer, "vpcId").next()
}

/// The groups that the rules of a call name.
fn peers(call: &Call) -> Vec<String> {
    let named = call.arguments.iter();
    named
        .filter(|(name, _)| name.starts_with("IpPermissions.") && name.ends_with(".GroupId"))
        .map(|(_, value)| value.clone())
        .collect()
}

/// Whether moto's answer to `DescribeVpcPeeringConnections` has an active one between two VPCs.
fn is_joined(answer: &str, one: &str, other: &str) -> bool {
    answer.split("<vpcPeeringConnectionId>").skip(1).any(|it| {
        let vpcs: Vec<String> = texts(it, "vpcId").collect();
        let is_active = texts(it, "code").any(|code| code == "active");
        is_active
            && [one, other]
                .iter()
                .all(|it| vpcs.iter().any(|vpc| vpc == it))
    })
}

/// Writes the CIDRs as EC2 keeps them; what is none is refused.
fn canonical(call: &mut Call) -> Result<(), Refusal> {
    for (name, value) in &mut call.arguments {
        let v4 = name.ends_with(".CidrIp");
        if !v4 && !name.ends_with(".CidrIpv6") {
            continue;
        }
        let network = value.parse::<IpNet>().ok();
        let network = network.filter(|it| v4 == matches!(it, IpNet::V4(_)));
        let Some(network) = network else {
            let said = format!("CIDR block {value} is malformed");
            return Err(Refusal::new(400, "InvalidParameterValue", said));
        };
        *value = network.trunc().to_string();
    }
    Ok(())
}

/// The protocol, the ports and the other side of a rule.
type Rule = (String, String, String, String);

/// Protocols have a number and, some of them, a name.
fn protocol(text: &str) -> String {
    match text {
        "6" => "tcp",
        "17" => "udp",
        "1" => "icmp",
        other => other,
    }
    .to_owned()
}

/// The rules that a call names.
fn named(call: &Call) -> Vec<Rule> {
    let mut permissions: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for (name, value) in &call.arguments {
        let rest = name.strip_prefix("IpPermissions.");
        if let Some((number, field)) = rest.and_then(|it| it.split_once('.')) {
            permissions.entry(number).or_default().insert(field, value);
        }
    }
    let mut rules = Vec::new();
    for fields in permissions.values() {
        let of = |name: &str| fields.get(name).copied().unwrap_or("-1");
        let protocol = protocol(of("IpProtocol"));
        let ports = if protocol == "-1" {
            ("-1", "-1")
        } else {
            (of("FromPort"), of("ToPort"))
        };
        for (field, value) in fields {
            let peer = ["CidrIp", "CidrIpv6", "GroupId", "PrefixListId"];
            if peer.iter().any(|it| field.ends_with(&format!(".{it}"))) {
                let (from, to) = (ports.0.to_owned(), ports.1.to_owned());
                rules.push((protocol.clone(), from, to, (*value).to_owned()));
            }
        }
    }
    rules
}

/// The rules in moto's answer to `DescribeSecurityGroupRules` that are for `egress` in `group`.
fn live(answer: &str, group: &str, egress: bool) -> Vec<Rule> {
    let first = |item: &str, name: &str| texts(item, name).next();
    answer
        .split("<securityGroupRuleId>")
        .skip(1)
        .filter(|item| {
            first(item, "isEgress").as_deref() == Some(if egress { "true" } else { "false" })
        })
        .filter(|item| first(item, "groupId").is_some() && item.contains(group))
        .filter_map(|item| {
            let protocol = protocol(&first(item, "ipProtocol")?);
            let port = |name: &str| {
                let port = first(item, name).filter(|_| protocol != "-1");
                port.unwrap_or_else(|| "-1".into())
            };
            let (from, to) = (port("fromPort"), port("toPort"));
            let referenced = item
                .split("<referencedGroupInfo>")
                .nth(1)
                .and_then(|it| first(it, "groupId"));
            let peer = first(item, "cidrIpv4")
                .or_else(|| first(item, "cidrIpv6"))
                .or_else(|| first(item, "prefixListId"))
                .or(referenced)?;
            Some((protocol, from, to, peer))
        })
        .collect()
}

/// The group that a call changes.
fn group(call: &Call) -> Option<&str> {
    call.argument("GroupId")
}

/// Refuses a rule that is there; `answer` is moto's to `DescribeSecurityGroupRules` of the group.
fn duplicate(call: &Call, answer: &str) -> Option<Refusal> {
    let group = group(call)?;
    let there = live(answer, group, call.action.ends_with("Egress"));
    let twice = named(call).into_iter().find(|it| there.contains(it))?;
    let (protocol, from, to, peer) = twice;
    let said = format!(
        "the specified rule \"peer: {peer}, {protocol}, from port: {from}, to port: {to}, ALLOW\" already exists"
    );
    Some(Refusal::new(400, "InvalidPermission.Duplicate", said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(pairs: &[(&str, &str)]) -> Call {
        Call {
            service: "ec2".into(),
            action: "AuthorizeSecurityGroupIngress".into(),
            arguments: pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Call::default()
        }
    }

    #[test]
    fn cidrs_are_kept_in_canonical_form() {
        for (name, given, kept) in [
            (
                "IpPermissions.1.IpRanges.1.CidrIp",
                "100.68.0.18/18",
                "100.68.0.0/18",
            ),
            (
                "IpPermissions.1.IpRanges.1.CidrIp",
                "10.0.0.1/32",
                "10.0.0.1/32",
            ),
            (
                "IpPermissions.1.Ipv6Ranges.1.CidrIpv6",
                "2001:DB8:0:0::1/64",
                "2001:db8::/64",
            ),
            ("IpPermissions.1.Ipv6Ranges.1.CidrIpv6", "::/0", "::/0"),
        ] {
            let mut call = call(&[(name, given)]);
            canonical(&mut call).unwrap();
            assert_eq!(call.arguments[0].1, kept);
        }
        for (name, given) in [
            ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/33"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "2001:db8::/64"),
            ("IpPermissions.1.Ipv6Ranges.1.CidrIpv6", "10.0.0.0/8"),
        ] {
            assert!(canonical(&mut call(&[(name, given)])).is_err(), "{given}");
        }
    }

    #[test]
    fn vpcs_are_joined_by_an_active_peering() {
        let answer = |code: &str| {
            format!(
                "<item><vpcPeeringConnectionId>pcx-1</vpcPeeringConnectionId><requesterVpcInfo><vpcId>vpc-a</vpcId></requesterVpcInfo>\
                 <accepterVpcInfo><vpcId>vpc-b</vpcId></accepterVpcInfo><status><code>{code}</code></status></item>"
            )
        };
        assert!(is_joined(&answer("active"), "vpc-b", "vpc-a"));
        assert!(!is_joined(&answer("pending-acceptance"), "vpc-b", "vpc-a"));
        assert!(!is_joined(&answer("active"), "vpc-a", "vpc-c"));
    }

    #[test]
    fn a_rule_is_there_once_whatever_its_description() {
        let answer = "<item><securityGroupRuleId>sgr-1</securityGroupRuleId><groupId>sg-1</groupId><isEgress>false</isEgress>\
            <ipProtocol>tcp</ipProtocol><fromPort>443</fromPort><toPort>443</toPort>\
            <referencedGroupInfo><groupId>sg-2</groupId></referencedGroupInfo></item>";
        let with = |peer: &str, port: &str| {
            call(&[
                ("GroupId", "sg-1"),
                ("IpPermissions.1.IpProtocol", "6"),
                ("IpPermissions.1.FromPort", port),
                ("IpPermissions.1.ToPort", port),
                ("IpPermissions.1.Groups.1.GroupId", peer),
                ("IpPermissions.1.Groups.1.Description", "another"),
            ])
        };
        assert!(duplicate(&with("sg-2", "443"), answer).is_some());
        assert!(duplicate(&with("sg-3", "443"), answer).is_none());
        assert!(duplicate(&with("sg-2", "444"), answer).is_none());
    }
}

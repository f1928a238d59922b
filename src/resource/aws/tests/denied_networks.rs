//! Access denied in calls about networks and Pod Identity.

use super::{
    denied::Case,
    denying::There,
    samples::{association, live_rule, rule, rule_of_others, to_group},
};
use crate::desired::resource::aws::Direction;

#[expect(clippy::too_many_lines, reason = "one table")]
pub(super) fn rules() -> Vec<Case> {
    const IN: Direction = Direction::Ingress;
    const OUT: Direction = Direction::Egress;
    let nothing = There::default;
    let with = |egress| There {
        rules: live_rule(egress),
        ..There::default()
    };
    let by = |peer: &str| There {
        rules: rule_of_others(peer),
        ..There::default()
    };
    vec![
        (
            "ec2:DescribeSecurityGroups",
            "*",
            nothing(),
            call!(|aws, writes| rule(IN).observe(aws, writes)),
        ),
        (
            "ec2:GetManagedPrefixListEntries",
            "pl-1",
            by("<prefixListId>pl-1</prefixListId>"),
            call!(|aws, writes| rule(OUT).observe(aws, writes)),
        ),
        (
            "ec2:DescribeNetworkInterfaces",
            "*",
            by("<cidrIpv4>192.0.2.0/24</cidrIpv4>"),
            call!(|aws, writes| to_group().observe(aws, writes)),
        ),
        (
            "ec2:DescribeSecurityGroupRules",
            "sg-1",
            nothing(),
            call!(|aws, writes| rule(IN).observe(aws, writes)),
        ),
        (
            "ec2:AuthorizeSecurityGroupIngress",
            "sg-1",
            nothing(),
            call!(|aws, writes| rule(IN).apply(aws, writes)),
        ),
        (
            "ec2:AuthorizeSecurityGroupEgress",
            "sg-1",
            nothing(),
            call!(|aws, writes| rule(OUT).apply(aws, writes)),
        ),
        (
            "ec2:RevokeSecurityGroupIngress",
            "sg-1",
            with(false),
            call!(|aws, writes| rule(IN).delete(aws, writes)),
        ),
        (
            "ec2:RevokeSecurityGroupEgress",
            "sg-1",
            with(true),
            call!(|aws, writes| rule(OUT).delete(aws, writes)),
        ),
    ]
}

pub(super) fn associations() -> Vec<Case> {
    let nothing = There::default;
    let other = || There {
        association: Some("x"),
        ..There::default()
    };
    vec![
        (
            "eks:ListPodIdentityAssociations",
            "runners",
            nothing(),
            call!(|aws, writes| association().remains(aws, writes)),
        ),
        (
            "eks:DescribePodIdentityAssociation",
            "runners",
            other(),
            call!(|aws, writes| association().remains(aws, writes)),
        ),
        (
            "eks:CreatePodIdentityAssociation",
            "runners",
            nothing(),
            call!(|aws, writes| association().apply(aws, writes)),
        ),
        (
            "eks:UpdatePodIdentityAssociation",
            "runners",
            other(),
            call!(|aws, writes| association().apply(aws, writes)),
        ),
        (
            "eks:DeletePodIdentityAssociation",
            "runners",
            other(),
            call!(|aws, writes| association().delete(aws, writes)),
        ),
    ]
}

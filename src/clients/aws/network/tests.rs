//! Tests what is read of interfaces, by the requests and responses of EC2.

use super::*;
use crate::clients::aws::wire::{Wire, answer, field, operation};

/// An interface of an instance as EC2 returns it.
fn interface(id: &str, group: &str, (card, device): (u32, u32), kind: &str) -> String {
    format!(
        "<item><networkInterfaceId>{id}</networkInterfaceId><subnetId>subnet-1</subnetId><interfaceType>{kind}</interfaceType>\
         <groupSet><item><groupId>{group}</groupId></item></groupSet>\
         <attachment><deviceIndex>{device}</deviceIndex><networkCardIndex>{card}</networkCardIndex></attachment></item>"
    )
}

/// EC2 with one instance that has `interfaces`; those in `tagged` have the unmanaged tag.
fn ec2(interfaces: &[String], tagged: &'static [&'static str]) -> Wire {
    let all = interfaces.concat();
    Wire::new(move |request| {
        if operation(request) == "DescribeInstances" {
            return answer(
                200,
                format!(
                    "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId>\
                     <networkInterfaceSet>{all}</networkInterfaceSet></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"
                ),
            );
        }
        let key = field(request, "Filter.2.Name");
        assert_eq!(key.as_deref(), Some("tag:node.k8s.amazonaws.com/no_manage"));
        let value = field(request, "Filter.2.Value.1");
        assert_eq!(value.as_deref(), Some("true"));
        let asked = (1..9).filter_map(|it| field(request, &format!("Filter.1.Value.{it}")));
        let found: Vec<String> = asked
            .filter(|it| tagged.contains(&it.as_str()))
            .map(|it| format!("<item><networkInterfaceId>{it}</networkInterfaceId></item>"))
            .collect();
        let found = found.concat();
        answer(
            200,
            format!(
                "<DescribeNetworkInterfacesResponse><networkInterfaceSet>{found}</networkInterfaceSet></DescribeNetworkInterfacesResponse>"
            ),
        )
    })
}

async fn groups(wire: &Wire) -> BTreeSet<String> {
    let found = wire.aws().interfaces(&["i-1".to_owned()]).await.unwrap();
    found.into_iter().flat_map(|it| it.groups).collect()
}

fn set(groups: &[&str]) -> BTreeSet<String> {
    groups.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn only_what_pods_use_counts() {
    let all = [
        interface("eni-0", "sg-node", (0, 0), "interface"),
        interface("eni-1", "sg-pods", (0, 1), "interface"),
        interface("eni-2", "sg-storage", (0, 2), "interface"),
        interface("eni-3", "sg-efa", (0, 3), "efa-only"),
        interface("eni-4", "sg-card", (1, 1), "interface"),
        interface("eni-5", "sg-trunk", (0, 4), "trunk"),
    ];
    // The tag is ignored on the primary interface.
    let wire = ec2(&all, &["eni-0", "eni-2"]);
    assert_eq!(
        groups(&wire).await,
        set(&["sg-node", "sg-pods", "sg-trunk"])
    );
}

#[tokio::test]
async fn a_group_has_a_vpc_and_tags() {
    let wire = Wire::new(|_| {
        answer(
            200,
            "<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>sg-1</groupId><vpcId>vpc-1</vpcId>\
             <tagSet><item><key>Name</key><value>nodes</value></item></tagSet></item></securityGroupInfo></DescribeSecurityGroupsResponse>"
                .to_owned(),
        )
    });
    let found = wire.aws().security_groups(set(&["sg-1", "sg-2"])).await;
    let expected = SecurityGroup {
        vpc: Some("vpc-1".into()),
        tags: set(&["Name"]),
    };
    assert_eq!(
        found.unwrap(),
        BTreeMap::from([("sg-1".to_owned(), expected)])
    );
}

#[tokio::test]
async fn every_private_address_of_an_interface_counts() {
    let address = |it: &str| format!("<privateIpAddress>{it}</privateIpAddress>");
    let [first, second] = ["10.0.1.4", "10.0.1.5"].map(address);
    let wire = Wire::new(move |_| {
        answer(
            200,
            format!(
                "<DescribeNetworkInterfacesResponse><networkInterfaceSet><item>{first}<privateIpAddressesSet>\
                 <item>{first}<primary>true</primary></item><item>{second}<primary>false</primary></item></privateIpAddressesSet>\
                 <ipv6AddressesSet><item><ipv6Address>2001:db8::1</ipv6Address></item></ipv6AddressesSet>\
                 </item></networkInterfaceSet></DescribeNetworkInterfacesResponse>"
            ),
        )
    });
    assert_eq!(
        wire.aws().addresses_in("sg-1").await.unwrap(),
        ["10.0.1.4/32", "10.0.1.5/32", "2001:db8::1/128"]
    );
}

#[tokio::test]
async fn nothing_more_is_asked_where_all_are_alike() {
    let all = [
        interface("eni-0", "sg-node", (0, 0), "interface"),
        interface("eni-1", "sg-node", (0, 1), "interface"),
    ];
    let wire = ec2(&all, &[]);
    assert_eq!(groups(&wire).await, set(&["sg-node"]));
    assert_eq!(wire.asked(), ["DescribeInstances"]);
}

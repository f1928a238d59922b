//! The simulated AWS account: resources of other owners.

use arcctl_sandbox::cloud::ACCOUNT;
use aws_sdk_ec2::{
    error::ProvideErrorMetadata,
    types::{
        AddPrefixListEntry, IpPermission, IpRange, Ipv6Range, PrefixListId, Tag, UserIdGroupPair,
    },
};

use crate::harness::account::Account;

impl Account {
    /// The code with which AWS refuses a call; `None` where it does not.
    pub(crate) fn code<T, E>(&self, call: impl Future<Output = Result<T, E>>) -> Option<String>
    where
        E: ProvideErrorMetadata,
    {
        let ended = self.runtime.block_on(call);
        ended.err().and_then(|it| it.code().map(str::to_owned))
    }

    pub(crate) fn make_user(&self, name: &str) {
        self.run(self.iam.create_user().user_name(name).send());
    }

    pub(crate) fn delete_user(&self, name: &str) {
        self.run(self.iam.delete_user().user_name(name).send());
    }

    pub(crate) fn put_role_policy(&self, role: &str, name: &str, document: &str) {
        let call = self.iam.put_role_policy().role_name(role);
        self.run(call.policy_name(name).policy_document(document).send());
    }

    /// A second network interface of an instance, as the VPC CNI attaches it with custom networking; its subnet is that of the
    /// instance.
    pub(crate) fn add_interface(&self, instance: &str, group: &str) -> String {
        let found = self.run(self.ec2.describe_instances().instance_ids(instance).send());
        let subnet = found.reservations()[0].instances()[0].subnet_id().unwrap();
        let made = self.ec2.create_network_interface().subnet_id(subnet);
        let made = self.run(made.groups(group).send());
        let id = made.network_interface().unwrap().network_interface_id();
        let id = id.unwrap().to_owned();
        let attach = self.ec2.attach_network_interface().instance_id(instance);
        let attach = attach.network_interface_id(&id).device_index(1);
        self.run(attach.send());
        id
    }

    /// Puts an instance into one group. moto adds the groups of an instance to each of its interfaces, also to those that have
    /// groups of their own; EC2 does not.
    pub(crate) fn put_into(&self, instance: &str, group: &str) {
        let call = self.ec2.modify_instance_attribute().instance_id(instance);
        self.run(call.groups(group).send());
    }

    pub(crate) fn tag(&self, resource: &str, key: &str, value: &str) {
        let tag = Tag::builder().key(key).value(value).build();
        let call = self.ec2.create_tags().resources(resource).tags(tag);
        self.run(call.send());
    }

    /// What another profile leaves of a provider that somebody else made: a client, and the mark that arcctl added it.
    pub(crate) fn add_client(&self, issuer: &str, client: &str, mark: &str) {
        let arn = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}");
        let add = self.iam.add_client_id_to_open_id_connect_provider();
        let add = add.open_id_connect_provider_arn(&arn).client_id(client);
        self.run(add.send());
        let tag = aws_sdk_iam::types::Tag::builder().key(mark).value(client);
        let call = self.iam.tag_open_id_connect_provider();
        let call = call.open_id_connect_provider_arn(&arn);
        self.run(call.tags(tag.build().unwrap()).send());
    }

    /// Something with an address in `group`, in the subnet.
    pub(crate) fn make_interface(&self, subnet: &str, group: &str) -> String {
        let made = self.ec2.create_network_interface().subnet_id(subnet);
        let made = self.run(made.groups(group).send());
        let interface = made.network_interface().unwrap();
        interface.private_ip_address().unwrap().to_owned()
    }

    pub(crate) fn make_prefix_list(&self, networks: &[&str]) -> String {
        let call = self.ec2.create_managed_prefix_list();
        let call = call.prefix_list_name("list").address_family("IPv4");
        let entry = |it: &&str| AddPrefixListEntry::builder().cidr(*it).build();
        let entries = networks.iter().map(entry).collect();
        let made = self.run(call.max_entries(10).set_entries(Some(entries)).send());
        made.prefix_list()
            .unwrap()
            .prefix_list_id()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn tcp() -> aws_sdk_ec2::types::builders::IpPermissionBuilder {
        IpPermission::builder()
            .ip_protocol("tcp")
            .from_port(443)
            .to_port(443)
    }

    /// Lets TCP 443 out of `group`: to a prefix list.
    pub(crate) fn allow_out_to_list(&self, group: &str, list: &str) {
        let list = PrefixListId::builder().prefix_list_id(list).build();
        self.allow_out(group, Self::tcp().prefix_list_ids(list).build());
    }

    /// Lets TCP 443 out of `group`: to a group.
    pub(crate) fn allow_out_to_group(&self, group: &str, to: &str) {
        let to = UserIdGroupPair::builder().group_id(to).build();
        self.allow_out(group, Self::tcp().user_id_group_pairs(to).build());
    }

    /// Lets TCP 443 out of `group`: to a network.
    pub(crate) fn allow_out_to(&self, group: &str, network: &str) {
        let permission = if network.contains(':') {
            Self::tcp().ipv6_ranges(Ipv6Range::builder().cidr_ipv6(network).build())
        } else {
            Self::tcp().ip_ranges(IpRange::builder().cidr_ip(network).build())
        };
        self.allow_out(group, permission.build());
    }

    fn allow_out(&self, group: &str, permission: IpPermission) {
        let call = self.ec2.authorize_security_group_egress().group_id(group);
        self.run(call.ip_permissions(permission).send());
    }
}

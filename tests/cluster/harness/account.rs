//! The simulated AWS account from its owner's view: its resources, and changes by other users.

use std::{collections::BTreeMap, future::Future};

use arcctl_sandbox::{
    cloud::{ACCOUNT, rules::OWNER},
    proxy::System,
};
use aws_credential_types::Credentials;
use aws_sdk_eks::{
    operation::update_pod_identity_association::builders::UpdatePodIdentityAssociationFluentBuilder,
    types::PodIdentityAssociation,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::cluster::Cluster;

/// The account. Its calls go through the proxy, and are counted.
pub(crate) struct Account {
    pub(crate) runtime: Runtime,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) ec2: aws_sdk_ec2::Client,
    s3: aws_sdk_s3::Client,
    eks: aws_sdk_eks::Client,
}

macro_rules! client {
    ($sdk:ident, $url:expr, $key:expr $(, $setting:ident)?) => {
        $sdk::Client::from_conf(
            $sdk::Config::builder()
                .behavior_version($sdk::config::BehaviorVersion::latest())
                .region($sdk::config::Region::new("ap-northeast-2"))
                .endpoint_url($url)
                $(.$setting(true))?
                .credentials_provider(Credentials::new($key, "sandbox", None, None, "test"))
                .http_client(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https())
                .build(),
        )
    };
}

impl Account {
    /// The account as its owner, whose changes IAM shows at once.
    pub(crate) fn of(cluster: &Cluster) -> Self {
        Self::signed_by(cluster, OWNER)
    }

    /// The account as a colleague, whose changes IAM shows late.
    pub(crate) fn colleague(cluster: &Cluster) -> Self {
        Self::signed_by(cluster, "colleague")
    }

    fn signed_by(cluster: &Cluster, key: &str) -> Self {
        let url = cluster.world().proxy(System::Aws).unwrap().url();
        Self {
            runtime: Runtime::new().unwrap(),
            iam: client!(aws_sdk_iam, &url, key),
            ec2: client!(aws_sdk_ec2, &url, key),
            s3: client!(aws_sdk_s3, &url, key, force_path_style),
            eks: client!(aws_sdk_eks, &url, key),
        }
    }

    pub(crate) fn run<T, E: std::fmt::Debug>(&self, call: impl Future<Output = Result<T, E>>) -> T {
        self.runtime.block_on(call).unwrap()
    }

    pub(crate) fn issuer(&self) -> String {
        let answer = self.run(self.eks.describe_cluster().name("runners").send());
        let issuer = answer
            .cluster()
            .and_then(|it| it.identity()?.oidc()?.issuer());
        issuer.unwrap().trim_start_matches("https://").to_owned()
    }

    pub(crate) fn trust(&self, role: &str) -> Value {
        let answer = self.run(self.iam.get_role().role_name(role).send());
        let text = answer
            .role()
            .unwrap()
            .assume_role_policy_document()
            .unwrap();
        arcctl::policy::Document::parse(text)
            .map(|it| serde_json::from_str(&it.text()).unwrap())
            .unwrap()
    }

    pub(crate) fn set_trust(&self, role: &str, document: &Value) {
        let call = self.iam.update_assume_role_policy().role_name(role);
        self.run(call.policy_document(document.to_string()).send());
    }

    /// The same to the byte.
    pub(crate) fn set_trust_text(&self, role: &str, text: &str) {
        let call = self.iam.update_assume_role_policy().role_name(role);
        self.run(call.policy_document(text).send());
    }

    pub(crate) fn make_role(&self, role: &str, trust: &Value) {
        let call = self.iam.create_role().role_name(role);
        self.run(call.assume_role_policy_document(trust.to_string()).send());
    }

    pub(crate) fn make_role_at(&self, path: &str, role: &str, trust: &Value, boundary: &str) {
        let call = self.iam.create_role().role_name(role).path(path);
        let call = call.permissions_boundary(boundary);
        self.run(call.assume_role_policy_document(trust.to_string()).send());
    }

    pub(crate) fn set_boundary(&self, role: &str, boundary: &str) {
        let call = self.iam.put_role_permissions_boundary().role_name(role);
        self.run(call.permissions_boundary(boundary).send());
    }

    pub(crate) fn role(&self, role: &str) -> aws_sdk_iam::types::Role {
        let answer = self.run(self.iam.get_role().role_name(role).send());
        answer.role.unwrap()
    }

    /// The instances of the nodes, in the nodes' order within each zone.
    pub(crate) fn instances(&self) -> Vec<String> {
        let answer = self.run(self.ec2.describe_instances().send());
        let all = answer
            .reservations()
            .iter()
            .flat_map(aws_sdk_ec2::types::Reservation::instances);
        all.map(|it| it.instance_id().unwrap().to_owned()).collect()
    }

    pub(crate) fn make_vpc(&self, cidr: &str) -> String {
        let answer = self.run(self.ec2.create_vpc().cidr_block(cidr).send());
        answer.vpc().unwrap().vpc_id().unwrap().to_owned()
    }

    pub(crate) fn make_group(&self, vpc: &str, name: &str) -> String {
        let call = self
            .ec2
            .create_security_group()
            .vpc_id(vpc)
            .group_name(name);
        let answer = self.run(call.description(name).send());
        answer.group_id().unwrap().to_owned()
    }

    /// Puts an instance into these groups only. At AWS the primary interface follows; at moto it does not.
    pub(crate) fn set_groups(&self, instance: &str, groups: &[&str]) {
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let call = self.ec2.modify_instance_attribute().instance_id(instance);
        self.run(call.set_groups(Some(groups.clone())).send());
        let found = self.run(self.ec2.describe_instances().instance_ids(instance).send());
        for interface in found.reservations()[0].instances()[0].network_interfaces() {
            let id = interface.network_interface_id().unwrap();
            let call = self.ec2.modify_network_interface_attribute();
            let call = call.network_interface_id(id);
            self.run(call.set_groups(Some(groups.clone())).send());
        }
    }

    /// Lets TCP to these ports into `group` from a network.
    pub(crate) fn allow_cidr(&self, group: &str, (from, to): (i32, i32), cidr: &str) {
        let range = aws_sdk_ec2::types::IpRange::builder().cidr_ip(cidr).build();
        let rule = aws_sdk_ec2::types::IpPermission::builder()
            .ip_protocol("tcp")
            .from_port(from)
            .to_port(to)
            .ip_ranges(range)
            .build();
        let call = self.ec2.authorize_security_group_ingress().group_id(group);
        self.run(call.ip_permissions(rule).send());
    }

    pub(crate) fn attached(&self, role: &str) -> Vec<String> {
        let answer = self.run(
            self.iam
                .list_attached_role_policies()
                .role_name(role)
                .send(),
        );
        let policies = answer.attached_policies().iter();
        policies
            .map(|it| it.policy_arn().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn attach(&self, role: &str, policy: &str) {
        self.run(
            self.iam
                .attach_role_policy()
                .role_name(role)
                .policy_arn(policy)
                .send(),
        );
    }

    pub(crate) fn detach(&self, role: &str, policy: &str) {
        self.run(
            self.iam
                .detach_role_policy()
                .role_name(role)
                .policy_arn(policy)
                .send(),
        );
    }

    /// The ARNs of the account's OIDC providers.
    pub(crate) fn providers(&self) -> Vec<String> {
        let answer = self.run(self.iam.list_open_id_connect_providers().send());
        let all = answer.open_id_connect_provider_list().iter();
        all.filter_map(|it| it.arn().map(str::to_owned)).collect()
    }

    /// The association of a service account of the runners' namespace.
    pub(crate) fn association(&self, account: &str) -> Option<PodIdentityAssociation> {
        let list = self
            .eks
            .list_pod_identity_associations()
            .cluster_name("runners");
        let list = list.namespace("actions-runner").service_account(account);
        let found = self.run(list.send());
        let id = found.associations().first()?.association_id()?.to_owned();
        let read = self.eks.describe_pod_identity_association();
        let read = read.cluster_name("runners").association_id(id);
        self.run(read.send()).association
    }

    pub(crate) fn make_association(&self, account: &str, role: &str) {
        let create = self
            .eks
            .create_pod_identity_association()
            .cluster_name("runners");
        let create = create.namespace("actions-runner").service_account(account);
        self.run(create.role_arn(role).send());
    }

    pub(crate) fn set_association_role(&self, account: &str, role: &str) {
        self.run(self.association_update(account).role_arn(role).send());
    }

    /// Has the role of an association lead to a further one.
    pub(crate) fn set_association_target(&self, account: &str, target: &str) {
        self.run(
            self.association_update(account)
                .target_role_arn(target)
                .send(),
        );
    }

    /// A change of an association, without what it changes.
    fn association_update(&self, account: &str) -> UpdatePodIdentityAssociationFluentBuilder {
        let found = self.association(account).unwrap();
        let update = self
            .eks
            .update_pod_identity_association()
            .cluster_name("runners");
        update.association_id(found.association_id().unwrap())
    }

    fn provider(issuer: &str) -> String {
        format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")
    }

    pub(crate) fn clients(&self, issuer: &str) -> Vec<String> {
        let call = self.iam.get_open_id_connect_provider();
        let answer = self.run(
            call.open_id_connect_provider_arn(Self::provider(issuer))
                .send(),
        );
        answer.client_id_list().to_vec()
    }

    /// A provider that somebody else made.
    pub(crate) fn make_provider(&self, issuer: &str, client: &str) {
        let call = self
            .iam
            .create_open_id_connect_provider()
            .url(format!("https://{issuer}"));
        self.run(call.client_id_list(client).send());
    }

    pub(crate) fn delete_provider(&self, issuer: &str) {
        let call = self.iam.delete_open_id_connect_provider();
        self.run(
            call.open_id_connect_provider_arn(Self::provider(issuer))
                .send(),
        );
    }

    /// Makes `client` the only client of the provider.
    pub(crate) fn set_client(&self, issuer: &str, client: &str) {
        self.delete_provider(issuer);
        self.make_provider(issuer, client);
    }

    /// Revokes what may come into `group` on `port` from the group `from`; moto takes the description for a part of the
    /// rule.
    pub(crate) fn revoke(&self, group: &str, port: i32, from: &str, description: &str) {
        let peer = aws_sdk_ec2::types::UserIdGroupPair::builder()
            .group_id(from)
            .description(description)
            .build();
        let rule = aws_sdk_ec2::types::IpPermission::builder()
            .ip_protocol("tcp")
            .from_port(port)
            .to_port(port)
            .user_id_group_pairs(peer)
            .build();
        let call = self.ec2.revoke_security_group_ingress().group_id(group);
        self.run(call.ip_permissions(rule).send());
    }

    /// Revokes the rule by which everything may go out of `group`.
    pub(crate) fn revoke_egress(&self, group: &str) {
        let all = aws_sdk_ec2::types::IpRange::builder()
            .cidr_ip("0.0.0.0/0")
            .build();
        let rule = aws_sdk_ec2::types::IpPermission::builder()
            .ip_protocol("-1")
            .ip_ranges(all)
            .build();
        let call = self.ec2.revoke_security_group_egress().group_id(group);
        self.run(call.ip_permissions(rule).send());
    }

    pub(crate) fn make_policy(&self, name: &str) {
        let document = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ecr:BatchGetImage", "Resource": "*"},
        ]});
        let call = self.iam.create_policy().policy_name(name);
        self.run(call.policy_document(document.to_string()).send());
    }

    pub(crate) fn make_bucket(&self, bucket: &str) {
        use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
        let place = CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::ApNortheast2)
            .build();
        self.run(
            self.s3
                .create_bucket()
                .bucket(bucket)
                .create_bucket_configuration(place)
                .send(),
        );
    }

    pub(crate) fn bucket_policy(&self, bucket: &str) -> Value {
        let answer = self.run(self.s3.get_bucket_policy().bucket(bucket).send());
        answer
            .policy()
            .map_or(json!(null), |it| serde_json::from_str(it).unwrap())
    }

    pub(crate) fn delete_bucket_policy(&self, bucket: &str) {
        self.run(self.s3.delete_bucket_policy().bucket(bucket).send());
    }

    /// Everything that is in the account, as it is shown: roles, providers, rules, policies of buckets.
    pub(crate) fn listing(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for role in self.run(self.iam.list_roles().send()).roles() {
            self.list_role(role.role_name(), &mut found);
        }
        let providers = self.run(self.iam.list_open_id_connect_providers().send());
        for provider in providers.open_id_connect_provider_list() {
            let arn = provider.arn().unwrap();
            let call = self.iam.get_open_id_connect_provider();
            let live = self.run(call.open_id_connect_provider_arn(arn).send());
            let shown = format!("{:?} {:?}", live.client_id_list(), live.tags());
            found.insert(arn.to_owned(), shown);
        }
        let rules = self.run(self.ec2.describe_security_group_rules().send());
        for rule in rules.security_group_rules() {
            let id = rule.security_group_rule_id().unwrap();
            found.insert(id.to_owned(), format!("{rule:?}"));
        }
        for bucket in self.run(self.s3.list_buckets().send()).buckets() {
            let name = bucket.name().unwrap();
            let policy = self
                .runtime
                .block_on(self.s3.get_bucket_policy().bucket(name).send());
            let text = policy.ok().and_then(|it| it.policy).unwrap_or_default();
            found.insert(format!("bucket {name}"), text);
        }
        found
    }

    fn list_role(&self, name: &str, found: &mut BTreeMap<String, String>) {
        let role = self.run(self.iam.get_role().role_name(name).send());
        let role = role.role().unwrap();
        let trust = role.assume_role_policy_document();
        let shown = format!("{} {trust:?} {:?}", role.arn(), role.tags());
        found.insert(format!("role {name}"), shown);
        found.insert(
            format!("policies of {name}"),
            format!("{:?}", self.attached(name)),
        );
        let inline = self.run(self.iam.list_role_policies().role_name(name).send());
        for policy in inline.policy_names() {
            let call = self.iam.get_role_policy().role_name(name);
            let live = self.run(call.policy_name(policy).send());
            let key = format!("policy {policy} of {name}");
            found.insert(key, live.policy_document().to_owned());
        }
    }

    /// Takes a role away, with what is in it.
    pub(crate) fn delete_role(&self, name: &str) {
        for policy in self.attached(name) {
            self.detach(name, &policy);
        }
        let inline = self.run(self.iam.list_role_policies().role_name(name).send());
        for policy in inline.policy_names() {
            let call = self.iam.delete_role_policy().role_name(name);
            self.run(call.policy_name(policy).send());
        }
        self.run(self.iam.delete_role().role_name(name).send());
    }

    pub(crate) fn put_bucket_policy(&self, bucket: &str, text: &str) {
        let call = self.s3.put_bucket_policy().bucket(bucket);
        self.run(call.policy(text).send());
    }
}

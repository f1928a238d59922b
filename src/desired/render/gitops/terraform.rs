//! What the runners need at AWS, as a Terraform module in its JSON syntax. Pure: no I/O.
//!
//! Only what is made: documents that others own (a role given by its ARN, the policy of a bucket) are merged into by hand,
//! since Terraform would replace them whole.

use serde_json::{Map, Value, json};

use crate::{
    desired::{
        Desired, placeholder,
        resource::{
            Resource,
            aws::{AwsResource, Direction, IamRole, Peer, SecurityGroupRule},
        },
    },
    policy::AUDIENCE,
    profile::Profile,
};

/// The versions of the provider that take these blocks. Before 5.81 `aws_iam_openid_connect_provider` needs a `thumbprint_list`
/// (terraform-provider-aws#37255); `aws_eks_pod_identity_association` came before.
const PROVIDER: &str = ">= 5.81.0";

/// The module; `None` for a profile that needs nothing at AWS.
pub fn module(profile: &Profile, resources: &[Desired]) -> Option<Value> {
    let at_aws: Vec<&AwsResource> = resources
        .iter()
        .filter_map(|it| match &it.resource {
            Resource::Aws(aws) => Some(aws),
            _ => None,
        })
        .collect();
    if at_aws.is_empty() {
        return None;
    }
    let created = at_aws.iter().find_map(|it| match it {
        AwsResource::Role(role) if role.create => Some(role.name.as_str()),
        _ => None,
    });
    let mut made: Map<String, Value> = Map::new();
    for resource in at_aws {
        for (kind, name, fields) in blocks(resource, created) {
            made.entry(kind).or_insert_with(|| json!({}))[name] = fields;
        }
    }
    let written = format!(
        "Written by `arcctl render --iam terraform` for the profile {}.",
        profile.name
    );
    let region = profile.cluster.region.as_deref();
    Some(with_variables(&written, PROVIDER, region, &made.into()))
}

/// A module with the blocks of `made`, by type and name, in which placeholders are variables; `version` is that of the
/// provider.
pub(in crate::desired::render) fn with_variables(
    written: &str,
    version: &str,
    region: Option<&str>,
    made: &Value,
) -> Value {
    let (made, mut texts) = as_template(made);
    let mut module = json!({
        "//": written,
        "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws", "version": version}}},
        "resource": made,
    });
    if let Some(region) = region {
        let (region, found) = as_template(&region.into());
        texts.extend(found);
        module["provider"] = json!({"aws": {"region": region}});
    }
    let variables: Map<String, Value> = placeholder::find(&texts.into())
        .into_iter()
        .map(|it| {
            let fields = json!({"type": "string", "description": it.meaning});
            (it.name.to_lowercase(), fields)
        })
        .collect();
    if !variables.is_empty() {
        module["variable"] = variables.into();
    }
    module
}

/// The blocks of a resource: type, name, arguments.
fn blocks(resource: &AwsResource, created: Option<&str>) -> Vec<(String, String, Value)> {
    let block = |kind: &str, name: &str, fields: Value| (kind.to_owned(), named(name), fields);
    match resource {
        AwsResource::Provider(provider) => vec![block(
            "aws_iam_openid_connect_provider",
            "cluster",
            json!({
                "url": format!("https://{}", provider.issuer),
                "client_id_list": [AUDIENCE],
            }),
        )],
        AwsResource::Role(role) if role.create => role_blocks(role),
        // Merged into by hand: its trust policy is another's document.
        AwsResource::Role(_) | AwsResource::BucketPolicy(_) => Vec::new(),
        AwsResource::RolePolicy(policy) if policy.statements.is_empty() => Vec::new(),
        AwsResource::RolePolicy(policy) => vec![block(
            "aws_iam_role_policy",
            &policy.role,
            json!({
                "name": "arcctl-buckets",
                "role": of_role(&policy.role, created, "id"),
                "policy": document(&policy.statements),
            }),
        )],
        AwsResource::Association(it) => vec![block(
            "aws_eks_pod_identity_association",
            &format!("{}-{}", it.namespace, it.service_account),
            json!({
                "cluster_name": it.cluster,
                "namespace": it.namespace,
                "service_account": it.service_account,
                "role_arn": match created {
                    Some(role) => of_role(role, created, "arn"),
                    None => it.role_arn.clone(),
                },
            }),
        )],
        AwsResource::Rule(rule) => vec![rule_block(rule)],
    }
}

fn role_blocks(role: &IamRole) -> Vec<(String, String, Value)> {
    let mut fields = json!({
        "name": role.name,
        "assume_role_policy": document(std::slice::from_ref(&role.trust)),
    });
    if let Some(path) = &role.path {
        fields["path"] = json!(path);
    }
    if let Some(boundary) = &role.permissions_boundary {
        fields["permissions_boundary"] = json!(boundary);
    }
    let mut blocks = vec![("aws_iam_role".to_owned(), named(&role.name), fields)];
    for policy in &role.managed_policies {
        let end = policy.rsplit('/').next().unwrap_or_default();
        blocks.push((
            "aws_iam_role_policy_attachment".to_owned(),
            named(&format!("{}-{end}", role.name)),
            json!({
                "role": of_role(&role.name, Some(&role.name), "name"),
                "policy_arn": policy,
            }),
        ));
    }
    blocks
}

fn rule_block(rule: &SecurityGroupRule) -> (String, String, Value) {
    let mut fields = json!({
        "security_group_id": rule.group,
        "description": rule.purpose,
        "ip_protocol": "tcp",
        "from_port": rule.port,
        "to_port": rule.port,
    });
    let (key, peer) = match &rule.peer {
        Peer::Group(group) => ("referenced_security_group_id", group),
        Peer::Cidr(cidr) if cidr.contains(':') => ("cidr_ipv6", cidr),
        Peer::Cidr(cidr) => ("cidr_ipv4", cidr),
    };
    fields[key] = json!(peer);
    let kind = match rule.direction {
        Direction::Ingress => "aws_vpc_security_group_ingress_rule",
        Direction::Egress => "aws_vpc_security_group_egress_rule",
    };
    let name = format!("{}-{}-{peer}", rule.group, rule.port);
    (kind.to_owned(), named(&name), fields)
}

/// An attribute of the role: of the block that makes it, so that Terraform makes it first.
fn of_role(role: &str, created: Option<&str>, attribute: &str) -> String {
    if created == Some(role) {
        // Marked, since other `${` is text: see `as_template`.
        format!("{BLOCK}aws_iam_role.{}.{attribute}}}", named(role))
    } else {
        role.to_owned()
    }
}

/// What begins a reference to another block, until the texts are templates.
const BLOCK: &str = "\u{0}{";

pub(in crate::desired::render) fn document(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// A name that Terraform takes: letters, digits, `_` and `-`, and no digit first.
pub(in crate::desired::render) fn named(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|it| if it.is_ascii_alphanumeric() { it } else { '_' })
        .collect();
    let name = name.trim_matches('_').to_lowercase();
    if name.starts_with(|it: char| it.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

/// The texts as Terraform's templates: placeholders are variables, and every other `${` or `%{` is text. The second is
/// every placeholder that there was, as a text.
fn as_template(value: &Value) -> (Value, Vec<Value>) {
    match value {
        Value::String(text) => {
            let found = placeholder::find(value);
            let escaped = text.replace("${", "$${").replace("%{", "%%{");
            let text = found.iter().fold(escaped, |text, it| {
                let variable = format!("${{var.{}}}", it.name.to_lowercase());
                text.replace(&format!("${}", it.text()), &variable)
            });
            let text = text.replace(BLOCK, "${");
            (text.into(), vec![value.clone()])
        }
        Value::Array(list) => {
            let (values, found): (Vec<Value>, Vec<Vec<Value>>) =
                list.iter().map(as_template).unzip();
            (values.into(), found.concat())
        }
        Value::Object(fields) => {
            let mut all = Vec::new();
            let fields: Map<String, Value> = fields
                .iter()
                .map(|(key, value)| {
                    let (value, found) = as_template(value);
                    all.extend(found);
                    (key.clone(), value)
                })
                .collect();
            (fields.into(), all)
        }
        other => (other.clone(), Vec::new()),
    }
}

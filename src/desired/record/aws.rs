//! The inventory's record of an AWS resource: its marks and location. Pure: no I/O.

use serde_json::{Value, json};

use crate::{
    desired::resource::{
        Id,
        aws::{
            AwsResource, BucketPolicy, Direction, IamRole, OidcProvider, Peer,
            PodIdentityAssociation, RolePolicy, SecurityGroupRule,
        },
    },
    units::Network,
};

/// What deleting `resource` needs in addition to its id.
pub(crate) fn details(resource: &AwsResource) -> Value {
    match resource {
        AwsResource::Provider(provider) => json!({"arn": provider.arn, "sid": provider.sid}),
        AwsResource::Role(role) => json!({"create": role.create, "sid": role.sid}),
        AwsResource::RolePolicy(policy) => json!({"sid": policy.sid}),
        AwsResource::BucketPolicy(policy) => {
            json!({"account": policy.account, "sid": policy.sid})
        }
        AwsResource::Association(it) => json!({"cluster": it.cluster, "sid": it.sid}),
        AwsResource::Rule(rule) => json!({
            "direction": rule.direction.word(),
            "port": rule.port,
            "peer": match &rule.peer {
                Peer::Group(group) => json!({"group": group}),
                Peer::Cidr(cidr) => json!({"cidr": cidr}),
            },
            "sid": rule.sid,
        }),
    }
}

/// The resource of an `id` and its `details`; `None` if they are incomplete.
pub(crate) fn resource(id: &Id, details: &Value, profile: &str) -> Option<AwsResource> {
    let text = |key: &str| details[key].as_str().map(str::to_owned);
    let sid = text("sid").filter(|it| !it.is_empty())?;
    let name = id.name().to_owned();
    let profile = profile.to_owned();
    Some(match id.kind() {
        "oidc-provider" => AwsResource::Provider(OidcProvider {
            arn: text("arn")?,
            issuer: name,
            sid,
            profile,
        }),
        "iam-role" => AwsResource::Role(IamRole {
            name,
            arn: None,
            create: details["create"].as_bool()?,
            path: None,
            permissions_boundary: None,
            sid,
            trust: Value::Null,
            managed_policies: Vec::new(),
            profile,
        }),
        "iam-role-policy" => AwsResource::RolePolicy(RolePolicy {
            role: id.namespace()?.to_owned(),
            name,
            sid,
            statements: Vec::new(),
        }),
        "bucket-policy" => AwsResource::BucketPolicy(BucketPolicy {
            bucket: name,
            account: text("account")?,
            sid,
            statements: Vec::new(),
        }),
        PodIdentityAssociation::KIND => AwsResource::Association(PodIdentityAssociation {
            cluster: text("cluster")?,
            namespace: id.namespace()?.to_owned(),
            service_account: name,
            role_arn: String::new(),
            sid,
            profile,
        }),
        "security-group-rule" => AwsResource::Rule(rule(id, details, sid, profile)?),
        _ => return None,
    })
}

fn rule(id: &Id, details: &Value, sid: String, profile: String) -> Option<SecurityGroupRule> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let peer = &details["peer"];
    let cidr = || text(&peer["cidr"]).map(|it| Peer::Cidr(Network::canonical(&it)));
    let group = id.namespace()?.to_owned();
    Some(SecurityGroupRule {
        groups: vec![group.clone()],
        group,
        direction: Direction::parse(details["direction"].as_str()?)?,
        port: u16::try_from(details["port"].as_u64()?).ok()?,
        peer: text(&peer["group"]).map(Peer::Group).or_else(cidr)?,
        peers: Vec::new(),
        addresses: Vec::new(),
        purpose: String::new(),
        instead: None,
        sid,
        profile,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, details: &Value) -> Option<Value> {
        let id = Id::parse(id).unwrap();
        resource(&id, details, "p").map(|it| super::details(&it))
    }

    #[test]
    fn what_is_at_aws_is_found_again_by_its_record() {
        for (id, details) in [
            (
                "oidc-provider/-/oidc.eks.x/id/A",
                json!({"arn": "arn:a", "sid": "Arcctl1"}),
            ),
            ("iam-role/-/r", json!({"create": false, "sid": "Arcctl1"})),
            ("iam-role-policy/r/Arcctl1", json!({"sid": "Arcctl1"})),
            (
                "bucket-policy/-/b",
                json!({"account": "1", "sid": "Arcctl1"}),
            ),
            (
                "pod-identity-association/n/a",
                json!({"cluster": "c", "sid": "Arcctl1"}),
            ),
            (
                "security-group-rule/sg-1/ingress-443-from-sg-2",
                json!({"direction": "ingress", "port": 443, "peer": {"group": "sg-2"}, "sid": "Arcctl1"}),
            ),
            (
                "security-group-rule/sg-1/egress-443-to-10.0.0.0/8",
                json!({"direction": "egress", "port": 443, "peer": {"cidr": "10.0.0.0/8"}, "sid": "Arcctl1"}),
            ),
        ] {
            assert_eq!(record(id, &details).as_ref(), Some(&details), "{id}");
            let mut without = details.clone();
            without["sid"] = "".into();
            assert_eq!(record(id, &without), None, "{id}: whose is not known");
        }
        assert_eq!(
            record("iam-role/-/r", &json!({"sid": "Arcctl1"})),
            None,
            "whether arcctl may delete it is not known"
        );
    }
}

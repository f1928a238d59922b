//! What moto does not know of the cluster: the address of this sandbox's API server, its authority,
//! its VPC and the security group that EKS makes. The proxy before moto puts it into the answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request;
use serde_json::{Value, json};

use super::{CLUSTER, Cloud};

/// What belongs into the answers to `DescribeCluster`.
pub struct Supplement {
    /// Where the API server is.
    pub endpoint: String,
    /// Who has issued its certificate, PEM.
    pub authority: String,
    /// The cluster's network.
    pub cloud: Cloud,
}

impl Supplement {
    /// Whether the answer to `request` lacks something.
    pub(crate) fn concerns(request: &request::Parts) -> bool {
        let path = request.uri.path().trim_end_matches('/');
        request.method == http::Method::GET && path == format!("/clusters/{CLUSTER}")
    }

    /// The answer with what it lacks; what is not a cluster stays as it is.
    pub(crate) fn complete(&self, answer: &[u8]) -> Option<Vec<u8>> {
        let mut answer: Value = serde_json::from_slice(answer).ok()?;
        let cluster = answer.get_mut("cluster")?.as_object_mut()?;
        cluster.insert("endpoint".into(), self.endpoint.clone().into());
        let authority = STANDARD.encode(&self.authority);
        cluster.insert("certificateAuthority".into(), json!({"data": authority}));
        let network = json!({
            "subnetIds": self.cloud.subnets,
            "securityGroupIds": [],
            "clusterSecurityGroupId": self.cloud.cluster_group,
            "vpcId": self.cloud.vpc,
            "endpointPublicAccess": true,
            "endpointPrivateAccess": true,
            "publicAccessCidrs": ["0.0.0.0/0"],
        });
        cluster.insert("resourcesVpcConfig".into(), network);
        serde_json::to_vec(&answer).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::AccessKey;

    fn supplement() -> Supplement {
        Supplement {
            endpoint: "https://127.0.0.1:1".into(),
            authority: "PEM".into(),
            cloud: Cloud {
                key: AccessKey {
                    id: "KEY".into(),
                    secret: "secret".into(),
                },
                vpc: "vpc-1".into(),
                subnets: vec!["subnet-1".into()],
                cluster_group: "sg-1".into(),
                node_group: "sg-2".into(),
                server_group: "sg-3".into(),
            },
        }
    }

    #[test]
    fn a_refusal_stays_as_it_is() {
        assert_eq!(supplement().complete(br#"{"message":"no cluster"}"#), None);
    }

    #[test]
    fn the_cluster_leads_to_this_api_server() {
        let answer = br#"{"cluster":{"name":"runners","status":"ACTIVE","endpoint":"x"}}"#;
        let answer: Value =
            serde_json::from_slice(&supplement().complete(answer).unwrap()).unwrap();
        let cluster = &answer["cluster"];
        assert_eq!(cluster["endpoint"], "https://127.0.0.1:1");
        assert_eq!(cluster["status"], "ACTIVE");
        assert_eq!(
            cluster["resourcesVpcConfig"]["clusterSecurityGroupId"],
            "sg-1"
        );
    }
}

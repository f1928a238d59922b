//! Facts of the cluster that moto lacks: the address of this sandbox's API server, its CA, its VPC, the cluster security
//! group of EKS, and that it uses access entries. The proxy before moto adds them to the responses, and answers calls that moto
//! does not support: Pod Identity, and further client ids of an OIDC provider.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request;
use serde_json::{Value, json};

use super::{CLUSTER, Cloud, api::Api, associations::Associations, clients, rules::Rules};
use crate::query::query_pairs;

/// An answer in moto's place: status, headers, body.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// What moto lacks.
pub struct Supplement {
    /// Where moto is.
    pub moto: Api,
    /// The associations of Pod Identity.
    pub associations: Arc<Associations>,
    /// Where the API server is.
    pub endpoint: String,
    /// Who has issued its certificate, PEM.
    pub authority: String,
    /// The cluster's network.
    pub cloud: Cloud,
    /// AWS's rules, which moto does not know.
    pub rules: Arc<Rules>,
}

impl Supplement {
    /// The answer to what moto does not know at all; `None` where it does.
    pub(crate) async fn answer(
        &self,
        request: &request::Parts,
        action: Option<&str>,
        body: &[u8],
    ) -> Option<Answer> {
        if let Some(change) = action.and_then(clients::Change::of) {
            let arguments = query_pairs(std::str::from_utf8(body).unwrap_or_default());
            let (status, text) = clients::change(&self.moto, change, &arguments).await;
            return Some((
                status,
                vec![("content-type", "text/xml".into())],
                text.into(),
            ));
        }
        let answer = self.associations.answer(request, body, &self.moto).await;
        let (status, kind, document) = answer?;
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(kind.map(|it| ("x-amzn-errortype", it.to_owned())));
        Some((status, headers, document.to_string().into()))
    }

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
        let access = json!({"authenticationMode": "API_AND_CONFIG_MAP"});
        cluster.insert("accessConfig".into(), access);
        serde_json::to_vec(&answer).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::AccessKey;

    fn supplement() -> Supplement {
        // Another test may have been first.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        Supplement {
            moto: Api::new("http://127.0.0.1:1").unwrap(),
            associations: Arc::default(),
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
            rules: Arc::new(Rules::new(std::time::Duration::ZERO)),
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

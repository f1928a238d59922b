//! Checks that a kubeconfig context points to the EKS cluster in the profile: the cluster is the identity, the
//! context only a way to connect (DESIGN 5).

use base64::{Engine, engine::general_purpose::STANDARD};
use kube::Config;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{aws::cluster::EksCluster, kube::Access};
use crate::error::{Error, ErrorKind, Result, System};

/// Rejects a context that points to another cluster, or cannot be verified.
pub async fn check(access: &Access, cluster: &EksCluster) -> Result<()> {
    let config = access.config().await?;
    let Some(cause) = difference(&config, cluster) else {
        return Ok(());
    };
    let (name, region) = (&cluster.name, &cluster.region);
    let context = access.context.as_deref().unwrap_or_default();
    Err(Error::new(
        ErrorKind::Refused,
        System::Kubernetes,
        format!("context `{context}` is not EKS cluster `{name}` in `{region}`; nothing was changed"),
    )
    .object(format!("context/{context}"))
    .cause(cause)
    .hint(format!(
        "omit the context, or create one for this cluster: `aws eks update-kubeconfig --region {region} --name {name}`"
    )))
}

/// The difference between the two.
fn difference(config: &Config, cluster: &EksCluster) -> Option<String> {
    let there = cluster.endpoint.parse::<http::Uri>().ok();
    let wanted = there.as_ref().map(place);
    // A tunnel has another address, but the same server name for TLS.
    let found = config.tls_server_name.as_ref().map_or_else(
        || place(&config.cluster_url),
        |it| (it.to_ascii_lowercase(), 443),
    );
    if wanted.as_ref() != Some(&found) {
        return Some(format!(
            "the context points to `{}`, the endpoint of the EKS cluster is `{}`",
            config.cluster_url.to_string().trim_end_matches('/'),
            cluster.endpoint
        ));
    }
    if config.accept_invalid_certs {
        return Some("the context does not check the API server's certificate".into());
    }
    let known = config.root_cert.clone().unwrap_or_default();
    let authority = certificates(&cluster.authority);
    if authority.is_empty() || !authority.iter().all(|it| known.contains(it)) {
        return Some("the context trusts another certificate authority than the cluster's".into());
    }
    None
}

/// Host and port.
fn place(url: &http::Uri) -> (String, u16) {
    let host = url.host().unwrap_or_default().to_ascii_lowercase();
    (host, url.port_u16().unwrap_or(443))
}

/// The certificates of a base64-encoded PEM file.
fn certificates(text: &str) -> Vec<Vec<u8>> {
    let pem = STANDARD.decode(text.trim()).unwrap_or_default();
    CertificateDer::pem_slice_iter(&pem)
        .filter_map(|it| it.ok().map(|it| it.to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::aws::cluster::Reach;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    fn cluster() -> EksCluster {
        EksCluster {
            name: "runners".into(),
            region: "ap-northeast-2".into(),
            account: "111122223333".into(),
            partition: "aws".into(),
            endpoint: "https://ABC.gr7.ap-northeast-2.eks.amazonaws.com".into(),
            authority: STANDARD.encode(PEM),
            issuer: None,
            security_group: None,
            other_groups: Vec::new(),
            subnets: Vec::new(),
            vpc: None,
            reach: Reach::Public,
            auto_mode: false,
            access_entries: true,
            ipv6: false,
        }
    }

    fn config(url: &str) -> Config {
        let mut config = Config::new(url.parse().unwrap());
        config.root_cert = Some(vec![vec![0, 0, 0]]);
        config
    }

    #[test]
    fn another_address_or_authority_is_another_cluster() {
        let elsewhere = config("https://def.gr7.ap-northeast-2.eks.amazonaws.com");
        let cause = difference(&elsewhere, &cluster()).unwrap();
        assert!(cause.contains("points to"), "{cause}");
        let mut other = config(&cluster().endpoint);
        other.root_cert = Some(vec![vec![1, 1, 1]]);
        let cause = difference(&other, &cluster()).unwrap();
        assert!(cause.contains("another certificate authority"), "{cause}");
    }

    #[test]
    fn what_cannot_be_seen_is_refused() {
        let mut open = config(&cluster().endpoint);
        open.root_cert = None;
        assert!(difference(&open, &cluster()).is_some());
        open.accept_invalid_certs = true;
        assert!(difference(&open, &cluster()).is_some());
    }

    #[test]
    fn the_same_cluster_is_known_again_also_through_a_tunnel() {
        let direct = config("https://abc.gr7.ap-northeast-2.eks.amazonaws.com:443/");
        assert_eq!(difference(&direct, &cluster()), None);
        let mut tunnel = config("https://127.0.0.1:8443");
        tunnel.tls_server_name = Some("abc.gr7.ap-northeast-2.eks.amazonaws.com".into());
        assert_eq!(difference(&tunnel, &cluster()), None);
    }
}

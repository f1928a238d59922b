//! Resolves an address of the cluster network to its Service.

use anyhow::Result;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};

use super::Service;
use super::connect::Target;

/// The Service that a target belongs to; `None` is an address that nothing answers at. Asked
/// anew for each connection, since a cache would lag behind the API server's own.
pub(super) async fn service(client: &Client, target: &Target) -> Result<Option<Service>> {
    let slices: Api<EndpointSlice> = Api::all(client.clone());
    let slices = slices.list(&ListParams::default()).await?.items;
    if let Some(service) = by_endpoint(&slices, target) {
        return Ok(Some(service));
    }
    let services: Api<core::Service> = Api::all(client.clone());
    let services = services.list(&ListParams::default()).await?.items;
    // kube-proxy rejects what a Service without ready endpoints is sent.
    Ok(by_cluster_address(&services, target).filter(|service| has_ready(&slices, service)))
}

fn by_endpoint(slices: &[EndpointSlice], target: &Target) -> Option<Service> {
    let address = target.address.to_string();
    let port = Some(i32::from(target.port));
    let slice = slices.iter().find(|slice| {
        slice
            .ports
            .iter()
            .flatten()
            .any(|candidate| candidate.port == port)
            && slice
                .endpoints
                .iter()
                .flatten()
                .any(|one| one.addresses.contains(&address))
    })?;
    service_of(slice)
}

fn by_cluster_address(services: &[core::Service], target: &Target) -> Option<Service> {
    let address = target.address.to_string();
    let port = i32::from(target.port);
    let service = services.iter().find(|service| {
        service.spec.as_ref().is_some_and(|spec| {
            spec.cluster_ip.as_ref() == Some(&address)
                && spec
                    .ports
                    .iter()
                    .flatten()
                    .any(|candidate| candidate.port == port)
        })
    })?;
    Some(Service::new(
        service.metadata.namespace.as_deref()?,
        &service.name_any(),
    ))
}

fn has_ready(slices: &[EndpointSlice], service: &Service) -> bool {
    slices
        .iter()
        .filter(|slice| service_of(slice).as_ref() == Some(service))
        .any(|slice| {
            slice.endpoints.iter().flatten().any(|endpoint| {
                endpoint
                    .conditions
                    .as_ref()
                    .and_then(|conditions| conditions.ready)
                    .unwrap_or(true)
            })
        })
}

fn service_of(slice: &EndpointSlice) -> Option<Service> {
    let name = slice.labels().get("kubernetes.io/service-name")?;
    Some(Service::new(slice.metadata.namespace.as_deref()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn slice(ready: bool) -> EndpointSlice {
        from_value(json!({
            "metadata": {"namespace": "n", "name": "s-abcde",
                "labels": {"kubernetes.io/service-name": "s"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.244.0.7"], "conditions": {"ready": ready}}],
            "ports": [{"port": 9443}],
        }))
        .unwrap()
    }

    fn target(text: &str) -> Target {
        let address: std::net::SocketAddr = text.parse().unwrap();
        Target {
            address: address.ip(),
            port: address.port(),
        }
    }

    #[test]
    fn another_port_of_an_endpoint_leads_nowhere() {
        assert_eq!(by_endpoint(&[slice(true)], &target("10.244.0.7:443")), None);
        assert_eq!(
            by_endpoint(&[slice(true)], &target("10.244.0.8:9443")),
            None
        );
    }

    #[test]
    fn an_endpoint_leads_to_its_service() {
        let found = by_endpoint(&[slice(true)], &target("10.244.0.7:9443"));
        assert_eq!(found, Some(Service::new("n", "s")));
    }

    #[test]
    fn a_cluster_address_leads_to_its_service_once_an_endpoint_is_ready() {
        let service: core::Service = from_value(json!({
            "metadata": {"namespace": "n", "name": "s"},
            "spec": {"clusterIP": "10.100.0.9", "ports": [{"port": 443}]},
        }))
        .unwrap();
        let found = by_cluster_address(&[service], &target("10.100.0.9:443")).unwrap();
        assert_eq!(found, Service::new("n", "s"));
        assert!(!has_ready(&[slice(false)], &found));
        assert!(has_ready(&[slice(true)], &found));
    }
}

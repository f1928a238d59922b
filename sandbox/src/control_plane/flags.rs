//! The flags of the control plane's programs. Pure: no I/O.

use std::path::Path;

use serde_json::json;

use super::Layout;

const SERVICES: &str = "10.100.0.0/16";

/// The address of the Service `kubernetes`: the first one of the range.
pub(super) const API_SERVICE_IP: &str = "10.100.0.1";

pub(super) fn etcd(layout: &Layout<'_>, peer_port: u16) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", layout.etcd_port);
    let peer = format!("http://127.0.0.1:{peer_port}");
    vec![
        format!("--data-dir={}", layout.file("etcd")),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        // A sandbox has nothing that must survive a power cut.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

pub(super) fn api_server(layout: &Layout<'_>) -> Vec<String> {
    let mut flags = vec![
        format!("--etcd-servers=http://127.0.0.1:{}", layout.etcd_port),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", layout.api_port),
        format!("--client-ca-file={}", layout.file("ca.crt")),
        format!("--tls-cert-file={}", layout.file("server.crt")),
        format!("--tls-private-key-file={}", layout.file("server.key")),
        format!("--token-auth-file={}", layout.file("tokens.csv")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!(
            "--service-account-signing-key-file={}",
            layout.file("tokens.key")
        ),
        format!("--service-account-key-file={}", layout.file("tokens.pub")),
        format!("--service-cluster-ip-range={SERVICES}"),
        format!(
            "--egress-selector-config-file={}",
            layout.file("egress.json")
        ),
        // As on EKS: a webhook's Service is resolved to a ready endpoint, and without one the
        // API server itself says `no endpoints available for service`.
        "--enable-aggregator-routing=true".to_owned(),
        // The endpoint would be 127.0.0.1, which no Endpoints object may hold.
        "--endpoint-reconciler-type=none".to_owned(),
        "--allow-privileged=true".to_owned(),
        format!("--audit-policy-file={}", layout.file(AUDIT_POLICY)),
        format!("--audit-log-path={}", layout.file("audit.log")),
        "--profiling=false".to_owned(),
        "--shutdown-delay-duration=0s".to_owned(),
    ];
    if layout.authenticator.is_some() {
        flags.extend([
            format!(
                "--authentication-token-webhook-config-file={}",
                layout.file(AUTHENTICATOR)
            ),
            "--authentication-token-webhook-version=v1".to_owned(),
            // A test takes an access entry away and wants to see it gone.
            "--authentication-token-webhook-cache-ttl=1s".to_owned(),
        ]);
    }
    flags
}

pub(super) fn controller_manager(layout: &Layout<'_>) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", layout.file("manager.kubeconfig")),
        format!("--root-ca-file={}", layout.file("ca.crt")),
        format!(
            "--service-account-private-key-file={}",
            layout.file("tokens.key")
        ),
        // One account per controller, as RBAC's bootstrap roles expect.
        "--use-service-account-credentials=true".to_owned(),
        "--controllers=*,-horizontal-pod-autoscaler-controller".to_owned(),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

pub(super) fn scheduler(layout: &Layout<'_>) -> Vec<String> {
    vec![
        format!("--config={}", layout.file(SCHEDULER)),
        "--secure-port=0".to_owned(),
    ]
}

/// The scheduler's configuration file.
pub(super) const SCHEDULER: &str = "scheduler.json";

/// How pods are scheduled: as by default, but for the pause before a pod that had no node is tried again. It doubles from
/// 1 s to 10 s by default; here it ends at 2 s, so that a test that makes room does not wait long for a pod to see it.
pub(super) fn scheduler_configuration(layout: &Layout<'_>) -> String {
    json!({
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": layout.file("scheduler.kubeconfig")},
        "leaderElection": {"leaderElect": false},
        "enableProfiling": false,
        "podInitialBackoffSeconds": 1,
        "podMaxBackoffSeconds": 2,
    })
    .to_string()
}

/// The file that says where tokens are reviewed.
pub(super) const AUTHENTICATOR: &str = "authenticator.kubeconfig";

/// The file that says whose calls are written to `audit.log`.
pub(super) const AUDIT_POLICY: &str = "audit.json";

/// Who calls as the service account `default/audited` leaves a trail: a test sees which rights it has used.
pub(super) fn audit_policy() -> String {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [
            {"level": "Metadata", "users": ["system:serviceaccount:default:audited"]},
            {"level": "None"},
        ],
    })
    .to_string()
}

/// A kubeconfig for the authentication webhook at `url`.
pub(super) fn authenticator(url: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "authenticator",
        "clusters": [{"name": "authenticator", "cluster": {"server": url}}],
        "users": [{"name": "api-server", "user": {}}],
        "contexts": [{"name": "authenticator", "context": {
            "cluster": "authenticator", "user": "api-server",
        }}],
    })
    .to_string()
}

/// The administrator's token: token, user, UID, group.
pub(super) fn tokens(token: &str) -> String {
    format!("{token},sandbox-admin,sandbox-admin,system:masters\n")
}

/// Sends what the API server dials in the cluster network to the sandbox's proxy.
pub(super) fn egress_selector(socket: &Path) -> String {
    json!({
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [{"name": "cluster", "connection": {
            "proxyProtocol": "HTTPConnect",
            "transport": {"uds": {"udsName": socket}},
        }}],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_listens_on_loopback_only() {
        let layout = Layout {
            directory: Path::new("/d"),
            egress: Path::new("/e"),
            authenticator: None,
            etcd_port: 1,
            api_port: 2,
        };
        let flags = api_server(&layout);
        assert!(flags.iter().any(|flag| flag == "--bind-address=127.0.0.1"));
        let urls = etcd(&layout, 3);
        for flag in urls.iter().filter(|flag| flag.contains("http")) {
            assert!(flag.contains("http://127.0.0.1:"), "{flag}");
        }
        for flags in [controller_manager(&layout), scheduler(&layout)] {
            assert!(flags.iter().any(|flag| flag == "--secure-port=0"));
        }
    }
}

//! What the API server's error for a webhook that it could not call means, and a short form of it. Pure: no I/O.
//!
//! The full message contains the webhook, its URL and the pod's address, which differ in every call: the
//! reason of a wait would change with each poll (reference: arc.md 3.1 has the sentences).

use crate::resource::observed::Readiness;

/// The last part of `said`: `connect: connection refused`, `context deadline exceeded`, `no endpoints available …`.
pub(crate) fn short(said: &str) -> &str {
    let Some((_, rest)) = said.split_once("failed calling webhook ") else {
        return said;
    };
    let end = rest.rsplit_once("\": ").map_or(rest, |(_, end)| end);
    match end.rsplit_once("dial tcp ") {
        Some((_, dialed)) => dialed.split_once(": ").map_or(dialed, |(_, why)| why),
        None => end,
    }
}

/// The prefix of Go's errors for an invalid certificate.
const CERTIFICATE: &str = "x509: ";

/// The webhook does not respond, or serves a certificate of an old CA: both are temporary. `None` if
/// its certificate itself is wrong.
pub(super) fn not_answered(said: &str) -> Option<Readiness> {
    if !said.contains(CERTIFICATE) {
        return Some(Readiness::progressing(format!(
            "the controller's webhook does not respond: {}",
            short(said)
        )));
    }
    // The webhook configurations already have the new CA: only the pods are behind (findings: lab.md 10).
    said.contains("signed by unknown authority").then(|| {
        Readiness::progressing(
            "the controller's pods still serve the old certificate; the kubelet updates their Secret volume within about a minute",
        )
    })
}

/// The port of a kubelet.
pub(super) const KUBELET_PORT: u16 = 10250;

/// Whether the certificate is that of a node: its kubelet answers in the place of the pod. On AWS Fargate, and in the node's
/// network, port 10250 of a pod is the kubelet's (cert-manager.io/docs/installation/compatibility, cert-manager#3237).
fn is_of_a_node(said: &str) -> bool {
    let (_, names) = said
        .split_once("x509: certificate is valid for ")
        .unwrap_or_default();
    let names = names.split_once(", not ").map(|(names, _)| names);
    let is_of_ec2 = |it: &str| {
        ["ip-", "fargate-ip-"]
            .iter()
            .any(|prefix| it.starts_with(prefix))
            || [".internal", ".compute.amazonaws.com"]
                .iter()
                .any(|suffix| it.ends_with(suffix))
    };
    names.is_some_and(|it| it.split(", ").any(is_of_ec2))
}

/// The kubelet answers in the place of `webhook`; `None` if it does not. `mend` says what gives the webhook another port.
pub(super) fn answered_by_the_kubelet(said: &str, webhook: &str, mend: &str) -> Option<Readiness> {
    is_of_a_node(said).then(|| {
        let certificate = of_certificate(said);
        Readiness::stuck(
            format!("the kubelet answers in the place of {webhook}: {certificate}"),
            format!("on AWS Fargate and in the node's network the kubelet has port 10250: {mend}"),
        )
    })
}

/// The part of the message about the certificate.
pub(super) fn of_certificate(said: &str) -> &str {
    said.find(CERTIFICATE).map_or(said, |at| &said[at..])
}

#[cfg(test)]
mod tests {
    use super::{is_of_a_node, not_answered, of_certificate, short};

    #[test]
    fn the_end_of_the_sentence_is_what_is_waited_for() {
        let url = "failed calling webhook \"a.b\": failed to call webhook: Post \"https://x.y.svc:443/m?timeout=10s\": ";
        let refused = format!(
            "Internal error occurred: {url}dial tcp 10.0.0.4:9443: connect: connection refused"
        );
        assert_eq!(short(&refused), "connect: connection refused");
        let none =
            format!("Internal error occurred: {url}no endpoints available for service \"x\"");
        assert_eq!(short(&none), "no endpoints available for service \"x\"");
        assert_eq!(short("no such thing"), "no such thing");
    }

    /// Source: aws-observability/aws-otel-community#394, cert-manager/cert-manager#3712.
    #[test]
    fn the_certificate_of_a_node_is_that_of_its_kubelet() {
        let call = "failed calling webhook \"webhook.cert-manager.io\": failed to call webhook: Post \"https://cert-manager-webhook.cert-manager.svc:443/mutate?timeout=10s\": tls: failed to verify certificate: x509: certificate is valid for ";
        let of = |words: &str| is_of_a_node(&format!("{call}{words}"));
        assert!(of(
            "ip-172-16-17-60.ap-southeast-1.compute.internal, not cert-manager-webhook.cert-manager.svc"
        ));
        assert!(of(
            "ec2-1-2-3-4.us-west-2.compute.amazonaws.com, ip-10-0-0-1.us-west-2.compute.internal, not cert-manager-webhook.cert-manager.svc"
        ));
        assert!(!of("a.n.svc, a.n.svc.cluster.local, not b.n.svc"));
        assert!(!is_of_a_node(
            "x509: certificate signed by unknown authority"
        ));
    }

    #[test]
    fn only_an_unknown_authority_is_a_volume_that_is_late() {
        let call = "Internal error occurred: failed calling webhook \"mutate.runnerdeployment\": failed to call webhook: Post \"https://x\": ";
        let of = |words: &str| not_answered(&format!("{call}{words}"));
        let late = of(
            "tls: failed to verify certificate: x509: certificate signed by unknown authority (possibly because of \"x\")",
        );
        assert!(
            late.unwrap()
                .reason()
                .unwrap()
                .contains("within about a minute")
        );
        let silent = of("dial tcp 10.0.0.1:443: connect: connection refused");
        assert!(
            silent
                .unwrap()
                .reason()
                .unwrap()
                .contains("does not respond")
        );
        for words in [
            "x509: certificate has expired or is not yet valid: current time 2026-11-24T12:00:00Z is after 2026-11-01T00:00:00Z",
            "x509: certificate is valid for a.n.svc, not b.n.svc",
        ] {
            let said = format!("tls: failed to verify certificate: {words}");
            assert_eq!(of(&said), None, "{words}");
            assert_eq!(of_certificate(&format!("{call}{said}")), words);
        }
    }
}

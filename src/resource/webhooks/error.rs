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

/// The part of the message about the certificate.
pub(super) fn of_certificate(said: &str) -> &str {
    said.find(CERTIFICATE).map_or(said, |at| &said[at..])
}

#[cfg(test)]
mod tests {
    use super::{not_answered, of_certificate, short};

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

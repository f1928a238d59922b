//! Shortens the API server's error for a webhook that it could not call. Pure: no I/O.
//!
//! The full message contains the webhook, its URL and the pod's address, which differ in every call: the
//! reason of a wait would change with each poll (reference: arc.md 3.1 has the sentences).

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

#[cfg(test)]
mod tests {
    use super::short;

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
}

//! Reads and writes query strings and percent-encoded paths.
//!
//! Pure: no I/O.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What is percent-encoded in a query: not the unreserved characters of RFC 3986.
pub(crate) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Percent-encoded: letters, digits and `-._~` stay.
pub(crate) fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// The pairs of a query string, decoded.
pub(crate) fn query_pairs(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// Decodes `%XX`; what is no such escape stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_escape_stays() {
        for text in ["100%, %zz, %4", "%+f", "%zz", "%4"] {
            assert_eq!(percent_decode(text), text);
        }
        assert_eq!(percent_decode("a+b%2Fc%ff"), "a+b/c\u{fffd}");
    }

    #[test]
    fn pairs_are_decoded() {
        let pairs = query_pairs("created=%3E%3D2026&name=a+b&&flag&broken=%+f");
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("created", ">=2026"),
                ("name", "a b"),
                ("flag", ""),
                ("broken", "% f")
            ]
        );
    }

    #[test]
    fn what_is_encoded_is_decoded_again() {
        let text = "a-b._~/c d=é&%";
        let encoded = percent_encode(text);
        assert_eq!(encoded, "a-b._~%2Fc%20d%3D%C3%A9%26%25");
        assert_eq!(percent_decode(&encoded), text);
    }
}

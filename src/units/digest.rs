//! SHA-256 digests, as registries write them: `sha256:` and 64 hexadecimal digits. Pure: no I/O.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What a digest begins with.
const ALGORITHM: &str = "sha256:";

/// A digest that is computed piece by piece, for content that is too large for the memory.
#[derive(Clone, Default)]
pub struct Sum(Sha256);

impl Sum {
    /// Adds the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces.
    pub fn digest(self) -> String {
        let mut text = ALGORITHM.to_owned();
        for byte in self.0.finalize() {
            // Writing to a String cannot fail.
            let _ignored = write!(text, "{byte:02x}");
        }
        text
    }
}

/// The digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    let mut sum = Sum::default();
    sum.add(bytes);
    sum.digest()
}

/// Whether a text is such a digest.
pub fn is_sha256(text: &str) -> bool {
    let is_hex = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    text.strip_prefix(ALGORITHM)
        .is_some_and(|hash| hash.len() == 64 && hash.bytes().all(is_hex))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_bytes() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
        assert!(is_sha256(empty));
        let mut pieces = Sum::default();
        pieces.add(b"one ");
        pieces.add(b"two");
        assert_eq!(pieces.digest(), sha256(b"one two"));
        for other in [
            "",
            "sha256:",
            "sha512:00",
            &empty[7..],
            &empty.to_uppercase(),
        ] {
            assert!(!is_sha256(other), "{other}");
        }
    }
}

//! The cause at the end of an error's chain. Pure: no I/O.

use std::error::Error;

use crate::secret::without_userinfo;

/// The last cause of a chain: the message of the server or of the operating system, without a password in an address.
pub(super) fn innermost(error: &dyn Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    without_userinfo(&current.to_string())
}

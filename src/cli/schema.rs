//! `arcctl schema`.

use super::output::Output;
use crate::profile::schema;

/// Prints the JSON Schema of the profile.
pub(super) fn run(output: Output) -> u8 {
    output.document(&schema());
    0
}

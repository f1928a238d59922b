//! `arcctl schema`.

use crate::{profile::schema, terminal::output::Output};

/// Prints the JSON Schema of the profile.
pub(crate) fn run(output: Output) -> u8 {
    let text = serde_json::to_string_pretty(&schema()).unwrap_or_else(|_| "{}".into());
    output.generated(&format!("{text}\n"));
    0
}

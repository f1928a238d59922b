//! The newest event about an object that can explain a failure. Pure: no I/O.

use serde_json::Value;

use crate::resource::events;

/// The message of the newest warning about the object with this uid.
pub(crate) fn newest<'a>(events: &'a [Value], uid: &Value) -> Option<&'a str> {
    let about = events
        .iter()
        .filter(|it| it["type"] == "Warning" && it["involvedObject"]["uid"] == *uid);
    let found = events::newest(about)?;
    found["message"].as_str().filter(|it| !it.is_empty())
}

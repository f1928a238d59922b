//! The newest event about an object that can explain a failure. Pure: no I/O.

use serde_json::Value;

use crate::resource::events;

/// The message of the newest warning about the object with this uid.
pub(crate) fn newest<'a>(events: &'a [Value], uid: &Value) -> Option<&'a str> {
    let found = events::newest(events::warnings_about(events, uid))?;
    found["message"].as_str().filter(|it| !it.is_empty())
}

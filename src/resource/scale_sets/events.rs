//! The newest event about an object that can explain a failure. Pure: no I/O.

use serde_json::Value;

/// The message of the newest warning about the object with this uid.
pub(crate) fn newest<'a>(events: &'a [Value], uid: &Value) -> Option<&'a str> {
    let time = |it: &Value| {
        let time = it["lastTimestamp"].as_str().or(it["eventTime"].as_str());
        time.unwrap_or_default().to_owned()
    };
    let about = events
        .iter()
        .filter(|it| it["type"] == "Warning" && it["involvedObject"]["uid"] == *uid);
    let found = about.max_by_key(|it| time(it))?;
    found["message"].as_str().filter(|it| !it.is_empty())
}

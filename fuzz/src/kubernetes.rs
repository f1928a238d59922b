//! Objects that an API server may return: with any value in any field.

use arcctl::{
    diff,
    profile::schedule::parse_live,
    resource::{kubernetes::ownership, pods::status},
};
use serde_json::Value;

/// Two objects in one list: what is there, and what is wanted.
pub(crate) fn run(data: &[u8]) {
    let Ok(Value::Array(objects)) = serde_json::from_slice(data) else {
        return;
    };
    let [live, wanted, events @ ..] = objects.as_slice() else {
        return;
    };
    let _: bool = status::is_ready(live);
    drop(status::readiness(live, events));
    drop(ownership::of_object(live, "ci"));
    drop(parse_live(live));
    assert!(
        diff::differences(live, live).is_empty(),
        "an object differs from itself"
    );
    assert!(
        diff::missing(live, live).is_empty(),
        "an object lacks what it has"
    );
    drop(diff::differences(live, wanted));
    drop(diff::missing(live, wanted));
}

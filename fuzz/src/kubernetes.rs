//! Objects as an API server may return them: with anything in any place.

use arcctl::{
    profile::schedule::parse_live,
    resource::{difference, owner, pod_reason},
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
    let _: bool = pod_reason::is_ready(live);
    drop(pod_reason::readiness(live, events));
    drop(owner::of_object(live, "ci"));
    drop(parse_live(live));
    assert!(
        difference::differences(live, live).is_empty(),
        "an object differs from itself"
    );
    assert!(
        difference::missing(live, live).is_empty(),
        "an object lacks what it has"
    );
    drop(difference::differences(live, wanted));
    drop(difference::missing(live, wanted));
}

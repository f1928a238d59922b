//! When an event was seen last, the newest of several, and those about an object. Pure: no I/O.

use jiff::Timestamp;
use serde_json::Value;

/// When `event` was seen last; none if it has no time. Events of `events.k8s.io`, which kube-scheduler writes, have no
/// `lastTimestamp`: their `eventTime` is the first time, and they have a `series` once they were repeated (kubernetes,
/// `staging/src/k8s.io/api/events/v1/types.go`).
pub(crate) fn seen(event: &Value) -> Option<Timestamp> {
    let times = [
        &event["lastTimestamp"],
        &event["series"]["lastObservedTime"],
        &event["eventTime"],
    ];
    times.into_iter().find_map(Value::as_str)?.parse().ok()
}

/// The event of `events` that was seen last.
pub(crate) fn newest<'a>(events: impl Iterator<Item = &'a Value>) -> Option<&'a Value> {
    events.max_by_key(|it| seen(it))
}

/// The warnings about the object with this uid.
pub(crate) fn warnings_about<'a>(
    events: &'a [Value],
    uid: &Value,
) -> impl Iterator<Item = &'a Value> {
    let is_about = move |it: &&Value| it["involvedObject"]["uid"] == *uid;
    events
        .iter()
        .filter(|it| it["type"] == "Warning")
        .filter(is_about)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_repeated_event_is_as_new_as_its_last_repetition() {
        let repeated = json!({"lastTimestamp": null, "eventTime": "2026-11-28T07:00:00.000001Z",
            "series": {"count": 3, "lastObservedTime": "2026-11-28T07:20:00.000001Z"}});
        let once = json!({"lastTimestamp": null, "eventTime": "2026-11-28T07:10:00.000001Z", "series": null});
        let of_kubelet = json!({"lastTimestamp": "2026-11-28T07:15:00Z", "eventTime": null});
        let all = [repeated.clone(), once, of_kubelet.clone()];
        assert_eq!(newest(all.iter()), Some(&repeated));
        assert_eq!(newest(all[1..].iter()), Some(&of_kubelet));
        assert_eq!(seen(&json!({"eventTime": null})), None);
    }
}

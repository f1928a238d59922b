//! The contents of the Lease: holder, duration, and whether the holder still renews it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    clients::kube::Target,
    desired::names,
    error::{Error, ErrorKind, System},
};

/// After how many seconds without renewal a lease expires.
pub(super) const DURATION: u64 = 15;

/// The holder of a lease, and when it acquired it: two processes of one container image may have the same name.
#[derive(Clone)]
pub(super) struct Holder {
    pub(super) identity: String,
    pub(super) since: Value,
}

impl Holder {
    /// Whether it holds `live`.
    pub(super) fn has(&self, live: &Value) -> bool {
        live["spec"]["holderIdentity"] == *self.identity
            && live["spec"]["acquireTime"] == self.since
    }

    /// `live` without a holder; `None` if another run has it by now, which may have the same name.
    pub(super) fn given_back(&self, mut live: Value) -> Option<Value> {
        if !self.has(&live) {
            return None;
        }
        live["spec"]["holderIdentity"] = json!("");
        Some(live)
    }
}

/// The last seen record of another run's lease, and since when it has not changed.
#[derive(Default)]
pub(super) struct Seen(Option<(Value, Instant)>);

/// The result of one read of a lease that is held.
#[derive(Debug, PartialEq)]
pub(super) enum Look<'a> {
    /// This run holds it: the API server's response was lost.
    Mine,
    /// Its holder may be alive.
    Wait,
    /// Its holder has renewed it.
    Alive(&'a Value),
    /// Its holder has not renewed it for its whole duration.
    Silent,
}

impl Seen {
    /// Compares `live`, which some run holds, with the last read; `mine` is what this run wrote last.
    pub(super) fn look<'a>(&mut self, live: &'a Value, mine: &Value) -> Look<'a> {
        let record = &live["spec"];
        match &self.0 {
            _ if record == mine => Look::Mine,
            None => {
                self.0 = Some((record.clone(), Instant::now()));
                Look::Wait
            }
            Some((first, _)) if first != record => Look::Alive(live),
            Some((_, since)) if since.elapsed() < duration(live) => Look::Wait,
            Some(_) => Look::Silent,
        }
    }
}

/// The Lease object with `holder` as its holder, replacing `live`.
pub(super) fn manifest(
    target: &Target,
    profile: &str,
    holder: &str,
    live: Option<&Value>,
) -> Value {
    let now = micro_time(Timestamp::now());
    let transitions = live
        .and_then(|it| it["spec"]["leaseTransitions"].as_i64())
        .unwrap_or(-1)
        + 1;
    let mut manifest = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            "labels": names::labels(profile),
        },
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": DURATION,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        },
    });
    if let Some(live) = live {
        manifest["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    }
    manifest
}

/// Whether a run has the lease and has not given it back.
pub(super) fn is_held(live: &Value) -> bool {
    live["spec"]["holderIdentity"]
        .as_str()
        .is_some_and(|it| !it.is_empty())
}

/// After how long without renewal `live` expires.
pub(super) fn duration(live: &Value) -> Duration {
    let seconds = live["spec"]["leaseDurationSeconds"].as_u64();
    Duration::from_secs(seconds.unwrap_or(DURATION))
}

/// The holder of `live`, and since when.
pub(super) fn description(live: &Value) -> String {
    let text = |key: &str| live["spec"][key].as_str().unwrap_or("?").to_owned();
    format!(
        "{} held it since {}, last renewed {}",
        text("holderIdentity"),
        text("acquireTime"),
        text("renewTime")
    )
}

pub(super) fn locked(target: &Target, live: &Value) -> Error {
    Error::new(
        ErrorKind::Locked,
        System::Kubernetes,
        format!("another run of arcctl holds {target}"),
    )
    .object(target.to_string().replace('`', ""))
    .cause(description(live).replacen(" held ", " holds ", 1))
    .hint("wait until that run ends, then run the same command again")
}

/// A time in the format of a Lease: with microseconds.
pub(super) fn micro_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lease that alice holds, renewed at `renewed` by her clock.
    fn held(renewed: &str) -> Value {
        json!({"spec": {
            "holderIdentity": "alice", "leaseDurationSeconds": 15, "renewTime": renewed,
        }})
    }

    #[tokio::test(start_paused = true)]
    async fn no_time_that_is_written_in_it_makes_a_lease_a_dead_runs() {
        for renewed in ["2001-01-01T00:00:00Z", "2101-01-01T00:00:00Z", "", "soon"] {
            let (mut seen, lease) = (Seen::default(), held(renewed));
            assert_eq!(seen.look(&lease, &Value::Null), Look::Wait);
            tokio::time::advance(Duration::from_secs(14)).await;
            assert_eq!(seen.look(&lease, &Value::Null), Look::Wait, "{renewed}");
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(seen.look(&lease, &Value::Null), Look::Silent, "{renewed}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_changes_is_a_live_runs_and_an_own_one_is_taken() {
        let mut seen = Seen::default();
        let (first, second) = (held("2026-01-01T00:00:00Z"), held("2026-01-01T00:00:04Z"));
        assert_eq!(seen.look(&first, &Value::Null), Look::Wait);
        assert_eq!(seen.look(&first, &first["spec"]), Look::Mine);
        assert_eq!(seen.look(&second, &Value::Null), Look::Alive(&second));
        // Another run took it over in between, with the same renewal time.
        let mut other = first.clone();
        other["spec"]["holderIdentity"] = json!("bob");
        assert_eq!(seen.look(&other, &Value::Null), Look::Alive(&other));
    }

    #[test]
    fn a_lease_that_was_given_back_is_free() {
        assert!(!is_held(&json!({"spec": {"holderIdentity": ""}})));
        assert!(!is_held(&json!({"spec": {}})));
        assert!(is_held(&json!({"spec": {"holderIdentity": "a"}})));
    }

    #[test]
    fn a_run_gives_its_own_lease_back_and_not_that_of_a_run_with_its_name() {
        let lease = |since: &str| {
            json!({"metadata": {"resourceVersion": "7"}, "spec": {
                "holderIdentity": "root@ci (process 1)", "acquireTime": since,
            }})
        };
        let (own, other) = ("2026-01-01T00:00:00.000000Z", "2026-01-01T00:01:00.000000Z");
        let holder = Holder {
            identity: "root@ci (process 1)".into(),
            since: json!(own),
        };
        let free = holder.given_back(lease(own)).unwrap();
        assert!(!is_held(&free), "{free}");
        assert_eq!(free["metadata"]["resourceVersion"], "7");
        assert_eq!(holder.given_back(lease(other)), None);
        assert_eq!(holder.given_back(free), None);
    }

    #[test]
    fn times_have_microseconds() {
        let time: Timestamp = "2026-01-01T00:00:00.5Z".parse().unwrap();
        assert_eq!(micro_time(time), "2026-01-01T00:00:00.500000Z");
    }
}

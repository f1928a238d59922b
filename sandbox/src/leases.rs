//! Leader election over a Lease, as the stand-ins of controllers do it.

use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::objects::{Event, LEASE, Objects, text};

/// Into how many parts the duration of a Lease is divided by its renewals: 15 s are renewed every 2 s (client-go).
const RENEWALS: u32 = 7;

/// One candidate's view of a Lease.
#[derive(Debug, Default)]
pub(crate) struct Leader {
    held: Option<(String, Instant)>,
}

impl Leader {
    /// Takes or renews the Lease `at` for `identity`; false while somebody else holds it. A holder that died is
    /// waited for until its Lease has expired, as the real controllers do: they do not release it.
    pub(crate) async fn hold(
        &mut self,
        objects: &Objects,
        at: (&str, &str),
        identity: &str,
        duration: Duration,
    ) -> Result<bool> {
        if let Some((holder, renewed)) = &self.held
            && holder == identity
            && renewed.elapsed() < duration / RENEWALS
        {
            return Ok(true);
        }
        let now = Timestamp::now();
        let lease = objects.get(&LEASE, at).await?;
        let holder = lease
            .as_ref()
            .map_or("", |lease| text(lease, "/spec/holderIdentity"));
        let expired = lease.as_ref().is_none_or(|lease| is_expired(lease, now));
        if !holder.is_empty() && holder != identity && !expired {
            self.held = None;
            return Ok(false);
        }
        let micros = now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let mut spec = json!({
            "holderIdentity": identity, "renewTime": micros,
            "leaseDurationSeconds": duration.as_secs().max(1),
        });
        let new = holder != identity;
        if new {
            spec["acquireTime"] = micros.into();
            let transitions = lease
                .as_ref()
                .and_then(|lease| lease.pointer("/spec/leaseTransitions"));
            let before = transitions.and_then(serde_json::Value::as_i64);
            spec["leaseTransitions"] = before.map_or(0, |before| before + 1).into();
        }
        let written = if lease.is_some() {
            objects.merge(&LEASE, at, &json!({ "spec": spec })).await?
        } else {
            let body = json!({ "metadata": { "name": at.1, "namespace": at.0 }, "spec": spec });
            Some(objects.create(&LEASE, at.0, &body).await?)
        };
        if let Some(lease) = written.filter(|_| new) {
            let message = format!("{identity} became leader");
            let event = Event {
                kind: "Normal",
                reason: "LeaderElection",
                message: &message,
                component: identity,
            };
            objects.event(&lease, &event).await;
        }
        self.held = Some((identity.to_owned(), Instant::now()));
        Ok(true)
    }
}

fn is_expired(lease: &serde_json::Value, now: Timestamp) -> bool {
    let Ok(renewed) = text(lease, "/spec/renewTime").parse::<Timestamp>() else {
        return true;
    };
    let seconds = lease
        .pointer("/spec/leaseDurationSeconds")
        .and_then(serde_json::Value::as_i64);
    now.duration_since(renewed) > SignedDuration::from_secs(seconds.unwrap_or(15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_expires_after_its_duration() {
        let lease = json!({ "spec": {
            "renewTime": "2026-11-23T20:48:00.000000Z", "leaseDurationSeconds": 15,
        } });
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        assert!(!is_expired(&lease, at("2026-11-23T20:48:15Z")));
        assert!(is_expired(&lease, at("2026-11-23T20:48:16Z")));
        assert!(is_expired(&json!({}), at("2026-11-23T20:48:16Z")));
    }
}

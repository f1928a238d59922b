//! The lease that keeps two runs on one cluster apart (DESIGN 5): 15 s, renewed, released at the end.
//!
//! Whether a holder still lives is judged by its renewals, seen on this machine's own monotonic clock: two machines'
//! clocks need not agree. Only a renewal that is older than any such disagreement is taken for a dead run's at once.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, MissedTickBehavior},
};

use super::Stop;
use crate::{
    clients::kube::{Kube, Mode, Target},
    error::{Error, ErrorKind, Result, System},
    resource::owner,
};

/// How long a holder may be silent, in seconds.
const DURATION: u64 = 15;

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(4);

/// How long one renewal may take, so that three fit into the lease's time.
const RENEWAL_LIMIT: Duration = Duration::from_secs(3);

/// For how long after its last renewal this run still writes: it stops before another may begin.
const KEPT: Duration = Duration::from_secs(DURATION - 3);

/// How often a silent holder is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// By how much the clocks of two machines may disagree, in seconds.
const SKEW: i64 = 60;

/// A lease that this run holds.
pub struct Lease {
    kube: Kube,
    target: Target,
    holder: Arc<str>,
    /// The dead run it was taken over from.
    pub taken_over: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    renewals: Option<tokio::task::JoinHandle<()>>,
}

impl Lease {
    /// Takes the lease `arcctl-<profile>` in `namespace` for `holder`. A live holder is an error; a silent one is waited
    /// for once, until its time is over. When the lease is lost later, `stop` says so, and the run is to end.
    pub async fn acquire(
        kube: &Kube,
        namespace: &str,
        profile: &str,
        holder: &str,
        stop: watch::Sender<Option<Stop>>,
    ) -> Result<Self> {
        let target = Target::namespaced(
            "coordination.k8s.io/v1",
            "Lease",
            namespace,
            &format!("arcctl-{profile}"),
        );
        let mut seen: Option<(Value, Instant)> = None;
        let mut taken_over;
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let live = kube.get(&target).await?;
            taken_over = None;
            if let Some(live) = live.as_ref().filter(|it| is_held(it)) {
                let renewal = live["spec"]["renewTime"].clone();
                match &seen {
                    _ if is_long_ago(&renewal, Timestamp::now()) => {}
                    None => {
                        seen = Some((renewal, Instant::now()));
                        continue;
                    }
                    Some((first, _)) if *first != renewal => return Err(locked(&target, live)),
                    Some((_, since)) if since.elapsed() < duration(live) => continue,
                    Some(_) => {}
                }
                taken_over = Some(description(live));
            }
            let manifest = manifest(&target, profile, holder, live.as_ref());
            let taken = match &live {
                None => kube.create(&manifest, Mode::Commit).await,
                Some(_) => kube.replace(&manifest).await,
            };
            match taken {
                Ok(_) => break,
                // Another run was faster: look again.
                Err(failure) if failure.code() == Some(409) => {}
                Err(failure) => return Err(failure.about(&target)),
            }
        }
        let (end, ended) = oneshot::channel();
        let renewals = tokio::spawn(renew(
            kube.clone(),
            target.clone(),
            holder.to_owned(),
            stop,
            ended,
        ));
        Ok(Self {
            kube: kube.clone(),
            target,
            holder: holder.into(),
            taken_over,
            stop: Some(end),
            renewals: Some(renewals),
        })
    }

    /// Ends the renewals and keeps the lease, which goes with its namespace; what is left to do fits into its time.
    pub async fn keep(mut self) {
        self.end_renewals().await;
    }

    /// Gives the lease back.
    pub async fn release(mut self) {
        self.end_renewals().await;
        // A lease that cannot be given back ends by itself after 15 s.
        if let Ok(Some(mut live)) = self.kube.get(&self.target).await
            && live["spec"]["holderIdentity"] == json!(&*self.holder)
        {
            live["spec"]["holderIdentity"] = json!("");
            drop(self.kube.replace(&live).await);
        }
    }

    async fn end_renewals(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The task has ended by itself when nobody receives this.
            let _ended = stop.send(());
        }
        if let Some(renewals) = self.renewals.take() {
            drop(renewals.await);
        }
    }
}

/// Renews until the run ends; a lease that another holds, or that could not be renewed in time, stops the run.
async fn renew(
    kube: Kube,
    target: Target,
    holder: String,
    stop: watch::Sender<Option<Stop>>,
    mut ended: oneshot::Receiver<()>,
) {
    let mut ticks = tokio::time::interval(RENEWAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut renewed = Instant::now();
    loop {
        tokio::select! {
            _ = &mut ended => return,
            _ = ticks.tick() => {}
        }
        let began = Instant::now();
        match tokio::time::timeout(RENEWAL_LIMIT, renew_once(&kube, &target, &holder)).await {
            Ok(Renewal::Done) => renewed = began,
            Ok(Renewal::Lost) => break,
            // It is tried again with the next tick.
            Ok(Renewal::Failed) | Err(_) => {}
        }
        if renewed.elapsed() + RENEWAL > KEPT {
            break;
        }
    }
    stop.send_if_modified(|stop| {
        let first = stop.is_none();
        stop.get_or_insert(Stop::LeaseLost);
        first
    });
}

enum Renewal {
    Done,
    Failed,
    Lost,
}

async fn renew_once(kube: &Kube, target: &Target, holder: &str) -> Renewal {
    match kube.get(target).await {
        Ok(Some(mut live)) if live["spec"]["holderIdentity"] == json!(holder) => {
            live["spec"]["renewTime"] = json!(micro_time(Timestamp::now()));
            match kube.replace(&live).await {
                Ok(_) => Renewal::Done,
                Err(_) => Renewal::Failed,
            }
        }
        Ok(_) => Renewal::Lost,
        Err(_) => Renewal::Failed,
    }
}

fn manifest(target: &Target, profile: &str, holder: &str, live: Option<&Value>) -> Value {
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
            "labels": {owner::MANAGED_BY: "arcctl", owner::PROFILE: profile},
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
fn is_held(live: &Value) -> bool {
    live["spec"]["holderIdentity"]
        .as_str()
        .is_some_and(|it| !it.is_empty())
}

/// Whether a renewal is so old at `now` that no disagreement of clocks explains it; one without a time is.
fn is_long_ago(renewal: &Value, now: Timestamp) -> bool {
    let time = renewal.as_str().and_then(|it| it.parse::<Timestamp>().ok());
    let limit = SignedDuration::from_secs(DURATION.cast_signed() + SKEW);
    time.is_none_or(|time| now.duration_since(time) > limit)
}

/// How long the holder of `live` may be silent.
fn duration(live: &Value) -> Duration {
    let seconds = live["spec"]["leaseDurationSeconds"].as_u64();
    Duration::from_secs(seconds.unwrap_or(DURATION))
}

/// Who holds `live`, since when.
fn description(live: &Value) -> String {
    let text = |key: &str| live["spec"][key].as_str().unwrap_or("?").to_owned();
    format!(
        "{} held it since {}, last renewed {}",
        text("holderIdentity"),
        text("acquireTime"),
        text("renewTime")
    )
}

fn locked(target: &Target, live: &Value) -> Error {
    Error::new(
        ErrorKind::Locked,
        System::Kubernetes,
        "another run of arcctl works on this cluster",
    )
    .object(target.to_string().replace('`', ""))
    .cause(description(live).replacen(" held ", " holds ", 1))
    .hint("wait for that run to end, then run this again")
}

/// A time as Lease has it: with microseconds.
fn micro_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_renewal_older_than_any_skew_is_a_dead_runs() {
        let renewal = json!("2026-01-01T00:00:00.000000Z");
        let long_ago = |now: &str| is_long_ago(&renewal, now.parse().unwrap());
        assert!(!long_ago("2026-01-01T00:00:16Z"), "the clocks may disagree");
        assert!(!long_ago("2026-01-01T00:01:15Z"));
        assert!(long_ago("2026-01-01T00:01:16Z"));
        assert!(!long_ago("2025-12-31T23:00:00Z"), "its clock is ahead");
        assert!(is_long_ago(&Value::Null, Timestamp::now()));
    }

    #[test]
    fn a_lease_that_was_given_back_is_free() {
        assert!(!is_held(&json!({"spec": {"holderIdentity": ""}})));
        assert!(!is_held(&json!({"spec": {}})));
        assert!(is_held(&json!({"spec": {"holderIdentity": "a"}})));
    }

    #[test]
    fn the_run_stops_before_another_may_begin() {
        assert!(KEPT < Duration::from_secs(DURATION));
        assert!(RENEWAL + RENEWAL_LIMIT < KEPT);
    }

    #[test]
    fn times_have_microseconds() {
        let time: Timestamp = "2026-01-01T00:00:00.5Z".parse().unwrap();
        assert_eq!(micro_time(time), "2026-01-01T00:00:00.500000Z");
    }
}

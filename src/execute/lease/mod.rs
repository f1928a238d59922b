//! The lease that prevents two runs on one cluster at the same time (DESIGN 5): 15 s, renewed, released at the end.
//!
//! Only this machine's monotonic clock counts: a lease is taken over once its record has not changed for its whole
//! duration. The times written in it are ignored, since the clocks of two machines may differ.
//!
//! A holder that cannot renew it, because the API server does not respond, stops writing in time and waits. Once the API
//! server responds again, the run continues if it still holds the lease.

pub(crate) mod record;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, MissedTickBehavior},
};

use record::{DURATION, Holder, Look, Seen, description, is_held, locked, manifest, micro_time};

use super::Stop;
use crate::{
    clients::kube::{Kube, Mode, Target},
    error::Result,
};

/// The renewal interval.
const RENEWAL: Duration = Duration::from_secs(4);

/// The retry interval while writes are paused.
const RETRY: Duration = Duration::from_secs(1);

/// The timeout of one renewal: three of them fit into the lease's duration.
const RENEWAL_LIMIT: Duration = Duration::from_secs(3);

/// For how long after its last renewal this run still writes: it stops before another run may start.
const KEPT: Duration = Duration::from_secs(DURATION - 3);

/// The polling interval while another run holds the lease.
const LOOK: Duration = Duration::from_millis(500);

/// How long the API server may be unavailable while this run waits for the lease.
const OUTAGE: Duration = Duration::from_secs(30);

/// A lease that this run holds.
pub struct Lease {
    kube: Kube,
    target: Target,
    holder: Holder,
    hold: Hold,
    /// The dead run from which the lease was taken over.
    pub taken_over: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    renewals: Option<tokio::task::JoinHandle<()>>,
}

impl Lease {
    /// Acquires the lease `arcctl-<profile>` in `namespace` for `holder`. If another run renews it, that is an error; if
    /// not, this run waits once until it expires. Later, `hold` pauses all writes while the lease cannot be renewed, and
    /// stops the run when another run holds it.
    pub async fn acquire(
        kube: &Kube,
        namespace: &str,
        profile: &str,
        holder: &str,
        hold: Hold,
    ) -> Result<Self> {
        let target = Target::namespaced(
            "coordination.k8s.io/v1",
            "Lease",
            namespace,
            &format!("arcctl-{profile}"),
        );
        let (mine, taken_over) = take(kube, &target, profile, holder).await?;
        // The lease of a run before may have ended while it was not renewed.
        hold.paused.send_replace(false);
        let (end, ended) = oneshot::channel();
        let holder = Holder {
            identity: holder.to_owned(),
            since: mine["acquireTime"].clone(),
        };
        let renewals = tokio::spawn(renew(
            kube.clone(),
            target.clone(),
            holder.clone(),
            hold.clone(),
            ended,
        ));
        Ok(Self {
            kube: kube.clone(),
            target,
            holder,
            hold,
            taken_over,
            stop: Some(end),
            renewals: Some(renewals),
        })
    }

    /// Stops the renewals and keeps the lease, which is deleted with its namespace before it expires.
    pub async fn keep(mut self) {
        self.end_renewals().await;
        self.hold.paused.send_replace(false);
    }

    /// Releases the lease.
    pub async fn release(mut self) {
        self.end_renewals().await;
        // A lease that cannot be released expires after 15 s.
        if let Ok(Some(live)) = self.kube.get(&self.target).await
            && let Some(free) = self.holder.given_back(live)
        {
            drop(self.kube.replace(&free).await);
        }
    }

    async fn end_renewals(&mut self) {
        if let Some(stop) = self.stop.take() {
            // If there is no receiver, the task has already ended.
            let _ended = stop.send(());
        }
        if let Some(renewals) = self.renewals.take() {
            drop(renewals.await);
        }
    }
}

/// Acquires the lease; returns its record, and the dead run from which it was taken over.
async fn take(
    kube: &Kube,
    target: &Target,
    profile: &str,
    holder: &str,
) -> Result<(Value, Option<String>)> {
    let mut seen = Seen::default();
    let (mut mine, mut failing) = (Value::Null, None);
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let live = match kube.get(target).await {
            Ok(live) => live,
            Err(error) => {
                let since = *failing.get_or_insert_with(Instant::now);
                if !error.passing || since.elapsed() > OUTAGE {
                    return Err(error);
                }
                // Its holder could not renew it either during the outage.
                seen = Seen::default();
                continue;
            }
        };
        failing = None;
        let held = live.as_ref().filter(|it| is_held(it));
        match held.map(|it| seen.look(it, &mine)) {
            Some(Look::Mine) => return Ok((mine, None)),
            Some(Look::Wait) => continue,
            Some(Look::Alive(live)) => return Err(locked(target, live)),
            Some(Look::Silent) | None => {}
        }
        let taken_over = held.map(description);
        let manifest = manifest(target, profile, holder, live.as_ref());
        mine = manifest["spec"].clone();
        let taken = match &live {
            None => kube.create(&manifest, Mode::Commit).await,
            Some(_) => kube.replace(&manifest).await,
        };
        match taken {
            Ok(_) => return Ok((mine, taken_over)),
            // Another run was faster, or there was no response: read it again.
            Err(failure) if matches!(failure.code(), None | Some(409)) => {}
            Err(failure) => return Err(failure.about(target)),
        }
    }
}

/// The state of the lease, as signals to the run.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Set when another run holds it: this run must stop.
    pub stop: watch::Sender<Option<Stop>>,
    /// Set while it is not renewed: writes are paused.
    pub paused: watch::Sender<bool>,
}

/// Renews the lease until the run ends. While renewals fail, the run is paused, in time before another run may acquire
/// the lease; a lease that another run holds, or that is deleted, stops the run.
async fn renew(
    kube: Kube,
    target: Target,
    holder: Holder,
    hold: Hold,
    mut ended: oneshot::Receiver<()>,
) {
    let mut renewed = Instant::now();
    let mut next = renewed + RENEWAL;
    loop {
        tokio::select! {
            _ = &mut ended => return,
            () = tokio::time::sleep_until(next) => {}
        }
        let began = Instant::now();
        let renewal = tokio::time::timeout(RENEWAL_LIMIT, renew_once(&kube, &target, &holder));
        let renewal = tokio::select! {
            _ = &mut ended => return,
            renewal = renewal => renewal.unwrap_or(Renewal::Failed),
            // The renewal is too slow: from here on a write could overlap with another run.
            () = tokio::time::sleep_until(renewed + KEPT), if !*hold.paused.borrow() => Renewal::Failed,
        };
        match renewal {
            Renewal::Done => {
                renewed = began;
                hold.paused.send_if_modified(std::mem::take);
                next = began + RENEWAL;
            }
            Renewal::Lost => break,
            Renewal::Failed => {
                // Start no write that could still be in flight when another run may start.
                if renewed.elapsed() + RETRY + RENEWAL_LIMIT >= KEPT {
                    hold.paused
                        .send_if_modified(|paused| !std::mem::replace(paused, true));
                }
                next = Instant::now() + RETRY;
            }
        }
    }
    lost(&hold.stop);
}

/// Stops the run. A step that has failed is no reason to go on: what follows a failure, such as the way back of an upgrade, writes
/// too. A signal stays.
fn lost(stop: &watch::Sender<Option<Stop>>) {
    stop.send_if_modified(|stop| {
        let is_new = stop.is_none_or(|it| it == Stop::Failed);
        if is_new {
            *stop = Some(Stop::LeaseLost);
        }
        is_new
    });
}

enum Renewal {
    Done,
    Failed,
    Lost,
}

async fn renew_once(kube: &Kube, target: &Target, holder: &Holder) -> Renewal {
    match kube.get(target).await {
        Ok(Some(mut live)) if holder.has(&live) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_stops_before_another_may_begin() {
        assert!(KEPT < Duration::from_secs(DURATION));
        // One renewal may fail without a pause.
        assert!(RENEWAL + RENEWAL_LIMIT + RETRY + RENEWAL_LIMIT < KEPT);
    }

    #[test]
    fn a_lease_that_is_lost_after_a_failure_still_stops_what_follows() {
        for (before, after) in [
            (None, Stop::LeaseLost),
            (Some(Stop::Failed), Stop::LeaseLost),
            (Some(Stop::Interrupted), Stop::Interrupted),
        ] {
            let stop = watch::Sender::new(before);
            lost(&stop);
            assert_eq!(*stop.borrow(), Some(after));
        }
    }
}

//! The lease that keeps two runs on one cluster apart (DESIGN 5): 15 s, renewed, released at the end.
//!
//! Only what this machine's monotonic clock has seen decides: a lease is taken over once its record has not changed for
//! as long as it lasts. No time that is written in it counts, since two machines' clocks need not agree.
//!
//! A holder that cannot renew it, because the API server does not answer, stops writing in time and waits. Once the API
//! server answers again the run goes on, if it is still the holder.

pub(crate) mod record;

use std::{sync::Arc, time::Duration};

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

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(4);

/// How often that is tried again while nothing may be written.
const RETRY: Duration = Duration::from_secs(1);

/// How long one renewal may take, so that three fit into the lease's time.
const RENEWAL_LIMIT: Duration = Duration::from_secs(3);

/// For how long after its last renewal this run still writes: it stops before another may begin.
const KEPT: Duration = Duration::from_secs(DURATION - 3);

/// How often a silent holder is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// For how long the API server may not answer while the lease is waited for.
const OUTAGE: Duration = Duration::from_secs(30);

/// A lease that this run holds.
pub struct Lease {
    kube: Kube,
    target: Target,
    holder: Arc<str>,
    hold: Hold,
    /// The dead run it was taken over from.
    pub taken_over: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    renewals: Option<tokio::task::JoinHandle<()>>,
}

impl Lease {
    /// Takes the lease `arcctl-<profile>` in `namespace` for `holder`. A live holder is an error; a silent one is waited
    /// for once, until its time is over. While it cannot be renewed later, `hold` says so, and nothing is to be written;
    /// when another run has it, `hold` says that the run is to end.
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
        let (end, ended) = oneshot::channel();
        let renewals = tokio::spawn(renew(
            kube.clone(),
            target.clone(),
            Holder {
                identity: holder.to_owned(),
                since: mine["acquireTime"].clone(),
            },
            hold.clone(),
            ended,
        ));
        Ok(Self {
            kube: kube.clone(),
            target,
            holder: holder.into(),
            hold,
            taken_over,
            stop: Some(end),
            renewals: Some(renewals),
        })
    }

    /// Ends the renewals and keeps the lease, which goes with its namespace; what is left to do fits into its time.
    pub async fn keep(mut self) {
        self.end_renewals().await;
        self.hold.paused.send_replace(false);
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

/// Takes the lease; returns its record, and the dead run it was taken over from.
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
                // Nor could its holder renew it meanwhile.
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
            // Another run was faster, or no answer came: look again.
            Err(failure) if matches!(failure.code(), None | Some(409)) => {}
            Err(failure) => return Err(failure.about(target)),
        }
    }
}

/// What a run is told of its lease.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Set when another run has it: this one is to end.
    pub stop: watch::Sender<Option<Stop>>,
    /// Set while it is not renewed: nothing is to be written.
    pub paused: watch::Sender<bool>,
}

/// Renews until the run ends. While that does not succeed the run is paused, in time before another may take the lease;
/// a lease that another holds, or that is gone, stops the run.
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
            // It does not come in time: what is written next must not meet another run.
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
                // Nothing is begun that could still be written when another run may begin.
                if renewed.elapsed() + RETRY + RENEWAL_LIMIT >= KEPT {
                    hold.paused
                        .send_if_modified(|paused| !std::mem::replace(paused, true));
                }
                next = Instant::now() + RETRY;
            }
        }
    }
    hold.stop.send_if_modified(|stop| {
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
}

//! Helm's lock: the record of an unfinished revision. arcctl deletes it only if the helm process behind it has ended.
//!
//! Clocks alone are not enough. Helm writes no heartbeat: while it works or waits, its record does not change. So the record
//! must be unchanged for a while by the local monotonic clock, and its age must exceed the maximum lifetime of its helm
//! process; if the clocks disagree, only the first condition counts (findings: kubernetes.md 6).

use std::time::Duration;

use jiff::Timestamp;

use super::record::ReleaseRecord;
use crate::{
    clients::kube::Target,
    desired::resource::HelmRelease,
    error::{Error, Result, System},
    resource::{context::Context, observed::Readiness},
};

/// The maximum lifetime of a helm process that arcctl started: it ends after 180 s even if its arcctl was
/// killed (clients/helm/mod.rs).
const OWN_HELM: Duration = Duration::from_secs(190);

/// The minimum age of another helm's record: with `--wait` the record may be unchanged for the whole `--timeout`, which
/// arcctl cannot read. Users set minutes there.
const OTHER_HELM: Duration = Duration::from_hours(1);

/// How long a record must be unchanged, whatever its age.
const WATCHED: Duration = Duration::from_secs(15);

/// The state of the helm process behind an unfinished record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// The record is finished: there is no lock.
    Nobody,
    /// It may be running.
    Alive,
    /// It has ended, by the record's age; the record is still being watched.
    Watched,
    /// It has ended.
    Gone,
}

/// The state of the helm process behind `record`, at the time `now`, with the record `unchanged` for this long.
pub(super) fn holder(record: &ReleaseRecord, now: i64, unchanged: Duration) -> Holder {
    if !record.is_unfinished() {
        return Holder::Nobody;
    }
    let longest = if record.is_of_arcctl() {
        OWN_HELM
    } else {
        OTHER_HELM
    };
    let old = record.modified.is_none_or(|it| {
        u64::try_from(now - it).is_ok_and(|age| Duration::from_secs(age) > longest)
    });
    match (old, unchanged) {
        (_, unchanged) if unchanged > longest => Holder::Gone,
        (true, unchanged) if unchanged >= WATCHED => Holder::Gone,
        (true, _) => Holder::Watched,
        (false, _) => Holder::Alive,
    }
}

impl HelmRelease {
    /// Whether a helm process is running on the release, as far as known now.
    pub(super) fn holder(context: &Context, record: &ReleaseRecord) -> Holder {
        let unchanged = context
            .remarks
            .unchanged_for(&record.secret, record.version());
        holder(record, Timestamp::now().as_second(), unchanged)
    }

    /// Why the release cannot be written now; `None` where it is not locked.
    pub(super) fn held(&self, context: &Context, record: &ReleaseRecord) -> Option<Readiness> {
        match Self::holder(context, record) {
            Holder::Nobody | Holder::Gone => None,
            Holder::Alive => Some(self.at_work(record)),
            Holder::Watched => Some(Readiness::progressing(format!(
                "revision {} is {}; waiting {} s to be sure that no helm process is still working on it",
                record.revision,
                record.status,
                WATCHED.as_secs()
            ))),
        }
    }

    /// Reports that another helm is running, with the hint if it is not.
    pub(super) fn at_work(&self, record: &ReleaseRecord) -> Readiness {
        let since = record
            .modified
            .map(|it| format!(", since {} s", (Timestamp::now().as_second() - it).max(0)))
            .unwrap_or_default();
        Readiness::stuck(
            format!(
                "another helm process is working on the release ({}{since})",
                record.status
            ),
            format!(
                "wait until it ends; if no helm process is running any more (`helm -n {namespace} history {name}` shows revision {revision}), remove its lock: `kubectl -n {namespace} delete secret {secret}`",
                namespace = self.namespace,
                name = self.name,
                revision = record.revision,
                secret = record.secret,
            ),
        )
    }

    /// Deletes the lock of an ended helm process: only this record, and only if unchanged.
    pub(super) async fn unlock(&self, context: &Context, record: &ReleaseRecord) -> Result<()> {
        if let Some(readiness) = self.held(context, record) {
            let reason = readiness.reason().unwrap_or_default().to_owned();
            let hint = match readiness {
                Readiness::Stuck { hint, .. } => hint,
                _ => String::new(),
            };
            return Err(Error::failed(System::Kubernetes, reason)
                .hint(hint)
                .passing(true));
        }
        if !record.status.starts_with("pending-") {
            return Ok(());
        }
        // The record of an unfinished revision is helm's lock; the objects are kept, and the next upgrade adopts them.
        let lock = Target::namespaced("v1", "Secret", &self.namespace, &record.secret);
        context.kube.delete_exactly(&lock, &record.seen).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::helm::record::tests::given;

    const NOW: i64 = 1_800_000_000;

    fn record(revision: &str, made_as: Option<&str>, status: &str, age: i64) -> ReleaseRecord {
        let mut secret = given(revision, status, &json!({}));
        let labels = &mut secret["metadata"]["labels"];
        labels["modifiedAt"] = json!((NOW - age).to_string());
        labels["arcctl.dev/profile"] = json!("a");
        if let Some(made_as) = made_as {
            labels["arcctl.dev/revision"] = json!(made_as);
        }
        crate::resource::helm::record::newest(&[secret])
            .unwrap()
            .unwrap()
    }

    #[test]
    fn a_live_helm_keeps_its_lock() {
        let short = Duration::from_secs(20);
        let of = |record: &ReleaseRecord, unchanged| holder(record, NOW, unchanged);
        // A record of arcctl, and a manual one that inherited its labels from the revision before.
        let own = |age| record("7", Some("7"), "pending-upgrade", age);
        let by_hand = |age| record("7", Some("6"), "pending-upgrade", age);
        assert_eq!(of(&own(30), short), Holder::Alive);
        assert_eq!(of(&own(400), Duration::ZERO), Holder::Watched);
        assert_eq!(of(&own(400), short), Holder::Gone);
        assert_eq!(
            of(&by_hand(400), short),
            Holder::Alive,
            "helm upgrade --wait --timeout 10m"
        );
        assert_eq!(of(&by_hand(7200), short), Holder::Gone);
        assert_eq!(
            of(&record("7", None, "pending-install", 400), short),
            Holder::Alive
        );
    }

    #[test]
    fn watching_decides_where_the_clocks_disagree() {
        let ahead = record("7", Some("7"), "pending-upgrade", -75);
        assert_eq!(holder(&ahead, NOW, Duration::from_secs(100)), Holder::Alive);
        assert_eq!(holder(&ahead, NOW, Duration::from_secs(191)), Holder::Gone);
    }

    #[test]
    fn what_is_finished_is_no_lock() {
        for status in ["deployed", "failed", "superseded"] {
            let record = record("7", Some("7"), status, 9999);
            assert_eq!(
                holder(&record, NOW, Duration::from_hours(9)),
                Holder::Nobody
            );
        }
    }
}

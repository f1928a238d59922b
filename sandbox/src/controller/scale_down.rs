//! Scales down a set with too many Runners: which ones are deleted, and with what delay.
//!
//! As ARC v0.27.6 does it (`runner_pod_owner.go`), and as measured: the redundant Runners are chosen by age, busy or not;
//! their pods are unregistered at GitHub; then the Runner itself is annotated, and only an annotated Runner whose pod is
//! unregistered is deleted. For a young Runner this annotation fails with a conflict ("Failed to patch owner to have
//! actions-runner/unregistration-request-timestamp annotation"), and nothing triggers the controller before its next sync:
//! a scale-down soon after a scale-up took two sync periods, one a minute later less than a second.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::pods::{self, COMPLETED, REQUESTED};
use super::reconciler::{Reconciler, Snapshot};
use super::{RUNNER, deployments::replicas};
use crate::objects::{self, POD, at, text, uid};

/// What is done next with a Runner that is redundant.
#[derive(Debug, Eq, PartialEq)]
enum Next {
    /// It is marked, after its pod was asked to leave GitHub.
    Mark,
    /// Marking it meets a conflict.
    Conflict,
    /// Its pod has not left GitHub yet.
    Wait,
    /// It is deleted.
    Delete,
}

impl Reconciler {
    /// Takes the redundant Runners of a set one step on.
    pub(super) async fn scale_down(
        &mut self,
        set: &Value,
        live: &[&Value],
        snapshot: &Snapshot,
    ) -> Result<()> {
        let turn = format!("scale-down of {}", uid(set));
        if self.waits(&turn) {
            return Ok(());
        }
        let now = Timestamp::now();
        let young = SignedDuration::try_from(self.delays.resync)?;
        let mut conflict = false;
        for runner in redundant(live, replicas(set)) {
            let pod = snapshot.pods.iter().find(|pod| at(pod) == at(runner));
            match next(runner, pod, now, young) {
                Next::Wait => {}
                Next::Delete => self.objects.delete(&RUNNER, at(runner)).await?,
                Next::Mark => self.mark(runner, pod, now).await?,
                Next::Conflict => {
                    if let Some(pod) = pod {
                        self.ask_to_leave(pod, now).await?;
                    }
                    conflict = true;
                }
            }
        }
        if conflict {
            // The error ends this turn; the next one comes with a sync.
            self.wait(&turn, self.delays.resync);
        }
        Ok(())
    }

    async fn mark(&mut self, runner: &Value, pod: Option<&Value>, now: Timestamp) -> Result<()> {
        if let Some(pod) = pod {
            self.ask_to_leave(pod, now).await?;
        }
        let patch = json!({ "metadata": { "annotations": { REQUESTED: objects::seconds(now) } } });
        self.objects.merge(&RUNNER, at(runner), &patch).await?;
        Ok(())
    }

    async fn ask_to_leave(&self, pod: &Value, now: Timestamp) -> Result<()> {
        if pods::annotation(pod, REQUESTED).is_none() {
            let annotations = json!({ REQUESTED: objects::seconds(now) });
            let patch = json!({ "metadata": { "annotations": annotations } });
            self.objects.merge(&POD, at(pod), &patch).await?;
        }
        Ok(())
    }
}

/// All but the youngest `desired`.
fn redundant<'a>(live: &[&'a Value], desired: i64) -> Vec<&'a Value> {
    let mut by_age = live.to_vec();
    by_age.sort_by_key(|runner| {
        std::cmp::Reverse(text(runner, "/metadata/creationTimestamp").to_owned())
    });
    let desired = usize::try_from(desired).unwrap_or(0);
    by_age.into_iter().skip(desired).collect()
}

fn next(runner: &Value, pod: Option<&Value>, now: Timestamp, young: SignedDuration) -> Next {
    let marked = pods::annotation(runner, REQUESTED).is_some();
    let left = pod.is_none_or(|pod| {
        pods::annotation(pod, COMPLETED).is_some()
            || matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
    });
    let made: Option<Timestamp> = text(runner, "/metadata/creationTimestamp").parse().ok();
    let is_young = made.is_some_and(|made| now.duration_since(made) < young);
    match (marked, left) {
        (true, true) => Next::Delete,
        (true, false) => Next::Wait,
        (false, _) if is_young => Next::Conflict,
        (false, _) => Next::Mark,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(at: &str, annotations: &Value) -> Value {
        json!({ "metadata": { "name": at, "creationTimestamp": at, "annotations": annotations } })
    }

    #[test]
    fn the_oldest_go_whether_or_not_they_are_busy() {
        let none = json!({});
        let (old, young) = (
            made("2026-11-26T00:00:00Z", &none),
            made("2026-11-26T00:00:09Z", &none),
        );
        assert_eq!(redundant(&[&old, &young], 1), [&old]);
        assert_eq!(redundant(&[&old, &young], 0).len(), 2);
        assert!(redundant(&[&old], 3).is_empty());
    }

    #[test]
    fn a_young_runner_is_not_marked_and_an_unmarked_one_not_deleted() {
        let runner = |marked: bool| {
            let annotations = if marked {
                json!({ REQUESTED: "t" })
            } else {
                json!({})
            };
            made("2026-11-26T00:00:00Z", &annotations)
        };
        let pod = |left: bool| {
            let annotations = if left {
                json!({ COMPLETED: "t" })
            } else {
                json!({})
            };
            json!({ "metadata": { "annotations": annotations } })
        };
        let minute = SignedDuration::from_mins(1);
        let soon: Timestamp = "2026-11-26T00:00:30Z".parse().unwrap();
        let later: Timestamp = "2026-11-26T00:01:00Z".parse().unwrap();
        let step = |marked, left, now| next(&runner(marked), Some(&pod(left)), now, minute);
        assert_eq!(step(false, false, soon), Next::Conflict);
        assert_eq!(step(false, true, soon), Next::Conflict);
        assert_eq!(step(false, true, later), Next::Mark);
        assert_eq!(step(true, false, later), Next::Wait);
        assert_eq!(step(true, true, later), Next::Delete);
        assert_eq!(next(&runner(true), None, soon, minute), Next::Delete);
    }
}

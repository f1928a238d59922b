//! When a container is ready: the readiness probe, as a kubelet runs it. Pure: no I/O.

use std::time::Duration;

use k8s_openapi::api::core::v1::Container;

/// After how long since its start a container is ready.
///
/// The kubelet probes when it sees the container run and once per period from then on, and skips a probe before
/// `initialDelaySeconds` (kubernetes, `pkg/kubelet/prober/worker.go` and `prober_manager.go`). A probe at the very start
/// finds no program that listens yet; every later one succeeds.
pub(super) fn ready_after(container: &Container) -> Duration {
    let Some(probe) = &container.readiness_probe else {
        return Duration::ZERO;
    };
    let seconds =
        |value: Option<i32>, default| u64::try_from(value.unwrap_or(default)).unwrap_or_default();
    let period = seconds(probe.period_seconds, 10).max(1);
    let delay = seconds(probe.initial_delay_seconds, 0);
    let successes = seconds(probe.success_threshold, 1).max(1);
    let first = delay.div_ceil(period).max(1);
    Duration::from_secs((first + successes - 1) * period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_container_without_a_probe_is_ready_at_once() {
        let container = from_value(json!({"name": "c"})).unwrap();
        assert_eq!(ready_after(&container), Duration::ZERO);
    }

    #[test]
    fn a_container_is_ready_at_the_first_probe_after_the_delay() {
        for (delay, period, successes, expected) in [
            (5, 5, 1, 5),
            (6, 5, 1, 10),
            (1, 10, 1, 10),
            (0, 1, 1, 1),
            (3, 1, 2, 4),
        ] {
            let container = from_value(json!({"name": "c", "readinessProbe": {
                "initialDelaySeconds": delay, "periodSeconds": period, "successThreshold": successes}}))
            .unwrap();
            let expected = Duration::from_secs(expected);
            assert_eq!(
                ready_after(&container),
                expected,
                "{delay} {period} {successes}"
            );
        }
        let defaults = from_value(json!({"name": "c", "readinessProbe": {}})).unwrap();
        assert_eq!(ready_after(&defaults), Duration::from_secs(10));
    }
}

//! The delays of the nodes. Pure: no I/O.

use std::time::Duration;

/// How long the steps of a pod's life take.
#[derive(Clone, Debug)]
pub struct Delays {
    /// From being bound to Running, when nothing is missing.
    pub start: Duration,
    /// Before the first new attempt to mount a volume; each further one takes twice as long.
    pub mount: Duration,
    /// Between looks at a missing variable or an image that cannot be pulled.
    pub retry: Duration,
    /// How long an init container runs, and a container of a Job.
    pub job: Duration,
    /// From being asked to end to being gone.
    pub termination: Duration,
    /// Whether readiness probes are run in their own time; otherwise a container is ready at once.
    pub probes: bool,
    /// Between two looks of the kubelet at the images for its node's status: it keeps a list for 30 s (kubernetes,
    /// `pkg/kubelet/images/image_gc_manager.go`).
    pub images: Duration,
}

impl Delays {
    /// As on a real node; images come beside this.
    pub fn realistic() -> Self {
        Self {
            start: Duration::from_secs(1),
            mount: Duration::from_millis(500),
            retry: Duration::from_secs(2),
            job: Duration::from_millis(500),
            termination: Duration::from_millis(300),
            probes: true,
            images: Duration::from_secs(30),
        }
    }

    /// As short as it goes, for tests.
    pub fn fast() -> Self {
        Self {
            start: Duration::from_millis(50),
            mount: Duration::from_millis(100),
            retry: Duration::from_millis(200),
            job: Duration::from_millis(50),
            termination: Duration::from_millis(20),
            probes: false,
            images: Duration::from_secs(1),
        }
    }

    /// Before the next attempt to mount a volume, after this many.
    pub(super) fn before_mount(&self, attempts: u32) -> Duration {
        let longest = Duration::from_secs(122);
        self.mount
            .saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)))
            .min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_tried_less_and_less_often() {
        let delays = Delays::realistic();
        let wait = |attempts| delays.before_mount(attempts).as_millis();
        assert_eq!(
            [wait(1), wait(2), wait(4), wait(99)],
            [500, 1000, 4000, 122_000]
        );
    }
}

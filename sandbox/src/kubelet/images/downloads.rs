//! The layers that a node downloads at a time: they share its bandwidth. Pure: no I/O.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::sizes::Layer;

/// Compressed bytes per second that a node pulls and unpacks.
///
/// AWS gives four to six minutes for images of 15 to 20 GB (AWS Machine Learning Blog, "Reducing container cold start
/// times using SOCI index on DLAMI and DLC"), which is about 60 MB/s. A t3a.large may do more for a while (96 MB/s of
/// network and 87 MB/s of disk are its baselines, EC2 User Guide), so this is no hardware limit: unpacking costs the rest.
pub(super) const BANDWIDTH: u64 = 60_000_000;

/// Parts of a byte, so that sharing loses none.
const PARTS: u128 = 1_000_000_000;

/// The layers that are on their way to one node.
#[derive(Debug)]
pub(super) struct Downloads {
    /// What is left of each, in billionths of a byte.
    left: BTreeMap<String, u128>,
    /// The time that `left` is of.
    at: Instant,
}

impl Downloads {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: BTreeMap::new(),
            at: now,
        }
    }

    /// Begins with a layer, unless it is on its way.
    pub(super) fn begin(&mut self, layer: &Layer) {
        let parts = u128::from(layer.bytes) * PARTS;
        self.left.entry(layer.id.clone()).or_insert(parts);
    }

    /// Gives up a layer that nobody waits for any more.
    pub(super) fn stop(&mut self, layer: &str) {
        self.left.remove(layer);
    }

    /// Goes on to `now`: the layers that have come since.
    pub(super) fn advance(&mut self, now: Instant) -> Vec<String> {
        let mut come = Vec::new();
        while let Some(time) = self.next_end().filter(|time| self.at + *time <= now) {
            self.receive(time);
            self.at += time;
            self.left.retain(|layer, left| {
                if *left == 0 {
                    come.push(layer.clone());
                }
                *left > 0
            });
        }
        let rest = now.saturating_duration_since(self.at);
        self.receive(rest);
        self.at = self.at.max(now);
        come
    }

    /// How long these layers take if nothing else begins.
    pub(super) fn time_for(&self, layers: &[&str]) -> Duration {
        let mut lefts: Vec<(u128, bool)> = self
            .left
            .iter()
            .map(|(layer, left)| (*left, layers.contains(&layer.as_str())))
            .collect();
        lefts.sort_unstable();
        let (mut nanoseconds, mut before) = (0, 0);
        let mut longest = 0;
        for (done, (left, is_asked)) in lefts.iter().enumerate() {
            let sharing = lefts.len() - done;
            nanoseconds += time(left - before, sharing);
            before = *left;
            if *is_asked {
                longest = nanoseconds;
            }
        }
        Duration::from_nanos(u64::try_from(longest).unwrap_or(u64::MAX))
    }

    /// Until the next layer has come.
    fn next_end(&self) -> Option<Duration> {
        let least = self.left.values().min()?;
        let nanoseconds = time(*least, self.left.len());
        Some(Duration::from_nanos(
            u64::try_from(nanoseconds).unwrap_or(u64::MAX),
        ))
    }

    fn receive(&mut self, time: Duration) {
        let all = time.as_nanos() * u128::from(BANDWIDTH) * PARTS / 1_000_000_000;
        let share = all / (self.left.len().max(1) as u128);
        for left in self.left.values_mut() {
            *left = left.saturating_sub(share);
        }
    }
}

/// The nanoseconds, rounded up, in which each of `sharing` layers gets these parts.
fn time(parts: u128, sharing: usize) -> u128 {
    (parts * sharing as u128 * 1_000_000_000).div_ceil(u128::from(BANDWIDTH) * PARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(id: &str, seconds: u64) -> Layer {
        Layer {
            id: id.to_owned(),
            bytes: seconds * BANDWIDTH,
        }
    }

    fn after(start: Instant, milliseconds: u64) -> Instant {
        start + Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_layer_alone_has_the_whole_bandwidth() {
        let start = Instant::now();
        let mut downloads = Downloads::new(start);
        downloads.begin(&layer("a", 10));
        assert_eq!(downloads.time_for(&["a"]), Duration::from_secs(10));
        assert!(downloads.advance(after(start, 9_999)).is_empty());
        assert_eq!(downloads.time_for(&["a"]), Duration::from_millis(1));
        assert_eq!(downloads.advance(after(start, 10_000)), ["a"]);
    }

    #[test]
    fn two_layers_share_until_one_has_come() {
        let start = Instant::now();
        let mut downloads = Downloads::new(start);
        downloads.begin(&layer("short", 2));
        downloads.begin(&layer("long", 6));
        // A second beginning changes nothing.
        downloads.begin(&layer("short", 9));
        assert_eq!(downloads.time_for(&["short"]), Duration::from_secs(4));
        assert_eq!(
            downloads.time_for(&["short", "long"]),
            Duration::from_secs(8)
        );
        assert_eq!(downloads.advance(after(start, 5_000)), ["short"]);
        assert_eq!(downloads.time_for(&["long"]), Duration::from_secs(3));
        assert_eq!(downloads.advance(after(start, 8_000)), ["long"]);
    }

    #[test]
    fn what_is_given_up_leaves_its_share_to_the_others() {
        let start = Instant::now();
        let mut downloads = Downloads::new(start);
        downloads.begin(&layer("a", 3));
        downloads.begin(&layer("b", 3));
        downloads.advance(after(start, 2_000));
        downloads.stop("b");
        assert_eq!(downloads.time_for(&["a", "b"]), Duration::from_secs(2));
        assert_eq!(downloads.advance(after(start, 60_000)), ["a"]);
    }
}

//! The phases of a run that is a graph: when all steps of one have ended. Pure: no I/O.

use std::collections::BTreeMap;

use super::Event;
use crate::desired::{Desired, Phase};

/// How many steps of each phase have not ended.
pub(super) struct Phases(BTreeMap<Phase, usize>);

impl Phases {
    pub(super) fn new(desired: &[Desired]) -> Self {
        let mut left = BTreeMap::new();
        // An optional step may last longer than its phase.
        for step in desired.iter().filter(|it| !it.resource.is_optional()) {
            *left.entry(step.phase).or_insert(0) += 1;
        }
        Self(left)
    }

    pub(super) fn announce(&self, on_event: &mut dyn FnMut(&Event)) {
        if let Some(phase) = self.0.keys().next() {
            on_event(&Event::Phase(*phase));
        }
    }

    /// A step of `phase` has ended. A phase that ended before its turn is not announced.
    pub(super) fn end(&mut self, phase: Phase, on_event: &mut dyn FnMut(&Event)) {
        let first = self.0.keys().next().copied();
        let Some(left) = self.0.get_mut(&phase) else {
            return;
        };
        *left -= 1;
        if *left == 0 {
            self.0.remove(&phase);
            if first == Some(phase) {
                self.announce(on_event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The phases that are announced when steps of `phases` end in that order.
    fn announced(phases: &[Phase], ends: &[Phase]) -> Vec<Phase> {
        let mut left = BTreeMap::new();
        for phase in phases {
            *left.entry(*phase).or_insert(0) += 1;
        }
        let mut said = Vec::new();
        let mut on_event = |event: &Event| {
            if let Event::Phase(phase) = event {
                said.push(*phase);
            }
        };
        let mut phases = Phases(left);
        phases.announce(&mut on_event);
        for phase in ends {
            phases.end(*phase, &mut on_event);
        }
        said
    }

    #[test]
    fn a_phase_is_announced_once_those_before_it_have_ended() {
        use Phase::{Controller, Runners, Wiring};
        let all = [Wiring, Wiring, Controller, Runners];
        assert_eq!(announced(&all, &[]), [Wiring]);
        assert_eq!(announced(&all, &[Wiring, Controller]), [Wiring]);
        // What ended early is not announced any more: nothing of it is left.
        let ends = [Wiring, Controller, Wiring];
        assert_eq!(announced(&all, &ends), [Wiring, Runners]);
        let ends = [Wiring, Wiring, Controller, Runners];
        assert_eq!(announced(&all, &ends), [Wiring, Controller, Runners]);
    }
}

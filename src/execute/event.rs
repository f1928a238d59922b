//! The events of a run, sent to a function; rendering is elsewhere.

use std::time::Duration;

use crate::{
    desired::{Goal, Phase, resource::Id},
    error::Error,
    plan::Action,
};

/// One event.
#[derive(Clone, Debug)]
pub enum Event {
    /// All steps of the phases before this one have ended; steps of this one or later ones may run already.
    Phase(Phase),
    /// A step starts.
    Started {
        /// The resource.
        id: Id,
        /// The action.
        action: Action,
    },
    /// A step waits, or waits for a different condition than before.
    Waiting {
        /// The resource.
        id: Id,
        /// The condition.
        reason: String,
    },
    /// A step is done and verified.
    Finished {
        /// The resource.
        id: Id,
        /// The action.
        action: Action,
        /// The desired state.
        goal: Goal,
        /// How long it took.
        elapsed: Duration,
    },
    /// A step failed.
    Failed {
        /// The resource.
        id: Id,
        /// The error.
        error: Error,
        /// How long it took.
        elapsed: Duration,
    },
}

//! What happens while a plan is carried out: data, sent to a function; rendering is elsewhere.

use std::time::Duration;

use crate::{
    desired::{Goal, Phase, resource::Id},
    error::Error,
    plan::Action,
};

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A phase begins; the one before has ended.
    Phase(Phase),
    /// A step is worked on.
    Started {
        /// Which.
        id: Id,
        /// What is done.
        action: Action,
    },
    /// A step waits, or waits for something else than before.
    Waiting {
        /// Which.
        id: Id,
        /// For what.
        reason: String,
    },
    /// A step is done and proven.
    Finished {
        /// Which.
        id: Id,
        /// What was done.
        action: Action,
        /// What was wanted of it.
        goal: Goal,
        /// How long it took.
        elapsed: Duration,
    },
    /// A step ended in an error.
    Failed {
        /// Which.
        id: Id,
        /// Why.
        error: Error,
        /// How long it took.
        elapsed: Duration,
    },
}

//! A runner scale set: what GitHub's own controller (`actions.github.com`) makes of a pool. Pure: no I/O.
//!
//! The pool's Helm release makes an `AutoscalingRunnerSet`; everything else follows from it: its registration at GitHub,
//! its listener, its runners (reference: scale-sets.md 3 and 7).

use crate::profile::Schedule;

/// A runner scale set. Its name is that of its pool, of its Helm release and of its `AutoscalingRunnerSet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleSet {
    /// The namespace of its `AutoscalingRunnerSet` and its runners.
    pub namespace: String,
    /// Its name, at most 45 characters, unique in its runner group.
    pub name: String,
    /// Its runner group; `None` is the default group of the scope.
    pub group: Option<String>,
    /// The labels that jobs may name beside its name.
    pub labels: Vec<String>,
    /// The controller's namespace: its listener runs there.
    pub controller_namespace: String,
    /// The name of the controller's Deployment.
    pub controller: String,
    /// The Secret with the credential, in `namespace`.
    pub secret: String,
    /// The version of both charts; the controller deletes a set of another minor (scale-sets.md 9).
    pub chart_version: String,
    /// How many idle runners there are outside of every window.
    pub min: u32,
    /// How many runners there are at most.
    pub max: u32,
    /// The windows with another minimum.
    pub schedule: Option<Schedule>,
    /// The profile that owns it.
    pub profile: String,
}

/// The deletion of a scale set: no new jobs, then those that run end, then its `AutoscalingRunnerSet` goes, while the
/// controller that removes it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleSetDrain {
    /// The namespace of its `AutoscalingRunnerSet`.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The controller's namespace.
    pub controller_namespace: String,
    /// The name of the controller's Deployment.
    pub controller: String,
    /// The version of the charts that make it again in the same run: its release and its registration at GitHub stay, and
    /// with that the jobs that wait. `None`: it goes for good.
    pub successor: Option<String>,
}

impl ScaleSetDrain {
    /// The kind in its id where the set is made again: the id of the set itself is that of its proof.
    pub const KIND: &str = "scale-set-drain";
}

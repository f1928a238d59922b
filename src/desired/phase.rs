//! The phases of a run. Pure: no I/O.

/// The phases of `up`, in order, and after them those in which things go. Resources of one phase run concurrently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The required checks.
    Preflight,
    /// Namespaces, lease, inventory.
    Base,
    /// cert-manager, CRDs, Secret, service account.
    Wiring,
    /// The controller's release and its webhooks.
    Controller,
    /// `RunnerDeployments` and autoscalers.
    Runners,
    /// The runners at GitHub.
    Registration,
    /// Webhooks that answer nobody any more go, so that other things can.
    Repair,
    /// Autoscalers go, so that nothing scales up again.
    Autoscalers,
    /// Pools are scaled to nothing, their jobs waited for, and go.
    Drain,
    /// The controller goes.
    Uninstall,
    /// The Secret, the service account, and what else runners need go.
    Unwire,
    /// What was made in AWS goes.
    Aws,
    /// cert-manager goes, where it is arcctl's and nobody else uses it.
    Issuer,
    /// CRDs go, where that is asked for.
    Crds,
    /// Namespaces go, where nothing else is in them.
    Namespaces,
    /// What the pools left at GitHub goes: late, since GitHub takes a while to notice that a runner has ended.
    Deregistration,
    /// What arcctl remembers goes, and the namespace it is in.
    Memory,
}

//! The phases of a run. Pure: no I/O.

/// The phases of `up`, in order, then those of deletion. What waits for what is in `order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The required checks.
    Preflight,
    /// Namespaces, lease, inventory.
    Base,
    /// Ends the scale sets that a controller of another minor version would delete, before anything of that version is there.
    Upgrade,
    /// cert-manager, CRDs, Secret, service account.
    Wiring,
    /// The controller's release and its webhooks.
    Controller,
    /// `RunnerDeployments` and autoscalers.
    Runners,
    /// The runners at GitHub.
    Registration,
    /// Deletes webhooks without a running server, which would block other deletions.
    Repair,
    /// Deletes autoscalers, so that nothing scales up again.
    Autoscalers,
    /// Scales pools to zero, waits for their jobs, deletes them.
    Drain,
    /// Deletes the controller.
    Uninstall,
    /// Deletes the Secret, the service account and the runners' other objects.
    Unwire,
    /// Deletes AWS resources.
    Aws,
    /// Deletes cert-manager, if arcctl installed it and nobody else uses it.
    Issuer,
    /// Deletes CRDs, if requested.
    Crds,
    /// Deletes namespaces without other objects.
    Namespaces,
    /// Removes the pools' runners from GitHub: late, because GitHub takes a while to notice that a runner has ended.
    Deregistration,
    /// Deletes the inventory, the lease and their namespace.
    Memory,
}

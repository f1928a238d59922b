//! The checks whose faults are made real by a test of their own, beside the rounds of `cases`.

macro_rules! elsewhere {
    ($($check:ident = $id:literal,)*) => {
        /// A check whose fault another test makes real; it takes the id from here, and the compiler sees one without a test.
        #[derive(Clone, Copy)]
        pub(crate) enum Elsewhere {
            $($check,)*
        }

        pub(crate) const ELSEWHERE: &[&str] = &[$($id),*];
    };
}

elsewhere! {
    ApiServerAnswers = "api-server-answers",
    WebhooksNotOrphaned = "webhooks-not-orphaned",
    NothingStuckDeleting = "nothing-stuck-deleting",
    MonitoringSelected = "monitoring-selected",
    ControllersApart = "controllers-apart",
    NodesHoldMinimum = "nodes-hold-minimum",
    BusyRunnersKeepNode = "busy-runners-keep-node",
    PodIdentityAssociation = "pod-identity-association",
    PodIdentityAgent = "pod-identity-agent",
    ScaleSetMonitorsPossible = "scale-set-monitors-possible",
    ScaleSetControllerRuns = "scale-set-controller-runs",
    ScaleSetUpdateStrategy = "scale-set-update-strategy",
    ScaleSetThere = "scale-set-there",
    ScaleSetRange = "scale-set-range",
    ScaleSetSecret = "scale-set-secret",
    ScaleSetRights = "scale-set-rights",
    ScaleSetNotOutdated = "scale-set-not-outdated",
    ScaleSetRegistered = "scale-set-registered",
    ScaleSetVersions = "scale-set-versions",
    ScaleSetLabels = "scale-set-labels",
    ScaleSetOneListener = "scale-set-one-listener",
    ScaleSetListener = "scale-set-listener",
    ScaleSetListenerCurrent = "scale-set-listener-current",
    ScaleSetSession = "scale-set-session",
    ScaleSetRunners = "scale-set-runners",
    ScaleSetRunnerPods = "scale-set-runner-pods",
    ScaleSetRunnersOnline = "scale-set-runners-online",
    ScaleSetNothingStuck = "scale-set-nothing-stuck",
    ScaleSetKnownHere = "scale-set-known-here",
    ScaleSetControllersApart = "scale-set-controllers-apart",
}

impl Elsewhere {
    pub(crate) const fn id(self) -> &'static str {
        ELSEWHERE[self as usize]
    }
}

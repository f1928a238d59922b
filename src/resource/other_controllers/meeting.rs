//! Decides what another controller for the same runners means: whether a run can continue, and the message to the user.
//! Pure: no I/O.

use super::{OtherController, flag, installed_by, uninstall};
use crate::{
    clients::kube::Target,
    desired::names,
    error::{Error, ErrorKind, System},
    profile::Profile,
};

/// The effect of another controller in the cluster.
#[derive(Debug)]
pub enum Meeting {
    /// No effect on the profile.
    Apart,
    /// The run continues, with this message.
    Told(String),
    /// The run ends before its first write.
    Refused(Error),
}

impl OtherController {
    /// Whether a run can continue with it. `gone` is a missing Service of it. Before arcctl's own controller exists
    /// (`installed`), the run ends, so that there is no second one. Afterwards an end would not help: a credential may need
    /// rotation, or a pool an update. Leftovers of a controller reject all runners: steps that need runners wait and
    /// report it (`webhooks::controller`), and no idle runner is deleted for a new credential (`registration`).
    pub fn meets(&self, profile: &Profile, gone: Option<&Target>, installed: bool) -> Meeting {
        let shared = self.shares(profile);
        let Some(shared) = shared else {
            return gone.map_or(Meeting::Apart, |service| {
                Meeting::Told(format!(
                    "webhook configuration `{}` of another controller calls {service}, which does not exist: all runners of namespace {} are refused",
                    self.configuration,
                    self.watches.as_deref().unwrap_or_default(),
                ))
            });
        };
        if let Some(service) = gone {
            return if installed {
                Meeting::Told(format!(
                    "another Actions Runner Controller is gone, or is being installed again, and its webhook configuration `{}` is there: it calls {service}, which does not exist, and refuses every change of runners in {shared}. This run continues as far as it can; {}",
                    self.configuration,
                    self.way_out_of_leftovers()
                ))
            } else {
                Meeting::Refused(self.leftover(service))
            };
        }
        let (words, way) = (self.words(profile, &shared), self.way_out(profile));
        if installed {
            return Meeting::Told(format!(
                "another Actions Runner Controller {words}. This run continues; to fix it: {way}"
            ));
        }
        let error = Error::new(
            ErrorKind::Refused,
            System::Kubernetes,
            "two controllers would manage the same runners",
        )
        .object(self.object())
        .cause(format!("another Actions Runner Controller {words}"));
        Meeting::Refused(error.hint(way))
    }

    fn object(&self) -> String {
        format!("validating-webhook-configuration/-/{}", self.configuration)
    }

    /// The error: the leftovers of an uninstalled controller reject every runner that they match.
    fn leftover(&self, service: &Target) -> Error {
        Error::new(
            ErrorKind::Refused,
            System::Kubernetes,
            "the webhook configuration of another Actions Runner Controller exists, but that controller does not",
        )
        .object(self.object())
        .cause(format!("its {service} does not exist, so it rejects every runner"))
        .hint(self.way_out_of_leftovers())
    }

    fn way_out_of_leftovers(&self) -> String {
        let mutating = self
            .configuration
            .replace("-validating-webhook-", "-mutating-webhook-");
        format!(
            "if that controller was uninstalled, delete what it left: `kubectl delete validatingwebhookconfiguration/{} mutatingwebhookconfiguration/{mutating}`",
            self.configuration
        )
    }

    /// Its name, the namespaces it watches, and the effect on runners; a phrase that follows its kind.
    pub fn words(&self, profile: &Profile, shared: &str) -> String {
        format!(
            "({}) watches {shared} too: {}",
            self.who(),
            self.effect(profile)
        )
    }

    /// Its Service and release, as the chart names them: this user may not be able to read its namespace.
    fn who(&self) -> String {
        let place = self.place();
        let deployment = self
            .configuration
            .strip_suffix("-validating-webhook-configuration");
        let Some(deployment) = deployment else {
            return format!(
                "webhook configuration `{}`, namespace {place}",
                self.configuration
            );
        };
        let release = installed_by(self.release.as_ref());
        format!("Deployment `{place}/{deployment}`, {release}")
    }

    /// The effect on runners that both controllers watch.
    fn effect(&self, profile: &Profile) -> String {
        let controller = &profile.controller;
        let in_our_namespace = self
            .services
            .iter()
            .any(|(namespace, _)| *namespace == controller.namespace);
        // A release with another name has its own Lease.
        let may_share = in_our_namespace && controller.release == names::CONTROLLER;
        let while_both_run = if may_share {
            "it is in the same namespace, and where it has the same Lease (the chart's `leaderElectionId`) only one of the two leads, and makes all runners with its own credential and values"
        } else {
            "both create and delete the runners there, each with its own credential and values, and may replace the other's runners again and again"
        };
        format!(
            "{while_both_run}; while its webhook does not respond, no runner can be created there"
        )
    }

    /// The hint: how both can exist, or how to remove the other without harm to its runners.
    pub fn way_out(&self, profile: &Profile) -> String {
        let pools = profile.runner_namespaces();
        match (&self.watches, &profile.controller.watch_namespace, pools.as_slice()) {
            (Some(theirs), None, [ours]) if theirs != ours => format!(
                "set `controller.watchNamespace: {ours}` in the profile: each controller then has a namespace of its own, and both stay"
            ),
            (Some(theirs), None, _) if !pools.contains(&theirs.as_str()) => "put all pools into one namespace with `pools[].namespace`, and set `controller.watchNamespace` to it: each controller then has a namespace of its own, and both stay".into(),
            (Some(theirs), _, _) => format!(
                "namespace `{theirs}` has a controller already: give the pools another one with `pools[].namespace`, and set `controller.watchNamespace` to it; or {}",
                self.uninstall()
            ),
            (None, ours, _) => {
                let limit = match (ours, pools.as_slice()) {
                    (Some(_), _) => String::new(),
                    (None, [one]) => format!(", and `controller.watchNamespace: {one}` in the profile"),
                    (None, _) => ", and `controller.watchNamespace` in the profile".into(),
                };
                let how = self.release.as_ref().map_or_else(String::new, |(namespace, release)| format!(
                    " (`helm -n {namespace} upgrade {release} CHART --version ITS-VERSION --reuse-values --set scope.singleNamespace=true,scope.watchNamespace=NAMESPACE`)"
                ));
                format!(
                    "{}; or keep both: set its chart's values `scope.singleNamespace: true` and `scope.watchNamespace`{how}{limit}",
                    self.uninstall()
                )
            }
        }
    }

    /// How to uninstall it: its own runners first, while it can still remove them at GitHub.
    fn uninstall(&self) -> String {
        let place = flag(self.watches.as_deref());
        let first = format!(
            "first delete its own objects in `kubectl get horizontalrunnerautoscalers,runnerdeployments {place} -l '!{}'`, wait until `kubectl get runners {place}` no longer lists its runners",
            names::PROFILE_LABEL
        );
        uninstall(self.release.as_ref(), &self.place(), &first)
    }
}

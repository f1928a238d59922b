//! Finds other controllers of runner scale sets by their Deployments, and decides what one means for a run. Pure: no I/O.
//!
//! Each controller works for all scale sets that it watches, whoever made them, and deletes those of another minor version than
//! its own (reference: scale-sets.md 9). arcctl's watches every namespace.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Meeting, flag, installed_by, uninstall};
use crate::{
    clients::kube::Selection,
    desired::names,
    error::{Error, ErrorKind, System},
    profile::Profile,
};

/// The label of the Deployments of these controllers: the chart of a scale set looks for its controller by it (reference:
/// scale-sets.md 2.1).
const LABEL: &str = "app.kubernetes.io/part-of=gha-rs-controller";

/// A controller of scale sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetController {
    /// The namespace of its Deployment.
    pub namespace: String,
    /// The name of its Deployment.
    pub name: String,
    /// Its helm release, by namespace and name; `None` if helm did not install it.
    pub release: Option<(String, String)>,
    /// The only namespace that it watches; `None` if it watches all.
    pub watches: Option<String>,
    /// Its version, if it has the label for it.
    pub version: Option<String>,
    /// Whether a changed scale set waits for its runners to end before it has a listener again
    /// (actions-runner-controller#4432).
    #[serde(default)]
    pub eventual: bool,
}

/// The Deployments of the controllers of scale sets, of all namespaces.
pub fn deployments() -> Selection {
    Selection::all("apps/v1", "Deployment").labelled(LABEL)
}

/// All controllers, by [`deployments`].
pub fn set_controllers(deployments: &[Value]) -> Vec<SetController> {
    deployments.iter().map(SetController::of).collect()
}

impl SetController {
    fn of(deployment: &Value) -> Self {
        let metadata = &deployment["metadata"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Self {
            namespace: text(&metadata["namespace"]).unwrap_or_default(),
            name: text(&metadata["name"]).unwrap_or_default(),
            release: super::release(deployment),
            watches: argument(deployment, "--watch-single-namespace=").map(str::to_owned),
            version: text(&metadata["labels"]["app.kubernetes.io/version"]),
            eventual: argument(deployment, "--update-strategy=") == Some("eventual"),
        }
    }

    /// Whether its Deployment is the one that the profile's release has.
    pub fn is_of(&self, profile: &Profile) -> bool {
        let sets = &profile.scale_sets;
        self.namespace == sets.namespace && self.name == sets.full_name()
    }

    /// Whether a run can continue with this other controller: only where arcctl's own exists already (`installed`), since
    /// then an end would not help.
    pub fn meets(&self, profile: &Profile, installed: bool) -> Meeting {
        let (words, way) = (self.words(profile), self.way_out());
        if installed {
            return Meeting::Told(format!(
                "another controller of runner scale sets {words}. This run continues; to fix it: {way}"
            ));
        }
        let error = Error::new(
            ErrorKind::Refused,
            System::Kubernetes,
            "two controllers would manage the same runner scale sets",
        );
        Meeting::Refused(
            error
                .object(self.object())
                .cause(format!("another controller of runner scale sets {words}"))
                .hint(way),
        )
    }

    /// The error of a Deployment with the profile's name that neither helm nor the inventory knows.
    pub fn without_helm(&self) -> Error {
        let Self {
            namespace, name, ..
        } = self;
        Error::new(
            ErrorKind::Refused,
            System::Kubernetes,
            "a controller of runner scale sets that arcctl does not manage runs in this cluster",
        )
        .object(self.object())
        .cause(format!(
            "Deployment `{namespace}/{name}` exists, but helm has no record of release `{}`",
            names::SCALE_SET_RELEASE
        ))
        .hint(format!(
            "arcctl cannot adopt what helm has no record of: {}, keep the CRDs, and run the same command again",
            self.way_out()
        ))
    }

    fn object(&self) -> String {
        format!("deployment/{}/{}", self.namespace, self.name)
    }

    /// Where it is, what it watches, and the effect; a phrase that follows its kind.
    pub fn words(&self, profile: &Profile) -> String {
        let release = installed_by(self.release.as_ref());
        let version = self.version.as_deref().unwrap_or("unknown");
        let watches = self.watches.as_ref().map_or_else(
            || "every namespace".to_owned(),
            |it| format!("namespace `{it}`"),
        );
        format!(
            "(Deployment `{}/{}`, {release}, version {version}) watches {watches}, and arcctl's ({}) watches all: both work for the same scale sets, and each deletes those of another minor version than its own",
            self.namespace, self.name, profile.scale_sets.chart_version
        )
    }

    /// How to uninstall it: its own scale sets first, while it can still remove them at GitHub.
    pub fn way_out(&self) -> String {
        let place = flag(self.watches.as_deref());
        let first = format!(
            "first uninstall its own scale sets, those in `kubectl get autoscalingrunnersets {place} -l '!{}'`, and wait until they are gone",
            names::PROFILE_LABEL
        );
        uninstall(self.release.as_ref(), &self.namespace, &first)
    }
}

/// The value of the last argument of its program that starts with `start`: of two the program follows the last.
fn argument<'a>(deployment: &'a Value, start: &str) -> Option<&'a str> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array()?;
    let arguments = containers
        .iter()
        .filter_map(|it| it["args"].as_array())
        .flatten();
    let mut values = arguments
        .filter_map(Value::as_str)
        .filter_map(|it| it.strip_prefix(start));
    values.next_back().filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(namespace: &str, name: &str, helm: bool, argument: &str) -> Value {
        let mut it = json!({
            "metadata": {"namespace": namespace, "name": name, "labels": {"app.kubernetes.io/version": "0.13.1"}},
            "spec": {"template": {"spec": {"containers": [
                {"name": "manager", "args": ["--auto-scaling-runner-set-only", argument]}]}}},
        });
        if helm {
            it["metadata"]["annotations"] = json!({
                "meta.helm.sh/release-name": "theirs", "meta.helm.sh/release-namespace": namespace});
        }
        it
    }

    fn profile() -> Profile {
        let text = "apiVersion: arcctl.dev/v1\nname: test\ncluster: {context: c}\n\
             github: {organization: o, token: {env: TOKEN}}\n\
             pools: [{name: a, mode: scaleSet, image: \"ghcr.io/actions/actions-runner:2.334.0\", min: 0, max: 4}]\n";
        crate::profile::load(text, "arcctl.yaml").unwrap().profile
    }

    #[test]
    fn the_own_controller_is_known_by_namespace_and_name() {
        let profile = profile();
        let is_own = |namespace: &str, name: &str| {
            SetController::of(&deployment(namespace, name, true, "")).is_of(&profile)
        };
        assert!(is_own("arc-systems", "arc-gha-rs-controller"));
        assert!(!is_own("arc-systems", "theirs-gha-rs-controller"));
        assert!(!is_own("team", "arc-gha-rs-controller"));
    }

    #[test]
    fn the_update_strategy_is_read() {
        let is_eventual =
            |argument: &str| SetController::of(&deployment("a", "a", true, argument)).eventual;
        assert!(is_eventual("--update-strategy=eventual"));
        assert!(!is_eventual("--update-strategy=immediate") && !is_eventual(""));
    }

    #[test]
    fn another_one_is_refused_before_arcctl_s_is_there_and_told_after() {
        let found = set_controllers(&[deployment("team", "theirs-gha-rs-controller", true, "")]);
        let Meeting::Refused(error) = found[0].meets(&profile(), false) else {
            panic!("it goes on");
        };
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(
            error.causes[0].contains(
                "`team/theirs-gha-rs-controller`, release `theirs` of helm, version 0.13.1"
            ),
            "{:?}",
            error.causes
        );
        let hint = error.hint.unwrap();
        assert!(hint.contains("`helm -n team uninstall theirs`"), "{hint}");
        let Meeting::Told(words) = found[0].meets(&profile(), true) else {
            panic!("it ends");
        };
        assert!(words.contains("watches every namespace"), "{words}");
    }

    #[test]
    fn one_for_one_namespace_meets_arcctl_s_there() {
        let argument = "--watch-single-namespace=team-runners";
        let found = SetController::of(&deployment("team", "theirs", false, argument));
        assert_eq!(found.watches.as_deref(), Some("team-runners"));
        let words = found.words(&profile());
        assert!(words.contains("not installed by helm"), "{words}");
        assert!(
            words.contains("watches namespace `team-runners`"),
            "{words}"
        );
        assert!(
            found.way_out().contains("-n team-runners"),
            "{}",
            found.way_out()
        );
    }
}

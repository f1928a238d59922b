//! What GitHub has of a scale set, compared with its pool: the name, the group, the labels. Pure: no I/O.
//!
//! GitHub takes labels when a scale set is made, and its controller never changes them (reference: scale-sets.md 4, "Labels").

use crate::{
    clients::github::RegisteredSet, desired::resource::scale_set::ScaleSet,
    resource::observed::Readiness,
};

/// What to do about another label than the pool `name` has.
pub(crate) fn made_anew(namespace: &str, name: &str) -> String {
    format!(
        "GitHub sets labels only when a scale set is made: once no job runs, `kubectl -n {namespace} delete autoscalingrunnerset {name}`, then `arcctl up`"
    )
}

/// Where the labels at GitHub differ from those of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelDifference {
    /// Those of the pool that GitHub does not have: jobs with them are not taken.
    pub(crate) lacking: Vec<String>,
    /// Those that the pool does not have any more: jobs with them are still taken.
    pub(crate) extra: Vec<String>,
}

impl LabelDifference {
    /// Compares the labels of the scale set `name` without regard to case, as GitHub does. Its name is always one.
    pub(crate) fn of<'a>(
        name: &str,
        wanted: &[String],
        there: impl Iterator<Item = &'a str>,
    ) -> Self {
        let there: Vec<&str> = there.collect();
        let has = |label: &str| there.iter().any(|it| it.eq_ignore_ascii_case(label));
        let is_wanted = |label: &str| {
            let mut all = wanted.iter().map(String::as_str).chain([name]);
            all.any(|it| it.eq_ignore_ascii_case(label))
        };
        let lacking = wanted.iter().filter(|it| !has(it)).cloned();
        let extra = there.iter().filter(|it| !is_wanted(it));
        Self {
            lacking: lacking.collect(),
            extra: extra.map(|it| (*it).to_owned()).collect(),
        }
    }

    /// The difference as a phrase that follows the scale set's name; `None` without one.
    pub(crate) fn in_words(&self) -> Option<String> {
        let listed = |labels: &[String]| format!("`{}`", labels.join("`, `"));
        let lacking =
            (!self.lacking.is_empty()).then(|| format!("lacks {}", listed(&self.lacking)));
        let extra = (!self.extra.is_empty()).then(|| {
            format!(
                "still has {}, which the profile does not have",
                listed(&self.extra)
            )
        });
        let parts: Vec<String> = lacking.into_iter().chain(extra).collect();
        (!parts.is_empty()).then(|| parts.join(", and "))
    }
}

impl ScaleSet {
    /// Where what GitHub has differs from the profile.
    pub(super) fn mismatch(&self, found: &RegisteredSet) -> Option<Readiness> {
        let (namespace, name) = (&self.namespace, &self.name);
        let again = format!(
            "GitHub sets it only when a scale set is made: once no job runs, `kubectl -n {namespace} delete autoscalingrunnerset {name}` and `arcctl up` make it anew"
        );
        if !found.name.eq_ignore_ascii_case(name) {
            let reason = format!(
                "the scale set with the id {} is called `{}` at GitHub, not `{name}`",
                found.id, found.name
            );
            return Some(Readiness::stuck(reason, again));
        }
        if let Some(elsewhere) = self.elsewhere(found, &again) {
            return Some(elsewhere);
        }
        let lacking = self.labels.iter().find(|it| !found.has_label(it))?;
        Some(Readiness::stuck(
            format!(
                "scale set `{name}` has no label `{lacking}` at GitHub (id {})",
                found.id
            ),
            format!(
                "{again}; GitHub Enterprise Server before 3.21 drops labels: there an administrator sets the feature flag `DistributedTask.AllowRunnerScaleSetCustomLabels` with ghe-actions-console first"
            ),
        ))
    }

    /// Whether it is in another group than the profile's. The controller moves a set to the group that is named, and leaves one
    /// where it is if none is (`controllers/actions.github.com/autoscalingrunnerset_controller.go` of Actions Runner Controller at
    /// 0.14, `updateRunnerScaleSetRunnerGroup`).
    fn elsewhere(&self, found: &RegisteredSet, again: &str) -> Option<Readiness> {
        let group = found.runner_group_name.as_deref();
        let is_elsewhere = match (self.group.as_deref(), group) {
            (Some(wanted), Some(group)) => !wanted.eq_ignore_ascii_case(group),
            (Some(_), None) => true,
            // The default group's id (reference: scale-sets.md 2.1).
            (None, _) => found.runner_group_id > 1,
        };
        if !is_elsewhere {
            return None;
        }
        let (name, is) = (&self.name, group.unwrap_or("?"));
        let (wanted, hint) = match &self.group {
            Some(wanted) => {
                let (namespace, controller) = (&self.controller_namespace, &self.controller);
                let log = format!("kubectl -n {namespace} logs deploy/{controller}");
                (
                    format!("`{wanted}`"),
                    format!("its controller moves it there; its log says why it does not: `{log}`"),
                )
            }
            None => ("the default one".to_owned(), again.to_owned()),
        };
        Some(Readiness::stuck(
            format!("scale set `{name}` is in runner group `{is}` at GitHub, not in {wanted}"),
            hint,
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::tests::scale_set, *};

    fn found(text: &Value) -> RegisteredSet {
        serde_json::from_value(text.clone()).unwrap()
    }

    #[test]
    fn what_github_has_is_compared_with_the_profile() {
        let mut wanted = scale_set();
        wanted.group = Some("team".into());
        let fine = json!({"id": 3, "name": "fast", "runnerGroupName": "Team", "labels": [{"name": "fast"}, {"name": "GPU"}]});
        assert_eq!(wanted.mismatch(&found(&fine)), None);
        for (key, value, word) in [
            ("name", json!("other"), "is called `other`"),
            ("runnerGroupName", json!("x"), "in runner group `x`"),
            ("labels", json!([]), "no label `gpu`"),
        ] {
            let mut wrong = fine.clone();
            wrong[key] = value;
            let told = wanted.mismatch(&found(&wrong)).unwrap();
            assert!(told.reason().unwrap().contains(word), "{told:?}");
        }
    }

    #[test]
    fn the_controller_moves_a_set_to_a_group_and_never_out_of_one() {
        let there = json!({"id": 3, "name": "fast", "runnerGroupId": 7, "runnerGroupName": "x", "labels": [{"name": "gpu"}]});
        let hint = |group: Option<&str>| {
            let mut wanted = scale_set();
            wanted.group = group.map(str::to_owned);
            match wanted.mismatch(&found(&there)) {
                Some(Readiness::Stuck { hint, .. }) => hint,
                other => panic!("{other:?}"),
            }
        };
        assert!(hint(Some("team")).contains("logs deploy/arc-gha-rs-controller"));
        assert!(hint(None).contains("delete autoscalingrunnerset fast"));
    }

    fn told(wanted: &[&str], there: &[&str]) -> Option<String> {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        LabelDifference::of("fast", &wanted, there.iter().copied()).in_words()
    }

    #[test]
    fn a_label_that_left_the_profile_is_a_difference_as_a_new_one_is() {
        assert_eq!(told(&["GPU"], &["Fast", "gpu"]), None);
        assert_eq!(told(&["gpu"], &["fast"]).unwrap(), "lacks `gpu`");
        assert_eq!(
            told(&[], &["fast", "gpu", "arm"]).unwrap(),
            "still has `gpu`, `arm`, which the profile does not have"
        );
        assert_eq!(
            told(&["new"], &["fast", "old"]).unwrap(),
            "lacks `new`, and still has `old`, which the profile does not have"
        );
    }

    #[test]
    fn the_name_is_a_label_that_no_profile_lists() {
        assert_eq!(told(&[], &["FAST"]), None);
        assert_eq!(told(&["fast"], &["fast"]), None);
    }
}

//! The labels of a scale set at GitHub, compared with those of its pool. Pure: no I/O.
//!
//! GitHub takes them when a scale set is made, and its controller never changes them (reference: scale-sets.md 4, "Labels").

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

#[cfg(test)]
mod tests {
    use super::*;

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

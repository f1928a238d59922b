//! A runner scale set: what GitHub's own controller (`actions.github.com`) makes of a pool. Pure: no I/O.
//!
//! The pool's Helm release makes an `AutoscalingRunnerSet`; everything else follows from it: its registration at GitHub,
//! its listener, its runners (reference: scale-sets.md 3 and 7).

use serde::{Deserialize, Serialize};

use super::Registration;
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

impl ScaleSet {
    /// What a dry run of its runners' pods needs.
    pub fn as_pool(&self) -> Registration {
        Registration {
            namespace: self.namespace.clone(),
            pool: self.name.clone(),
            min: self.min,
            schedule: self.schedule.clone(),
            labels: self.labels.clone(),
        }
    }
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

/// What the inventory has of a scale set at GitHub, so that it can be deleted there when its controller cannot do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct SetRecord {
    /// Its id, unique in its scope.
    pub id: u64,
    /// The address of the enterprise, organization or repository that has it; a record of an earlier arcctl has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// A record as this arcctl and earlier ones, which knew the id alone, have written it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Id(u64),
    Whole { id: u64, scope: Option<String> },
}

impl From<Written> for SetRecord {
    fn from(written: Written) -> Self {
        match written {
            Written::Id(id) => Self { id, scope: None },
            Written::Whole { id, scope } => Self { id, scope },
        }
    }
}

impl SetRecord {
    /// Whether it is of the scale set `id` of `scope`. One without a scope is taken to be of any.
    pub fn is(&self, id: u64, scope: &str) -> bool {
        let known = self.scope.as_deref();
        self.id == id && known.is_none_or(|it| is_same_scope(it, scope))
    }

    /// The record in words, for messages.
    pub fn in_words(&self) -> String {
        match &self.scope {
            Some(scope) => format!("id {} of {scope}", self.id),
            None => format!("id {}", self.id),
        }
    }
}

/// Whether two addresses are of one enterprise, organization or repository: GitHub does not distinguish cases.
pub fn is_same_scope(one: &str, other: &str) -> bool {
    let bare = |it: &str| {
        let it = it.trim_end_matches('/').to_ascii_lowercase();
        it.replacen("://www.github.com/", "://github.com/", 1)
    };
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_an_earlier_arcctl_is_read() {
        let read = |text: &str| serde_json::from_str::<SetRecord>(text).unwrap();
        let old = read("7");
        assert_eq!(old, SetRecord { id: 7, scope: None });
        assert!(old.is(7, "https://github.com/a") && old.is(7, "https://github.com/b"));
        let new = SetRecord {
            scope: Some("https://github.com/a".into()),
            ..old
        };
        let text = serde_json::to_string(&new).unwrap();
        assert_eq!(text, r#"{"id":7,"scope":"https://github.com/a"}"#);
        assert_eq!(read(&text), new);
    }

    #[test]
    fn an_id_of_another_scope_is_another_scale_set() {
        let record = SetRecord {
            id: 7,
            scope: Some("https://github.com/Doge".into()),
        };
        assert!(record.is(7, "https://github.com/doge/"));
        assert!(record.is(7, "https://www.github.com/doge"));
        for other in ["https://github.com/cat", "https://ghe.example/doge"] {
            assert!(!record.is(7, other), "{other}");
        }
        assert!(!record.is(8, "https://github.com/doge"));
    }
}

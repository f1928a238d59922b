//! What differs from the lock, as steps that a plan shows. Pure: no I/O.

use super::{Action, Step};
use crate::{
    desired::{
        Phase,
        lock::{Difference, Kind},
        resource::Id,
        summary::{Group, Summary},
    },
    diff,
};

/// The tags that have moved: from the digest in the lock to that at the registry. `up` refuses them.
pub fn steps(differences: &[Difference]) -> Vec<Step> {
    let moved = differences
        .iter()
        .filter(|it| it.kind == Kind::Moved || it.kind == Kind::Gone);
    moved.map(step).collect()
}

fn step(difference: &Difference) -> Step {
    let changed = diff::Difference {
        path: "digest".into(),
        from: difference.locked.clone().into(),
        to: difference.found.clone().into(),
    };
    Step {
        id: Id::new(difference.of, None, &difference.name).to_string(),
        kind: difference.of.to_owned(),
        name: difference.name.clone(),
        phase: Phase::Base,
        action: Action::Update,
        differences: vec![changed],
        adopts: false,
        ready: false,
        proof: false,
        note: Some("differs from the lock".into()),
        consequences: Vec::new(),
        summary: Summary {
            group: Group::Lock,
            ..Summary::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_moved_tag_is_a_difference_with_both_digests() {
        let moved = Difference {
            of: "image",
            name: "docker.io/library/docker:28-dind".into(),
            kind: Kind::Moved,
            locked: Some("sha256:1".into()),
            found: Some("sha256:2".into()),
        };
        let missing = Difference {
            kind: Kind::NotLocked,
            ..moved.clone()
        };
        let steps = steps(&[moved, missing]);
        assert_eq!(steps.len(), 1);
        assert_eq!(steps[0].id, "image/-/docker.io/library/docker:28-dind");
        assert_eq!(steps[0].differences[0].from, json!("sha256:1"));
        assert_eq!(steps[0].differences[0].to, json!("sha256:2"));
    }
}

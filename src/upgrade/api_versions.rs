//! Which API versions Kubernetes serves no more, from which release on, and what takes their place. Pure: no I/O.
//!
//! Only those of Kubernetes itself: a custom resource is served as long as its CRD is there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::compatibility::{Kubernetes, minor};
use crate::units::table;

/// The table; its header names the source.
const TABLE: &str = include_str!("api_versions.tsv");
/// What stands for nothing.
const NONE: &str = "-";

/// A kind in an API version, as an object names both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Api<'a> {
    version: &'a str,
    kind: &'a str,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    api: Api<'static>,
    removed: &'static str,
    instead: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    table::rows(TABLE).filter_map(|mut cells| {
        let mut next = || cells.next();
        Some(Row {
            api: Api {
                version: next()?,
                kind: next()?,
            },
            removed: next()?,
            instead: next()?,
        })
    })
}

impl<'a> Api<'a> {
    /// That of an object, or of its record in the inventory; `None` where it names none.
    pub fn of(object: &'a Value) -> Option<Self> {
        Some(Self {
            version: object["apiVersion"].as_str()?,
            kind: object["kind"].as_str()?,
        })
    }

    /// Whether it is of Kubernetes itself, and not a custom resource.
    fn is_built_in(self) -> bool {
        let group = self.version.split_once('/').map_or("", |it| it.0);
        !group.contains('.') || group.ends_with(".k8s.io")
    }

    /// What to know of it in a cluster with this Kubernetes; `None`: nothing.
    pub fn told(self, kubernetes: Kubernetes) -> Option<String> {
        if !self.is_built_in() {
            return None;
        }
        let Self { version, kind } = self;
        let Some(row) = rows().find(|it| it.api == self) else {
            return Some(format!(
                "`{kind}` of {version} is not in the table of API versions, which this arcctl has: whether Kubernetes keeps it is not known"
            ));
        };
        let removed = minor(row.removed)?;
        let instead = match row.instead {
            NONE => "nothing takes its place".to_owned(),
            instead => format!("{instead} takes its place"),
        };
        let when = if kubernetes < removed {
            "before the cluster is upgraded to that, upgrade what has made it"
        } else {
            "and this cluster has it or a later one"
        };
        let release = row.removed;
        Some(format!(
            "`{kind}` of {version} is not served from Kubernetes {release} on, {when}; {instead}"
        ))
    }
}

/// What to know of the API versions of these objects, which are `of` something; each is told once.
pub fn told<'a>(
    objects: impl Iterator<Item = &'a Value>,
    of: &str,
    kubernetes: Kubernetes,
) -> Vec<String> {
    let all: BTreeSet<Api<'_>> = objects.filter_map(Api::of).collect();
    let told = all.into_iter().filter_map(|it| it.told(kubernetes));
    told.map(|it| format!("{of}: {it}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(version: &str, kind: &str) -> Value {
        json!({"apiVersion": version, "kind": kind})
    }

    #[test]
    fn every_row_is_whole_and_what_takes_its_place_stays() {
        let lines = table::rows(TABLE).count();
        assert_eq!(rows().count(), lines);
        let apis: BTreeSet<Api<'_>> = rows().map(|it| it.api).collect();
        assert_eq!(apis.len(), lines, "a row is there twice");
        for row in rows() {
            assert!(row.api.is_built_in(), "{row:?}");
            assert_eq!(row.removed == NONE, minor(row.removed).is_none(), "{row:?}");
            let instead =
                rows().find(|it| (it.api.version, it.api.kind) == (row.instead, row.api.kind));
            let stays = instead.is_some_and(|it| it.removed == NONE);
            assert!(row.instead == NONE || stays, "{row:?}");
        }
    }

    #[test]
    fn what_goes_is_told_before_and_after() {
        let budget = object("policy/v1beta1", "PodDisruptionBudget");
        let told = |minor| Api::of(&budget).unwrap().told((1, minor)).unwrap();
        let before = told(24);
        assert!(
            before.contains("from Kubernetes 1.25 on, before"),
            "{before}"
        );
        assert!(before.ends_with("policy/v1 takes its place"), "{before}");
        assert!(told(25).contains("this cluster has it"), "{}", told(25));
        let policy = object("policy/v1beta1", "PodSecurityPolicy");
        let told = Api::of(&policy).unwrap().told((1, 33)).unwrap();
        assert!(told.ends_with("nothing takes its place"), "{told}");
    }

    #[test]
    fn each_api_is_told_once_and_custom_resources_are_their_crds() {
        let objects = [
            object("batch/v1beta1", "CronJob"),
            object("batch/v1beta1", "CronJob"),
            object("batch/v1", "CronJob"),
            object("cert-manager.io/v1", "Certificate"),
            object("actions.summerwind.dev/v1alpha1", "RunnerDeployment"),
            json!({"managed": true}),
        ];
        let told = told(objects.iter(), "release `x`", (1, 24));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("release `x`: `CronJob` of batch/v1beta1"));
    }

    #[test]
    fn what_the_table_does_not_have_is_not_taken_for_kept() {
        let new = object("resource.k8s.io/v1alpha3", "ResourceClaim");
        let told = Api::of(&new).unwrap().told((1, 36)).unwrap();
        assert!(told.contains("is not known"), "{told}");
    }
}

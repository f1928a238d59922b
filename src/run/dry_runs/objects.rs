//! The objects that a plan writes, itself or through a chart, each applied as a dry run.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};

use crate::{
    desired::{
        Desired, Goal,
        resource::{Id, Resource},
    },
    error::{Error, Result},
    observe::CONCURRENT,
    plan::{Action, Plan},
    resource::{
        context::Context,
        helm::manifest::objects,
        pods::{dry_run::Refused, parts::Part},
        written::{Answer, Missing, Written},
    },
    run::permissions::writes,
    session::Session,
    units::listed::first_of,
};

/// How many objects or namespaces a remark names.
const NAMED: usize = 4;

/// The objects of a plan, with what their dry runs have shown.
#[derive(Debug, Default)]
pub(super) struct Objects {
    tried: Vec<(Written, Answer)>,
    /// What could not be rendered, so that its objects are not known.
    unknown: Vec<(Id, Error)>,
}

impl Objects {
    /// Applies what `plan` writes as dry runs; nothing where it writes nothing. What is adopted unchanged is not written, and
    /// what only saves time fails no run, so neither is tried.
    pub(super) async fn of(session: &Session, plan: &Plan) -> Self {
        let context = &session.context;
        let is_written = |it: &&Desired| {
            it.goal == Goal::Present
                && !it.resource.is_optional()
                && writes(plan, it)
                && context.remarks.deferred(it.id.as_str()).is_none()
        };
        let written: Vec<&Desired> = session.desired.iter().filter(is_written).collect();
        let found: Vec<(Id, Result<Vec<Written>>)> = stream::iter(written)
            .map(|it| async move { (it.id.clone(), written_by(context, it).await) })
            .buffered(CONCURRENT)
            .collect()
            .await;
        let (mut objects, mut unknown) = (Vec::new(), Vec::new());
        for (id, found) in found {
            match found {
                Ok(written) => objects.extend(written),
                Err(error) => unknown.push((id, error)),
            }
        }
        let new = &New::of(session, plan);
        let tried = stream::iter(objects)
            .map(|written| async move {
                let answer = match new.lack(&written) {
                    Some(missing) => Answer::Early(missing),
                    None => written.try_apply(context).await,
                };
                (written, answer)
            })
            .buffered(CONCURRENT)
            .collect()
            .await;
        Self { tried, unknown }
    }

    /// Those that are refused until something is changed.
    pub(super) fn refused(&self) -> impl Iterator<Item = Refused<'_>> {
        self.tried.iter().filter_map(|(written, answer)| {
            let Answer::Refused(refusal) = answer else {
                return None;
            };
            let label = written.label();
            let what = match written.namespace() {
                Some(namespace) => format!("{label} in namespace `{namespace}`"),
                None => label.clone(),
            };
            refusal.is_lasting().then(|| Refused {
                what,
                short: label,
                object: written.id.to_string(),
                refusal,
            })
        })
    }

    /// What is told of the others: what may pass, and what could not be found out.
    pub(super) fn remarks(&self) -> Vec<String> {
        let all = |_: &Written| true;
        let mut told = self.undecided(all);
        for (id, error) in &self.unknown {
            told.push(format!(
                "whether the API server takes the objects of `{id}` could not be found out: {}",
                error.message
            ));
        }
        told.extend(self.not_allowed(all));
        told
    }

    /// The same of the namespaces in `made` alone: a run has made them since the plan was told, so nothing was tried in them.
    pub(super) fn remarks_in(&self, made: &BTreeSet<String>) -> Vec<String> {
        let is_new = |it: &Written| it.namespace().is_some_and(|it| made.contains(it));
        let mut told = self.undecided(is_new);
        told.extend(self.not_allowed(is_new));
        told
    }

    /// What is told of those in `told_of` that may pass, or that could not be tried.
    fn undecided(&self, told_of: impl Fn(&Written) -> bool) -> Vec<String> {
        let mut told = Vec::new();
        for (written, answer) in self.tried.iter().filter(|(it, _)| told_of(it)) {
            let label = written.label();
            match answer {
                Answer::Refused(refusal) if !refusal.is_lasting() => told.push(format!(
                    "at this moment the API server refuses {label}: {}. It may pass by itself; if not: {}",
                    refusal.said, refusal.hint
                )),
                Answer::Unknown(error) => told.push(format!(
                    "whether the API server takes {label} could not be found out: {}",
                    error.document().message
                )),
                _ => {}
            }
        }
        told
    }

    /// What is told of those in `told_of` that this user may not write.
    fn not_allowed(&self, told_of: impl Fn(&Written) -> bool) -> Option<String> {
        let labels: BTreeSet<String> = self
            .tried
            .iter()
            .filter(|(it, answer)| matches!(answer, Answer::NotAllowed) && told_of(it))
            .map(|(written, _)| written.label())
            .collect();
        (!labels.is_empty()).then(|| {
            format!(
                "this user may not write {}: whether a policy of the cluster refuses that could not be tried",
                listed(labels)
            )
        })
    }

    /// What could not be tried yet.
    pub(super) fn untried(&self) -> Vec<String> {
        let namespaces = self.missing_namespaces();
        let others: BTreeSet<String> = self.early(Missing::Other).map(Written::label).collect();
        let mut told = Vec::new();
        if !namespaces.is_empty() {
            told.push(format!(
                "not tried against the cluster's policies yet: what comes into namespaces that do not exist ({}); `up` tries it once it has made them, before it installs anything",
                listed(namespaces)
            ));
        }
        if !others.is_empty() {
            told.push(format!(
                "not tried against the cluster's policies: {}; their CustomResourceDefinition, or what they name, comes with this run, so a refusal shows when they are written",
                listed(others)
            ));
        }
        told
    }

    /// What could not be tried although the run has made its namespaces: it has none of these.
    pub(super) fn untried_again(&self) -> Option<String> {
        let namespaces = self.missing_namespaces();
        (!namespaces.is_empty()).then(|| {
            format!(
                "objects for namespaces that do not exist, and that this run does not create ({}), were not tried against the cluster's policies: a refusal shows when they are written",
                listed(namespaces)
            )
        })
    }

    /// Those that lack `missing`.
    fn early(&self, missing: Missing) -> impl Iterator<Item = &Written> {
        let tried = self.tried.iter();
        let early = tried.filter(
            move |(_, answer)| matches!(answer, Answer::Early(lacking) if *lacking == missing),
        );
        early.map(|(written, _)| written)
    }

    /// The namespaces that do not exist, with backticks.
    fn missing_namespaces(&self) -> BTreeSet<String> {
        self.early(Missing::Namespace)
            .filter_map(|it| Some(format!("`{}`", it.namespace()?)))
            .collect()
    }
}

/// The first of the names, and how many more there are.
fn listed(names: BTreeSet<String>) -> String {
    first_of(names, NAMED, [", ", " "])
}

/// What `plan` makes before the objects: namespaces, and the API groups of their kinds. What is in one of these cannot be
/// tried, so nothing is asked.
struct New<'a> {
    namespaces: BTreeSet<&'a str>,
    groups: BTreeSet<&'a str>,
}

impl<'a> New<'a> {
    fn of(session: &'a Session, plan: &'a Plan) -> Self {
        let created = |kind: &'static str| {
            let steps = plan.steps.iter();
            steps.filter(move |it| it.kind == kind && it.action == Action::Create)
        };
        let crds: BTreeSet<&str> = created("crds").map(|it| it.id.as_str()).collect();
        let is_new = |it: &&Desired| crds.contains(it.id.as_str());
        let names = session.desired.iter().filter(is_new).flat_map(|it| {
            let names: &[String] = match &it.resource {
                Resource::Crds(crds) => &crds.names,
                _ => &[],
            };
            names
        });
        // The name of a CRD is `plural.group`.
        let groups = names.filter_map(|it| it.split_once('.')).map(|(_, it)| it);
        Self {
            groups: groups.collect(),
            namespaces: created("namespace").map(|it| it.name.as_str()).collect(),
        }
    }

    /// What `written` lacks until then.
    fn lack(&self, written: &Written) -> Option<Missing> {
        if self.groups.contains(written.group()) {
            return Some(Missing::Other);
        }
        let namespace = written.namespace()?;
        let is_new = self.namespaces.contains(namespace);
        is_new.then_some(Missing::Namespace)
    }
}

/// The objects that a resource of the plan writes. `CustomResourceDefinitions` are not among them: they have hundreds of
/// kilobytes, and are sent once.
async fn written_by(context: &Context, desired: &Desired) -> Result<Vec<Written>> {
    let (id, resource) = (&desired.id, &desired.resource);
    let Resource::Release(release) = resource else {
        let own = Written::of_resource(id, resource, context);
        return Ok(own.into_iter().collect());
    };
    let part = Part::of_chart(&release.chart.name).unwrap_or(Part::Own);
    let text = context.helm.render(release, context.kubernetes).await?;
    let made = objects(&text, &format!("chart `{}`", release.chart.name))?;
    Ok(Written::of_chart(part, id, &made, &release.namespace))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        error::System,
        resource::pods::refusal::{Lasts, Refusal},
    };

    fn written(kind: &str, namespace: Option<&str>) -> Written {
        let id = Id::new("helm-release", namespace, "a");
        let mut manifest = json!({"kind": kind, "metadata": {"name": "a"}});
        if let Some(namespace) = namespace {
            manifest["metadata"]["namespace"] = namespace.into();
        }
        Written {
            part: Part::Own,
            id,
            manifest,
        }
    }

    fn refused(lasts: Lasts) -> Answer {
        Answer::Refused(Refusal {
            said: "no team".into(),
            hint: "add one".into(),
            lasts,
        })
    }

    fn objects_of(tried: Vec<(Written, Answer)>) -> Objects {
        Objects {
            tried,
            unknown: Vec::new(),
        }
    }

    #[test]
    fn only_what_must_be_changed_ends_a_run() {
        let objects = objects_of(vec![
            (
                written("Deployment", Some("arc")),
                refused(Lasts::UntilChanged),
            ),
            (written("Namespace", None), refused(Lasts::UntilChanged)),
            (written("Secret", Some("arc")), refused(Lasts::UntilRoom)),
            (written("Role", Some("arc")), Answer::Taken),
        ]);
        let ends: Vec<String> = objects.refused().map(|it| it.what).collect();
        assert_eq!(ends, ["`Deployment/a` in namespace `arc`", "`Namespace/a`"]);
        let told = objects.remarks();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("refuses `Secret/a`: no team"), "{told:?}");
    }

    #[test]
    fn what_could_not_be_tried_is_told_once_for_each_reason() {
        let mut tried = Vec::new();
        for number in 0..6 {
            let early = Answer::Early(Missing::Namespace);
            let namespace = format!("n{number}");
            tried.push((written("Role", Some(&namespace)), early));
        }
        let kind = Answer::Early(Missing::Other);
        tried.push((written("RunnerDeployment", Some("arc")), kind));
        tried.push((written("Secret", Some("arc")), Answer::NotAllowed));
        let error = Error::failed(System::Kubernetes, "no answer");
        tried.push((written("Job", Some("arc")), Answer::Unknown(error)));
        let objects = objects_of(tried);
        let told: Vec<String> = [objects.remarks(), objects.untried()].concat();
        assert_eq!(told.len(), 4, "{told:#?}");
        for (told, part) in told.iter().zip([
            "takes `Job/a` could not be found out: no answer",
            "may not write `Secret/a`: ",
            "yet: what comes into namespaces that do not exist (`n0`, `n1`, `n2`, `n3` and 2 more); ",
            "policies: `RunnerDeployment/a`; their CustomResourceDefinition",
        ]) {
            assert!(told.contains(part), "`{part}`: {told}");
        }
    }

    /// The plan has told what it could of the others.
    #[test]
    fn of_new_namespaces_is_told_what_could_not_be_tried_in_them() {
        let made = BTreeSet::from(["new".to_owned()]);
        let unknown = || Answer::Unknown(Error::failed(System::Kubernetes, "no answer"));
        let objects = objects_of(vec![
            (written("Job", Some("old")), unknown()),
            (written("Job", None), unknown()),
            (written("Secret", Some("old")), Answer::NotAllowed),
        ]);
        assert_eq!(objects.remarks_in(&made), [""; 0]);
        assert_eq!(objects.untried_again(), None);
        let objects = objects_of(vec![
            (written("Job", Some("new")), unknown()),
            (written("Secret", Some("new")), Answer::NotAllowed),
            (
                written("Role", Some("nobodys")),
                Answer::Early(Missing::Namespace),
            ),
            (written("Role", Some("new")), Answer::Early(Missing::Other)),
        ]);
        let told = objects.remarks_in(&made);
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[0].contains("takes `Job/a` could not be found out: no answer"));
        assert!(told[1].contains("may not write `Secret/a`: "));
        let untried = objects.untried_again().unwrap();
        assert!(
            untried.contains("that this run does not create (`nobodys`), "),
            "{untried}"
        );
    }
}

//! Checks this user's permissions for a plan, before the first write, all at once.

use std::collections::BTreeSet;

use crate::{
    desired::{Desired, Goal, resource::Resource},
    error::{Error, ErrorKind, Result, System},
    plan::{Action, Plan},
    resource::{
        kubernetes::access::{
            Permission, by_resource, needed, needed_by_a_run, needed_by_hand, needed_to_delete,
        },
        scale_sets::access::{after_a_change, to_end_former, to_free},
    },
    session::Session,
};

/// Whether `plan` writes `desired`.
pub(crate) fn writes(plan: &Plan, desired: &Desired) -> bool {
    let id = desired.id.to_string();
    plan.steps
        .iter()
        .any(|step| step.id == id && step.action != Action::Keep)
}

/// Fails before the first write if this user lacks permissions for the plan, and lists all of them.
pub(crate) async fn check_permissions(session: &Session, plan: &Plan) -> Result<()> {
    let written = session.desired.iter().filter(|it| writes(plan, it));
    let removes = session.desired.iter().all(|it| it.goal == Goal::Absent);
    let namespace = &session.context.profile.controller.namespace;
    let former: BTreeSet<Permission> = written
        .clone()
        .filter_map(|it| of_former(plan, it))
        .collect();
    let mut all: BTreeSet<Permission> = written
        .clone()
        .flat_map(|it| match it.goal {
            Goal::Present => needed(&it.resource),
            Goal::Absent | Goal::Evicted => needed_to_delete(&it.resource),
        })
        .collect();
    all.extend(former.iter().cloned());
    all.extend(written.clone().flat_map(|it| by_hand(session, it)));
    all.extend(needed_by_a_run(namespace, removes));
    let answers = all.iter().map(|it| async move {
        let allowed = session.context.kube.allows(&it.review()).await?;
        Ok::<_, Error>((!allowed).then_some(it))
    });
    let answers = futures::future::try_join_all(answers).await?;
    let lacking: Vec<&Permission> = answers.into_iter().flatten().collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let role = if removes {
        "`arcctl-teardown`"
    } else {
        role_of_up(written, &former, &lacking)
    };
    let error = Error::new(
        ErrorKind::Unauthorized,
        System::Kubernetes,
        "this user lacks permissions that the plan needs; nothing was changed",
    )
    .object(&session.context.kube.server)
    .hint(format!(
        "ask an administrator to bind the role {role} of docs/rbac.yaml to this user, or use another --context"
    ));
    let lines = by_resource(&lacking).into_iter();
    Err(lines.fold(error, |error, line| {
        error.cause(format!("not allowed: {line}"))
    }))
}

/// The permissions to remove what a change leaves, or an earlier one has left, of what `plan` writes.
fn of_former(plan: &Plan, desired: &Desired) -> Option<Permission> {
    let id = desired.id.to_string();
    let step = plan.steps.iter().find(|it| it.id == id)?;
    match &desired.resource {
        Resource::Release(release) if step.action == Action::Update => after_a_change(release),
        resource => to_end_former(resource, &step.differences),
    }
}

/// The additional permissions to remove runners without their controller, where the run does so.
fn by_hand(session: &Session, desired: &Desired) -> BTreeSet<Permission> {
    let removal = &session.context.removal;
    match &desired.resource {
        Resource::Drain(drain) if removal.force || removal.by_hand.is_some() => {
            needed_by_hand(drain)
        }
        Resource::ScaleSetDrain(drain) if removal.force || removal.without_github.is_some() => {
            to_free(drain)
        }
        _ => BTreeSet::new(),
    }
}

/// The role that has what is `lacking` of `written`, and of what is removed of `former` objects.
fn role_of_up<'a>(
    written: impl Iterator<Item = &'a Desired>,
    former: &BTreeSet<Permission>,
    lacking: &[&Permission],
) -> &'static str {
    let (made, removed): (Vec<_>, Vec<_>) = written.partition(|it| it.goal == Goal::Present);
    let mut installed = made.into_iter().filter(|it| is_of_install(&it.resource));
    let is_lacking = |it: &Permission| lacking.contains(&it);
    let mut drained = removed
        .into_iter()
        .filter(|it| is_of_teardown(&it.resource));
    if drained.any(|it| needed_to_delete(&it.resource).iter().any(is_lacking)) {
        "`arcctl-teardown`, beside `arcctl`,"
    } else if former.iter().any(is_lacking)
        || installed.any(|it| needed(&it.resource).iter().any(is_lacking))
    {
        "`arcctl-install`, beside `arcctl`,"
    } else {
        "`arcctl`"
    }
}

/// Whether only the role `arcctl-teardown` of docs/rbac.yaml may remove it.
const fn is_of_teardown(resource: &Resource) -> bool {
    matches!(resource, Resource::ScaleSetDrain(_) | Resource::Release(_))
}

/// Whether what writes it is in the role `arcctl-install` of docs/rbac.yaml: charts and credentials.
const fn is_of_install(resource: &Resource) -> bool {
    matches!(
        resource,
        Resource::Release(_)
            | Resource::Crds(_)
            | Resource::ControllerSecret(_)
            | Resource::Secret(_)
    )
}

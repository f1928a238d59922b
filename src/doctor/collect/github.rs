//! Reads GitHub's facts for the doctor: the profile's credential and those of its pools.

use std::collections::BTreeMap;

use super::Parts;
use crate::{
    clients::github::Audit,
    doctor::snapshot::{Groups, Registered},
    error::{Error, Result},
    resource::context::{Context, scope},
};

/// The clients, if there is a credential for GitHub.
pub(super) fn authenticated(parts: &Parts) -> Result<&Context> {
    parts.credential.as_ref().map_err(Clone::clone)?;
    parts.context.as_ref().map_err(Clone::clone)
}

pub(super) async fn audit(parts: &Parts) -> Result<Vec<String>> {
    let context = authenticated(parts)?;
    let owner = parts.profile.github.token_owner.as_deref();
    let mut audit = context.github.audit(scope(&parts.profile)?, owner).await?;
    let own = parts.profile.own_part();
    let spelling = Box::pin(context.github.spelling(&own)).await?;
    audit.advice.extend(spelling);
    for account in &context.accounts {
        let owner = account.part.github.token_owner.as_deref();
        let found = async {
            let mut found = account.github.audit(scope(&account.part)?, owner).await?;
            let spelling = account.github.spelling(&account.part).await?;
            found.advice.extend(spelling);
            Ok(found)
        };
        let found: Result<Audit> = Box::pin(found).await;
        let pool = account.part.pools.first().map(|it| it.name.as_str());
        let pool = pool.unwrap_or_default();
        match found {
            Ok(found) => {
                let advice = found.advice.into_iter();
                audit
                    .advice
                    .extend(advice.map(|it| format!("pool `{pool}`: {it}")));
            }
            Err(error) => {
                let message = format!("pool `{pool}`: {}", error.message);
                return Err(Error { message, ..error });
            }
        }
    }
    Ok(audit.advice)
}

pub(super) async fn groups(parts: &Parts) -> Result<Groups> {
    let context = authenticated(parts)?;
    let github = &context.github;
    let own = parts.profile.own_part();
    let mut found = github.group_findings(&own).await?;
    let mut error = github.group_error(&own, &found);
    for account in &context.accounts {
        let more = account.github.group_findings(&account.part).await?;
        error = error.or_else(|| account.github.group_error(&account.part, &more));
        found.broken.extend(more.broken);
        found.advice.extend(more.advice);
    }
    Ok(Groups {
        broken: found.broken,
        advice: found.advice,
        fix: error.and_then(|it| it.hint).unwrap_or_default(),
    })
}

pub(super) async fn registered(parts: &Parts) -> Result<Vec<Registered>> {
    let runners = authenticated(parts)?.runners().await?;
    let of = |it: &crate::clients::github::Runner| Registered {
        name: it.name.clone(),
        online: it.status == "online",
        busy: it.busy,
        labels: it.labels.iter().map(|label| label.name.clone()).collect(),
        version: it.version.clone(),
    };
    Ok(runners.iter().map(of).collect())
}

pub(super) async fn offered(parts: &Parts) -> Result<BTreeMap<String, Option<String>>> {
    let offers = authenticated(parts)?.offers().await?.into_iter();
    Ok(offers
        .map(|(pool, it)| (pool, it.map(|it| it.to_string())))
        .collect())
}

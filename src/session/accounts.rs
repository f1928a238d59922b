//! The GitHub client of each pool: with the profile's credential or the pool's own, and their audits.

use jiff::Timestamp;

use super::teardown::source::use_pool_secrets;
use crate::{
    clients::{
        credential::{self, Sources},
        github::{Audit, GitHub},
    },
    desired::pool::runner_version::{Seen, day, freshness},
    error::{Error, ErrorKind, Result, System},
    inventory::Inventory,
    profile::{Pool, Profile, Severity, lint::scale_sets_on_server},
    resource::{
        context::scope,
        runners::{account::Account, offers::offers},
    },
    terminal::output::Output,
    units::{runner::State, version::triple},
};

/// The GitHub clients of the pools with a credential of their own.
pub(super) async fn accounts(
    profile: &Profile,
    sources: &Sources<'_>,
    ca_bundle: Option<&str>,
    output: Output,
) -> Result<Vec<Account>> {
    let mut accounts = Vec::new();
    for part in profile.parts() {
        let pools: Vec<&str> = part.pools.iter().map(|it| it.name.as_str()).collect();
        let pools = pools.join("`, `");
        let loaded = Box::pin(credential::load(&part.github, sources))
            .await
            .map_err(|error| {
                let message = format!("{} (of pool `{pools}`)", error.message);
                Error { message, ..error }
            })?;
        output.mask(&loaded.credential);
        for advice in loaded.advice {
            output.note(format!("advice: pool `{pools}`: {advice}"));
        }
        let url = part.github.url.as_deref();
        accounts.push(Account {
            github: GitHub::new(url, loaded.credential.clone(), ca_bundle)?,
            credential: loaded.credential,
            part,
        });
    }
    Ok(accounts)
}

/// The GitHub clients of removed pools that had a credential of their own, to check whether their runners run jobs. Their
/// credentials are in the Secrets that `up` created.
pub(super) async fn accounts_of_gone_pools(
    profile: &Profile,
    inventory: &Inventory,
    sources: &Sources<'_>,
    ca_bundle: Option<&str>,
    output: Output,
) -> Result<Vec<Account>> {
    let (Some(known), Some(kube)) = (&inventory.profile, sources.kube) else {
        return Ok(Vec::new());
    };
    let mut gone = Profile {
        github: profile.github.clone(),
        ..known.clone()
    };
    gone.pools
        .retain(|it| profile.pool(&it.namespace, &it.name).is_none());
    use_pool_secrets(kube, &mut gone).await?;
    accounts(&gone, sources, ca_bundle, output).await
}

/// The audits of the profile's credential and of those of its pools.
pub(super) async fn audits(
    github: &GitHub,
    profile: &Profile,
    accounts: &[Account],
) -> Result<Audit> {
    let own = profile.own_part();
    let parts = accounts
        .iter()
        .map(|it| audit_with_groups(&it.github, &it.part));
    let (mut audit, parts) = tokio::try_join!(
        audit_with_groups(github, &own),
        futures::future::try_join_all(parts)
    )?;
    // All accounts are at one server.
    server_fits(profile, audit.version.as_deref())?;
    for (account, part) in accounts.iter().zip(parts) {
        let pool = account.part.pools.first();
        let pool = pool.map(|it| it.name.as_str()).unwrap_or_default();
        let advice = part.advice.into_iter();
        audit
            .advice
            .extend(advice.map(|it| format!("pool `{pool}`: {it}")));
    }
    Ok(audit)
}

/// The audit, including the runner groups; reports what cannot be read of these.
async fn audit_with_groups(github: &GitHub, profile: &Profile) -> Result<Audit> {
    let mut audit = audit(github, profile).await?;
    match github.group_findings(profile).await {
        Ok(findings) => {
            if let Some(error) = github.group_error(profile, &findings) {
                return Err(error);
            }
            audit.advice.extend(findings.advice);
        }
        Err(error) => audit.advice.push(format!(
            "whether the runner groups take these runners could not be found out: {}",
            error.document().message
        )),
    }
    Ok(audit)
}

/// Fails if a GitHub Enterprise Server of this version cannot have the profile's scale sets.
fn server_fits(profile: &Profile, version: Option<&str>) -> Result<()> {
    let Some(version) = version else {
        return Ok(());
    };
    let (major, minor, _) = triple(version);
    let mut errors = scale_sets_on_server(profile, (major, minor)).into_iter();
    let Some(first) = errors.find(|it| it.severity == Severity::Error) else {
        return Ok(());
    };
    let error = Error::new(ErrorKind::InvalidProfile, System::GitHub, first.message)
        .object(&first.path)
        .hint(first.hint.unwrap_or_default());
    let more = errors.filter(|it| it.severity == Severity::Error);
    Err(more.fold(error, |error, it| {
        error.cause(format!("`{}`: {}", it.path, it.message))
    }))
}

/// Advice on pools whose runners GitHub refuses, now or soon, or that are older than their server's own. What is not known is in
/// `status` and `doctor`, which also see what really runs.
pub(super) async fn version_advice(
    github: &GitHub,
    profile: &Profile,
    accounts: &[Account],
) -> Vec<String> {
    // The audit reports a GitHub that does not answer.
    let offers = offers(github, profile, accounts).await.unwrap_or_default();
    let now = Timestamp::now();
    let advice = |pool: &Pool| {
        let seen = Seen {
            running: None,
            offered: offers.get(&pool.name).copied().flatten(),
        };
        let found = freshness(profile, pool, seen, now);
        let concerns = match found.state {
            State::Refused | State::Behind => true,
            State::Ending => found.ends_soon(day(now)),
            State::Current | State::Unknown => false,
        };
        concerns.then(|| {
            format!(
                "pool `{}` has runner {}: {}; `arcctl images update` finds a newer image",
                pool.name,
                found.told(),
                found.reason
            )
        })
    };
    profile.pools.iter().filter_map(advice).collect()
}

pub(super) async fn audit(github: &GitHub, profile: &Profile) -> Result<Audit> {
    let scope = scope(profile)?;
    let owner = profile.github.token_owner.as_deref();
    github.audit(scope, owner).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_for_a_scale_set_is_refused() {
        let profile: Profile = serde_json::from_value(serde_json::json!({
            "apiVersion": "arcctl.dev/v1", "name": "x", "cluster": {"context": "c"},
            "github": {"url": "https://ghe.example", "organization": "o", "token": {"env": "T"}},
            "pools": [
                {"name": "a", "image": "r:1", "min": 0, "max": 1},
                {"name": "b", "mode": "scaleSet", "labels": ["l"], "image": "r:1", "min": 0, "max": 1},
            ],
        }))
        .unwrap();
        for (version, refused) in [
            (None, false),
            (Some("3.8.1"), true),
            (Some("3.17.15"), true),
            (Some("3.19.0"), false),
        ] {
            let fits = server_fits(&profile, version);
            assert_eq!(fits.is_err(), refused, "{version:?}");
            if let Err(error) = fits {
                assert_eq!(error.kind.exit_code(), 65);
                assert!(error.object.unwrap().starts_with("pools[1]."));
            }
        }
    }
}

//! The GitHub client of each pool: with the profile's credential or the pool's own, and their audits.

use jiff::Timestamp;

use super::teardown::source::use_pool_secrets;
use crate::{
    clients::{
        credential::{self, Sources},
        github::{Audit, GitHub, Version},
    },
    desired::pool::runner_version::{Seen, day, freshness},
    error::{Error, ErrorKind, Result, System},
    inventory::Inventory,
    profile::{
        Pool, Profile, Severity,
        lint::{Finding, scale_sets_on_server},
    },
    resource::{
        context::scope,
        runners::{account::Account, offers::offers},
    },
    terminal::output::Output,
    units::runner::State,
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
    // Pools have no server of their own.
    let of_the_server = on_server(profile, audit.version.as_deref())?;
    audit.advice.extend(of_the_server);
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

/// What a GitHub Enterprise Server of this `version` does for the profile's scale sets only with a setting, as advice; what it
/// cannot do at all is the error of an invalid profile.
fn on_server(profile: &Profile, version: Option<&str>) -> Result<Vec<String>> {
    let Some(version) = version.and_then(Version::parse) else {
        return Ok(Vec::new());
    };
    let version = (version.major.into(), version.minor.into());
    let words = |it: &Finding| match &it.hint {
        Some(hint) => format!("`{}`: {}; {hint}", it.path, it.message),
        None => format!("`{}`: {}", it.path, it.message),
    };
    let (errors, advice): (Vec<Finding>, Vec<Finding>) = scale_sets_on_server(profile, version)
        .into_iter()
        .partition(|it| it.severity == Severity::Error);
    if errors.is_empty() {
        return Ok(advice.iter().map(words).collect());
    }
    let message: Vec<String> = errors.iter().map(words).collect();
    Err(Error::new(
        ErrorKind::InvalidProfile,
        System::Profile,
        message.join("; "),
    )
    .hint("correct the profile; docs/scale-sets.md has what each version of the server can do"))
}

/// The audit, including the spelling of names and the runner groups; reports what cannot be read of these.
async fn audit_with_groups(github: &GitHub, profile: &Profile) -> Result<Audit> {
    let mut audit = audit(github, profile).await?;
    match Box::pin(github.spelling(profile)).await {
        Ok(advice) => audit.advice.extend(advice),
        Err(error) => audit.advice.push(format!(
            "whether the profile's names are written as at GitHub, which `triggers` need, could not be found out: {}",
            error.document().message
        )),
    }
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

    fn profile() -> Profile {
        let text = "apiVersion: arcctl.dev/v1\nname: test\ncluster: {context: c}\n\
             github: {url: https://ghe.example, organization: o, token: {env: TOKEN}}\n\
             pools: [{name: a, mode: scaleSet, image: \"ghcr.io/actions/actions-runner:2.334.0\", labels: [gpu], min: 0, max: 4}]\n";
        crate::profile::load(text, "arcctl.yaml").unwrap().profile
    }

    #[test]
    fn a_server_that_gives_no_labels_ends_the_run_before_the_first_write() {
        let error = on_server(&profile(), Some("3.17.15")).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidProfile);
        assert!(
            error.message.starts_with("`pools[0].labels`: "),
            "{}",
            error.message
        );
    }

    #[test]
    fn what_a_server_does_with_a_setting_is_advice_and_github_com_needs_none() {
        let advice = on_server(&profile(), Some("3.19.0")).unwrap();
        assert!(
            advice[0].contains("DistributedTask.AllowRunnerScaleSetCustomLabels"),
            "{advice:?}"
        );
        assert_eq!(on_server(&profile(), Some("3.21.1")).unwrap(), [""; 0]);
        assert_eq!(on_server(&profile(), None).unwrap(), [""; 0]);
    }
}

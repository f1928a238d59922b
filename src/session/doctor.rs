//! Sets up the clients of `arcctl doctor`; a failure becomes an unknown fact.

use super::{
    accounts, aws_facts, conflicts,
    connection::{self, Connection},
    github,
};
use crate::{
    clients::{
        aws::{Aws, cluster::EksCluster},
        credential::{self, Credential, Loaded, Sources},
        github::GitHub,
        helm::Helm,
        kube::{Access, Kube},
    },
    desired::{Facts, lock::Pins},
    doctor::{
        collect::Parts,
        snapshot::{AtAws, Fact, Wiring},
    },
    error::System,
    profile::Profile,
    resource::{
        context::{Clients, Context},
        runners::account::Account,
    },
    secret::Secret,
    session,
    terminal::{args::GlobalArgs, environment, output::Output, profile_file::ProfileFile},
};

/// Sets up the clients; a failure becomes an unknown fact.
#[expect(
    clippy::too_many_lines,
    reason = "one thing after the other that has to be set up"
)]
pub(crate) async fn parts(global: &GlobalArgs, file: ProfileFile, output: Output) -> Parts {
    let profile = &file.profile;
    let Reached {
        access,
        kube,
        aws,
        eks,
        cluster,
    } = Box::pin(reach(global, profile)).await;
    let hidden = environment::hidden_variables(&profile.token_sources());
    let lock = session::lock::read(global);
    let locked = lock.as_ref().ok().and_then(Option::as_ref);
    let helm = Helm::new(&environment::helm_places(), access, hidden)
        .map(|it| it.locked(locked.map(|it| &it.lock)));
    let pins = locked.map(|it| Pins::of(&it.lock)).unwrap_or_default();
    let ca_bundle = github::ca_bundle(&file);
    let sources = Sources {
        variable: &environment::variable,
        directory: &file.directory,
        kube: kube.as_ref().ok(),
        aws: aws.as_ref(),
    };
    let credential = Box::pin(credential::load(&profile.github, &sources)).await;
    if let Ok(loaded) = &credential {
        output.mask(&loaded.credential);
    }
    let bundle = ca_bundle.as_ref().ok().and_then(Option::as_deref);
    let accounts = Box::pin(accounts::accounts(profile, &sources, bundle, output)).await;
    // If one of them is missing, GitHub is not called; the error names it.
    let (credential, accounts) = match accounts {
        Ok(accounts) => (credential, accounts),
        Err(error) => (credential.and(Err(error)), Vec::new()),
    };
    let (facts, at_aws) = match (&kube, &ca_bundle) {
        (Ok(kube), Ok(ca)) => {
            let known = Box::pin(facts(kube, aws.as_ref(), eks.as_ref(), profile, ca.clone()));
            known.await
        }
        (Err(error), _) | (_, Err(error)) => {
            let wiring = profile.aws.as_ref().map(|_| Err(error.clone()));
            (Err(error.clone()), wiring.unwrap_or(Ok(None)))
        }
    };
    let at_aws = AtAws {
        caller: caller(aws.as_ref()).await,
        cluster,
        wiring: at_aws,
    };
    let helm_usable = helm
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|it| it.binary().map(drop));
    let kubernetes = facts.as_ref().ok().and_then(|it| it.kubernetes);
    let desired = facts.and_then(|facts| {
        let mut desired = session::wanted(profile, &facts)?;
        lock?;
        // What is installed is pinned; `arcctl lock --check` compares the lock itself.
        pins.apply(&mut desired);
        session::set_order(&mut desired)?;
        Ok(desired)
    });
    let (known, credential) = usable(credential);
    let context = clients(
        &file,
        &kube,
        aws,
        helm,
        ca_bundle,
        (credential, accounts),
        kubernetes,
    );
    let context = context.map(|it| Context { pins, ..it });
    Parts {
        advice: file.advice,
        profile: file.profile,
        helm: helm_usable,
        kube,
        credential: known,
        context,
        desired,
        at_aws,
        probe: None,
        eks,
    }
}

/// Whether there is a credential, and a placeholder for a missing one: the cluster is still checked, and `collect` does not
/// call GitHub then.
fn usable(credential: Fact<Loaded>) -> (Fact<()>, Credential) {
    match credential {
        Ok(loaded) => (Ok(()), loaded.credential),
        Err(error) => (Err(error), Credential::Token(Secret::trimmed("").0)),
    }
}

/// The facts; if AWS does not respond, without AWS: only the resources that depend on it are unknown then.
async fn facts(
    kube: &Kube,
    aws: Option<&Aws>,
    eks: Option<&EksCluster>,
    profile: &Profile,
    ca_bundle: Option<String>,
) -> (Fact<Facts>, Fact<Option<Wiring>>) {
    let found = async {
        match aws.zip(eks).filter(|_| profile.aws.is_some()) {
            Some((aws, eks)) => aws_facts::read(aws, eks, kube, profile).await.map(Some),
            None => Ok(None),
        }
    };
    let (facts, found) = tokio::join!(
        Box::pin(session::facts(
            kube,
            None,
            profile,
            ca_bundle,
            conflicts::For::Doctor,
            None,
        )),
        Box::pin(found)
    );
    let facts = facts.map(|(facts, _)| Facts {
        eks: eks.map(session::eks_facts),
        ..facts
    });
    match (facts, found) {
        (Ok(facts), Ok(Some(found))) => {
            let wiring = Wiring {
                networks: found.facts.nodes.len(),
                auto_mode: eks.is_some_and(|it| it.auto_mode),
                advice: found.advice,
                trust_policy: found.trust_policy,
            };
            let facts = Facts {
                aws: Some(found.facts),
                runner_role_arn: found.role_arn,
                ..facts
            };
            (Ok(facts), Ok(Some(wiring)))
        }
        (facts, found) => (facts, found.map(|_| None)),
    }
}

/// The AWS identity, if the profile needs AWS.
async fn caller(aws: Option<&Aws>) -> Fact<Option<String>> {
    match aws {
        Some(aws) => aws.caller().await.map(|it| Some(it.arn)),
        None => Ok(None),
    }
}

/// The clients of the cluster and AWS, or why there are none.
struct Reached {
    access: Access,
    kube: Fact<Kube>,
    aws: Option<Aws>,
    eks: Option<EksCluster>,
    cluster: Fact<Option<String>>,
}

async fn reach(global: &GlobalArgs, profile: &Profile) -> Reached {
    match Box::pin(Connection::open(global, profile)).await {
        Ok(found) => Reached {
            access: found.access,
            kube: Ok(found.kube),
            aws: found.aws,
            cluster: Ok(found.eks.as_ref().map(|it| it.name.clone())),
            eks: found.eks,
        },
        // A credential stored at AWS, and helm, are checked without the cluster too.
        Err(error) => Reached {
            access: connection::named_access(
                global,
                &profile.cluster,
                environment::hidden_variables(&profile.token_sources()),
            ),
            cluster: match &profile.cluster.eks {
                Some(_) if error.system == System::Aws => Err(error.clone()),
                name => Ok(name.clone()),
            },
            kube: Err(error),
            // The cluster's check reports why there is none.
            aws: connection::aws(
                profile,
                environment::hidden_variables(&profile.token_sources()),
            )
            .await
            .ok()
            .flatten(),
            eks: None,
        },
    }
}

fn clients(
    file: &ProfileFile,
    kube: &Fact<Kube>,
    aws: Option<Aws>,
    helm: Fact<Helm>,
    ca_bundle: Fact<Option<String>>,
    (credential, accounts): (Credential, Vec<Account>),
    kubernetes: Option<(u32, u32)>,
) -> Fact<Context> {
    let url = file.profile.github.url.as_deref();
    let clients = Clients {
        kube: kube.as_ref().map_err(Clone::clone)?.clone(),
        aws,
        helm: helm?,
        github: GitHub::new(url, credential.clone(), ca_bundle?.as_deref())?,
        credential,
        accounts,
    };
    let version = kubernetes.unwrap_or_default();
    Ok(Context {
        remarks: crate::resource::remarks::Remarks::only_looking(),
        ..Context::new(file.profile.clone(), clients, version)
    })
}

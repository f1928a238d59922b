//! `arcctl doctor`: reads everything once, and says what is wrong, why, and what mends it.

use std::{sync::Mutex, time::Instant};

use clap::{Args, ValueEnum};

use super::{
    GlobalArgs,
    connection::{self, Connection},
    output::{Format, Output},
    profile_file::{self, ProfileFile},
    session,
};
use crate::{
    clients::{
        aws::{Aws, cluster::EksCluster},
        credential::{self, Credential, Sources},
        github::GitHub,
        helm::Helm,
        kube::{Access, Kube},
    },
    doctor::{
        Choice,
        gather::{Parts, gather},
        judge,
        world::Known,
    },
    error::{Error, ErrorKind, Result, System},
    profile::Profile,
    report,
    resource::{aws::writes::Writes, context::Context, removal::Removal},
    secret::Secret,
};

/// Say what is wrong, why, and what mends it; write nothing
#[derive(Args)]
pub(super) struct DoctorArgs {
    /// Only these checks or categories
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Not these checks or categories
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    skip: Vec<String>,
    /// Exit with 3 when only advice is broken
    #[arg(long, value_enum, default_value = "required")]
    fail_on: FailOn,
}

/// What makes the exit code of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A required check that is broken or unknown.
    Required,
    /// Advice too.
    Advice,
}

/// Prints the report.
pub(super) async fn run(args: &DoctorArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let choice = Choice {
        only: args.only.clone(),
        skip: args.skip.clone(),
    };
    if let Some(word) = choice.unknown() {
        return Err(Error::new(
            ErrorKind::Usage,
            System::Local,
            format!("`{word}` is neither a check nor a category"),
        )
        .hint("docs/doctor.md lists both"));
    }
    let started = Instant::now();
    let file = profile_file::read(global, output)?;
    let world = Box::pin(gather(Box::pin(parts(global, file, output)).await)).await;
    let findings = judge(&world, &choice);
    let error = report::doctor::error(&findings);
    let advice_fails = args.fail_on == FailOn::Advice;
    match output.format {
        Format::Json => output.document(&report::doctor::document(&findings, error.as_ref())),
        Format::Junit => {
            let text = report::junit::text(&findings, advice_fails, started.elapsed());
            output.result(&text);
        }
        Format::Human => {
            output.result(&report::doctor::text(&findings, output.verbosity > 0));
        }
    }
    let actions = &global.actions;
    actions.annotate(|_| report::github::of_findings(&findings));
    actions.summarize(&report::markdown::doctor(&findings, global.profile_name()));
    Ok(match error {
        Some(error) => error.kind.exit_code(),
        None if advice_fails && report::doctor::has_advice(&findings) => 3,
        None => 0,
    })
}

/// What can be set up; what cannot is a fact that is not known.
async fn parts(global: &GlobalArgs, file: ProfileFile, output: Output) -> Parts {
    let profile = &file.profile;
    let Reached {
        access,
        kube,
        aws,
        eks,
    } = Box::pin(reach(global, profile)).await;
    let hidden = credential::variables(&profile.github);
    let helm = Helm::new(session::variable("PATH").as_deref(), access, hidden);
    let ca_bundle = session::ca_bundle(&file);
    let sources = Sources {
        variable: &session::variable,
        directory: &file.directory,
        kube: kube.as_ref().ok(),
        aws: aws.as_ref(),
    };
    let credential = Box::pin(credential::load(&profile.github, &sources)).await;
    if let Ok(loaded) = &credential {
        output.mask(&loaded.credential);
    }
    let facts = match (&kube, &ca_bundle) {
        (Ok(kube), Ok(ca)) => {
            let at_aws = aws.as_ref().zip(eks.as_ref());
            Box::pin(session::facts(kube, at_aws, profile, ca.clone())).await
        }
        (Err(error), _) | (_, Err(error)) => Err(error.clone()),
    };
    let facts = facts.map(|(facts, advice)| {
        for advice in advice {
            output.note(format!("advice: {advice}"));
        }
        facts
    });
    let helm_usable = helm
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|it| it.binary().map(drop));
    let kubernetes = facts.as_ref().ok().and_then(|it| it.kubernetes);
    let desired = facts.and_then(|facts| session::wanted(profile, &facts));
    let known: Known<()> = credential.as_ref().map(drop).map_err(Clone::clone);
    // Without a credential the cluster is still looked at; `gather` asks GitHub nothing then.
    let credential = match credential {
        Ok(loaded) => loaded.credential,
        Err(_) => Credential::Token(Secret::trimmed("").0),
    };
    let context = clients(&file, &kube, aws, helm, ca_bundle, credential, kubernetes);
    Parts {
        advice: file.advice,
        unsupported: crate::profile::lint::not_implemented(&file.profile)
            .into_iter()
            .map(|it| it.message)
            .collect(),
        profile: file.profile,
        helm: helm_usable,
        kube,
        credential: known,
        context,
        desired,
    }
}

/// The cluster and AWS, as far as they can be reached.
struct Reached {
    access: Access,
    kube: Known<Kube>,
    aws: Option<Aws>,
    eks: Option<EksCluster>,
}

async fn reach(global: &GlobalArgs, profile: &Profile) -> Reached {
    match Box::pin(Connection::open(global, profile)).await {
        Ok(found) => Reached {
            access: found.access,
            kube: Ok(found.kube),
            aws: found.aws,
            eks: found.eks,
        },
        // A credential that is stored at AWS, and helm, are judged without the cluster too.
        Err(error) => Reached {
            access: connection::named_access(global, profile),
            kube: Err(error),
            aws: connection::aws(profile).await,
            eks: None,
        },
    }
}

fn clients(
    file: &ProfileFile,
    kube: &Known<Kube>,
    aws: Option<Aws>,
    helm: Known<Helm>,
    ca_bundle: Known<Option<String>>,
    credential: Credential,
    kubernetes: Option<(u32, u32)>,
) -> Known<Context> {
    let url = file.profile.github.url.as_deref();
    Ok(Context {
        profile: file.profile.clone(),
        kube: kube.as_ref().map_err(Clone::clone)?.clone(),
        aws,
        aws_writes: Writes::default(),
        helm: helm?,
        github: GitHub::new(url, credential.clone(), ca_bundle?.as_deref())?,
        credential,
        adopt: false,
        started: jiff::Timestamp::now(),
        kubernetes: kubernetes.unwrap_or_default(),
        secret_version: Mutex::default(),
        rotation: Mutex::default(),
        removal: Removal::default(),
        listing: tokio::sync::Mutex::default(),
    })
}

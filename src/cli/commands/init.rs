//! `arcctl init`.

use clap::Args;

use crate::{
    error::{Error, ErrorKind, Result, System},
    init::{
        self, Request,
        answers::{APP, Answers, Key, checked},
        text::{Extras, IMAGE},
    },
    terminal::{args::GlobalArgs, output::Output},
};

/// Look around, ask a few questions, and write a commented profile
///
/// Writes the file of -f, and changes nothing else. Each flag answers one question. With --yes, the other questions are answered
/// by their defaults, and nothing is asked.
#[derive(Args)]
pub(crate) struct InitArgs {
    /// Ask nothing: take the default of each question without a flag
    #[arg(long)]
    yes: bool,
    /// Ask nothing: read an installation made by hand, and write the profile with which `arcctl up --adopt` takes it over
    #[arg(long, conflicts_with_all = ["yes", "scope", "group", "instance_type", "containers", "runners", "schedule", "role"])]
    from_cluster: bool,
    /// With --from-cluster: the controller, where there are several
    #[arg(long, value_name = "NAMESPACE/RELEASE", requires = "from_cluster")]
    controller: Option<String>,
    /// The EKS cluster; --context names a kubeconfig context in its place
    #[arg(long, value_name = "NAME", conflicts_with = "context")]
    eks: Option<String>,
    /// The AWS region of the EKS cluster, or to look for one in
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The GitHub server: github.com, or <https://HOST>
    #[arg(long, value_name = "URL")]
    github_url: Option<String>,
    /// Where the token is, never the token itself: `env:NAME`, `file:PATH`, `secretsManager:NAME`, `ssm:NAME` or
    /// `kubernetesSecret:NAMESPACE/NAME/KEY`
    #[arg(long, value_name = "SOURCE")]
    token_from: Option<String>,
    /// A GitHub App in place of a token
    #[arg(
        long,
        value_name = "ID/INSTALLATION",
        conflicts_with = "token_from",
        requires = "app_key_from"
    )]
    app: Option<String>,
    /// Where the App's private key is, as in --token-from
    #[arg(long, value_name = "SOURCE", requires = "app")]
    app_key_from: Option<String>,
    /// The file with the certificate of the server's authority (PEM), relative to the profile
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<String>,
    /// The enterprise of the runners
    #[arg(long, value_name = "NAME", group = "scope")]
    enterprise: Option<String>,
    /// The organization of the runners
    #[arg(long, value_name = "NAME", group = "scope")]
    organization: Option<String>,
    /// The repository of the runners
    #[arg(long, value_name = "OWNER/NAME", group = "scope")]
    repository: Option<String>,
    /// The runner group [default: the default group]
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// The EC2 instance type of the runners' nodes, or `any` [default: that of the nodes that take pods]
    #[arg(long, value_name = "TYPE")]
    instance_type: Option<String>,
    /// How jobs run containers: dind or none [default: dind, on Fargate none]
    #[arg(long, value_name = "MODE")]
    containers: Option<String>,
    /// The fewest and the most runners [default: 1 to two per node]
    #[arg(long, value_name = "MIN-MAX")]
    runners: Option<String>,
    /// When one runner is enough: none, weekends or nights-and-weekends [default: none]
    #[arg(long, value_name = "WHEN")]
    schedule: Option<String>,
    /// The time zone of the schedule [default: that of this machine]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// The IAM role of the jobs, a name or an ARN; needs an EKS cluster [default: none]
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// The profile's name [default: from the enterprise, organization or repository]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The name of the pool
    #[arg(long, value_name = "NAME", default_value = "basic")]
    pool: String,
    /// The runner image
    #[arg(long, value_name = "IMAGE", default_value = IMAGE)]
    image: String,
    /// A mirror of both charts: an https or oci repository, or a directory
    #[arg(long, value_name = "PLACE")]
    charts: Option<String>,
}

/// Writes the profile.
pub(crate) async fn run(args: &InitArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let request = Request {
        answers: answers(args, global)?,
        extras: Extras {
            name: args.name.clone(),
            pool: args.pool.clone(),
            image: args.image.clone(),
            charts: args.charts.clone(),
        },
        yes: args.yes,
        region: args.region.clone(),
        from_cluster: args.from_cluster,
        controller: args.controller.clone(),
    };
    Box::pin(init::run(request, global, output)).await
}

/// The answers of the flags, each checked as at its question.
fn answers(args: &InitArgs, global: &GlobalArgs) -> Result<Answers> {
    let of = |kind: &str, name: &Option<String>| name.as_ref().map(|it| format!("{kind}:{it}"));
    let cluster = match (&args.eks, &args.region) {
        (Some(name), Some(region)) => Some(format!("eks:{name}@{region}")),
        (Some(_), None) => {
            return Err(wrong("--eks needs a region").hint("add --region REGION"));
        }
        (None, _) => of("context", &global.context),
    };
    let scope = of("enterprise", &args.enterprise)
        .or_else(|| of("organization", &args.organization))
        .or_else(|| of("repository", &args.repository));
    let credential = match &args.app {
        Some(_) => Some(APP.to_owned()),
        None => args.token_from.clone(),
    };
    let mut answers = Answers::default();
    for (key, value) in [
        (Key::Cluster, cluster),
        (Key::Server, args.github_url.clone()),
        (Key::Credential, credential),
        (Key::App, args.app.clone()),
        (Key::AppPem, args.app_key_from.clone()),
        (Key::CaBundle, args.ca_bundle.clone()),
        (Key::Scope, scope),
        (Key::Group, args.group.clone()),
        (Key::Nodes, args.instance_type.clone()),
        (Key::Containers, args.containers.clone()),
        (Key::Runners, args.runners.clone()),
        (Key::Schedule, args.schedule.clone()),
        (Key::TimeZone, args.time_zone.clone()),
        (Key::Role, args.role.clone()),
    ] {
        let Some(value) = value else { continue };
        let value = checked(key, &value)
            .and_then(|it| {
                if it.ends_with(':') {
                    Err("a name after the colon".to_owned())
                } else {
                    Ok(it)
                }
            })
            .map_err(|expected| {
                wrong(format!("the answer of {} cannot be used", key.flag()))
                    .hint(format!("expected: {expected}"))
            })?;
        answers.set(key, Some(value));
    }
    Ok(answers)
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, System::Local, message)
}

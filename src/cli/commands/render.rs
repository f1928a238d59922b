//! `arcctl render`: writes everything as files, for people, Flux or Argo CD.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::{
    clients::{helm::Helm, kube::Access},
    desired::{
        Facts, desired,
        placeholder::{self, Placeholder},
        render::{
            self,
            gitops::{self, Iam, SecretForm, Tool},
            pull_through,
        },
        resource::Resource,
    },
    error::{Error, ErrorKind, Result, System},
    session,
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        environment::{helm_places, hidden_variables},
        output::Output,
        profile_file::{self, ProfileFile},
    },
};

/// The version of Kubernetes that the CRDs of a chart are rendered for. No CRD depends on it; a chart may refuse old ones.
const KUBERNETES: (u32, u32) = (1, 33);

/// Who reads the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// People, with kubectl and helm; needs no network
    Files,
    /// Flux: `HelmRelease` and `Kustomization`
    Flux,
    /// Argo CD: Applications in sync waves
    Argocd,
}

/// How the Secrets come into the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Secret {
    /// By hand: a file says how
    Hole,
    /// From a store, by External Secrets Operator
    External,
}

/// How what the runners need at AWS is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum IamForm {
    /// As policy documents
    Documents,
    /// As policy documents and a Terraform module
    Terraform,
}

/// How the pull-through rules of Amazon ECR are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PullThrough {
    /// As inputs of the AWS CLI
    Documents,
    /// As a Terraform module
    Terraform,
}

/// Write everything as files, for people, Flux or Argo CD
///
/// Writes manifests, chart values and policies; no file contains a credential. With `--format flux` or `--format argocd`, helm
/// also reads the CRDs of the charts, which are written as files (docs/gitops.md); the other options of this command, except
/// `--pull-through`, are for these formats.
#[derive(Args)]
pub(crate) struct RenderArgs {
    /// Output directory; files of the same names are overwritten
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Who reads the files
    #[arg(long, value_enum, default_value = "files")]
    format: Format,
    /// Write also the rules by which Amazon ECR pulls the profile's images through, below aws/ecr
    #[arg(long, value_enum, value_name = "FORM")]
    pull_through: Option<PullThrough>,
    #[command(flatten)]
    gitops: GitOpsArgs,
}

#[derive(Args)]
struct GitOpsArgs {
    /// URL of the git repository with the files [default: that of `flux bootstrap`; a placeholder for Argo CD]
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// Branch of the repository [default: main]
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Path of the files in the repository [default: DIR, if it is relative]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Namespace of Flux's or Argo CD's own objects [default: flux-system or argocd]
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Project at Argo CD [default: default]
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// How the Secrets come into the cluster [default: hole]
    #[arg(long, value_enum)]
    secret: Option<Secret>,
    /// `ClusterSecretStore` of External Secrets Operator
    #[arg(long, value_name = "NAME")]
    secret_store: Option<String>,
    /// How what the runners need at AWS is written [default: documents]
    #[arg(long, value_enum)]
    iam: Option<IamForm>,
    /// Container image with arcctl, for the job that verifies after a sync
    #[arg(long, value_name = "IMAGE")]
    verify_image: Option<String>,
    /// Value of a placeholder, for example `AWS_ACCOUNT=111122223333`; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = fact)]
    fact: Vec<(String, String)>,
    /// Leave out the CRDs of the charts: then helm and a network are not needed
    #[arg(long)]
    no_crds: bool,
}

/// A fact of the command line.
fn fact(text: &str) -> std::result::Result<(String, String), String> {
    let known: Vec<&str> = placeholder::names().collect();
    match text.split_once('=') {
        Some((name, value)) if known.contains(&name) => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("write NAME=VALUE with one of {}", known.join(", "))),
    }
}

/// The tool that the files are for; `None`: for no tool, where its options are an error.
fn tool(args: &RenderArgs) -> Result<Option<Tool>> {
    let tool = match args.format {
        Format::Files => None,
        Format::Flux => Some(Tool::Flux),
        Format::Argocd => Some(Tool::ArgoCd),
    };
    if tool.is_none() && args.gitops.is_given() {
        let error = Error::new(
            ErrorKind::Usage,
            System::Local,
            "these options are for `--format flux` and `--format argocd`",
        );
        return Err(error.hint(
            "give one of the two, or leave out all options but --format and --pull-through",
        ));
    }
    Ok(tool)
}

/// Writes the files.
pub(crate) async fn run(args: &RenderArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let tool = tool(args)?;
    let file = profile_file::read(global, output)?;
    let pins = session::lock::rendered(&file.profile, global)?;
    let facts = Facts {
        now: jiff::Timestamp::now(),
        pins,
        ..Facts::default()
    };
    let rules = pull_through_rules(args, &file, &facts)?;
    let (mut files, mut placeholders) = match tool {
        None => as_files(&file, &facts)?,
        Some(tool) => Box::pin(for_tool((args, global), tool, &file, facts, output)).await?,
    };
    files.extend(rules.0);
    placeholders.extend(rules.1);
    for (name, text) in &files {
        write(&args.directory.join(name), text)?;
    }
    let names: Vec<String> = files
        .iter()
        .map(|(name, _)| args.directory.join(name).display().to_string())
        .collect();
    if output.is_json() {
        let placeholders: Vec<Value> = placeholders
            .iter()
            .map(|it| json!({"name": it.name, "meaning": it.meaning}))
            .collect();
        output.document(&json!({
            "schema": "arcctl.render/v1",
            "profile": file.profile.name,
            "format": match args.format {
                Format::Files => "files",
                Format::Flux => "flux",
                Format::Argocd => "argocd",
            },
            "files": names,
            "placeholders": placeholders,
            "error": null,
        }));
    } else {
        output.result(&format!("{}\n", names.join("\n")));
        for placeholder in &placeholders {
            output.note(format!(
                "not known offline: {}: {}",
                placeholder.text(),
                placeholder.meaning
            ));
        }
    }
    Ok(0)
}

type Written = (Vec<(String, String)>, BTreeSet<Placeholder>);

fn as_files(file: &ProfileFile, facts: &Facts) -> Result<Written> {
    let invalid = |error: &dyn std::fmt::Display| file.invalid(error);
    let rendered = render::files(&file.profile, facts).map_err(|error| invalid(&error))?;
    let resources = desired(&file.profile, facts).map_err(|error| invalid(&error))?;
    Ok((rendered, placeholder::needed(&resources)))
}

/// The pull-through rules; nothing where they are not wanted.
fn pull_through_rules(args: &RenderArgs, file: &ProfileFile, facts: &Facts) -> Result<Written> {
    let form = match args.pull_through {
        None => return Ok(Written::default()),
        Some(PullThrough::Documents) => pull_through::Form::Documents,
        Some(PullThrough::Terraform) => pull_through::Form::Terraform,
    };
    let known: BTreeMap<String, String> = args.gitops.fact.iter().cloned().collect();
    let rules = pull_through::files(&file.profile, facts.now, form, &known)
        .map_err(|error| file.invalid(&error))?;
    Ok((rules.files, rules.placeholders))
}

async fn for_tool(
    (args, global): (&RenderArgs, &GlobalArgs),
    tool: Tool,
    file: &ProfileFile,
    mut facts: Facts,
    output: Output,
) -> Result<Written> {
    facts.ca_bundle = session::github::ca_bundle(file)?;
    let options = args.gitops.options(tool, &args.directory);
    // A profile that cannot be rendered is told before anything is fetched.
    let check = gitops::files(&file.profile, &facts, None, &options);
    check.map_err(|error| file.invalid(&error))?;
    let crds = if args.gitops.no_crds {
        None
    } else {
        let limit = RunLimit::reading(output);
        let crds = crds(file, &facts, global);
        let crds = limit.within("reading the CRDs of the charts", crds);
        Some(crds.await?)
    };
    let rendered = gitops::files(&file.profile, &facts, crds.as_deref(), &options)
        .map_err(|error| file.invalid(&error))?;
    Ok((rendered.files, rendered.placeholders))
}

/// The manifests of the charts' CRDs, of the charts in the lock beside the profile if there is one.
async fn crds(file: &ProfileFile, facts: &Facts, global: &GlobalArgs) -> Result<Vec<Value>> {
    let lock = session::lock::read(global)?;
    let hidden = hidden_variables(&file.profile.token_sources());
    let helm = Helm::new(&helm_places(), Access::default(), hidden)?;
    let helm = helm.locked(lock.as_ref().map(|it| &it.lock));
    helm.binary()
        .map_err(|error| error.hint("install helm, or leave out the CRDs with --no-crds"))?;
    let resources = desired(&file.profile, facts).map_err(|error| file.invalid(&error))?;
    let mut manifests = Vec::new();
    for resource in &resources {
        if let Resource::Crds(crds) = &resource.resource {
            manifests.extend(crds.manifests(&helm, KUBERNETES).await?);
        }
    }
    Ok(manifests)
}

impl GitOpsArgs {
    /// Whether any of them is given.
    const fn is_given(&self) -> bool {
        self.repository.is_some()
            || self.branch.is_some()
            || self.path.is_some()
            || self.namespace.is_some()
            || self.project.is_some()
            || self.secret.is_some()
            || self.secret_store.is_some()
            || self.iam.is_some()
            || self.verify_image.is_some()
            || !self.fact.is_empty()
            || self.no_crds
    }

    fn options(&self, tool: Tool, directory: &Path) -> gitops::Options {
        let known: BTreeMap<String, String> = self.fact.iter().cloned().collect();
        gitops::Options {
            tool,
            repository: self.repository.clone(),
            branch: self.branch.clone().unwrap_or_else(|| "main".into()),
            path: self.path.clone().or_else(|| in_repository(directory)),
            namespace: self.namespace.clone(),
            project: self.project.clone().unwrap_or_else(|| "default".into()),
            secret: match self.secret {
                Some(Secret::External) => SecretForm::External,
                Some(Secret::Hole) | None => SecretForm::Hole,
            },
            secret_store: self.secret_store.clone(),
            iam: match self.iam {
                Some(IamForm::Terraform) => Iam::Terraform,
                Some(IamForm::Documents) | None => Iam::Documents,
            },
            verify_image: self.verify_image.clone(),
            known,
        }
    }
}

/// The path of `directory` in the repository: arcctl is run at its root.
fn in_repository(directory: &Path) -> Option<String> {
    let mut names = Vec::new();
    for component in directory.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => names.push(name.to_str()?),
            _ => return None,
        }
    }
    Some(names.join("/"))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| {
            Error::failed(System::Local, format!("cannot write `{}`", path.display()))
                .object(path.display())
                .cause(error)
                .hint("name a directory that can be written")
        })
}

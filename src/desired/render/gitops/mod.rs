//! Renders a profile for Flux or Argo CD: the same resources as `up`, in an order that these tools keep. Pure: no I/O.
//!
//! Each part of the installation is a folder of manifests with a `kustomization.yaml`, and an object of the tool that
//! applies it after the parts that it needs. Charts are fetched by the tool; their CRDs are files, since no chart and no
//! release may delete them with everybody's objects (DESIGN 5). No file has a credential.

mod argocd;
mod flux;
mod folder;
mod parts;
mod readme;
mod secrets;
pub mod terraform;
mod verification;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    desired::{
        DesiredError, Facts, aws, desired,
        placeholder::{self, Placeholder},
        resource::{Chart, Resource},
    },
    profile::Profile,
};

/// The program that applies the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Flux, with `HelmRelease` v2 and `Kustomization` v1.
    Flux,
    /// Argo CD, with an application of applications.
    ArgoCd,
}

/// How the Secrets come into the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretForm {
    /// Somebody makes them by hand: a file says how.
    Hole,
    /// External Secrets Operator makes them from a store.
    External,
}

/// How what the runners need at AWS is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iam {
    /// As policy documents, for whoever applies them.
    Documents,
    /// As documents, and as a Terraform module.
    Terraform,
}

/// The choices of the user.
#[derive(Clone, Debug)]
pub struct Options {
    /// Flux or Argo CD.
    pub tool: Tool,
    /// The URL of the git repository; Flux needs none where its own `flux-system` repository has the files.
    pub repository: Option<String>,
    /// The branch in it.
    pub branch: String,
    /// The path of the files in it.
    pub path: Option<String>,
    /// The namespace of the tool's own objects.
    pub namespace: Option<String>,
    /// The project at Argo CD.
    pub project: String,
    /// How the Secrets come into the cluster.
    pub secret: SecretForm,
    /// The store of External Secrets Operator.
    pub secret_store: Option<String>,
    /// How what the runners need at AWS is written.
    pub iam: Iam,
    /// The image with arcctl, for the hook after a sync.
    pub verify_image: Option<String>,
    /// Facts by the name of their placeholder.
    pub known: BTreeMap<String, String>,
}

/// What is rendered.
#[derive(Debug)]
pub struct Rendered {
    /// Path relative to the folder, contents; sorted by path.
    pub files: Vec<(String, String)>,
    /// The facts that are still to be filled in.
    pub placeholders: BTreeSet<Placeholder>,
}

impl Tool {
    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flux => "Flux",
            Self::ArgoCd => "Argo CD",
        }
    }

    /// The annotations that keep an object whose file is deleted.
    const fn guards(self) -> [(&'static str, &'static str); 1] {
        match self {
            Self::Flux => [("kustomize.toolkit.fluxcd.io/prune", "disabled")],
            Self::ArgoCd => [(
                "argocd.argoproj.io/sync-options",
                "Prune=false,Delete=false",
            )],
        }
    }
}

impl Options {
    /// The namespace of the tool's own objects.
    fn own_namespace(&self) -> &str {
        match (&self.namespace, self.tool) {
            (Some(namespace), _) => namespace,
            (None, Tool::Flux) => "flux-system",
            (None, Tool::ArgoCd) => "argocd",
        }
    }

    fn repository(&self) -> String {
        placeholder::REPOSITORY_URL.or(self.repository.as_deref())
    }

    /// The path of `folder` in the repository.
    fn path_of(&self, folder: &str) -> String {
        let path = placeholder::REPOSITORY_PATH.or(self.path.as_deref());
        match path.trim_end_matches('/') {
            "" | "." => folder.to_owned(),
            path => format!("{path}/{folder}"),
        }
    }
}

/// The files of a profile for a tool. `crds` are the manifests of the charts' CRDs; `None` leaves them to the user.
pub fn files(
    profile: &Profile,
    facts: &Facts,
    crds: Option<&[Value]>,
    options: &Options,
) -> Result<Rendered, DesiredError> {
    let resources = desired(profile, facts)?;
    for desired in &resources {
        if let Resource::Release(release) = &desired.resource {
            in_a_repository(&release.chart)?;
        }
    }
    let (mut parts, holes) = parts::parts(profile, &resources, crds, options);
    let mut written = folder::Files::new(&options.known);
    for (path, document) in aws::documents(profile, facts) {
        written.add_json(path, &document);
    }
    if options.iam == Iam::Terraform
        && let Some(module) = terraform::module(profile, &resources)
    {
        written.add_json("aws/main.tf.json".into(), &module);
    }
    let digest = parts::digest(&parts);
    verification::add(profile, &digest, options, &mut parts);
    for part in &parts {
        match options.tool {
            Tool::Flux => flux::part(profile, part, options, &mut written)?,
            Tool::ArgoCd => argocd::part(profile, part, options, &mut written)?,
        }
    }
    match options.tool {
        Tool::Flux => flux::root(profile, &parts, options, &mut written)?,
        Tool::ArgoCd => argocd::root(profile, &parts, options, &mut written)?,
    }
    for hole in &holes {
        written.add_text(hole.path.clone(), hole.text.clone());
    }
    let readme = readme::text(profile, &resources, &parts, &holes, options, &written);
    written.add_text("README.md".into(), readme);
    Ok(written.rendered())
}

/// Flux and Argo CD fetch a chart themselves: a path of this machine is of no use to them.
fn in_a_repository(chart: &Chart) -> Result<(), DesiredError> {
    if chart.is_remote() {
        return Ok(());
    }
    Err(DesiredError::ChartAtPath {
        chart: chart.name.clone(),
        location: chart.location.clone(),
    })
}

//! The environment variables for a program that uses the sandbox.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Helm, profile};
use crate::{cloud::Cloud, github_com::GitHubCom, tools};

/// Variables by name.
pub(super) type Environment = BTreeMap<String, String>;

/// `PATH` with the sandbox's programs before all others: helm, kubectl, and those that were built
/// beside this program, as arcctl is.
pub(super) fn path(directory: &Path, helm: Helm) -> Result<String> {
    let programs = directory.join("bin");
    std::fs::create_dir_all(&programs)
        .with_context(|| format!("cannot make the directory `{}`", programs.display()))?;
    let helm = match helm {
        Helm::V3 => "helm3",
        Helm::V4 => "helm4",
    };
    for (program, name) in [(helm, "helm"), ("kubectl", "kubectl")] {
        let link = programs.join(name);
        if link.is_symlink() {
            std::fs::remove_file(&link)?;
        }
        symlink(tools::find(program)?, &link)
            .with_context(|| format!("cannot link `{}`", link.display()))?;
    }
    let own = std::env::current_exe()
        .ok()
        .and_then(|path| path.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = [programs]
        .into_iter()
        .chain(own)
        .chain(std::env::split_paths(&path));
    Ok(std::env::join_paths(path)?.to_string_lossy().into_owned())
}

/// Writes the profiles for the cluster as EKS knows it, made from `text`: one of runners that use nothing of AWS, and one
/// with a role, a bucket and the way to the GitHub server.
pub(super) fn profiles(directory: &Path, text: &str, cloud: &Cloud) -> Result<Environment> {
    let profiles = [
        (
            "ARCCTL_SANDBOX_EKS_PROFILE",
            "eks-profile.yaml",
            profile::through_eks(text),
        ),
        (
            "ARCCTL_SANDBOX_AWS_PROFILE",
            "aws-profile.yaml",
            profile::with_aws(text, &cloud.server_group),
        ),
    ];
    let mut variables = Environment::new();
    for (name, file, text) in profiles {
        let path = directory.join(file);
        std::fs::write(&path, text)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        variables.insert(name.to_owned(), path.display().to_string());
    }
    Ok(variables)
}

/// What leads a program to github.com as the sandbox simulates it: the proxy, and whose certificates it trusts.
pub(super) fn to_github_com(
    directory: &Path,
    way: &GitHubCom,
    certificate: &str,
) -> Result<Environment> {
    let path = directory.join("github-com.crt");
    std::fs::write(&path, certificate)
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    let variables = [
        ("HTTPS_PROXY", way.url()),
        ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
        ("SSL_CERT_FILE", path.display().to_string()),
    ];
    Ok(variables
        .map(|(name, value)| (name.to_owned(), value))
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helm_is_the_version_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        for (helm, program) in [(Helm::V3, "helm3"), (Helm::V4, "helm4")] {
            let path = path(directory.path(), helm).unwrap();
            let first = std::env::split_paths(&path).next().unwrap();
            let linked = std::fs::read_link(first.join("helm")).unwrap();
            assert!(linked.ends_with(program), "{}", linked.display());
        }
    }
}

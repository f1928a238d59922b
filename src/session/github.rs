//! Loads the GitHub credential of the profile and the CA bundle, and creates the client.

use crate::{
    clients::{
        aws::Aws,
        credential::{self, Credential, Sources},
        github::GitHub,
        kube::Kube,
    },
    error::{Error, ErrorKind, Result, System},
    terminal::{environment::variable, output::Output, profile_file::ProfileFile},
};

/// The GitHub client and its credential.
pub(crate) struct SignedIn {
    pub credential: Credential,
    pub github: GitHub,
    pub ca_bundle: Option<String>,
}

/// Reads the credential that the profile configures.
pub(crate) async fn at_github(
    file: &ProfileFile,
    kube: &Kube,
    aws: Option<&Aws>,
    output: Output,
) -> Result<SignedIn> {
    let ca_bundle = ca_bundle(file)?;
    let sources = Sources {
        variable: &variable,
        directory: &file.directory,
        kube: Some(kube),
        aws,
    };
    let loaded = Box::pin(credential::load(&file.profile.github, &sources)).await?;
    output.mask(&loaded.credential);
    for advice in loaded.advice {
        output.note(format!("advice: {advice}"));
    }
    let url = file.profile.github.url.as_deref();
    let github = GitHub::new(url, loaded.credential.clone(), ca_bundle.as_deref())?;
    Ok(SignedIn {
        credential: loaded.credential,
        github,
        ca_bundle,
    })
}

/// The contents of `github.caBundle`.
pub(crate) fn ca_bundle(file: &ProfileFile) -> Result<Option<String>> {
    let Some(source) = &file.profile.github.ca_bundle else {
        return Ok(None);
    };
    let path = file.directory.join(&source.file);
    std::fs::read_to_string(&path).map(Some).map_err(|error| {
        Error::new(
            ErrorKind::InvalidProfile,
            System::Profile,
            "cannot read github.caBundle",
        )
        .object(path.display())
        .cause(error)
        .hint("paths in the profile are relative to the profile's own directory")
    })
}

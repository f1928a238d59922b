//! Bundles: made from the lock of a profile, pushed to a registry, and installed from.

mod archive;
pub(crate) mod create;
mod making;
mod open;
mod parts;
pub(crate) mod push;

use std::path::Path;

use open::{Bundle, open};

use super::Session;
use crate::{
    error::{Error, ErrorKind, Result, System},
    terminal::{args::GlobalArgs, output::Output, profile_file::ProfileFile},
    units::image::Image,
};

/// What a bundle in a registry begins with.
pub(crate) const OCI: &str = "oci://";

/// The session of a run, from a bundle if one is named. The bundle has the charts: it is kept as long as the session.
pub(crate) async fn session(
    source: Option<&str>,
    mut file: ProfileFile,
    global: &GlobalArgs,
    adopt: bool,
    output: Output,
) -> Result<(Session, Option<Bundle>)> {
    let Some(source) = source else {
        let session = Box::pin(Session::open(global, file, adopt, output)).await?;
        return Ok((session, None));
    };
    let bundle = Box::pin(open(source, &mut file, global, output)).await?;
    let lock = Some(bundle.lock.clone());
    let opened = Session::locked(global, file, lock, adopt, output);
    let mut session = Box::pin(opened).await?;
    session.to_pull = bundle.to_pull.clone();
    Ok((session, Some(bundle)))
}

/// The registry and the path in `oci://REGISTRY/PATH`, without a slash at its end.
pub(crate) fn registry(address: &str) -> Result<&str> {
    let wrong = || {
        Error::new(
            ErrorKind::Usage,
            System::Local,
            format!("`{address}` is not the address of a registry"),
        )
        .object(address)
        .hint("write it as oci://REGISTRY/PATH, for example oci://registry.example.com/arcctl")
    };
    let rest = address.strip_prefix(OCI).ok_or_else(wrong)?;
    let rest = rest.trim_end_matches('/');
    // What a reference below it is must be one: a tag or a digest is not part of it.
    let is_registry = !rest.contains('@')
        && Image::parse(&format!("{rest}/a:1")).is_some_and(|it| it.registry.is_some());
    if is_registry { Ok(rest) } else { Err(wrong()) }
}

/// The error for a bundle that cannot be used.
fn unusable(bundle: &str, cause: &dyn std::fmt::Display) -> Error {
    Error::failed(System::Local, format!("cannot use the bundle `{bundle}`"))
        .object(bundle)
        .cause(cause)
        .hint("create it with `arcctl bundle create`, and copy the complete file")
}

/// The error for a file that cannot be written.
fn unwritten(path: &Path, cause: &dyn std::fmt::Display) -> Error {
    Error::failed(
        System::Local,
        format!("cannot write `{}`", path.display()),
    )
    .object(path.display())
    .cause(cause)
    .hint("check the free space and the permissions of the directory, then run the command again: downloaded parts are kept")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_registry_has_no_tag() {
        for (address, expected) in [
            ("oci://r.example.com/arcctl/", "r.example.com/arcctl"),
            ("oci://127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b"),
            ("oci://r.example.com", "r.example.com"),
        ] {
            assert_eq!(registry(address).unwrap(), expected);
        }
        for wrong in [
            "r.example.com/arcctl",
            "https://r.example.com",
            "oci://",
            "oci://noregistry/a",
            "oci://r.example.com/A",
            "oci://r.example.com/a@sha256",
        ] {
            let error = registry(wrong).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Usage, "{wrong}");
        }
    }
}

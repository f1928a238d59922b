//! Rules for the mirrors of the images, and for what Amazon ECR pulls through. Pure.

use super::{Path, Report};
use crate::{
    profile::{Images, Profile},
    units::{
        image::{DOCKER_HUB, Image},
        pull_through::{Place, UPSTREAMS, is_prefix, upstream},
    },
};

/// Other hosts of Docker Hub, which no reference of an image has.
const OF_DOCKER_HUB: [&str; 3] = ["hub.docker.com", "index.docker.io", "registry-1.docker.io"];

pub(super) fn check(profile: &Profile, report: &mut Report) {
    let Some(images) = &profile.images else {
        return;
    };
    let base = Path::from(["images"]);
    if images.registry.as_deref().is_some_and(is_no_registry) {
        report.error(
            base.key("registry"),
            "`images.registry` is not a registry",
            "write HOST, HOST:PORT or HOST/PATH, without a scheme or a user",
        );
    }
    let base = base.key("registries");
    for (host, mirror) in &images.registries {
        let path = base.key(host);
        if OF_DOCKER_HUB.contains(&host.as_str()) {
            report.error(
                path,
                format!("the images of Docker Hub are of `{DOCKER_HUB}`, not of `{host}`"),
                format!("write `{DOCKER_HUB}`: it is meant where an image names no registry"),
            );
        } else if !is_host(host) {
            report.error(
                path,
                format!("`{host}` is not the registry of an image"),
                "write the host that the images begin with, for example `quay.io`",
            );
        } else if is_no_registry(mirror) {
            report.error(
                path,
                format!("`images.registries` has no registry for `{host}`"),
                "write HOST, HOST:PORT or HOST/PATH, without a scheme or a user",
            );
        } else {
            pulled_through(images, (host, mirror), &path, report);
        }
    }
}

fn is_no_registry(text: &str) -> bool {
    text.contains("://")
        || text.trim().is_empty()
        || text.contains('@')
        || text.contains(char::is_whitespace)
}

/// Whether references of images begin with `text`.
fn is_host(text: &str) -> bool {
    let reference = format!("{text}/a/b:1");
    Image::parse(&reference).is_some_and(|it| it.registry == Some(text))
}

/// Advice where Amazon ECR has no rule that pulls the images of `host` through: then they must be pushed there.
fn pulled_through(
    images: &Images,
    (host, mirror): (&String, &String),
    path: &Path,
    report: &mut Report,
) {
    let Some(place) = Place::parse(mirror) else {
        return;
    };
    let mut others = images.registries.iter().filter(|(other, _)| *other != host);
    let same = others.find(|(_, it)| Place::parse(it) == Some(place));
    let why = if upstream(host).is_none() {
        let known: Vec<&str> = UPSTREAMS.iter().map(|it| it.host).collect();
        format!(
            "arcctl knows pull-through rules of Amazon ECR for {}, and not for `{host}`",
            known.join(", ")
        )
    } else if !place.prefix.is_empty() && !is_prefix(place.prefix) {
        format!(
            "a pull-through rule of Amazon ECR cannot have the prefix `{}`: 2 to 30 characters of a-z, 0-9 and `-`, `_`, `.`, `/` between them",
            place.prefix
        )
    } else if let Some((other, _)) = same {
        format!(
            "a pull-through rule of Amazon ECR has one registry, and `{other}` has the same prefix here"
        )
    } else {
        return;
    };
    report.advice(
        path.clone(),
        why,
        "push the images there yourself, or correct it: `arcctl render --pull-through` shows the rules",
    );
}

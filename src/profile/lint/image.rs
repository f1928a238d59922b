//! Rules for a pool's image: its reference, its labels, its docker group. Pure.

use super::{Path, Report};
use crate::{
    profile::{ContainerMode, Pool, Profile},
    units::{
        image,
        runner::{OLDEST_AT_GITHUB, RunnerVersion},
    },
};

pub(super) fn check(profile: &Profile, pool: &Pool, path: &Path, report: &mut Report) {
    let Some(image) = image::Image::parse(&pool.image) else {
        report.error(
            path.key("image"),
            format!("`{}` is not an image reference", pool.image),
            "write REPOSITORY:TAG, for example `summerwind/actions-runner:v2.336.0-ubuntu-22.04`",
        );
        return;
    };
    if image.floats() {
        let tag = if image.tag.is_some() {
            "`latest` names"
        } else {
            "without a tag it is `latest`:"
        };
        report.advice(
            path.key("image"),
            format!("{tag} another image, and with it another runner, after each new release"),
            "pin a tag or a digest",
        );
    }
    version(profile, &image, path, report);
    labels(pool, &image, path, report);
    // The docker container of a scale set is arcctl's own, with the group of GitHub's image.
    if !pool.is_scale_set() {
        docker_group(profile, pool, &image, path, report);
        docker_daemon(pool, &image, path, report);
    }
}

fn version(profile: &Profile, image: &image::Image<'_>, path: &Path, report: &mut Report) {
    let Some(version) = image.runner_version() else {
        return;
    };
    if !profile.github.is_enterprise_server() && version < OLDEST_AT_GITHUB {
        report.error(
            path.key("image"),
            format!(
                "github.com lets no runner before {OLDEST_AT_GITHUB} register, and this is {version}"
            ),
            "use a newer image; only a GitHub Enterprise Server takes older ones",
        );
    }
}

fn labels(pool: &Pool, image: &image::Image<'_>, path: &Path, report: &mut Report) {
    for (index, label) in pool.labels.iter().enumerate() {
        let path = path.key("labels").index(index);
        if let (Some(said), Some(is)) = (image::ubuntu(label), image.ubuntu())
            && said != is
        {
            report.error(
                path,
                format!(
                    "the label says Ubuntu {}, and the image is Ubuntu {}",
                    release(said),
                    release(is)
                ),
                "correct the one that is wrong: jobs choose their system by the label",
            );
        } else if let (Some(said), Some(is)) = (RunnerVersion::parse(label), image.runner_version())
            && said != is
        {
            report.advice(
                path,
                format!("the label says runner {said}, and the image has {is}"),
                "correct the one that is wrong",
            );
        }
    }
}

/// The controller gives the docker socket to group 121 for images called 22.04 and to 1001 for all others; arcctl fixes
/// it for releases that it can read in the name.
fn docker_group(
    profile: &Profile,
    pool: &Pool,
    image: &image::Image<'_>,
    path: &Path,
    report: &mut Report,
) {
    let said = pool.template.contains_key("dockerEnv")
        || profile.controller.values.contains_key("dockerGID");
    if pool.container_mode != ContainerMode::Dind
        || image.ubuntu().is_some()
        || image.floats()
        || said
    {
        return;
    }
    report.advice(
        path.key("image"),
        "the name does not tell which Ubuntu this is; the controller then gives the docker socket to group 1001, and images of 22.04 and later need 121",
        "put the release in the tag (`…-ubuntu-22.04`), or set `template: {dockerEnv: [{name: DOCKER_GROUP_GID, value: \"121\"}]}`",
    );
}

/// The controller's project publishes two image variants: those with a docker daemon are `…-dind` and
/// `…-dind-rootless`.
fn docker_daemon(pool: &Pool, image: &image::Image<'_>, path: &Path, report: &mut Report) {
    let brings_it =
        image.repository.contains("dind") || image.tag.is_some_and(|tag| tag.contains("dind"));
    match pool.container_mode {
        ContainerMode::DindInRunner if !brings_it => report.advice(
            path.key("image"),
            "with `dindInRunner` the docker daemon comes from this image, and its name does not say that it has one",
            "use an image with dockerd, for example `summerwind/actions-runner-dind`",
        ),
        ContainerMode::Dind if brings_it => report.advice(
            path.key("containerMode"),
            "the image brings its own docker daemon, and `dind` starts another one beside it",
            "write `containerMode: dindInRunner`, or use the image without `dind`",
        ),
        _ => {}
    }
}

fn release((year, month): (u32, u32)) -> String {
    format!("{year}.{month:02}")
}

//! Image references: the registry mirror, and the operating system in a tag. Pure: no I/O.

use crate::{profile::Images, units::image};

/// The Docker group of the runner images before Ubuntu 22.04.
const GROUP_20_04: u32 = 1001;
/// The Docker group of the runner images since Ubuntu 22.04.
const GROUP_22_04: u32 = 121;

/// The reference to pull `image` by: `images.registries` replaces the registry, or, for one that is not in it,
/// `images.registry`. A reference without one means `docker.io`, and one without a namespace `docker.io/library`, as in
/// every mirror. A reference that already names a mirror is unchanged.
pub fn mirrored(images: Option<&Images>, image: &str) -> String {
    let (host, path) = image::split_registry(image);
    let host = host.unwrap_or(image::DOCKER_HUB);
    let Some((images, registry)) =
        images.and_then(|images| Some((images, images.instead_of(host)?)))
    else {
        return image.to_owned();
    };
    let names = |mirror: &str| {
        let rest = image.strip_prefix(mirror);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    if images.mirrors().any(names) {
        return image.to_owned();
    }
    let official = host == image::DOCKER_HUB && !path.contains('/');
    let library = if official { "library/" } else { "" };
    format!("{registry}/{library}{path}")
}

/// The `fsGroup` of the runner user, for mounted volumes.
pub fn fs_group(reference: &str) -> Option<u32> {
    image::ubuntu_of(reference).map(|release| if release >= (22, 4) { 1001 } else { 1000 })
}

/// The group of the docker socket, if the controller's choice is wrong for the image: its last release only knows the
/// texts `22.04` and `20.04` (reference: arc.md 2.1).
pub fn docker_group(reference: &str) -> Option<u32> {
    let needed = if image::ubuntu_of(reference)? >= (22, 4) {
        GROUP_22_04
    } else {
        GROUP_20_04
    };
    let given = if reference.contains("22.04") {
        GROUP_22_04
    } else {
        GROUP_20_04
    };
    (needed != given).then_some(needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(image: &str) -> String {
        let images = Images {
            registry: Some("mirror.example:5000/hub/".into()),
            ..Images::default()
        };
        mirrored(Some(&images), image)
    }

    #[test]
    fn without_a_mirror_the_image_stays() {
        assert_eq!(mirrored(None, "docker:28-dind"), "docker:28-dind");
    }

    #[test]
    fn the_mirror_takes_the_place_of_the_registry() {
        for (image, expected) in [
            ("docker:28-dind", "library/docker:28-dind"),
            ("docker.io/docker:28-dind", "library/docker:28-dind"),
            (
                "summerwind/actions-runner:v2",
                "summerwind/actions-runner:v2",
            ),
            (
                "docker.io/summerwind/actions-runner:v2",
                "summerwind/actions-runner:v2",
            ),
            ("quay.io/brancz/kube-rbac-proxy", "brancz/kube-rbac-proxy"),
            ("localhost/a:1", "a:1"),
            ("registry:5000/a/b@sha256:0", "a/b@sha256:0"),
        ] {
            assert_eq!(mirror(image), format!("mirror.example:5000/hub/{expected}"));
        }
    }

    #[test]
    fn a_registry_can_have_a_mirror_of_its_own() {
        let mut images = Images::default();
        for (host, mirror) in [
            ("docker.io", "cache.example/docker-hub/"),
            ("quay.io", "cache.example/quay"),
        ] {
            images.registries.insert(host.into(), mirror.into());
        }
        let of = |images: &Images, image| mirrored(Some(images), image);
        for (image, expected) in [
            (
                "docker:28-dind",
                "cache.example/docker-hub/library/docker:28-dind",
            ),
            (
                "summerwind/actions-runner:v2",
                "cache.example/docker-hub/summerwind/actions-runner:v2",
            ),
            (
                "quay.io/jetstack/cert-manager-webhook:v1",
                "cache.example/quay/jetstack/cert-manager-webhook:v1",
            ),
            // One that has none, and one that is named already.
            ("ghcr.io/actions/runner:1", "ghcr.io/actions/runner:1"),
            ("cache.example/quay/own:1", "cache.example/quay/own:1"),
        ] {
            assert_eq!(of(&images, image), expected);
        }
        images.registry = Some("mirror.example/all".into());
        assert_eq!(of(&images, "ghcr.io/a/b:1"), "mirror.example/all/a/b:1");
        assert_eq!(of(&images, "quay.io/a/b:1"), "cache.example/quay/a/b:1");
        assert_eq!(
            of(&images, "cache.example/quay/own:1"),
            "cache.example/quay/own:1"
        );
    }

    #[test]
    fn an_image_of_the_mirror_stays() {
        assert_eq!(
            mirror("mirror.example:5000/hub/a:1"),
            "mirror.example:5000/hub/a:1"
        );
    }

    /// The lint and the manifests parse a reference alike: the tag takes precedence over the name.
    #[test]
    fn the_tag_counts_before_the_name() {
        for (image, group, docker) in [
            ("hub/ubuntu-20.04/runner:v2.336.0-ubuntu-22.04", 1001, None),
            ("hub/ubuntu-22.04/runner:ubuntu-20.04", 1000, Some(1001)),
            ("hub/ubuntu-22.04/runner:v1-ubuntu-24.04", 1001, None),
            ("m.example:5000/ubuntu-24.04:v2.336.0", 1001, Some(121)),
            ("20.04.example.com/runner:ubuntu-22.04", 1001, None),
        ] {
            assert_eq!(fs_group(image), Some(group), "{image}");
            assert_eq!(docker_group(image), docker, "{image}");
        }
        for image in [
            "runner:v2.306.0",
            "runner:v1.22.04",
            "22.04.example.com/runner:v3",
            "",
        ] {
            assert_eq!(fs_group(image), None, "{image}");
        }
    }

    #[test]
    fn groups_follow_the_release() {
        assert_eq!(fs_group("r:ubuntu-20.04"), Some(1000));
        assert_eq!(fs_group("r:ubuntu-22.04"), Some(1001));
        assert_eq!(fs_group("r:ubuntu-24.04"), Some(1001));
        assert_eq!(fs_group("r:v3"), None);
    }

    #[test]
    fn only_a_group_the_controller_does_not_know_is_set() {
        assert_eq!(docker_group("r:ubuntu-20.04"), None);
        assert_eq!(docker_group("r:ubuntu-22.04"), None);
        assert_eq!(docker_group("r:ubuntu-24.04"), Some(121));
        assert_eq!(docker_group("r:v3"), None);
    }
}

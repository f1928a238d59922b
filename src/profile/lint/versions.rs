//! Rules for the versions and ports of the installed charts. Pure.

use super::{Path, Report};
use crate::{
    profile::{Auto, Profile},
    units::image::Image,
};

/// The chart of the controller's last release, and its app version.
const LAST_CHART: (u64, u64, u64) = (0, 23, 7);

/// The oldest supported cert-manager, and the newest (2026-11).
const CERT_MANAGER: [(u64, u64); 2] = [(1, 20), (1, 21)];

pub(super) fn check(profile: &Profile, report: &mut Report) {
    cert_manager(profile, report);
    controller(profile, report);
    webhook_port(profile, report);
    docker_image(profile, report);
}

fn cert_manager(profile: &Profile, report: &mut Report) {
    let cert_manager = &profile.cert_manager;
    let Some((major, minor, _)) = triple(&cert_manager.chart_version) else {
        return;
    };
    let [oldest, newest] = CERT_MANAGER;
    if cert_manager.install != Auto::Never && (major, minor) < oldest {
        report.advice(
            Path::from(["certManager", "chartVersion"]),
            format!("cert-manager {major}.{minor} is past its support"),
            format!(
                "{}.{} and {}.{} are supported",
                oldest.0, oldest.1, newest.0, newest.1
            ),
        );
    }
}

fn controller(profile: &Profile, report: &mut Report) {
    let path = Path::from(["controller", "chartVersion"]);
    let Some(version) = triple(&profile.controller.chart_version) else {
        return;
    };
    let shown = &profile.controller.chart_version;
    if version < LAST_CHART {
        report.advice(
            path,
            format!("chart {shown} brings a controller before v0.27.6, which panics on Kubernetes 1.27 and newer"),
            "use `0.23.7`, the last release",
        );
    } else if version > LAST_CHART && profile.charts.controller.is_none() {
        report.error(
            path,
            format!("there is no chart {shown}: 0.23.7 was the last release"),
            "use `0.23.7`, or name your own repository in `charts.controller`",
        );
    }
}

fn webhook_port(profile: &Profile, report: &mut Report) {
    let path = Path::from(["controller", "webhookPort"]);
    let on_host = profile.controller.values.get("hostNetwork") == Some(&true.into());
    match profile.controller.webhook_port {
        10250 if on_host => report.error(
            path,
            "with `hostNetwork` port 10250 is the node's, and kubelet owns it",
            "use 9443, or take `hostNetwork` out of `controller.values`",
        ),
        9443 | 10250 => {}
        port @ (8443 | 8080) => report.error(
            path,
            format!("port {port} of the controller's pod is taken by its metrics"),
            "use 9443, or 10250, which the default security groups of EKS let through",
        ),
        port => report.advice(
            path,
            format!("port {port} is one that security groups seldom let the control plane reach"),
            "use 10250, which the default rules of EKS let through, or 9443 and a rule for it",
        ),
    }
}

fn docker_image(profile: &Profile, report: &mut Report) {
    let text = &profile.controller.docker_image;
    let path = Path::from(["controller", "dockerImage"]);
    let Some(image) = Image::parse(text) else {
        let message = format!("`{text}` is not an image reference");
        report.error(path, message, "write for example `docker:28-dind`");
        return;
    };
    if image.floats() || (image.digest.is_none() && image.tag == Some("dind")) {
        report.advice(
            path,
            format!("`{text}` floats: a new docker may refuse the clients in your runner image"),
            "pin it, for example `docker:28-dind`",
        );
    }
}

/// Major, minor and patch of `v1.21.1` or `0.23.7-rc.1`.
fn triple(text: &str) -> Option<(u64, u64, u64)> {
    let core = text.trim_start_matches('v').split(['-', '+']).next()?;
    let mut parts = core.split('.').map(str::parse);
    let mut next = || parts.next()?.ok();
    Some((next()?, next()?, next()?))
}

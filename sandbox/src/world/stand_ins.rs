//! Starts the stand-ins of the systems and of the programs that run in the cluster's pods, each at the sandbox's pace.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use super::faults::Faults;
use super::proxies::Proxies;
use super::{Options, Pace};
use crate::authenticator::Authenticator;
use crate::controller::{self, GitHubSettings};
use crate::egress::Egress;
use crate::github::{self, GitHub};
use crate::moto::Moto;
use crate::{cert_manager, kubelet, scale_sets};

pub(super) async fn authenticator(moto: Option<&Moto>) -> Result<Option<Authenticator>> {
    match moto {
        Some(moto) => Authenticator::start(&moto.url()).await.map(Some),
        None => Ok(None),
    }
}

pub(super) async fn github(options: &Options, faults: &Faults) -> Result<GitHub> {
    let usual = github::Options {
        mode: options.github.clone(),
        ..github::Options::default()
    };
    let github = GitHub::start(match options.pace {
        Pace::Realistic => usual,
        Pace::Fast => github::Options {
            assignment: Duration::from_millis(300),
            listening: (Duration::from_secs(1), Duration::from_secs(4)),
            ..usual
        },
    })
    .await?;
    github.set_actions_faults(faults.actions.clone());
    github.set_scale_set_faults(faults.service.clone());
    if matches!(options.github, github::Mode::EnterpriseServer(_)) {
        // The runner of the sandbox's profile: a server that ships a newer one is a case of its own.
        github.ship("2.306.0");
    }
    Ok(github)
}

pub(super) fn kubelet_settings(options: &Options, faults: &Faults, api: &str) -> kubelet::Settings {
    kubelet::Settings {
        nodes: options.nodes.clone(),
        delays: match options.pace {
            Pace::Realistic => kubelet::Delays::realistic(),
            Pace::Fast => kubelet::Delays::fast(),
        },
        images: options.images,
        faults: faults.kubelet.clone(),
        api: api.to_owned(),
        cut_off: Arc::clone(&faults.cut_off),
        paused: Arc::clone(&faults.paused),
    }
}

/// Starts the stand-ins of the programs that run in the cluster's pods.
pub(super) fn stand_ins(
    client: &kube::Client,
    egress: &Egress,
    proxies: &Proxies,
    github: &GitHub,
    options: &Options,
    faults: Faults,
) -> JoinSet<()> {
    let (mut cert_manager, mut controller, scale_sets) = match options.pace {
        Pace::Realistic => (
            cert_manager::Delays::realistic(),
            controller::Delays::realistic(),
            scale_sets::Delays::realistic(),
        ),
        Pace::Fast => (
            cert_manager::Delays::fast(),
            controller::Delays::fast(),
            scale_sets::Delays::fast(),
        ),
    };
    cert_manager.issue += faults.issue_late.unwrap_or_default();
    if let Some(period) = faults.controller.sync {
        (controller.resync, controller.poll) = (period, period);
    }
    let public = match options.github {
        github::Mode::Cloud => Some(proxies.github.url()),
        github::Mode::EnterpriseServer(_) => None,
    };
    let settings = GitHubSettings {
        public,
        broker: Some(github.broker()),
        cut_off: faults.cut_off,
        paused: faults.paused,
        ..GitHubSettings::default()
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(cert_manager::run(
        client.clone(),
        egress.clone(),
        cert_manager,
        faults.cert_manager,
    ));
    tasks.spawn(scale_sets::run(
        client.clone(),
        settings.clone(),
        scale_sets,
        faults.scale_sets,
    ));
    tasks.spawn(controller::run(
        client.clone(),
        egress.clone(),
        settings,
        controller,
        faults.controller,
    ));
    tasks
}

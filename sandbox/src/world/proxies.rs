//! The proxies between a program and the systems it calls: they count requests, and inject the faults.

use std::sync::Arc;

use anyhow::Result;

use crate::chart_repository::ChartRepository;
use crate::cloud::{Api, Cloud, associations::Associations, cluster::Supplement, rules::Rules};
use crate::control_plane::ControlPlane;
use crate::github::GitHub;
use crate::moto::Moto;
use crate::proxy::{self, Fault, Proxy, System};

/// One proxy per system.
pub(super) struct Proxies {
    pub(super) kubernetes: Proxy,
    pub(super) github: Proxy,
    pub(super) charts: Proxy,
    pub(super) aws: Option<Proxy>,
}

impl Proxies {
    pub(super) async fn start(
        control_plane: &ControlPlane,
        github: &GitHub,
        charts: &ChartRepository,
        moto: Option<(&Moto, &Cloud, Arc<Associations>, Arc<Rules>)>,
    ) -> Result<Self> {
        let leaf = control_plane
            .authority()
            .server(&["127.0.0.1", "localhost"])?;
        let kubernetes = proxy::Options {
            tls: Some(leaf.server_config()?),
            upstream_certificate_authority: Some(
                control_plane.authority().certificate().to_owned(),
            ),
            ..proxy::Options::plain(System::Kubernetes)
        };
        let kubernetes = Proxy::start(control_plane.url(), kubernetes).await?;
        let aws = match moto {
            Some((moto, cloud, associations, rules)) => {
                let supplement = Supplement {
                    moto: Api::new(&moto.url())?,
                    associations,
                    endpoint: kubernetes.url(),
                    authority: control_plane.authority().certificate().to_owned(),
                    cloud: cloud.clone(),
                    rules,
                };
                let options = proxy::Options {
                    supplement: Some(Arc::new(supplement)),
                    ..proxy::Options::plain(System::Aws)
                };
                Some(Proxy::start(&moto.url(), options).await?)
            }
            None => None,
        };
        Ok(Self {
            kubernetes,
            github: plain(&github.url(), System::GitHub).await?,
            charts: plain(&charts.url(), System::Charts).await?,
            aws,
        })
    }

    /// The proxy before a system; `None` when the system is not there.
    pub(super) fn of(&self, system: System) -> Option<&Proxy> {
        match system {
            System::Kubernetes => Some(&self.kubernetes),
            System::GitHub => Some(&self.github),
            System::Charts => Some(&self.charts),
            System::Aws => self.aws.as_ref(),
        }
    }

    pub(super) fn add(&self, faults: Vec<(System, Fault)>) {
        for (system, fault) in faults {
            if let Some(proxy) = self.of(system) {
                proxy.add_fault(fault);
            }
        }
    }

    /// What the faults that kill the client do.
    pub(super) fn on_kill(&self, kill: impl Fn() + Send + Sync + 'static) {
        let kill = Arc::new(kill);
        let all = [
            Some(&self.kubernetes),
            Some(&self.github),
            Some(&self.charts),
            self.aws.as_ref(),
        ];
        for proxy in all.into_iter().flatten() {
            let kill = kill.clone();
            proxy.on_kill(move || kill());
        }
    }
}

async fn plain(upstream: &str, system: System) -> Result<Proxy> {
    Proxy::start(upstream, proxy::Options::plain(system)).await
}

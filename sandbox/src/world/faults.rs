//! Parses the faults of the command line: `AREA:FAULT`. Pure: no I/O.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::duration::duration;
use crate::egress::EgressFault;
use crate::github::{ActionsFaults, ScaleSetFaults};
use crate::kubelet::KubeletFault;
use crate::proxy::{CertificateFault, Fault, FaultSpecification, System};
use crate::{cert_manager, controller, scale_sets};

/// All faults, by area.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) kubelet: Vec<KubeletFault>,
    /// Namespace, Service, fault.
    pub(super) egress: Vec<(String, String, EgressFault)>,
    pub(super) cert_manager: cert_manager::Faults,
    pub(super) controller: controller::Faults,
    pub(super) actions: ActionsFaults,
    /// Of the service that scale sets use, and of their controller, listeners and runners.
    pub(super) service: ScaleSetFaults,
    pub(super) scale_sets: scale_sets::Faults,
    pub(super) proxies: Vec<(System, Fault)>,
    pub(super) charts_down: bool,
    /// Whether the nodes, and what runs on them, reach none of the sandbox's servers; tests set it.
    pub(super) cut_off: Arc<AtomicBool>,
    /// Whether the stand-ins leave pods and runners as they are; tests set it.
    pub(super) paused: Arc<AtomicBool>,
    /// Certificates are issued this much later than usual.
    pub(super) issue_late: Option<Duration>,
}

impl Faults {
    pub(super) fn parse(specs: &[String]) -> Result<Self> {
        let mut faults = Self::default();
        for spec in specs {
            match spec.split_once(':') {
                Some(("cert-manager", fault)) => {
                    set_cert_manager(&mut faults.cert_manager, fault)?;
                }
                Some(("controller", fault)) => set_controller(&mut faults.controller, fault)?,
                Some(("actions", fault)) => set_actions(&mut faults.actions, fault)?,
                Some(("scale-sets", fault)) => {
                    set_scale_sets(&mut faults.service, &mut faults.scale_sets, fault)?;
                }
                _ => faults.add(spec.parse()?)?,
            }
        }
        Ok(faults)
    }

    fn add(&mut self, fault: FaultSpecification) -> Result<()> {
        match fault {
            FaultSpecification::Proxy(system, fault) => self.proxies.push((system, fault)),
            FaultSpecification::ChartsDown => self.charts_down = true,
            FaultSpecification::WebhookLate { by, name } => {
                if name.as_deref().is_none_or(|name| name == "cert-manager") {
                    self.cert_manager.webhook_late = by;
                }
                if name
                    .as_deref()
                    .is_none_or(|name| name == "actions-runner-controller")
                {
                    self.controller.webhook_late = by;
                }
            }
            FaultSpecification::ImagePullFails(pattern) => {
                self.kubelet.push(KubeletFault::ImagePull(pattern));
            }
            FaultSpecification::Certificate(CertificateFault::Never) => {
                self.cert_manager.never_issue = true;
            }
            FaultSpecification::Certificate(CertificateFault::Late(by)) => {
                self.issue_late = Some(by);
            }
            FaultSpecification::Kubelet(text) => self.kubelet.push(KubeletFault::parse(&text)?),
            FaultSpecification::Egress(text) => self.egress.push(EgressFault::parse(&text)?),
        }
        Ok(())
    }
}

fn set_cert_manager(faults: &mut cert_manager::Faults, fault: &str) -> Result<()> {
    match fault.split_once('=').unwrap_or((fault, "")) {
        ("webhook-late", value) => faults.webhook_late = duration(value)?,
        ("webhook-never", "") => faults.webhook_never = true,
        ("never-issue", "") => faults.never_issue = true,
        ("inject-late", value) => faults.inject_late = duration(value)?,
        ("never-inject", "") => faults.never_inject = true,
        _ => bail!(
            "`{fault}` is not a fault of cert-manager: write `webhook-late=5s`, `webhook-never`, \
             `never-issue`, `inject-late=5s` or `never-inject`"
        ),
    }
    Ok(())
}

fn set_controller(faults: &mut controller::Faults, fault: &str) -> Result<()> {
    match fault.split_once('=').unwrap_or((fault, "")) {
        ("webhook-late", value) => faults.webhook_late = duration(value)?,
        ("webhook-never", "") => faults.webhook_never = true,
        ("webhook-refuses", "") => faults.webhook_refuses = true,
        ("crash-after", value) => faults.crash_after = Some(duration(value)?),
        ("never-register", "") => faults.never_register = true,
        ("sync", value) => faults.sync = Some(duration(value)?),
        _ => bail!(
            "`{fault}` is not a fault of the controller: write `webhook-late=5s`, \
             `webhook-never`, `webhook-refuses`, `crash-after=5s`, `never-register` or `sync=1m`"
        ),
    }
    Ok(())
}

fn set_actions(faults: &mut ActionsFaults, fault: &str) -> Result<()> {
    match fault.split_once('=').unwrap_or((fault, "")) {
        ("never-assign", "") => faults.never_assign = true,
        ("step-fails", name) if !name.is_empty() => faults.failing_step = Some(name.to_owned()),
        ("lost", "") => faults.lost = true,
        ("take", length) => faults.length = Some(duration(length)?),
        _ => bail!(
            "`{fault}` is not a fault of jobs: write `never-assign`, `step-fails=NAME`, `lost` or `take=30s`"
        ),
    }
    Ok(())
}

fn set_scale_sets(
    service: &mut ScaleSetFaults,
    faults: &mut scale_sets::Faults,
    fault: &str,
) -> Result<()> {
    match fault.split_once('=').unwrap_or((fault, "")) {
        ("session-conflict", "") => service.session_conflicts = u64::MAX,
        ("session-conflict", times) => service.session_conflicts = times.parse()?,
        ("unknown-id", "") => service.unknown_id = true,
        ("no-group", "") => service.no_group = true,
        ("service-late", value) => service.late = duration(value)?,
        ("secret-gone", "") => faults.secret_gone = true,
        ("listener-dies", value) => faults.listener_dies = Some(duration(value)?),
        ("crash-after", value) => faults.crash_after = Some(duration(value)?),
        ("late", value) => faults.late = duration(value)?,
        ("register-late", value) => faults.register_late = duration(value)?,
        ("never-register", "") => faults.never_register = true,
        ("deprecated", "") => faults.deprecated = true,
        _ => bail!(
            "`{fault}` is not a fault of scale sets: write `session-conflict`, `session-conflict=3`, `unknown-id`, \
             `no-group`, `service-late=5s`, `secret-gone`, `listener-dies=5s`, `crash-after=5s`, `late=5s`, \
             `register-late=5s`, `never-register` or `deprecated`"
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(spec: &str) -> Result<Faults> {
        Faults::parse(&[spec.to_owned()])
    }

    #[test]
    fn a_misspelt_fault_says_which_there_are() {
        for (spec, known) in [
            ("kublet:crash=x", "there is no system `kublet`"),
            ("kubelet:crash", "`crash=IMAGE`"),
            ("egress:hang=cert-manager", "`hang=NAMESPACE/SERVICE`"),
            ("cert-manager:webhook-late", "write for example `5s`"),
            ("cert-manager:never", "`never-issue`"),
            ("controller:crash-after=soon", "write for example `5s`"),
            ("controller:never-register=1", "`never-register`"),
            ("actions:step-fails", "`step-fails=NAME`"),
            ("actions:take", "write for example `5s`"),
            ("scale-sets:listener-dies", "write for example `5s`"),
            ("scale-sets:never", "`never-register`"),
        ] {
            let error = parse(spec).err().map(|error| format!("{error:#}"));
            assert!(
                error.as_ref().is_some_and(|text| text.contains(known)),
                "{spec}: {error:?}"
            );
        }
    }

    #[test]
    fn a_late_webhook_may_have_a_name() {
        let by = Duration::from_secs(7);
        let one = parse("webhook:late=7s@actions-runner-controller").unwrap();
        let late = (one.cert_manager.webhook_late, one.controller.webhook_late);
        assert_eq!(late, (Duration::ZERO, by));
        let both = parse("webhook:late=7s").unwrap();
        assert_eq!(
            (both.cert_manager.webhook_late, both.controller.webhook_late),
            (by, by)
        );
    }

    #[test]
    fn faults_reach_their_area() {
        assert_eq!(parse("github:401").unwrap().proxies[0].0, System::GitHub);
        assert!(parse("charts:down").unwrap().charts_down);
        let service = parse("scale-sets:session-conflict=3").unwrap().service;
        assert_eq!(service.session_conflicts, 3);
        let late = parse("scale-sets:late=7s").unwrap().scale_sets.late;
        assert_eq!(late, Duration::from_secs(7));
        let late = parse("cert-manager:inject-late=1500ms")
            .unwrap()
            .cert_manager;
        assert_eq!(late.inject_late, Duration::from_millis(1500));
        let crash = parse("controller:crash-after=2m").unwrap().controller;
        assert_eq!(crash.crash_after, Some(Duration::from_mins(2)));
        let hang = parse("egress:hang=cert-manager/cert-manager-webhook")
            .unwrap()
            .egress;
        let expected = ("cert-manager".to_owned(), "cert-manager-webhook".to_owned());
        assert_eq!(hang, [(expected.0, expected.1, EgressFault::Hang)]);
    }
}

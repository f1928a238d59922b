//! The text form of faults, for `--fault`.
//!
//! ```text
//! fault   = system ":" effect [ "@" match ] [ "#" nth ]      system = github | kubernetes | aws | charts
//!         | "webhook:late=" DURATION [ "@" NAME ]             the webhook's server listens that much later
//!         | "image:pull-fails=" PATTERN                       `*` stands for anything
//!         | "certificate:never" | "certificate:late=" DURATION
//!         | "kubelet:" TEXT | "egress:" TEXT                  read by those parts themselves
//! effect  = STATUS [ "=" BODY ] | "delay=" DURATION | "slow=" DURATION | "truncate=" BYTES
//!         | "reset" | "reset-after" | "hang" | "kill" | "kill-after" | "down"
//! match   = method [ ":" path ] | path
//! method  = GET | POST | … | read | write                     a dry run is a read
//! path    = "^" PREFIX | SUBSTRING                            of the path with its query
//! nth     = N | N "+" | N "-" M                               of the matching requests, from 1; all without it
//! ```
//!
//! `down` of `charts` refuses connections; of the others it resets every request.
//! Examples: `github:401@POST:/registration-token`, `kubernetes:503@PATCH#3`, `kubernetes:kill-after@write#5`.
//!
//! Pure: no I/O.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::classify::System;
use super::fault::{Effect, Fault, Matching, MethodMatch, Nth};
use crate::duration::duration;

/// A fault as `--fault` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultSpecification {
    /// For the proxy in front of a system.
    Proxy(System, Fault),
    /// The chart repository does not listen.
    ChartsDown,
    /// The server of an admission webhook listens this much later.
    WebhookLate {
        /// How much.
        by: Duration,
        /// Whose (`cert-manager`, `actions-runner-controller`); everybody's without.
        name: Option<String>,
    },
    /// Images like this cannot be pulled; `*` stands for anything.
    ImagePullFails(String),
    /// Certificates are not issued as they should.
    Certificate(CertificateFault),
    /// For the kubelet's stand-in, which reads it.
    Kubelet(String),
    /// For the way from the API server to webhooks, which reads it.
    Egress(String),
}

/// What goes wrong with certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// None is issued.
    Never,
    /// Each is issued this much later.
    Late(Duration),
}

impl FromStr for FaultSpecification {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        parse(text).with_context(|| {
            format!("`{text}` is not a fault; write one like `github:401@POST:/registration-token`")
        })
    }
}

fn parse(text: &str) -> anyhow::Result<FaultSpecification> {
    let (area, rest) = text.split_once(':').context("it names no system")?;
    let system = match area {
        "github" => System::GitHub,
        "kubernetes" => System::Kubernetes,
        "aws" => System::Aws,
        "charts" if rest == "down" => return Ok(FaultSpecification::ChartsDown),
        "charts" => System::Charts,
        "webhook" => return webhook(rest),
        "image" => {
            let pattern = rest
                .strip_prefix("pull-fails=")
                .filter(|pattern| !pattern.is_empty());
            let pattern = pattern.context("of an image, only `pull-fails=PATTERN` can be had")?;
            return Ok(FaultSpecification::ImagePullFails(pattern.to_owned()));
        }
        "certificate" => return certificate(rest).map(FaultSpecification::Certificate),
        "kubelet" => return Ok(FaultSpecification::Kubelet(rest.to_owned())),
        "egress" => return Ok(FaultSpecification::Egress(rest.to_owned())),
        other => bail!("there is no system `{other}`"),
    };
    Ok(FaultSpecification::Proxy(system, rest.parse()?))
}

fn webhook(text: &str) -> anyhow::Result<FaultSpecification> {
    let late = text
        .strip_prefix("late=")
        .context("of a webhook, only `late=` can be had")?;
    let (by, name) = match late.split_once('@') {
        Some((by, name)) => (by, Some(name.to_owned())),
        None => (late, None),
    };
    Ok(FaultSpecification::WebhookLate {
        by: duration(by)?,
        name,
    })
}

fn certificate(text: &str) -> anyhow::Result<CertificateFault> {
    match text.strip_prefix("late=") {
        Some(by) => Ok(CertificateFault::Late(duration(by)?)),
        None if text == "never" => Ok(CertificateFault::Never),
        None => bail!("of a certificate, only `never` and `late=` can be had"),
    }
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    /// Reads what follows the system: `EFFECT[@MATCH][#NTH]`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (text, nth) = match text.rsplit_once('#') {
            Some((text, nth)) => (text, nth.parse()?),
            None => (text, Nth::Every),
        };
        let (what, matching) = match text.split_once('@') {
            Some((what, matching)) => (what, matching_of(matching)?),
            None => (text, Matching::default()),
        };
        Ok(Self {
            matching,
            nth,
            effect: effect(what)?,
        })
    }
}

fn effect(text: &str) -> anyhow::Result<Effect> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    Ok(match (name, value) {
        ("delay", Some(value)) => Effect::Delay(duration(value)?),
        ("slow", Some(value)) => Effect::SlowBody(duration(value)?),
        ("truncate", Some(value)) => Effect::Truncate(
            value
                .parse()
                .with_context(|| format!("`{value}` is no length"))?,
        ),
        ("reset" | "down", None) => Effect::ResetBefore,
        ("reset-after", None) => Effect::ResetAfter,
        ("hang", None) => Effect::Hang,
        ("hang-after", None) => Effect::HangAfter,
        ("kill", None) => Effect::Kill,
        ("kill-after", None) => Effect::KillAfter,
        (status, body) => match status.parse() {
            Ok(status @ 200..=599) => Effect::Respond {
                status,
                body: body.map(ToOwned::to_owned),
                headers: Vec::new(),
            },
            _ => bail!("there is no effect `{text}`"),
        },
    })
}

fn matching_of(text: &str) -> anyhow::Result<Matching> {
    let (method, path) = match text.split_once(':') {
        Some((method, path)) => (Some(method), path),
        None if text.starts_with(['/', '^']) => (None, text),
        None => (Some(text), ""),
    };
    let method = match method {
        None => None,
        Some("read") => Some(MethodMatch::Reads),
        Some("write") => Some(MethodMatch::Writes),
        Some(name) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            Some(MethodMatch::Method(name.to_owned()))
        }
        Some(name) => bail!("`{name}` is no method"),
    };
    let (prefix, substring) = match path.strip_prefix('^') {
        Some(prefix) => (prefix, ""),
        None => ("", path),
    };
    Ok(Matching {
        method,
        prefix: prefix.to_owned(),
        substring: substring.to_owned(),
        without: Vec::new(),
    })
}

impl FromStr for Nth {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let number = |text: &str| match text.parse() {
            Ok(number @ 1_u64..) => Ok(number),
            _ => bail!("`{text}` is no number from 1"),
        };
        match (text.strip_suffix('+'), text.split_once('-')) {
            (Some(first), _) => Ok(Self::From(number(first)?)),
            (None, Some((first, last))) => Ok(Self::Between(number(first)?, number(last)?)),
            (None, None) => Ok(Self::Only(number(text)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_fault_is_refused_with_its_reason() {
        for (text, reason) in [
            ("github", "names no system"),
            ("gitlab:401", "no system `gitlab`"),
            ("github:99", "no effect `99`"),
            ("github:401@post", "`post` is no method"),
            ("kubernetes:503@PATCH#0", "no number from 1"),
            ("kubernetes:delay=20", "write for example `5s`"),
            ("image:pull-fails=", "pull-fails=PATTERN"),
            ("certificate:sometimes", "only `never`"),
        ] {
            let error = format!("{:#}", text.parse::<FaultSpecification>().unwrap_err());
            assert!(error.contains(reason), "{error}");
            assert!(error.contains(text), "{error}");
        }
    }

    fn proxy(text: &str) -> (System, Fault) {
        match text.parse().unwrap() {
            FaultSpecification::Proxy(system, fault) => (system, fault),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_status_for_a_path() {
        let (system, fault) = proxy("github:401@POST:/registration-token");
        assert_eq!(system, System::GitHub);
        assert_eq!(
            fault.matching.method,
            Some(MethodMatch::Method("POST".to_owned()))
        );
        assert_eq!(fault.matching.substring, "/registration-token");
        assert_eq!(fault.nth, Nth::Every);
        let effect = Effect::Respond {
            status: 401,
            body: None,
            headers: Vec::new(),
        };
        assert_eq!(fault.effect, effect);
    }

    #[test]
    fn the_nth_of_a_kind() {
        let (_, fault) = proxy("kubernetes:kill-after@write#5");
        assert_eq!((fault.effect, fault.nth), (Effect::KillAfter, Nth::Only(5)));
        assert_eq!(fault.matching.method, Some(MethodMatch::Writes));
        assert_eq!(proxy("aws:delay=500ms#2+").1.nth, Nth::From(2));
        assert_eq!(
            proxy("aws:hang@^/clusters#2-3").1.matching.prefix,
            "/clusters"
        );
        assert_eq!(proxy("aws:hang@^/clusters#2-3").1.nth, Nth::Between(2, 3));
    }

    #[test]
    fn faults_of_the_other_parts_are_data() {
        let read = |text: &str| text.parse::<FaultSpecification>().unwrap();
        assert_eq!(read("charts:down"), FaultSpecification::ChartsDown);
        let by = Duration::from_secs(20);
        assert_eq!(
            read("webhook:late=20s"),
            FaultSpecification::WebhookLate { by, name: None }
        );
        let name = Some("cert-manager".to_owned());
        assert_eq!(
            read("webhook:late=20s@cert-manager"),
            FaultSpecification::WebhookLate { by, name }
        );
        let pattern = "summerwind/*".to_owned();
        let image = FaultSpecification::ImagePullFails(pattern);
        assert_eq!(read("image:pull-fails=summerwind/*"), image);
        let never = FaultSpecification::Certificate(CertificateFault::Never);
        assert_eq!(read("certificate:never"), never);
        assert_eq!(
            read("egress:hang=a/b"),
            FaultSpecification::Egress("hang=a/b".to_owned())
        );
    }
}

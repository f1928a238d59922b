//! Rules for the cluster, the proxy, the mirrors of the charts and the timeouts. Pure.

use super::{Path, Report, url::Url};
use crate::profile::{Profile, names::WEBHOOK_SERVER};

/// The reserved profile name: the inventory is the `ConfigMap` `arcctl-NAME`, and `github.caBundle` is stored in this
/// one.
const TAKEN: &str = "github-ca";

pub(super) fn check(profile: &Profile, report: &mut Report) {
    if profile.name == TAKEN {
        report.error(
            Path::from(["name"]),
            format!("no profile can be named `{TAKEN}`: its inventory would be the ConfigMap `arcctl-{TAKEN}`, which holds the certificates of a GitHub server"),
            "choose another `name`",
        );
    }
    identity(profile, report);
    prescribed(profile, report);
    release(profile, report);
    proxy(profile, report);
    mirrors(profile, report);
    timeouts(profile, report);
}

/// Namespaces of Kubernetes itself.
const RESERVED_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// Checks the namespaces set in the profile, and which the controller watches.
fn prescribed(profile: &Profile, report: &mut Report) {
    let controller = &profile.controller;
    let path = Path::from(["controller"]);
    let mut named = vec![(path.key("namespace"), &controller.namespace)];
    if profile.has_scale_sets() {
        let path = Path::from(["scaleSets"]);
        named.push((path.key("namespace"), &profile.scale_sets.namespace));
    }
    let pools = Path::from(["pools"]);
    for (index, pool) in profile.pools.iter().enumerate() {
        named.push((pools.index(index).key("namespace"), &pool.namespace));
        if let Some(watched) = &controller.watch_namespace
            && *watched != pool.namespace
            && !pool.is_scale_set()
        {
            report.error(
                pools.index(index).key("namespace"),
                format!(
                    "the controller looks at namespace `{watched}` only (`controller.watchNamespace`), and the runners of pool `{}` are in `{}`",
                    pool.name, pool.namespace
                ),
                format!("write `namespace: {watched}`, or remove `controller.watchNamespace`"),
            );
        }
    }
    for (path, name) in named {
        if RESERVED_NAMESPACES.contains(&name.as_str()) {
            report.error(
                path,
                format!("`{name}` is the cluster's own namespace"),
                "use another one; arcctl creates it if it does not exist",
            );
        }
    }
}

/// The most characters of a label's value (Kubernetes documentation, "Labels and Selectors").
const LABEL: usize = 63;

/// Checks the label that the chart makes of the release's name for the pods of the webhook server, and does not shorten.
fn release(profile: &Profile, report: &mut Report) {
    let most = LABEL - WEBHOOK_SERVER.len();
    if profile.has_triggers() && profile.controller.release.len() > most {
        report.error(
            Path::from(["controller", "release"]),
            format!("with `triggers` the chart makes a label of it and `{WEBHOOK_SERVER}`, and a label has at most {LABEL} characters"),
            format!("write at most {most} characters"),
        );
    }
}

fn identity(profile: &Profile, report: &mut Report) {
    let cluster = &profile.cluster;
    let path = Path::from(["cluster"]);
    match (&cluster.eks, &cluster.region, &cluster.context) {
        (None, _, None) => report.error(
            path,
            "no cluster is named",
            "write `eks` with `region` for an EKS cluster, or `context` for one of the kubeconfig",
        ),
        (None, Some(_), Some(_)) => report.error(
            path.key("region"),
            "`region` has no effect without `eks`",
            "add `eks`, or remove `region`",
        ),
        (Some(_), None, _) => {
            report.error(
                path,
                "`eks` needs the cluster's `region`",
                "add `region`, for example `ap-northeast-2`",
            );
        }
        _ => {}
    }
}

fn proxy(profile: &Profile, report: &mut Report) {
    let Some(proxy) = &profile.proxy else { return };
    let path = Path::from(["proxy"]);
    if proxy.http.is_none() && proxy.https.is_none() {
        report.error(
            path.clone(),
            "the proxy has no address",
            "write `https`, `http` or both, or remove `proxy`",
        );
    }
    for (key, value) in [("http", &proxy.http), ("https", &proxy.https)] {
        let Some(value) = value else { continue };
        match Url::parse(value).filter(|url| ["http", "https"].contains(&url.scheme)) {
            None => report.error(
                path.key(key),
                format!("`proxy.{key}` is not the URL of a proxy"),
                "write `http://HOST:PORT`",
            ),
            Some(url) if url.has_user => report.error(
                path.key(key),
                format!(
                    "`proxy.{key}` has a user in it, which helm's history and every pod would show"
                ),
                "let the proxy admit the cluster's addresses instead",
            ),
            Some(_) => {}
        }
    }
    for (index, entry) in proxy.no_proxy.iter().enumerate() {
        let path = path.key("noProxy").index(index);
        if entry.is_empty() || entry.contains([',', ' ']) || entry.contains("://") {
            report.error(
                path,
                format!("`{entry}` is not one host, domain or CIDR"),
                "write one per item, without a scheme",
            );
        }
    }
}

fn mirrors(profile: &Profile, report: &mut Report) {
    let charts = [
        ("certManager", &profile.charts.cert_manager),
        ("controller", &profile.charts.controller),
        ("scaleSets", &profile.charts.scale_sets),
    ];
    for (key, location) in charts {
        let Some(location) = location else { continue };
        let path = Path::from(["charts"]).key(key);
        let Some((scheme, _)) = location.split_once("://") else {
            if location.trim().is_empty() {
                report.error(
                    path,
                    format!("`charts.{key}` is empty"),
                    "remove it for the public repository",
                );
            }
            continue;
        };
        let url = Url::parse(location);
        if url.as_ref().is_some_and(|url| url.has_user) {
            report.error(
                path,
                format!("`charts.{key}` has a user in it, which arguments and messages would show"),
                "name a mirror that needs no login, or a directory beside the profile",
            );
            continue;
        }
        let good = url.is_some_and(|url| {
            ["https", "oci"].contains(&scheme) || (scheme == "http" && url.is_loopback())
        });
        if !good {
            report.error(
                path,
                format!("`{location}` is not a chart repository"),
                "write `https://HOST/PATH`, `oci://HOST/PATH` or a path beside the profile",
            );
        }
    }
}

fn timeouts(profile: &Profile, report: &mut Report) {
    let timeouts = &profile.timeouts;
    for (key, value) in [
        ("certManager", timeouts.cert_manager),
        ("controller", timeouts.controller),
        ("runners", timeouts.runners),
        ("registration", timeouts.registration),
        ("drain", timeouts.drain),
    ] {
        let path = Path::from(["timeouts"]).key(key);
        if value.as_secs() == 0 {
            report.error(
                path,
                format!("`timeouts.{key}` is 0: no step could end in time"),
                "write at least 1s, or remove it for the default",
            );
        } else if value.as_secs() < 30 && key != "drain" {
            report.advice(
                path,
                format!("`timeouts.{key}` is {value}; an image pull alone can take longer"),
                "leave it out for 5m",
            );
        }
    }
    let sync = profile.controller.sync_period;
    let path = Path::from(["controller", "syncPeriod"]);
    if sync.as_secs() == 0 {
        report.error(path, "`syncPeriod` is 0", "write for example 1m");
    } else if sync.as_secs() < 10 {
        report.advice(
            path,
            format!("with a `syncPeriod` of {sync} the controller lists all runners of the scope that often"),
            "1m is the chart's default; GitHub limits the rate of requests",
        );
    }
}

//! Rules for scheduling and network: selectors, tolerations, affinity, DNS, and the pod's own settings. Pure: no I/O.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Pod, Report, container, items, list, spread, text, variables};
use crate::profile::{object_names, path::Path};

pub(super) fn check(pod: &Pod<'_>, report: &mut Report) {
    selectors(pod, report);
    tolerations(pod, report);
    let template = Value::Object(pod.template.clone());
    let place = pod.place();
    affinity(&template["affinity"], &place.key("affinity"), report);
    spread::check(pod, report);
    hosts(pod, report);
    dns(&template, &place, report);
    settings(&template, &place, report);
    if pod.runs_job_pods() && template["automountServiceAccountToken"] == json!(false) {
        report.error(
            place.key("automountServiceAccountToken"),
            "in container mode kubernetes the runner makes the pods of its jobs with this token",
            "remove it",
        );
    }
    for (index, secret) in list(pod.template, "imagePullSecrets").enumerate() {
        let path = place.key("imagePullSecrets").index(index);
        if secret.is_object() {
            variables::named(secret, "Secret", &path, report);
        }
    }
    container::of_pod(
        &template["securityContext"],
        &place.key("securityContext"),
        report,
    );
}

fn selectors(pod: &Pod<'_>, report: &mut Report) {
    let of_template = pod.template.get("nodeSelector").and_then(Value::as_object);
    let of_template = of_template
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| {
            Some((
                pod.place().key("nodeSelector"),
                key.as_str(),
                value.as_str()?,
            ))
        });
    let of_pool = pod.pool.node_selector.iter();
    let of_pool =
        of_pool.map(|(key, value)| (pod.base.key("nodeSelector"), key.as_str(), value.as_str()));
    for (path, key, value) in of_pool.chain(of_template) {
        label(key, value, &path.key(key), report);
    }
}

/// Checks the key and value of a label in a selector.
fn label(key: &str, value: &str, path: &Path, report: &mut Report) {
    if !object_names::is_key(key) {
        report.error(
            path.clone(),
            format!("`{key}` cannot be the name of a label"),
            format!("write {}", object_names::KEY),
        );
    } else if !object_names::is_label_value(value) {
        report.error(
            path.clone(),
            format!("`{value}` cannot be the value of a label"),
            format!("write {}", object_names::VALUE),
        );
    }
}

fn tolerations(pod: &Pod<'_>, report: &mut Report) {
    let own = pod.base.key("tolerations");
    for (index, toleration) in pod.pool.tolerations.iter().enumerate() {
        toleration_is_fine(
            &Value::Object(toleration.clone()),
            &own.index(index),
            report,
        );
    }
    let place = pod.place().key("tolerations");
    for (index, toleration) in list(pod.template, "tolerations").enumerate() {
        toleration_is_fine(toleration, &place.index(index), report);
    }
}

pub(super) fn toleration_is_fine(toleration: &Value, path: &Path, report: &mut Report) {
    let field = |name: &str| text(toleration, name).unwrap_or_default();
    let exists = field("operator") == "Exists";
    if field("key").is_empty() && !exists {
        report.error(
            path.clone(),
            "a toleration without a key is for every taint, and only `operator: Exists` says so",
            "add `key`, or `operator: Exists`",
        );
    } else if !field("key").is_empty() && !object_names::is_key(field("key")) {
        report.error(
            path.key("key"),
            format!("`{}` cannot be the key of a taint", field("key")),
            format!("write {}", object_names::KEY),
        );
    }
    if exists && !field("value").is_empty() {
        report.error(
            path.key("value"),
            "`operator: Exists` is for every value, and a value is given",
            "remove one of them",
        );
    }
    if toleration.get("tolerationSeconds").is_some() && field("effect") != "NoExecute" {
        report.error(
            path.key("tolerationSeconds"),
            "only a toleration of the effect `NoExecute` can end",
            "add `effect: NoExecute`, or remove it",
        );
    }
}

fn affinity(affinity: &Value, path: &Path, report: &mut Report) {
    let (node, at) = (&affinity["nodeAffinity"], path.key("nodeAffinity"));
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    let terms = at.key(required).key("nodeSelectorTerms");
    if node[required].is_object() && items(&node[required], "nodeSelectorTerms").next().is_none() {
        report.error(
            terms.clone(),
            "no node is described here, and at least one term must be there",
            "add a term, or remove the requirement",
        );
    }
    for (index, term) in items(&node[required], "nodeSelectorTerms").enumerate() {
        expressions(term, &terms.index(index), &NODES, report);
    }
    for (index, term) in items(node, preferred).enumerate() {
        let path = at.key(preferred).index(index);
        report.in_range(term, "weight", 1, 100, &path);
        expressions(&term["preference"], &path.key("preference"), &NODES, report);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let (pods, at) = (&affinity[kind], path.key(kind));
        for (index, term) in items(pods, required).enumerate() {
            pod_term(term, &at.key(required).index(index), report);
        }
        for (index, term) in items(pods, preferred).enumerate() {
            let path = at.key(preferred).index(index);
            report.in_range(term, "weight", 1, 100, &path);
            pod_term(
                &term["podAffinityTerm"],
                &path.key("podAffinityTerm"),
                report,
            );
        }
    }
}

const NODES: [&str; 6] = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];
const OBJECTS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];

fn pod_term(term: &Value, path: &Path, report: &mut Report) {
    if text(term, "topologyKey").is_some_and(|it| !object_names::is_key(it)) {
        report.error(
            path.key("topologyKey"),
            "this is not the name of a node's label",
            "write for example `kubernetes.io/hostname`",
        );
    }
    selector(&term["labelSelector"], &path.key("labelSelector"), report);
}

pub(super) fn selector(selector: &Value, path: &Path, report: &mut Report) {
    expressions(selector, path, &OBJECTS, report);
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    for (key, value) in labels.into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        label(key, value, &path.key("matchLabels").key(key), report);
    }
}

fn expressions(term: &Value, path: &Path, operators: &[&str], report: &mut Report) {
    for (index, expression) in items(term, "matchExpressions").enumerate() {
        let path = path.key("matchExpressions").index(index);
        report.one_of(expression, "operator", operators, &path);
        let key = text(expression, "key").unwrap_or_default();
        label(key, "", &path.key("key"), report);
        let values = items(expression, "values").count();
        let wrong = match text(expression, "operator") {
            Some("In" | "NotIn") if values == 0 => Some("takes at least one value"),
            Some("Exists" | "DoesNotExist") if values > 0 => Some("takes no value"),
            Some("Gt" | "Lt") if values != 1 => Some("takes one number"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let operator = text(expression, "operator").unwrap_or_default();
            report.error(
                path.key("values"),
                format!("`{operator}` {wrong}, and there are {values}"),
                "correct `values` or `operator`",
            );
        }
    }
}

fn hosts(pod: &Pod<'_>, report: &mut Report) {
    let place = pod.place().key("hostAliases");
    for (index, alias) in list(pod.template, "hostAliases").enumerate() {
        let path = place.index(index);
        let address = text(alias, "ip").unwrap_or_default();
        if address.parse::<IpAddr>().is_err() {
            report.error(
                path.key("ip"),
                format!("`{address}` is not an IP address"),
                "write the address; names go under `hostnames`",
            );
        }
        for (at, name) in items(alias, "hostnames").enumerate() {
            let name = name.as_str().unwrap_or_default();
            if !object_names::is_object_name(name) {
                report.error(
                    path.key("hostnames").index(at),
                    format!("`{name}` is not a host's name"),
                    "write a name in lower case, without a scheme and a port",
                );
            }
        }
    }
}

fn dns(template: &Value, place: &Path, report: &mut Report) {
    report.one_of(
        template,
        "dnsPolicy",
        &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
        place,
    );
    let (config, path) = (&template["dnsConfig"], place.key("dnsConfig"));
    let servers: Vec<&str> = items(config, "nameservers")
        .filter_map(Value::as_str)
        .collect();
    if text(template, "dnsPolicy") == Some("None") && servers.is_empty() {
        report.error(
            place.key("dnsPolicy"),
            "`None` leaves the pod without a name server",
            "add `dnsConfig: {nameservers: […]}`",
        );
    }
    if servers.len() > 3 {
        report.error(
            path.key("nameservers"),
            format!(
                "a pod has at most 3 name servers, and these are {}",
                servers.len()
            ),
            "remove some",
        );
    }
    for (index, server) in servers.iter().enumerate() {
        if server.parse::<IpAddr>().is_err() {
            report.error(
                path.key("nameservers").index(index),
                format!("`{server}` is not an IP address"),
                "write the name server's address",
            );
        }
    }
    if items(config, "searches").count() > 32 {
        report.error(
            path.key("searches"),
            "a pod has at most 32 search domains",
            "remove some",
        );
    }
}

fn settings(template: &Value, place: &Path, report: &mut Report) {
    for (key, kind) in [
        ("priorityClassName", "PriorityClass"),
        ("runtimeClassName", "RuntimeClass"),
    ] {
        if let Some(name) = text(template, key)
            && !name.is_empty()
            && !object_names::is_object_name(name)
        {
            report.error(
                place.key(key),
                format!("`{name}` cannot be the name of a {kind}"),
                format!("write {}", object_names::OBJECT_NAME),
            );
        }
    }
    report.one_of(
        template,
        "imagePullPolicy",
        &["Always", "IfNotPresent", "Never"],
        place,
    );
    report.in_range(
        template,
        "terminationGracePeriodSeconds",
        0,
        i64::MAX,
        place,
    );
    report.in_range(template, "dockerMTU", 68, 65535, place);
    let work = json!({"path": template["workDir"]});
    if let Some(directory) = text(&work, "path")
        && (!directory.starts_with('/') || directory.contains(':'))
    {
        report.error(
            place.key("workDir"),
            format!("`{directory}` cannot be a place in a container"),
            "write an absolute path without `:`",
        );
    }
    if let Some(mirror) = text(template, "dockerRegistryMirror")
        && !mirror.is_empty()
        && !mirror.starts_with("https://")
        && !mirror.starts_with("http://")
    {
        report.error(
            place.key("dockerRegistryMirror"),
            format!("dockerd takes a mirror as a URL, and `{mirror}` has no scheme"),
            format!("write `https://{mirror}`"),
        );
    }
}

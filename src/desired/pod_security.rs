//! The Pod Security Standards `baseline` and `restricted`, evaluated without a cluster. Pure: no I/O.
//!
//! Source: kubernetes.io/docs/concepts/security/pod-security-standards, for pods of Linux without user namespaces. The API
//! server has the last word wherever it can be asked; this is for namespaces that do not exist yet, and for tests.

use serde_json::Value;

/// A level of the Pod Security Standards, from the most to the least permissive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything is admitted.
    Privileged,
    /// Known ways to the node are refused.
    Baseline,
    /// Pods must be hardened.
    Restricted,
}

impl Level {
    /// The level of a namespace's label.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "privileged" => Some(Self::Privileged),
            "baseline" => Some(Self::Baseline),
            "restricted" => Some(Self::Restricted),
            _ => None,
        }
    }
}

/// A field of a pod that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule, as the standard calls it.
    pub rule: &'static str,
    /// The field, from the pod's spec.
    pub field: String,
}

/// Capabilities that `baseline` lets a container add.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Types of `SELinux` labels that `baseline` admits.
const SELINUX_TYPES: [&str; 4] = [
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
];

/// Kernel parameters that `baseline` admits.
const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// Types of volumes that `restricted` admits.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// What of the spec of a pod breaks a rule of `level`.
pub fn violations(spec: &Value, level: Level) -> Vec<Violation> {
    let mut found = Vec::new();
    if level >= Level::Baseline {
        host(spec, &mut found);
        privileges(spec, &mut found);
        profiles(spec, &mut found);
    }
    if level >= Level::Restricted {
        restricted(spec, &mut found);
    }
    found
}

/// The containers of a pod, each with its path.
fn containers(spec: &Value) -> impl Iterator<Item = (String, &Value)> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    lists.into_iter().flat_map(move |list| {
        let all = spec[list].as_array().into_iter().flatten().enumerate();
        all.map(move |(index, it)| (format!("{list}[{index}]"), it))
    })
}

/// The security contexts of the pod and of its containers, each with its path.
fn contexts(spec: &Value) -> Vec<(String, &Value)> {
    let mut all = vec![("securityContext".to_owned(), &spec["securityContext"])];
    all.extend(
        containers(spec)
            .map(|(path, it)| (format!("{path}.securityContext"), &it["securityContext"])),
    );
    all
}

fn add(found: &mut Vec<Violation>, rule: &'static str, field: String) {
    found.push(Violation { rule, field });
}

/// What reaches the node: its namespaces, its files, its ports.
fn host(spec: &Value, found: &mut Vec<Violation>) {
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        if spec[field] == true {
            add(found, "Host Namespaces", field.to_owned());
        }
    }
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    for (index, volume) in volumes.enumerate() {
        if !volume["hostPath"].is_null() {
            let field = format!("volumes[{index}].hostPath");
            add(found, "HostPath Volumes", field);
        }
    }
    for (path, container) in containers(spec) {
        let ports = container["ports"].as_array().into_iter().flatten();
        for (index, port) in ports.enumerate() {
            if port["hostPort"].as_u64().is_some_and(|it| it != 0) {
                let field = format!("{path}.ports[{index}].hostPort");
                add(found, "Host Ports", field);
            }
        }
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            calls(&container[probe], &format!("{path}.{probe}"), found);
        }
        for hook in ["postStart", "preStop"] {
            let own = &container["lifecycle"][hook];
            calls(own, &format!("{path}.lifecycle.{hook}"), found);
        }
    }
}

/// What a probe, or a hook, calls beside its own pod.
fn calls(probe: &Value, path: &str, found: &mut Vec<Violation>) {
    for call in ["httpGet", "tcpSocket"] {
        let host = probe[call]["host"].as_str();
        if host.is_some_and(|it| !it.is_empty()) {
            let field = format!("{path}.{call}.host");
            add(found, "Host Probes / Lifecycle Hooks", field);
        }
    }
}

/// Privileged containers, and capabilities beyond the default ones.
fn privileges(spec: &Value, found: &mut Vec<Violation>) {
    for (path, container) in containers(spec) {
        let context = &container["securityContext"];
        if context["privileged"] == true {
            let field = format!("{path}.securityContext.privileged");
            add(found, "Privileged Containers", field);
        }
        if !adds_only(context, &CAPABILITIES) {
            let field = format!("{path}.securityContext.capabilities.add");
            add(found, "Capabilities", field);
        }
        let mount = context["procMount"].as_str();
        if mount.is_some_and(|it| it != "Default") {
            let field = format!("{path}.securityContext.procMount");
            add(found, "/proc Mount Type", field);
        }
    }
}

fn adds_only(context: &Value, allowed: &[&str]) -> bool {
    let mut added = context["capabilities"]["add"]
        .as_array()
        .into_iter()
        .flatten();
    added.all(|it| it.as_str().is_some_and(|it| allowed.contains(&it)))
}

/// What takes away the profiles of the kernel: seccomp, `AppArmor`, `SELinux`, kernel parameters, Windows' host processes.
fn profiles(spec: &Value, found: &mut Vec<Violation>) {
    for (path, context) in contexts(spec) {
        if context["seccompProfile"]["type"] == "Unconfined" {
            add(found, "Seccomp", format!("{path}.seccompProfile.type"));
        }
        if context["appArmorProfile"]["type"] == "Unconfined" {
            add(found, "AppArmor", format!("{path}.appArmorProfile.type"));
        }
        let selinux = &context["seLinuxOptions"];
        let text = |key: &str| selinux[key].as_str().unwrap_or_default();
        let kind = text("type");
        if !kind.is_empty() && !SELINUX_TYPES.contains(&kind) {
            add(found, "SELinux", format!("{path}.seLinuxOptions.type"));
        }
        for key in ["user", "role"] {
            if !text(key).is_empty() {
                add(found, "SELinux", format!("{path}.seLinuxOptions.{key}"));
            }
        }
        if context["windowsOptions"]["hostProcess"] == true {
            let field = format!("{path}.windowsOptions.hostProcess");
            add(found, "HostProcess", field);
        }
    }
    let sysctls = &spec["securityContext"]["sysctls"];
    for (index, it) in sysctls.as_array().into_iter().flatten().enumerate() {
        let name = it["name"].as_str().unwrap_or_default();
        if !SYSCTLS.contains(&name) {
            let field = format!("securityContext.sysctls[{index}].name");
            add(found, "Sysctls", field);
        }
    }
}

fn restricted(spec: &Value, found: &mut Vec<Violation>) {
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    for (index, volume) in volumes.enumerate() {
        let keys = volume.as_object().into_iter().flat_map(|it| it.keys());
        for key in keys.filter(|it| *it != "name" && !VOLUMES.contains(&it.as_str())) {
            add(found, "Volume Types", format!("volumes[{index}].{key}"));
        }
    }
    for (path, context) in contexts(spec) {
        if context["runAsUser"] == 0 {
            let field = format!("{path}.runAsUser");
            add(found, "Running as Non-root user", field);
        }
    }
    let pod = &spec["securityContext"];
    for (path, container) in containers(spec) {
        let own = &container["securityContext"];
        // A container's own value takes the place of the pod's.
        let in_force = |key: &str| {
            if own[key].is_null() {
                &pod[key]
            } else {
                &own[key]
            }
        };
        let field = |key: &str| format!("{path}.securityContext.{key}");
        if own["allowPrivilegeEscalation"] != false {
            let field = field("allowPrivilegeEscalation");
            add(found, "Privilege Escalation", field);
        }
        if *in_force("runAsNonRoot") != true {
            add(found, "Running as Non-root", field("runAsNonRoot"));
        }
        let seccomp = &in_force("seccompProfile")["type"];
        if !(*seccomp == "RuntimeDefault" || *seccomp == "Localhost") {
            add(found, "Seccomp", field("seccompProfile.type"));
        }
        let dropped = own["capabilities"]["drop"].as_array();
        if !dropped.is_some_and(|it| it.iter().any(|one| one == "ALL")) {
            add(found, "Capabilities", field("capabilities.drop"));
        }
        if !adds_only(own, &["NET_BIND_SERVICE"]) {
            add(found, "Capabilities", field("capabilities.add"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(spec: &Value, level: Level) -> Vec<String> {
        let found = violations(spec, level).into_iter();
        found.map(|it| it.field).collect()
    }

    /// A pod that `restricted` admits.
    fn hardened() -> Value {
        json!({
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "a", "securityContext":
                {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
            "volumes": [{"name": "a", "emptyDir": {}}],
        })
    }

    #[test]
    fn each_rule_of_baseline_names_its_field() {
        for (pointer, value, field) in [
            ("hostNetwork", json!(true), "hostNetwork"),
            ("hostPID", json!(true), "hostPID"),
            (
                "volumes",
                json!([{"name": "a", "hostPath": {"path": "/"}}]),
                "volumes[0].hostPath",
            ),
            (
                "initContainers",
                json!([{"securityContext": {"privileged": true}}]),
                "initContainers[0].securityContext.privileged",
            ),
            (
                "containers",
                json!([{"securityContext": {"capabilities": {"add": ["KILL", "SYS_ADMIN"]}}}]),
                "containers[0].securityContext.capabilities.add",
            ),
            (
                "containers",
                json!([{"ports": [{"containerPort": 1}, {"hostPort": 80}]}]),
                "containers[0].ports[1].hostPort",
            ),
            (
                "containers",
                json!([{"securityContext": {"procMount": "Unmasked"}}]),
                "containers[0].securityContext.procMount",
            ),
            (
                "containers",
                json!([{"lifecycle": {"preStop": {"httpGet": {"host": "10.0.0.1", "port": 1}}}}]),
                "containers[0].lifecycle.preStop.httpGet.host",
            ),
            (
                "securityContext",
                json!({"seccompProfile": {"type": "Unconfined"}}),
                "securityContext.seccompProfile.type",
            ),
            (
                "securityContext",
                json!({"seLinuxOptions": {"type": "spc_t"}}),
                "securityContext.seLinuxOptions.type",
            ),
            (
                "securityContext",
                json!({"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
                "securityContext.sysctls[0].name",
            ),
        ] {
            let mut spec = json!({"containers": [{"name": "a"}]});
            spec[pointer] = value;
            assert_eq!(fields(&spec, Level::Baseline), [field]);
            assert_eq!(fields(&spec, Level::Privileged), [""; 0]);
        }
    }

    #[test]
    fn both_buffers_of_tcp_are_safe_sysctls() {
        let sysctls = json!([{"name": "net.ipv4.tcp_rmem"}, {"name": "net.ipv4.tcp_wmem"}]);
        let spec = json!({"securityContext": {"sysctls": sysctls}});
        assert_eq!(fields(&spec, Level::Baseline), [""; 0]);
    }

    #[test]
    fn what_restricted_asks_for_is_named_for_each_container() {
        assert_eq!(fields(&hardened(), Level::Restricted), [""; 0]);
        let plain = json!({"containers": [{"name": "a"}]});
        assert_eq!(fields(&plain, Level::Baseline), [""; 0]);
        assert_eq!(
            fields(&plain, Level::Restricted),
            [
                "containers[0].securityContext.allowPrivilegeEscalation",
                "containers[0].securityContext.runAsNonRoot",
                "containers[0].securityContext.seccompProfile.type",
                "containers[0].securityContext.capabilities.drop",
            ]
        );
        let mut root = hardened();
        root["securityContext"]["runAsUser"] = json!(0);
        root["containers"][0]["securityContext"]["runAsNonRoot"] = json!(false);
        root["volumes"] = json!([{"name": "a", "nfs": {"server": "b"}}]);
        assert_eq!(
            fields(&root, Level::Restricted),
            [
                "volumes[0].nfs",
                "securityContext.runAsUser",
                "containers[0].securityContext.runAsNonRoot",
            ]
        );
    }
}

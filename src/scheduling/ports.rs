//! Ports of the node that pods use (kubernetes, `GetHostPorts` in `pkg/scheduler/util/utils.go`, `HostPortInfo` in
//! `kube-scheduler/framework`). Pure: no I/O.

use serde_json::Value;

use super::list;

/// The address that stands for all addresses of a node.
const ALL: &str = "0.0.0.0";

/// A port of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPort {
    address: String,
    protocol: String,
    port: i64,
}

impl HostPort {
    /// The ports that a pod uses: of its containers and of its sidecars.
    pub(super) fn of(pod: &Value) -> Vec<Self> {
        let sidecars = list(&pod["spec"]["initContainers"]).iter();
        sidecars
            .filter(|it| it["restartPolicy"] == "Always")
            .chain(list(&pod["spec"]["containers"]))
            .flat_map(|it| list(&it["ports"]))
            .filter_map(Self::read)
            .collect()
    }

    fn read(port: &Value) -> Option<Self> {
        let text = |key: &str, default: &str| {
            let text = port[key].as_str().filter(|it| !it.is_empty());
            text.unwrap_or(default).to_owned()
        };
        Some(Self {
            address: text("hostIP", ALL),
            protocol: text("protocol", "TCP"),
            port: port["hostPort"].as_i64().filter(|it| *it > 0)?,
        })
    }

    /// Whether two pods cannot use both on one node.
    pub(super) fn collides(&self, other: &Self) -> bool {
        let same_address =
            self.address == other.address || self.address == ALL || other.address == ALL;
        self.port == other.port && self.protocol == other.protocol && same_address
    }
}

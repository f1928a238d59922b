//! What a pod asks for, and what a node has. Pure: no I/O.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::list;
use crate::units::quantity::Amount;

/// The resource that kube-scheduler counts in thousandths.
const CPU: &str = "cpu";

/// Amounts by resource: CPU in thousandths of a core, all others in whole units, each rounded up as kube-scheduler does
/// (`Resource` in `pkg/scheduler/framework/types.go`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts(BTreeMap<String, i128>);

impl Amounts {
    /// What a list of resources says, such as a node's `status.allocatable`.
    pub fn of(resources: &Value) -> Self {
        let resources = resources.as_object().into_iter().flatten();
        let counted = |(name, value): (&String, &Value)| {
            let amount = amount(value)?;
            Some((name.clone(), count(name, amount)))
        };
        Self(resources.filter_map(counted).collect())
    }

    /// What a pod asks for.
    pub fn of_pod(pod: &Value) -> Self {
        let spec = &pod["spec"];
        let containers = ["containers", "initContainers"]
            .iter()
            .flat_map(|it| list(&spec[*it]));
        let names: BTreeSet<&String> = containers
            .map(|it| &it["resources"]["requests"])
            .chain([&spec["resources"]["requests"], &spec["overhead"]])
            .filter_map(Value::as_object)
            .flat_map(serde_json::Map::keys)
            .collect();
        let asked = |name: &&String| {
            let amount = total(pod, "requests", name)?;
            Some(((*name).clone(), count(name, amount)))
        };
        Self(names.iter().filter_map(asked).collect())
    }

    /// The amount of a resource; 0 if it is not there.
    pub fn get(&self, resource: &str) -> i128 {
        self.0.get(resource).copied().unwrap_or_default()
    }

    /// Every resource with an amount above 0.
    pub fn positive(&self) -> impl Iterator<Item = (&str, i128)> {
        let all = self.0.iter().map(|(name, amount)| (name.as_str(), *amount));
        all.filter(|(_, amount)| *amount > 0)
    }

    /// Adds `other`, so many times.
    pub fn add(&mut self, other: &Self, times: u64) {
        for (name, amount) in &other.0 {
            let sum = self.0.entry(name.clone()).or_default();
            *sum = sum.saturating_add(amount.saturating_mul(i128::from(times)));
        }
    }
}

fn count(resource: &str, amount: Amount) -> i128 {
    if resource == CPU {
        amount.thousandths()
    } else {
        amount.units()
    }
}

/// How much of a resource one pod asks for in all: `kind` is `requests` or `limits`. `None` if it names none (kubernetes,
/// `PodRequests` in `component-helpers/resource/helpers.go`).
pub fn total(pod: &Value, kind: &str, resource: &str) -> Option<Amount> {
    let one = |it: &Value| amount(&it["resources"][kind][resource]);
    // Init containers run one after another, before the others; sidecars run beside all later containers.
    let (mut beside, mut most) = (None, None);
    for container in list(&pod["spec"]["initContainers"]) {
        let asked = plus(one(container), beside);
        if container["restartPolicy"] == "Always" {
            beside = asked;
        }
        most = most.max(asked);
    }
    let containers = list(&pod["spec"]["containers"]);
    let sum = containers.iter().fold(beside, |sum, it| plus(sum, one(it)));
    // What the pod asks for as a whole replaces what its containers ask for.
    let of_pod = Some(&pod["spec"])
        .filter(|_| resource == CPU || resource == "memory" || resource.starts_with("hugepages-"))
        .and_then(one);
    let asked = of_pod.or_else(|| most.max(sum));
    // The overhead of the runtime class.
    plus(asked, amount(&pod["spec"]["overhead"][resource]))
}

fn plus(left: Option<Amount>, right: Option<Amount>) -> Option<Amount> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.plus(right)),
        (left, right) => left.or(right),
    }
}

/// The amount that a quantity in JSON says.
pub fn amount(value: &Value) -> Option<Amount> {
    match value {
        Value::String(text) => Amount::parse(text),
        Value::Number(number) => Amount::parse(&number.to_string()),
        _ => None,
    }
}

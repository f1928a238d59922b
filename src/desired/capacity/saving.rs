//! What a schedule saves in a week: runner hours, node hours, and US dollars where a price is known. Pure: no I/O.

use jiff::Timestamp;
use serde_json::json;

use super::{
    prices::{Price, price},
    with_default_requests,
};
use crate::{
    desired::pool::{dry_run_pod::runner_pod, instance_type},
    profile::{
        Pool, Profile,
        schedule::{MINUTES, ScheduleError, week},
    },
    scheduling::{Node, Pod},
};

/// The hours of a month, as in AWS's own estimates (AWS Pricing Calculator): 365 days in twelve parts.
const HOURS_OF_A_MONTH: u128 = 730;

/// What the schedule of a pool saves in a week in which no clock changes, beside its largest minimum all the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saving {
    /// Of the runners.
    pub runners: Minutes,
    /// Of the nodes; or why they are not known.
    pub nodes: Result<Nodes, String>,
}

/// Minutes of a week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minutes {
    /// With the minimums of the schedule.
    pub scheduled: u64,
    /// With the largest of them all the time.
    pub constant: u64,
}

/// The nodes that a pool needs for its minimums, if it is alone on nodes of its instance type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// The instance type.
    pub instance_type: String,
    /// How many of the pool's runners a node holds, without `DaemonSets`.
    pub each: u64,
    /// Their minutes.
    pub minutes: Minutes,
    /// What they cost; or why it is not known.
    pub cost: Result<Cost, String>,
}

/// What nodes cost on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The region.
    pub region: String,
    /// The price of a node.
    pub price: Price,
    /// What is saved in a month, in US dollars, rounded down.
    pub saved: u64,
}

impl Minutes {
    /// What is saved.
    pub const fn saved(self) -> u64 {
        self.constant.saturating_sub(self.scheduled)
    }

    /// How much less the schedule has, in tenths of a percent, rounded down.
    pub fn tenths(self) -> u32 {
        let tenths = (self.saved() * 1000).checked_div(self.constant);
        tenths
            .and_then(|it| u32::try_from(it).ok())
            .unwrap_or_default()
    }
}

impl Saving {
    /// The minutes that are paid for: of the nodes, or, where they are not known, of the runners.
    pub fn minutes(&self) -> Minutes {
        self.nodes.as_ref().map_or(self.runners, |it| it.minutes)
    }
}

/// What the schedule of `pool` saves in a week; `None` without a schedule.
pub fn saving(
    profile: &Profile,
    pool: &Pool,
    now: Timestamp,
) -> Result<Option<Saving>, ScheduleError> {
    let Some(schedule) = &pool.schedule else {
        return Ok(None);
    };
    let week: Vec<(u32, u64)> = week(schedule, pool.min, now)?.into_iter().collect();
    Ok(Some(Saving {
        runners: minutes(&week, u64::from),
        nodes: nodes(profile, pool, &week),
    }))
}

/// The minutes of so many things as `count` says that a minimum needs.
fn minutes(week: &[(u32, u64)], count: impl Fn(u32) -> u64) -> Minutes {
    let largest = week.iter().map(|(min, _)| count(*min)).max();
    Minutes {
        scheduled: week
            .iter()
            .map(|(min, minutes)| count(*min) * minutes)
            .sum(),
        constant: largest.unwrap_or_default() * MINUTES,
    }
}

fn nodes(profile: &Profile, pool: &Pool, week: &[(u32, u64)]) -> Result<Nodes, String> {
    let name = pool
        .instance_type
        .as_deref()
        .ok_or("the pool has no `instanceType`")?;
    let found = instance_type::lookup(name)
        .ok_or_else(|| format!("arcctl does not know the instance type `{name}`"))?;
    let pod = runner_pod(profile, pool).map_err(|error| error.to_string())?;
    let node = json!({"status": {"allocatable": found.allocatable()}});
    let each = Node::of(&node).holds(&Pod::of(&with_default_requests(&pod)));
    if each == 0 {
        return Err(format!(
            "a node of `{name}` does not hold one of its runners"
        ));
    }
    let minutes = minutes(week, |min| u64::from(min).div_ceil(each));
    Ok(Nodes {
        instance_type: name.to_owned(),
        each,
        minutes,
        cost: cost(profile, name, minutes),
    })
}

fn cost(profile: &Profile, name: &str, minutes: Minutes) -> Result<Cost, String> {
    let region = profile
        .cluster
        .region
        .as_deref()
        .ok_or("the profile has no `cluster.region`")?;
    let price = price(region, name)
        .ok_or_else(|| format!("arcctl knows no price of `{name}` in `{region}`"))?;
    // Nodes of a week, times the hours of a month.
    let micro = u128::from(minutes.saved()) * HOURS_OF_A_MONTH * u128::from(price.micro_usd)
        / u128::from(MINUTES);
    Ok(Cost {
        region: region.to_owned(),
        price,
        saved: u64::try_from(micro / 1_000_000).unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::desired::tests::profile;

    /// A pool of 6, and on weekends none, in a region.
    fn of(changes: &Value, region: Option<&str>) -> Option<Saving> {
        let mut pool = json!({
            "name": "basic", "image": "r:v1-ubuntu-22.04", "min": 6, "max": 8,
            "schedule": {"timeZone": "Europe/Berlin", "windows": [
                {"name": "weekend", "from": "Sat 00:00", "to": "Mon 00:00", "min": 0}]},
        });
        for (key, value) in changes.as_object().unwrap() {
            pool[key] = value.clone();
        }
        let cluster = json!({"eks": "c", "region": region});
        let profile = profile(&json!({"cluster": cluster, "pools": [pool]}));
        saving(&profile, &profile.pools[0], Timestamp::UNIX_EPOCH).unwrap()
    }

    /// Two runners of a node with four vCPU.
    fn two_on_each() -> Value {
        let half = json!({"requests": {"cpu": "1500m", "memory": "1Gi"}, "limits": {}});
        let docker = json!({"requests": {"cpu": "10m", "memory": "10Mi"}, "limits": {}});
        json!({"instanceType": "m5.xlarge", "resources": {"runner": half, "docker": docker}})
    }

    #[test]
    fn a_pool_without_a_schedule_saves_nothing() {
        assert_eq!(of(&json!({"schedule": null}), None), None);
    }

    #[test]
    fn percent_needs_no_price_and_no_instance_type() {
        let saving = of(&json!({}), Some("us-east-1")).unwrap();
        assert_eq!(
            saving.runners,
            Minutes {
                scheduled: 6 * 5 * 1440,
                constant: 6 * 7 * 1440
            }
        );
        // Two of seven days.
        assert_eq!(saving.minutes().tenths(), 285);
        assert_eq!(saving.nodes.unwrap_err(), "the pool has no `instanceType`");
    }

    #[test]
    fn nodes_are_as_many_as_hold_the_runners() {
        let mut pool = two_on_each();
        pool["min"] = 5.into();
        pool["schedule"] = json!({"timeZone": "UTC", "windows": [
            {"name": "night", "from": "20:00", "to": "08:00", "min": 1}]});
        let saving = of(&pool, Some("us-east-1")).unwrap();
        let nodes = saving.nodes.clone().unwrap();
        assert_eq!((nodes.instance_type.as_str(), nodes.each), ("m5.xlarge", 2));
        // Three nodes for five runners, and one for one.
        assert_eq!(
            nodes.minutes,
            Minutes {
                scheduled: 7 * 720 * (3 + 1),
                constant: 7 * 1440 * 3
            }
        );
        assert_eq!(saving.minutes().tenths(), 333);
        assert_eq!(saving.runners.tenths(), 400);
        let cost = nodes.cost.unwrap();
        // One node on average, at 0.192 USD an hour.
        assert_eq!((cost.price.usd, cost.saved), ("0.192", 140));
    }

    #[test]
    fn a_price_that_is_not_known_is_not_made_up() {
        for (region, said) in [
            (
                Some("mars-north-1"),
                "arcctl knows no price of `m5.xlarge` in `mars-north-1`",
            ),
            (None, "the profile has no `cluster.region`"),
        ] {
            let nodes = of(&two_on_each(), region).unwrap().nodes.unwrap();
            assert_eq!(nodes.minutes.tenths(), 285);
            assert_eq!(nodes.cost.unwrap_err(), said);
        }
    }

    #[test]
    fn a_node_that_is_too_small_is_told() {
        let mut pool = two_on_each();
        pool["resources"]["runner"]["requests"]["cpu"] = "7".into();
        let saving = of(&pool, None).unwrap();
        assert_eq!(
            saving.nodes.unwrap_err(),
            "a node of `m5.xlarge` does not hold one of its runners"
        );
    }
}

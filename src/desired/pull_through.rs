//! The pull-through rules of Amazon ECR that a profile's images need, by the registry they come from. Pure: no I/O.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    DesiredError,
    lock::needed,
    placeholder::{self, Placeholder},
    resource::Chart,
};
use crate::{
    profile::Profile,
    units::{
        image::{DOCKER_HUB, split_registry},
        partition::Partition,
        pull_through::{Place, ROOT, Upstream, upstream},
    },
};

/// The rules of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullThrough {
    /// The rules, by the registry that they pull from.
    pub rules: Vec<Rule>,
    /// The images of other registries: no rule that arcctl knows pulls them.
    pub others: BTreeSet<String>,
}

/// A rule, and what it pulls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The registry that it pulls from.
    pub upstream: Upstream,
    /// The account of the private registry.
    pub account: String,
    /// Its region.
    pub region: String,
    /// What the names of its repositories begin with; `ROOT` for nothing.
    pub prefix: String,
    /// The images; those that a chart names itself without a tag.
    pub images: BTreeSet<String>,
    /// The charts from this registry.
    pub charts: Vec<Chart>,
}

/// The rules that the images and the charts of `profile` need: at the addresses that its `images.registries` names, and else
/// in the region of its cluster.
pub fn rules(profile: &Profile, now: Timestamp) -> Result<PullThrough, DesiredError> {
    let needed = needed(&with_own_registries(profile), now)?;
    let mut rules: BTreeMap<&str, Rule> = BTreeMap::new();
    let mut others = BTreeSet::new();
    for image in needed.named() {
        let (host, _) = split_registry(&image);
        match upstream(host.unwrap_or(DOCKER_HUB)) {
            Some(upstream) => {
                let rule = rules.entry(upstream.host);
                let rule = rule.or_insert_with(|| Rule::new(profile, upstream));
                rule.images.insert(image);
            }
            None => {
                others.insert(image);
            }
        }
    }
    for need in needed.charts {
        let reference = need.chart.oci_reference().unwrap_or_default();
        let host = reference
            .strip_prefix("oci://")
            .and_then(|it| it.split('/').next());
        if let Some(upstream) = host.and_then(upstream) {
            let rule = rules.entry(upstream.host);
            let rule = rule.or_insert_with(|| Rule::new(profile, upstream));
            rule.charts.push(need.chart);
        }
    }
    Ok(PullThrough {
        rules: rules.into_values().collect(),
        others,
    })
}

/// The images of `profile` that `images.registries` leaves at a registry with a rule, by that registry. Empty where it names
/// none at Amazon ECR, and where `images.registry` takes all others.
pub fn left_out(
    profile: &Profile,
    now: Timestamp,
) -> Result<Vec<(&'static str, BTreeSet<String>)>, DesiredError> {
    let images = profile.images.clone().unwrap_or_default();
    let mut mirrors = images.registries.values();
    if images.registry.is_some() || !mirrors.any(|it| Place::parse(it).is_some()) {
        return Ok(Vec::new());
    }
    let rules = rules(profile, now)?.rules.into_iter();
    let left = rules.filter(|it| !images.registries.contains_key(it.upstream.host));
    let with_images = left.filter(|it| !it.images.is_empty());
    Ok(with_images
        .map(|it| (it.upstream.host, it.images))
        .collect())
}

/// The profile with its images at the registries that they name themselves.
fn with_own_registries(profile: &Profile) -> Profile {
    let mut profile = profile.clone();
    if let Some(images) = &mut profile.images {
        images.registry = None;
        images.registries.clear();
    }
    profile
}

impl Rule {
    fn new(profile: &Profile, upstream: &Upstream) -> Self {
        let images = profile.images.as_ref();
        let named = images.and_then(|it| it.registries.get(upstream.host));
        let (account, region, prefix) = match named.and_then(|it| Place::parse(it)) {
            Some(place) if place.prefix.is_empty() => {
                (place.account.to_owned(), place.region.to_owned(), ROOT)
            }
            Some(place) => (
                place.account.to_owned(),
                place.region.to_owned(),
                place.prefix,
            ),
            None => (
                placeholder::AWS_ACCOUNT.text(),
                placeholder::AWS_REGION.or(profile.cluster.region.as_deref()),
                upstream.prefix,
            ),
        };
        Self {
            upstream: *upstream,
            account,
            region,
            prefix: prefix.to_owned(),
            images: BTreeSet::new(),
            charts: Vec::new(),
        }
    }

    /// What the names of its repositories begin with, with a slash at its end; empty for nothing.
    fn path(&self) -> String {
        if self.prefix == ROOT {
            String::new()
        } else {
            format!("{}/", self.prefix)
        }
    }

    /// The host of the private registry.
    pub fn host(&self) -> String {
        let suffix = Partition::of(&self.region).suffix;
        format!("{}.dkr.ecr.{}.{suffix}", self.account, self.region)
    }

    /// What takes the place of the registry: the value of `images.registries`.
    pub fn address(&self) -> String {
        let address = format!("{}/{}", self.host(), self.path());
        address.trim_end_matches('/').to_owned()
    }

    /// Where a chart is behind the rule: the value of a key of `charts`.
    pub fn chart_location(&self, chart: &Chart) -> String {
        let own = format!("oci://{}", self.upstream.host);
        let path = chart.location.strip_prefix(&own).unwrap_or_default();
        format!("oci://{}{path}", self.address())
    }

    /// The ARN of all its repositories.
    pub fn repositories(&self) -> String {
        format!(
            "arn:{}:ecr:{}:{}:repository/{}*",
            Partition::of(&self.region).name,
            self.region,
            self.account,
            self.path()
        )
    }

    /// The secret with its login; `None`: it needs none.
    pub fn secret(&self) -> Option<Placeholder> {
        let found = if self.upstream.host == DOCKER_HUB {
            placeholder::DOCKER_HUB_SECRET_ARN
        } else {
            placeholder::GHCR_SECRET_ARN
        };
        self.upstream.needs_login.then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::desired::tests::profile;

    fn of(more: &Value) -> PullThrough {
        rules(&profile(more), Timestamp::UNIX_EPOCH).unwrap()
    }

    fn hosts(found: &PullThrough) -> Vec<&str> {
        found.rules.iter().map(|it| it.upstream.host).collect()
    }

    #[test]
    fn each_registry_of_the_images_has_a_rule() {
        let found = of(&json!({"cluster": {"eks": "c", "region": "ap-northeast-2"}}));
        assert_eq!(hosts(&found), ["docker.io", "quay.io"]);
        let [hub, quay] = found.rules.as_slice() else {
            panic!("{found:?}");
        };
        assert!(hub.images.contains("docker:28-dind"), "{hub:?}");
        assert!(hub.images.contains("summerwind/actions-runner-controller"));
        assert!(
            quay.images
                .contains("quay.io/jetstack/cert-manager-webhook")
        );
        assert!(quay.images.contains("quay.io/brancz/kube-rbac-proxy"));
        assert_eq!(
            hub.address(),
            "${AWS_ACCOUNT}.dkr.ecr.ap-northeast-2.amazonaws.com/docker-hub"
        );
        assert_eq!(
            quay.repositories(),
            "arn:aws:ecr:ap-northeast-2:${AWS_ACCOUNT}:repository/quay/*"
        );
        assert_eq!(hub.secret(), Some(placeholder::DOCKER_HUB_SECRET_ARN));
        assert_eq!(quay.secret(), None);
        assert_eq!(found.others, BTreeSet::new());
    }

    #[test]
    fn the_addresses_of_the_profile_are_those_of_the_rules() {
        let registries = json!({
            "docker.io": "111122223333.dkr.ecr.us-gov-west-1.amazonaws.com/team/hub/",
            "quay.io": "111122223333.dkr.ecr.us-gov-west-1.amazonaws.com",
        });
        let found = of(&json!({"images": {"registry": "m.example", "registries": registries}}));
        assert_eq!(hosts(&found), ["docker.io", "quay.io"]);
        let [hub, quay] = found.rules.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(hub.prefix, "team/hub");
        assert_eq!(
            hub.repositories(),
            "arn:aws-us-gov:ecr:us-gov-west-1:111122223333:repository/team/hub/*"
        );
        assert_eq!(quay.prefix, ROOT);
        assert_eq!(
            quay.address(),
            "111122223333.dkr.ecr.us-gov-west-1.amazonaws.com"
        );
        assert_eq!(
            quay.repositories(),
            "arn:aws-us-gov:ecr:us-gov-west-1:111122223333:repository/*"
        );
    }

    #[test]
    fn images_and_charts_of_scale_sets_are_at_githubs_registry() {
        let found = of(&json!({"pools": [
            {"name": "a", "mode": "scaleSet", "image": "registry.example.com/runner:1", "min": 0, "max": 1},
        ]}));
        let ghcr = found.rules.iter().find(|it| it.upstream.host == "ghcr.io");
        let ghcr = ghcr.unwrap();
        let controller = "ghcr.io/actions/gha-runner-scale-set-controller";
        assert!(ghcr.images.contains(controller), "{ghcr:?}");
        assert!(!ghcr.charts.is_empty(), "{ghcr:?}");
        let location = ghcr.chart_location(&ghcr.charts[0]);
        assert!(
            location.starts_with("oci://${AWS_ACCOUNT}.dkr.ecr.")
                && location.contains("/ghcr/actions/"),
            "{location}"
        );
        let own = "registry.example.com/runner:1".to_owned();
        assert_eq!(found.others, BTreeSet::from([own]));
    }

    #[test]
    fn what_a_map_of_registries_leaves_out_is_told() {
        let of = |images: Value| {
            left_out(&profile(&json!({"images": images})), Timestamp::UNIX_EPOCH).unwrap()
        };
        let ecr = "111122223333.dkr.ecr.us-east-1.amazonaws.com/docker-hub";
        let left = of(json!({"registries": {"docker.io": ecr}}));
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].0, "quay.io");
        for all in [
            json!({}),
            json!({"registry": "m.example"}),
            json!({"registry": "m.example", "registries": {"docker.io": ecr}}),
            json!({"registries": {"docker.io": "harbor.example/hub"}}),
            json!({"registries": {"docker.io": ecr, "quay.io": "harbor.example/quay"}}),
        ] {
            assert_eq!(of(all.clone()), Vec::new(), "{all}");
        }
    }
}

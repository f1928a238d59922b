//! Rules that need the resulting manifests: pass-through fields against the CRDs, and keys that arcctl sets itself.
//! Pure: no I/O.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    DesiredError, Facts,
    charts::{
        cert_manager, controller,
        own_keys::{Place, instead},
        passthrough, scale_sets,
    },
    crd_schema,
    pool::{containers, instance_type, pod_rules, runner_deployment},
    pull_through, scale_set,
};
use crate::{
    profile::{
        ContainerMode, Pool, Profile, ResourceRequirements, Severity, lint::Finding, path::Path,
    },
    units::quantity::Amount,
};

/// Values that the API server would reject, or that arcctl sets too.
pub fn lint(profile: &Profile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let pools = Path::root().key("pools");
    for (index, pool) in profile.pools.iter().enumerate() {
        let base = pools.index(index);
        let rules = pod_rules::check(profile, pool, &base);
        // A pod rule's message is more specific than "unknown field".
        let is_told = |it: &Finding| {
            let mut told = rules.iter().filter(|rule| rule.severity == Severity::Error);
            told.any(|rule| rule.path == it.path)
        };
        findings.extend(schema_problems(profile, pool, &base).filter(|it| !is_told(it)));
        let collisions = if pool.is_scale_set() {
            scale_set::pod::template_collisions(profile, pool)
        } else {
            runner_deployment::template_collisions(profile, pool)
        };
        match collisions {
            Ok(paths) => findings.extend(
                paths
                    .iter()
                    .map(|path| own(&base.key("template"), Place::Template, path)),
            ),
            // `capacity` reports it at its own line.
            Err(DesiredError::UnknownInstanceType { .. }) => {}
            Err(error) => findings.push(finding(
                &base,
                "",
                error.to_string(),
                "correct this pool".into(),
            )),
        }
        findings.extend(rules);
        findings.extend(capacity(pool, &base));
        findings.extend(environment(profile, pool, &base));
    }
    let values = Path::root().key("controller").key("values");
    let collisions = controller::values_collisions(profile, &Facts::default());
    findings.extend(
        collisions
            .iter()
            .map(|path| own(&values, Place::Controller, path)),
    );
    let values = Path::root().key("certManager").key("values");
    let collisions = cert_manager::values_collisions(profile);
    findings.extend(
        collisions
            .iter()
            .map(|path| own(&values, Place::CertManager, path)),
    );
    let values = Path::root().key("scaleSets").key("values");
    let collisions = scale_sets::values_collisions(profile);
    findings.extend(
        collisions
            .iter()
            .map(|path| own(&values, Place::ScaleSets, path)),
    );
    findings.extend(passthrough::check(profile));
    findings.extend(not_pulled_through(profile));
    findings
}

/// Advice where `images.registries` leaves images at a registry that Amazon ECR could pull them from.
fn not_pulled_through(profile: &Profile) -> Vec<Finding> {
    // A profile without resources is told of elsewhere.
    let left = pull_through::left_out(profile, Timestamp::default()).unwrap_or_default();
    left.into_iter()
        .map(|(host, images)| {
            let images: Vec<String> = images.iter().map(|it| format!("`{it}`")).collect();
            Finding {
                path: Path::from(["images", "registries"]),
                message: format!(
                    "the nodes pull from `{host}` itself, which is not in it: {}",
                    images.join(", ")
                ),
                hint: Some(format!(
                    "add `{host}`: `arcctl render --pull-through documents` writes its rule and its line"
                )),
                severity: Severity::Advice,
            }
        })
        .collect()
}

/// What the CRDs of the pool's controller say about its pass-through fields.
fn schema_problems(profile: &Profile, pool: &Pool, base: &Path) -> impl Iterator<Item = Finding> {
    let (problems, version) = if pool.is_scale_set() {
        let version = &profile.scale_sets.chart_version;
        (crd_schema::check_scale_set(pool), version)
    } else {
        let version = &profile.controller.chart_version;
        (crd_schema::check_pool(pool, version), version)
    };
    problems.into_iter().map(move |problem| {
        let hint = format!("the CRDs of chart {version} say so; the API server would refuse it");
        finding(base, &problem.path, problem.message, hint)
    })
}

/// Checks that the instance type is known if resources depend on it, and that its nodes have room for the requests.
fn capacity(pool: &Pool, base: &Path) -> Vec<Finding> {
    let Some(name) = &pool.instance_type else {
        return Vec::new();
    };
    let given = pool.resources.as_ref();
    let runner = given.and_then(|it| it.runner.as_ref());
    let Some(found) = instance_type::lookup(name) else {
        if runner.is_some() {
            return Vec::new();
        }
        return vec![finding(
            base,
            "instanceType",
            format!(
                "`{name}` is not an instance type that arcctl knows, and the runner's resources come from it"
            ),
            "correct it, or write `resources.runner` yourself".into(),
        )];
    };
    let docker = given
        .and_then(|it| it.docker.as_ref())
        .filter(|_| pool.container_mode == ContainerMode::Dind);
    let place = match (runner, docker) {
        (Some(_), _) => "resources.runner",
        (None, Some(_)) => "resources.docker",
        // The instance type's own fractions always fit.
        (None, None) => return Vec::new(),
    };
    let shares = found.runner_resources();
    let node = [
        (
            "cpu",
            found.vcpu.to_string(),
            format!("{} vCPU", found.vcpu),
        ),
        (
            "memory",
            format!("{}Mi", found.memory_mib),
            format!("{} MiB of memory", found.memory_mib),
        ),
    ];
    node.iter()
        .filter(|(resource, size, _)| {
            let both = [Some(runner.unwrap_or(&shares)), docker];
            let asked = both
                .into_iter()
                .flatten()
                .filter_map(|it| request(it, resource))
                .reduce(Amount::plus);
            asked > Amount::parse(size)
        })
        .map(|(resource, _, size)| {
            finding(
                base,
                &format!("{place}.requests.{resource}"),
                format!("the containers of a runner ask for more than a `{name}` has, {size}: no node could take it"),
                "lower the requests, or take a larger instance type".into(),
            )
        })
        .collect()
}

/// A container's request; Kubernetes uses the limit if there is none.
fn request(requirements: &ResourceRequirements, resource: &str) -> Option<Amount> {
    requirements
        .requests
        .get(resource)
        .or_else(|| requirements.limits.get(resource))
        .and_then(|text| Amount::parse(text))
}

/// Reports variables of a pool that arcctl sets from other keys, and duplicates.
fn environment(profile: &Profile, pool: &Pool, base: &Path) -> Vec<Finding> {
    let set = if pool.is_scale_set() {
        scale_set::pod::own_environment(profile, pool)
    } else {
        containers::own_environment(profile, pool)
    };
    let mut seen: Vec<&str> = Vec::new();
    let mut findings = Vec::new();
    for (index, entry) in pool.env.iter().enumerate() {
        let Some(name) = entry.get("name").and_then(Value::as_str) else {
            continue;
        };
        let at = base.key("env").index(index);
        if set.iter().any(|(own, _)| own == name) {
            findings.push(finding(
                &at,
                "name",
                format!("`{name}` is set by arcctl itself, and would be contradicted here"),
                "take it out: `gracefulStop`, `proxy` or `github.caBundle` of the profile sets it"
                    .into(),
            ));
        } else if seen.contains(&name) {
            findings.push(finding(
                &at,
                "name",
                format!("`{name}` stands twice in this `env`"),
                "keep one of them".into(),
            ));
        }
        seen.push(name);
    }
    findings
}

fn own(base: &Path, place: Place, path: &str) -> Finding {
    let message = format!("`{path}` is set by arcctl itself");
    finding(base, path, message, instead(place, path))
}

fn finding(base: &Path, path: &str, message: String, hint: String) -> Finding {
    Finding {
        path: under(base, path),
        message,
        hint: Some(hint),
        severity: Severity::Error,
    }
}

/// Appends `path` (such as `volumes[0].name`) to `base`; it ends at an entry with a name instead of an index.
fn under(base: &Path, path: &str) -> Path {
    let mut result = base.clone();
    for part in path.split('.').filter(|it| !it.is_empty()) {
        let (key, rest) = part.split_once('[').unwrap_or((part, ""));
        result = result.key(key);
        if let Some(index) = rest.strip_suffix(']') {
            let Ok(index) = index.parse() else {
                return result;
            };
            result = result.index(index);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_profile() {
        let base = Path::root().key("pools").index(1);
        assert_eq!(
            under(&base, "template.volumes[0].name").to_string(),
            "pools[1].template.volumes[0].name"
        );
        assert_eq!(
            under(&base, "template.env[X].value").to_string(),
            "pools[1].template.env"
        );
    }
}

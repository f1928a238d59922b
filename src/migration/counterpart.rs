//! The new pool: the old one with what the other mode needs. Pure: no I/O.
//!
//! What has no counterpart and cannot be left out is refused by the rules for profiles, which check the new pool like any other.

use crate::{
    desired::pool::{
        both_modes::runner_labels,
        instance_type::{InstanceType, lookup},
        pod_rules::architecture::of_instance_type,
        runner_deployment::GIVEN_LABELS,
    },
    error::{Error, ErrorKind, Result, System},
    profile::{ContainerMode, Metric, MetricType, Mode, Pool, PoolResources, Scaling, Step},
    units::image::Image,
};

/// The node labels of the instance type and of the architecture.
const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
const ARCHITECTURE: &str = "kubernetes.io/arch";

/// The images that each mode's own project publishes: the registry, if it is not Docker Hub, and the repository.
const SCALE_SET_IMAGE: (Option<&str>, &str) = (Some("ghcr.io"), "actions/actions-runner");
const DEPLOYMENT_IMAGE: &str = "summerwind/actions-runner";

/// What GitHub calls the architectures, by their names in Kubernetes.
const ARCHITECTURES: [(&str, &str); 2] = [("amd64", "x64"), ("arm64", "arm64")];

/// Above and below which share of busy runners the number of runners is multiplied, and by what: as in the shipped profiles.
const GROW: (f64, f64) = (0.75, 2.0);
const SHRINK: (f64, f64) = (0.25, 0.5);

/// The new pool, and how it differs from the old one.
#[derive(Clone, Debug, PartialEq)]
pub struct Counterpart {
    /// The new pool.
    pub pool: Pool,
    /// What differs, in words.
    pub differs: Vec<String>,
}

/// What the new pool is to have.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its mode.
    pub mode: Mode,
    /// Its image; `None`: the same runner in the image of the other project.
    pub image: Option<&'a str>,
    /// Whether it has the labels of the old one.
    pub labels: bool,
}

/// The pool beside `from`.
pub fn counterpart(from: &Pool, wish: &Wish<'_>) -> Result<Counterpart> {
    let mut pool = Pool {
        name: wish.name.to_owned(),
        mode: wish.mode,
        image: image(from, wish)?,
        ..from.clone()
    };
    let mut differs = Vec::new();
    if pool.image != from.image {
        differs.push(format!("its image is `{}`", pool.image));
    }
    match wish.mode {
        Mode::ScaleSet => as_scale_set(&mut pool, from, wish.labels, &mut differs),
        Mode::RunnerDeployment => as_deployment(&mut pool, from, &mut differs),
    }
    Ok(Counterpart { pool, differs })
}

fn as_scale_set(pool: &mut Pool, from: &Pool, labels: bool, differs: &mut Vec<String>) {
    if pool.scaling.take().is_some() {
        differs.push("it has no `scaling`: each job gets its own runner, up to `max`".to_owned());
    }
    if pool.container_mode == ContainerMode::DindInRunner {
        pool.container_mode = ContainerMode::Dind;
        differs.push("its docker daemon runs in a separate container (`dind`)".to_owned());
    }
    if labels {
        let architecture = architecture(pool);
        let given = ["self-hosted", "linux"].into_iter().chain(architecture);
        let own = std::mem::take(&mut pool.labels);
        for label in given.map(str::to_owned).chain(own) {
            let is_there = |it: &String| it.eq_ignore_ascii_case(&label);
            if !is_name(&label, pool) && !pool.labels.iter().any(is_there) {
                pool.labels.push(label);
            }
        }
        differs.push(format!(
            "its `labels` are {}: with those that GitHub adds to other runners automatically",
            pool.labels.join(", ")
        ));
        if let Some(label) = of_its_own(pool, from) {
            differs.push(format!(
                "it has the label `{label}`, because pool `{}` has the label `{1}`: `runs-on: [{1}, {label}]` finds it alone",
                from.name, pool.name
            ));
            pool.labels.push(label);
        }
        if architecture.is_none() {
            differs.push(
                "the architecture of its nodes is not known: add `x64` or `arm64` to its `labels` if workflows use it"
                    .to_owned(),
            );
        }
    } else {
        without_labels(pool);
        differs.push(format!(
            "it has no labels: only jobs with `runs-on: {}` run on it",
            pool.name
        ));
    }
}

fn is_name(label: &str, pool: &Pool) -> bool {
    label.eq_ignore_ascii_case(&pool.name)
}

/// The instance type is a label too: the node selector and the resources that it stands for take its place.
fn without_labels(pool: &mut Pool) {
    pool.labels.clear();
    let Some(instance_type) = pool.instance_type.take() else {
        return;
    };
    let resources = pool.resources.get_or_insert_with(PoolResources::default);
    if resources.runner.is_none() {
        resources.runner = lookup(&instance_type).map(InstanceType::runner_resources);
    }
    pool.node_selector
        .insert(INSTANCE_TYPE.to_owned(), instance_type);
}

fn as_deployment(pool: &mut Pool, from: &Pool, differs: &mut Vec<String>) {
    let old = &from.name;
    let is_given = |it: &String| {
        GIVEN_LABELS
            .iter()
            .any(|given| it.eq_ignore_ascii_case(given))
    };
    pool.labels.retain(|it| !is_given(it));
    if !pool.labels.iter().any(|it| it.eq_ignore_ascii_case(old)) {
        pool.labels.push(old.clone());
        differs.push(format!(
            "it has the label `{old}`, so that jobs with `runs-on: {old}` run on it too"
        ));
    }
    // Both pools have all other labels: a job that tries the new one must not run on the old one.
    let has = |label: &str| pool.labels.iter().any(|it| it.eq_ignore_ascii_case(label));
    if !has(&pool.name) {
        differs.push(format!(
            "it has its own name as a label: `runs-on: [self-hosted, {}]` selects only this pool",
            pool.name
        ));
        pool.labels.push(pool.name.clone());
    }
    if let Some(label) = of_its_own(pool, from) {
        differs.push(format!(
            "it has the label `{label}`, which pool `{old}` does not have: `runs-on: [self-hosted, {label}]` finds it alone"
        ));
        pool.labels.push(label);
    }
    if pool.max > pool.min && pool.scaling.is_none() {
        pool.scaling = Some(Scaling {
            metrics: vec![Metric {
                kind: MetricType::PercentageRunnersBusy,
                repositories: Vec::new(),
                scale_up: Some(step(GROW)),
                scale_down: Some(step(SHRINK)),
            }],
            triggers: Vec::new(),
            scale_down_delay: None,
        });
        differs.push(
            "it scales by the percentage of busy runners (`PercentageRunnersBusy`): change `scaling` if you want another metric"
                .to_owned(),
        );
    }
}

/// A label for the new pool where jobs for it may run on the old one, which has all that they ask for: after there and back each
/// has the name of the other as a label.
fn of_its_own(pool: &Pool, from: &Pool) -> Option<String> {
    let theirs = found_by(from);
    let is_theirs = |label: &str| theirs.iter().any(|it| it.eq_ignore_ascii_case(label));
    let first = match pool.mode {
        Mode::ScaleSet => pool.name.as_str(),
        Mode::RunnerDeployment => "self-hosted",
    };
    if !is_theirs(first) || runner_labels(pool).iter().any(|it| !is_theirs(it)) {
        return None;
    }
    let mut labels = (2..).map(|number| format!("{}-{number}", pool.name));
    labels.find(|it| !is_theirs(it))
}

const fn step((threshold, factor): (f64, f64)) -> Step {
    Step {
        threshold: Some(threshold),
        factor: Some(factor),
        adjustment: None,
    }
}

/// What GitHub calls the architecture of the pool's nodes, where the profile says it.
fn architecture(pool: &Pool) -> Option<&'static str> {
    let selected = pool.node_selector.get(ARCHITECTURE).map(String::as_str);
    let typed = pool.instance_type.as_deref().map(of_instance_type);
    let name = selected.or(typed)?;
    ARCHITECTURES
        .iter()
        .find(|(own, _)| *own == name)
        .map(|(_, at_github)| *at_github)
}

/// The same version of the runner in the image of the other mode, where both are those of the projects.
fn image(from: &Pool, wish: &Wish<'_>) -> Result<String> {
    if let Some(image) = wish.image {
        return Ok(image.to_owned());
    }
    let own = Image::parse(&from.image);
    let version = own.and_then(|it| {
        let is_hub = matches!(it.registry, None | Some("docker.io"));
        let is_published = match wish.mode {
            Mode::ScaleSet => is_hub && it.repository.starts_with(DEPLOYMENT_IMAGE),
            Mode::RunnerDeployment => (it.registry, it.repository) == SCALE_SET_IMAGE,
        };
        it.runner_version().filter(|_| is_published)
    });
    let Some(version) = version else {
        return Err(Error::new(
            ErrorKind::Usage,
            System::Profile,
            format!(
                "the image `{}` of pool `{}` does not work in the other mode, and arcctl knows no image to replace it",
                from.image, from.name
            ),
        )
        .object(format!("pool `{}`", from.name))
        .hint(match wish.mode {
            Mode::ScaleSet => "set --image to an image built from `ghcr.io/actions/actions-runner`",
            Mode::RunnerDeployment => "set --image to an image built from `summerwind/actions-runner`",
        }));
    };
    Ok(match wish.mode {
        Mode::ScaleSet => format!("ghcr.io/actions/actions-runner:{version}"),
        Mode::RunnerDeployment => format!("{DEPLOYMENT_IMAGE}:v{version}-ubuntu-22.04"),
    })
}

/// The labels by which jobs find a pool's runners: for a scale set with its name, for others with those that GitHub gives.
pub fn found_by(pool: &Pool) -> Vec<String> {
    let own = runner_labels(pool);
    let more: Vec<&str> = match pool.mode {
        Mode::ScaleSet => vec![pool.name.as_str()],
        Mode::RunnerDeployment => ["self-hosted", "linux"]
            .into_iter()
            .chain(architecture(pool))
            .collect(),
    };
    more.into_iter().map(str::to_owned).chain(own).collect()
}

//! The profile that `arcctl init` writes, from the answers and what is known: templates/init/ has its parts. Pure: no I/O.

use super::{
    answers::{ANY, Answers, Key, NONE, Place},
    facts::{ClusterFacts, Facts, NodeGroup, Taint},
};
use crate::{
    desired::pool::instance_type,
    profile::{Scope, TokenSource},
    templates::{
        INIT_APP, INIT_CA_BUNDLE, INIT_CHARTS, INIT_CONTEXT, INIT_EKS, INIT_FARGATE, INIT_GROUP,
        INIT_INSTANCE_TYPE, INIT_NIGHTS, INIT_NODE_SELECTOR, INIT_PROFILE, INIT_ROLE, INIT_SCALING,
        INIT_SCOPE, INIT_SERVER, INIT_SIZE, INIT_TOKEN, INIT_TOKEN_OWNER, INIT_TOLERATIONS,
        INIT_WEEKENDS,
    },
    units::Arn,
};

/// The JSON Schema of profiles, for editors.
pub(crate) const SCHEMA: &str = "https://arcctl.dev/schema/v1.json";

/// The runner image of a new profile, and the label that names its system.
pub(crate) const IMAGE: &str = "summerwind/actions-runner:v2.336.0-ubuntu-22.04";
const LABEL: &str = "ubuntu-22.04";

/// What a profile says beside the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extras {
    /// The profile's name; from the scope without one.
    pub name: Option<String>,
    /// The pool's name.
    pub pool: String,
    /// The runner image.
    pub image: String,
    /// Where both charts come from, if not their public repositories.
    pub charts: Option<String>,
}

/// The profile's name: that of the command line, or made from the scope.
pub(crate) fn name(answers: &Answers, extras: &Extras) -> String {
    if let Some(name) = &extras.name {
        return name.clone();
    }
    let scope = match answers.scope() {
        Some(Scope::Enterprise(name) | Scope::Organization(name)) => name,
        Some(Scope::Repository(name)) => name.rsplit('/').next().unwrap_or(name),
        None => "",
    };
    let plain = |it: char| match it.to_ascii_lowercase() {
        it if it.is_ascii_alphanumeric() => it,
        _ => '-',
    };
    let name: String = scope.chars().map(plain).take(32).collect();
    match name.trim_matches('-') {
        "" => "runners".to_owned(),
        name => name.to_owned(),
    }
}

/// The text of the profile.
pub(crate) fn text(answers: &Answers, facts: &Facts, extras: &Extras) -> String {
    let label = if extras.image.contains(LABEL) {
        LABEL
    } else {
        &extras.pool
    };
    let filled = INIT_PROFILE.text(&[
        ("SCHEMA", SCHEMA),
        ("NAME", &scalar(&name(answers, extras))),
        ("CLUSTER", &cluster(answers)),
        ("GITHUB", &github(answers, facts)),
        ("OTHERS", &others(answers, facts, extras)),
        ("POOL", &scalar(&extras.pool)),
        ("IMAGE", &scalar(&extras.image)),
        ("LABELS", &scalar(label)),
        ("FIRST_LABEL", label),
        ("POOL_KEYS", &pool(answers, facts)),
    ]);
    // A part that is left out leaves its line empty.
    let mut text = String::with_capacity(filled.len());
    let mut blank = false;
    for line in filled.lines().map(str::trim_end) {
        if line.is_empty() {
            blank = true;
            continue;
        }
        if blank {
            text.push('\n');
            blank = false;
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn cluster(answers: &Answers) -> String {
    match answers.place() {
        Some(Place::Eks { name, region }) => {
            INIT_EKS.text(&[("NAME", &scalar(&name)), ("REGION", &scalar(&region))])
        }
        Some(Place::Context(name)) => INIT_CONTEXT.text(&[("NAME", &scalar(&name))]),
        None => String::new(),
    }
}

fn github(answers: &Answers, facts: &Facts) -> String {
    let mut text = String::new();
    if let Some(url) = answers.server() {
        text += &INIT_SERVER.text(&[("URL", &scalar(url))]);
    }
    if let Some(scope) = answers.scope() {
        let (kind, name) = match scope {
            Scope::Enterprise(name) => ("enterprise", name),
            Scope::Organization(name) => ("organization", name),
            Scope::Repository(name) => ("repository", name),
        };
        text += &INIT_SCOPE.text(&[("KIND", kind), ("NAME", &scalar(name))]);
    }
    let source = answers.source().unwrap_or_default();
    let (kind, place) = named(&source);
    if let Some((id, installation)) = answers.app().filter(|_| answers.is_app()) {
        text += &INIT_APP.text(&[
            ("ID", id),
            ("INSTALLATION", installation),
            ("KIND", kind),
            ("SOURCE", &place),
        ]);
    } else {
        text += &INIT_TOKEN.text(&[("KIND", kind), ("SOURCE", &place)]);
        let account = facts.identity.as_ref().and_then(|it| it.as_ref().ok());
        if let Some(login) = account.and_then(|it| it.login.as_ref()) {
            text += &INIT_TOKEN_OWNER.text(&[("LOGIN", &scalar(login))]);
        }
    }
    if let Some(file) = answers.whole(Key::CaBundle) {
        text += &INIT_CA_BUNDLE.text(&[("FILE", &scalar(file))]);
    }
    text
}

/// The key and the value of a source.
fn named(source: &TokenSource) -> (&'static str, String) {
    let plain = [
        ("env", &source.env),
        ("file", &source.file),
        ("secretsManager", &source.secrets_manager),
        ("ssm", &source.ssm),
    ];
    let found = plain
        .into_iter()
        .find_map(|(kind, name)| Some((kind, scalar(name.as_ref()?))));
    found.unwrap_or_else(|| {
        let secret = source.kubernetes_secret.as_ref();
        let words = secret.map(|it| {
            let (namespace, name, key) = (scalar(&it.namespace), scalar(&it.name), scalar(&it.key));
            format!("{{namespace: {namespace}, name: {name}, key: {key}}}")
        });
        ("kubernetesSecret", words.unwrap_or_default())
    })
}

/// The sections between `github` and `pools`.
fn others(answers: &Answers, facts: &Facts, extras: &Extras) -> String {
    let mut text = String::new();
    if let Some(place) = &extras.charts {
        text += &INIT_CHARTS.text(&[("PLACE", &scalar(place))]);
    }
    let cluster = facts.cluster.as_ref().and_then(|it| it.as_ref().ok());
    let installs = |it: &&ClusterFacts| !matches!(it.cert_manager, Ok(Some(_)));
    if cluster
        .filter(installs)
        .is_some_and(ClusterFacts::is_fargate_only)
    {
        text += &INIT_FARGATE.text(&[]);
    }
    let is_eks = matches!(answers.place(), Some(Place::Eks { .. }));
    let role = answers.whole(Key::Role).filter(|it| *it != NONE && is_eks);
    if let Some(role) = role {
        text += &INIT_ROLE.text(&[
            ("ROLE", &scalar(role)),
            ("ACCOUNT", &scalar(&account(role))),
        ]);
    }
    text
}

/// The name of the runners' `ServiceAccount`: that of the role, as far as Kubernetes takes it.
fn account(role: &str) -> String {
    let name = Arn::parse(role).map_or(role, |_| role.rsplit('/').next().unwrap_or(role));
    let plain = |it: char| match it.to_ascii_lowercase() {
        it if it.is_ascii_alphanumeric() || it == '-' => it,
        _ => '-',
    };
    let name: String = name.chars().map(plain).collect();
    match name.trim_matches('-') {
        "" => "runners".to_owned(),
        name => name.to_owned(),
    }
}

fn pool(answers: &Answers, facts: &Facts) -> String {
    let mut text = String::new();
    if let Some(kind) = answers.whole(Key::Nodes).filter(|it| *it != ANY) {
        let template = match instance_type::lookup(kind) {
            Some(_) => &INIT_INSTANCE_TYPE,
            None => &INIT_NODE_SELECTOR,
        };
        text += &template.text(&[("TYPE", &scalar(kind))]);
        let items: Vec<String> = taints(kind, facts).iter().map(toleration).collect();
        if !items.is_empty() {
            text += &INIT_TOLERATIONS.text(&[("ITEMS", &items.join("\n"))]);
        }
    }
    let groups = facts.groups.as_ref().and_then(|it| it.as_ref().ok());
    let is_default =
        |name: &str| groups.is_some_and(|all| all.iter().any(|it| it.default && it.name == name));
    if let Some(group) = answers.whole(Key::Group).filter(|it| !is_default(it)) {
        text += &INIT_GROUP.text(&[("GROUP", &scalar(group))]);
    }
    let (min, max) = answers.runners().unwrap_or((1, 1));
    text += &INIT_SIZE.text(&[
        ("MIN", &min.to_string()),
        ("MAX", &max.to_string()),
        (
            "CONTAINERS",
            answers.whole(Key::Containers).unwrap_or("dind"),
        ),
    ]);
    if max > min {
        text += &INIT_SCALING.text(&[]);
    }
    let zone = answers.whole(Key::TimeZone).unwrap_or("UTC");
    match answers.whole(Key::Schedule) {
        Some("weekends") => text += &INIT_WEEKENDS.text(&[("ZONE", &scalar(zone))]),
        Some("nights-and-weekends") => text += &INIT_NIGHTS.text(&[("ZONE", &scalar(zone))]),
        _ => {}
    }
    text
}

/// The taints of the nodes of an instance type: none if some of them take all pods.
fn taints(kind: &str, facts: &Facts) -> Vec<Taint> {
    let cluster = facts.cluster.as_ref().and_then(|it| it.as_ref().ok());
    let nodes = cluster.and_then(|it| it.nodes.as_ref().ok());
    let groups = nodes.into_iter().flat_map(|it| &it.groups);
    let mut of = groups.filter(|it: &&NodeGroup| it.instance_type == kind);
    of.next().map(|it| it.taints.clone()).unwrap_or_default()
}

fn toleration(taint: &Taint) -> String {
    let (key, effect) = (scalar(&taint.key), scalar(&taint.effect));
    match taint.value.as_str() {
        "" => format!("      - {{key: {key}, operator: Exists, effect: {effect}}}"),
        value => format!(
            "      - {{key: {key}, value: {}, effect: {effect}}}",
            scalar(value)
        ),
    }
}

/// Words that YAML reads as something else than text, in one of its versions.
const WORDS: [&str; 11] = [
    "", "true", "false", "yes", "no", "on", "off", "y", "n", "null", "~",
];

/// `text` as a YAML scalar: quoted where YAML would read something else.
pub(crate) fn scalar(text: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "_./@:-+ ".contains(it);
    let begins = text.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '/');
    // Decimal, hexadecimal and sexagesimal numbers, and dates.
    let digits = |it: u8| it.is_ascii_hexdigit() || b"._:xo+- ".contains(&it);
    let version =
        text.matches('.').count() > 1 && text.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    let number = text.parse::<f64>().is_ok()
        || (text.starts_with(|it: char| it.is_ascii_digit()) && text.bytes().all(digits));
    let word = WORDS.contains(&text.to_ascii_lowercase().as_str());
    let ends = text.contains(": ") || text.ends_with([':', ' ']);
    if begins && !ends && text.chars().all(plain) && (version || !number) && !word {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "''"))
}

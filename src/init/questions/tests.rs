//! From what is known to the questions.

use super::*;
use crate::init::{
    answers::checked,
    facts::{Account, ClusterFacts, Controller, Group, NodeGroup, Nodes, Places},
};

/// A cluster of which nothing could be read.
pub(crate) fn unknown_cluster() -> ClusterFacts {
    let why = || "forbidden".to_owned();
    ClusterFacts {
        version: Ok((1, 36)),
        nodes: Err(why()),
        node_pools: Err(why()),
        cert_manager: Err(why()),
        controllers: Err(why()),
        runners: Err(why()),
        profiles: Err(why()),
    }
}

pub(crate) fn nodes(kind: &str, count: usize) -> NodeGroup {
    NodeGroup {
        instance_type: kind.into(),
        count,
        zones: vec!["a".into()],
        taints: Vec::new(),
        architecture: "amd64".into(),
    }
}

pub(crate) fn account(organizations: &[&str]) -> Account {
    Account {
        version: Some("3.19.0".into()),
        kind: "classic token".into(),
        login: Some("arc-admin".into()),
        scopes: Some(vec!["admin:org".into()]),
        organizations: Ok(organizations.iter().map(ToString::to_string).collect()),
        left_out: 0,
    }
}

fn with_cluster(cluster: ClusterFacts) -> Facts {
    Facts {
        cluster: Some(Ok(cluster)),
        ..Facts::default()
    }
}

fn answered(pairs: &[(Key, &str)]) -> Answers {
    let mut answers = Answers::default();
    for (key, value) in pairs {
        answers.set(*key, Some((*value).to_owned()));
    }
    answers
}

fn asked(key: Key, answers: &Answers, facts: &Facts) -> Question {
    open(answers, facts)
        .find(|it| it.key == key)
        .unwrap_or_else(|| panic!("{key:?} is not asked"))
}

fn values(question: &Question) -> Vec<&str> {
    match &question.form {
        Form::Choice { options, .. } => options.iter().map(|it| it.value.as_str()).collect(),
        Form::Text { .. } => Vec::new(),
    }
}

/// Answers everything by its default, and a question without one with the first of `given` about it.
pub(crate) fn answer_all(facts: &Facts, given: &[(Key, &str)]) -> (Answers, Vec<Key>) {
    let mut answers = answered(given);
    let mut order = Vec::new();
    while let Some(question) = { open(&answers, facts).next() } {
        let value = question.default();
        let value = value.unwrap_or_else(|| panic!("{:?} has no default", question.key));
        assert_eq!(checked(question.key, &value).as_ref(), Ok(&value));
        order.push(question.key);
        answers.set(question.key, Some(value));
    }
    (answers, order)
}

#[test]
fn the_cluster_is_the_current_one_and_its_context_is_not_shown_twice() {
    let arn = "arn:aws:eks:ap-northeast-2:111122223333:cluster/runners";
    let mut facts = Facts {
        places: Places {
            region: Some("ap-northeast-2".into()),
            eks: Ok(vec!["other".into(), "runners".into()]),
            contexts: Ok(vec![arn.into(), "kind".into()]),
            current: Some(arn.into()),
        },
        ..Facts::default()
    };
    let question = asked(Key::Cluster, &Answers::default(), &facts);
    assert_eq!(
        values(&question),
        [
            "eks:other@ap-northeast-2",
            "eks:runners@ap-northeast-2",
            "context:kind",
            "eks:",
        ]
    );
    assert_eq!(
        question.default().as_deref(),
        Some("eks:runners@ap-northeast-2")
    );
    // Nothing says which one is meant.
    facts.places.current = None;
    let question = asked(Key::Cluster, &Answers::default(), &facts);
    assert_eq!(question.default(), None);
    facts.places.contexts = Err("broken".into());
    facts.places.eks = Ok(vec!["one".into()]);
    let question = asked(Key::Cluster, &Answers::default(), &facts);
    assert_eq!(
        question.default().as_deref(),
        Some("eks:one@ap-northeast-2")
    );
    // No cluster at all: its name can be typed.
    facts.places.eks = Err("denied".into());
    let question = asked(Key::Cluster, &Answers::default(), &facts);
    assert_eq!(
        (values(&question), question.default()),
        (vec!["eks:"], None)
    );
    let half = answered(&[(Key::Cluster, "eks:")]);
    let question = asked(Key::Cluster, &half, &facts);
    assert!(matches!(question.form, Form::Text { prefix, .. } if prefix == "eks:"));
}

#[test]
fn a_controller_that_is_there_knows_its_server() {
    let controller = Controller {
        namespace: "actions-runner-system".into(),
        release: None,
        watches: None,
        github_url: Some("https://ghe.example".into()),
    };
    let facts = with_cluster(ClusterFacts {
        controllers: Ok(vec![controller]),
        ..unknown_cluster()
    });
    let question = asked(Key::Server, &Answers::default(), &facts);
    assert_eq!(question.default().as_deref(), Some("https://ghe.example"));
    let question = asked(Key::Server, &Answers::default(), &Facts::default());
    assert_eq!(question.default().as_deref(), Some("github.com"));
}

#[test]
fn the_only_organization_is_the_default_and_of_several_none() {
    let scope = |organizations: &[&str], answers: &Answers| {
        let facts = Facts {
            identity: Some(Ok(account(organizations))),
            ..Facts::default()
        };
        asked(Key::Scope, answers, &facts)
    };
    let none = Answers::default();
    assert_eq!(
        scope(&["doge"], &none).default().as_deref(),
        Some("organization:doge")
    );
    assert_eq!(scope(&["a", "b"], &none).default(), None);
    assert_eq!(scope(&[], &none).default(), None);
    assert_eq!(
        values(&scope(&[], &none)),
        ["organization:", "enterprise:", "repository:"]
    );
    // A GitHub App cannot register runners of an enterprise.
    let app = answered(&[(Key::Credential, "app")]);
    assert_eq!(values(&scope(&[], &app)), ["organization:", "repository:"]);
}

#[test]
fn a_set_variable_is_offered_first() {
    let facts = Facts {
        token_variables: vec!["GH_TOKEN".into()],
        ..Facts::default()
    };
    let question = asked(Key::Credential, &Answers::default(), &facts);
    assert_eq!(
        values(&question)[..2],
        ["env:GH_TOKEN", "env:ARCCTL_GITHUB_TOKEN"]
    );
    let question = asked(Key::Credential, &Answers::default(), &Facts::default());
    assert_eq!(
        question.default().as_deref(),
        Some("env:ARCCTL_GITHUB_TOKEN")
    );
}

#[test]
fn groups_are_asked_about_where_there_is_a_choice() {
    let group = |name: &str, default| Group {
        name: name.into(),
        default,
        restricted: !default,
    };
    let of = |groups: Vec<Group>| Facts {
        groups: Some(Ok(groups)),
        ..Facts::default()
    };
    let one = of(vec![group("Default", true)]);
    assert!(open(&Answers::default(), &one).all(|it| it.key != Key::Group));
    let two = of(vec![group("ci", false), group("Default", true)]);
    let question = asked(Key::Group, &Answers::default(), &two);
    assert_eq!(question.default().as_deref(), Some("Default"));
}

#[test]
fn fargate_has_no_docker_and_nodes_give_the_numbers() {
    let fargate = with_cluster(ClusterFacts {
        nodes: Ok(Nodes {
            groups: Vec::new(),
            fargate: 3,
            ..Nodes::default()
        }),
        node_pools: Ok(Vec::new()),
        ..unknown_cluster()
    });
    let question = asked(Key::Containers, &Answers::default(), &fargate);
    assert_eq!(question.default().as_deref(), Some("none"));
    assert!(question.follows.contains("Fargate"), "{}", question.follows);
    assert!(open(&Answers::default(), &fargate).all(|it| it.key != Key::Nodes));

    let mut cluster = ClusterFacts {
        nodes: Ok(Nodes {
            groups: vec![nodes("t3a.large", 3), nodes("c5.xlarge", 1)],
            fargate: 1,
            ..Nodes::default()
        }),
        node_pools: Ok(Vec::new()),
        ..unknown_cluster()
    };
    let facts = with_cluster(cluster.clone());
    let question = asked(Key::Nodes, &Answers::default(), &facts);
    assert_eq!(values(&question), ["t3a.large", "c5.xlarge", "any"]);
    assert_eq!(question.default().as_deref(), Some("t3a.large"));
    let runners = |kind: &str, facts: &Facts| {
        let answers = answered(&[(Key::Nodes, kind)]);
        asked(Key::Runners, &answers, facts).default().unwrap()
    };
    assert_eq!(runners("t3a.large", &facts), "1-6");
    assert_eq!(runners("c5.xlarge", &facts), "1-2");
    assert_eq!(runners("any", &facts), "1-8");
    assert_eq!(runners("any", &Facts::default()), "1-4");
    assert_eq!(
        asked(Key::Containers, &Answers::default(), &facts)
            .default()
            .as_deref(),
        Some("dind")
    );
    // Karpenter makes nodes of the type that fits.
    cluster.node_pools = Ok(vec!["default".into()]);
    let facts = with_cluster(cluster);
    assert_eq!(
        asked(Key::Nodes, &Answers::default(), &facts)
            .default()
            .as_deref(),
        Some("any")
    );
    assert_eq!(runners("any", &facts), "1-10");
}

#[test]
fn a_schedule_is_asked_about_where_it_saves_something() {
    let facts = Facts {
        time_zone: Some("Asia/Seoul".into()),
        ..Facts::default()
    };
    let one = answered(&[(Key::Runners, "1-4")]);
    assert!(open(&one, &facts).all(|it| it.key != Key::Schedule));
    let two = answered(&[(Key::Runners, "2-4")]);
    assert_eq!(
        asked(Key::Schedule, &two, &facts).default().as_deref(),
        Some("none")
    );
    assert!(open(&two, &facts).all(|it| it.key != Key::TimeZone));
    let weekends = answered(&[(Key::Runners, "2-4"), (Key::Schedule, "weekends")]);
    assert_eq!(
        asked(Key::TimeZone, &weekends, &facts).default().as_deref(),
        Some("Asia/Seoul")
    );
}

#[test]
fn little_is_asked() {
    let facts = Facts {
        identity: Some(Ok(account(&["doge"]))),
        ..with_cluster(ClusterFacts {
            nodes: Ok(Nodes {
                groups: vec![nodes("t3a.large", 2)],
                fargate: 0,
                ..Nodes::default()
            }),
            ..unknown_cluster()
        })
    };
    let (_, order) = answer_all(&facts, &[(Key::Cluster, "context:sandbox")]);
    assert_eq!(
        order,
        [
            Key::Server,
            Key::Credential,
            Key::Scope,
            Key::Nodes,
            Key::Containers,
            Key::Runners,
        ]
    );
    let (_, order) = answer_all(&facts, &[(Key::Cluster, "eks:runners@ap-northeast-2")]);
    assert_eq!(order.last(), Some(&Key::Role));
}

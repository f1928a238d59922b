//! The questions about the pool of runners: nodes, containers, numbers, schedule. Pure: no I/O.

use super::{Choice, Form, Question, choice};
use crate::init::{
    answers::{ANY, Answers, Key, NONE},
    facts::{ClusterFacts, Facts, NodeGroup},
};

/// The most runners where nothing is known of the nodes, and where nodes are made for them.
const MOST_UNKNOWN: usize = 4;
const MOST_MADE: usize = 10;

/// The cluster, if it could be read.
fn cluster(facts: &Facts) -> Option<&ClusterFacts> {
    facts.cluster.as_ref()?.as_ref().ok()
}

/// The groups of nodes that have an instance type and the architecture of the runner image.
fn groups(facts: &Facts) -> Vec<&NodeGroup> {
    let nodes = cluster(facts).and_then(|it| it.nodes.as_ref().ok());
    let groups = nodes.into_iter().flat_map(|it| &it.groups);
    groups.filter(|it| !it.instance_type.is_empty()).collect()
}

/// Asked where the cluster has EC2 nodes.
pub(super) fn nodes(facts: &Facts) -> Option<Question> {
    let groups = groups(facts);
    if groups.is_empty() {
        return None;
    }
    let mut options: Vec<Choice> = Vec::new();
    for group in groups {
        if options.iter().all(|it| it.value != group.instance_type) {
            options.push(choice(&group.instance_type, group.words()));
        }
    }
    options.push(choice(ANY, "any node: no instance type in the profile"));
    let made = cluster(facts).is_some_and(ClusterFacts::makes_nodes);
    let default = if made { options.len() - 1 } else { 0 };
    Some(Question {
        key: Key::Nodes,
        prompt: "On which nodes do runners run?".into(),
        follows: "the instance type becomes a node selector, a label of the runners, and the size of each: 1/4 of its vCPU requested, 3/4 at most".into(),
        form: Form::Choice {
            options,
            default: Some(default),
        },
    })
}

pub(super) fn containers(facts: &Facts) -> Question {
    let fargate = cluster(facts).is_some_and(ClusterFacts::is_fargate_only);
    let follows = if fargate {
        "all pods of this cluster run on Fargate, which starts no privileged container: docker needs EC2 nodes"
    } else {
        "with docker, each runner has a privileged docker daemon beside it"
    };
    Question {
        key: Key::Containers,
        prompt: "Do jobs use docker?".into(),
        follows: follows.into(),
        form: Form::Choice {
            options: vec![
                choice("dind", "yes: docker build, docker run, container actions"),
                choice(NONE, "no: nothing privileged"),
            ],
            default: Some(usize::from(fargate)),
        },
    }
}

pub(super) fn runners(answers: &Answers, facts: &Facts) -> Question {
    let most = if cluster(facts).is_some_and(ClusterFacts::makes_nodes) {
        MOST_MADE
    } else {
        let wanted = answers.whole(Key::Nodes).unwrap_or(ANY);
        let fits = |it: &&NodeGroup| wanted == ANY || it.instance_type == wanted;
        let count: usize = groups(facts)
            .into_iter()
            .filter(fits)
            .map(|it| it.count)
            .sum();
        // Two runners per node fit with the default requests, beside what else runs there.
        match count {
            0 => MOST_UNKNOWN,
            count => (count * 2).clamp(2, MOST_MADE),
        }
    };
    Question {
        key: Key::Runners,
        prompt: "How many runners? The fewest and the most, as MIN-MAX".into(),
        follows: "MIN runners wait for jobs at any time; the controller adds runners up to MAX while 3/4 of them are busy".into(),
        form: Form::Text {
            prefix: String::new(),
            default: Some(format!("1-{most}")),
        },
    }
}

/// Asked where the minimum leaves something to save.
pub(super) fn schedule(answers: &Answers) -> Option<Question> {
    let (min, _) = answers.runners().filter(|(min, _)| *min > 1)?;
    Some(Question {
        key: Key::Schedule,
        prompt: format!("Are fewer than {min} runners enough at some times?"),
        follows: "at these times one runner waits for jobs; more are added while it is busy".into(),
        form: Form::Choice {
            options: vec![
                choice(NONE, "no"),
                choice("weekends", "on weekends"),
                choice(
                    "nights-and-weekends",
                    "on weekends, and from 20:00 to 08:00",
                ),
            ],
            default: Some(0),
        },
    })
}

/// Asked with a schedule.
pub(super) fn time_zone(answers: &Answers, facts: &Facts) -> Option<Question> {
    answers.whole(Key::Schedule).filter(|it| *it != NONE)?;
    Some(Question {
        key: Key::TimeZone,
        prompt: "In which time zone?".into(),
        follows: "20:00 stays 20:00 when the clocks change".into(),
        form: Form::Text {
            prefix: String::new(),
            default: Some(facts.time_zone.clone().unwrap_or_else(|| "UTC".into())),
        },
    })
}

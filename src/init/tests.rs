//! The profiles that come of answers.

use dialoguer::theme::{SimpleTheme, Theme as _};

use super::{
    answers::{Answers, Key, NONE},
    dialog,
    facts::{Account, ClusterFacts, Facts, Group, Line, NodeGroup, Nodes, Places, Taint},
    questions::{
        Form, open,
        tests::{account, answer_all, nodes, unknown_cluster},
    },
    text::{Extras, IMAGE, name, scalar, text},
};
use crate::{
    desired,
    profile::{ContainerMode, Loaded, Scope, load_with},
    report::screen::wrapped,
    terminal::question,
};

/// The facts of an EKS cluster in which nothing is installed.
fn new_cluster() -> ClusterFacts {
    ClusterFacts {
        version: Ok((1, 36)),
        nodes: Ok(Nodes {
            groups: vec![NodeGroup {
                zones: vec!["ap-northeast-2a".into(), "ap-northeast-2c".into()],
                ..nodes("t3a.large", 3)
            }],
            fargate: 0,
            ..Nodes::default()
        }),
        node_pools: Ok(Vec::new()),
        cert_manager: Ok(None),
        controllers: Ok(Vec::new()),
        runners: Ok(Vec::new()),
        profiles: Ok(Vec::new()),
    }
}

/// The dialog at its question about the number of runners, as a terminal of so many columns shows it: every question before
/// was answered by Enter. For a picture in the documents.
pub(crate) fn screen(columns: usize) -> String {
    let who = Account {
        version: None,
        ..account(&["dogecompany"])
    };
    let facts = Facts {
        places: Places {
            region: Some("ap-northeast-2".into()),
            eks: Ok(vec!["runners".into(), "web".into()]),
            contexts: Err("there is no kubeconfig".into()),
            current: Some("arn:aws:eks:ap-northeast-2:111122223333:cluster/runners".into()),
        },
        cluster: Some(Ok(new_cluster())),
        identity: Some(Ok(who.clone())),
        token_variables: vec!["ARCCTL_GITHUB_TOKEN".into()],
        time_zone: Some("Asia/Seoul".into()),
        ..Facts::default()
    };
    let mut lines = Vec::new();
    let mut say = |line: &str, hang| lines.push(wrapped(line, hang, Some(columns)));
    say(dialog::INTRODUCTION, 0);
    say("", 0);
    let tell = |say: &mut dyn FnMut(&str, usize), lines: Vec<Line>| {
        for line in &lines {
            say(&dialog::finding(line), dialog::FOUND);
        }
    };
    tell(&mut say, facts.places.lines());
    let mut answers = Answers::default();
    while let Some(question) = { open(&answers, &facts).next() } {
        say("", 0);
        for (line, hang) in dialog::heading(&question) {
            say(&line, hang);
        }
        let is_last = question.key == Key::Runners;
        for line in answer_lines(&question.form, is_last) {
            say(&line, 0);
        }
        if is_last {
            break;
        }
        match question.key {
            Key::Cluster => tell(&mut say, new_cluster().lines()),
            Key::Credential => tell(&mut say, who.lines("github.com")),
            _ => {}
        }
        answers.set(question.key, question.default());
    }
    lines.join("\n")
}

/// What stands below a question: the answer of Enter, or what there is to choose from.
fn answer_lines(form: &Form, is_open: bool) -> Vec<String> {
    let mut line = String::new();
    match (form, is_open) {
        (Form::Choice { options, default }, false) => {
            let chosen = &options[default.unwrap()];
            return vec![dialog::chosen_line(&chosen.label)];
        }
        (Form::Choice { options, default }, true) => {
            let shown = options.iter().enumerate().map(|(at, it)| {
                let mut line = String::new();
                let active = Some(at) == *default;
                SimpleTheme
                    .format_select_prompt_item(&mut line, &it.label, active)
                    .unwrap();
                line
            });
            return shown.collect();
        }
        (Form::Text { default, .. }, true) => {
            question::Line
                .format_input_prompt(&mut line, ">", default.as_deref())
                .unwrap();
        }
        (Form::Text { default, .. }, false) => {
            let text = default.as_deref().unwrap();
            line = dialog::chosen_line(text);
        }
    }
    vec![line]
}

fn extras() -> Extras {
    Extras {
        name: None,
        pool: "basic".into(),
        image: IMAGE.into(),
        charts: None,
    }
}

/// The profile as the program reads it.
#[track_caller]
fn read(answers: &Answers, facts: &Facts, extras: &Extras) -> Loaded {
    let text = text(answers, facts, extras);
    assert!(!text.contains("\n\n\n") && !text.contains('@'), "{text}");
    load_with(&text, "new", &desired::lint::lint).unwrap_or_else(|it| panic!("{it}\n{text}"))
}

fn facts() -> Facts {
    let taint = Taint {
        key: "runners".into(),
        value: "yes".into(),
        effect: "NoSchedule".into(),
    };
    let mut tainted = nodes("c5.xlarge", 2);
    tainted.taints = vec![taint];
    Facts {
        identity: Some(Ok(account(&["doge"]))),
        groups: Some(Ok(vec![
            Group {
                name: "Default".into(),
                default: true,
                restricted: false,
            },
            Group {
                name: "CI & more".into(),
                default: false,
                restricted: true,
            },
        ])),
        cluster: Some(Ok(ClusterFacts {
            nodes: Ok(Nodes {
                groups: vec![nodes("t3a.large", 2), tainted, nodes("zz9.huge", 1)],
                fargate: 0,
                ..Nodes::default()
            }),
            ..unknown_cluster()
        })),
        time_zone: Some("Asia/Seoul".into()),
        ..Facts::default()
    }
}

#[test]
fn every_combination_of_answers_passes_the_lint() {
    let facts = facts();
    let mut read_profiles = 0;
    for cluster in ["context:build-cluster", "eks:runners@ap-northeast-2"] {
        for server in ["github.com", "https://ghe.example.com"] {
            for scope in [
                "enterprise:doge",
                "organization:doge",
                "repository:doge/app",
            ] {
                for credential in [
                    "env:TOKEN",
                    "file:t.txt",
                    "secretsManager:a/b",
                    "ssm:/a/b",
                    "kubernetesSecret:a/b/c",
                    "app",
                ] {
                    if credential == "app" && scope.starts_with("enterprise") {
                        continue;
                    }
                    for schedule in [NONE, "weekends", "nights-and-weekends"] {
                        for role in [
                            NONE,
                            "runner_role",
                            "arn:aws:iam::111122223333:role/ci/Runner",
                        ] {
                            let given = [
                                (Key::Cluster, cluster),
                                (Key::Server, server),
                                (Key::Scope, scope),
                                (Key::Credential, credential),
                                (Key::App, "12/34"),
                                (Key::AppPem, "file:app.pem"),
                                (Key::Runners, "2-4"),
                                (Key::Schedule, schedule),
                                (Key::Role, role),
                            ];
                            let (answers, _) = answer_all(&facts, &given);
                            let loaded = read(&answers, &facts, &extras());
                            assert_eq!(loaded.profile.github.scope(), answers.scope());
                            let wanted = role != NONE && cluster.starts_with("eks");
                            assert_eq!(loaded.profile.aws.is_some(), wanted);
                            assert_eq!(
                                loaded.profile.pools[0].schedule.is_some(),
                                schedule != NONE
                            );
                            read_profiles += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(read_profiles, 2 * 2 * 17 * 3 * 3);
}

#[test]
fn each_kind_of_pool_passes_the_lint() {
    let facts = facts();
    for kind in ["t3a.large", "c5.xlarge", "zz9.huge", "any"] {
        for containers in ["dind", "none"] {
            for runners in ["1-1", "1-10", "3-3"] {
                for group in ["Default", "CI & more"] {
                    let given = [
                        (Key::Cluster, "context:c"),
                        (Key::Nodes, kind),
                        (Key::Containers, containers),
                        (Key::Runners, runners),
                        (Key::Group, group),
                    ];
                    let (answers, _) = answer_all(&facts, &given);
                    let pool = &read(&answers, &facts, &extras()).profile.pools[0];
                    let known = ["t3a.large", "c5.xlarge"].contains(&kind);
                    assert_eq!(pool.instance_type.is_some(), known);
                    assert_eq!(pool.node_selector.len(), usize::from(kind == "zz9.huge"));
                    assert_eq!(pool.tolerations.len(), usize::from(kind == "c5.xlarge"));
                    assert_eq!(
                        pool.container_mode == ContainerMode::None,
                        containers == "none"
                    );
                    assert_eq!(pool.scaling.is_some(), runners == "1-10");
                    assert_eq!(pool.group.as_deref(), (group != "Default").then_some(group));
                }
            }
        }
    }
}

#[test]
fn what_was_found_is_in_the_profile() {
    let (answers, _) = answer_all(
        &facts(),
        &[(Key::Cluster, "context:c"), (Key::Nodes, "c5.xlarge")],
    );
    let extras = Extras {
        charts: Some("oci://mirror.example/charts".into()),
        ..extras()
    };
    let profile = read(&answers, &facts(), &extras).profile;
    assert_eq!(profile.name, "doge");
    assert_eq!(profile.github.token_owner.as_deref(), Some("arc-admin"));
    assert_eq!(profile.github.scope(), Some(Scope::Organization("doge")));
    assert_eq!(profile.pools[0].tolerations[0]["key"], "runners");
    assert_eq!(
        profile.charts.controller.as_deref(),
        Some("oci://mirror.example/charts")
    );
}

#[test]
fn on_fargate_the_webhook_of_cert_manager_is_not_at_the_port_of_the_kubelet() {
    let facts = |fargate, groups| Facts {
        cluster: Some(Ok(ClusterFacts {
            nodes: Ok(Nodes {
                groups,
                fargate,
                ..Nodes::default()
            }),
            ..new_cluster()
        })),
        ..facts()
    };
    let values = |facts: &Facts| {
        let (answers, _) = answer_all(facts, &[(Key::Cluster, "context:c")]);
        let profile = read(&answers, facts, &extras()).profile;
        serde_json::Value::from(profile.cert_manager.values)
    };
    assert_eq!(
        values(&facts(3, Vec::new())),
        serde_json::json!({"webhook": {"securePort": 10260}})
    );
    let mixed = facts(3, vec![nodes("t3a.large", 2)]);
    assert_eq!(values(&mixed), serde_json::json!({}));
}

#[test]
fn names_are_made_of_the_scope() {
    for (scope, expected) in [
        ("enterprise:Doge_Company", "doge-company"),
        ("repository:doge/My.App", "my-app"),
        ("organization:-", "runners"),
        (
            "organization:a-very-long-name-of-an-organization",
            "a-very-long-name-of-an-organizat",
        ),
    ] {
        let mut answers = Answers::default();
        answers.set(Key::Scope, Some(scope.into()));
        assert_eq!(name(&answers, &extras()), expected);
    }
}

#[test]
fn what_yaml_would_read_otherwise_is_quoted() {
    for text in [
        "true",
        "No",
        "on",
        "null",
        "",
        "1",
        "1.5",
        "1e3",
        "0x1f",
        "20:00",
        "2026-01-01",
        "a: b",
        "a #b",
        "*a",
        "&a",
        "{a}",
        "[a]",
        "- a",
        "a,b",
        "it's",
        "%a",
        "@a",
        "a:",
        " a",
        "a ",
        "a :b",
        "2026-12-24 18:00",
        "12 34",
        "~",
        ".inf",
        "+1",
        "é",
    ] {
        let document = format!("key: {}", scalar(text));
        let read: serde_json::Value = serde_saphyr::from_str(&document).unwrap();
        assert_eq!(read["key"], text, "{document}");
    }
    for text in [
        "a",
        "t3a.large",
        "https://a.b:1",
        "a/b:c@d",
        "Sat 00:00",
        "0.23.3",
        "arn:aws:iam::1:role/x",
    ] {
        assert_eq!(scalar(text), text);
    }
}

#[test]
fn the_image_is_that_of_the_shipped_profiles() {
    let shipped = include_str!("../../profiles/repository.yaml");
    assert!(shipped.contains(&format!("image: {IMAGE}\n")));
}

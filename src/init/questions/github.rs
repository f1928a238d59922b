//! The questions about GitHub: server, credential, scope, runner group. Pure: no I/O.

use super::{Choice, Form, Question, choice};
use crate::init::{
    answers::{APP, Answers, CLOUD, Key},
    facts::{Facts, Group},
};

/// The variable that arcctl's documents use for the token.
const VARIABLE: &str = "ARCCTL_GITHUB_TOKEN";

pub(super) fn server(facts: &Facts) -> Question {
    // A controller that is there knows its server.
    let known = facts
        .cluster
        .iter()
        .flatten()
        .filter_map(|it| it.controllers.as_ref().ok())
        .flatten()
        .find_map(|it| it.github_url.clone());
    Question {
        key: Key::Server,
        prompt: "Which GitHub? github.com, or the address of your GitHub Enterprise Server".into(),
        follows: "the runners register there, and the token is sent to no other server".into(),
        form: Form::Text {
            prefix: String::new(),
            default: Some(known.unwrap_or_else(|| CLOUD.into())),
        },
    }
}

pub(super) fn credential(answers: &Answers, facts: &Facts) -> Question {
    let follows = "the profile names the place only; arcctl reads the token there, and writes it into the controller's Secret";
    let ask = |prompt: &str, form| Question {
        key: Key::Credential,
        prompt: prompt.into(),
        follows: follows.into(),
        form,
    };
    if let Some(kind) = answers
        .get(Key::Credential)
        .and_then(|it| it.strip_suffix(':'))
    {
        let prompt = match kind {
            "env" => "Name of the environment variable",
            "file" => "Path of the file with the token, relative to the profile",
            "secretsManager" => "Name or ARN of the secret in AWS Secrets Manager",
            "ssm" => "Name or ARN of the parameter in SSM Parameter Store",
            _ => "Kubernetes Secret, as NAMESPACE/NAME/KEY",
        };
        return ask(
            prompt,
            Form::Text {
                prefix: format!("{kind}:"),
                default: None,
            },
        );
    }
    let mut variables = facts.token_variables.clone();
    if !variables.iter().any(|it| it == VARIABLE) {
        variables.push(VARIABLE.into());
    }
    let mut options: Vec<Choice> = variables
        .iter()
        .map(|name| {
            let state = if facts.token_variables.contains(name) {
                "it is set"
            } else {
                "not set yet"
            };
            choice(
                format!("env:{name}"),
                format!("environment variable {name} ({state})"),
            )
        })
        .collect();
    options.extend([
        choice("env:", "another environment variable"),
        choice("file:", "a file"),
        choice("secretsManager:", "AWS Secrets Manager"),
        choice("ssm:", "AWS SSM Parameter Store"),
        choice("kubernetesSecret:", "a Kubernetes Secret"),
        choice(APP, "no token: a GitHub App (not for an enterprise)"),
    ]);
    ask(
        "Where is the GitHub token?",
        Form::Choice {
            options,
            default: Some(0),
        },
    )
}

pub(super) fn app() -> Question {
    Question {
        key: Key::App,
        prompt: "The id of the GitHub App and that of its installation, as ID/INSTALLATION".into(),
        follows: "both are at the end of the addresses of their settings pages".into(),
        form: Form::Text {
            prefix: String::new(),
            default: None,
        },
    }
}

pub(super) fn app_key() -> Question {
    Question {
        key: Key::AppPem,
        prompt:
            "Where is the App's private key? env:NAME, file:PATH, secretsManager:NAME, ssm:NAME"
                .into(),
        follows: "the profile names the place only; keep the key out of git".into(),
        form: Form::Text {
            prefix: String::new(),
            default: Some("file:app.pem".into()),
        },
    }
}

pub(super) fn ca_bundle() -> Question {
    Question {
        key: Key::CaBundle,
        prompt: "Which file has the certificate of your server's authority (PEM)?".into(),
        follows: "this machine does not know the authority that issued the server's certificate; the controller and the runners get the file too".into(),
        form: Form::Text {
            prefix: String::new(),
            default: None,
        },
    }
}

pub(super) fn scope(answers: &Answers, facts: &Facts) -> Question {
    let ask = |prompt: &str, form| {
        Question {
        key: Key::Scope,
        prompt: prompt.into(),
        follows: "jobs of all its repositories can get these runners, as far as the runner group lets them".into(),
        form,
    }
    };
    if let Some(kind) = answers.get(Key::Scope).and_then(|it| it.strip_suffix(':')) {
        let prompt = match kind {
            "enterprise" => "Name of the enterprise, as in its address (…/enterprises/NAME)",
            "repository" => "The repository, as OWNER/NAME",
            _ => "Name of the organization, as in its address",
        };
        let form = Form::Text {
            prefix: format!("{kind}:"),
            default: None,
        };
        return ask(prompt, form);
    }
    let account = facts.identity.as_ref().and_then(|it| it.as_ref().ok());
    let seen = account.and_then(|it| it.organizations.as_ref().ok());
    let seen: &[String] = seen.map_or(&[], Vec::as_slice);
    let mut options: Vec<Choice> = seen
        .iter()
        .map(|it| choice(format!("organization:{it}"), format!("organization {it}")))
        .collect();
    let default = (options.len() == 1).then_some(0);
    let another = if options.is_empty() {
        "an organization: type its name"
    } else {
        "another organization: type its name"
    };
    options.push(choice("organization:", another));
    // github.com knows enterprises too, and a GitHub App cannot register runners of one.
    if !answers.is_app() {
        options.push(choice("enterprise:", "an enterprise: type its name"));
    }
    options.push(choice("repository:", "one repository: type OWNER/NAME"));
    ask("Whose runners are they?", Form::Choice { options, default })
}

/// Asked where there is more than one group to choose from.
pub(super) fn group(facts: &Facts) -> Option<Question> {
    let groups = facts.groups.as_ref()?.as_ref().ok()?;
    if groups.len() < 2 {
        return None;
    }
    let label = |it: &Group| {
        let limits = if it.restricted {
            " (for selected ones only)"
        } else {
            ""
        };
        format!("{}{limits}", it.name)
    };
    Some(Question {
        key: Key::Group,
        prompt: "Which runner group?".into(),
        follows: "the group decides which repositories may use the runners; its settings at GitHub stay as they are".into(),
        form: Form::Choice {
            options: groups.iter().map(|it| choice(&it.name, label(it))).collect(),
            default: groups.iter().position(|it| it.default),
        },
    })
}

//! The questions of `arcctl init`: from what is known and answered to the next question, with a default that fits and what
//! follows from it. Pure: no I/O.

mod github;
mod pool;

use super::{
    answers::{Answers, Key, NONE, Place},
    facts::Facts,
};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// What it is about.
    pub key: Key,
    /// The question.
    pub prompt: String,
    /// What follows from the answer, one sentence.
    pub follows: String,
    /// The form of the answer.
    pub form: Form,
}

/// The form of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One of these.
    Choice {
        /// The options.
        options: Vec<Choice>,
        /// The one to begin with, if one fits.
        default: Option<usize>,
    },
    /// A text; what is typed follows `prefix` in the answer.
    Text {
        /// The kind that was chosen before.
        prefix: String,
        /// The answer of an empty line, if one fits; without the prefix.
        default: Option<String>,
    },
}

/// An option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The answer. One that ends with `:` asks for the name next.
    pub value: String,
    /// The text on the screen.
    pub label: String,
}

pub(crate) fn choice(value: impl Into<String>, label: impl Into<String>) -> Choice {
    Choice {
        value: value.into(),
        label: label.into(),
    }
}

impl Question {
    /// The answer that fits without a look at the screen; `None` where somebody has to choose.
    pub(crate) fn default(&self) -> Option<String> {
        match &self.form {
            Form::Choice { options, default } => {
                let chosen = options.get((*default)?)?;
                Some(chosen.value.clone()).filter(|it| !it.ends_with(':'))
            }
            Form::Text { prefix, default } => default.as_ref().map(|it| format!("{prefix}{it}")),
        }
    }
}

/// The questions that are open, in their order. Later answers can close some of them, and open others.
pub(crate) fn open(answers: &Answers, facts: &Facts) -> impl Iterator<Item = Question> {
    Key::ALL
        .into_iter()
        .filter(|key| answers.whole(*key).is_none())
        .filter_map(|key| question(key, answers, facts))
}

/// The question about `key`; `None` where it does not arise.
fn question(key: Key, answers: &Answers, facts: &Facts) -> Option<Question> {
    match key {
        Key::Cluster => Some(cluster(answers, facts)),
        Key::Server => Some(github::server(facts)),
        Key::Credential => Some(github::credential(answers, facts)),
        Key::App => answers.is_app().then(github::app),
        Key::AppPem => answers.is_app().then(github::app_key),
        Key::CaBundle => facts.unknown_authority.then(github::ca_bundle),
        Key::Scope => Some(github::scope(answers, facts)),
        Key::Group => github::group(facts),
        Key::Nodes => pool::nodes(facts),
        Key::Containers => Some(pool::containers(facts)),
        Key::Runners => Some(pool::runners(answers, facts)),
        Key::Schedule => pool::schedule(answers),
        Key::TimeZone => pool::time_zone(answers, facts),
        Key::Role => matches!(answers.place(), Some(Place::Eks { .. })).then(role),
    }
}

fn cluster(answers: &Answers, facts: &Facts) -> Question {
    let places = &facts.places;
    let region = places.region.as_deref().unwrap_or_default();
    let follows =
        "arcctl reads this cluster now; `arcctl up` installs there, and asks before it does";
    let ask = |form| Question {
        key: Key::Cluster,
        prompt: "Which cluster is for the runners?".into(),
        follows: follows.into(),
        form,
    };
    if answers.get(Key::Cluster) == Some("eks:") {
        return ask(Form::Text {
            prefix: "eks:".into(),
            default: None,
        });
    }
    let eks = places.eks.as_deref().unwrap_or_default();
    let contexts = places.contexts.as_deref().unwrap_or_default();
    // `aws eks update-kubeconfig` names the context by the cluster's ARN: the same cluster once more.
    let is_of = |context: &str, name: &str| {
        let end = format!(":cluster/{name}");
        context.starts_with("arn:") && context.contains(region) && context.ends_with(&end)
    };
    let listed = |context: &String| eks.iter().any(|name| is_of(context, name));
    let mut options: Vec<Choice> = eks
        .iter()
        .map(|name| {
            choice(
                format!("eks:{name}@{region}"),
                format!("EKS cluster {name} in {region}"),
            )
        })
        .collect();
    let other = contexts.iter().filter(|it| !listed(it));
    options.extend(
        other.map(|it| choice(format!("context:{it}"), format!("kubeconfig context {it}"))),
    );
    let current = places.current.as_deref().unwrap_or_default();
    let named = |it: &Choice| {
        let eks = it
            .value
            .strip_prefix("eks:")
            .and_then(|it| it.split('@').next());
        it.value == format!("context:{current}") || eks.is_some_and(|name| is_of(current, name))
    };
    let default = match options.len() {
        1 => Some(0),
        _ => options.iter().position(named),
    };
    options.push(choice("eks:", "another EKS cluster: type NAME@REGION"));
    ask(Form::Choice { options, default })
}

fn role() -> Question {
    Question {
        key: Key::Role,
        prompt: "Which IAM role do jobs get? A name, an ARN, or none".into(),
        follows: "a role by name is created if it does not exist; jobs then use AWS without stored keys (IRSA)".into(),
        form: Form::Text {
            prefix: String::new(),
            default: Some(NONE.into()),
        },
    }
}

#[cfg(test)]
pub(super) mod tests;

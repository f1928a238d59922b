//! The way from the flags to a profile: looks at what the answers so far lead to, asks the next question, and goes back.

use std::path::{Path, PathBuf};

use super::{
    Request,
    answers::{Answers, Key},
    dialog::{self, Reply},
    facts::{Facts, Line},
    look::{
        cluster::{cluster, section},
        github::{Stores, account, scope, token_variables},
        places::places,
    },
    questions::{Question, open},
    text::{Extras, name, text},
};
use crate::{
    clients::{aws::Aws, github::GitHub},
    error::{Error, ErrorKind, Result, System},
    session::connection::{Connection, authorities},
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        environment::{hidden_variables, shared_files, variable},
        output::Output,
    },
};

/// What was read, and for which answers.
#[derive(Default)]
struct Looked {
    places: bool,
    cluster: Option<String>,
    account: Option<Vec<String>>,
    scope: Option<Vec<String>>,
}

/// The state of the questions.
pub(super) struct Wizard<'a> {
    pub(super) answers: Answers,
    pub(super) extras: Extras,
    /// All that was found, for the document.
    pub(super) found: Vec<Line>,
    facts: Facts,
    yes: bool,
    region: Option<String>,
    directory: PathBuf,
    /// The questions that were asked, with the answers before them: the way back.
    asked: Vec<(Key, Option<String>)>,
    looked: Looked,
    connection: Option<Connection>,
    aws: Option<Aws>,
    github: Option<GitHub>,
    global: &'a GlobalArgs,
    output: Output,
}

impl<'a> Wizard<'a> {
    pub(super) fn new(request: Request, global: &'a GlobalArgs, output: Output) -> Self {
        let directory = global.file.parent();
        let directory = directory.filter(|it| !it.as_os_str().is_empty());
        Self {
            answers: request.answers,
            extras: request.extras,
            found: Vec::new(),
            facts: Facts {
                time_zone: time_zone(),
                token_variables: token_variables(),
                ..Facts::default()
            },
            yes: request.yes,
            region: request.region,
            directory: directory.unwrap_or(Path::new(".")).to_owned(),
            asked: Vec::new(),
            looked: Looked::default(),
            connection: None,
            aws: None,
            github: None,
            global,
            output,
        }
    }

    /// The text of the profile, once everything is answered.
    pub(super) async fn profile(&mut self, limit: &RunLimit) -> Result<String> {
        if !self.yes {
            self.output.note_sentence(dialog::INTRODUCTION, 0);
            self.output.note("");
        }
        let mut missing: Vec<Key> = Vec::new();
        loop {
            let looking = async {
                Box::pin(self.look()).await;
                Ok(())
            };
            limit.within("looking", looking).await?;
            limit.stopped()?;
            let next = open(&self.answers, &self.facts).find(|it| !missing.contains(&it.key));
            match next {
                Some(question) if self.yes => match question.default() {
                    Some(value) => drop(self.answers.set(question.key, Some(value))),
                    None => missing.push(question.key),
                },
                Some(question) => self.ask(&question)?,
                None if missing.is_empty() => {
                    let text = text(&self.answers, &self.facts, &self.extras);
                    if self.yes || self.confirmed(&text)? {
                        return Ok(text);
                    }
                }
                None => return Err(unanswered(&missing)),
            }
        }
    }

    /// The profile's name.
    pub(super) fn name(&self) -> String {
        name(&self.answers, &self.extras)
    }

    fn ask(&mut self, question: &Question) -> Result<()> {
        match dialog::ask(question, self.output)? {
            Reply::Answer(value) => {
                let before = self.answers.set(question.key, Some(value));
                self.asked.push((question.key, before));
                Ok(())
            }
            Reply::Back => self.back(),
        }
    }

    /// Takes the last answer back, with those that came of it.
    fn back(&mut self) -> Result<()> {
        let Some((key, before)) = self.asked.pop() else {
            return Err(dialog::stopped());
        };
        drop(self.answers.set(key, before));
        Ok(())
    }

    /// The last question; a no goes back.
    fn confirmed(&mut self, text: &str) -> Result<bool> {
        let file = self.global.file.display().to_string();
        let yes = dialog::confirm(text, &file, self.output)?;
        if !yes {
            self.back()?;
        }
        Ok(yes)
    }

    /// Reads what the answers so far lead to, where that was not read yet.
    async fn look(&mut self) {
        if !self.looked.places {
            self.looked.places = true;
            // Whoever names the cluster does not wait for a list of them.
            if self.answers.get(Key::Cluster).is_none() {
                self.facts.places = Box::pin(places(self.global, self.region.as_deref())).await;
                let lines = self.facts.places.lines();
                self.tell(lines);
            }
        }
        let place = self.answers.whole(Key::Cluster).map(str::to_owned);
        if place.is_some() && place != self.looked.cluster {
            self.looked.cluster = place;
            self.looked.account = None;
            self.look_at_cluster().await;
        }
        let account = self.of(&[
            Key::Cluster,
            Key::Server,
            Key::Credential,
            Key::App,
            Key::AppPem,
            Key::CaBundle,
        ]);
        let ready = self.answers.has_server()
            && self.answers.source().is_some()
            && self.answers.is_app() == self.answers.app().is_some();
        if ready && self.looked.account.as_ref() != Some(&account) {
            self.looked.account = Some(account.clone());
            self.looked.scope = None;
            self.look_at_account().await;
        }
        let scope = [account, self.of(&[Key::Scope])].concat();
        if ready && self.answers.scope().is_some() && self.looked.scope.as_ref() != Some(&scope) {
            self.looked.scope = Some(scope);
            self.look_at_scope().await;
        }
    }

    /// The answers to `keys`: what was read for them holds while they stay.
    fn of(&self, keys: &[Key]) -> Vec<String> {
        let of = |key: &Key| self.answers.get(*key).unwrap_or_default().to_owned();
        keys.iter().map(of).collect()
    }

    async fn look_at_cluster(&mut self) {
        let Some(place) = self.answers.place() else {
            return;
        };
        let (connection, facts) = Box::pin(cluster(self.global, &place)).await;
        self.connection = connection;
        let lines = match &facts {
            Ok(facts) => facts.lines(),
            Err(why) => vec![Line {
                what: "cluster",
                read: Err(why.clone()),
            }],
        };
        self.facts.cluster = Some(facts);
        self.tell(lines);
    }

    async fn look_at_account(&mut self) {
        let at_aws =
            |it: crate::profile::TokenSource| it.secrets_manager.is_some() || it.ssm.is_some();
        if self.aws.is_none() && self.answers.source().is_some_and(at_aws) {
            let place = self
                .answers
                .place()
                .as_ref()
                .map(section)
                .unwrap_or_default();
            let region = place.region.or_else(|| self.region.clone());
            if let Ok(authorities) = authorities() {
                let files = shared_files(hidden_variables(&[]));
                self.aws = Some(Aws::new(region.as_deref(), &files, authorities).await);
            }
        }
        let stores = Stores {
            directory: &self.directory,
            kube: self.connection.as_ref().map(|it| &it.kube),
            aws: self.aws.as_ref(),
        };
        let found = Box::pin(account(&self.answers, &stores, self.output)).await;
        self.github = found.github;
        self.facts.unknown_authority = found.unknown_authority;
        let server = self.answers.server().unwrap_or("github.com");
        let lines = match &found.account {
            Ok(account) => account.lines(server),
            Err(why) => vec![Line {
                what: "credential",
                read: Err(why.clone()),
            }],
        };
        self.facts.identity = Some(found.account);
        self.tell(lines);
    }

    async fn look_at_scope(&mut self) {
        self.facts.groups = None;
        let Some(github) = &self.github else {
            return;
        };
        let Some((registration, groups)) = Box::pin(scope(github, &self.answers)).await else {
            return;
        };
        let mut lines = vec![Line {
            what: "registration",
            read: registration
                .as_ref()
                .map(super::facts::Registration::words)
                .map_err(Clone::clone),
        }];
        let names = |all: &Vec<super::facts::Group>| -> String {
            all.iter()
                .map(|it| it.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        // A repository has none.
        if groups.as_ref().map_or(true, |it| !it.is_empty()) {
            lines.push(Line {
                what: "runner groups",
                read: groups.as_ref().map(names).map_err(Clone::clone),
            });
        }
        self.facts.groups = Some(groups);
        self.tell(lines);
    }

    /// Shows what was found, and keeps it; a later finding replaces an earlier one of the same name.
    fn tell(&mut self, lines: Vec<Line>) {
        for line in lines {
            let finding = dialog::finding(&line);
            self.output.note_sentence(&finding, dialog::FOUND);
            self.found.retain(|it| it.what != line.what);
            self.found.push(line);
        }
    }
}

/// The error of `--yes` without an answer that has no default.
pub(super) fn unanswered(missing: &[Key]) -> Error {
    let flags: Vec<&str> = missing.iter().map(|it| it.flag()).collect();
    Error::new(
        ErrorKind::Usage,
        System::Local,
        "some questions have no default that fits",
    )
    .hint(format!("answer them: {}", flags.join("; ")))
}

/// The time zone of this machine: `TZ`, or the link that systems keep.
pub(super) fn time_zone() -> Option<String> {
    let linked = || {
        let link = std::fs::read_link("/etc/localtime").ok()?;
        let (_, zone) = link.to_str()?.split_once("zoneinfo/")?;
        Some(zone.to_owned())
    };
    let zone = variable("TZ").map(|it| it.trim_start_matches(':').to_owned());
    let zone = zone.or_else(linked)?;
    jiff::tz::TimeZone::get(&zone).is_ok().then_some(zone)
}

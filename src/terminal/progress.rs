//! Shows the progress of a run: a live tree on a terminal, lines with a heartbeat elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::output::{BAD, CHANGE, DIM, GOOD, Output, paint, paint_live, shown};
use crate::{
    desired::{Desired, Goal, Phase, resource::Id},
    execute::Event,
    plan::Action,
    report::{github, plan::name},
};

/// The interval of heartbeat lines (DESIGN 2: at least every 15 s).
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The width left beside a spinner and a time of four digits in 80 columns.
const ONE_LINE: usize = 70;

type Waits = Arc<Mutex<BTreeMap<String, (String, Instant)>>>;

/// The display of one run.
pub(crate) struct Progress {
    output: Output,
    live: Option<MultiProgress>,
    bars: BTreeMap<String, ProgressBar>,
    waits: Waits,
    begun: BTreeSet<String>,
    heartbeat: tokio::task::JoinHandle<()>,
    groups: Groups,
}

/// In GitHub Actions the lines of a phase form a group. Phases overlap, and groups cannot: the lines of later phases are
/// kept until the earlier ones have ended.
#[derive(Default)]
struct Groups {
    phases: BTreeMap<Id, Phase>,
    open: Option<Phase>,
    later: BTreeMap<Phase, Vec<String>>,
}

impl Progress {
    /// A display on stderr of a run of `desired`.
    pub(crate) fn new(output: Output, desired: &[Desired]) -> Self {
        let live = output.is_live().then(MultiProgress::new);
        let waits = Waits::default();
        let heartbeat = tokio::spawn(beat(output, Arc::clone(&waits), live.is_some()));
        Self {
            output,
            live,
            bars: BTreeMap::new(),
            waits,
            begun: BTreeSet::new(),
            heartbeat,
            groups: Groups {
                phases: desired.iter().map(|it| (it.id.clone(), it.phase)).collect(),
                ..Groups::default()
            },
        }
    }

    /// Shows one event.
    pub(crate) fn event(&mut self, event: &Event) {
        super::second_signal::note(event);
        match event {
            Event::Phase(phase) => self.phase(*phase),
            Event::Started { id, action } => {
                self.note_wait(id.as_str(), &format!("{} in work", name(*action)));
                let begins = format!("{} {id}", name(*action));
                self.bar(id.as_str(), &begins);
                // A deletion in several parts is shown as started once.
                if self.live.is_none() && self.begun.insert(begins.clone()) {
                    self.line(id, &begins);
                }
            }
            Event::Waiting { id, reason } => {
                self.note_wait(id.as_str(), reason);
                self.bar_of_wait(id.as_str(), reason);
                if self.live.is_none() {
                    self.line(id, &format!("{id}: {}", paint(CHANGE, reason)));
                }
            }
            Event::Finished {
                id,
                action,
                goal,
                elapsed,
            } => {
                self.end(id.as_str());
                let time = paint(DIM, format!("{:.1} s", elapsed.as_secs_f64()));
                let did = match (action, goal) {
                    (Action::Create, _) => "created",
                    (Action::Update, _) => "updated",
                    (Action::Delete, _) => "deleted",
                    (Action::Keep | Action::Later, Goal::Present) => "in place",
                    (Action::Keep | Action::Later, Goal::Absent | Goal::Evicted) => {
                        "nothing to remove"
                    }
                };
                self.line(id, &format!("{} {id} {did} {time}", paint(GOOD, "✓")));
            }
            Event::Failed { id, error, .. } => {
                self.end(id.as_str());
                self.line(id, &format!("{} {id}: {}", paint(BAD, "✗"), error.message));
            }
        }
    }

    /// Opens the group of a phase, with the lines that were kept for it.
    fn phase(&mut self, phase: Phase) {
        if !self.groups_lines() {
            return;
        }
        // A phase that ended before its turn is not announced.
        while let Some(earlier) = self.groups.later.keys().next().copied()
            && earlier < phase
        {
            self.phase(earlier);
        }
        self.end_group();
        // Its name is the one in JSON documents.
        let name = serde_json::to_value(phase).unwrap_or_default();
        self.output
            .command(&github::group(name.as_str().unwrap_or_default()));
        self.groups.open = Some(phase);
        for line in self.groups.later.remove(&phase).unwrap_or_default() {
            self.output.note(line);
        }
    }

    fn groups_lines(&self) -> bool {
        self.output.in_actions && self.output.verbosity >= 0
    }

    fn end_group(&mut self) {
        if self.groups.open.take().is_some() {
            self.output.command(github::END_GROUP);
        }
    }

    fn note_wait(&self, id: &str, reason: &str) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.insert(id.to_owned(), (reason.to_owned(), Instant::now()));
    }

    fn bar(&mut self, id: &str, text: &str) {
        self.styled(id, "{spinner} {wide_msg} {elapsed}", text);
    }

    /// The reason is important: if a narrow terminal would cut it off, it gets a line of its own.
    fn bar_of_wait(&mut self, id: &str, reason: &str) {
        let shown = paint_live(CHANGE, reason);
        if id.len() + reason.len() <= ONE_LINE {
            self.bar(id, &format!("{id}  {shown}"));
        } else {
            self.styled(id, "{spinner} {prefix} {elapsed}\n    {wide_msg}", &shown);
        }
    }

    fn styled(&mut self, id: &str, template: &str, message: &str) {
        let Some(live) = &self.live else { return };
        let bar = self.bars.entry(id.to_owned()).or_insert_with(|| {
            let bar = live.add(ProgressBar::new_spinner());
            bar.set_prefix(shown(id));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        // Not written by `Output`.
        bar.set_message(shown(message));
    }

    fn end(&mut self, id: &str) {
        self.waits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        if let Some(bar) = self.bars.remove(id) {
            bar.finish_and_clear();
        }
    }

    fn line(&mut self, id: &Id, text: &str) {
        if self.groups_lines()
            && let Some(phase) = self.groups.phases.get(id)
            && self.groups.open.is_some_and(|open| *phase > open)
        {
            let later = self.groups.later.entry(*phase).or_default();
            later.push(text.to_owned());
            return;
        }
        match &self.live {
            Some(live) => live.suspend(|| self.output.note(text)),
            None => self.output.note(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.heartbeat.abort();
        for bar in self.bars.values() {
            bar.finish_and_clear();
        }
        // A run that was stopped did not reach these phases.
        if let Some(last) = self.groups.later.keys().next_back().copied() {
            self.phase(last);
        }
        self.end_group();
    }
}

/// Prints the wait condition if there is no live display.
async fn beat(output: Output, waits: Waits, live: bool) {
    if live {
        return;
    }
    let mut ticks = tokio::time::interval(HEARTBEAT);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let waits: Vec<(String, (String, Instant))> = waits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .into_iter()
            .collect();
        // Do not repeat a recent message.
        let long = waits
            .into_iter()
            .filter(|(_, (_, since))| since.elapsed() >= HEARTBEAT / 2);
        for (id, (reason, since)) in long {
            output.note(paint(
                DIM,
                format!("… {id}: {reason} ({} s)", since.elapsed().as_secs()),
            ));
        }
    }
}

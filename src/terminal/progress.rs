//! Shows the progress of a run: a live tree on a terminal, lines with a heartbeat elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use dialoguer::console::Term;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::output::{BAD, CHANGE, DIM, GOOD, Output, has_colors, paint, set_live};
use crate::{
    desired::{Desired, Goal, Phase, resource::Id},
    execute::Event,
    plan::Action,
    report::{
        github,
        plan::name,
        tree::{Size, Tree},
    },
};

/// The interval of heartbeat lines (DESIGN 2: at least every 15 s).
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How often the live display is drawn.
const FRAME: Duration = Duration::from_millis(120);

/// The size of a terminal that does not tell it.
const SIZE: Size = Size {
    rows: 24,
    columns: 80,
};

type Waits = Arc<Mutex<BTreeMap<String, (String, Instant)>>>;

/// The display of one run.
pub(crate) struct Progress {
    output: Output,
    live: Option<Arc<Mutex<Tree>>>,
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
        let live = output.is_live().then(|| Tree::new(desired));
        let live = live.map(|it| Arc::new(Mutex::new(it)));
        if let Some(tree) = &live {
            set_live(drawn(Arc::clone(tree)));
        }
        let waits = Waits::default();
        let heartbeat = tokio::spawn(beat(output, Arc::clone(&waits), live.is_some()));
        Self {
            output,
            live,
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
        match &self.live {
            Some(tree) => {
                // Not held while something is written: drawing needs it.
                let ended = locked(tree).take(event, Instant::now());
                if let Event::Failed { id, error, .. } = event {
                    self.output.note(failed(id, &error.message));
                }
                if let Some(line) = ended {
                    self.output.note(line);
                }
            }
            None => self.event_line(event),
        }
    }

    fn event_line(&mut self, event: &Event) {
        match event {
            Event::Phase(phase) => self.phase(*phase),
            Event::Started { id, action } => {
                self.note_wait(id.as_str(), &format!("{} in work", name(*action)));
                let begins = format!("{} {id}", name(*action));
                // A deletion in several parts is shown as started once.
                if self.begun.insert(begins.clone()) {
                    self.line(id, &begins);
                }
            }
            Event::Waiting { id, reason } => {
                self.note_wait(id.as_str(), reason);
                self.line(id, &format!("{id}: {}", paint(CHANGE, reason)));
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
                self.line(id, &failed(id, &error.message));
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

    fn end(&mut self, id: &str) {
        self.waits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
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
        self.output.note(text);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.heartbeat.abort();
        if let Some(tree) = &self.live {
            set_live(None);
            for line in locked(tree).left() {
                self.output.note(line);
            }
        }
        // A run that was stopped did not reach these phases.
        if let Some(last) = self.groups.later.keys().next_back().copied() {
            self.phase(last);
        }
        self.end_group();
    }
}

fn locked(tree: &Mutex<Tree>) -> std::sync::MutexGuard<'_, Tree> {
    tree.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(id: &Id, message: &str) -> String {
    format!("{} {id}: {message}", paint(BAD, "✗"))
}

/// The tree, drawn below all that is written; `None` only for a template that is wrong.
fn drawn(tree: Arc<Mutex<Tree>>) -> Option<ProgressBar> {
    let (terminal, began) = (Term::stderr(), Instant::now());
    let draw = move |_: &ProgressState, text: &mut dyn fmt::Write| {
        let size = terminal
            .size_checked()
            .map_or(SIZE, |(rows, columns)| Size {
                rows: rows.into(),
                columns: columns.into(),
            });
        let frame = began.elapsed().as_millis() / FRAME.as_millis();
        let frame = usize::try_from(frame).unwrap_or_default();
        let lines = locked(&tree).lines(Instant::now(), size, frame).join("\n");
        let lines = if has_colors() {
            lines
        } else {
            anstream::adapter::strip_str(&lines).to_string()
        };
        // Not written by `Output`; the tree has cleaned what is of others. A display that is not drawn is no failure.
        let _not_drawn = text.write_str(&lines);
    };
    let style = ProgressStyle::with_template("{tree}").ok()?;
    let display = ProgressBar::new_spinner();
    display.set_style(style.with_key("tree", draw));
    display.enable_steady_tick(FRAME);
    Some(display)
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

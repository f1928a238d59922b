//! A run while it goes on, as a terminal shows it: a line for each group of the plan. Pure: no I/O.
//!
//! A group that has ended is one line that stays; the others are lines that are drawn again and again, and are cut to the
//! width of the terminal.

#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use dialoguer::console::{measure_text_width, truncate_str};

use super::{plan::name, screen::wrapped};
use crate::{
    desired::{
        Desired, Goal,
        resource::Id,
        summary::{Group, group},
    },
    execute::Event,
    printable::{BAD, CHANGE, DIM, GOOD, paint, printable},
    secret::text::masked,
    units::listed::{and_more, first_of},
};

/// The most columns of a group's name; a longer one is cut in the live lines.
const NAME: usize = 24;

/// The columns of the seconds: `9999 s`.
const SECONDS: usize = 6;

/// How many groups are named of those that a stopped run has not begun.
const NAMED: usize = 5;

/// How many lines a reason has below its group.
const BELOW: usize = 2;

/// What turns before a group that is in work.
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Its rows.
    pub rows: usize,
    /// Its columns.
    pub columns: usize,
}

/// The steps of a run by group.
#[derive(Debug)]
pub struct Tree {
    branches: Vec<Branch>,
    /// In which branch a step is.
    places: HashMap<Id, usize>,
    /// The columns of the names.
    names: usize,
}

/// A group.
#[derive(Debug)]
struct Branch {
    group: Group,
    leaves: Vec<Leaf>,
    began: Option<Instant>,
}

/// A step.
#[derive(Debug)]
struct Leaf {
    id: Id,
    after: Vec<Id>,
    state: State,
}

/// Where a step is.
#[derive(Debug)]
enum State {
    /// Not begun.
    Open,
    /// In work, or it waits: for what.
    Running { since: Instant, now: String },
    /// Done.
    Done,
    /// It failed.
    Failed,
}

impl Tree {
    /// The steps before the run: the groups as in the plan, or the other way round where all is deleted.
    pub fn new(steps: &[Desired]) -> Self {
        let mut branches: Vec<Branch> = Vec::new();
        for step in steps {
            let group = group(step);
            let leaf = Leaf {
                id: step.id.clone(),
                after: step.after.clone(),
                state: State::Open,
            };
            match branches.iter_mut().find(|it| it.group == group) {
                Some(branch) => branch.leaves.push(leaf),
                None => branches.push(Branch {
                    group,
                    leaves: vec![leaf],
                    began: None,
                }),
            }
        }
        branches.sort_by_key(|it| it.group.rank());
        if steps.iter().all(|it| it.goal != Goal::Present) {
            branches.sort_by_key(|it| std::cmp::Reverse(it.group.rank()));
        }
        let places = branches.iter().enumerate();
        let places = places.flat_map(|(at, it)| it.leaves.iter().map(move |leaf| (&leaf.id, at)));
        let names = branches.iter().map(Branch::name_width);
        Self {
            places: places.map(|(id, at)| (id.clone(), at)).collect(),
            names: names.max().unwrap_or(0).min(NAME),
            branches,
        }
    }

    /// Takes an event in; the line of the group that it ended.
    pub fn take(&mut self, event: &Event, now: Instant) -> Option<String> {
        match event {
            Event::Phase(_) => None,
            Event::Started { id, action } => {
                self.runs(id, now, &format!("{} {id}", name(*action)));
                None
            }
            Event::Waiting { id, reason } => {
                // Other reasons name their object themselves; `it` is the step.
                if reason.starts_with("it ") {
                    self.runs(id, now, &format!("{id}: {reason}"));
                } else {
                    self.runs(id, now, reason);
                }
                None
            }
            Event::Finished { id, elapsed, .. } => self.ends(id, State::Done, *elapsed, now),
            Event::Failed { id, elapsed, .. } => self.ends(id, State::Failed, *elapsed, now),
        }
    }

    /// The lines of the groups in work and of those that are still to come, none longer than the terminal is wide.
    pub fn lines(&self, now: Instant, size: Size, frame: usize) -> Vec<String> {
        // A line as long as the terminal is wide makes some of them begin another one.
        let columns = size.columns.saturating_sub(1);
        let spinner = SPINNER.get(frame % SPINNER.len()).copied().unwrap_or('-');
        let open: Vec<&Branch> = self.branches.iter().filter(|it| !it.has_ended()).collect();
        // The last row is for the cursor, one for the count of what has no room.
        let room = size.rows.saturating_sub(2).max(1);
        // Where not all have room, those in work come first.
        let (working, waiting): (Vec<&Branch>, Vec<&Branch>) =
            open.iter().partition(|it| it.running().next().is_some());
        let mut shown = open;
        let mut hidden = 0;
        if shown.len() > room {
            hidden = shown.len() - room;
            shown = working.into_iter().chain(waiting).take(room).collect();
        }
        let counts = shown.iter().map(|it| it.count().len()).max().unwrap_or(0);
        let mut spare = room - shown.len();
        let mut lines: Vec<String> = Vec::new();
        for branch in shown {
            let below = if spare < BELOW { 0 } else { BELOW };
            let new = self.branch_lines(branch, now, (counts, columns, below), spinner);
            spare -= new.len() - 1;
            lines.extend(new);
        }
        lines.extend(and_more(hidden, "").map(|more| paint(DIM, format!("· {more}"))));
        let cut = |it: &String| truncate_str(it.trim_end(), columns, "…").into_owned();
        lines.iter().map(cut).collect()
    }

    /// What a run that failed or was stopped has left: a line for each group that was begun, and one for all others.
    pub fn left(&self) -> Vec<String> {
        let left: Vec<&Branch> = self.branches.iter().filter(|it| !it.is_done()).collect();
        if !left.iter().any(|it| it.has_failed()) {
            return Vec::new();
        }
        let (begun, rest): (Vec<&Branch>, Vec<&Branch>) =
            left.into_iter().partition(|it| it.began.is_some());
        let mut lines: Vec<String> = begun.iter().map(|it| self.left_line(it)).collect();
        if !rest.is_empty() {
            let named = first_of(rest.iter().map(|it| it.title()), NAMED, [", ", " "]);
            lines.push(paint(DIM, format!("· not begun: {named}")));
        }
        lines
    }

    fn runs(&mut self, id: &Id, at: Instant, now: &str) {
        let Some(branch) = self.branch(id) else {
            return;
        };
        branch.began.get_or_insert(at);
        let Some(leaf) = branch.leaves.iter_mut().find(|it| it.id == *id) else {
            return;
        };
        let since = match leaf.state {
            State::Running { since, .. } => since,
            // Also one that has ended: a rollback does some steps again.
            _ => at,
        };
        let now = one_line(now);
        leaf.state = State::Running { since, now };
    }

    fn ends(&mut self, id: &Id, state: State, took: Duration, now: Instant) -> Option<String> {
        let names = self.names;
        let branch = self.branch(id)?;
        // A step that was in place has no other event.
        let began = now.checked_sub(took).unwrap_or(now);
        branch.began = Some(branch.began.map_or(began, |it| it.min(began)));
        branch.leaves.iter_mut().find(|it| it.id == *id)?.state = state;
        branch.is_done().then(|| branch.end_line(names, now))
    }

    fn branch(&mut self, id: &Id) -> Option<&mut Branch> {
        let at = *self.places.get(id)?;
        self.branches.get_mut(at)
    }

    /// The live line of a group: `⠹ cert-manager  2 of 3    12 s  what it waits for`. A reason that has no room on it is
    /// below, in at most so many lines: the cause is often at its end.
    fn branch_lines(
        &self,
        branch: &Branch,
        now: Instant,
        (counts, columns, below): (usize, usize, usize),
        spinner: char,
    ) -> Vec<String> {
        let name = fill(&truncate_str(&branch.title(), self.names, "…"), self.names);
        let head = format!("{name}  {:<counts$}  ", branch.count());
        let Some((text, others)) = branch.text() else {
            let (sign, rest) = (branch.sign(), paint(DIM, self.waits_for(branch)));
            return vec![format!("{sign} {head}{:>SECONDS$}  {rest}", "")];
        };
        let seconds = branch.began.map_or(0, |it| (now - it).as_secs());
        let head = format!("{head}{:>SECONDS$}{others}", format!("{seconds} s"));
        let head = format!("{} {head}", paint(CHANGE, spinner));
        if below == 0 || measure_text_width(&head) + 2 + measure_text_width(text) <= columns {
            return vec![format!("{head}  {}", paint(CHANGE, text))];
        }
        let indent = "    ";
        let wrapped = wrapped(&format!("{indent}{text}"), indent.len(), Some(columns));
        let mut lines = vec![head];
        let (last, all) = (below - 1, wrapped.lines().count());
        lines.extend(wrapped.lines().take(below).enumerate().map(|(at, line)| {
            let more = if at == last && all > below {
                " …"
            } else {
                ""
            };
            paint(CHANGE, format!("{line}{more}"))
        }));
        lines
    }

    /// The groups that must be done before this one goes on.
    fn waits_for(&self, branch: &Branch) -> String {
        let open = branch
            .leaves
            .iter()
            .filter(|it| matches!(it.state, State::Open));
        let needed = open.flat_map(|it| &it.after);
        let mut places: Vec<usize> = needed
            .filter_map(|id| Some((id, *self.places.get(id)?)))
            .filter(|(id, at)| self.branches.get(*at).is_some_and(|it| it.lacks(id)))
            .map(|(_, at)| at)
            .collect();
        places.sort_unstable();
        places.dedup();
        let names = places.iter().filter_map(|at| self.branches.get(*at));
        let names: Vec<String> = names
            .filter(|it| it.group != branch.group)
            .map(Branch::title)
            .collect();
        if names.is_empty() {
            return String::new();
        }
        format!("after {}", names.join(", "))
    }

    fn left_line(&self, branch: &Branch) -> String {
        let name = fill(&branch.title(), self.names);
        format!("{} {name}  {} done", branch.sign(), branch.count())
    }
}

impl Branch {
    /// Its name; those of pools may be of others.
    fn title(&self) -> String {
        one_line(&self.group.to_string())
    }

    fn name_width(&self) -> usize {
        measure_text_width(&self.title())
    }

    fn has_ended(&self) -> bool {
        let ended = |it: &Leaf| matches!(it.state, State::Done | State::Failed);
        self.leaves.iter().all(ended)
    }

    fn is_done(&self) -> bool {
        self.leaves.iter().all(|it| matches!(it.state, State::Done))
    }

    fn has_failed(&self) -> bool {
        let failed = |it: &Leaf| matches!(it.state, State::Failed);
        self.leaves.iter().any(failed)
    }

    /// Whether this step is here and not done.
    fn lacks(&self, id: &Id) -> bool {
        let open = |it: &Leaf| it.id == *id && !matches!(it.state, State::Done);
        self.leaves.iter().any(open)
    }

    fn count(&self) -> String {
        let done = self.leaves.iter();
        let done = done.filter(|it| matches!(it.state, State::Done)).count();
        format!("{done} of {}", self.leaves.len())
    }

    fn running(&self) -> impl Iterator<Item = (Instant, &str)> {
        self.leaves.iter().filter_map(|leaf| match &leaf.state {
            State::Running { since, now } => Some((*since, now.as_str())),
            _ => None,
        })
    }

    /// What the step in work for the longest time waits for, and how many others there are.
    fn text(&self) -> Option<(&str, String)> {
        let (_, text) = self.running().min_by_key(|(since, _)| *since)?;
        let others = match self.running().count() - 1 {
            0 => String::new(),
            count => format!(" +{count}"),
        };
        Some((text, others))
    }

    /// What stands before a group that is not in work.
    fn sign(&self) -> String {
        if self.has_failed() {
            paint(BAD, '✗')
        } else {
            paint(DIM, '·')
        }
    }

    /// The line that stays: `✓ cert-manager  4 steps, 12.3 s`.
    fn end_line(&self, names: usize, now: Instant) -> String {
        let name = fill(&self.title(), names);
        let steps = match self.leaves.len() {
            1 => "1 step".to_owned(),
            count => format!("{count} steps"),
        };
        let took = self.began.map_or(Duration::ZERO, |it| now - it);
        let rest = format!("{steps}, {:.1} s", took.as_secs_f64());
        format!("{} {name}  {}", paint(GOOD, '✓'), paint(DIM, rest))
    }
}

/// `text` with spaces up to `width` columns.
fn fill(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(measure_text_width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// Text of others on one line: without secrets and control characters.
fn one_line(text: &str) -> String {
    let text = printable(&masked(text));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

//! The version of a pool's runners in `status`: as lines, as JSON, and for the summary of a CI step. Pure: no I/O.

use std::fmt::Write;

use jiff::civil::Date;
use serde_json::{Value, json};
use textwrap::WordSplitter;

use super::{PoolStatus, Status};
use crate::{
    report::markdown,
    units::runner::{Freshness, State},
};

/// The width of a line below a pool's numbers: 80 without the indentation.
const WIDTH: usize = 73;

/// The version of a pool's runners.
#[derive(Clone, Debug)]
pub struct RunnerStatus {
    /// The image in the profile.
    pub image: String,
    /// Today, in UTC.
    pub today: Date,
    /// The verdict.
    pub freshness: Freshness,
}

impl RunnerStatus {
    /// The JSON object.
    pub(super) fn document(&self) -> Value {
        let text = |it: Option<&dyn std::fmt::Display>| it.map(ToString::to_string);
        let it = &self.freshness;
        json!({
            "image": self.image,
            "version": text(it.image.as_ref().map(|it| it as _)),
            "running": text(it.running.as_ref().map(|it| it as _)),
            "offered": text(it.offered.as_ref().map(|it| it as _)),
            "released": text(it.released.as_ref().map(|it| it as _)),
            "days": it.days,
            "registrationEnds": text(it.registration_ends.as_ref().map(|it| it as _)),
            "jobsEnd": text(it.jobs_end.as_ref().map(|it| it as _)),
            "state": it.state.word(),
            "reason": it.reason,
        })
    }

    /// What the screen says below the pool's numbers.
    pub(super) fn lines(&self) -> Vec<String> {
        let it = &self.freshness;
        let mut first = format!("runner {}", it.told());
        if it.running.is_some() && it.running != it.version() {
            let running = it.running.map(|it| it.to_string()).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ignored = write!(first, ", {running} runs");
        }
        let words = match it.state {
            State::Current => return vec![first],
            State::Ending => "",
            State::Refused => "refused: ",
            State::Behind => "behind its server: ",
            State::Unknown => "not known to be taken: ",
        };
        let reason = format!("{words}{}", it.reason);
        // A date is one word.
        let options = textwrap::Options::new(WIDTH).word_splitter(WordSplitter::NoHyphenation);
        let wrapped = textwrap::wrap(&reason, options).into_iter();
        std::iter::once(first)
            .chain(wrapped.map(std::borrow::Cow::into_owned))
            .collect()
    }

    /// Whether something is to be done about it: refused now or soon, behind its server, or not known.
    pub fn is_a_concern(&self) -> bool {
        match self.freshness.state {
            State::Current => false,
            State::Ending => self.freshness.ends_soon(self.today),
            State::Refused | State::Behind | State::Unknown => true,
        }
    }
}

/// The pools whose runners' version is a concern.
pub fn concerns(status: &Status) -> impl Iterator<Item = (&PoolStatus, &RunnerStatus)> {
    status
        .pools
        .iter()
        .filter_map(|pool| Some((pool, pool.runner.as_ref()?)))
        .filter(|(_, it)| it.is_a_concern())
}

/// The pools whose runners' version is a concern, for the summary of a CI step; `None` where there is none.
pub fn summary(status: &Status) -> Option<String> {
    let rows: Vec<[String; 4]> = concerns(status)
        .map(|(pool, it)| {
            [
                pool.name.clone(),
                it.image.clone(),
                it.freshness.told(),
                it.freshness.reason.clone(),
            ]
        })
        .collect();
    let head = ["pool", "image", "runner", "what follows"];
    (!rows.is_empty()).then(|| markdown::table("status", &status.profile, head, &rows))
}

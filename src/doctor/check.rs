//! The check and its verdicts. Pure: no I/O.

use serde::Serialize;

use super::snapshot::{Fact, Snapshot};
use crate::{
    error::{Error, ErrorKind},
    units::listed::first_of,
};

/// One check.
#[derive(Debug)]
pub struct Check {
    /// The slug, also the heading in docs/doctor.md.
    pub id: &'static str,
    /// Its area.
    pub category: &'static str,
    /// Whether runners need it.
    pub severity: Severity,
    /// True when all is well.
    pub claim: &'static str,
    /// Checks whose failure explains this one's, the likeliest first.
    pub causes: &'static [&'static str],
    /// `Err` is a verdict too: it ends the check early.
    pub judge: fn(&Snapshot) -> Result<Verdict, Verdict>,
}

/// Whether runners need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Without it there are no runners, now or soon.
    Required,
    /// It is only risky.
    Advice,
}

/// The result of a check. "Unknown" never counts as "holds".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The claim is true.
    Holds,
    /// The claim is false.
    Broken {
        /// The evidence, with the object's name.
        found: String,
        /// The fix.
        fix: String,
        /// Whether it is a known 401 or 403.
        refused: bool,
    },
    /// It does not apply here.
    Skipped {
        /// Why not.
        why: String,
    },
    /// The state is unknown.
    Unknown {
        /// Why not.
        why: String,
        /// How to find it out.
        fix: String,
        /// Whether the reason is a known 401 or 403.
        refused: bool,
    },
}

impl Verdict {
    /// The claim is false.
    pub fn broken(found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Broken {
            found: found.into(),
            fix: fix.into(),
            refused: false,
        }
    }

    /// The claim is false, because of `error`.
    pub fn refuted(error: &Error) -> Self {
        Self::Broken {
            found: error.document().message,
            fix: error.hint.clone().unwrap_or_default(),
            refused: error.kind == ErrorKind::Unauthorized,
        }
    }

    /// The state is unknown, because of `error`.
    pub fn unknown(error: &Error) -> Self {
        Self::Unknown {
            why: error.document().message,
            fix: error.hint.clone().unwrap_or_default(),
            refused: error.kind == ErrorKind::Unauthorized,
        }
    }

    /// False because of `error`, or unknown if that is only a missing response.
    pub fn of(error: &Error) -> Self {
        if error.passing || error.kind == ErrorKind::TimedOut {
            Self::unknown(error)
        } else {
            Self::refuted(error)
        }
    }

    /// The state is unknown, because of `why`.
    pub fn not_known(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Unknown {
            why: why.into(),
            fix: fix.into(),
            refused: false,
        }
    }

    /// It does not apply.
    pub fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped { why: why.into() }
    }

    /// Broken with `found` and `fix` if `found` is not empty.
    pub fn unless(found: &[String], fix: &str) -> Self {
        if found.is_empty() {
            Self::Holds
        } else {
            Self::broken(shortened(found), fix)
        }
    }

    /// Whether it is broken or unknown.
    pub const fn is_wrong(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Unknown { .. })
    }

    /// Whether a known 401 or 403 is the reason.
    pub const fn is_refused(&self) -> bool {
        matches!(
            self,
            Self::Broken { refused: true, .. } | Self::Unknown { refused: true, .. }
        )
    }

    /// The word of JSON documents.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Broken { .. } => "broken",
            Self::Skipped { .. } => "skipped",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// The fact, or the verdict that it is unknown.
pub(super) fn known<T>(fact: &Fact<T>) -> Result<&T, Verdict> {
    fact.as_ref().map_err(Verdict::unknown)
}

/// The first three of a list, and how many more there are.
fn shortened(found: &[String]) -> String {
    first_of(found, 3, ["; "; 2])
}

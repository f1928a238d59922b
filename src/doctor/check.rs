//! What a check is, and what it can say. Pure: no I/O.

use serde::Serialize;

use super::snapshot::{Known, World};
use crate::error::{Error, ErrorKind};

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
    /// `Err` is a verdict too: of what ends the judging early.
    pub judge: fn(&World) -> Result<Verdict, Verdict>,
}

/// Whether runners need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Without it there are no runners, or soon.
    Required,
    /// It is only unwise.
    Advice,
}

/// What a check says. "Could not find out" is never "fine".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The claim is true.
    Holds,
    /// It is not.
    Broken {
        /// The evidence, with the object's name.
        found: String,
        /// What mends it.
        fix: String,
        /// Whether it is a known 401 or 403.
        refused: bool,
    },
    /// It does not apply here.
    Skipped {
        /// Why not.
        why: String,
    },
    /// It could not be found out.
    Unknown {
        /// Why not.
        why: String,
        /// What makes it known.
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

    /// The claim is false, as `error` says.
    pub fn refuted(error: &Error) -> Self {
        Self::Broken {
            found: error.document().message,
            fix: error.hint.clone().unwrap_or_default(),
            refused: error.kind == ErrorKind::Unauthorized,
        }
    }

    /// Nobody can tell, since `error` came in between.
    pub fn unknown(error: &Error) -> Self {
        Self::Unknown {
            why: error.document().message,
            fix: error.hint.clone().unwrap_or_default(),
            refused: error.kind == ErrorKind::Unauthorized,
        }
    }

    /// False, as `error` says, or not known where it only says that nobody answered.
    pub fn of(error: &Error) -> Self {
        if error.passing || error.kind == ErrorKind::TimedOut {
            Self::unknown(error)
        } else {
            Self::refuted(error)
        }
    }

    /// Nobody can tell, since `why`.
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

    /// Broken with `found` and `fix` where something was found.
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

    /// Whether a known 401 or 403 is behind it.
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

/// The fact, or that it could not be found out.
pub(super) fn known<T>(fact: &Known<T>) -> Result<&T, Verdict> {
    fact.as_ref().map_err(Verdict::unknown)
}

/// The first three of a list, and how many more there are.
fn shortened(found: &[String]) -> String {
    let shown = found.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
    match found.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

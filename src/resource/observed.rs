//! What an observation can say. Pure: no I/O.

use serde::{Deserialize, Serialize};

use crate::{diff::Difference, error::Error};

/// What is there now, already compared with what is wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Observed {
    /// It is not there.
    Absent,
    /// It is there.
    Present(Present),
}

/// A thing that is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Present {
    /// Where it differs from what is wanted.
    pub differences: Vec<Difference>,
    /// Whether it does its work.
    pub readiness: Readiness,
    /// Whose it is.
    pub ownership: Ownership,
}

impl Present {
    /// Ours and as wanted; `readiness` says the rest.
    pub fn same(readiness: Readiness) -> Self {
        Self {
            differences: Vec::new(),
            readiness,
            ownership: Ownership::Ours,
        }
    }
}

/// Whose a thing is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ownership {
    /// This profile's.
    Ours,
    /// Of something that is to go, this profile's is a part, and only that goes.
    Shared {
        /// Why the rest stays.
        because: String,
    },
    /// Somebody's who made it by hand: refused, or taken over with `--adopt`.
    Foreign {
        /// What shows it, for the message.
        evidence: String,
    },
    /// Another profile's: refused in any case.
    OtherProfile {
        /// That profile's name.
        name: String,
    },
}

/// Whether a thing does its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Readiness {
    /// It does.
    Ready,
    /// Not yet.
    Progressing {
        /// What is missing.
        reason: String,
    },
    /// Not yet, and as it looks it will not without help; waiting goes on, since people mend things while we wait.
    Stuck {
        /// The cause that can be seen.
        reason: String,
        /// What mends it.
        hint: String,
        /// Whether the cause is a known 401 or 403.
        unauthorized: bool,
    },
}

impl Readiness {
    /// Not yet, because `reason`.
    pub fn progressing(reason: impl Into<String>) -> Self {
        Self::Progressing {
            reason: reason.into(),
        }
    }

    /// As it looks not without help.
    pub fn stuck(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Stuck {
            reason: reason.into(),
            hint: hint.into(),
            unauthorized: false,
        }
    }

    /// Not, since this user may not: a known 401 or 403.
    pub fn unauthorized(error: &Error) -> Self {
        Self::Stuck {
            reason: format!("{}: {}", error.message, error.causes.join(": ")),
            hint: error.hint.clone().unwrap_or_default(),
            unauthorized: true,
        }
    }

    /// Why it is not ready.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Ready => None,
            Self::Progressing { reason } | Self::Stuck { reason, .. } => Some(reason),
        }
    }
}

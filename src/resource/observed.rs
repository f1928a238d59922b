//! The result of an observation. Pure: no I/O.

use serde::{Deserialize, Serialize};

use crate::{diff::Difference, error::Error};

/// The current state, compared with the wanted one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Observed {
    /// It does not exist.
    Absent,
    /// It exists.
    Present(Present),
}

/// An existing resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Present {
    /// The differences from the wanted state.
    pub differences: Vec<Difference>,
    /// Whether it works.
    pub readiness: Readiness,
    /// Its owner.
    pub ownership: Ownership,
}

impl Present {
    /// Ours and without differences; `readiness` shows whether it works.
    pub fn same(readiness: Readiness) -> Self {
        Self {
            differences: Vec::new(),
            readiness,
            ownership: Ownership::Ours,
        }
    }
}

/// The owner of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ownership {
    /// This profile's.
    Ours,
    /// This profile owns only a part of it, and only that part is deleted.
    Shared {
        /// Why the rest is kept.
        because: String,
    },
    /// Created by another tool: rejected, or adopted with `--adopt`.
    Foreign {
        /// The evidence, for the message.
        evidence: String,
    },
    /// Another profile's: always rejected.
    OtherProfile {
        /// That profile's name.
        name: String,
    },
}

/// Whether a resource works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Readiness {
    /// It works.
    Ready,
    /// Not yet.
    Progressing {
        /// What is missing.
        reason: String,
    },
    /// It works, and is watched for some seconds: what needs it may begin, the run does not end yet.
    Settling {
        /// What is watched for.
        reason: String,
    },
    /// Not yet, and probably not without a fix; the wait goes on, because a user can fix it meanwhile.
    Stuck {
        /// The visible cause.
        reason: String,
        /// How to fix it.
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

    /// Probably not without a fix.
    pub fn stuck(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Stuck {
            reason: reason.into(),
            hint: hint.into(),
            unauthorized: false,
        }
    }

    /// Not ready because this user lacks a permission: a known 401 or 403.
    pub fn unauthorized(error: &Error) -> Self {
        Self::Stuck {
            reason: format!("{}: {}", error.message, error.causes.join(": ")),
            hint: error.hint.clone().unwrap_or_default(),
            unauthorized: true,
        }
    }

    /// The same with another reason.
    #[must_use]
    pub fn with_reason(mut self, other: impl FnOnce(String) -> String) -> Self {
        match &mut self {
            Self::Ready => {}
            Self::Progressing { reason }
            | Self::Settling { reason }
            | Self::Stuck { reason, .. } => *reason = other(std::mem::take(reason)),
        }
        self
    }

    /// Why it is not ready.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Ready => None,
            Self::Progressing { reason }
            | Self::Settling { reason }
            | Self::Stuck { reason, .. } => Some(reason),
        }
    }
}

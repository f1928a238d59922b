//! The one error type: what kind, whose word, which object, what the other side said, what to do.
//!
//! The kind decides the exit code and the JSON outcome (DESIGN 2). A foreign error becomes an [`Error`] at the first
//! place that knows the object's name; there is no `From<kube::Error>`, which would skip naming it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The system that said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// arcctl itself or this machine.
    Local,
    /// The profile file.
    Profile,
    /// The Kubernetes API server.
    Kubernetes,
    /// Helm and the chart repositories.
    Helm,
    /// The AWS API.
    Aws,
    /// GitHub's API.
    GitHub,
}

/// What kind of failure, each with an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// It failed: exit 1.
    Failed,
    /// The world has changed since the plan was made: exit 1, where a new plan does not help.
    Stale,
    /// Authentication or permission: exit 4.
    Unauthorized,
    /// Another run holds the lease: exit 5.
    Locked,
    /// Timed out waiting; running it again continues: exit 6.
    TimedOut,
    /// It would touch something foreign: exit 7.
    Refused,
    /// Wrong usage: exit 64.
    Usage,
    /// The profile is invalid: exit 65.
    InvalidProfile,
    /// Interrupted by SIGINT: exit 130.
    Interrupted,
    /// Terminated by SIGTERM: exit 143.
    Terminated,
    /// Its terminal went away (SIGHUP): exit 129, as shells tell of what that signal ended.
    HungUp,
}

impl ErrorKind {
    /// The exit code (DESIGN 2).
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed | Self::Stale => 1,
            Self::Unauthorized => 4,
            Self::Locked => 5,
            Self::TimedOut => 6,
            Self::Refused => 7,
            Self::Usage => 64,
            Self::InvalidProfile => 65,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::HungUp => 129,
        }
    }

    /// The `outcome` in JSON documents.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Failed | Self::Stale | Self::Usage | Self::InvalidProfile => "failed",
            Self::Unauthorized => "unauthorized",
            Self::Locked => "locked",
            Self::TimedOut => "timed-out",
            Self::Refused => "refused",
            Self::Interrupted | Self::Terminated | Self::HungUp => "interrupted",
        }
    }
}

/// A failure a user can act on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Error {
    /// Decides the exit code.
    pub kind: ErrorKind,
    /// Who said no.
    pub system: System,
    /// The object it is about, as `kind/namespace/name` or a path.
    pub object: Option<String>,
    /// What arcctl was doing to which thing.
    pub message: String,
    /// What the other side said, each once.
    pub causes: Vec<String>,
    /// A command or a file to edit.
    pub hint: Option<String>,
    /// Whether it may go away by itself: while waiting, it is a reason and not an end.
    pub passing: bool,
    /// Whether it only follows from another step's failure.
    pub consequence: bool,
}

/// `error` in JSON documents.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorDocument {
    /// The exit code.
    pub code: u8,
    /// Who said no.
    pub system: System,
    /// The object it is about.
    pub object: Option<String>,
    /// The message and its causes.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Error {
    /// A failure of `kind`, said by `system`.
    pub fn new(kind: ErrorKind, system: System, message: impl Into<String>) -> Self {
        Self {
            kind,
            system,
            object: None,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            passing: false,
            consequence: false,
        }
    }

    /// A plain failure of `system`.
    pub fn failed(system: System, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, system, message)
    }

    /// Names the object.
    #[must_use]
    pub fn object(mut self, object: impl fmt::Display) -> Self {
        self.object = Some(object.to_string());
        self
    }

    /// Quotes the other side.
    #[must_use]
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says whether it may go away by itself.
    #[must_use]
    pub fn passing(mut self, passing: bool) -> Self {
        self.passing = passing;
        self
    }

    /// The error without a secret: what the other side says may repeat what it was sent.
    #[must_use]
    pub fn without(mut self, secret: &crate::secret::Secret) -> Self {
        self.message = secret.redact(&self.message);
        self.hint = self.hint.map(|it| secret.redact(&it));
        for cause in &mut self.causes {
            *cause = secret.redact(cause);
        }
        self
    }

    /// As part of a JSON document.
    pub fn document(&self) -> ErrorDocument {
        let mut message = self.message.clone();
        for cause in &self.causes {
            message.push_str(": ");
            message.push_str(cause);
        }
        ErrorDocument {
            code: self.kind.exit_code(),
            system: self.system,
            object: self.object.clone(),
            message,
            hint: self.hint.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        for cause in &self.causes {
            write!(formatter, "\n  caused by: {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(formatter, "\n\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// What the functions that reach out return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

//! The error type: kind, system, object, message, causes, hint.
//!
//! The kind decides the exit code and the JSON outcome (DESIGN 2). An external error becomes an [`Error`] where the
//! object's name is known; there is no `From<kube::Error>`, which would omit it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The system that reported the error.
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
    /// An image registry.
    Registry,
}

/// The kinds of errors, each with an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// Failed: exit 1.
    Failed,
    /// The current state changed since the plan was made, and a new plan does not help: exit 1.
    Stale,
    /// Authentication or permission: exit 4.
    Unauthorized,
    /// Another run holds the lease: exit 5.
    Locked,
    /// Timed out waiting; another run continues: exit 6.
    TimedOut,
    /// It would change an object that arcctl does not own, or something differs from the lock: exit 7.
    Refused,
    /// Wrong usage: exit 64.
    Usage,
    /// The profile is invalid: exit 65.
    InvalidProfile,
    /// Interrupted by SIGINT: exit 130.
    Interrupted,
    /// Terminated by SIGTERM: exit 143.
    Terminated,
    /// The terminal closed (SIGHUP): exit 129, as in shells.
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

/// An error the user can act on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Error {
    /// The kind, which decides the exit code.
    pub kind: ErrorKind,
    /// The system that reported it.
    pub system: System,
    /// The affected object, as `kind/namespace/name` or a path.
    pub object: Option<String>,
    /// What arcctl was doing with which object.
    pub message: String,
    /// The messages of the underlying errors, without duplicates.
    pub causes: Vec<String>,
    /// A command to run or a file to edit.
    pub hint: Option<String>,
    /// Whether it may resolve by itself: a wait reports it as a reason and continues.
    pub passing: bool,
    /// Whether it only follows from the failure of another step.
    pub consequence: bool,
}

/// `error` in JSON documents.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorDocument {
    /// The exit code.
    pub code: u8,
    /// The system that reported it.
    pub system: System,
    /// The affected object.
    pub object: Option<String>,
    /// The message and its causes.
    pub message: String,
    /// A command to run or a file to edit.
    pub hint: Option<String>,
}

impl Error {
    /// An error of `kind`, reported by `system`.
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

    /// An error of kind `Failed`, reported by `system`.
    pub fn failed(system: System, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, system, message)
    }

    /// Sets the object.
    #[must_use]
    pub fn object(mut self, object: impl fmt::Display) -> Self {
        self.object = Some(object.to_string());
        self
    }

    /// Adds a cause.
    #[must_use]
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Sets the hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets whether it may resolve by itself.
    #[must_use]
    pub fn passing(mut self, passing: bool) -> Self {
        self.passing = passing;
        self
    }

    /// The error without a secret: a response may repeat the request.
    #[must_use]
    pub fn without(mut self, secret: &crate::secret::Secret) -> Self {
        self.message = secret.redact(&self.message);
        self.hint = self.hint.map(|it| secret.redact(&it));
        for cause in &mut self.causes {
            *cause = secret.redact(cause);
        }
        self
    }

    /// The error as part of a JSON document.
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

/// The result type of functions with I/O.
pub type Result<T, E = Error> = std::result::Result<T, E>;

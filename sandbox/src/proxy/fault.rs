//! The faults that a proxy injects, and the requests they apply to.
//!
//! Pure: no I/O.

use std::time::Duration;

use super::classify::Kind;

/// A fault: what happens, to which requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// To which requests.
    pub matching: Matching,
    /// To which of those, in the order they come.
    pub nth: Nth,
    /// What happens.
    pub effect: Effect,
}

/// Which requests a fault is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// The kind or the method; any when absent.
    pub method: Option<MethodMatch>,
    /// What the path (with its query) starts with; anything when empty.
    pub prefix: String,
    /// What the path (with its query) contains; anything when empty.
    pub substring: String,
    /// What the path (with its query) does not contain; a fault in text form has none.
    pub without: Vec<String>,
}

/// A method, or a kind of methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodMatch {
    /// Everything that changes nothing; a dry run is among them.
    Reads,
    /// Everything that changes something.
    Writes,
    /// This method, in capitals.
    Method(String),
}

/// Which of the matching requests, counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nth {
    /// All of them.
    #[default]
    Every,
    /// This one only.
    Only(u64),
    /// This one and all after it.
    From(u64),
    /// From the first number to the second, both included.
    Between(u64, u64),
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is answered here and does not reach the other side.
    Respond {
        /// The status code.
        status: u16,
        /// The body; without one, what the system itself would say with this status.
        body: Option<String>,
        /// Headers.
        headers: Vec<(String, String)>,
    },
    /// It is forwarded after this long.
    Delay(Duration),
    /// The connection is reset; the request does not reach the other side.
    ResetBefore,
    /// The other side does what it is asked; then the connection is reset, and the client learns nothing.
    ResetAfter,
    /// The answer's body ends after this many bytes, the connection with it.
    Truncate(usize),
    /// The answer's body comes in small pieces, with this pause before each.
    SlowBody(Duration),
    /// There is no answer, and the connection stays.
    Hang,
    /// The other side does what it is asked; there is no answer, and the connection stays.
    HangAfter,
    /// The client is killed; the request does not reach the other side.
    Kill,
    /// The other side does what it is asked; then the client is killed.
    KillAfter,
}

impl Fault {
    /// A fault that happens to every request.
    pub fn always(effect: Effect) -> Self {
        Self {
            matching: Matching::default(),
            nth: Nth::Every,
            effect,
        }
    }
}

impl Matching {
    pub(super) fn matches(&self, kind: Kind, method: &str, path: &str) -> bool {
        let method = match &self.method {
            None => true,
            Some(MethodMatch::Reads) => kind == Kind::Read,
            Some(MethodMatch::Writes) => kind == Kind::Write,
            Some(MethodMatch::Method(expected)) => expected == method,
        };
        method
            && path.starts_with(&self.prefix)
            && path.contains(&self.substring)
            && !self.without.iter().any(|it| path.contains(it))
    }
}

impl Nth {
    pub(super) fn includes(self, number: u64) -> bool {
        match self {
            Self::Every => true,
            Self::Only(only) => number == only,
            Self::From(first) => number >= first,
            Self::Between(first, last) => (first..=last).contains(&number),
        }
    }
}

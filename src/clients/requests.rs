//! Counts the calls to each system, for the report.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Whether a call can change something. Dry runs and registration-token calls are reads (DESIGN 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A read call.
    Read,
    /// A dry run: counted as a read.
    DryRun,
    /// A write call.
    Write,
}

/// The calls to one system.
#[derive(Debug, Default)]
pub struct Counter {
    reads: AtomicU64,
    writes: AtomicU64,
}

impl Counter {
    /// Counts one call.
    pub fn count(&self, call: Call) {
        let counter = match call {
            Call::Read | Call::DryRun => &self.reads,
            Call::Write => &self.writes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn snapshot(&self) -> Counts {
        Counts {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
        }
    }
}

/// Reads and writes of one system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls that change nothing.
    pub reads: u64,
    /// Calls that may change something.
    pub writes: u64,
}

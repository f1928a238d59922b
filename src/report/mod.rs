//! Renders plans, runs, smoke tests and states as text, JSON, Markdown, and for CI. Pure: no I/O.

pub mod bundle;
mod change;
pub mod doctor;
pub mod explain;
pub mod github;
pub mod images;
pub mod init;
pub mod junit;
pub mod lock;
pub mod markdown;
pub mod migration;
pub mod plan;
pub mod run;
pub mod schedule;
pub mod screen;
pub mod smoke;
pub mod status;
pub mod strip;
pub mod tree;
pub mod upgrade;
pub(crate) mod xml;

//! What the tests share: a sandbox, a run in the background, jobs beside it, waits, an AWS account, a search for secrets.

pub(crate) mod account;
pub(crate) mod account_others;
pub(crate) mod cluster;
pub(crate) mod jobs;
pub(crate) mod running;
pub(crate) mod secrecy;
pub(crate) mod terminal;
pub(crate) mod waiting;

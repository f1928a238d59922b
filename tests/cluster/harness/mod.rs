//! What the tests share: a sandbox, a run in the background, waits, an AWS account, a search for secrets.

pub(crate) mod account;
pub(crate) mod account_others;
pub(crate) mod cluster;
pub(crate) mod running;
pub(crate) mod secrecy;
pub(crate) mod terminal;
pub(crate) mod waiting;

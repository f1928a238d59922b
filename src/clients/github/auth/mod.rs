//! GitHub authentication: kinds of token, installation tokens of a GitHub App, and checks of both.

pub(crate) mod app;
pub(crate) mod app_token;
pub(crate) mod audit;
pub(crate) mod identity;
pub(crate) mod misplaced;
pub(crate) mod spelling;
pub(crate) mod token_kind;

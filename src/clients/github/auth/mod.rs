//! How arcctl authenticates to GitHub: the kinds of token, a GitHub App's installation, and what is asked of them.

pub(crate) mod app;
pub(crate) mod app_token;
pub(crate) mod audit;
pub(crate) mod misplaced;
pub(crate) mod token_kind;

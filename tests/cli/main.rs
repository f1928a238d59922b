//! Hermetic tests: no control plane, no network.

mod action;
mod administrator;
mod architecture;
mod aws_administrator;
mod aws_permissions;
mod ci;
mod desired;
mod dist;
mod docs;
mod github;
mod gitops;
mod growth;
mod habits;
mod hints;
mod images;
mod init;
mod json;
mod migrate;
mod other_languages;
mod probe;
mod profiles;
mod repository;
mod schedule_oracle;
mod signals;
mod version;
mod ways;

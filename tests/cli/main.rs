//! Hermetic tests: no control plane, no network.

mod administrator;
mod architecture;
mod aws_administrator;
mod aws_permissions;
mod ci;
mod desired;
mod docs;
mod github;
mod gitops;
mod habits;
mod hints;
mod json;
mod other_languages;
mod plan_text;
mod probe;
mod profiles;
mod repository;
mod schedule_oracle;
mod signals;
mod ways;

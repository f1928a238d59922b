//! Hermetic tests: no control plane, no network.

mod architecture;
mod aws_permissions;
mod ci;
mod desired;
mod docs;
mod github;
mod json;
mod probe;
mod profiles;
mod repository;
mod schedule_oracle;

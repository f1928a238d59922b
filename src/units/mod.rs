//! Formats and limits of Kubernetes and AWS, checked offline: quantities, durations, versions, CIDRs, ARNs, partitions,
//! pull-through rules of registries; the releases of GitHub's runner; how tables of facts are read, and long lists told.
//! Pure: no I/O.

pub mod arn;
pub mod aws_limits;
pub mod cidr;
pub mod digest;
pub(crate) mod duration;
pub mod image;
pub(crate) mod listed;
pub mod partition;
pub mod pull_through;
pub mod quantity;
pub mod runner;
pub(crate) mod table;
pub mod version;

pub use arn::Arn;
pub use cidr::Network;
pub use partition::Partition;

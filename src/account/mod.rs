//! What AWS asks of names, addresses and identities, known without asking AWS: characters and lengths, CIDRs, ARNs,
//! partitions. Pure: no I/O.

pub mod arn;
pub mod constraints;
pub mod network;
pub mod partition;

pub use arn::Arn;
pub use network::Network;
pub use partition::Partition;

//! Plans, runs and states as text or JSON. Pure: no I/O.

pub mod doctor;
pub mod plan;
pub mod run;
pub mod status;

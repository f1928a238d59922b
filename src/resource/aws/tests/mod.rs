//! Tests of AWS resources with a fake AWS that answers like the real one, or denies.

/// A test case with a call, as a function of the clients.
macro_rules! call {
    (|$aws:ident, $writes:ident| $run:expr) => {
        |$aws| {
            Box::pin(async move {
                let $writes = &$crate::resource::aws::consistency::Writes::default();
                let _ = $writes;
                $run.await.map(drop)
            })
        }
    };
}

mod associations;
mod denied;
mod denied_networks;
mod denying;
mod documented;
mod documents;
mod late_iam;
mod providers;
mod races;
mod roles;
mod samples;

//! What is at AWS beside one that answers as AWS does, or refuses.

/// A call as a case: what runs, as a function of the clients.
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

//! The quotas of namespaces, each read once for all pods that are tried together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use tokio::sync::OnceCell;

use crate::{
    clients::kube::{Kube, Selection},
    error::Result,
};

/// The quotas of a namespace, once they were read.
type Read = Arc<OnceCell<Result<Arc<Vec<Value>>>>>;

/// The quotas of each namespace that was asked for. Whoever waits for a quota to change makes a new one for each look.
#[derive(Default)]
pub struct Quotas {
    namespaces: Mutex<HashMap<String, Read>>,
}

impl Quotas {
    /// Those of `namespace`: whoever asks again, also at the same time, gets the answer of the first call, or its error.
    pub async fn of(&self, kube: &Kube, namespace: &str) -> Result<Arc<Vec<Value>>> {
        let selection = Selection::namespaced("v1", "ResourceQuota", namespace);
        self.once(namespace, kube.list(&selection)).await
    }

    /// Awaits `read` if nobody has read those of `namespace` yet.
    async fn once(
        &self,
        namespace: &str,
        read: impl Future<Output = Result<Vec<Value>>>,
    ) -> Result<Arc<Vec<Value>>> {
        let cell = {
            // A poisoned lock only means that another task panicked; the map is still whole.
            let mut namespaces = self
                .namespaces
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(namespaces.entry(namespace.to_owned()).or_default())
        };
        let found = cell.get_or_init(|| async { read.await.map(Arc::new) });
        found.await.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::json;

    use super::*;
    use crate::error::{Error, System};

    #[tokio::test]
    async fn a_namespace_is_read_once_for_all_that_ask_at_the_same_time() {
        let (quotas, reads) = (Quotas::default(), AtomicU32::new(0));
        let read = async || {
            reads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(vec![json!({"metadata": {"name": "q"}})])
        };
        let (first, second) = tokio::join!(quotas.once("a", read()), quotas.once("a", read()));
        assert_eq!(first.unwrap(), second.unwrap());
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        quotas.once("b", read()).await.unwrap();
        quotas.once("a", read()).await.unwrap();
        assert_eq!(reads.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn an_error_is_that_of_everyone_who_asks() {
        let quotas = Quotas::default();
        let refused = async || Err(Error::failed(System::Kubernetes, "may not list"));
        let fine = async || Ok(Vec::new());
        assert!(quotas.once("a", refused()).await.is_err());
        assert!(quotas.once("a", fine()).await.is_err());
    }
}

//! Quotas that admit the pods of a namespace one by one, and can never hold all of them.

use std::sync::Arc;

use serde_json::Value;

use super::subject::Subject;
use crate::resource::{
    context::Context,
    pods::{
        quota::exceeded_together,
        refusal::{Lasts, Refusal},
    },
};

/// The pods of a namespace, which no quota can hold together.
pub(super) struct Together {
    /// The namespace.
    pub(super) namespace: String,
    /// Why.
    pub(super) refusal: Refusal,
}

/// The refusal of the pods of a namespace by a quota that cannot hold all of them.
pub(super) fn together(
    context: &Context,
    namespace: &str,
    quotas: &[Value],
    subjects: &[&Subject],
) -> Option<Together> {
    let pods: Vec<(Arc<Value>, u32)> = subjects
        .iter()
        .filter_map(|it| it.manifest(context))
        .collect();
    let counted: Vec<(&Value, u32)> = pods.iter().map(|(pod, count)| (&**pod, *count)).collect();
    let (quota, allows) = exceeded_together(quotas, &counted)?;
    let all: Vec<String> = subjects.iter().map(|it| it.short()).collect();
    Some(Together {
        namespace: namespace.to_owned(),
        refusal: Refusal {
            said: format!(
                "{allows}, and the pods of {} ask for more together",
                all.join(", ")
            ),
            hint: format!(
                "lower min or the resources of pools in this namespace, or raise the quota: `kubectl -n {namespace} describe resourcequota {quota}`"
            ),
            lasts: Lasts::UntilChanged,
        },
    })
}

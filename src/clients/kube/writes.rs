//! Write calls and their dry runs: server-side apply, create, replace, patch, delete.

use kube::api::{
    DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions, ValidationDirective,
};
use serde_json::Value;

use super::{FIELD_MANAGER, FIRST_VALUE_MANAGER, Kind, Kube, Target, error::KubeFailure, to_value};
use crate::{clients::requests::Call, error::Result};

/// Whether a call persists its change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dry run.
    DryRun,
    /// Persisted.
    Commit,
}

impl Mode {
    const fn call(self) -> Call {
        match self {
            Self::DryRun => Call::DryRun,
            Self::Commit => Call::Write,
        }
    }
}

impl Kube {
    /// Applies `manifest` server-side with strict field validation; a dry run changes nothing.
    pub async fn apply(&self, manifest: &Value, mode: Mode) -> Result<Value, KubeFailure> {
        let parameters = PatchParams {
            dry_run: mode == Mode::DryRun,
            force: true,
            field_manager: Some(FIELD_MANAGER.into()),
            field_validation: Some(ValidationDirective::Strict),
        };
        self.apply_with(manifest, mode, &parameters).await
    }

    /// Gives fields of an object their first values, as [`FIRST_VALUE_MANAGER`]. `manifest` has these fields, the object's
    /// name and its uid; where one of them has another value by then, or the object is gone, that is a conflict (409).
    pub async fn apply_first(&self, manifest: &Value) -> Result<Value, KubeFailure> {
        let parameters = PatchParams {
            field_manager: Some(FIRST_VALUE_MANAGER.into()),
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        self.apply_with(manifest, Mode::Commit, &parameters).await
    }

    /// Applies a part of an existing object as `manager`, which then owns these fields alone. `manifest` has these fields, the
    /// object's name and its uid: where the object is gone, or another of its name, that is a conflict (409).
    pub async fn apply_part(&self, manifest: &Value, manager: &str) -> Result<Value, KubeFailure> {
        let parameters = PatchParams {
            force: true,
            field_manager: Some(manager.into()),
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        self.apply_with(manifest, Mode::Commit, &parameters).await
    }

    async fn apply_with(
        &self,
        manifest: &Value,
        mode: Mode,
        parameters: &PatchParams,
    ) -> Result<Value, KubeFailure> {
        let Some(target) = Target::of(manifest) else {
            return Err(KubeFailure::unsent("apply an object without a name"));
        };
        let api = self.api(&target.kind, target.namespace.as_deref());
        let patch = Patch::Apply(manifest);
        self.call(mode.call(), &format!("apply {target}"), || {
            api.patch(&target.name, parameters, &patch)
        })
        .await
        .map(|object| to_value(&object))
    }

    /// Creates `manifest`; a dry run changes nothing.
    pub async fn create(&self, manifest: &Value, mode: Mode) -> Result<Value, KubeFailure> {
        let metadata = manifest.get("metadata");
        let kind = Kind::new(
            manifest
                .get("apiVersion")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            manifest
                .get("kind")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        );
        let namespace = metadata
            .and_then(|it| it.get("namespace"))
            .and_then(Value::as_str);
        let api = self.api(&kind, namespace);
        let object: DynamicObject = serde_json::from_value(manifest.clone())
            .map_err(|_| KubeFailure::unsent("create an object that is none"))?;
        let parameters = PostParams {
            dry_run: mode == Mode::DryRun,
            field_manager: Some(FIELD_MANAGER.into()),
        };
        self.call(mode.call(), &format!("create a {}", kind.name()), || {
            api.create(&parameters, &object)
        })
        .await
        .map(|object| to_value(&object))
    }

    /// Replaces `manifest`, which contains the resourceVersion that was read.
    pub async fn replace(&self, manifest: &Value) -> Result<Value, KubeFailure> {
        let silence = || KubeFailure::unsent("replace an object");
        let target = Target::of(manifest).ok_or_else(silence)?;
        let api = self.api(&target.kind, target.namespace.as_deref());
        let object: DynamicObject =
            serde_json::from_value(manifest.clone()).map_err(|_| silence())?;
        let parameters = PostParams {
            dry_run: false,
            field_manager: Some(FIELD_MANAGER.into()),
        };
        self.call(Call::Write, &format!("replace {target}"), || {
            api.replace(&target.name, &parameters, &object)
        })
        .await
        .map(|object| to_value(&object))
    }

    /// Merges `patch` into the object.
    pub async fn merge(&self, target: &Target, patch: &Value) -> Result<Value> {
        self.merge_as(target, patch, FIELD_MANAGER).await
    }

    /// Merges `patch` into the object as `manager`: what is changed for a while must not look like arcctl's own wish.
    pub async fn merge_as(&self, target: &Target, patch: &Value, manager: &str) -> Result<Value> {
        let api = self.api(&target.kind, target.namespace.as_deref());
        let parameters = PatchParams {
            field_manager: Some(manager.into()),
            ..Default::default()
        };
        let patch = Patch::Merge(patch);
        self.call(Call::Write, &format!("patch {target}"), || {
            api.patch(&target.name, &parameters, &patch)
        })
        .await
        .map(|object| to_value(&object))
        .map_err(|failure| failure.about(target))
    }

    /// The object after a merge of `patch`, as a dry run. Unlike an apply this accepts lists with
    /// duplicate keys, as the API server itself does, and drops unknown fields.
    pub async fn try_merge(&self, target: &Target, patch: &Value) -> Result<Value, KubeFailure> {
        let api = self.api(&target.kind, target.namespace.as_deref());
        let parameters = PatchParams {
            dry_run: true,
            field_manager: Some(FIELD_MANAGER.into()),
            ..Default::default()
        };
        let patch = Patch::Merge(patch);
        self.call(Call::DryRun, &format!("try a change of {target}"), || {
            api.patch(&target.name, &parameters, &patch)
        })
        .await
        .map(|object| to_value(&object))
    }

    /// Deletes the object with background propagation; succeeds if it does not exist.
    pub async fn delete(&self, target: &Target) -> Result<()> {
        self.delete_with(target, &DeleteParams::background()).await
    }

    /// Deletes the object that was read as `live`: only with the same uid and resourceVersion.
    pub async fn delete_exactly(&self, target: &Target, live: &Value) -> Result<()> {
        let text = |key: &str| live["metadata"][key].as_str().map(str::to_owned);
        let parameters = DeleteParams::background().preconditions(Preconditions {
            resource_version: text("resourceVersion"),
            uid: text("uid"),
        });
        self.delete_with(target, &parameters).await
    }

    /// Deletes the object that was read as `live`, even if its status has changed since.
    pub async fn delete_same(&self, target: &Target, live: &Value) -> Result<()> {
        let parameters = DeleteParams::background().preconditions(same_uid(live));
        self.delete_with(target, &parameters).await
    }

    /// Deletes the pod that was read as `live`, even if it has been updated since; its grace period applies.
    pub async fn delete_pod(&self, target: &Target, live: &Value) -> Result<()> {
        self.delete_same(target, live).await
    }

    /// Deletes the pod that was read as `live` without its grace period.
    pub async fn kill_pod(&self, target: &Target, live: &Value) -> Result<()> {
        let parameters = DeleteParams::background()
            .grace_period(0)
            .preconditions(same_uid(live));
        self.delete_with(target, &parameters).await
    }

    async fn delete_with(&self, target: &Target, parameters: &DeleteParams) -> Result<()> {
        let api = self.api(&target.kind, target.namespace.as_deref());
        match self
            .call(Call::Write, &format!("delete {target}"), || {
                api.delete(&target.name, parameters)
            })
            .await
        {
            Ok(_) => Ok(()),
            Err(failure) if failure.code() == Some(404) => Ok(()),
            Err(failure) => Err(failure.about(target)),
        }
    }
}

/// The precondition that the object has the uid of `live`, and is not a new one with the same name.
fn same_uid(live: &Value) -> Preconditions {
    Preconditions {
        resource_version: None,
        uid: live["metadata"]["uid"].as_str().map(str::to_owned),
    }
}

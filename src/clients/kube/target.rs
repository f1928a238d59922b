//! Addresses of Kubernetes objects: a kind, one object, a selection. Pure: no I/O.

use kube::api::{ApiResource, GroupVersionKind};
use serde_json::Value;

/// A kind of object, with its plural name in URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    pub(super) resource: ApiResource,
}

impl Kind {
    /// The kind `kind` of `api_version` (`apps/v1`).
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        Self {
            resource: ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)),
        }
    }

    /// The kind's API group; empty for the core group.
    pub fn group(&self) -> &str {
        &self.resource.group
    }

    /// The name of the kind in URLs and RBAC rules.
    pub fn plural(&self) -> &str {
        &self.resource.plural
    }

    /// The kind's name.
    pub fn name(&self) -> &str {
        &self.resource.kind
    }
}

/// An object's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; `None` for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Target {
    /// An object in a namespace.
    pub fn namespaced(api_version: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            kind: Kind::new(api_version, kind),
            namespace: Some(namespace.into()),
            name: name.into(),
        }
    }

    /// A cluster-scoped object.
    pub fn cluster(api_version: &str, kind: &str, name: &str) -> Self {
        Self {
            kind: Kind::new(api_version, kind),
            namespace: None,
            name: name.into(),
        }
    }

    /// The address of a manifest.
    pub fn of(manifest: &Value) -> Option<Self> {
        let metadata = manifest.get("metadata")?;
        Some(Self {
            kind: Kind::new(
                manifest.get("apiVersion")?.as_str()?,
                manifest.get("kind")?.as_str()?,
            ),
            namespace: metadata
                .get("namespace")
                .and_then(Value::as_str)
                .map(Into::into),
            name: metadata.get("name")?.as_str()?.into(),
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} `", self.kind.name())?;
        if let Some(namespace) = &self.namespace {
            write!(formatter, "{namespace}/")?;
        }
        write!(formatter, "{}`", self.name)
    }
}

/// Objects to watch or list.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Their kind.
    pub kind: Kind,
    /// Their namespace; `None` for all.
    pub namespace: Option<String>,
    /// A label selector.
    pub labels: Option<String>,
    /// A field selector.
    pub fields: Option<String>,
}

impl Selection {
    /// All objects of a kind in a namespace.
    pub fn namespaced(api_version: &str, kind: &str, namespace: &str) -> Self {
        Self {
            kind: Kind::new(api_version, kind),
            namespace: Some(namespace.into()),
            labels: None,
            fields: None,
        }
    }

    /// All objects of a kind.
    pub fn all(api_version: &str, kind: &str) -> Self {
        Self {
            kind: Kind::new(api_version, kind),
            namespace: None,
            labels: None,
            fields: None,
        }
    }

    /// Restricts it to objects with these labels.
    #[must_use]
    pub fn labelled(mut self, selector: impl Into<String>) -> Self {
        self.labels = Some(selector.into());
        self
    }

    /// Restricts it to objects with these fields.
    #[must_use]
    pub fn with_fields(mut self, selector: impl Into<String>) -> Self {
        self.fields = Some(selector.into());
        self
    }
}

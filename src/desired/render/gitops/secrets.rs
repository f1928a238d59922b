//! The Secrets and CRDs that no file has: how they come into the cluster. Pure: no I/O.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Options, SecretForm, parts::Hole};
use crate::{
    desired::{
        names, placeholder,
        resource::{CrdSet, Resource, SecretContent},
    },
    profile::{App, Profile, TokenSource},
    templates,
};

/// What stands in a file for a Secret.
pub(super) enum Made {
    /// An object that makes it.
    Manifest(Value),
    /// A text that says how to make it.
    Hole(Hole),
}

/// A Secret: its place, the keys that are no secret, and the one that is.
struct Wanted<'a> {
    namespace: &'a str,
    name: &'a str,
    what: String,
    plain: Vec<(&'static str, &'a str)>,
    key: &'static str,
    source: Option<&'a TokenSource>,
}

/// What stands in a file for a Secret of the profile; `None` where somebody else manages it, and for what is no Secret.
pub(super) fn secret(profile: &Profile, resource: &Resource, options: &Options) -> Option<Made> {
    let github = &profile.github;
    let wanted = match resource {
        Resource::ControllerSecret(secret) if secret.managed => Wanted {
            what: "the credential with which the controller asks GitHub for runners".into(),
            ..credential(
                &secret.namespace,
                &secret.name,
                github.token.as_ref(),
                github.app.as_ref(),
            )
        },
        Resource::Secret(secret) => match &secret.content {
            SecretContent::ProfileCredential => Wanted {
                what: "the credential of the runner scale sets".into(),
                ..credential(
                    &secret.namespace,
                    &secret.name,
                    github.token.as_ref(),
                    github.app.as_ref(),
                )
            },
            SecretContent::Credential { pool } => {
                let own = profile.pools.iter().find(|it| it.name == *pool);
                let own = own.and_then(|it| it.github.as_ref())?;
                Wanted {
                    what: format!("the credential of the pool `{pool}`"),
                    ..credential(
                        &secret.namespace,
                        &secret.name,
                        own.token.as_ref(),
                        own.app.as_ref(),
                    )
                }
            }
            SecretContent::WebhookToken => Wanted {
                namespace: &secret.namespace,
                name: &secret.name,
                what: "the secret of GitHub's webhook, which signs its events: make one up, and give it to GitHub too"
                    .into(),
                plain: Vec::new(),
                key: "github_webhook_secret_token",
                source: None,
            },
        },
        _ => return None,
    };
    Some(match options.secret {
        SecretForm::External => Made::Manifest(wanted.external(profile, options)),
        SecretForm::Hole => Made::Hole(wanted.hole()),
    })
}

/// The Secret of a token or an App, with the keys that the controller reads (reference: arc.md 1.3).
fn credential<'a>(
    namespace: &'a str,
    name: &'a str,
    token: Option<&'a TokenSource>,
    app: Option<&'a App>,
) -> Wanted<'a> {
    let (plain, key, source) = match app {
        Some(app) => (
            vec![
                ("github_app_id", app.id.as_str()),
                ("github_app_installation_id", app.installation_id.as_str()),
            ],
            "github_app_private_key",
            Some(&app.private_key),
        ),
        None => (Vec::new(), "github_token", token),
    };
    Wanted {
        namespace,
        name,
        what: String::new(),
        plain,
        key,
        source,
    }
}

impl Wanted<'_> {
    /// The object of External Secrets Operator that makes it. Where the profile reads the credential at AWS, so does the
    /// store.
    fn external(&self, profile: &Profile, options: &Options) -> Value {
        let stored = self
            .source
            .and_then(|it| it.secrets_manager.as_deref().or(it.ssm.as_deref()));
        let mut data: Map<String, Value> = self
            .plain
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        data.insert(self.key.into(), format!("{{{{ .{} }}}}", self.key).into());
        templates::EXTERNAL_SECRET.value(&[
            ("NAME", json!(self.name)),
            ("NAMESPACE", json!(self.namespace)),
            ("LABELS", names::labels(&profile.name)),
            (
                "STORE",
                placeholder::SECRET_STORE
                    .or(options.secret_store.as_deref())
                    .into(),
            ),
            ("DATA", data.into()),
            ("KEY", json!(self.key)),
            ("REMOTE", placeholder::SECRET_KEY.or(stored).into()),
        ])
    }

    fn hole(&self) -> Hole {
        let mut plain = String::new();
        for (key, value) in &self.plain {
            // Writing to a String cannot fail.
            let _ = write!(plain, " \\\n  --from-literal={key}={value}");
        }
        let text = templates::SECRET_HOLE.text(&[
            ("NAME", self.name),
            ("NAMESPACE", self.namespace),
            ("WHAT", &self.what),
            ("KEY", self.key),
            ("PLAIN", &plain),
        ]);
        let path = format!("holes/secret.{}.{}.md", self.namespace, self.name);
        Hole {
            title: format!(
                "make the Secret `{}` in `{}`: `{path}` says how",
                self.name, self.namespace
            ),
            path,
            text,
        }
    }
}

/// How to write the CRDs of a chart into the repository.
pub(super) fn crds(crds: &CrdSet, options: &Options) -> Hole {
    let chart = &crds.chart;
    let place = chart
        .oci_reference()
        .unwrap_or_else(|| format!("{} --repo {}", chart.name, chart.location));
    let command = match &crds.templated {
        None => format!("helm show crds {place} --version {}", chart.version),
        Some(values) => format!(
            "helm template {} {place} --version {} --values - <<'EOF'\n{values}\nEOF",
            chart.name, chart.version
        ),
    };
    let path = format!("holes/crds.{}.md", chart.name);
    let (guard, value) = options.tool.guards()[0];
    Hole {
        title: format!(
            "the CRDs of the chart {} {}: `{path}` says how",
            chart.name, chart.version
        ),
        text: templates::CRDS_HOLE.text(&[
            ("CHART", &chart.name),
            ("VERSION", &chart.version),
            ("NAMES", &crds.names.join("\n- ")),
            ("COMMAND", &command),
            ("GUARD", &format!("{guard}: {value}")),
        ]),
        path,
    }
}

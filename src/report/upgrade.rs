//! An upgrade, or its way back, as text and as `arcctl.upgrade/v1`. Pure: no I/O.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    error::Error,
    upgrade::{
        Stage, Upgrade,
        compatibility::{self, Kubernetes},
        path::Step,
    },
};

/// What a run of `arcctl upgrade` or `arcctl rollback` found and did.
#[derive(Clone, Debug, Default)]
pub struct Upgraded {
    /// The profile's name.
    pub profile: String,
    /// The profile's file.
    pub file: String,
    /// Whether this run changed it.
    pub written: bool,
    /// The Kubernetes of the cluster; `None` before it is known.
    pub kubernetes: Option<Kubernetes>,
    /// The upgrade; `None` before it is known, or where there is nothing to upgrade.
    pub upgrade: Option<Upgrade>,
    /// The steps of this run.
    pub steps: Vec<Step>,
    /// How many of them were made and proven.
    pub done: usize,
    /// How far it is, by the record in the cluster; `None`: none is recorded.
    pub stage: Option<Stage>,
    /// Whether the versions before are there again.
    pub went_back: bool,
    /// How many resources were changed.
    pub changed: usize,
    /// What somebody has agreed to.
    pub consent: Consent,
    /// How long it took.
    pub elapsed: Duration,
    /// What EKS says of this Kubernetes.
    pub eks: Option<String>,
    /// What to know of the API versions that arcctl has made something of.
    pub apis: Vec<String>,
    /// Why it did not succeed.
    pub error: Option<Error>,
}

/// What somebody has agreed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// To everything.
    #[default]
    Given,
    /// Nobody was asked: the run only shows what it would do.
    NotAsked,
    /// To nothing.
    Declined,
}

impl Upgraded {
    /// The JSON document.
    pub fn document(&self) -> Value {
        let kubernetes = self.kubernetes.unwrap_or_default();
        let steps: Vec<Value> = self
            .steps
            .iter()
            .enumerate()
            .map(|(index, it)| {
                json!({
                    "of": it.component.word(),
                    "from": it.from,
                    "to": it.to,
                    "pools": it.pools,
                    "canary": it.canary,
                    "risks": it.risks(kubernetes),
                    "done": index < self.done,
                })
            })
            .collect();
        let upgrade = self.upgrade.as_ref();
        json!({
            "schema": "arcctl.upgrade/v1",
            "profile": self.profile,
            "outcome": self.outcome(),
            "file": self.file,
            "written": self.written,
            "kubernetes": self.kubernetes.map(|(major, minor)| format!("{major}.{minor}")),
            "eks": self.eks,
            "apis": self.apis,
            "began": upgrade.map(|it| &it.began),
            "steps": steps,
            "stage": self.stage.map(Stage::word),
            "wentBack": self.went_back,
            "backup": upgrade.map_or(&[][..], |it| it.backup.as_slice()),
            "changed": self.changed,
            "seconds": (self.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            "error": self.error.as_ref().map(Error::document),
        })
    }

    fn outcome(&self) -> &'static str {
        match &self.error {
            Some(error) => error.kind.outcome(),
            None if self.consent == Consent::Declined => "not-started",
            None => "ok",
        }
    }

    /// The path, for a question: each step with what to know of it.
    pub fn path(&self) -> String {
        let kubernetes = self.kubernetes.unwrap_or_default();
        let mut lines = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            lines.push(format!("{:>3}. {}", index + 1, step.text()));
            let risks = step.risks(kubernetes);
            lines.extend(risks.iter().map(|it| format!("       - {it}")));
        }
        lines.extend(self.eks.iter().chain(&self.apis).cloned());
        lines.push(format!(
            "arcctl verifies each step before the next one, and restores all previous versions if a check fails. The cluster keeps a backup for `{}`; `{}` gets the new versions at the end.",
            crate::upgrade::BACK,
            self.file
        ));
        lines.push(format!(
            "the notes on versions are of {}",
            compatibility::as_of()
        ));
        lines.join("\n")
    }

    /// The closing lines for people, of a run without an error.
    pub fn text(&self) -> String {
        let seconds = self.elapsed.as_secs_f64();
        if self.consent != Consent::Given {
            return String::new();
        }
        let Some(upgrade) = &self.upgrade else {
            return "nothing to upgrade: the wanted versions are installed\n".to_owned();
        };
        let what = upgrade.text();
        if self.went_back {
            return format!("rolled back to the previous versions ({what}), {seconds:.1} s\n");
        }
        format!(
            "upgraded and verified: {what}, {seconds:.1} s; `{}` undoes it\n",
            crate::upgrade::BACK
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upgrade::{
        path::path,
        versions::{Component, Versions},
    };

    fn versions(cert_manager: &str, image: &str) -> Versions {
        Versions {
            charts: [(Component::CertManager, cert_manager.to_owned())].into(),
            images: ["a/one", "a/two"]
                .map(|it| (it.to_owned(), image.to_owned()))
                .into(),
        }
    }

    fn upgraded() -> Upgraded {
        let (from, to) = (versions("v1.19.6", "r:1"), versions("v1.21.1", "r:2"));
        Upgraded {
            file: "arcctl.yaml".into(),
            kubernetes: Some((1, 33)),
            steps: path(&from, &to).unwrap(),
            upgrade: Some(Upgrade {
                now: from.clone(),
                from,
                to,
                stage: Stage::Done,
                began: "2026-11-27".into(),
                backup: vec!["config-map/a/b".into()],
                secret: None,
            }),
            ..Upgraded::default()
        }
    }

    #[test]
    fn the_path_has_each_step_with_its_risks() {
        let path = upgraded().path();
        for part in [
            "  1. cert-manager v1.19.6 -> v1.20.4",
            "  2. cert-manager v1.20.4 -> v1.21.1",
            "       - its chart no longer lets",
            "  3. pool `a/one` first: r:1 -> r:2",
            "  4. pool `a/two`: r:1 -> r:2",
            "`arcctl.yaml` gets the new versions at the end",
        ] {
            assert!(path.contains(part), "{part}: {path}");
        }
    }

    #[test]
    fn what_kubernetes_and_eks_end_is_in_the_path() {
        let upgraded = Upgraded {
            eks: Some("EKS ends it".into()),
            apis: vec!["release `x`: `A` of b/v1beta1 goes".into()],
            ..upgraded()
        };
        let path = upgraded.path();
        let told = "EKS ends it\nrelease `x`: `A` of b/v1beta1 goes\narcctl verifies each step";
        assert!(path.contains(told), "{path}");
        assert_eq!(upgraded.document()["apis"][0], upgraded.apis[0]);
    }

    #[test]
    fn the_end_says_which_versions_are_there() {
        let mut upgraded = upgraded();
        let text = upgraded.text();
        assert!(
            text.contains("cert-manager v1.19.6 -> v1.21.1, the images of 2 pools"),
            "{text}"
        );
        upgraded.went_back = true;
        assert!(
            upgraded
                .text()
                .starts_with("rolled back to the previous versions")
        );
        assert!(Upgraded::default().text().starts_with("nothing to upgrade"));
        assert_eq!(upgraded.document()["steps"][0]["done"], false);
    }
}

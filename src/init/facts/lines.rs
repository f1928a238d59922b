//! What was found, in words. Pure: no I/O.

use super::{
    Account, CertManager, ClusterFacts, Controller, Installer, NodeGroup, Nodes, Places, Read,
    Registration,
};

impl CertManager {
    /// In words.
    pub(crate) fn words(&self) -> String {
        let version = self.version.as_deref().unwrap_or("of an unknown version");
        let by = match &self.by {
            Installer::Helm(release) => format!("by helm (release `{release}`)"),
            Installer::Addon => "as an EKS add-on".to_owned(),
            Installer::Kubectl => "by kubectl".to_owned(),
        };
        format!("{version} in namespace {}, installed {by}", self.namespace)
    }
}

impl Controller {
    /// In words.
    pub(crate) fn words(&self) -> String {
        let by = self.release.as_ref().map_or_else(
            || "not installed by helm".to_owned(),
            |it| format!("release `{it}` of helm"),
        );
        let watches = self
            .watches
            .as_ref()
            .map(|it| format!(", watches namespace {it}"));
        let github = self.github_url.as_ref().map(|it| format!(", for {it}"));
        format!(
            "in namespace {} ({by}{}{})",
            self.namespace,
            watches.unwrap_or_default(),
            github.unwrap_or_default()
        )
    }
}

/// A finding for people and programs: what it is about, and what was found or why it is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// What was read.
    pub what: &'static str,
    /// What it is.
    pub read: Read<String>,
}

fn line<T>(what: &'static str, read: &Read<T>, words: impl Fn(&T) -> String) -> Line {
    Line {
        what,
        read: read.as_ref().map(words).map_err(Clone::clone),
    }
}

fn list(items: &[String], none: &str) -> String {
    if items.is_empty() {
        none.to_owned()
    } else {
        items.join(", ")
    }
}

impl Places {
    /// What was found of the clusters.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let region = self.region.as_deref().unwrap_or("no region");
        vec![
            line("EKS clusters", &self.eks, |it| {
                format!("{} ({region})", list(it, "none"))
            }),
            line("kubeconfig", &self.contexts, |it| {
                let current = self.current.as_ref();
                let current = current.map(|it| format!("; the current context is {it}"));
                list(it, "no context") + &current.unwrap_or_default()
            }),
        ]
    }
}

impl ClusterFacts {
    /// What was found in the cluster.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let runners = |it: &Vec<(&'static str, String)>| {
            let each = it.iter().map(|(kind, name)| format!("{kind} {name}"));
            list(&each.collect::<Vec<_>>(), "none")
        };
        let mut lines = vec![
            line("Kubernetes", &self.version, |it| {
                format!("{}.{}", it.0, it.1)
            }),
            line("nodes", &self.nodes, nodes_in_words),
            line("cert-manager", &self.cert_manager, |it| {
                it.as_ref()
                    .map_or_else(|| "not installed".to_owned(), CertManager::words)
            }),
            line("controllers", &self.controllers, |it| {
                let each: Vec<String> = it.iter().map(Controller::words).collect();
                list(&each, "none")
            }),
            line("runners", &self.runners, runners),
        ];
        // Most clusters have none: nothing to say.
        if self.node_pools.as_ref().map_or(true, |it| !it.is_empty()) {
            lines.insert(
                2,
                line("Karpenter NodePools", &self.node_pools, |it| {
                    list(it, "none")
                }),
            );
        }
        if self.profiles.as_ref().map_or(true, |it| !it.is_empty()) {
            lines.push(line("arcctl profiles", &self.profiles, |it| {
                list(it, "none")
            }));
        }
        lines
    }

    /// Whether all its pods run on Fargate, where none can be privileged.
    pub(crate) fn is_fargate_only(&self) -> bool {
        let nodes = self.nodes.as_ref();
        nodes.is_ok_and(|it| it.fargate > 0 && it.groups.is_empty()) && !self.makes_nodes()
    }

    /// Whether Karpenter (or EKS Auto Mode) makes nodes for pods.
    pub(crate) fn makes_nodes(&self) -> bool {
        self.node_pools.as_ref().is_ok_and(|it| !it.is_empty())
    }
}

fn nodes_in_words(nodes: &Nodes) -> String {
    let mut parts: Vec<String> = nodes.groups.iter().map(NodeGroup::words).collect();
    if nodes.fargate > 0 {
        parts.push(format!("{} on Fargate", nodes.fargate));
    }
    if nodes.windows > 0 {
        parts.push(format!("{} with Windows (not for runners)", nodes.windows));
    }
    match parts.as_slice() {
        [] => "none".to_owned(),
        parts => parts.join("; "),
    }
}

impl Account {
    /// What was found of the server and the credential.
    pub(crate) fn lines(&self, server: &str) -> Vec<Line> {
        let version = self
            .version
            .as_ref()
            .map(|it| format!(", GitHub Enterprise Server {it}"));
        let login = self.login.as_ref();
        let scopes = self
            .scopes
            .as_ref()
            .map(|it| format!(", scopes: {}", list(it, "none")));
        let mut lines = vec![
            Line {
                what: "GitHub",
                read: Ok(format!("{server}{}", version.unwrap_or_default())),
            },
            Line {
                what: "credential",
                read: Ok(format!(
                    "{}{}{}",
                    self.kind,
                    login.map(|it| format!(" of {it}")).unwrap_or_default(),
                    scopes.unwrap_or_default()
                )),
            },
        ];
        if login.is_some() {
            let left_out = match self.left_out {
                0 => String::new(),
                count => format!(
                    "; {count} more are hidden until the token is authorized for their single sign-on (`Configure SSO` beside it in GitHub's settings)"
                ),
            };
            lines.push(line("organizations", &self.organizations, |it| {
                list(it, "none visible to this token") + &left_out
            }));
        }
        lines
    }
}

impl Registration {
    /// In words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Allowed => "the credential may register runners there".to_owned(),
            Self::Refused(why) => format!("not possible: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::init::questions::tests::account;

    #[test]
    fn organizations_that_are_not_listed_are_told() {
        let mut account = account(&["doge"]);
        let told = |account: &super::Account| account.lines("github.com").pop().unwrap().read;
        assert_eq!(told(&account).unwrap(), "doge");
        account.left_out = 2;
        let words = told(&account).unwrap();
        assert!(
            words.starts_with("doge; 2 more are hidden until "),
            "{words}"
        );
    }
}

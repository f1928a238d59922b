//! Checks that the controller gets registration tokens, and finds why not: its credential differs from
//! the profile's, or it cannot reach GitHub. Its events come late and do not show which.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    desired::{names, resource::Registration},
    error::{ErrorKind, Result},
    resource::{aws::node_groups, context::Context, observed::Readiness},
};

impl Registration {
    /// Whether GitHub issues a registration token to arcctl: the controller's events contain GitHub's message at best, so
    /// arcctl calls GitHub itself to find the cause.
    async fn ask_github(&self, context: &Context) -> Result<bool> {
        let (github, profile) = context.github_of(&self.pool);
        let Some(scope) = profile.github.scope() else {
            return Ok(false);
        };
        match github.registration(scope).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind == ErrorKind::Unauthorized => {
                let pool = format!("runner-deployment/{}/{}", self.namespace, self.pool);
                Err(error.object(pool))
            }
            Err(_) => Ok(false),
        }
    }

    /// Why the controller gets no registration token although arcctl gets one; `said` is the failure that it
    /// reports.
    pub(super) async fn without_token(
        &self,
        context: &Context,
        count: &str,
        said: Option<&str>,
    ) -> Result<Option<Readiness>> {
        let [_, runners] = &self.selections()[..] else {
            return Ok(None);
        };
        let runners = context.kube.list(runners).await?;
        let now = context.kube.now();
        let waiting = runners.iter().find(|it| waits_for_token(it, now));
        if waiting.is_none() && said.is_none() {
            return Ok(None);
        }
        if !self.ask_github(context).await? {
            return Ok(None);
        }
        if has_another_credential(context) {
            return Ok(Some(self.another_credential(context, said)));
        }
        let Some(runner) = waiting else {
            return Ok(None);
        };
        let server = context.github.base();
        let name = runner["metadata"]["name"].as_str().unwrap_or_default();
        Ok(Some(Readiness::stuck(
            format!(
                "{count}: the controller cannot get a registration token for Runner `{name}`, but arcctl can get one from {server} with the credential in the Secret"
            ),
            unreached(context).await,
        )))
    }

    /// For a run that leaves a Secret unchanged whose credential gets no tokens: the Secret is then adopted, and the next
    /// run can write it.
    fn another_credential(&self, context: &Context, said: Option<&str>) -> Readiness {
        let reported = said.map(|it| format!("; the controller reports: {it}"));
        Readiness::stuck(
            format!(
                "the controller cannot get a registration token for the runners of pool `{}`: Secret `{}/{}` contains another credential than the profile, and --adopt does not change it{}",
                self.pool,
                context.profile.controller.namespace,
                names::CONTROLLER_SECRET,
                reported.unwrap_or_default()
            ),
            "run `arcctl up` without --adopt: it writes the profile's credential, which GitHub accepts",
        )
    }
}

/// Whether the controller's Secret is adopted unchanged, and contains another credential than the profile.
fn has_another_credential(context: &Context) -> bool {
    let namespace = &context.profile.controller.namespace;
    let name = names::CONTROLLER_SECRET;
    let left = context
        .remarks
        .deferred(&format!("secret/{namespace}/{name}"));
    left.is_some_and(|it| it.iter().any(|it| it.path.starts_with("data.")))
}

/// Whether a Runner has had no registration token for longer than usual with a reachable
/// server.
pub fn waits_for_token(runner: &Value, now: Timestamp) -> bool {
    let created = runner["metadata"]["creationTimestamp"].as_str();
    let created = created.and_then(|it| it.parse::<Timestamp>().ok());
    let has_token = runner["status"]["registration"]["expiresAt"].is_string()
        || runner["status"]["phase"]
            .as_str()
            .is_some_and(|it| !it.is_empty());
    !has_token
        && runner["metadata"]["deletionTimestamp"].is_null()
        && created.is_some_and(|it| now.duration_since(it) > TOKEN_COMES)
}

/// The hint to let the controller reach the GitHub server, where no other cause is known.
async fn unreached(context: &Context) -> String {
    let command = context.profile.controller.log_command();
    let aws = context.profile.aws.as_ref();
    if aws.is_some_and(|it| it.github_server.is_some()) {
        return format!(
            "the rules of aws.githubServer exist: check routes, network ACLs, the server's own firewall, and `proxy` and `github.caBundle` in the profile; the controller's log shows the error: `{command}`"
        );
    }
    let groups = match node_groups(context).await {
        Some(Ok(groups)) if !groups.is_empty() => {
            format!("the nodes' security groups are {}; ", groups.join(", "))
        }
        Some(Err(error)) => format!(
            "the nodes' security groups could not be read ({}); ",
            error.message
        ),
        _ => String::new(),
    };
    format!(
        "the controller's log shows the error: `{command}`. If it cannot connect to the server on TCP 443: {groups}set `aws.githubServer` in the profile (securityGroup or cidr), so that `arcctl up` adds the rules, or set `proxy`; if it does not trust the server's certificate: set `github.caBundle`"
    )
}

/// How long a Runner waits for its registration token, if the controller reaches GitHub: a second (reference:
/// observed.md), and more for a busy server.
const TOKEN_COMES: SignedDuration = SignedDuration::from_secs(10);

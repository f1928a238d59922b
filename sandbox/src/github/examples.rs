//! Large bodies made from the examples in GitHub's own description: users, repositories, organizations, runs, jobs.
//!
//! Pure: no I/O.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::jobs::Job;
use super::state::{RateLimit, State};
use super::token::App;
use super::workflows::Run;
use crate::openapi::OpenApi;

/// The branch of every repository.
pub(super) const DEFAULT_BRANCH: &str = "main";

/// The examples, adapted to where the client reaches this GitHub.
pub(super) struct Examples<'a> {
    pub(super) api: &'a OpenApi,
    /// Where the client reaches this API.
    pub(super) base: &'a str,
    /// The version of the server; none on github.com.
    pub(super) version: Option<&'a str>,
    /// The version of the runner that this server ships.
    pub(super) shipped: &'a str,
}

impl Examples<'_> {
    pub(super) fn meta(&self) -> Value {
        let mut body = json!({"verifiable_password_authentication": self.version.is_some()});
        if let Some(version) = self.version {
            body["installed_version"] = json!(version);
        }
        body
    }

    pub(super) fn rate_limit(limit: &RateLimit) -> Value {
        let RateLimit {
            limit,
            remaining,
            reset,
        } = *limit;
        let used = limit - remaining;
        let core = json!({"limit": limit, "remaining": remaining, "reset": reset, "used": used});
        let search = json!({"limit": 30, "remaining": 30, "reset": reset, "used": 0});
        json!({"resources": {"core": core, "search": search}, "rate": core})
    }

    pub(super) fn user(&self, login: &str) -> Value {
        let name = "private-user-response-with-public-and-private-profile-information";
        let mut user = self.adapted(name, &[("octocat", login)]);
        user["login"] = json!(login);
        user
    }

    pub(super) fn app(&self, app: &App) -> Value {
        let mut body = self.adapted("integration", &[("octoapp", &app.slug)]);
        body["id"] = json!(app.id);
        body["name"] = json!(app.slug);
        body
    }

    pub(super) fn organization(&self, login: &str) -> Value {
        let mut list = self.adapted("organization-targets", &[("octo-org", login)]);
        let mut organization = list["organizations"][0].take();
        organization["login"] = json!(login);
        organization
    }

    /// What `GET /orgs/ORG` says; shorter than the real answer, see `extra_schemas.json`.
    pub(super) fn organization_profile(&self, login: &str) -> Value {
        let organization = self.organization(login);
        json!({
            "login": login,
            "id": organization["id"],
            "node_id": organization["node_id"],
            "url": organization["url"],
            "html_url": format!("https://github.com/{login}"),
            "type": "Organization",
        })
    }

    /// A repository, by `OWNER/NAME`.
    pub(super) fn repository(&self, full_name: &str) -> Value {
        let (owner, name) = full_name.split_once('/').unwrap_or((full_name, full_name));
        let pairs = [("octocat", owner), ("Hello-World", name)];
        let mut list = self.adapted("minimal-repository-paginated", &pairs);
        // The example carries a field that the schema does not have.
        if let Some(repository) = list["repositories"][0].as_object_mut() {
            repository.remove("template_repository");
            repository.insert("default_branch".to_owned(), json!(DEFAULT_BRANCH));
            repository.insert("private".to_owned(), json!(true));
            repository.insert("visibility".to_owned(), json!("private"));
            let permissions = json!({"admin": true, "push": true, "pull": true});
            repository.insert("permissions".to_owned(), permissions);
        }
        list["repositories"][0].take()
    }

    pub(super) fn run(&self, run: &Run) -> Value {
        let id = run.id.to_string();
        let pairs = [
            ("octo-org/octo-repo", run.repository.as_str()),
            ("30433642", &id),
        ];
        let mut list = self.adapted("workflow-run-paginated", &pairs);
        let mut body = list["workflow_runs"][0].take();
        let repository = self.repository(&run.repository);
        for (key, value) in [
            ("id", json!(run.id)),
            ("name", json!(run.workflow)),
            ("display_title", json!(run.title)),
            ("event", json!("workflow_dispatch")),
            ("status", json!(run.status())),
            ("conclusion", json!(run.conclusion())),
            ("head_branch", json!(run.reference)),
            ("path", json!(format!(".github/workflows/{}", run.workflow))),
            ("created_at", json!(run.created_at.to_string())),
            ("updated_at", json!(run.created_at.to_string())),
            ("run_started_at", json!(run.created_at.to_string())),
            ("head_repository", repository.clone()),
            ("repository", repository),
        ] {
            body[key] = value;
        }
        body
    }

    pub(super) fn job(&self, state: &State, run: &Run, job: &Job) -> Value {
        let id = job.id.to_string();
        let pairs = [
            ("octo-org/octo-repo", run.repository.as_str()),
            ("29679449", &id),
        ];
        let mut list = self.adapted("job-paginated", &pairs);
        let mut body = list["jobs"][0].take();
        let runner = job.runner.as_ref();
        let group = runner.map(|(.., group)| *group);
        let named = state.groups.iter().find(|it| Some(it.id) == group);
        let time = |time: Option<Timestamp>| time.map(|it| it.strftime("%FT%TZ").to_string());
        let steps: Vec<Value> = job
            .steps
            .iter()
            .zip(1..)
            .filter(|_| job.runner.is_some())
            .map(|((name, conclusion), number)| {
                let status = if conclusion.is_some() {
                    "completed"
                } else {
                    "queued"
                };
                json!({"name": name, "number": number, "status": status, "conclusion": conclusion})
            })
            .collect();
        for (key, value) in [
            ("id", json!(job.id)),
            ("run_id", json!(run.id)),
            ("name", json!(job.name)),
            ("workflow_name", json!(run.workflow)),
            ("head_branch", json!(run.reference)),
            ("status", json!(job.status())),
            ("conclusion", json!(job.conclusion)),
            ("labels", json!(job.labels)),
            ("created_at", json!(time(Some(job.created_at)))),
            // Before a runner has it, GitHub says when it was queued.
            (
                "started_at",
                json!(time(job.started_at.or(Some(job.created_at)))),
            ),
            ("completed_at", json!(time(job.completed_at))),
            ("runner_id", json!(runner.map(|(id, ..)| id))),
            ("runner_name", json!(runner.map(|(_, name, _)| name))),
            ("runner_group_id", json!(group)),
            ("runner_group_name", json!(named.map(|it| &it.name))),
            ("steps", json!(steps)),
        ] {
            body[key] = value;
        }
        body
    }

    fn adapted(&self, example: &str, pairs: &[(&str, &str)]) -> Value {
        let mut body = self.api.example(example);
        replace(&mut body, &[("https://api.github.com", self.base)]);
        replace(&mut body, pairs);
        body
    }
}

fn replace(value: &mut Value, pairs: &[(&str, &str)]) {
    match value {
        Value::String(text) => {
            for (from, to) in pairs {
                *text = text.replace(from, to);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, pairs)),
        Value::Object(object) => object.values_mut().for_each(|item| replace(item, pairs)),
        _ => {}
    }
}

//! Tests of the Actions service over HTTP, as the controller and a listener use it.

use http::StatusCode;
use serde_json::json;

use super::super::{BYTE_ORDER_MARK, GitHub, Options};
use super::*;
use crate::test_client::{Answer, send};

const CONFIGURED: &str = "https://github.example.com/enterprises/dogecompany";

/// A connection to the service.
struct Admin {
    url: String,
    token: String,
}

fn fast(mode: Mode) -> Options {
    Options {
        mode,
        assignment: Duration::ZERO,
        listening: (Duration::from_millis(50), Duration::from_millis(300)),
        ..Options::default()
    }
}

async fn exchange(github: &GitHub, token: &str, url: &str) -> Answer {
    let target = format!("{}/actions/runner-registration", github.api_url());
    let remote = format!("RemoteAuth {token}");
    let headers = [
        ("authorization", remote.as_str()),
        ("user-agent", "test"),
        ("content-type", "application/json"),
    ];
    let body = json!({ "url": url, "runner_event": "register" }).to_string();
    send("POST", &target, &headers, &body).await.unwrap()
}

async fn registration_token(github: &GitHub) -> String {
    let path = "/enterprises/dogecompany/actions/runners/registration-token";
    let target = format!("{}{path}", github.api_url());
    let bearer = format!("Bearer {}", github.token());
    let headers = [("authorization", bearer.as_str()), ("user-agent", "test")];
    let answer = send("POST", &target, &headers, "").await.unwrap();
    answer.json()["token"].as_str().unwrap().to_owned()
}

async fn connect(github: &GitHub) -> Admin {
    let token = registration_token(github).await;
    let answer = exchange(github, &token, CONFIGURED).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let body = answer.json();
    let part = |key: &str| body[key].as_str().unwrap().to_owned();
    Admin {
        url: part("url"),
        token: part("token"),
    }
}

impl Admin {
    async fn plain(&self, method: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str())];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let url = format!("{}_apis/{path}", self.url);
        send(method, &url, &headers, &body).await.unwrap()
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}api-version=6.0-preview");
        self.plain(method, &path, &body).await
    }

    async fn create(&self, name: &str, labels: &[&str]) -> u64 {
        let labels: Vec<Value> = labels.iter().map(|it| json!({ "name": it })).collect();
        let body = json!({ "name": name, "runnerGroupId": 1, "labels": labels });
        let answer = self.call("POST", "runtime/runnerscalesets", body).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer.json()["id"].as_u64().unwrap()
    }
}

/// Polls the queue of a session; `None` is no message.
async fn poll(session: &Value, last: u64, capacity: u64) -> (StatusCode, Option<Value>) {
    let url = session["messageQueueUrl"].as_str().unwrap();
    let bearer = format!(
        "Bearer {}",
        session["messageQueueAccessToken"].as_str().unwrap()
    );
    let capacity = capacity.to_string();
    let headers = [
        ("authorization", bearer.as_str()),
        ("accept", "application/json; api-version=6.0-preview"),
        ("x-scalesetmaxcapacity", capacity.as_str()),
    ];
    let url = format!("{url}?lastMessageId={last}");
    let answer = send("GET", &url, &headers, "").await.unwrap();
    let message = (answer.status == 200).then(|| answer.json());
    (answer.status, message)
}

fn events(message: &Value) -> Vec<Value> {
    serde_json::from_str(message["body"].as_str().unwrap()).unwrap()
}

fn exception(answer: &Answer) -> String {
    answer.json()["typeKey"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_connection_needs_a_registration_token_of_the_same_owner() {
    let github = GitHub::start(Options::default()).await.unwrap();
    assert_eq!(exchange(&github, "AUNKNOWN", CONFIGURED).await.status, 401);
    let token = registration_token(&github).await;
    let other = "https://github.example.com/dogecompany";
    assert_eq!(exchange(&github, &token, other).await.status, 404);
    let admin = connect(&github).await;
    let sets = "runtime/runnerscalesets";
    assert_eq!(admin.call("GET", sets, Value::Null).await.status, 200);
    let unversioned = admin.plain("GET", sets, &Value::Null).await;
    assert_eq!(
        (
            unversioned.status.as_u16(),
            exception(&unversioned).as_str()
        ),
        (400, "VssVersionNotSpecifiedException")
    );
    assert!(unversioned.body.starts_with(BYTE_ORDER_MARK));
    github.expire_connections();
    assert_eq!(admin.call("GET", sets, Value::Null).await.status, 401);
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_server_that_is_too_old_has_no_scale_sets() {
    let github = GitHub::start(fast(Mode::EnterpriseServer("3.8.2".into())))
        .await
        .unwrap();
    let token = registration_token(&github).await;
    assert_eq!(exchange(&github, &token, CONFIGURED).await.status, 404);
}

#[tokio::test]
async fn a_scale_set_is_found_by_name_and_group_and_its_labels_depend_on_the_server() {
    for (mode, kept) in [
        (Mode::EnterpriseServer("3.19.0".into()), 1),
        (Mode::EnterpriseServer("3.21.0".into()), 2),
        (Mode::Cloud, 2),
    ] {
        let github = GitHub::start(fast(mode)).await.unwrap();
        let admin = connect(&github).await;
        let id = admin.create("basic", &["basic", "gpu"]).await;
        let found = admin
            .call(
                "GET",
                "runtime/runnerscalesets?runnerGroupId=1&name=Basic",
                Value::Null,
            )
            .await
            .json();
        assert_eq!(
            (&found["count"], &found["value"][0]["id"]),
            (&json!(1), &json!(id))
        );
        let set = admin
            .call("GET", &format!("runtime/runnerscalesets/{id}"), Value::Null)
            .await
            .json();
        assert_eq!(set["labels"].as_array().unwrap().len(), kept);
        assert_eq!(set["runnerGroupName"], "Default");
        let again = json!({ "name": "basic", "runnerGroupId": 1 });
        let again = admin.call("POST", "runtime/runnerscalesets", again).await;
        assert_eq!(again.status, 409);
        let path = format!("runtime/runnerscalesets/{id}");
        assert_eq!(admin.call("DELETE", &path, Value::Null).await.status, 204);
        let gone = admin.call("GET", &path, Value::Null).await;
        assert_eq!(
            (gone.status.as_u16(), exception(&gone).as_str()),
            (404, "RunnerScaleSetNotFoundException")
        );
    }
}

#[tokio::test]
async fn groups_have_the_services_own_ids() {
    let github = GitHub::start(fast(Mode::Cloud)).await.unwrap();
    let enterprise = Owner::enterprise("dogecompany");
    let gpu = github.add_group(&enterprise, "gpu", None);
    let admin = connect(&github).await;
    let group = async |name: &str| {
        let path = format!("runtime/runnergroups/?groupName={name}");
        admin.call("GET", &path, Value::Null).await.json()
    };
    assert_eq!(group("default").await["value"][0]["id"], 1);
    assert_eq!(group("gpu").await["value"][0]["id"], gpu);
    assert_eq!(group("none").await["count"], 0);
    let body = json!({ "name": "x", "runnerGroupId": 99 });
    let refused = admin.call("POST", "runtime/runnerscalesets", body).await;
    assert_eq!(exception(&refused), "RunnerGroupNotFoundException");
}

/// From the queue to the end: on github.com a job is assigned, on a server its listener acquires it first.
#[tokio::test]
async fn a_job_is_told_of_step_by_step() {
    for (mode, acquires) in [
        (Mode::Cloud, false),
        (Mode::EnterpriseServer("3.21.0".into()), true),
    ] {
        let github = GitHub::start(fast(mode)).await.unwrap();
        let admin = connect(&github).await;
        let id = admin.create("basic", &["basic"]).await;
        let base = format!("runtime/runnerscalesets/{id}");
        let owner = json!({ "ownerName": "basic-listener" });
        let session = admin
            .call("POST", &format!("{base}/sessions"), owner)
            .await
            .json();
        assert_eq!(poll(&session, 0, 5).await.0, 202, "nothing is queued");
        github.queue("dogecompany/app", &["basic"]);
        github.queue("dogecompany/app", &["other"]);
        let mut last = 0;
        if acquires {
            let (_, offered) = poll(&session, last, 5).await;
            let offered = offered.unwrap();
            let event = &events(&offered)[0];
            assert_eq!(event["messageType"], "JobAvailable");
            let ids = json!([event["runnerRequestId"], 4711]);
            let acquired = admin
                .call("POST", &format!("{base}/acquirejobs"), ids)
                .await
                .json();
            assert_eq!(acquired["value"], json!([event["runnerRequestId"]]));
            last = offered["messageId"].as_u64().unwrap();
        }
        let assigned = poll(&session, last, 5).await.1.unwrap();
        assert_eq!(events(&assigned)[0]["messageType"], "JobAssigned");
        assert_eq!(assigned["statistics"]["totalAssignedJobs"], 1);
        let redelivered = poll(&session, last, 5).await.1.unwrap();
        assert_eq!(redelivered["messageId"], assigned["messageId"]);
        last = assigned["messageId"].as_u64().unwrap();

        let jit = json!({ "name": "basic-x-runner-y", "workFolder": "_work" });
        let path = format!("{base}/generatejitconfig");
        let made = admin.call("POST", &path, jit.clone()).await.json();
        let again = admin.call("POST", &path, jit).await;
        assert_eq!(exception(&again), "AgentExistsException");
        let runner = made["runner"]["id"].as_u64().unwrap();
        let broker = github.broker();
        assert!(broker.take(runner).is_none(), "it is offline");
        assert!(broker.connect(runner, true));
        let taken = broker.take(runner).unwrap();
        let agent = format!("distributedtask/pools/0/agents/{runner}");
        let busy = admin.call("DELETE", &agent, Value::Null).await;
        assert_eq!(exception(&busy), "JobStillRunningException");
        let started = poll(&session, last, 5).await.1.unwrap();
        assert_eq!(events(&started)[0]["messageType"], "JobStarted");
        assert_eq!(events(&started)[0]["runnerName"], "basic-x-runner-y");
        assert_eq!(started["statistics"]["totalBusyRunners"], 1);
        assert!(broker.finish(taken));
        last = started["messageId"].as_u64().unwrap();
        let over = poll(&session, last, 5).await.1.unwrap();
        assert_eq!(events(&over)[0]["result"], "succeeded");
        let counts = github.job_counts();
        assert_eq!((counts.done, counts.queued, counts.lost), (1, 1, 0));
    }
}

#[tokio::test]
async fn a_session_is_one_listeners_until_it_closes_it_or_dies() {
    let github = GitHub::start(fast(Mode::Cloud)).await.unwrap();
    let admin = connect(&github).await;
    let id = admin.create("basic", &[]).await;
    let path = format!("runtime/runnerscalesets/{id}/sessions");
    let owner = || json!({ "ownerName": "one" });
    let session = admin.call("POST", &path, owner()).await.json();
    let conflict = admin.call("POST", &path, owner()).await;
    assert_eq!(conflict.status, 409);
    assert!(
        conflict
            .message()
            .contains("already has an active session for owner one")
    );
    let own = format!("{path}/{}", session["sessionId"].as_str().unwrap());
    let renewed = admin.call("PATCH", &own, Value::Null).await.json();
    assert_eq!(poll(&session, 0, 1).await.0, 401, "the token was renewed");
    assert_eq!(poll(&renewed, 0, 1).await.0, 202);
    assert_eq!(admin.call("DELETE", &own, Value::Null).await.status, 204);
    assert_eq!(poll(&renewed, 0, 1).await.0, 404);
    assert_eq!(admin.call("POST", &path, owner()).await.status, 200);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(
        admin.call("POST", &path, owner()).await.status,
        200,
        "nobody polled"
    );
}

#[tokio::test]
async fn a_listener_gets_no_more_jobs_than_it_takes() {
    let github = GitHub::start(fast(Mode::Cloud)).await.unwrap();
    let admin = connect(&github).await;
    let id = admin.create("basic", &[]).await;
    let path = format!("runtime/runnerscalesets/{id}/sessions");
    let session = admin
        .call("POST", &path, json!({ "ownerName": "one" }))
        .await
        .json();
    for _ in 0..3 {
        github.queue("dogecompany/app", &["BASIC"]);
    }
    assert_eq!(poll(&session, 0, 0).await.0, 202, "a maximum of 0 drains");
    let message = poll(&session, 0, 2).await.1.unwrap();
    assert_eq!(events(&message).len(), 2);
    assert_eq!(message["statistics"]["totalAvailableJobs"], 1);
    github.remove_scale_set(id);
    assert_eq!(
        github.job_counts().queued,
        3,
        "what has not begun waits for another"
    );
}

/// Its name is one of its labels, and a job may ask for several.
#[tokio::test]
async fn a_job_goes_only_to_a_scale_set_with_all_of_its_labels() {
    let github = GitHub::start(fast(Mode::Cloud)).await.unwrap();
    let admin = connect(&github).await;
    let id = admin.create("fast", &["fast", "gpu"]).await;
    let path = format!("runtime/runnerscalesets/{id}/sessions");
    let session = admin
        .call("POST", &path, json!({ "ownerName": "one" }))
        .await
        .json();
    for wrong in [&["big"][..], &["fast", "big"], &["self-hosted", "gpu"]] {
        github.queue("dogecompany/app", wrong);
    }
    assert_eq!(poll(&session, 0, 9).await.0, 202, "none is for it");
    for right in [&["fast"][..], &["gpu"], &["FAST", "gpu"]] {
        github.queue("dogecompany/app", right);
    }
    let message = poll(&session, 0, 9).await.1.unwrap();
    assert_eq!(events(&message).len(), 3);
}

#[tokio::test]
async fn the_service_is_faulty_on_request() {
    let github = GitHub::start(fast(Mode::Cloud)).await.unwrap();
    let admin = connect(&github).await;
    let id = admin.create("basic", &[]).await;
    github.set_scale_set_faults(ScaleSetFaults {
        session_conflicts: 1,
        no_group: true,
        ..ScaleSetFaults::default()
    });
    let path = format!("runtime/runnerscalesets/{id}/sessions");
    let owner = || json!({ "ownerName": "one" });
    assert_eq!(admin.call("POST", &path, owner()).await.status, 409);
    assert_eq!(admin.call("POST", &path, owner()).await.status, 200);
    let groups = "runtime/runnergroups/?groupName=Default";
    assert_eq!(
        admin.call("GET", groups, Value::Null).await.json()["count"],
        0
    );
    github.set_scale_set_faults(ScaleSetFaults {
        unknown_id: true,
        ..ScaleSetFaults::default()
    });
    let path = format!("runtime/runnerscalesets/{id}");
    assert_eq!(admin.call("GET", &path, Value::Null).await.status, 404);
}

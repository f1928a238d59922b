//! Tests of the operations.

use serde_json::json;

use super::*;

fn add_runners(github: &GitHub, count: usize) {
    let owner = Owner::enterprise("dogecompany");
    for number in 0..count {
        let name = format!("basic-{number:03}");
        github
            .add_runner(
                &owner,
                NewRunner {
                    name,
                    ..NewRunner::default()
                },
            )
            .unwrap();
    }
}

#[tokio::test]
async fn a_list_of_250_comes_in_pages() {
    let github = start().await;
    add_runners(&github, 250);
    let path = format!("{ENTERPRISE}/runners");
    let first = get(&github, &path).await;
    assert_eq!(first.json()["total_count"], 250);
    assert_eq!(first.json()["runners"].as_array().unwrap().len(), 30);
    let mut next = Some(format!("{}{path}?per_page=100", github.api_url()));
    let mut names = std::collections::BTreeSet::new();
    let mut sizes = Vec::new();
    while let Some(url) = next {
        let answer = get(&github, url.strip_prefix(&github.api_url()).unwrap()).await;
        let runners = answer.json()["runners"].as_array().unwrap().clone();
        sizes.push(runners.len());
        names.extend(runners.iter().map(|runner| runner["name"].to_string()));
        let links = answer.header("link").unwrap();
        let link = links
            .split(", ")
            .find(|link| link.ends_with("rel=\"next\""));
        next = link.map(|link| link[1..].split_once('>').unwrap().0.to_owned());
    }
    assert_eq!((sizes, names.len()), (vec![100, 100, 50], 250));
    let beyond = get(&github, &format!("{path}?per_page=1000&page=4"))
        .await
        .json();
    assert_eq!(beyond["runners"], json!([]));
    let one = get(&github, &format!("{path}?name=basic-007")).await;
    assert_eq!(
        (&one.json()["total_count"], one.header("link")),
        (&json!(1), None)
    );
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_runner_lives_from_registration_to_removal() {
    let github = start().await;
    let body = json!({"token": "AUNKNOWN", "name": "basic-a-b", "labels": ["ubuntu-22.04"]});
    let answer = sandbox(&github, "POST", "/runners", &body).await;
    refused_by_sandbox(&answer, 401);
    let token = registration(&github, github.token(), ENTERPRISE)
        .await
        .json()["token"]
        .clone();
    let body = json!({"token": token, "name": "basic-a-b", "group": "nowhere"});
    refused_by_sandbox(&sandbox(&github, "POST", "/runners", &body).await, 422);
    let body = json!({"token": token, "name": "basic-a-b", "labels": ["v1"], "ephemeral": true});
    let answer = sandbox(&github, "POST", "/runners", &body).await;
    assert_eq!(answer.status, 201);
    let id = answer.json()["id"].as_u64().unwrap();
    let again = sandbox(&github, "POST", "/runners", &body).await.json();
    assert_eq!(again["id"], id, "a runner of the same name is replaced");

    let path = format!("{ENTERPRISE}/runners/{id}");
    let offline = get(&github, &path).await.json();
    assert_eq!(
        (&offline["status"], &offline["ephemeral"]),
        (&json!("offline"), &json!(true))
    );
    assert_eq!(
        offline["labels"][3],
        json!({"id": 4, "name": "v1", "type": "custom"})
    );
    let status = json!({"status": "online", "busy": true});
    let answer = sandbox(&github, "POST", &format!("/runners/{id}/status"), &status).await;
    assert_eq!(answer.status, 204);
    let answer = call(&github, github.token(), "DELETE", &path).await;
    assert_eq!(answer.status, 422);
    assert!(answer.message().contains("is still running a job"));
    assert!(github.set_runner(id, true, false));
    assert_eq!(
        call(&github, github.token(), "DELETE", &path).await.status,
        204
    );
    assert_eq!(
        call(&github, github.token(), "DELETE", &path).await.status,
        404
    );
    assert!(github.runners().is_empty());

    github.expire_registration_tokens();
    refused_by_sandbox(&sandbox(&github, "POST", "/runners", &body).await, 401);
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[track_caller]
fn refused_by_sandbox(answer: &Answer, status: u16) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.message());
}

#[tokio::test]
async fn groups_are_listed_by_who_may_use_them() {
    let github = start().await;
    let enterprise = Owner::enterprise("dogecompany");
    let organization = Owner::organization("dogecompany");
    let gpu = github.add_group(&enterprise, "gpu", Some(&["other"]));
    let big = github.add_group(&organization, "big", Some(&["dogecompany/app"]));
    let names = |answer: &Answer| -> Vec<String> {
        let groups = answer.json()["runner_groups"].as_array().unwrap().clone();
        groups
            .iter()
            .map(|group| group["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let path = format!("{ENTERPRISE}/runner-groups");
    assert_eq!(names(&get(&github, &path).await), ["Default", "gpu"]);
    let visible = get(
        &github,
        &format!("{path}?visible_to_organization=dogecompany"),
    )
    .await;
    assert_eq!(names(&visible), ["Default"]);
    let list = get(&github, &format!("{path}/{gpu}/organizations"))
        .await
        .json();
    assert_eq!(list["organizations"][0]["login"], "other");
    // What the enterprise shares with the organization is listed there too.
    let path = format!("{ORGANIZATION}/runner-groups");
    let shared = get(&github, &path).await.json();
    let inherited = |index: usize| &shared["runner_groups"][index]["inherited"];
    assert_eq!((inherited(0), inherited(1)), (&json!(true), &json!(false)));
    let (two, three) = (
        &["Default", "Default"][..],
        &["Default", "Default", "big"][..],
    );
    for (repository, expected) in [("app", three), ("other", two), ("dogecompany/app", two)] {
        let query = format!("{path}?visible_to_repository={repository}");
        assert_eq!(names(&get(&github, &query).await), expected);
    }
    let list = get(&github, &format!("{path}/{big}/repositories"))
        .await
        .json();
    assert_eq!(list["repositories"][0]["full_name"], "dogecompany/app");
    let runner = NewRunner {
        name: "r".into(),
        group: Some("big".into()),
        ..NewRunner::default()
    };
    github.add_runner(&organization, runner).unwrap();
    let list = get(&github, &format!("{path}/{big}/runners")).await.json();
    assert_eq!(list["runners"][0]["runner_group_id"], big);
    assert_eq!(get(&github, &format!("{path}/{gpu}")).await.status, 404);
    assert_eq!(
        get(&github, &format!("{path}/{big}")).await.json()["visibility"],
        "selected"
    );
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_group_for_other_workflows_takes_no_job() {
    let options = Options {
        assignment: Duration::ZERO,
        ..Options::default()
    };
    let github = GitHub::start(options).await.unwrap();
    github.queue("dogecompany/app", &["self-hosted"]);
    let runs = github.runs();
    let (file, branch) = (&runs[0].workflow, &runs[0].reference);
    let own = format!("DogeCompany/app/.github/workflows/{file}@refs/heads/{branch}");
    let owner = Owner::enterprise("dogecompany");
    let new = NewRunner {
        name: "a".into(),
        ..NewRunner::default()
    };
    let runner = github.add_runner(&owner, new).unwrap();
    github.set_runner(runner, true, false);
    let group = github.runner_group(&owner, "Default").unwrap();
    let other = own.replace(".github/workflows/", ".github/workflows/other-");
    for (workflow, taken) in [(other, false), (own, true)] {
        github.update_group(group, |it| it.workflows = Some(vec![workflow]));
        assert_eq!(github.broker().take(runner).is_some(), taken);
    }
}

#[tokio::test]
async fn profiles_and_downloads_have_their_shape() {
    let github = start().await;
    refused(&get(&github, "/orgs/other").await, 404, "Not Found");
    assert_eq!(
        get(&github, "/orgs/dogecompany").await.json()["login"],
        "dogecompany"
    );
    let repository = get(&github, "/repos/dogecompany/app").await.json();
    assert_eq!(repository["full_name"], "dogecompany/app");
    let downloads = get(&github, &format!("{ENTERPRISE}/runners/downloads"))
        .await
        .json();
    assert!(
        downloads
            .as_array()
            .unwrap()
            .iter()
            .any(|item| item["os"] == "linux")
    );
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_dispatched_run_is_followed_to_its_end() {
    let options = Options {
        assignment: Duration::ZERO,
        ..Options::default()
    };
    let github = GitHub::start(options).await.unwrap();
    let url = format!(
        "{}{REPOSITORY}/workflows/smoke.yaml/dispatches",
        github.api_url()
    );
    let bearer = format!("token {}", github.token());
    let headers = [
        ("authorization", bearer.as_str()),
        ("user-agent", "test"),
        ("content-type", "application/json"),
    ];
    let body = json!({"ref": "main", "inputs": {"nonce": "n-1"}}).to_string();
    refused(
        &send("POST", &url, &headers, &body).await.unwrap(),
        404,
        "Not Found",
    );
    let workflow = "run-name: smoke ${{ inputs.nonce }}\non: {workflow_dispatch: {inputs: {nonce: {required: true}}}}\n\
        jobs: {one: {runs-on: self-hosted, steps: [{name: first, run: x}, {name: second, run: x}]}}";
    github
        .commit("dogecompany/app", "smoke.yaml", workflow)
        .unwrap();
    assert_eq!(
        send("POST", &url, &headers, &body).await.unwrap().status,
        204
    );
    let query = "event=workflow_dispatch&created=%3E%3D2026-01-01T00:00:00Z";
    let runs = get(&github, &format!("{REPOSITORY}/runs?{query}"))
        .await
        .json();
    let run = &runs["workflow_runs"][0];
    assert_eq!(
        (&run["display_title"], &run["status"]),
        (&json!("smoke n-1"), &json!("queued"))
    );
    let id = run["id"].as_u64().unwrap();
    let owner = Owner::enterprise("dogecompany");
    let new = |name: &str| NewRunner {
        name: name.to_owned(),
        ephemeral: true,
        ..NewRunner::default()
    };
    let runner = github.add_runner(&owner, new("basic-a")).unwrap();
    let broker = github.broker();
    assert!(broker.take(runner).is_none(), "it is offline");
    github.set_runner(runner, true, true);
    assert!(broker.take(runner).is_none(), "it is busy");
    github.set_runner(runner, true, false);
    github.select(&owner, "Default", Some(&["other"]));
    assert!(broker.take(runner).is_none(), "its group is for others");
    github.select(&owner, "Default", None);
    let taken = broker.take(runner).unwrap();
    assert!(github.runners()[0].busy);
    assert!(broker.finish(taken), "it is ephemeral");
    assert!(github.runners().is_empty());
    let run = get(&github, &format!("{REPOSITORY}/runs/{id}"))
        .await
        .json();
    assert_eq!(run["conclusion"], "success");
    let jobs = get(&github, &format!("{REPOSITORY}/runs/{id}/jobs"))
        .await
        .json();
    assert_eq!(jobs["jobs"][0]["runner_name"], "basic-a");
    assert_eq!(jobs["jobs"][0]["steps"][1]["conclusion"], "success");
    let url = format!("{}{REPOSITORY}/runs/{id}/cancel", github.api_url());
    let late = send("POST", &url, &headers, "").await.unwrap();
    assert_eq!(late.status, 409, "it has ended");
    assert_eq!(github.violations(), Vec::<String>::new());
}

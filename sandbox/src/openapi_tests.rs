use super::*;

fn answer(status: u16, body: &[u8]) -> AnswerView<'_> {
    AnswerView {
        status,
        content_type: Some("application/json; charset=utf-8"),
        body,
    }
}

fn request<'a>(method: &'a str, path: &'a str, query: &'a str) -> RequestView<'a> {
    RequestView {
        method,
        path,
        query,
        content_type: None,
        body: b"",
    }
}

#[test]
fn an_unknown_path_is_reported() {
    let api = OpenApi::github().unwrap();
    let wrong = api.check_request(&request("GET", "/enterprise/acme/actions/runners", ""));
    assert_eq!(
        wrong,
        ["request `GET /enterprise/acme/actions/runners`: the API has no such operation"]
    );
}

#[test]
fn wrong_and_unknown_parameters_are_reported() {
    let api = OpenApi::github().unwrap();
    let path = "/enterprises/acme/actions/runners";
    let wrong = api.check_request(&request("GET", path, "per_page=all&pages=2"));
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].ends_with("parameter `per_page` has the wrong type or value: all"));
    assert!(wrong[1].ends_with("parameter `pages` is unknown"));
    let wrong = api.check_request(&request("GET", "/orgs/acme/actions/runners/first", ""));
    assert!(wrong[0].ends_with("parameter `runner_id` has the wrong type or value: first"));
}

#[test]
fn a_body_where_none_belongs_and_a_missing_one_are_reported() {
    let api = OpenApi::github().unwrap();
    let path = "/orgs/acme/actions/runners/registration-token";
    let mut token = request("POST", path, "");
    token.body = b"{}";
    assert!(api.check_request(&token)[0].ends_with("the operation takes no body"));
    let path = "/repos/acme/app/actions/workflows/smoke.yaml/dispatches";
    let mut dispatch = request("POST", path, "");
    assert!(api.check_request(&dispatch)[0].ends_with("the body is missing"));
    dispatch.body = br#"{"inputs": {}}"#;
    dispatch.content_type = Some("application/json");
    let wrong = api.check_request(&dispatch);
    assert!(
        wrong[0].contains("\"ref\" is a required property"),
        "{wrong:?}"
    );
    dispatch.body = br#"{"ref": "main"}"#;
    assert_eq!(api.check_request(&dispatch), Vec::<String>::new());
}

#[test]
fn a_wrong_answer_is_reported() {
    let api = OpenApi::github().unwrap();
    let path = "/enterprises/acme/actions/runners";
    let missing = br#"{"total_count": 1, "runners": [{"id": 1, "name": "a", "os": "linux"}]}"#;
    let wrong = api.check_answer("GET", path, &answer(200, missing));
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert!(wrong[0].contains("(at `/runners/0`)"), "{wrong:?}");
    let misspelt = br#"{"total_count": 0, "runners": [], "total": 0}"#;
    let wrong = api.check_answer("GET", path, &answer(200, misspelt));
    assert!(wrong[0].contains("'total' was unexpected"), "{wrong:?}");
    let wrong = api.check_answer("GET", path, &answer(418, b"{}"));
    assert!(wrong[0].ends_with("the operation does not list this status"));
    let wrong = api.check_answer("DELETE", &format!("{path}/1"), &answer(204, b"{}"));
    assert!(wrong[0].ends_with("the answer has a body and should have none"));
}

#[test]
fn a_literal_segment_wins_over_a_parameter() {
    let api = OpenApi::github().unwrap();
    let (operation, _) = api
        .find("GET", "/orgs/acme/actions/runners/downloads")
        .unwrap();
    assert_eq!(operation.template, "/orgs/{org}/actions/runners/downloads");
}

#[test]
fn an_entry_of_ours_needs_a_source_and_must_not_shadow_githubs() {
    let main = &json!({"paths": {"/meta": {"get": {}}}, "components": {"schemas": {}}});
    let shadow = r#"{"paths": {"/meta": {"get": {"x-source": "docs"}}}}"#;
    let error = OpenApi::parse(main, shadow).err().unwrap().to_string();
    assert!(error.contains("is in GitHub's description"), "{error}");
    let bare = r#"{"paths": {"/zen": {"get": {}}}}"#;
    let error = OpenApi::parse(main, bare).err().unwrap().to_string();
    assert!(error.contains("names no source"), "{error}");
}

/// The stand-in's large bodies begin as samples: one of each type passes as an answer.
#[test]
fn a_sample_of_each_type_passes() {
    let api = OpenApi::github().unwrap();
    let schemas = api.components["schemas"].as_object().unwrap();
    assert!(
        schemas.len() > 40,
        "only {} types were found",
        schemas.len()
    );
    for (name, schema) in schemas {
        let sample = api.sample(name);
        let validator = api.validator(name.clone(), schema).unwrap();
        let wrong: Vec<String> = validator
            .iter_errors(&sample)
            .map(|it| it.to_string())
            .collect();
        assert_eq!(wrong, Vec::<String>::new(), "{name}: {sample}");
    }
}

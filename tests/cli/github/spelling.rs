//! The letters of a name: GitHub takes any case, and the controller's webhook server only GitHub's own.

use arcctl::profile::{Profile, load};

use super::*;

fn profile(github: &str, scaling: &str) -> Profile {
    let text = format!(
        "apiVersion: arcctl.dev/v1\nname: team\ncluster: {{context: build}}\ngithub: {{{github}, token: {{env: ARCCTL_GITHUB_TOKEN}}}}\npools:\n- {{name: basic, image: 'summerwind/actions-runner:v2.336.0-ubuntu-22.04', min: 1, max: 4, scaling: {{{scaling}}}}}\n"
    );
    load(&text, "arcctl.yaml").unwrap().profile
}

const TRIGGERS: &str = "triggers: [{workflowJob: {}, amount: 1, duration: 30m}]";

#[tokio::test]
async fn a_name_in_other_letters_than_github_s_is_told_where_triggers_need_it() {
    let github = stand_in(Mode::Cloud).await;
    let client = client(server(&github, &Mode::Cloud), token(github.token()));
    for (written, key, named) in [
        (
            "organization: DogeCompany",
            "github.organization",
            "dogecompany",
        ),
        (
            "repository: dogecompany/App",
            "github.repository",
            "dogecompany/app",
        ),
    ] {
        let found = client.spelling(&profile(written, TRIGGERS)).await.unwrap();
        let told = found.unwrap();
        assert!(
            told.contains(&format!("is `{named}` at GitHub"))
                && told.ends_with(&format!("write `{named}` as {key}")),
            "{told}"
        );
    }
    for (written, scaling) in [
        ("organization: dogecompany", TRIGGERS),
        ("repository: dogecompany/app", TRIGGERS),
        ("enterprise: DogeCompany", TRIGGERS),
        (
            "organization: DogeCompany",
            "metrics: [{type: PercentageRunnersBusy}]",
        ),
    ] {
        let found = client.spelling(&profile(written, scaling)).await.unwrap();
        assert_eq!(found, None, "{written}");
    }
    assert_eq!(github.violations(), Vec::<String>::new());
}

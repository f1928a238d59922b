//! Runner scale sets in a whole sandbox: both charts by helm, runners online, jobs done, and everything gone again.

use std::time::{Duration, Instant};

use arcctl_sandbox::github::{Runner, Token};
use arcctl_sandbox::world::{Options, Pace, Sandbox};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::process::Command;

const SYSTEMS: &str = "arc-systems";
const RUNNERS: &str = "arc-runners";
const CONTROLLER: &str = "arc-gha-rs-controller";

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

struct World {
    sandbox: Sandbox,
    charts: String,
}

impl World {
    async fn start() -> Self {
        let options = Options {
            pace: Pace::Fast,
            ..Options::default()
        };
        let mut sandbox = Sandbox::start(options).await.unwrap();
        let charts = sandbox.charts().url();
        Self { sandbox, charts }
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(program);
        command.args(arguments).envs(self.sandbox.environment());
        let output = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }

    /// Installs a chart, or upgrades its release.
    async fn helm(
        &self,
        release: &str,
        chart: &str,
        namespace: &str,
        values: &Value,
    ) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), values.to_string()).unwrap();
        let path = file.path().to_str().unwrap();
        let words = [
            "upgrade",
            "--install",
            release,
            chart,
            "--repo",
            &self.charts,
            "--version",
            "0.14.2",
            "--namespace",
            namespace,
            "--create-namespace",
            "--values",
            path,
        ];
        self.run("helm", &words).await
    }

    fn url(&self) -> String {
        let url = &self.sandbox.environment()["ARCCTL_SANDBOX_GITHUB_URL"];
        format!("{url}/enterprises/dogecompany")
    }

    fn values(&self) -> Value {
        json!({
            "githubConfigUrl": self.url(),
            "githubConfigSecret": "credential",
            "minRunners": 1,
            "maxRunners": 3,
            "controllerServiceAccount": { "namespace": SYSTEMS, "name": CONTROLLER },
        })
    }

    async fn give_credential(&self, token: &str) {
        let secret: Api<DynamicObject> = Api::namespaced_with(
            self.sandbox.kube(),
            RUNNERS,
            &resource("", "v1", "secrets", "Secret"),
        );
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "credential" },
            "stringData": { "github_token": token },
        });
        let parameters = PatchParams::apply("test").force();
        secret
            .patch("credential", &parameters, &Patch::Apply(object))
            .await
            .unwrap();
    }

    fn objects(&self, plural: &str, kind: &str) -> Api<DynamicObject> {
        let resource = resource("actions.github.com", "v1alpha1", plural, kind);
        Api::all_with(self.sandbox.kube(), &resource)
    }

    async fn sets(&self) -> Vec<DynamicObject> {
        let sets = self.objects("autoscalingrunnersets", "AutoscalingRunnerSet");
        sets.list(&ListParams::default()).await.unwrap().items
    }

    async fn pods(&self, selector: &str) -> Vec<String> {
        let pods: Api<DynamicObject> =
            Api::all_with(self.sandbox.kube(), &resource("", "v1", "pods", "Pod"));
        let selected = ListParams::default().labels(selector);
        let list = pods.list(&selected).await.unwrap();
        let uids = list.items.into_iter().filter_map(|pod| pod.metadata.uid);
        uids.collect()
    }

    fn online(&self) -> Vec<Runner> {
        let runners = self.sandbox.github().runners();
        let idle = |it: &Runner| it.online && !it.busy && it.scale_set.is_some();
        runners.into_iter().filter(idle).collect()
    }

    async fn minimum(&self, min: u32) {
        let resource = resource(
            "actions.github.com",
            "v1alpha1",
            "autoscalingrunnersets",
            "AutoscalingRunnerSet",
        );
        let sets: Api<DynamicObject> =
            Api::namespaced_with(self.sandbox.kube(), RUNNERS, &resource);
        let patch = Patch::Merge(json!({ "spec": { "minRunners": min } }));
        sets.patch("basic", &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
}

fn resource(group: &str, version: &str, plural: &str, kind: &str) -> ApiResource {
    let api_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// Waits until something is so; what it is says the panic where it never is.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scale_set_lives_from_its_chart_to_its_end() {
    let world = World::start().await;
    let controller = json!({ "replicaCount": 2, "flags": { "healthProbeBindAddress": ":8081" } });
    world
        .helm(
            "arc",
            "gha-runner-scale-set-controller",
            SYSTEMS,
            &controller,
        )
        .await
        .unwrap();
    refusals(&world).await;
    world
        .run("kubectl", &["create", "namespace", RUNNERS])
        .await
        .unwrap();
    world.give_credential(world.sandbox.github().token()).await;
    let values = world.values();
    world
        .helm("basic", "gha-runner-scale-set", RUNNERS, &values)
        .await
        .unwrap();
    until("an idle runner", async || world.online().len() == 1).await;

    let github = world.sandbox.github();
    for _ in 0..7 {
        github.queue("dogecompany/app", &["basic"]);
    }
    until("all jobs are done", async || github.job_counts().done == 7).await;
    assert_eq!(github.job_counts().lost, 0);
    until("back at the minimum", async || world.online().len() == 1).await;

    world.minimum(2).await;
    until("two idle runners", async || world.online().len() == 2).await;

    let listener = "app.kubernetes.io/component=runner-scale-set-listener";
    let before = world.pods(listener).await;
    let other = Token::administrator();
    world.give_credential(&github.add_token(other)).await;
    until("the listener has the new credential", async || {
        let now = world.pods(listener).await;
        now.len() == 1 && now != before
    })
    .await;

    ends(&world).await;
    world.sandbox.stop();
}

/// What the chart refuses, in the words of the original.
async fn refusals(world: &World) {
    for (key, value, says) in [
        (
            "maxRunners",
            json!(0),
            "maxRunners has to be greater or equal to minRunners",
        ),
        (
            "githubConfigUrl",
            json!(""),
            ".Values.githubConfigUrl is required",
        ),
        (
            "runnerScaleSetName",
            json!("x".repeat(46)),
            "Name must have up to 45 characters",
        ),
        (
            "scaleSetLabels",
            json!([""]),
            "scaleSetLabels contains an empty string",
        ),
    ] {
        let mut values = world.values();
        values[key] = value;
        let refused = world
            .helm("basic", "gha-runner-scale-set", RUNNERS, &values)
            .await;
        let refused = refused.unwrap_err();
        assert!(refused.contains(says), "{key}: {refused}");
    }
}

/// Without its Secret a set stays for ever; with it everything goes, at GitHub too.
async fn ends(world: &World) {
    let delete = ["delete", "secret", "credential", "-n", RUNNERS];
    world.run("kubectl", &delete).await.unwrap();
    world
        .run("helm", &["uninstall", "basic", "-n", RUNNERS])
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.sets().await.len(), 1, "it cannot be deregistered");
    assert_eq!(world.sandbox.github().scale_sets().len(), 1);
    world.give_credential(world.sandbox.github().token()).await;
    until("the set is gone", async || world.sets().await.is_empty()).await;
    assert!(world.sandbox.github().scale_sets().is_empty());
    assert!(world.sandbox.github().runners().is_empty());
    let left = world.run(
        "kubectl",
        &[
            "get",
            "roles,rolebindings,serviceaccounts",
            "-n",
            RUNNERS,
            "-o",
            "name",
        ],
    );
    let left = left.await.unwrap();
    assert_eq!(left.trim(), "serviceaccount/default", "{left}");
    assert_eq!(world.sandbox.github().violations(), Vec::<String>::new());
}

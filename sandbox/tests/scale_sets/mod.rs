//! Runner scale sets in a whole sandbox: both charts by helm, runners online, jobs done, and everything gone again.

use std::time::{Duration, Instant};

use arcctl_sandbox::github::{Mode, Owner, Runner, Token};
use arcctl_sandbox::world::{Options, Pace, Sandbox};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::process::Command;

const SYSTEMS: &str = "arc-systems";
const RUNNERS: &str = "arc-runners";
const CONTROLLER: &str = "arc-gha-rs-controller";
const SET: &str = "gha-runner-scale-set";
const CONTROLLER_CHART: &str = "gha-runner-scale-set-controller";

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

struct World {
    sandbox: Sandbox,
    charts: String,
}

impl World {
    async fn start(github: Mode, faults: &[&str]) -> Self {
        let options = Options {
            pace: Pace::Fast,
            github,
            faults: faults.iter().map(ToString::to_string).collect(),
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
        (chart, version): (&str, &str),
        values: &Value,
    ) -> Result<String, String> {
        let namespace = if chart == SET { RUNNERS } else { SYSTEMS };
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
            version,
            "--namespace",
            namespace,
            "--create-namespace",
            "--values",
            path,
        ];
        self.run("helm", &words).await
    }

    /// The controller, and a namespace with a credential for the sets.
    async fn install(&self, version: &str, values: &Value) {
        let chart = (CONTROLLER_CHART, version);
        self.helm("arc", chart, values).await.unwrap();
        let create = ["create", "namespace", RUNNERS];
        self.run("kubectl", &create).await.unwrap();
        self.give_credential(self.sandbox.github().token()).await;
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
#[ignore = "slow: a quarter of a minute"]
async fn a_scale_set_lives_from_its_chart_to_its_end() {
    let world = World::start(Mode::EnterpriseServer("3.19.0".into()), &[]).await;
    let controller = json!({ "replicaCount": 2, "flags": { "healthProbeBindAddress": ":8081" } });
    world.install("0.14.2", &controller).await;
    refusals(&world).await;
    let values = world.values();
    world.helm("basic", (SET, "0.14.2"), &values).await.unwrap();
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
        let refused = world.helm("basic", (SET, "0.14.2"), &values).await;
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

/// On github.com, for an organization: what is there already is used, a patch changes nothing, a minor deletes every set.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: half a minute"]
async fn a_set_uses_what_has_its_name_and_a_minor_upgrade_deletes_it() {
    let world = World::start(Mode::Cloud, &["scale-sets:session-conflict=2"]).await;
    let github = world.sandbox.github();
    let organization = Owner::organization("dogecompany");
    let foreign = github
        .add_scale_set(&organization, "basic", &["theirs"])
        .unwrap();
    world.install("0.14.1", &json!({})).await;
    let mut values = world.values();
    values["githubConfigUrl"] = "https://github.com/dogecompany".into();
    values["scaleSetLabels"] = json!(["gpu"]);
    world.helm("basic", (SET, "0.14.1"), &values).await.unwrap();
    until("an idle runner", async || world.online().len() == 1).await;
    let sets = github.scale_sets();
    assert_eq!(
        (sets.len(), sets[0].id),
        (1, foreign),
        "it was not looked whose it is"
    );
    assert_eq!(
        sets[0].labels,
        ["theirs"],
        "labels are only those of the creation"
    );

    for chart in [
        ("arc", CONTROLLER_CHART, json!({})),
        ("basic", SET, values.clone()),
    ] {
        let (release, chart, values) = chart;
        world
            .helm(release, (chart, "0.14.2"), &values)
            .await
            .unwrap();
    }
    let version = async || {
        let sets = world.sets().await;
        sets.first().and_then(|set| {
            set.metadata
                .labels
                .clone()?
                .remove("app.kubernetes.io/version")
        })
    };
    until("the patch", async || {
        version().await.as_deref() == Some("0.14.2")
    })
    .await;
    assert_eq!(github.scale_sets()[0].id, foreign);

    let chart = (CONTROLLER_CHART, "0.15.1");
    world.helm("arc", chart, &json!({})).await.unwrap();
    until("no set is left", async || world.sets().await.is_empty()).await;
    assert!(github.scale_sets().is_empty(), "theirs is gone too");
    world.helm("basic", (SET, "0.15.1"), &values).await.unwrap();
    until("an idle runner again", async || world.online().len() == 1).await;
    let runner = world.online().remove(0);
    assert!(runner.name.starts_with("basic-runner-"), "{}", runner.name);
    github.queue("dogecompany/app", &["gpu"]);
    until("the job of the label", async || {
        github.job_counts().done == 1
    })
    .await;
    world.sandbox.stop();
}

/// GitHub takes the runners' version no more: nothing is left but a set that says so.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: half a minute"]
async fn a_set_of_deprecated_runners_is_outdated_until_it_is_changed() {
    let server = Mode::EnterpriseServer("3.19.0".into());
    let world = World::start(server, &["scale-sets:deprecated"]).await;
    world.install("0.14.2", &json!({})).await;
    world
        .helm("basic", (SET, "0.14.2"), &world.values())
        .await
        .unwrap();
    let phase = async || {
        let sets = world.sets().await;
        let phase = sets.first().map(|set| set.data["status"]["phase"].clone());
        phase.unwrap_or_default()
    };
    until("it is outdated", async || phase().await == "Outdated").await;
    let github = world.sandbox.github();
    until("no scale set", async || github.scale_sets().is_empty()).await;
    let runners = world.objects("ephemeralrunnersets", "EphemeralRunnerSet");
    let left = runners.list(&ListParams::default()).await.unwrap();
    assert_eq!(left.items.len(), 0);
    let mut values = world.values();
    values["template"] =
        json!({ "spec": { "containers": [{ "name": "runner", "image": "newer:1" }] } });
    world.helm("basic", (SET, "0.14.2"), &values).await.unwrap();
    until("it begins anew", async || !github.scale_sets().is_empty()).await;
    world.sandbox.stop();
}

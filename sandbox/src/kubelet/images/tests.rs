//! Tests of the images on a node, with a clock of their own.

use super::*;

const RUNNER: &str = "summerwind/actions-runner:v2.306.0-ubuntu-22.04";
const OTHER: &str = "summerwind/actions-runner:v2.336.0-ubuntu-22.04";

/// 599.5 MB at 60 MB/s.
const RUNNER_TIME: Duration = Duration::from_millis(9_991);

/// A node's pulls, and a clock.
struct Node {
    stores: Stores,
    now: Instant,
}

impl Node {
    fn new(images: Images) -> Self {
        Self {
            stores: Stores::new(images),
            now: Instant::now(),
        }
    }

    fn look(&self, pod: &str, image: &str) -> Pull {
        self.stores.look("node", (pod, "c"), image, false, self.now)
    }

    /// Looks again as often as the answers ask for; how long it took, in whole milliseconds.
    fn wait(&mut self, pod: &str, image: &str) -> Duration {
        let started = self.now;
        while let Pull::Pulling { left, .. } = self.look(pod, image) {
            assert!(!left.is_zero(), "a look without a pause");
            self.now += left;
        }
        let took = self.now.duration_since(started).as_millis();
        Duration::from_millis(u64::try_from(took).unwrap())
    }
}

#[test]
fn a_present_image_takes_no_time_and_is_listed() {
    let node = Node::new(Images::Present);
    assert_eq!(node.look("p", "own:1"), Pull::Present);
    let listed = node.stores.changed("node").unwrap();
    let mut names = listed.as_array().unwrap().iter().map(|it| &it["names"][1]);
    assert!(names.any(|it| it == "docker.io/library/own:1"));
    assert_eq!(node.stores.changed("node"), None);
}

#[test]
fn a_new_node_lists_the_images_that_are_there() {
    let listed = |images| Stores::new(images).listed_at_start();
    let absent = listed(Images::Absent);
    assert_eq!(absent.as_array().unwrap().len(), 1);
    assert_eq!(absent[0]["names"][1], "registry.k8s.io/pause:3.10");
    let present = listed(Images::Present);
    let names = present.as_array().unwrap();
    assert!(names.len() <= LISTED);
    let has = |name: &str| names.iter().any(|it| it["names"][1] == name);
    assert!(has(
        "docker.io/summerwind/actions-runner:v2.306.0-ubuntu-22.04"
    ));
    assert!(has("docker.io/library/docker:28-dind"));
    let sizes: Vec<_> = names.iter().map(|it| it["sizeBytes"].as_u64()).collect();
    assert!(sizes.is_sorted_by(|one, other| one >= other), "{sizes:?}");
}

#[test]
fn an_absent_image_takes_the_registry_s_answer_and_its_size() {
    let mut node = Node::new(Images::Absent);
    let first = node.look("p", RUNNER);
    assert_eq!(
        first,
        Pull::Pulling {
            is_new: true,
            left: REGISTRY
        }
    );
    let second = node.look("p", RUNNER);
    assert!(matches!(second, Pull::Pulling { is_new: false, .. }));
    assert_eq!(node.stores.changed("node"), None);
    assert_eq!(node.wait("p", RUNNER), REGISTRY + RUNNER_TIME);
    assert!(node.stores.changed("node").is_some());
    assert_eq!(node.look("q", RUNNER), Pull::Present);
}

#[test]
fn with_the_policy_always_only_the_registry_is_asked_again() {
    let mut node = Node::new(Images::Absent);
    node.wait("p", RUNNER);
    let again = |node: &Node| node.stores.look("node", ("q", "c"), RUNNER, true, node.now);
    assert!(matches!(again(&node), Pull::Pulling { is_new: true, .. }));
    node.now += REGISTRY;
    let bytes = 599_500_000;
    let took = REGISTRY;
    assert_eq!(again(&node), Pull::Pulled { took, bytes });
}

#[test]
fn two_pods_pull_one_image_once_and_a_shared_layer_is_not_pulled_again() {
    let mut node = Node::new(Images::Absent);
    node.look("p", RUNNER);
    node.look("q", RUNNER);
    assert_eq!(node.wait("p", RUNNER), REGISTRY + RUNNER_TIME);
    assert!(matches!(node.look("q", RUNNER), Pull::Pulled { .. }));
    let shared = Duration::from_millis(9_500);
    assert_eq!(node.wait("r", OTHER), REGISTRY + shared);
}

#[test]
fn two_images_at_a_time_share_the_bandwidth() {
    let mut node = Node::new(Images::Absent);
    node.look("p", RUNNER);
    node.look("q", "quay.io/a/b:1");
    // Both have their layers from the registry now.
    node.now += REGISTRY;
    node.look("q", "quay.io/a/b:1");
    let alone = RUNNER_TIME;
    let beside = Duration::from_nanos(100_000_000 * 1_000 / 60);
    let took = node.wait("p", RUNNER);
    assert!(
        took > alone && took <= alone + beside + Duration::from_millis(1),
        "{took:?}"
    );
}

#[test]
fn a_pull_for_a_pod_that_is_gone_ends() {
    let mut node = Node::new(Images::Absent);
    node.look("gone", RUNNER);
    node.look("p", "quay.io/a/b:1");
    node.now += REGISTRY;
    node.look("gone", RUNNER);
    node.look("p", "quay.io/a/b:1");
    node.stores.forget("gone");
    let alone = Duration::from_millis(1_666);
    assert_eq!(node.wait("p", "quay.io/a/b:1"), alone);
    assert!(matches!(
        node.look("gone", RUNNER),
        Pull::Pulling { is_new: true, .. }
    ));
}

//! The workflow that shows how a job uses the runners' role inside `docker run`. Pure: no I/O.
//!
//! EKS gives the role to the containers of the pod. Containers that the pod's own dockerd starts get neither the
//! variables nor the token; both must be passed (reference: arc.md 9).

use std::fmt::Write as _;

use super::runners::runner_labels;
use crate::profile::{ContainerMode, Profile};

/// Path and text; `None` where no pool runs docker in its pods, or where there is no role.
pub(super) fn file(profile: &Profile) -> Option<(String, String)> {
    let (via, _) = profile.runner_role()?;
    let mut pools = profile
        .pools
        .iter()
        .filter(|it| matches!(it.container_mode, ContainerMode::Dind))
        .peekable();
    pools.peek()?;
    let mut text = String::from(
        "# The role of the runners inside `docker run`: what the pod's dockerd starts gets neither the variables nor the\n\
         # token by itself. The path is the same in the runner and in its dockerd, so the mount works as it is.\n\
         name: aws-in-docker\n\
         on: workflow_dispatch\n\
         permissions: {}\n\
         jobs:\n",
    );
    for pool in pools {
        let mut labels = vec!["self-hosted".to_owned()];
        labels.extend(runner_labels(pool));
        let labels: Vec<String> = labels.iter().map(|it| format!("{it:?}")).collect();
        // Writing to a String cannot fail.
        let _ignored = write!(
            text,
            "  {}:\n    runs-on: [{}]\n    steps:\n      - run: >-\n          docker run --rm\n          \
             -v /var/run/secrets:/var/run/secrets\n          -e {}\n          -e AWS_REGION\n          \
             amazon/aws-cli:2.15.0 sts get-caller-identity\n",
            pool.name,
            labels.join(", "),
            via.variables().join("\n          -e "),
        );
    }
    Some(("workflows/aws-in-docker.yaml".into(), text))
}

//! The docker sidecar container of a runner pod. Pure: no I/O.

use serde_json::{Value, json};

use super::{
    Maker,
    entries::{has, list, mount, push},
};

impl Maker<'_> {
    /// Adds the docker container, and the volumes that it shares with the runner.
    pub(super) fn add_docker(
        &self,
        runner: &mut Value,
        docker: &mut Value,
        volumes: &mut Vec<Value>,
    ) {
        let mut args = vec![
            "dockerd".to_owned(),
            "--host=unix:///run/docker.sock".into(),
        ];
        args.extend(
            list(&docker["args"])
                .iter()
                .filter_map(|it| it.as_str().map(str::to_owned)),
        );
        args.push("--group=$(DOCKER_GROUP_GID)".into());
        if let Some(mtu) = self.mtu() {
            push(
                docker,
                "env",
                json!({"name": "DOCKERD_ROOTLESS_ROOTLESSKIT_MTU", "value": mtu}),
            );
            args.extend(["--mtu".to_owned(), mtu]);
        }
        args.extend(self.mirror().map(|it| format!("--registry-mirror={it}")));
        docker["args"] = args.into();
        let named = |it: &Value| it["name"] == "DOCKER_GROUP_GID";
        if !list(&docker["env"]).iter().any(named) {
            let image = runner["image"].as_str().unwrap_or_default();
            let group = match image {
                it if it.contains("22.04") => "121".to_owned(),
                it if it.contains("20.04") => "1001".to_owned(),
                _ => self.value("/dockerGID", "1001"),
            };
            push(
                docker,
                "env",
                json!({"name": "DOCKER_GROUP_GID", "value": group}),
            );
        }
        if docker["image"].is_null() {
            docker["image"] = self
                .value("/image/dindSidecarRepositoryAndTag", "docker:dind")
                .into();
        }
        if docker["securityContext"].is_null() {
            let options = &self.spec["securityContext"]["seLinuxOptions"];
            docker["securityContext"] = if options.is_null() {
                json!({"privileged": true})
            } else {
                json!({"privileged": false, "seLinuxOptions": options})
            };
        }
        self.share_volumes(runner, docker, volumes);
    }

    /// Adds the volumes that the runner and the docker container share.
    fn share_volumes(&self, runner: &mut Value, docker: &mut Value, volumes: &mut Vec<Value>) {
        if !has(volumes, "work") {
            volumes.push(json!({"name": "work", "emptyDir": {}}));
        }
        let limit = self
            .text("dockerVarRunVolumeSizeLimit")
            .unwrap_or_else(|| "1M".into());
        volumes
            .push(json!({"name": "var-run", "emptyDir": {"medium": "Memory", "sizeLimit": limit}}));
        push(docker, "volumeMounts", mount("runner", "/runner"));
        for (name, path) in [("work", self.work_directory()), ("var-run", "/run".into())] {
            for container in [&mut *runner, &mut *docker] {
                if !has(&list(&container["volumeMounts"]), name) {
                    push(container, "volumeMounts", mount(name, &path));
                }
            }
        }
    }
}

#!/usr/bin/env bash
# A shell beside a simulated cluster, in a folder with a profile for it. `make sandbox` starts it, through `arcctl-sandbox run`,
# which puts arcctl, helm and kubectl into PATH and stops everything when the shell ends.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$ARCCTL_SANDBOX_PROFILE" "$folder/arcctl.yaml"
cd "$folder"
cat <<'END'

This shell has a simulated cluster without runners, `arcctl.yaml`, a profile for it, and a token in ARCCTL_GITHUB_TOKEN. Your
own kubeconfig is not used.

  arcctl plan        what would be installed
  arcctl up          install it, and wait until the runners are online
  arcctl status      the runners
  arcctl teardown    remove everything

To change the pool, edit arcctl.yaml, for example with `sed -i 's/min: 2/min: 3/' arcctl.yaml`, then run `arcctl plan` and
`arcctl up` again. `exit` stops the cluster.

END
# Without the user's own start files: they may set PATH or KUBECONFIG. The exit code is that of the last command typed.
PS1='sandbox$ ' bash --norc -i || true

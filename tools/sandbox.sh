#!/usr/bin/env bash
# A shell beside a simulated cluster, in a folder with a profile for it. `make sandbox` starts it, through `arcctl-sandbox run`,
# which puts arcctl, helm and kubectl into PATH and stops everything when the shell ends.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$ARCCTL_SANDBOX_PROFILE" "$folder/arcctl.yaml"
cd "$folder"
cat <<'END'

This shell has a simulated cluster without runners, a profile for it,
`arcctl.yaml`, and a token in ARCCTL_GITHUB_TOKEN. It does not use your own
kubeconfig. There is no AWS. The folder is deleted at the end.

  arcctl plan        what would be installed
  arcctl up          install it, and wait until the runners are online
  arcctl status      the runners
  arcctl doctor      look for problems: break something first
  arcctl schedule    the minimums of the week
  arcctl teardown    remove everything

To change the pool, edit arcctl.yaml, for example with
`sed -i 's/max: 16/max: 20/' arcctl.yaml`, then run `arcctl plan` and
`arcctl up` again. `exit` stops the cluster.

END
# Without the user's own start files: they may set PATH or KUBECONFIG. The exit code is that of the last command typed.
PS1='sandbox$ ' bash --norc -i || true

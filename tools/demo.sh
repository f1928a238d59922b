#!/usr/bin/env bash
# The demo: a bare EKS cluster becomes registered runners with a role, a bucket and a security group, and bare again. All of
# it on this machine: AWS, GitHub and the controllers are simulated, the control plane and helm are real.
#   tools/demo.sh BIN     BIN: where arcctl and arcctl-sandbox are
set -euo pipefail
export PATH=$1:$PATH
profile=$ARCCTL_SANDBOX_AWS_PROFILE
rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT

show() { # show ARGUMENT…: prints a command as it is typed, and runs it
  printf '\n$ arcctl %s\n' "${*//$profile/runners.yaml}"
  arcctl "$@"
}

show up -f "$profile" --yes
show status -f "$profile"
show doctor -f "$profile"
# The simulated repository gets the workflow as a push would bring it.
arcctl render "$rendered" -q -f "$profile" >/dev/null
arcctl-sandbox commit "$rendered/.github/workflows/arcctl-smoke.yaml"
show smoke -f "$profile" --repository dogecompany/app
show teardown -f "$profile" --yes

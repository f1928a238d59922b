#!/usr/bin/env bash
# The releases with helmfile, the rest with the commands of the blog. `apply` asks helm-diff what would change, and leaves
# a release alone for which that is nothing: with the release as it was installed, not with what is live.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. ./steps.sh
. ./aws.sh
. ./runners.sh

step helmfile apply --suppress-diff
aws_wiring
step kubectl create namespace actions-runner
runners

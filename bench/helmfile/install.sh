#!/usr/bin/env bash
# The releases with helmfile, the rest with the commands of the blog. `sync` upgrades both releases each time. `apply` would
# leave an unchanged one alone, and with that also one that has drifted; it needs helm-diff, which the registry of Go
# modules does not have.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. ./steps.sh
. ./aws.sh
. ./runners.sh

step helmfile sync
aws_wiring
step kubectl create namespace actions-runner
runners

#!/usr/bin/env bash
# The way back: runners first, the releases by `helmfile destroy`, which turns the order of `needs` around.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. ./steps.sh
. ./aws.sh
. ./runners.sh
# shellcheck disable=SC2034,SC2154  # steps.sh reads it, and has what it says when a thing is gone
done_already=$gone

runners_removal
done_already='^$' step helmfile destroy --deleteWait
aws_removal
step kubectl delete namespace actions-runner actions-runner-system cert-manager

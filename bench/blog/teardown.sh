#!/usr/bin/env bash
# The way back, in an order that leaves nothing hanging; pages have none.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. ./steps.sh
. ./aws.sh
. ./runners.sh
# shellcheck disable=SC2034,SC2154  # steps.sh reads it, and has what it says when a thing is gone
done_already=$gone

runners_removal
step helm uninstall actions-runner-controller --namespace actions-runner-system --wait
aws_removal
step helm uninstall cert-manager --namespace cert-manager --wait
step kubectl delete namespace actions-runner actions-runner-system cert-manager

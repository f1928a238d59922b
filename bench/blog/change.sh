#!/usr/bin/env bash
# What somebody types who knows which one object holds the changed value: the shortest way there is.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. ./steps.sh
step kubectl apply -f autoscaler.yaml

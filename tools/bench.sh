#!/usr/bin/env bash
# The budgets of docs/performance.md, measured: arcctl beside the commands that it takes the place of, in the same sandbox.
#   tools/bench.sh ARCCTL SANDBOX [RUNS]     two built programs, best optimised; RUNS (3) of each, medians are printed
#   tools/bench.sh --inside ARCCTL WHO       one run of WHO (arcctl or by-hand), in the environment of a sandbox
set -euo pipefail

now() { date +%s%N; }
# timed NAME COMMAND…: runs it and prints how long it took; what it says goes to stderr.
timed() {
  local name=$1 began
  shift
  began=$(now)
  "$@" >&2
  awk -v name="$name" -v ns=$(($(now) - began)) 'BEGIN { printf "%s %.3f\n", name, ns / 1e9 }'
}

# The commands of a page on self-hosted runners, with what makes them work in this order: charts that wait, and a
# wait for the pods. They prove less: no webhook is asked, no registration is looked up.
by_hand() {
  local files=$1 charts=$2
  helm repo add --force-update bench "$charts"
  helm upgrade --install cert-manager bench/cert-manager --version v1.21.1 --namespace cert-manager \
    --create-namespace --values "$files/values/cert-manager-crds.yaml" --values "$files/values/cert-manager.yaml" \
    --set crds.enabled=true --wait
  kubectl apply -f "$files/base"
  printf %s "$ARCCTL_GITHUB_TOKEN" > "$files/token"
  kubectl -n actions-runner-system create secret generic controller-manager --from-file=github_token="$files/token" \
    --dry-run=client -o yaml | kubectl apply -f -
  helm upgrade --install actions-runner-controller bench/actions-runner-controller --version 0.23.7 \
    --namespace actions-runner-system --values "$files/values/actions-runner-controller.yaml" --wait
  # The webhook answers some time after its pod is ready: what a person does then is to try again.
  # Deployments first, as on the page: an autoscaler that comes first finds nothing, and looks again a minute later.
  local deployments=() file
  for file in "$files"/runners/runner-deployment.*; do deployments+=(-f "$file"); done
  until kubectl apply "${deployments[@]}"; do sleep 0.5; done
  kubectl apply -f "$files/runners"
  until [ "$(kubectl -n actions-runner get pods -o name | wc -l)" -ge 2 ]; do sleep 0.2; done
  kubectl -n actions-runner wait --for=condition=Ready pods --all --timeout=120s
}

inside() {
  local arcctl=$1 profile=$ARCCTL_SANDBOX_PROFILE files charts
  files=$(mktemp -d)
  # shellcheck disable=SC2064  # the directory's name now: the variable is local
  trap "rm -rf '$files'" EXIT
  charts=$(awk '$1 == "controller:" && $2 ~ /^http/ { print $2 }' "$profile")
  if [ "$2" = arcctl ]; then
    timed arcctl-fresh "$arcctl" up -f "$profile" --yes -q
    for _ in 1 2 3; do timed arcctl-again "$arcctl" up -f "$profile" --yes -q; done
    timed status "$arcctl" status -f "$profile"
    timed doctor "$arcctl" doctor -f "$profile"
    timed teardown "$arcctl" teardown -f "$profile" --yes -q
  else
    "$arcctl" render "$files" -q -f "$profile" >&2
    sed -i 's/${SECRET_VERSION}/first/' "$files"/*/*
    timed by-hand-fresh by_hand "$files" "$charts"
    for _ in 1 2 3; do timed by-hand-again by_hand "$files" "$charts"; done
  fi
}

# What needs no cluster.
offline() {
  local arcctl=$1 directory
  directory=$(mktemp -d)
  awk -v pools=500 '
    /^  - name: / { in_pool = 1; name = $3 }
    in_pool { pool = pool $0 "\n"; next }
    { print }
    END { for (n = 1; n <= pools; n++) { one = pool; sub("name: " name, "name: " name "-" n, one); printf "%s", one } }
  ' "$(dirname "$0")/../profiles/repository.yaml" > "$directory/pools.yaml"
  for _ in 1 2 3 4 5; do
    timed version "$arcctl" --version
    timed lint-500-pools "$arcctl" plan --offline -q -f "$directory/pools.yaml"
  done
  rm -rf "$directory"
}

if [ "$1" = --inside ]; then
  inside "$2" "$3" 2> "${BENCH_LOG:-/dev/null}"
  exit
fi
arcctl=$(realpath "$1") sandbox=$2 runs=${3:-3}
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
for _ in $(seq "$runs"); do
  for who in arcctl by-hand; do
    "$sandbox" run -- "$0" --inside "$arcctl" "$who" >> "$figures" 2> /dev/null
  done
done
offline "$arcctl" >> "$figures" 2> /dev/null
sort -k1,1 -k2,2n "$figures" | awk '
  $1 != name { show(); name = $1; n = 0 }
  { seconds[++n] = $2 }
  END { show()
    printf "fresh: %.2f of the commands by hand (budget 0.65)\n", median["arcctl-fresh"] / median["by-hand-fresh"]
    printf "again: %.2f of the commands by hand (budget 0.10)\n", median["arcctl-again"] / median["by-hand-again"] }
  function show() {
    if (n == 0) return
    median[name] = seconds[int((n + 1) / 2)]
    printf "%-16s %8.3f s  (%d runs, %.3f to %.3f)\n", name, median[name], n, seconds[1], seconds[n] }'
printf 'program          %8.1f MB\n' "$(stat -c %s "$arcctl" | awk '{ print $1 / 1e6 }')"

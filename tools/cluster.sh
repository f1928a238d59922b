#!/usr/bin/env bash
# Runs the tests on real control planes, three at a time, and each that failed once more, alone.
# A test that passes alone was disturbed by the load of the others: it is named, and is to be mended all the same
# (docs/decisions/0010). More than three of them, or one that fails again, fail the run.
#   tools/cluster.sh [--slow] [FILTER…]     --slow: those that `#[ignore = "slow…"]` marks, and no others
# The seconds of each test are in cluster-times.txt (with --slow: cluster-times-slow.txt) in the target directory.
set -euo pipefail
most=3
which=()
times=${CARGO_TARGET_DIR:-target}/cluster-times.txt
if [ "${1:-}" = --slow ]; then
  shift
  # What takes hours, or an optimised build, is `make torture`.
  which=(--ignored --skip _matrix --skip record::figures --skip scale::the_whole_grid)
  times=${times%.txt}-slow.txt
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT

built=$(CARGO_TERM_COLOR=never cargo test --locked --workspace --test cluster --no-run 2>&1) || { echo "$built" >&2; exit 1; }
tests=$(sed -n 's/.*Executable tests\/cluster\/main.rs (\(.*\))/\1/p' <<< "$built")
[ -x "$tests" ] || { echo "cluster: cargo names no program of the cluster tests: $built" >&2; exit 1; }

# The seconds of each test are an unstable option of the test harness.
run() { RUSTC_BOOTSTRAP=1 "$tests" -Zunstable-options --report-time "$@"; }

status=0
run --test-threads 3 "${which[@]}" "$@" 2>&1 | tee "$log" || status=$?
sed -n 's/^test \(.*\) \.\.\. [a-zA-Z]* <\(.*\)s>$/\2 \1/p' "$log" | sort -rn > "$times"
[ "$status" -ne 0 ] || exit 0

# The list that ends the output; nothing is in it where the tests did not even start.
mapfile -t failed < <(awk '/^failures:$/ { delete names; n = 0; next } /^    [a-z0-9_:]+$/ { names[n++] = $1 } END { for (i = 0; i < n; i++) print names[i] }' "$log")
if [ "${#failed[@]}" -eq 0 ] || [ "${#failed[@]}" -gt "$most" ]; then exit 1; fi

for name in "${failed[@]}"; do
  echo "cluster: once more, alone: $name" >&2
  run --test-threads 1 --include-ignored --exact "$name"
done
echo "cluster: failed beside others and passed alone, to be mended: ${failed[*]}" >&2

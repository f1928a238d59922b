#!/usr/bin/env bash
# Runs the fuzz targets, guided by coverage: tools/fuzz.sh SECONDS [TARGET...]. Each target gets SECONDS; what it finds
# new stays in fuzz/corpus/TARGET of the build cache, and a finding ends the run. With 0 the seeds alone are run, with
# `brief` a thousand mutations of them too, by the build that is there: no coverage, and seconds in all.
#
# The stable compiler can instrument (-C passes, as cargo-fuzz tells it), and only arcctl's own crates need it: as the
# wrapper of the workspace this script adds the flags, and no dependency is built anew.
set -eu -o pipefail

if [[ ${ARCCTL_FUZZ_WRAPPER:-} ]]; then
  rustc=$1
  shift
  case " $* " in
    *" --crate-name arcctl"*)
      exec "$rustc" "$@" --cfg fuzzing -C opt-level=2 -C passes=sancov-module \
        -C llvm-args=-sanitizer-coverage-level=4 -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
        -C llvm-args=-sanitizer-coverage-pc-table -C llvm-args=-sanitizer-coverage-trace-compares ;;
    *) exec "$rustc" "$@" ;;
  esac
fi

here=$(cd "$(dirname "$0")/.." && pwd)
seconds=${1:?how many seconds for each target}
shift
targets=("$@")
[[ $# -gt 0 ]] || mapfile -t targets < <(ls "$here/fuzz/corpus")
cache=${CARGO_TARGET_DIR:-$here/target}

cd "$here"
if [[ $seconds == 0 ]]; then
  limit=(-runs=0)
elif [[ $seconds == brief ]]; then
  limit=(-runs=1000)
else
  export ARCCTL_FUZZ_WRAPPER=1 RUSTC_WORKSPACE_WRAPPER=$here/tools/fuzz.sh
  limit=(-max_total_time="$seconds")
fi
cargo build --locked --quiet --workspace --bin arcctl-fuzz
mkdir -p "$cache/fuzz"
# A copy, since another build may replace it while it runs.
binary=$cache/fuzz/arcctl-fuzz
cp "$cache/debug/arcctl-fuzz" "$binary"

for target in "${targets[@]}"; do
  found=$cache/fuzz/corpus/$target
  mkdir -p "$found"
  seeds=("fuzz/corpus/$target")
  [[ $target != profile ]] || seeds+=(profiles tests/cli/profiles/invalid tests/cli/profiles/advice)
  echo "fuzz: $target (${limit[*]})"
  # At most 4 KiB: what breaks a reader is small.
  ARCCTL_FUZZ_TARGET=$target "$binary" "$found" "${seeds[@]}" "${limit[@]}" -max_len=4096 -timeout=10 \
    -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$cache/fuzz/$target-" 2> "$cache/fuzz/$target.log" ||
    { tail -n 40 "$cache/fuzz/$target.log" >&2; exit 1; }
  grep -E '^(Done|stat::(number_of_executed_units|peak_rss_mb))' "$cache/fuzz/$target.log"
done

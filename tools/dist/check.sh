#!/usr/bin/env bash
# Builds everything twice, in directories of different names and lengths and with nothing in common, and compares.
#   tools/dist/check.sh [TARGET…]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/arcctl/target}
first=$work/check-1
second=$work/another-directory-for-check-2
for directory in "$first" "$second"; do
  rm -rf "$directory"
  # One umask for each, which archives must not have in them.
  (umask "$([ "$directory" = "$first" ] && echo 022 || echo 077)"
    CARGO_TARGET_DIR=$directory DIST=$directory/dist "$here/../dist.sh" "$@")
done
if diff -r "$first/dist" "$second/dist" >&2; then
  echo "dist-check: both builds are equal" >&2
else
  echo "dist-check: the builds differ: compare $first/dist with $second/dist, for example with diffoscope" >&2
  exit 1
fi

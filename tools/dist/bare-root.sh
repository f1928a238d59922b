#!/usr/bin/env bash
# Runs arcctl where there is nothing else: in a root directory with the binary and a profile, no libc, no certificates, no
# /etc, not as root. With debootstrap also in a bare Debian.
#   tools/dist/bare-root.sh BINARY [PROFILE]
# DEBIAN: the suite for debootstrap (such as bookworm); without it, the bare root alone.
set -euo pipefail
binary=$1
profile=${2:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/profiles/repository.yaml}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# enter ROOT COMMAND…: as nobody, in ROOT
enter() {
  local inside=$1
  shift
  if [ "$(id -u)" = 0 ]; then
    env -i PATH=/ chroot --userspec=65534:65534 "$inside" "$@"
  else
    env -i PATH=/ unshare --user --map-root-user chroot "$inside" "$@"
  fi
}

try() { # try ROOT PROGRAM: each command, with its first line
  local inside=$1 program=$2 arguments text
  shift 2
  for arguments in "--version" "schema" "plan --offline -f /arcctl.yaml" "up --help"; do
    # shellcheck disable=SC2086 # several words
    text=$(enter "$inside" "$program" $arguments 2>&1) || { echo "bare-root: $arguments: $text" >&2; exit 1; }
    [ -n "$text" ] || { echo "bare-root: $arguments printed nothing" >&2; exit 1; }
    printf '%s: %s lines, the first: %s\n' "$arguments" "$(wc -l <<<"$text")" "${text%%$'\n'*}"
  done
}

mkdir "$root/bare"
chmod 755 "$root" "$root/bare"
cp "$binary" "$root/bare/arcctl"
cp "$profile" "$root/bare/arcctl.yaml"
chmod 755 "$root/bare/arcctl"
chmod 644 "$root/bare/arcctl.yaml"
echo "a root with nothing but the binary and a profile:"
try "$root/bare" /arcctl
if [ -n "${DEBIAN:-}" ]; then
  command -v debootstrap >/dev/null || { echo "bare-root: debootstrap is not installed" >&2; exit 1; }
  debootstrap --variant=minbase "$DEBIAN" "$root/debian" >/dev/null
  cp "$root/bare/arcctl" "$root/bare/arcctl.yaml" "$root/debian/"
  echo "a bare Debian $(cat "$root/debian/etc/debian_version"):"
  try "$root/debian" /arcctl
fi

# shellcheck shell=bash
# shellcheck disable=SC2034 # the variables are for those that source this
# Sourced by the other scripts: errors, downloads, checksums, and the runner's tool cache.

# An error of this step, as an annotation.
fail() {
  echo "::error title=arcctl::$*"
  exit 1
}

# The runner's system and processor, in the words of Rust ($target) and of Go ($system-$processor).
platform() {
  case ${RUNNER_OS:-$(uname -s)} in
  Linux) system=linux ;;
  macOS | Darwin) system=darwin ;;
  *) fail "arcctl is not released for ${RUNNER_OS:-this system}: use a runner with Linux or macOS" ;;
  esac
  case ${RUNNER_ARCH:-$(uname -m)} in
  X64 | x86_64) processor=amd64 target=x86_64 ;;
  ARM64 | aarch64 | arm64) processor=arm64 target=aarch64 ;;
  *) fail "arcctl is not released for ${RUNNER_ARCH:-this processor}: use a runner with x64 or arm64" ;;
  esac
  case $system in
  linux) target+=-unknown-linux-musl ;;
  darwin) target+=-apple-darwin ;;
  esac
}

# fetch URL FILE: downloads, and sets `status` to the HTTP status. Ends the step if there is no answer.
fetch() {
  local protocols="=https,http"
  # A secure address must not lead to one that is not.
  [ "${1#https://}" = "$1" ] || protocols="=https"
  status=$(curl --silent --show-error --location --proto "$protocols" --retry 3 --connect-timeout 20 --max-time 300 \
    --output "$2" --write-out '%{http_code}' "$1") || fail "cannot download $1: see curl's message above"
}

# sha256 FILE
sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# version_of TEXT: a version without its `v`; ends the step if it is none, since it becomes part of paths.
version_of() {
  local text=${1#v}
  [[ $text =~ ^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.-]+)?$ ]] || return 1
  echo "$text"
}

# cached NAME VERSION PLATFORM: sets `place` to the directory in the tool cache (its layout is that of actions/tool-cache);
# whether a finished copy is there.
cached() {
  place=${RUNNER_TOOL_CACHE:-$RUNNER_TEMP}/$1/$2/$3
  [ -f "$place.complete" ] && [ -d "$place" ]
}

# keep DIRECTORY CHECKSUM: moves a directory to `place`. A copy that was cut off has no `.complete`.
keep() {
  rm -rf "$place" "$place.complete"
  mkdir -p "$(dirname "$place")"
  mv "$1" "$place"
  echo "$2" >"$place.complete"
}

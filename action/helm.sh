#!/usr/bin/env bash
# Installs a released helm, as install.sh does arcctl.
set -euo pipefail
# shellcheck source=action/fetch.sh
source "$(dirname "${BASH_SOURCE[0]}")/fetch.sh"
platform
version=$(version_of "$VERSION") || fail "the input \`helm\` is \`$VERSION\`: set it to a version such as 3.20.0"
# Not by the processor alone: there azure/setup-helm keeps a helm, in a directory of its own form.
if ! cached helm "$version" "$system-$processor"; then
  work=$(mktemp -d "$RUNNER_TEMP/helm-XXXXXX")
  url=${RELEASES%/}/helm-v$version-$system-$processor.tar.gz
  fetch "$url.sha256sum" "$work/sum"
  [ "$status" = 200 ] || fail "there is no helm $version at ${RELEASES%/} (status $status): set the input \`helm\` to a version that is there, or \`helm-releases\` to where your copies are"
  fetch "$url" "$work/archive"
  [ "$status" = 200 ] || fail "$url: the server answers with status $status"
  expected=$(cut -d ' ' -f 1 "$work/sum")
  found=$(sha256 "$work/archive")
  [ "$found" = "$expected" ] || fail "$url is damaged or was changed: its SHA-256 is $found, and must be $expected. Nothing was installed"
  tar -xzf "$work/archive" -C "$work"
  keep "$work/$system-$processor" "$found"
  rm -rf "$work"
fi
echo "$place" >>"$GITHUB_PATH"

#!/usr/bin/env bash
# Installs a released arcctl: from the runner's tool cache, or downloaded and checked.
set -euo pipefail
# shellcheck source=action/fetch.sh
source "$(dirname "${BASH_SOURCE[0]}")/fetch.sh"
platform
asked=${VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' "$GITHUB_ACTION_PATH/Cargo.toml" | head -1)}
version=$(version_of "$asked") || fail "the input \`version\` is \`$asked\`: set it to a version such as 0.1.0"
[[ ${SHA256:-} =~ ^([0-9a-fA-F]{64})?$ ]] || fail "the input \`sha256\` is not a SHA-256: set it to 64 hexadecimal digits, or leave it out"
SHA256=$(tr A-F a-f <<<"${SHA256:-}")
# Where the action is part of the repository that uses it (`uses: ./`), it has no repository of its own.
releases=${RELEASES:-$SERVER_URL/${ACTION_REPOSITORY:-$REPOSITORY}/releases/download}
releases=${releases%/}

hit=false
if cached arcctl "$version" "$target" && { [ -z "$SHA256" ] || [ "$SHA256" = "$(cat "$place.complete")" ]; }; then
  hit=true
  echo "arcctl $version is in the tool cache"
else
  work=$(mktemp -d "$RUNNER_TEMP/arcctl-XXXXXX")
  name=arcctl-$version-$target
  url=$releases/v$version
  expected=$SHA256
  if [ -z "$expected" ]; then
    fetch "$url/SHA256SUMS" "$work/SHA256SUMS"
    case $status in
    # A GitHub Enterprise Server in private mode leads to its login page, whose status is 200.
    200) grep -Eq '^[0-9A-Fa-f]{64} ' "$work/SHA256SUMS" || fail "$url/SHA256SUMS is no list of checksums, and may be a login page: set the input \`releases\` to where this runner may download without a login" ;;
    404) fail "there is no release $version at $url: set the input \`version\` to one that is there, or \`releases\` to where your copies are" ;;
    *) fail "$url/SHA256SUMS: the server answers with status $status: check that this runner may read it, or set the input \`releases\`" ;;
    esac
    expected=$(awk -v file="$name.tar.gz" '$2 == file { print $1 }' "$work/SHA256SUMS")
    [ -n "$expected" ] || fail "release $version has no $name.tar.gz in its SHA256SUMS: use a runner with another processor or system"
  fi
  fetch "$url/$name.tar.gz" "$work/archive"
  [ "$status" = 200 ] || fail "there is no $name.tar.gz at $url (status $status): set the input \`version\` to a release that has it"
  found=$(sha256 "$work/archive")
  [ "$found" = "$expected" ] || fail "$url/$name.tar.gz is damaged or was changed: its SHA-256 is $found, and must be $expected. Nothing was installed. Run the job again; if it stays, compare both with the release"
  tar -xzf "$work/archive" -C "$work"
  keep "$work/$name" "$found"
  rm -rf "$work"
  echo "installed arcctl $version in $place"
fi
"$place/arcctl" --version || fail "$place/arcctl does not run here: delete $place, and run the job again"
echo "$place" >>"$GITHUB_PATH"
{
  echo "version=$version"
  echo "path=$place/arcctl"
  echo "cache-hit=$hit"
} >>"$GITHUB_OUTPUT"

#!/usr/bin/env bash
# Writes DIR/arcctl.rb (a Homebrew formula) and DIR/arc.yaml (a krew manifest) from DIR/SHA256SUMS: for the targets that are in it.
#   tools/dist/manifests.sh DIR VERSION
# ARCCTL_REPOSITORY: the address of the repository whose releases have the archives.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$1
version=$2
repository=${ARCCTL_REPOSITORY:-https://github.com/YOUR-ORG/arcctl}

sum() { # sum TARGET: nothing if there is no archive for it
  awk -v file="arcctl-$version-$1.tar.gz" '$2 == file { print $1 }' "$dir/SHA256SUMS"
}

address() { echo "$repository/releases/download/v$version/arcctl-$version-$1.tar.gz"; }

# Homebrew's and krew's names of systems and processors, and the target for them.
platforms="macos intel darwin amd64 x86_64-apple-darwin
macos arm darwin arm64 aarch64-apple-darwin
linux intel linux amd64 x86_64-unknown-linux-musl
linux arm linux arm64 aarch64-unknown-linux-musl"

formula() {
  local wanted system processor target found block
  for wanted in macos linux; do
    block=
    while read -r system processor _ _ target; do
      found=$(sum "$target")
      if [ "$system" != "$wanted" ] || [ -z "$found" ]; then continue; fi
      block+=$(printf '\n    on_%s do\n      url "%s"\n      sha256 "%s"\n    end' "$processor" "$(address "$target")" "$found")
    done <<<"$platforms"
    [ -z "$block" ] || printf '  on_%s do%s\n  end\n' "$wanted" "$block"
  done
}

krew() {
  local os arch target found
  while read -r _ _ os arch target; do
    found=$(sum "$target")
    [ -n "$found" ] || continue
    printf '  - selector:\n      matchLabels: {os: %s, arch: %s}\n    uri: %s\n    sha256: %s\n    bin: arcctl\n    files:\n    - {from: "arcctl-%s-%s/arcctl", to: .}\n    - {from: "arcctl-%s-%s/LICENSE", to: .}\n' \
      "$os" "$arch" "$(address "$target")" "$found" "$version" "$target" "$version" "$target"
  done <<<"$platforms"
}

[ -n "$(formula)" ] || { echo "manifests: $dir/SHA256SUMS has no archive of version $version" >&2; exit 1; }

fill() { # fill TEMPLATE BLOCK: with the version and repository, and the block for @PLATFORMS@
  while IFS= read -r line; do
    line=${line//@VERSION@/$version}
    line=${line//@REPOSITORY@/$repository}
    if [ "$line" = @PLATFORMS@ ]; then "$2"; else printf '%s\n' "$line"; fi
  done <"$here/$1"
}

fill homebrew.rb.in formula >"$dir/arcctl.rb"
fill krew.yaml.in krew >"$dir/arc.yaml"

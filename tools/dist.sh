#!/usr/bin/env bash
# Builds what is released from the commit that is checked out: an archive, an SBOM and, for Linux, a Debian package for each
# target; and their checksums. Two builds of one commit are equal, byte for byte, in whatever directories they are made.
#   tools/dist.sh [TARGET…]      default: x86_64-unknown-linux-musl aarch64-unknown-linux-musl
# DIST: where to (default: dist in cargo's target directory). DIST_HOST_BINARY: an arcctl of the same commit that runs here,
# if none of the targets does; it prints the man pages and completions.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
work=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/arcctl/target}
dist=${DIST:-$work/dist}
source=$work/dist-source
cargo_home=${CARGO_HOME:-$HOME/.cargo}
[ $# -gt 0 ] || set -- x86_64-unknown-linux-musl aarch64-unknown-linux-musl

say() { echo "dist: $*" >&2; }
fail() { say "$*"; exit 1; }

# GNU tar; macOS has it as gtar.
tar=$(command -v gtar || command -v tar)
"$tar" --version | grep -q GNU || fail "GNU tar is needed: install gnu-tar"

# Exactly the commit: what is not committed is not released.
commit=$(git -C "$root" rev-parse HEAD)
SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
export SOURCE_DATE_EPOCH ARCCTL_BUILD_COMMIT=$commit CARGO_TARGET_DIR=$work
[ -z "$(git -C "$root" status --porcelain)" ] || say "what is not committed is left out"
rm -rf "$source" "$dist"
mkdir -p "$source" "$dist"
# With the time of now (-m): by the commit's time, cargo would take a changed file for an unchanged one.
git -C "$root" archive HEAD | "$tar" -xmf - -C "$source"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$source/Cargo.toml" | head -1)

# The compiler's flags, of which none makes a difference that a path would make.
flags=(
  "--remap-path-prefix=$source=/arcctl"
  "--remap-path-prefix=$work=/target"
  "--remap-path-prefix=$cargo_home=/cargo"
)
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; printf '%s' "${flags[*]}")
CFLAGS="-ffile-prefix-map=$work=/target -ffile-prefix-map=$cargo_home=/cargo"
export CARGO_ENCODED_RUSTFLAGS CFLAGS

add_target() {
  # Without rustup, the compiler has what its package has.
  command -v rustup >/dev/null || return 0
  (cd "$source" && rustup target list --installed | grep -qx "$1") && return 0
  (cd "$source" && rustup target add "$1") || fail "rustup cannot add $1: the standard library for it is needed"
}

compile() { # compile TARGET
  add_target "$1"
  case $1 in
  *-linux-*)
    "$here/install.sh" zig
    # cargo-zigbuild finds zig as the module `ziglang` of the Python beside it.
    local tool
    tool=$(readlink -f "$root/.tools/bin/cargo-zigbuild")
    (cd "$source" && PATH="$(dirname "$tool"):$PATH" CARGO_ZIGBUILD_PYTHON_PATH="$(dirname "$tool")/python3" \
      "$tool" zigbuild --locked --release --bin arcctl --target "$1")
    ;;
  *) (cd "$source" && cargo build --locked --release --bin arcctl --target "$1") ;;
  esac
}

pages() { # pages BINARY: man pages and completions, the same for all targets
  local out=$source/dist
  [ ! -d "$out" ] || return 0
  "$1" --version >/dev/null 2>&1 || return 0
  mkdir -p "$out/completions"
  "$1" man "$out/man"
  for shell in bash zsh fish; do "$1" completions $shell >"$out/completions/arcctl.$shell"; done
  ln -s arcctl "$out/kubectl-arc"
}

archive() { # archive TARGET BINARY
  local name=arcctl-$version-$1 stage
  stage=$(mktemp -d "$work/stage-XXXXXX")
  mkdir "$stage/$name"
  cp -R "$2" "$source/dist/kubectl-arc" "$source/dist/man" "$source/dist/completions" "$source"/{LICENSE,README.md,CHANGELOG.md,profiles} \
    "$stage/$name/"
  # The modes must not be those of a umask.
  chmod -R u=rwX,go=rX "$stage/$name"
  "$tar" --format=ustar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
    -C "$stage" -cf - "$name" | gzip -n -9 >"$dist/$name.tar.gz"
  rm -rf "$stage"
}

bill() { # bill TARGET: a CycloneDX list of the crates that are linked into the binary
  "$here/install.sh" cargo-cyclonedx
  (cd "$source" && "$root/.tools/bin/cargo-cyclonedx" cyclonedx --manifest-path Cargo.toml --format json --spec-version 1.5 \
    --target "$1" --no-build-deps --override-filename bill >/dev/null)
  # Of the workspace's own crates it has the paths on this machine.
  sed "s|$source|/arcctl|g" "$source/bill.json" >"$dist/arcctl-$version-$1.cdx.json"
  find "$source" -name bill.json -delete
}

package() { # package TARGET: of the binary that is built already
  "$here/install.sh" cargo-deb
  (cd "$source" && "$root/.tools/bin/cargo-deb" --quiet --no-build --no-strip --target "$1" --output "$dist/")
}

for target in "$@"; do
  say "$target"
  compile "$target"
  pages "$work/$target/release/arcctl"
done
[ -z "${DIST_HOST_BINARY:-}" ] || pages "$DIST_HOST_BINARY"
[ -d "$source/dist" ] || fail "no target runs here: set DIST_HOST_BINARY to an arcctl that does"
for target in "$@"; do
  archive "$target" "$work/$target/release/arcctl"
  bill "$target"
  case $target in *-linux-*) package "$target" ;; esac
done
"$here/dist/checksums.sh" "$dist"
"$here/dist/manifests.sh" "$dist" "$version"
(cd "$dist" && ls -l && cat SHA256SUMS) >&2

#!/usr/bin/env bash
# Builds the pinned tools into a cache outside the clone and links .tools/bin to them.
# A tool's cache key is the hash of its pins, so a second call and a new clone build nothing.
#   tools/install.sh [NAME…]     NAME: helm3 helm4 etcd kubernetes moto authenticator actionlint shellcheck
#                                (default: these); prometheus registry; awscli helmfile ansible (for `make bench`);
#                                zig (with cargo-zigbuild, for `make dist`);
#                                cargo-audit cargo-cyclonedx cargo-deb cargo-deny;
#                                a directory of tools/versions, linked to .tools/NAME
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
cache=${ARCCTL_TOOLS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/arcctl/tools}
bin=$root/.tools/bin
mkdir -p "$cache" "$bin"

# key DIR [FLAG…]: what a tool is built from: its pins and the words it is built with.
key() {
  local dir=$1
  shift
  { cat "$here/$dir"/*; printf '%s\n' "$@"; } | sha256sum | cut -c1-16
}

# publish TOOL KEY TEMPDIR: makes a finished build visible in one step; a killed build leaves nothing half-done.
publish() {
  local target=$cache/$1-$2 move=(mv -T)
  [ "$(uname)" != Darwin ] || move=(mv)
  if [ -d "$target" ] || ! "${move[@]}" "$3" "$target" 2>/dev/null; then rm -rf "$3"; fi
  [ -d "$target" ]
}

link() { # link FILE [AS]
  mkdir -p "$bin"
  ln -sfn "$1" "$bin/${2:-$(basename "$1")}"
}

# go_tool DIR LDFLAGS PACKAGE=BINARY…   with $tags as build tags
go_tool() {
  local dir=$1 ldflags=$2 target k temp started tags=${tags:-}
  shift 2
  k=$(key "$dir" "$ldflags" ${tags:+"$tags"} "$@"); target=$cache/$(basename "$dir")-$k
  if [ ! -d "$target" ]; then
    command -v go >/dev/null || { echo "tools: Go 1.26 or newer is needed to build $dir" >&2; exit 1; }
    temp=$(mktemp -d "$cache/.build-XXXXXX"); started=$SECONDS
    echo "tools: building $dir" >&2
    for pair in "$@"; do
      (cd "$here/$dir" && GOFLAGS="-buildvcs=false -trimpath -mod=readonly" CGO_ENABLED=0 \
        go build ${tags:+-tags "$tags"} -ldflags "-s -w $ldflags" -o "$temp/${pair#*=}" "${pair%%=*}")
    done
    publish "$(basename "$dir")" "$k" "$temp"
    echo "tools: built $dir in $((SECONDS - started)) s" >&2
  fi
  for pair in "$@"; do link "$target/${pair#*=}"; done
}

# python_tool DIR BINARY: a program of the packages that DIR's requirements.txt pins.
python_tool() {
  local k target
  k=$(key "$1"); target=$cache/$1-$k
  if [ ! -x "$target/bin/$2" ]; then
    command -v python3 >/dev/null || { echo "tools: Python 3.11 or newer is needed for $1" >&2; exit 1; }
    echo "tools: installing $1" >&2
    # A virtual environment cannot be moved, so it is made in place and marked when done.
    rm -rf "$target"
    python3 -m venv "$target"
    "$target/bin/pip" install --quiet --no-deps --require-hashes -r "$here/$1/requirements.txt"
  fi
  link "$target/bin/$2"
}

# cargo_tool NAME: a program of crates.io, in the version of tools/cargo/versions.txt, with the dependencies that it was
# released with.
cargo_tool() {
  local version target temp
  version=$(awk -v n="$1" '$1 == n { print $2 }' "$here/cargo/versions.txt")
  target=$cache/$1-$version
  if [ ! -d "$target" ]; then
    temp=$(mktemp -d "$cache/.build-XXXXXX")
    echo "tools: building $1 $version" >&2
    # Outside of the clone: its pinned compiler and its build directory are not for other programs.
    (cd "$temp" && env -u CARGO_TARGET_DIR -u CARGO_ENCODED_RUSTFLAGS -u CFLAGS -u RUSTC_WORKSPACE_WRAPPER cargo install --quiet --locked --root "$temp" "$1@$version")
    publish "$1" "$version" "$temp"
  fi
  link "$target/bin/$1"
}

# pinned DIR MODULE: the version that DIR's go.mod requires.
pinned() { awk -v m="$2" '$1 == m { print $2 } $1 == "require" && $2 == m { print $3 }' "$here/$1/go.mod" | head -1; }

minor_of() { pinned "$1" k8s.io/kubernetes | cut -d. -f2; }

# kubernetes DIR: the API server, the controller manager, the scheduler and kubectl that DIR pins.
kubernetes() {
  local v=k8s.io/component-base/version
  go_tool "$1" "-X $v.gitVersion=$(pinned "$1" k8s.io/kubernetes) -X $v.gitMajor=1 -X $v.gitMinor=$(minor_of "$1") -X $v.gitTreeState=clean" \
    k8s.io/kubernetes/cmd/kube-apiserver=kube-apiserver \
    k8s.io/kubernetes/cmd/kube-controller-manager=kube-controller-manager \
    k8s.io/kubernetes/cmd/kube-scheduler=kube-scheduler \
    k8s.io/kubernetes/cmd/kubectl=kubectl
}

tool() {
  local helm
  case $1 in
  helm3)
    helm=helm.sh/helm/v3
    go_tool helm3 "-X $helm/internal/version.version=$(pinned helm3 $helm) -X $helm/pkg/chartutil.k8sVersionMinor=$(minor_of kubernetes)" \
      $helm/cmd/helm=helm3 ;;
  helm4)
    helm=helm.sh/helm/v4
    go_tool helm4 "-X $helm/internal/version.version=$(pinned helm4 $helm)" $helm/cmd/helm=helm4 ;;
  etcd) go_tool etcd "" go.etcd.io/etcd/server/v3=etcd ;;
  moto) python_tool moto moto_server ;;
  awscli) python_tool awscli aws ;;
  ansible) python_tool ansible ansible-playbook ;;
  helmfile)
    go_tool helmfile "-X go.szostok.io/version.version=$(pinned helmfile github.com/helmfile/helmfile)" \
      github.com/helmfile/helmfile=helmfile ;;
  shellcheck) python_tool shellcheck shellcheck ;;
  zig) python_tool zig cargo-zigbuild ;;
  cargo-*)
    grep -q "^$1 " "$here/cargo/versions.txt" || { echo "tools: tools/cargo/versions.txt has no $1" >&2; exit 64; }
    cargo_tool "$1" ;;
  actionlint) go_tool actionlint "" github.com/rhysd/actionlint/cmd/actionlint=actionlint ;;
  authenticator) go_tool authenticator "" .=eks-token-judge ;;
  prometheus)
    # Without the clients of the clouds in which Prometheus could look for targets: half of what there is to compile.
    tags=remove_all_sd go_tool prometheus "" github.com/prometheus/prometheus/cmd/prometheus=prometheus \
      github.com/prometheus/prometheus/cmd/promtool=promtool ;;
  # CNCF Distribution: the registry that bundles are pushed to.
  registry)
    go_tool registry "" github.com/distribution/distribution/v3/cmd/registry=registry ;;
  kubernetes) kubernetes kubernetes ;;
  kubernetes-*)
    [ -d "$here/versions/$1" ] || { echo "tools: tools/versions has no $1" >&2; exit 64; }
    bin=$root/.tools/$1 kubernetes "versions/$1" ;;
  *) echo "tools: unknown tool $1" >&2; exit 64 ;;
  esac
}

[ $# -gt 0 ] || set -- helm3 helm4 etcd kubernetes moto authenticator actionlint shellcheck
for name in "$@"; do tool "$name"; done

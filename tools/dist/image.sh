#!/usr/bin/env bash
# Lays out the directory from which `Containerfile` makes the image. For each platform root.tar: arcctl from the archive, helm
# from its source (tools/helm3 pins it), the certificates of public authorities, and an empty /tmp.
#   tools/dist/image.sh DIST DIR      DIST: what tools/dist.sh wrote
set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dist=$1
dir=$2
certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
[ -f "$certificates" ] || { echo "image: $certificates is not there: set SSL_CERT_FILE" >&2; exit 1; }
helm=$(awk '{ sub(/^require /, "") } $1 == "helm.sh/helm/v3" { print $2 }' "$tools/helm3/go.mod" | head -1)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
shopt -s nullglob
for archive in "$dist"/arcctl-*-unknown-linux-musl.tar.gz; do
  case $archive in
  *-x86_64-*) arch=amd64 ;;
  *-aarch64-*) arch=arm64 ;;
  *) continue ;;
  esac
  root=$(mktemp -d)
  mkdir -p "$root/usr/bin" "$root/etc/ssl/certs" "$root/tmp" "$root/profile" "$dir/linux/$arch"
  tar -xzf "$archive" -C "$root/usr/bin" --strip-components 1 --wildcards '*/arcctl'
  (cd "$tools/helm3" && GOOS=linux GOARCH=$arch CGO_ENABLED=0 GOFLAGS="-buildvcs=false -trimpath -mod=readonly" \
    go build -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=$helm" -o "$root/usr/bin/helm" helm.sh/helm/v3/cmd/helm)
  cp "$certificates" "$root/etc/ssl/certs/ca-certificates.crt"
  chmod -R u=rwX,go=rX "$root"
  chmod 1777 "$root/tmp"
  tar --sort=name --mtime="@${SOURCE_DATE_EPOCH:-0}" --owner=0 --group=0 --numeric-owner -C "$root" -cf "$dir/linux/$arch/root.tar" .
  rm -rf "$root"
done
[ -d "$dir/linux" ] || { echo "image: $dist has no archive for Linux" >&2; exit 1; }

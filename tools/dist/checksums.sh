#!/usr/bin/env bash
# Writes DIR/SHA256SUMS: of each archive, package and SBOM in DIR, in the form that `sha256sum --check` reads.
#   tools/dist/checksums.sh DIR
set -euo pipefail
cd "$1"
sum=(sha256sum)
command -v sha256sum >/dev/null || sum=(shasum -a 256)
shopt -s nullglob
files=(*.tar.gz *.deb *.cdx.json)
[ ${#files[@]} -gt 0 ] || { echo "checksums: there is nothing in $1" >&2; exit 1; }
"${sum[@]}" "${files[@]}" | LC_ALL=C sort -k 2 >SHA256SUMS

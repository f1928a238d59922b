#!/usr/bin/env bash
# Builds the documents into a site with search that needs no network to read.
#   tools/docs.sh DIR     DIR: where the site is written; an existing one is replaced
# The documents keep their places, so that the links between them work in the site, too.
set -euo pipefail
version=0.5.4
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${ARCCTL_TOOLS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/arcctl/tools}/mdbook-$version
site=${1:?usage: tools/docs.sh DIR}

if [ ! -x "$cache/bin/mdbook" ]; then
  echo "docs: building mdbook $version" >&2
  cargo install --quiet --locked --no-default-features --features search --root "$cache" "mdbook@$version"
fi

book=$(mktemp -d)
trap 'rm -rf "$book"' EXIT
mkdir "$book/pages"
cp "$root/tools/docs/book.toml" "$book/"
cd "$root"
cp -r --parents README.md README.ko.md CHANGELOG.md CONTRIBUTING.md LICENSE docs profiles "$book/pages/"
cp "$root/tools/docs/contents.md.in" "$book/pages/SUMMARY.md"
# Decisions are linked from the architecture; a page that the summary does not list is not built.
{
  printf '  - [Decisions](docs/decisions/index.md)\n'
  for decision in docs/decisions/*.md; do
    printf '    - [%s](%s)\n' "$(sed -n '1s/^# *//p' "$decision")" "$decision"
  done
} >> "$book/pages/SUMMARY.md"
{
  printf '# Decisions\n\n'
  for decision in docs/decisions/*.md; do
    printf -- '- [%s](%s)\n' "$(sed -n '1s/^# *//p' "$decision")" "$(basename "$decision")"
  done
} > "$book/pages/docs/decisions/index.md"

"$cache/bin/mdbook" build --dest-dir "$book/site" "$book" >&2
mkdir -p "$(dirname "$site")"
rm -rf "$site"
mv "$book/site" "$site"
echo "$site/index.html"

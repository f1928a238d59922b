#!/usr/bin/env bash
# Installs an arcctl that is built: the program, the name by which kubectl finds it as a plugin, man pages, completions.
#   tools/dist/install.sh BINARY PREFIX      DESTDIR: put before PREFIX, for packages
set -euo pipefail
[ $# -eq 2 ] || { echo "install: give a binary and a PREFIX; there are $# arguments: $*" >&2; exit 64; }
binary=$1
prefix=${DESTDIR:-}$2
data=$prefix/share
mkdir -p "$prefix/bin" "$data"/{man/man1,bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
# By another name and a rename: a program that runs cannot be overwritten.
cp "$binary" "$prefix/bin/.arcctl.new"
chmod 755 "$prefix/bin/.arcctl.new"
mv -f "$prefix/bin/.arcctl.new" "$prefix/bin/arcctl"
ln -sfn arcctl "$prefix/bin/kubectl-arc"
arcctl=$prefix/bin/arcctl
"$arcctl" man "$data/man/man1"
"$arcctl" completions bash >"$data/bash-completion/completions/arcctl"
"$arcctl" completions zsh >"$data/zsh/site-functions/_arcctl"
"$arcctl" completions fish >"$data/fish/vendor_completions.d/arcctl.fish"
echo "installed $("$arcctl" --version) in $prefix" >&2

# Sourced by the scripts of the blog and of helmfile. BENCH_STEPS is the file that each command gets a line in: seconds,
# how it ended (ok, there, failed), how often it was repeated, and the command.
# shellcheck shell=bash disable=SC2034  # who sources it reads its variables

# What a command says when there is nothing left for it to do: a person reads it, and goes on.
there='AlreadyExists|EntityAlreadyExists|already exists|cannot re-use a name|InvalidPermission.Duplicate'
# The same for the commands that take things away.
gone='NotFound|not found|NoSuchEntity|NoSuchBucketPolicy|InvalidPermission.NotFound|no matching resources found'

# step COMMAND…: runs one command of the page. What it prints is in $output. If it fails for another reason than that its
# work is done, it is typed again, as a person does: at most for $patience seconds, then the script ends with 1.
step() {
  local began=$EPOCHREALTIME end=$((SECONDS + ${patience:-120})) tries=0 result errors
  errors=$(mktemp)
  while :; do
    if output=$("$@" 2> "$errors"); then
      result=ok
    elif grep -Eq "${done_already:-$there}" "$errors"; then
      result=there
    elif [ "$SECONDS" -ge "$end" ] || ! type -t "$1" > /dev/null; then
      result=failed
    else
      cat "$errors" >&2
      tries=$((tries + 1))
      sleep 0.5
      continue
    fi
    break
  done
  cat "$errors" >&2
  rm -f "$errors"
  awk -v began="$began" -v ended="$EPOCHREALTIME" -v result="$result" -v tries="$tries" -v command="$*" \
    'BEGIN { printf "%.3f\t%s\t%d\t%s\n", ended - began, result, tries, command }' >> "$BENCH_STEPS"
  [ "$result" != failed ] || exit 1
}

# online COUNT: whether that many runners of the enterprise are online at GitHub. The token stays out of the arguments.
online() {
  local count
  count=$(curl --silent --fail --max-time 10 --header @"$BENCH_HEADER" \
    "$BENCH_GITHUB/api/v3/enterprises/dogecompany/actions/runners?per_page=100" |
    grep -Eo '"status": ?"online"' | wc -l)
  [ "$count" -ge "$1" ]
}

# until_online COUNT: waits for it.
until_online() {
  until online "$1"; do sleep 0.2; done
}

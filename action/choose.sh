#!/usr/bin/env bash
# Decides which of the next steps run: by the input `command`, or by the event.
set -euo pipefail
# shellcheck source=action/fetch.sh
source "$(dirname "${BASH_SOURCE[0]}")/fetch.sh"

one_of() { # one_of INPUT VALUE ALLOWED…
  local input=$1 value=$2 allowed
  shift 2
  for allowed in "$@"; do
    [ "$value" != "$allowed" ] || return 0
  done
  fail "the input \`$input\` is \`$value\`: set it to one of: $*"
}
one_of command "$COMMAND" auto install plan up doctor
one_of offline "$OFFLINE" auto true false
one_of comment "$COMMENT" true false
one_of doctor "$DOCTOR" true false

if [ "$COMMAND" = auto ]; then
  case $EVENT in
  pull_request) COMMAND=plan ;;
  # It has the repository's secrets, also for a pull request of a stranger.
  pull_request_target) fail "arcctl does not run on \`pull_request_target\`: use the event \`pull_request\`, or set the input \`command\`" ;;
  merge_group) COMMAND=plan ;;
  *) COMMAND=up ;;
  esac
fi
# GitHub gives the repository's secrets neither to a pull request from a fork nor to one of Dependabot.
stranger=false
if [ "$EVENT" = pull_request ] && { [ "$HEAD_REPOSITORY" != "$REPOSITORY" ] || [ "$ACTOR" = 'dependabot[bot]' ]; }; then stranger=true; fi
[ "$OFFLINE" != auto ] || OFFLINE=$stranger
[ "$COMMAND" = plan ] && [ "$EVENT" = pull_request ] || COMMENT=false
plan=false up=false
case $COMMAND in
plan) plan=true DOCTOR=false ;;
up) up=true ;;
doctor) DOCTOR=true ;;
install) DOCTOR=false ;;
esac
{
  echo "plan=$plan"
  echo "up=$up"
  echo "doctor=$DOCTOR"
  echo "comment=$COMMENT"
  echo "offline=$OFFLINE"
} >>"$GITHUB_OUTPUT"

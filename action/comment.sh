#!/usr/bin/env bash
# Writes the plan into the comment of this profile on the pull request, which is made if it is not there.
set -euo pipefail
# shellcheck source=action/fetch.sh
source "$(dirname "${BASH_SOURCE[0]}")/fetch.sh"

# What GitHub takes as a comment, in bytes: it counts 65536 characters.
limit=60000

only_summary() {
  echo "::notice title=arcctl::the plan is only in the summary of this job: $*"
  exit 0
}
command -v jq >/dev/null || only_summary "a comment needs \`jq\` on the runner"

work=$(mktemp -d "$RUNNER_TEMP/comment-XXXXXX")
trap 'rm -rf "$work"' EXIT
comments=$API_URL/repos/$REPOSITORY/issues/$NUMBER/comments

# request METHOD URL [FILE]: the answer is in $work/answer, its status in `status`. The token is not an argument, which other
# users of the machine could read.
request() {
  local data=()
  [ -z "${3:-}" ] || data=(--data-binary "@$3")
  # Not a POST: one that GitHub answers with 502 may have made the comment. A `Retry-After` may ask for an hour.
  [ "$1" = POST ] || data+=(--retry 3 --retry-max-time 120)
  status=$(curl --silent --show-error --connect-timeout 20 --max-time 60 --request "$1" --output "$work/answer" \
    --write-out '%{http_code}' --header 'Accept: application/vnd.github+json' --header 'X-GitHub-Api-Version: 2022-11-28' \
    ${data[@]+"${data[@]}"} --config - "$2" <<<"header = \"Authorization: Bearer $TOKEN\"") || fail "cannot reach $API_URL: see curl's message above"
  case $status in
  2*) ;;
  401 | 403 | 404) only_summary "GitHub answers with status $status: $(jq -r '.message? // empty' "$work/answer" 2>/dev/null | head -1). The job needs \`permissions: {pull-requests: write}\`; for a pull request from a fork GitHub never gives it" ;;
  5*) only_summary "GitHub answers with status $status to $1 $2" ;;
  *) fail "GitHub answers with status $status to $1 $2: run the job again" ;;
  esac
}

# A comment that a browser does not show; without `>`, the profile's path cannot end it early. All else stays: two
# profiles whose names have no Latin letter are two.
marker="<!-- arcctl plan: ${PROFILE//>/_} -->"

{
  echo "$marker"
  if [ "$(wc -c <"$PLAN")" -gt "$limit" ]; then
    # Whole lines only.
    head -c "$limit" "$PLAN" | sed '$d'
    printf '\n%s\n' "The plan is longer than a comment can be: [the summary]($RUN_URL) has all of it."
  else
    cat "$PLAN"
  fi
  printf '\n<sub>Commit %s, [run](%s)</sub>\n' "${COMMIT:-unknown}" "$RUN_URL"
} >"$work/text"
jq -n --rawfile body "$work/text" '{$body}' >"$work/body"

# The comment of an earlier run. Not one with the same marker by a stranger, who could change it later.
own=
for page in {1..30}; do
  request GET "$comments?per_page=100&page=$page"
  own=$(jq -r --arg marker "$marker" '
    [.[] | select(.body // "" | startswith($marker))
         | select(.user.type == "Bot" or (.author_association | IN("OWNER", "MEMBER", "COLLABORATOR")))][0].id // empty' "$work/answer")
  if [ -n "$own" ] || [ "$(jq length "$work/answer")" -lt 100 ]; then break; fi
done
if [ -n "$own" ]; then
  request PATCH "$API_URL/repos/$REPOSITORY/issues/comments/$own" "$work/body"
else
  request POST "$comments" "$work/body"
fi
echo "url=$(jq -r .html_url "$work/answer")" >>"$GITHUB_OUTPUT"

#!/usr/bin/env bash
# Runs `arcctl plan`. What it writes for the summary is kept for the comment too.
set -euo pipefail
plan=$RUNNER_TEMP/arcctl-plan.md
: >"$plan"
arguments=(-f "$PROFILE" --detailed-exitcode)
[ "$OFFLINE" != true ] || arguments+=(--offline)
code=0
GITHUB_STEP_SUMMARY=$plan arcctl plan "${arguments[@]}" || code=$?
if [ ! -s "$plan" ]; then
  printf '### arcctl plan\n\n%s\n' "It ended with exit code $code and without a plan: the log of the job says why." >"$plan"
elif [ "$OFFLINE" = true ]; then
  printf '\n%s\n' "Only the profile was checked, not the cluster: everything counts as new." >>"$plan"
fi
cat "$plan" >>"$GITHUB_STEP_SUMMARY"
changes=false
# 2 says that changes are pending (--detailed-exitcode).
if [ "$code" = 2 ]; then
  changes=true
  code=0
fi
{
  echo "file=$plan"
  echo "changes=$changes"
} >>"$GITHUB_OUTPUT"
exit "$code"

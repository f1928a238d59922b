#!/usr/bin/env bash
# Runs `arcctl doctor`: findings become annotations and a part of the summary, and a JUnit report for other steps.
set -euo pipefail
report=$RUNNER_TEMP/arcctl-doctor.xml
echo "report=$report" >>"$GITHUB_OUTPUT"
arcctl doctor -f "$PROFILE" -o junit >"$report"

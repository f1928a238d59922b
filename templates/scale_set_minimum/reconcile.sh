# Gives each runner scale set of this namespace the minimum that its schedule wants now, and stays where another one
# begins before the next start in five minutes. Needs curl. A table is described in src/profile/schedule/table.rs.
set -u
tables=${ARCCTL_TABLES:-/etc/arcctl/schedule}
account=/var/run/secrets/kubernetes.io/serviceaccount
api=${ARCCTL_API:-https://kubernetes.default.svc}
newline='
'
failed=0

# minimum FILE SECOND: the minimum at an instant, that of the first entry that is open, else the base.
minimum() {
  base=0
  found=
  while read -r start end min period until; do
    if [ "$start" = base ]; then
      base=$end
      continue
    fi
    last=$2
    if [ "$until" -gt 0 ] && [ "$last" -gt "$until" ]; then
      last=$until
    fi
    [ "$last" -ge "$start" ] || continue
    opened=$start
    if [ "$period" -gt 0 ]; then
      opened=$((start + (last - start) / period * period))
    fi
    if [ "$2" -lt $((opened + end - start)) ]; then
      found=$min
      break
    fi
  done < "$1"
  echo "${found:-$base}"
}

# request URL OPTION…: the answer, and its status in the last line. The token is in no argument.
request() {
  url=$1
  shift
  printf 'header = "Authorization: Bearer %s"\n' "$(cat "$account/token")" |
    curl --config - --silent --show-error --max-time 20 --noproxy '*' --cacert "$account/ca.crt" \
      --user-agent @MANAGER@ --write-out '\n%{http_code}' "$@" "$url" 2>&1
}

# number NAME: the number of this name in the scale set.
number() {
  printf '%s' "$body" | grep -o "\"$1\": *[0-9][0-9]*" | head -n 1 | grep -o '[0-9]*$'
}

# reconcile SECOND: each scale set gets its minimum at this instant, where it has another one.
reconcile() {
  for table in "$tables"/*; do
    [ -f "$table" ] || continue
    set_name=${table##*/}
    wanted=$(minimum "$table" "$1")
    address=$api/apis/@API_VERSION@/namespaces/@NAMESPACE@/autoscalingrunnersets/$set_name
    answer=$(request "$address?pretty=false")
    status=${answer##*"$newline"}
    body=${answer%"$newline"*}
    case $status in
      200) ;;
      404)
        echo "$set_name: there is no scale set of this name"
        continue
        ;;
      *)
        echo "$set_name: cannot be read: $body ($status)"
        failed=1
        continue
        ;;
    esac
    case $body in
      *'"deletionTimestamp"'*)
        echo "$set_name: is being deleted"
        continue
        ;;
    esac
    # While it is drained its maximum is 0.
    most=$(number maxRunners)
    if [ -n "$most" ] && [ "$wanted" -gt "$most" ]; then
      wanted=$most
    fi
    live=$(number minRunners)
    if [ "${live:-0}" -eq "$wanted" ]; then
      continue
    fi
    answer=$(request "$address?fieldManager=@MANAGER@" --request PATCH \
      --header 'Content-Type: application/merge-patch+json' --data "{\"spec\":{\"minRunners\":$wanted}}")
    status=${answer##*"$newline"}
    if [ "$status" = 200 ]; then
      echo "$set_name: minimum ${live:-0} -> $wanted"
    else
      echo "$set_name: cannot be changed: ${answer%"$newline"*} ($status)"
      failed=1
    fi
  done
}

# changes SECOND: whether a minimum changes at this instant.
changes() {
  for table in "$tables"/*; do
    [ -f "$table" ] || continue
    [ "$(minimum "$table" "$1")" = "$(minimum "$table" $(($1 - 1)))" ] || return 0
  done
  return 1
}

# Begin.
began=$(date +%s)
reconcile "$began"
for minute in 1 2 3 4; do
  at=$(((began / 60 + minute) * 60))
  changes "$at" || continue
  now=$(date +%s)
  if [ "$at" -gt "$now" ]; then
    sleep $((at - now))
  fi
  reconcile "$at"
done
exit "$failed"

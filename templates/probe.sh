# Tried in a pod like the runners'. One line per step: its name, ok|no|skip|unknown, and what was seen.
set -u
say() {
  printf '%s %s %s\n' "$1" "$2" "$(printf '%s' "$3" | tr '\n' ' ' | cut -c1-300)" >> "$ANSWERS"
}

if [ -n "${https_proxy:-}" ]; then
  say dns skip "the proxy resolves it"
  say tcp skip "the proxy connects"
else
  address=$(getent ahosts "$HOST" | head -n 1 | cut -d ' ' -f 1)
  if [ -n "$address" ]; then
    say dns ok "$address"
  else
    say dns no "$HOST has no address"
  fi
  if said=$(timeout 10 bash -c ': < "/dev/tcp/$HOST/$PORT"' 2>&1); then
    say tcp ok "$HOST:$PORT"
  else
    said=${said%%$'\n'*}
    say tcp no "$HOST:$PORT: ${said##*: }"
  fi
fi

certificates=$(mktemp)
for file in /etc/ssl/certs/ca-certificates.crt "${NODE_EXTRA_CA_CERTS:-}"; do
  [ -r "$file" ] && cat "$file" >> "$certificates"
done
if said=$(curl -sS -o /dev/null --max-time 15 --cacert "$certificates" -w '%{http_code}' "$API" 2>&1); then
  case $API in
    https:*) say tls ok "its certificate is trusted" ;;
    *) say tls skip "the server is asked without TLS" ;;
  esac
  case $said in
    2??|3??|401|403) say api ok "HTTP status $said" ;;
    *) say api no "HTTP status $said" ;;
  esac
else
  code=$?
  said=${said%%$'\n'*}
  case $code in
    35|51|58|60|77) say tls no "$said" ;;
    *) say tls unknown "$said" ;;
  esac
  say api no "$said"
fi
rm -f "$certificates"

# What AWS answers to a good request is secret: only the name of an error is ever said.
if [ "$ROLE_BY" = irsa ]; then
  if [ -z "${AWS_ROLE_ARN:-}" ] || [ -z "${AWS_WEB_IDENTITY_TOKEN_FILE:-}" ]; then
    say aws no "the pod has no AWS_ROLE_ARN: its service account has no role, or the webhook of EKS did not see it"
  elif [ ! -r "$AWS_WEB_IDENTITY_TOKEN_FILE" ]; then
    say aws no "$AWS_WEB_IDENTITY_TOKEN_FILE is not there"
  else
    case ${AWS_REGION:-} in
      cn-*) host=sts.$AWS_REGION.amazonaws.com.cn ;;
      '') host=sts.amazonaws.com ;;
      *) host=sts.$AWS_REGION.amazonaws.com ;;
    esac
    answer=$(curl -sS --max-time 15 -d Action=AssumeRoleWithWebIdentity -d Version=2011-06-15 \
      -d RoleSessionName=arcctl-probe -d DurationSeconds=900 --data-urlencode "RoleArn=$AWS_ROLE_ARN" \
      --data-urlencode "WebIdentityToken@$AWS_WEB_IDENTITY_TOKEN_FILE" "https://$host/" 2>&1)
    case $answer in
      *'<AccessKeyId>'*) say aws ok "$AWS_ROLE_ARN" ;;
      *'<Code>'*)
        name=${answer#*<Code>}
        say aws no "$AWS_ROLE_ARN: ${name%%</Code>*}"
        ;;
      curl:*) say aws no "$host: ${answer%%$'\n'*}" ;;
      *) say aws unknown "$host answered something else" ;;
    esac
  fi
elif [ "$ROLE_BY" = podIdentity ]; then
  place=${AWS_CONTAINER_CREDENTIALS_FULL_URI:-}
  token=${AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE:-}
  if [ -z "$place" ] || [ -z "$token" ]; then
    say aws no "the pod has no AWS_CONTAINER_CREDENTIALS_FULL_URI: its service account has no association, or the webhook of EKS did not see it"
  elif [ ! -r "$token" ]; then
    say aws no "$token is not there"
  else
    # The token goes in by a pipe: arguments can be read by others.
    answer=$(printf 'header = "Authorization: %s"\n' "$(cat "$token")" |
      curl -sS --noproxy '*' --max-time 15 -w '\n%{http_code}' -K - "$place" 2>&1)
    status=${answer##*$'\n'}
    case $answer in
      *'"AccessKeyId"'*) say aws ok "the agent of Pod Identity gives it" ;;
      curl:*) say aws no "the agent of Pod Identity at $place: ${answer%%$'\n'*}" ;;
      *)
        name=
        [[ $answer =~ [A-Za-z]+Exception ]] && name=": ${BASH_REMATCH[0]}"
        say aws no "the agent of Pod Identity answers with HTTP status $status$name"
        ;;
    esac
  fi
fi
exit 0

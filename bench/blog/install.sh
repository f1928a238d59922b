#!/usr/bin/env bash
# The commands of a page on self-hosted runners on EKS, as they are typed, one after the other, with the charts' default
# values and hooks. Run again it types them all again: a part of them fails then, because its work is done.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. ./steps.sh
. ./aws.sh
. ./runners.sh

step helm repo add jetstack "$BENCH_CHARTS"
step helm repo add actions-runner-controller "$BENCH_CHARTS"
step helm repo update
step helm install cert-manager jetstack/cert-manager --version v1.21.1 --namespace cert-manager --create-namespace \
  --set crds.enabled=true --wait --timeout 10m

# As such pages do: the token is a value, and with that in helm's history.
cat > values.yaml << YAML
replicaCount: 2
syncPeriod: 1m
webhookPort: 9443
githubEnterpriseServerURL: $BENCH_GITHUB
authSecret:
  create: true
  github_token: "$ARCCTL_GITHUB_TOKEN"
image:
  dindSidecarRepositoryAndTag: docker:28-dind
YAML
step helm upgrade --install actions-runner-controller actions-runner-controller/actions-runner-controller --version 0.23.7 \
  --namespace actions-runner-system --create-namespace --values values.yaml --wait --timeout 10m

aws_wiring
step kubectl create namespace actions-runner
runners

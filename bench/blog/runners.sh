# Sourced: the runners, with kubectl. Deployment first, autoscaler then: an autoscaler that comes first finds nothing, and
# looks again a minute later.
# shellcheck shell=bash

runners() {
  step kubectl create serviceaccount actions-runner-role --namespace actions-runner
  step kubectl annotate serviceaccount actions-runner-role --namespace actions-runner --overwrite \
    "eks.amazonaws.com/role-arn=arn:aws:iam::$BENCH_ACCOUNT:role/actions-runner-role"
  step kubectl apply -f runner-deployment.yaml
  step kubectl apply -f autoscaler.yaml
  step until_online "$BENCH_RUNNERS"
}

# The order in which nothing keeps a finalizer for ever: the controller goes last.
runners_removal() {
  step kubectl delete -f autoscaler.yaml
  step kubectl delete -f runner-deployment.yaml
  step kubectl wait --for=delete runners.actions.summerwind.dev --all --namespace actions-runner --timeout=300s
  step kubectl delete serviceaccount actions-runner-role --namespace actions-runner
}

echo "this is $RUNNER_NAME"

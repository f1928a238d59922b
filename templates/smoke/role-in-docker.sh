# What dockerd starts gets neither the variables nor the token by itself. The token's path is the same in the
# runner and in its dockerd, so the mount works as it is.
: "${@VARIABLE@:?the pod was started without the role}"
arn=$(docker run --rm -v /var/run/secrets:/var/run/secrets \
  -e @VARIABLES@ -e AWS_REGION \
  @IMAGE@ sts get-caller-identity --query Arn --output text)
echo "this is $arn"
[[ $arn == *:assumed-role/'@ROLE@'/* ]]

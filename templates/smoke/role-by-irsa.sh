: "${AWS_ROLE_ARN:?the pod was started without the role}"
if command -v aws > /dev/null; then
  arn=$(aws sts get-caller-identity --query Arn --output text)
else
  domain=amazonaws.com
  case $AWS_REGION in cn-*) domain=amazonaws.com.cn ;; esac
  arn=$(curl --silent --show-error --fail --max-time 30 "https://sts.$AWS_REGION.$domain/" \
    --data Action=AssumeRoleWithWebIdentity --data Version=2011-06-15 \
    --data RoleSessionName=arcctl-smoke --data-urlencode "RoleArn=$AWS_ROLE_ARN" \
    --data-urlencode "WebIdentityToken@$AWS_WEB_IDENTITY_TOKEN_FILE" |
    sed -n 's:.*<Arn>\(.*\)</Arn>.*:\1:p')
fi
echo "this is $arn"
[[ $arn == *:assumed-role/'@ROLE@'/* ]]

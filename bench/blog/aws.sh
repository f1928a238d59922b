# Sourced: what the runners need of AWS, with the aws CLI. The account and the security group of the GitHub server are in
# BENCH_ACCOUNT and BENCH_SERVER_GROUP: who types this knows them, as arcctl's profile does.
# shellcheck shell=bash disable=SC2154  # steps.sh sets $output

role=actions-runner-role
bucket=runners-artifacts

# groups_and_issuer: looks up what the cluster is called in AWS.
groups_and_issuer() {
  step aws eks describe-cluster --name runners --output text \
    --query 'cluster.[identity.oidc.issuer, resourcesVpcConfig.clusterSecurityGroupId]'
  read -r issuer cluster_group <<< "$output"
  issuer=${issuer#https://}
  step aws ec2 describe-security-groups --filters Name=group-name,Values=runners-node --output text \
    --query 'SecurityGroups[0].GroupId'
  node_group=$output
  provider=arn:aws:iam::$BENCH_ACCOUNT:oidc-provider/$issuer
}

# In an order in which nothing has to wait for the new role longer than it must: IAM shows it after some seconds.
aws_wiring() {
  groups_and_issuer
  cat > trust.json << JSON
{"Version": "2012-10-17", "Statement": [{
  "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": "$provider"},
  "Condition": {"StringEquals": {
    "$issuer:aud": "sts.amazonaws.com", "$issuer:sub": "system:serviceaccount:actions-runner:actions-runner-role"}}}]}
JSON
  step aws iam create-role --role-name "$role" --assume-role-policy-document file://trust.json
  step aws iam create-open-id-connect-provider --url "https://$issuer" --client-id-list sts.amazonaws.com
  step aws ec2 authorize-security-group-ingress --group-id "$BENCH_SERVER_GROUP" --protocol tcp --port 443 \
    --source-group "$node_group"
  step aws ec2 authorize-security-group-ingress --group-id "$node_group" --protocol tcp --port 9443 \
    --source-group "$cluster_group"
  cat > role.json << JSON
{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::$bucket"},
  {"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectAcl", "s3:PutObject", "s3:PutObjectAcl"],
   "Resource": "arn:aws:s3:::$bucket/*"}]}
JSON
  step aws iam put-role-policy --role-name "$role" --policy-name "$bucket" --policy-document file://role.json
  principal="\"Principal\": {\"AWS\": \"arn:aws:iam::$BENCH_ACCOUNT:role/$role\"}, \"Action\""
  sed "s|\"Action\"|$principal|" role.json > bucket.json
  step aws s3api put-bucket-policy --bucket "$bucket" --policy file://bucket.json
}

aws_removal() {
  groups_and_issuer
  step aws s3api delete-bucket-policy --bucket "$bucket"
  step aws ec2 revoke-security-group-ingress --group-id "$BENCH_SERVER_GROUP" --protocol tcp --port 443 \
    --source-group "$node_group"
  step aws ec2 revoke-security-group-ingress --group-id "$node_group" --protocol tcp --port 9443 \
    --source-group "$cluster_group"
  step aws iam delete-role-policy --role-name "$role" --policy-name "$bucket"
  step aws iam delete-role --role-name "$role"
  step aws iam delete-open-id-connect-provider --open-id-connect-provider-arn "$provider"
}

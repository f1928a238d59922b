"""What is there in the sandbox, asked the same way whatever tool has made it: kubectl, GitHub's API, and AWS's API as the
account's owner, to whom the simulated IAM shows every change at once."""

import datetime
import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from xml.etree import ElementTree

ACCOUNT = "123456789012"
ROLE, BUCKET, RUNNERS, SYSTEM = "actions-runner-role", "runners-artifacts", "actions-runner", "actions-runner-system"
NAMESPACES = (RUNNERS, SYSTEM, "cert-manager")
# A request that takes longer than this is a fault of the sandbox.
LIMIT = 20


def least(now=None):
    """How many runners the reference profile wants at this moment: 2, and 1 from Saturday to Sunday in Seoul, whose time
    is nine hours ahead all year."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    return 1 if (now + datetime.timedelta(hours=9)).weekday() >= 5 else 2


def kubectl(*arguments):
    """What kubectl prints; `None` where it fails."""
    ended = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, timeout=LIMIT, check=False)
    return ended.stdout if ended.returncode == 0 else None


def objects(*arguments):
    """A list of objects; empty where the kind or the namespace is not there."""
    text = kubectl("get", *arguments, "-o", "json")
    found = json.loads(text) if text else {"items": []}
    return found.get("items", [found])


def online():
    """The number of online runners of the enterprise at GitHub."""
    request = urllib.request.Request(
        f"{os.environ['ARCCTL_SANDBOX_GITHUB_URL']}/api/v3/enterprises/dogecompany/actions/runners?per_page=100",
        headers={"Authorization": f"Bearer {os.environ['ARCCTL_GITHUB_TOKEN']}"})
    with urllib.request.urlopen(request, timeout=LIMIT) as answer:
        return sum(runner["status"] == "online" for runner in json.load(answer)["runners"])


def aws(service, path="/", **form):
    """What the simulated AWS answers to its owner, as bytes; `None` where there is no such thing."""
    region = os.environ["AWS_REGION"]
    signed = f"AWS4-HMAC-SHA256 Credential=sandbox/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    request = urllib.request.Request(
        os.environ["AWS_ENDPOINT_URL"] + path,
        data=urllib.parse.urlencode(form).encode() if form else None,
        headers={"Authorization": signed})
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        if error.code in (400, 404):
            return None
        raise


def xml(document, name):
    """The texts of all elements `name`, whatever their namespace."""
    if document is None:
        return []
    return [it.text or "" for it in ElementTree.fromstring(document).iter() if it.tag.rpartition("}")[2] == name]


def cluster():
    """The cluster as EKS describes it."""
    return json.loads(aws("eks", "/clusters/runners"))["cluster"]


def group(name):
    """The id of the security group of this name."""
    found = aws("ec2", Action="DescribeSecurityGroups", Version="2016-11-15",
                **{"Filter.1.Name": "group-name", "Filter.1.Value.1": name})
    return xml(found, "groupId")[0]


def lets_in(to, source, port):
    """Whether a security group lets another one in on a TCP port, by a rule for just this port."""
    found = aws("ec2", Action="DescribeSecurityGroupRules", Version="2016-11-15",
                **{"Filter.1.Name": "group-id", "Filter.1.Value.1": to})
    for item in ElementTree.fromstring(found).iter():
        words = [it.text for it in item.iter() if it.text]
        if item.tag.rpartition("}")[2] == "item" and source in words and words.count(str(port)) >= 2 and "false" in words:
            return True
    return False


def trust():
    """The trust policy of the role; `None` without a role."""
    found = xml(aws("iam", Action="GetRole", Version="2010-05-08", RoleName=ROLE), "AssumeRolePolicyDocument")
    return urllib.parse.unquote(found[0]) if found else None


def bucket_policy():
    """The policy of the bucket; empty without one."""
    return (aws("s3", f"/{BUCKET}?policy") or b"").decode()


def wiring(wanted, server_group):
    """What of AWS is not as wanted: there, or gone."""
    issuer = cluster()["identity"]["oidc"]["issuer"].removeprefix("https://")
    provider = aws("iam", Action="GetOpenIDConnectProvider", Version="2010-05-08",
                   OpenIDConnectProviderArn=f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}")
    document, nodes = trust(), group("runners-node")
    control_plane = cluster()["resourcesVpcConfig"]["clusterSecurityGroupId"]
    there = {
        "the OIDC provider": provider is not None,
        "the trust policy of the role": document is not None and f"system:serviceaccount:{RUNNERS}:{ROLE}" in document
        and f"{issuer}:aud" in document,
        "the policy of the role": bool(xml(aws("iam", Action="ListRolePolicies", Version="2010-05-08", RoleName=ROLE), "member")),
        "the rule to the GitHub server": lets_in(server_group, nodes, 443),
        "the rule to the webhooks": lets_in(nodes, control_plane, 9443),
        "the policy of the bucket": f"role/{ROLE}" in bucket_policy(),
    }
    return [f"{name} is {'missing' if wanted else 'still there'}" for name, is_there in there.items() if is_there != wanted]


def ready(namespace, names):
    """The Deployments of these names that are not there with all their replicas ready."""
    found = {it["metadata"]["name"]: it for it in objects("deployments", "-n", namespace)}
    missing = []
    for name, replicas in names.items():
        status = found.get(name, {}).get("status", {})
        spec = found.get(name, {}).get("spec", {})
        if spec.get("replicas") != replicas or status.get("readyReplicas", 0) != replicas:
            missing.append(f"{name} has {status.get('readyReplicas', 0)} of {replicas} pods ready")
    return missing


def installed(maximum):
    """What of the cluster and of GitHub is not as wanted, where the pool's maximum is `maximum`."""
    problems = ready("cert-manager", {"cert-manager": 1, "cert-manager-cainjector": 1, "cert-manager-webhook": 1})
    problems += ready(SYSTEM, {"actions-runner-controller": 2})
    spec = (objects("horizontalrunnerautoscalers", "basic", "-n", RUNNERS) or [{}])[0].get("spec", {})
    wanted = {"minReplicas": 2, "maxReplicas": maximum}
    problems += [f"the autoscaler's {key} is {spec.get(key)} and not {value}" for key, value in wanted.items()
                 if spec.get(key) != value]
    if len(spec.get("scheduledOverrides") or []) != 1:
        problems.append("the autoscaler has no window for the weekend")
    if not objects("runnerdeployments", "basic", "-n", RUNNERS):
        problems.append("there is no RunnerDeployment")
    accounts = objects("serviceaccounts", ROLE, "-n", RUNNERS)
    annotations = accounts[0]["metadata"].get("annotations", {}) if accounts else {}
    if annotations.get("eks.amazonaws.com/role-arn") != f"arn:aws:iam::{ACCOUNT}:role/{ROLE}":
        problems.append("the ServiceAccount does not name the role")
    if online() < least():
        problems.append(f"{online()} of {least()} runners are online")
    return problems


def removed():
    """What of the cluster and of GitHub is still there."""
    names = {it["metadata"]["name"] for it in objects("namespaces")}
    problems = [f"namespace {name} is still there" for name in NAMESPACES if name in names]
    releases = objects("secrets", "-A", "-l", "owner=helm")
    problems += [f"release {it['metadata']['labels'].get('name')} is still there" for it in releases]
    hooks = objects("mutatingwebhookconfigurations,validatingwebhookconfigurations")
    problems += [f"{it['kind']} {it['metadata']['name']} is still there" for it in hooks
                 if re.search("cert-manager|actions-runner", it["metadata"]["name"])]
    if online():
        problems.append(f"{online()} runners are online")
    return problems


def drift(kind):
    """Changes one object behind the tool's back, and returns once the change is live."""
    if kind == "drifted-controller":
        kubectl("scale", "deployment/actions-runner-controller", "-n", SYSTEM, "--replicas=1")
        kubectl("rollout", "status", "deployment/actions-runner-controller", "-n", SYSTEM, "--timeout=15s")
    else:
        maximum(3)


def mend(kind, wanted):
    """Puts back what a tool has not mended, so that the next case begins as for the others."""
    if kind == "drifted-controller":
        kubectl("scale", "deployment/actions-runner-controller", "-n", SYSTEM, "--replicas=2")
    else:
        maximum(wanted)


def maximum(value):
    """Sets the maximum of the autoscaler."""
    kubectl("patch", "horizontalrunnerautoscalers/basic", "-n", RUNNERS, "--type=merge",
            "-p", json.dumps({"spec": {"maxReplicas": value}}))


def token_header(path):
    """Writes the header of a request to GitHub into a file of the user's own, so that the token is in no argument."""
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"Authorization: Bearer {os.environ['ARCCTL_GITHUB_TOKEN']}\n")

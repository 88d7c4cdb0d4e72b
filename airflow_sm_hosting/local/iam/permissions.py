"""Which IAM permissions a request needs: the actions, the resources they are on, and the condition keys that policies may ask for.

The actions of a service are in its page of the service authorization reference
(https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html). Most are the
operation's own name; what differs, and what AWS checks beside it, stands here with its source. A request to a service that is not known here
needs its operation on all resources, so a policy that names resources does not allow it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs

from werkzeug.wrappers import Request

from airflow_sm_hosting.local.moto_bridge import identities, s3
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID

ANY = "*"
SAGEMAKER = "sagemaker.amazonaws.com"
# https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-service-linked-roles.html
SCALING_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
SCALING_ROLE_ARN = f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/{SCALING_SERVICE}/{SCALING_ROLE}"

_SAGEMAKER_NAMES = {
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "ModelName": "model",
    "InferenceComponentName": "inference-component",
}
_SAGEMAKER_LISTS = {
    "ListEndpoints": "endpoint",
    "ListEndpointConfigs": "endpoint-config",
    "ListModels": "model",
    "ListInferenceComponents": "inference-component",
}
_RUNTIME = re.compile(r"/endpoints/(?P<endpoint>[^/]+)/(?P<kind>[a-z-]+)")
_RUNTIME_ACTIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
_S3_ACTIONS = {
    "HeadObject": "GetObject",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListBuckets": "ListAllMyBuckets",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "ListParts": "ListMultipartUploadParts",
    "DeleteObjects": "DeleteObject",
}
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html; which request needs which of them is assumed.
_REGISTRY_ACTIONS = {
    "HeadBlob": "BatchCheckLayerAvailability",
    "GetBlob": "GetDownloadUrlForLayer",
    "StartBlobUpload": "InitiateLayerUpload",
    "UploadBlobChunk": "UploadLayerPart",
    "GetBlobUpload": "UploadLayerPart",
    "CompleteBlobUpload": "CompleteLayerUpload",
    "HeadManifest": "BatchGetImage",
    "GetManifest": "BatchGetImage",
    "PutManifest": "PutImage",
    "ListTags": "ListImages",
}


@dataclass(frozen=True)
class Needed:
    """A permission that a request needs.

    :param action: ``service:Action``.
    :param resource: The resource's ARN, or ``*``.
    :param context: Condition keys.
    """

    action: str
    resource: str
    context: dict[str, str | list[str]] = field(default_factory=dict)


class Resources(Protocol):
    """The resources of a Region that permissions depend on. The Region answers for them."""

    def endpoint_config_name(self, endpoint_name: str) -> str | None:
        """Return the name of the endpoint config in service, None where there is no such endpoint."""

    def endpoint_config(self, name: str) -> Mapping[str, Any] | None:
        """Return an endpoint config, None where there is none."""

    def is_scaled(self, endpoint_name: str) -> bool:
        """Tell whether a variant of an endpoint is a scalable target."""


@dataclass(frozen=True)
class Call:
    """An AWS request, as far as permissions depend on it.

    :param service: The service that it is signed for, or ``registry``.
    :param operation: The operation.
    :param region: The Region.
    :param request: The request itself.
    :param resources: The resources that some permissions depend on.
    """

    service: str
    operation: str
    region: str
    request: Request
    resources: Resources

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of the request's Region."""
        return f"arn:aws:{service}:{self.region}:{ACCOUNT_ID}:{resource}"

    @property
    def members(self) -> dict[str, Any]:
        """Return the members of the request in JSON, or of the query protocol's form; none for another body.

        The body is kept in memory for who answers, so this is not for uploads.
        """
        data = self.request.get_data(cache=True)
        if self.request.mimetype == "application/x-www-form-urlencoded":
            return {name: values[0] for name, values in parse_qs(data.decode("utf-8", "replace")).items()}
        try:
            members = json.loads(data or b"{}")
        except ValueError:
            return {}
        return members if isinstance(members, dict) else {}


def needed_permissions(call: Call) -> list[Needed]:
    """Return every permission that a request needs; all of them must be allowed."""
    return list(_SERVICES.get(call.service, _unknown)(call))


def validated_permissions(call: Call) -> list[Needed]:
    """Return the permissions that Application Auto Scaling looks for in its caller before it registers a target.

    https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_permission_validation.html; those of SageMaker are in
    …/security_iam_id-based-policy-examples.html. A missing one is a ValidationException of the service.
    """
    if (call.service, call.operation) != ("application-autoscaling", "RegisterScalableTarget"):
        return []
    place = re.fullmatch(r"endpoint/([^/]+)/variant/[^/]+", str(call.members.get("ResourceId")))
    if call.members.get("ServiceNamespace") != "sagemaker" or not place:
        return []
    endpoint = call.arn("sagemaker", f"endpoint/{place[1].lower()}")
    # Which config it is asked for is assumed: the one that the endpoint is on.
    config_name = call.resources.endpoint_config_name(place[1])
    config = f"endpoint-config/{config_name.lower() if config_name else ANY}"
    needed = [
        Needed("sagemaker:DescribeEndpoint", endpoint),
        Needed("sagemaker:DescribeEndpointConfig", call.arn("sagemaker", config)),
        Needed("sagemaker:UpdateEndpointWeightsAndCapacities", endpoint),
        *(
            Needed(f"cloudwatch:{action}", ANY)
            for action in ("PutMetricAlarm", "DescribeAlarms", "DeleteAlarms")
        ),
    ]
    if identities.role(SCALING_ROLE) is None:
        needed.append(
            Needed("iam:CreateServiceLinkedRole", SCALING_ROLE_ARN, {"iam:AWSServiceName": SCALING_SERVICE})
        )
    return needed


def _sagemaker(call: Call) -> Iterator[Needed]:
    if place := _RUNTIME.fullmatch(call.request.path):
        action = _RUNTIME_ACTIONS.get(place["kind"], place["kind"])
        yield Needed(f"sagemaker:{action}", call.arn("sagemaker", f"endpoint/{place['endpoint'].lower()}"))
        return
    operation, members = call.operation, call.members
    named = {
        member: call.arn("sagemaker", f"{kind}/{str(members[member]).lower()}")
        for member, kind in _SAGEMAKER_NAMES.items()
        if member in members
    }
    if "ResourceArn" in members:
        resources = [str(members["ResourceArn"])]
    elif operation in _SAGEMAKER_LISTS:
        # So it stands in AWS's refusals of other lists: "sagemaker:ListDomains on resource: …:domain/*".
        resources = [call.arn("sagemaker", f"{_SAGEMAKER_LISTS[operation]}/*")]
    else:
        # CreateEndpoint and UpdateEndpoint are on the endpoint and on its config (API_CreateEndpoint.html).
        resources = list(named.values()) or [ANY]
    yield from (Needed(f"sagemaker:{operation}", resource) for resource in resources)
    if operation.startswith("Create") and members.get("Tags"):
        # list_amazonsagemaker.html: dependent action of what is created with tags.
        own = named.get(f"{operation.removeprefix('Create')}Name", ANY)
        yield Needed("sagemaker:AddTags", own, _tag_context(members["Tags"]))
    if role := members.get("ExecutionRoleArn"):
        # API_CreateModel.html: "the caller of this API must have the iam:PassRole permission".
        yield Needed("iam:PassRole", str(role), {"iam:PassedToService": SAGEMAKER})
    yield from _volume_key(call, members)
    yield from _deregistered(call, members)


def _volume_key(call: Call, members: dict[str, Any]) -> Iterator[Needed]:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/api-permissions-reference.html, CreateEndpoint; UpdateEndpoint is assumed.
    if call.operation in ("CreateEndpoint", "UpdateEndpoint"):
        config = call.resources.endpoint_config(str(members.get("EndpointConfigName"))) or {}
        if key := config.get("KmsKeyId"):
            yield Needed("kms:CreateGrant", _key_arn(call, key))


def _deregistered(call: Call, members: dict[str, Any]) -> Iterator[Needed]:
    """DeleteEndpoint deregisters what is scaled with its caller's permission (awslabs/stable-diffusion-aws-extension#161)."""
    if call.operation == "DeleteEndpoint" and call.resources.is_scaled(str(members.get("EndpointName"))):
        yield Needed(
            "application-autoscaling:DeregisterScalableTarget",
            call.arn("application-autoscaling", "scalable-target/*"),
            {"application-autoscaling:service-namespace": "sagemaker"},
        )


def _autoscaling(call: Call) -> Iterator[Needed]:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsapplicationautoscaling.html
    operation, members = call.operation, call.members
    if operation.startswith("Describe"):
        yield Needed(f"application-autoscaling:{operation}", ANY)
        return
    if "ResourceARN" in members:
        yield Needed(f"application-autoscaling:{operation}", str(members["ResourceARN"]))
        return
    context: dict[str, str | list[str]] = {
        f"application-autoscaling:{key}": str(members[member])
        for key, member in (
            ("service-namespace", "ServiceNamespace"),
            ("scalable-dimension", "ScalableDimension"),
        )
        if member in members
    }
    # AWS makes the id up.
    number = hashlib.sha256(str(members.get("ResourceId")).encode()).hexdigest()[:28]
    target = call.arn("application-autoscaling", f"scalable-target/{number}")
    yield Needed(f"application-autoscaling:{operation}", target, context)
    if members.get("Tags"):
        yield Needed("application-autoscaling:TagResource", target, _tag_context(members["Tags"]))


def _cloudwatch(call: Call) -> Iterator[Needed]:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
    operation, members = call.operation, call.members
    action = f"cloudwatch:{operation}"
    if operation == "PutMetricData":
        yield Needed(action, ANY, {"cloudwatch:namespace": str(members.get("Namespace"))})
        return
    names = [members["AlarmName"]] if "AlarmName" in members else members.get("AlarmNames") or []
    # API_DescribeAlarms.html, API_PutCompositeAlarm.html: the permission for composite alarms must be "scoped to *".
    composite = operation == "PutCompositeAlarm" or "CompositeAlarm" in (members.get("AlarmTypes") or [])
    if "ResourceARN" in members:
        yield Needed(action, str(members["ResourceARN"]))
    elif names and not composite:
        yield from (Needed(action, call.arn("cloudwatch", f"alarm:{name}")) for name in names)
    else:
        yield Needed(action, ANY)
    if operation.startswith("Put") and members.get("Tags"):
        alarm = call.arn("cloudwatch", f"alarm:{members.get('AlarmName')}")
        yield Needed("cloudwatch:TagResource", alarm, _tag_context(members["Tags"]))


def _ecr(call: Call) -> Iterator[Needed]:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
    operation, members = call.operation, call.members
    action = f"ecr:{operation}"
    registry = members.get("registryId") or ACCOUNT_ID

    def repository(name: Any) -> str:
        return f"arn:aws:ecr:{call.region}:{registry}:repository/{name}"

    if operation in ("GetAuthorizationToken", "DescribeRegistry"):
        yield Needed(action, ANY)
        return
    names = [members["repositoryName"]] if "repositoryName" in members else members.get("repositoryNames")
    resources = (
        [str(members["resourceArn"])] if "resourceArn" in members else [*map(repository, names or [ANY])]
    )
    yield from (Needed(action, resource) for resource in resources)
    if operation == "CreateRepository" and members.get("tags"):
        yield Needed("ecr:TagResource", resources[0], _tag_context(members["tags"]))


def _registry(call: Call) -> Iterator[Needed]:
    place = re.match(r"/v2/(?P<name>.+?)/(blobs|manifests|tags)/", call.request.path)
    if place and call.operation in _REGISTRY_ACTIONS:
        repository = call.arn("ecr", f"repository/{place['name']}")
        yield Needed(f"ecr:{_REGISTRY_ACTIONS[call.operation]}", repository)


def _s3(call: Call) -> Iterator[Needed]:
    operation, request = call.operation, call.request
    bucket, _, key = request.path.lstrip("/").partition("/")
    action = f"s3:{_S3_ACTIONS.get(operation, operation)}"
    bucket_arn, object_arn = f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/{key}"
    if not bucket:
        yield Needed(action, ANY)
        return
    if not key:
        context: dict[str, str | list[str]] = {}
        if action == "s3:ListBucket" and "prefix" in request.args:
            context = {"s3:prefix": request.args["prefix"]}
        # DeleteObjects names its keys in the body; they are not looked at.
        yield Needed(action, f"{bucket_arn}/*" if operation == "DeleteObjects" else bucket_arn, context)
        return
    yield Needed(action, object_arn)
    if action == "s3:GetObject" and not s3.exists(bucket, key):
        # API_HeadObject.html: without s3:ListBucket a missing object is a 403. It comes without s3:prefix.
        yield Needed("s3:ListBucket", bucket_arn)
    encrypted_with = request.headers.get("x-amz-server-side-encryption-aws-kms-key-id")
    if encrypted_with:
        # AmazonS3/latest/userguide/UsingKMSEncryption.html; multipart uploads need both.
        yield Needed("kms:GenerateDataKey", _key_arn(call, encrypted_with))
        if operation == "CreateMultipartUpload":
            yield Needed("kms:Decrypt", _key_arn(call, encrypted_with))


def _iam(call: Call) -> Iterator[Needed]:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
    operation, members = call.operation, call.members
    action = f"iam:{operation}"
    context: dict[str, str | list[str]] = {}
    if operation == "CreateServiceLinkedRole":
        service = str(members.get("AWSServiceName"))
        yield Needed(
            action,
            f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/{service}/*",
            {"iam:AWSServiceName": service},
        )
        return
    if "RoleName" not in members:
        yield Needed(action, ANY)
        return
    name = members["RoleName"]
    known = identities.role(name)
    path = str(members.get("Path", "/")).strip("/")
    arn = known.arn if known else f"arn:aws:iam::{ACCOUNT_ID}:role/{path}/{name}".replace("//", "/")
    boundary = members.get("PermissionsBoundary") or (known and known.permissions_boundary_arn)
    if boundary:
        context["iam:PermissionsBoundary"] = str(boundary)
    yield Needed(action, arn, context)
    if operation == "CreateRole" and "Tags.member.1.Key" in members:
        yield Needed("iam:TagRole", arn)


def _sts(call: Call) -> Iterator[Needed]:
    # "No permissions are required to perform this operation": API_GetCallerIdentity.html
    if call.operation != "GetCallerIdentity":
        yield Needed(f"sts:{call.operation}", str(call.members.get("RoleArn", ANY)))


def _logs(call: Call) -> Iterator[Needed]:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
    members = call.members
    group = members.get("logGroupName")
    stream = f":log-stream:{members['logStreamName']}" if "logStreamName" in members else ""
    yield Needed(f"logs:{call.operation}", call.arn("logs", f"log-group:{group}{stream}") if group else ANY)


def _unknown(call: Call) -> Iterator[Needed]:
    yield Needed(f"{call.service}:{call.operation}", ANY)


_SERVICES: dict[str, Callable[[Call], Iterator[Needed]]] = {
    "sagemaker": _sagemaker,
    "application-autoscaling": _autoscaling,
    "monitoring": _cloudwatch,
    "ecr": _ecr,
    "registry": _registry,
    "s3": _s3,
    "iam": _iam,
    "sts": _sts,
    "logs": _logs,
}


def _key_arn(call: Call, key: str) -> str:
    return key if key.startswith("arn:") else call.arn("kms", f"key/{key}")


def _tag_context(tags: Any) -> dict[str, str | list[str]]:
    """Return ``aws:TagKeys`` and ``aws:RequestTag/…`` of tags, in whichever spelling a service has them."""
    if isinstance(tags, list):
        tags = {tag.get("Key", tag.get("key")): tag.get("Value", tag.get("value")) for tag in tags}
    return {"aws:TagKeys": list(tags), **{f"aws:RequestTag/{key}": value for key, value in tags.items()}}

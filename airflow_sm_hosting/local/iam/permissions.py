"""Which IAM permissions a request needs: the actions, the resources they are on, and the condition keys that policies may ask for.

The actions of a service are in its page of the service authorization reference
(https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html). Most are the
operation's own name; exceptions, and additional checks of AWS, are listed here with their source. A request to a service that is not
known here needs its operation on all resources, so a policy that names resources does not allow it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from werkzeug.wrappers import Request

from airflow_sm_hosting.local.moto_bridge import identities, s3
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID, global_arn, partition_name, regional_arn
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.operations import RUNTIME_OPERATIONS, RUNTIME_PATH
from airflow_sm_hosting.local.wire.requests import form_members, json_body

ANY = "*"
SAGEMAKER = "sagemaker.amazonaws.com"
CODEBUILD = "codebuild.amazonaws.com"
# https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-service-linked-roles.html
SCALING_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"

_SAGEMAKER_NAMES = {
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "ModelName": "model",
    "InferenceComponentName": "inference-component",
}
# Members that name a model package or its group: by its name, by its group and version, or by its ARN.
_PACKAGE_NAMES = {"ModelPackageName": "model-package", "ModelPackageGroupName": "model-package-group"}
_SAGEMAKER_LISTS = {
    "ListEndpoints": "endpoint",
    "ListEndpointConfigs": "endpoint-config",
    "ListModels": "model",
    "ListInferenceComponents": "inference-component",
    "ListModelPackageGroups": "model-package-group",
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
    "ListMultipartUploads": "ListBucketMultipartUploads",
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
class RequiredPermission:
    """A permission that a request needs.

    :param action: ``service:Action``.
    :param resource: The resource's ARN, or ``*``.
    :param context: Condition keys.
    :param refusal: The service's own sentence where the permission is missing. Default: that of most refusals.
    """

    action: str
    resource: str
    context: dict[str, str | list[str]] = field(default_factory=dict)
    refusal: str = ""


class Resources(Protocol):
    """The resources of a Region that permissions depend on. The Region answers for them."""

    def endpoint_config_name(self, endpoint_name: str) -> str | None:
        """Return the name of the endpoint config in service, None if there is no such endpoint."""

    def endpoint_config(self, name: str) -> Mapping[str, Any] | None:
        """Return an endpoint config, None if there is none."""

    def is_scaled(self, endpoint_name: str) -> bool:
        """Return whether a variant of an endpoint is a scalable target."""

    def scalable_target_tags(self, arn: str) -> Mapping[str, str]:
        """Return the tags of a scalable target; none if there is no such target."""


@dataclass(frozen=True)
class RequestContext:
    """An AWS request, as far as permissions depend on it.

    :param service: The service that it is signed for, or ``registry``.
    :param operation: The operation.
    :param region: The Region.
    :param resource: The name of the resource, as the request log has it.
    :param request: The request itself.
    :param resources: The resources that some permissions depend on.
    """

    service: str
    operation: str
    region: str
    resource: str | None
    request: Request
    resources: Resources

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of the request's Region."""
        return regional_arn(service, self.region, resource)

    @property
    def members(self) -> dict[str, Any]:
        """Return the members of the request in JSON, or of the query protocol's form; none for another body.

        The body is kept in memory for who answers, so this is not for uploads.
        """
        if self.request.mimetype == "application/x-www-form-urlencoded":
            return dict(form_members(self.request))
        try:
            return json_body(self.request)
        except AwsError:
            # The service refuses it.
            return {}


def required_permissions(asked: RequestContext) -> list[RequiredPermission]:
    """Return every permission that a request needs; all of them must be allowed."""
    return list(_SERVICES.get(asked.service, _unknown)(asked))


def validated_permissions(asked: RequestContext) -> list[RequiredPermission]:
    """Return the permissions that Application Auto Scaling looks for in its caller before it registers a target.

    https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_permission_validation.html; those of SageMaker are in
    …/security_iam_id-based-policy-examples.html. A missing one is a ValidationException of the service.
    """
    if (asked.service, asked.operation) != ("application-autoscaling", "RegisterScalableTarget"):
        return []
    resource_id = str(asked.members.get("ResourceId"))
    place = re.fullmatch(r"endpoint/([^/]+)/variant/[^/]+|inference-component/([^/]+)", resource_id)
    if asked.members.get("ServiceNamespace") != "sagemaker" or not place:
        return []
    needed = [
        *(_of_scaled_variant(asked, place[1]) if place[1] else _of_scaled_component(asked, place[2])),
        # On which alarms is assumed: AWS's own policy for such callers, AmazonKeyspacesFullAccess_v2 (Keyspaces developer guide,
        # "security-iam-awsmanpol"), allows no more.
        RequiredPermission("cloudwatch:DescribeAlarms", asked.arn("cloudwatch", "alarm:*")),
        *(
            RequiredPermission(
                f"cloudwatch:{action}", asked.arn("cloudwatch", f"alarm:TargetTracking-{place[0]}-AlarmHigh")
            )
            for action in ("PutMetricAlarm", "DeleteAlarms")
        ),
    ]
    if identities.role(SCALING_ROLE) is None:
        needed.append(
            RequiredPermission(
                "iam:CreateServiceLinkedRole",
                global_arn("iam", asked.region, f"role/aws-service-role/{SCALING_SERVICE}/{SCALING_ROLE}"),
                {"iam:AWSServiceName": SCALING_SERVICE},
            )
        )
    return needed


def _of_scaled_variant(asked: RequestContext, endpoint_name: str) -> list[RequiredPermission]:
    endpoint = asked.arn("sagemaker", f"endpoint/{endpoint_name.lower()}")
    # Which config it is asked for is assumed: the one that the endpoint is on.
    config_name = asked.resources.endpoint_config_name(endpoint_name)
    config = f"endpoint-config/{config_name.lower() if config_name else ANY}"
    return [
        RequiredPermission("sagemaker:DescribeEndpoint", endpoint),
        RequiredPermission("sagemaker:DescribeEndpointConfig", asked.arn("sagemaker", config)),
        RequiredPermission("sagemaker:UpdateEndpointWeightsAndCapacities", endpoint),
    ]


def _of_scaled_component(asked: RequestContext, name: str) -> list[RequiredPermission]:
    component = asked.arn("sagemaker", f"inference-component/{name.lower()}")
    return [
        RequiredPermission("sagemaker:DescribeInferenceComponent", component),
        RequiredPermission("sagemaker:UpdateInferenceComponentRuntimeConfig", component),
    ]


def _sagemaker(asked: RequestContext) -> Iterator[RequiredPermission]:
    if place := RUNTIME_PATH.fullmatch(asked.request.path):
        action = RUNTIME_OPERATIONS.get(place["kind"], place["kind"])
        yield RequiredPermission(
            f"sagemaker:{action}", asked.arn("sagemaker", f"endpoint/{place['endpoint'].lower()}")
        )
        return
    operation, members = asked.operation, asked.members
    named = {
        member: asked.arn("sagemaker", f"{kind}/{str(members[member]).lower()}")
        for member, kind in _SAGEMAKER_NAMES.items()
        if member in members
    }
    context: dict[str, str | list[str]] = {}
    if "ResourceArn" in members:
        resources = [str(members["ResourceArn"])]
    elif packages := _packages(asked, members):
        resources, context = packages, _package_context(members)
    elif operation in _SAGEMAKER_LISTS:
        # So it stands in AWS's refusals of other lists: "sagemaker:ListDomains on resource: …:domain/*".
        resources = [asked.arn("sagemaker", f"{_SAGEMAKER_LISTS[operation]}/*")]
    elif not named and (made := _made(operation, members)):
        resources = [asked.arn("sagemaker", made)]
    else:
        # CreateEndpoint and UpdateEndpoint are on the endpoint and on its config (API_CreateEndpoint.html).
        resources = list(named.values()) or [ANY]
    yield from (RequiredPermission(f"sagemaker:{operation}", resource, context) for resource in resources)
    if operation.startswith("Create") and members.get("Tags"):
        # list_amazonsagemaker.html: dependent action of what is created with tags.
        own = named.get(f"{operation.removeprefix('Create')}Name", resources[0] if packages else ANY)
        yield RequiredPermission("sagemaker:AddTags", own, _tag_context(members["Tags"]))
    if role := members.get("ExecutionRoleArn"):
        # API_CreateModel.html: "the caller of this API must have the iam:PassRole permission".
        yield RequiredPermission("iam:PassRole", str(role), {"iam:PassedToService": SAGEMAKER})
    yield from _volume_key(asked, members)
    yield from _deregistered(asked, members)


def _packages(asked: RequestContext, members: Mapping[str, Any]) -> list[str]:
    """Return the model packages and groups that an operation on them is on; none for another operation.

    https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-version.html allows CreateModelPackage and ListModelPackages of a group
    on ``model-package/<group>/*``. That other packages are listed on ``model-package/*`` is assumed.
    """
    operation = asked.operation
    if "ModelPackage" not in operation or operation == "ListModelPackageGroups":
        return []
    if "ModelPackageArnList" in members:
        return [str(arn) for arn in members["ModelPackageArnList"]]
    if "ModelPackageArn" in members:
        return [str(members["ModelPackageArn"])]
    if operation in ("CreateModelPackage", "ListModelPackages") and "ModelPackageName" not in members:
        group = str(members.get("ModelPackageGroupName", "")).rpartition("/")[2]
        return [asked.arn("sagemaker", f"model-package/{group}/*" if group else "model-package/*")]
    return [
        str(members[member])
        if str(members[member]).startswith("arn:")
        else asked.arn("sagemaker", f"{kind}/{members[member]}")
        for member, kind in _PACKAGE_NAMES.items()
        if member in members
    ]


def _package_context(members: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Return the condition keys of what a request sets of a model package.

    list_amazonsagemaker.html: ``sagemaker:ModelApprovalStatus``. The keys of the life cycle stand with a slash in
    mlflow-track-experiments-model-registration.html, and with a colon in others' policies: both are there.
    """
    context: dict[str, str | list[str]] = {}
    if "ModelApprovalStatus" in members:
        context["sagemaker:ModelApprovalStatus"] = str(members["ModelApprovalStatus"])
    cycle = members.get("ModelLifeCycle")
    for key, member in (("stage", "Stage"), ("stageStatus", "StageStatus")):
        if isinstance(cycle, dict) and member in cycle:
            context[f"sagemaker:ModelLifeCycle/{key}"] = str(cycle[member])
            context[f"sagemaker:ModelLifeCycle:{key}"] = str(cycle[member])
    return context


def _made(operation: str, members: Mapping[str, Any]) -> str | None:
    """Return ``training-job/<name>`` for CreateTrainingJob.

    list_amazonsagemaker.html: the kind of most resources is the noun of their operations.
    """
    match = re.fullmatch(r"(?:Create|Describe|Update|Delete|Start|Stop)([A-Z]\w+)", operation)
    name = match and members.get(f"{match[1]}Name")
    kind = match and re.sub(r"(?<=[a-z])(?=[A-Z])", "-", match[1]).lower()
    return f"{kind}/{str(name).lower()}" if name else None


def _volume_key(asked: RequestContext, members: dict[str, Any]) -> Iterator[RequiredPermission]:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/api-permissions-reference.html, CreateEndpoint; UpdateEndpoint is assumed.
    if asked.operation in ("CreateEndpoint", "UpdateEndpoint"):
        config = asked.resources.endpoint_config(str(members.get("EndpointConfigName"))) or {}
        if key := config.get("KmsKeyId"):
            yield RequiredPermission("kms:CreateGrant", _key_arn(asked, key))


def _deregistered(asked: RequestContext, members: dict[str, Any]) -> Iterator[RequiredPermission]:
    """DeleteEndpoint deregisters what is scaled with its caller's permission (awslabs/stable-diffusion-aws-extension#161)."""
    if asked.operation == "DeleteEndpoint" and asked.resources.is_scaled(str(members.get("EndpointName"))):
        yield RequiredPermission(
            "application-autoscaling:DeregisterScalableTarget",
            asked.arn("application-autoscaling", "scalable-target/*"),
            {"application-autoscaling:service-namespace": "sagemaker"},
            "An Application AutoScaling scalable target exists for a variant being deleted, and the IAM identity used to invoke "
            "DeleteEndpoint does not have application-autoscaling:DeregisterScalableTarget permission to deregister the scalable "
            "target.",
        )


def _autoscaling(asked: RequestContext) -> Iterator[RequiredPermission]:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsapplicationautoscaling.html
    operation, members = asked.operation, asked.members
    if operation.startswith("Describe"):
        yield RequiredPermission(f"application-autoscaling:{operation}", ANY)
        return
    if "ResourceARN" in members:
        arn = str(members["ResourceARN"])
        held = asked.resources.scalable_target_tags(arn)
        yield RequiredPermission(
            f"application-autoscaling:{operation}",
            arn,
            {
                **{f"aws:ResourceTag/{key}": value for key, value in held.items()},
                **(_tag_context(members["Tags"]) if members.get("Tags") else {}),
            },
        )
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
    target = asked.arn("application-autoscaling", f"scalable-target/{number}")
    yield RequiredPermission(f"application-autoscaling:{operation}", target, context)
    if members.get("Tags"):
        yield RequiredPermission("application-autoscaling:TagResource", target, _tag_context(members["Tags"]))


def _cloudwatch(asked: RequestContext) -> Iterator[RequiredPermission]:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
    operation, members = asked.operation, asked.members
    action = f"cloudwatch:{operation}"
    if operation == "PutMetricData":
        yield RequiredPermission(action, ANY, {"cloudwatch:namespace": str(members.get("Namespace"))})
        return
    if "DashboardName" in members or "DashboardNames" in members:
        # A dashboard is of no Region.
        front = f"arn:{partition_name(asked.region)}:cloudwatch::{ACCOUNT_ID}:dashboard"
        for name in members.get("DashboardNames") or [members.get("DashboardName")]:
            yield RequiredPermission(action, f"{front}/{name}")
        return
    names = [members["AlarmName"]] if "AlarmName" in members else members.get("AlarmNames") or []
    # API_DescribeAlarms.html, API_PutCompositeAlarm.html: the permission for composite alarms must be "scoped to *".
    composite = operation == "PutCompositeAlarm" or "CompositeAlarm" in (members.get("AlarmTypes") or [])
    if "ResourceARN" in members:
        yield RequiredPermission(action, str(members["ResourceARN"]))
    elif names and not composite:
        yield from (RequiredPermission(action, asked.arn("cloudwatch", f"alarm:{name}")) for name in names)
    elif operation == "DescribeAlarms" and not composite:
        # A list of metric alarms (mattclay/aws-terminator#63).
        yield RequiredPermission(action, asked.arn("cloudwatch", "alarm:*"))
    else:
        yield RequiredPermission(action, ANY)
    if operation.startswith("Put") and members.get("Tags"):
        alarm = asked.arn("cloudwatch", f"alarm:{members.get('AlarmName')}")
        yield RequiredPermission("cloudwatch:TagResource", alarm, _tag_context(members["Tags"]))


def _ecr(asked: RequestContext) -> Iterator[RequiredPermission]:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
    operation, members = asked.operation, asked.members
    action = f"ecr:{operation}"
    registry = members.get("registryId") or ACCOUNT_ID

    def repository(name: Any) -> str:
        return regional_arn("ecr", asked.region, f"repository/{name}", account=str(registry))

    if operation in ("GetAuthorizationToken", "DescribeRegistry"):
        yield RequiredPermission(action, ANY)
        return
    names = [members["repositoryName"]] if "repositoryName" in members else members.get("repositoryNames")
    resources = (
        [str(members["resourceArn"])] if "resourceArn" in members else [*map(repository, names or [ANY])]
    )
    yield from (RequiredPermission(action, resource) for resource in resources)
    if operation == "CreateRepository" and members.get("tags"):
        yield RequiredPermission("ecr:TagResource", resources[0], _tag_context(members["tags"]))
    key = (members.get("encryptionConfiguration") or {}).get("kmsKey")
    if operation == "CreateRepository" and key:
        # AmazonECR/latest/userguide/encryption-at-rest.html: ECR makes grants, and describes the key; RetireGrant is for the deletion.
        for of_key in ("CreateGrant", "DescribeKey"):
            yield RequiredPermission(f"kms:{of_key}", _key_arn(asked, key))


def _registry(asked: RequestContext) -> Iterator[RequiredPermission]:
    if asked.resource and asked.operation in _REGISTRY_ACTIONS:
        repository = asked.arn("ecr", f"repository/{asked.resource}")
        yield RequiredPermission(f"ecr:{_REGISTRY_ACTIONS[asked.operation]}", repository)


def _s3(asked: RequestContext) -> Iterator[RequiredPermission]:
    operation, request = asked.operation, asked.request
    bucket, _, key = request.path.lstrip("/").partition("/")
    action = f"s3:{_S3_ACTIONS.get(operation, operation)}"
    bucket_arn = f"arn:{partition_name(asked.region)}:s3:::{bucket}"
    object_arn = f"{bucket_arn}/{key}"
    if not bucket:
        yield RequiredPermission(action, ANY)
        return
    if not key:
        context: dict[str, str | list[str]] = {}
        if action == "s3:ListBucket" and "prefix" in request.args:
            context = {"s3:prefix": request.args["prefix"]}
        # DeleteObjects names its keys in the body; they are not checked.
        yield RequiredPermission(
            action, f"{bucket_arn}/*" if operation == "DeleteObjects" else bucket_arn, context
        )
        return
    yield RequiredPermission(action, object_arn)
    if action == "s3:GetObject" and not s3.exists(bucket, key):
        # API_HeadObject.html: without s3:ListBucket a missing object is a 403. It comes without s3:prefix.
        yield RequiredPermission("s3:ListBucket", bucket_arn)
    if request.headers.get("x-amz-checksum-mode") == "ENABLED" and (key_id := s3.kms_key_of(bucket, key)):
        # API_HeadObject.html, ChecksumMode
        yield RequiredPermission("kms:Decrypt", _key_arn(asked, key_id))
    encrypted_with = request.headers.get("x-amz-server-side-encryption-aws-kms-key-id")
    if encrypted_with:
        # AmazonS3/latest/userguide/UsingKMSEncryption.html; multipart uploads need both.
        yield RequiredPermission("kms:GenerateDataKey", _key_arn(asked, encrypted_with))
        if operation == "CreateMultipartUpload":
            yield RequiredPermission("kms:Decrypt", _key_arn(asked, encrypted_with))


def _iam(asked: RequestContext) -> Iterator[RequiredPermission]:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
    operation, members = asked.operation, asked.members
    action = f"iam:{operation}"
    context: dict[str, str | list[str]] = {}
    if operation == "CreateServiceLinkedRole":
        service = str(members.get("AWSServiceName"))
        yield RequiredPermission(
            action,
            global_arn("iam", asked.region, f"role/aws-service-role/{service}/*"),
            {"iam:AWSServiceName": service},
        )
        return
    if "RoleName" not in members:
        yield RequiredPermission(action, ANY)
        return
    name = members["RoleName"]
    known = identities.role(name)
    path = str(members.get("Path", "/")).strip("/")
    role_arn = (
        known.arn if known else global_arn("iam", asked.region, f"role/{path}/{name}").replace("//", "/")
    )
    boundary = members.get("PermissionsBoundary") or (known and known.permissions_boundary_arn)
    if boundary:
        context["iam:PermissionsBoundary"] = str(boundary)
    yield RequiredPermission(action, role_arn, context)
    if operation == "CreateRole" and "Tags.member.1.Key" in members:
        yield RequiredPermission("iam:TagRole", role_arn)


def _sts(asked: RequestContext) -> Iterator[RequiredPermission]:
    # "No permissions are required to perform this operation": API_GetCallerIdentity.html
    if asked.operation != "GetCallerIdentity":
        yield RequiredPermission(f"sts:{asked.operation}", str(asked.members.get("RoleArn", ANY)))


def _logs(asked: RequestContext) -> Iterator[RequiredPermission]:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
    members = asked.members
    group = members.get("logGroupName")
    stream = f":log-stream:{members['logStreamName']}" if "logStreamName" in members else ""
    yield RequiredPermission(
        f"logs:{asked.operation}", asked.arn("logs", f"log-group:{group}{stream}") if group else ANY
    )


def _codebuild(asked: RequestContext) -> Iterator[RequiredPermission]:
    # https://docs.aws.amazon.com/codebuild/latest/userguide/auth-and-access-control-permissions-reference.html: all on the project
    operation, members = asked.operation, asked.members
    if operation == "ListProjects":
        yield RequiredPermission("codebuild:ListProjects", ANY)
        return
    # A build's id begins with its project; both may be given as ARNs.
    builds = members.get("ids") or [members[key] for key in ("id",) if key in members]
    named = [str(one).rpartition("build/")[2].partition(":")[0] for one in builds]
    named += [str(members[key]) for key in ("name", "projectName") if key in members]
    named += map(str, members.get("names") or ())
    for project in dict.fromkeys(name.rpartition("/")[2] for name in named):
        yield RequiredPermission(f"codebuild:{operation}", asked.arn("codebuild", f"project/{project}"))
    if role := members.get("serviceRole") or members.get("serviceRoleOverride"):
        # The same page, CreateProject: "iam:PassRole" on the service role.
        yield RequiredPermission("iam:PassRole", str(role), {"iam:PassedToService": CODEBUILD})


def _sqs(asked: RequestContext) -> Iterator[RequiredPermission]:
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html: all on the queue, and a
    # batch needs the permission of the single call.
    members = asked.members
    queue = str(members.get("QueueName") or members.get("QueueUrl", "")).rpartition("/")[2]
    resource = asked.arn("sqs", queue) if queue else ANY
    yield RequiredPermission(f"sqs:{asked.operation.removesuffix('Batch')}", resource)


# list_amazonsagemaker.html, list_amazoncloudwatch.html, …: what each service has to tag and to untag.
_TAG_ACTIONS = {"sagemaker": ("AddTags", "DeleteTags")}


def _tagging(asked: RequestContext) -> Iterator[RequiredPermission]:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonresourcegrouptaggingapi.html: all on everything.
    operation, members = asked.operation, asked.members
    yield RequiredPermission(f"tag:{operation}", ANY)
    if operation not in ("TagResources", "UntagResources"):
        return
    # API_TagResources.html: "In addition to the tag:TagResources permission …, you must also have the tagging permission defined by the service".
    for arn in map(str, members.get("ResourceARNList") or ()):
        service = (arn.split(":") + [""] * 3)[2]
        actions = _TAG_ACTIONS.get(service, ("TagResource", "UntagResource"))
        action = actions[operation == "UntagResources"]
        yield RequiredPermission(f"{service}:{action}", arn, _tag_context(members.get("Tags") or {}))


def _unknown(asked: RequestContext) -> Iterator[RequiredPermission]:
    yield RequiredPermission(f"{asked.service}:{asked.operation}", ANY)


_SERVICES: dict[str, Callable[[RequestContext], Iterator[RequiredPermission]]] = {
    "sagemaker": _sagemaker,
    "application-autoscaling": _autoscaling,
    "monitoring": _cloudwatch,
    "ecr": _ecr,
    "registry": _registry,
    "s3": _s3,
    "iam": _iam,
    "sts": _sts,
    "logs": _logs,
    "codebuild": _codebuild,
    "sqs": _sqs,
    "tagging": _tagging,
}


def _key_arn(asked: RequestContext, key: str) -> str:
    return key if key.startswith("arn:") else asked.arn("kms", f"key/{key}")


def _tag_context(tags: Any) -> dict[str, str | list[str]]:
    """Return ``aws:TagKeys`` and ``aws:RequestTag/…`` of tags, in whichever spelling a service has them."""
    if isinstance(tags, list):
        tags = {tag.get("Key", tag.get("key")): tag.get("Value", tag.get("value")) for tag in tags}
    return {"aws:TagKeys": list(tags), **{f"aws:RequestTag/{key}": value for key, value in tags.items()}}

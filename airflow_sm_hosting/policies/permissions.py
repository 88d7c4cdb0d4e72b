"""The permissions that each operator, sensor and trigger needs, as one table."""

from __future__ import annotations

from typing import Any, NamedTuple

from airflow_sm_hosting.policies.building import CODEBUILD
from airflow_sm_hosting.policies.execution import SAGEMAKER
from airflow_sm_hosting.spec.tags import MANAGED_BY, PACKAGE

#: https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-service-linked-roles.html
SCALING_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"

TAG_TARGET = "application-autoscaling:TagResource"


class Permission(NamedTuple):
    """Actions that an operator needs.

    :param actions: IAM actions.
    :param on: Kind of resource, see ``_Resources`` in ``worker.py``.
    :param when: The case in which they are needed.
    :param aws: Whether AWS checks them in addition to the calls of the operator.
    :param optional: Whether the task works without them, with more calls or shorter messages.
    """

    actions: tuple[str, ...]
    on: str
    when: str
    aws: bool = False
    optional: bool = False


def _need(actions: str, on: str, when: str, *, aws: bool = False, optional: bool = False) -> Permission:
    service = actions.partition(":")[0]
    return Permission(
        tuple(action if ":" in action else f"{service}:{action}" for action in actions.split()),
        on,
        when,
        aws,
        optional,
    )


_PUSH = "ecr:BatchCheckLayerAvailability InitiateLayerUpload UploadLayerPart CompleteLayerUpload PutImage"

#: The permissions to make a repository with its settings.
_REPOSITORY = (
    _need("ecr:CreateRepository", "repository", "the repository does not exist"),
    # AmazonECR/latest/userguide/supported-iam-actions-tagging.html
    _need("ecr:TagResource", "repository", "the repository is created, as it is tagged", aws=True),
    # AmazonECR/latest/userguide/encryption-at-rest.html
    _need("kms:CreateGrant DescribeKey", "key", "the repository is created with a KMS key", aws=True),
    _need(
        "ecr:PutImageScanningConfiguration PutImageTagMutability",
        "repository",
        "the repository has other repository_settings",
    ),
    _need("ecr:GetLifecyclePolicy PutLifecyclePolicy", "repository", "expire_untagged_after"),
    _need("ecr:GetRepositoryPolicy SetRepositoryPolicy", "repository", "pull_principals"),
)

#: The permissions to write model data under a key derived from its content.
_UPLOAD = (
    # AmazonS3/latest/API/API_HeadObject.html: without it an object that does not exist is a 403
    _need(
        "s3:ListBucket",
        "bucket",
        "always: without it, S3 does not say that an object does not exist",
        aws=True,
    ),
    _need(
        "s3:PutObject",
        "object",
        "something is uploaded, or S3 computes the checksum of an object that has none",
    ),
    _need(
        "s3:AbortMultipartUpload",
        "object",
        "64 MiB or more are uploaded: parts of uploads that cannot be resumed are deleted",
        optional=True,
    ),
    _need(
        "s3:ListBucketMultipartUploads",
        "bucket",
        "64 MiB or more are uploaded: an interrupted upload is resumed",
        optional=True,
    ),
    _need(
        "s3:ListMultipartUploadParts",
        "object",
        "the same, and there are unfinished uploads",
        optional=True,
    ),
    # AmazonS3/latest/API/API_PutObject.html: Tagging
    _need(
        "s3:PutObjectTagging",
        "object",
        "tags are given, and the object is uploaded or lacks them",
        aws=True,
    ),
    _need(
        "s3:GetObjectTagging",
        "object",
        "tags are given, and the object exists, or its upload was resumed",
    ),
    # AmazonS3/latest/userguide/UsingKMSEncryption.html; AmazonS3/latest/API/API_HeadObject.html, ChecksumMode
    _need("kms:GenerateDataKey", "key", "the object is encrypted with a KMS key", aws=True),
    _need("kms:Decrypt", "key", "the same: its checksum is read", aws=True),
)

_ALARM = (
    _need("sagemaker:DescribeEndpoint", "endpoint", "unless check_endpoint=False"),
    _need(
        "sagemaker:DescribeInferenceComponent",
        "inference-component",
        "inference_component_name, unless check_endpoint=False",
    ),
    _need("cloudwatch:DescribeAlarms", "alarm", "always"),
    _need("cloudwatch:PutMetricAlarm", "alarm", "it does not exist, or differs"),
    _need("cloudwatch:ListTagsForResource", "alarm", "it exists"),
    _need("cloudwatch:TagResource", "alarm", "it is created, as it is tagged, or tags are missing"),
)

_BY_CODEBUILD = "CodeBuild builds an image"


def _answers(when: str, *, aws_when: str) -> tuple[Permission, ...]:
    """Return the permissions to look for asynchronous answers."""
    return (
        _need("s3:GetObject", "async-output", when),
        # AmazonS3/latest/API/API_HeadObject.html: without it an object that does not exist is a 403
        _need("s3:ListBucket", "async-output-bucket", aws_when, aws=True),
    )


def _asking(by: str, real_time: str) -> tuple[Permission, ...]:
    """Return the permissions to invoke an endpoint in each way.

    :param by: What asks, for the cases.
    :param real_time: When it asks in real time.
    """
    return (
        _need("sagemaker:InvokeEndpoint", "endpoint", real_time),
        _need("sagemaker:InvokeEndpointWithResponseStream", "endpoint", f"{by}kind is streamed"),
        _need("sagemaker:InvokeEndpointAsync", "endpoint", f"{by}the endpoint is asynchronous"),
        _need("s3:PutObject", "async-input", "the same, and input_prefix"),
        _need("s3:DeleteObject", "async-input", "the same: the input is deleted afterwards", optional=True),
        *_answers(
            f"{by}the endpoint is asynchronous: its answer is read",
            aws_when="the same: without it, S3 does not say that it is not there yet",
        ),
        _need(
            "sagemaker:DescribeInferenceComponent",
            "inference-component",
            f"{by}inference_component_name is given, and the answer is an error or not the expected one",
            optional=True,
        ),
    )


_MOVED = "the instance type of a scaled variant changes, a scaled variant is removed, or a failed endpoint is replaced"

#: The permissions to deploy a config to an endpoint.
_DEPLOYMENT = (
    _need("sagemaker:DescribeEndpoint", "endpoint", "always, and at each poll"),
    _need("sagemaker:ListTags", "endpoint", "it exists"),
    # API_CreateEndpoint.html, API_UpdateEndpoint.html: on the endpoint and on its config
    _need("sagemaker:CreateEndpoint", "endpoint endpoint-config", "it does not exist, or has failed"),
    _need("sagemaker:UpdateEndpoint", "endpoint endpoint-config", "it is on another config"),
    _need(
        "sagemaker:DescribeEndpointConfig",
        "endpoint-config",
        "it is updated, a failed one is replaced, it is created with a rollout or a smoke_test, or it serves a config whose name "
        "is not derived from its content",
    ),
    _need("sagemaker:AddTags", "endpoint", "it is created or updated, or tags are missing"),
    _need("sagemaker:DeleteEndpoint", "endpoint", "a failed one is replaced"),
    # sagemaker/latest/dg/api-permissions-reference.html
    _need("kms:CreateGrant", "volume-key", "its config has a KmsKeyId", aws=True),
    _need(
        "application-autoscaling:DescribeScalableTargets", "any", "it is updated, or a failed one is replaced"
    ),
    _need(
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        "endpoint",
        "instance counts are set after the update, or scaling is restored",
    ),
    _need(
        "sagemaker:DeleteTags",
        "endpoint",
        "instance counts were set, scaling was restored, new_fleet_alarms were deleted, the smoke_test succeeded, or old runs "
        "have tags",
    ),
    _need("application-autoscaling:DescribeScalingPolicies DescribeScheduledActions", "any", _MOVED),
    _need("application-autoscaling:ListTagsForResource", "scalable-target", "the same"),
    _need("application-autoscaling:DeregisterScalableTarget", "scalable-target", "the same"),
    _need(
        "application-autoscaling:RegisterScalableTarget PutScalingPolicy PutScheduledAction",
        "scalable-target",
        "the same, as scaling is restored",
    ),
    _need("application-autoscaling:TagResource", "scalable-target", "the same, if it has tags"),
    # autoscaling/application/userguide/security_iam_permission_validation.html
    _need("cloudwatch:PutMetricAlarm DeleteAlarms", "scaling-alarm", "scaling is restored", aws=True),
    _need("cloudwatch:PutMetricAlarm", "alarm", "the same, if an alarm has a restored policy as its action"),
    _need("sagemaker:ListTags", "endpoint-config", "scaling is restored, or a failed endpoint is replaced"),
    _need(
        "sagemaker:AddTags DeleteTags",
        "endpoint-config",
        "a failed endpoint that is scaled is replaced: its config's tags hold the scaling meanwhile",
    ),
    # API_DescribeAlarms.html: "scoped to *" for composite alarms
    _need("cloudwatch:DescribeAlarms", "any", "the rollout has alarms, or scaling is restored"),
    _need("cloudwatch:PutMetricAlarm TagResource DeleteAlarms", "rollout-alarm", "new_fleet_alarms"),
    *_asking("smoke_test: ", "smoke_test, unless its kind is streamed or asynchronous"),
    _need(
        "logs:DescribeLogStreams GetLogEvents",
        "endpoint-logs",
        "it fails: the error has the last log lines",
        optional=True,
    ),
    _need(
        "sagemaker:DescribeModel",
        "model",
        "the same, without the values of the containers' environments; or smoke_test: whether its request suits the model",
        optional=True,
    ),
)

#: The permissions to deploy an inference component.
_COMPONENT = (
    _need("sagemaker:DescribeInferenceComponent", "inference-component", "always, and at each poll"),
    _need("sagemaker:ListTags", "inference-component", "it exists"),
    _need("sagemaker:DescribeEndpoint", "endpoint", "it is created: its endpoint must be in service"),
    # service-authorization/latest/reference/list_amazonsagemaker.html: on the component and on its endpoint
    _need(
        "sagemaker:CreateInferenceComponent",
        "inference-component endpoint",
        "it does not exist, or has failed",
    ),
    _need("sagemaker:UpdateInferenceComponent", "inference-component", "its specification differs"),
    _need("sagemaker:UpdateInferenceComponentRuntimeConfig", "inference-component", "copy_count differs"),
    _need("sagemaker:AddTags", "inference-component", "it is created or updated, or tags are missing"),
    _need("sagemaker:DeleteTags", "inference-component", "old runs have tags"),
    _need("sagemaker:DeleteInferenceComponent", "inference-component", "a failed one is replaced"),
    _need("application-autoscaling:DescribeScalableTargets", "any", "copy_count differs"),
    # API_DescribeAlarms.html: "scoped to *" for composite alarms
    _need("cloudwatch:DescribeAlarms", "any", "the rollout has alarms"),
    _need(
        "logs:DescribeLogStreams GetLogEvents",
        "component-logs",
        "it fails: the error has the last log lines",
        optional=True,
    ),
    _need(
        "sagemaker:DescribeModel",
        "model",
        "the same, without the values of the containers' environments",
        optional=True,
    ),
)

#: The permissions of each operator, sensor and trigger. If AWS checks more than the call itself, the page is named.
PERMISSIONS: dict[str, tuple[Permission, ...]] = {
    "BuildImageOperator": (
        _need("ecr:DescribeRepositories BatchGetImage", "repository", "always"),
        *_REPOSITORY,
        _need("ecr:GetAuthorizationToken", "any", "an image is built, or resolve_base=True"),
        # AmazonECR/latest/userguide/image-push-iam.html
        _need(_PUSH, "repository", "an image is built", aws=True),
        _need(
            "ecr:GetDownloadUrlForLayer",
            "repository",
            "a base image is there, or Docker has pushed: the image is read back",
            aws=True,
        ),
        # codebuild/latest/userguide/auth-and-access-control-permissions-reference.html
        _need("codebuild:BatchGetProjects", "build-project", _BY_CODEBUILD),
        _need("codebuild:CreateProject", "build-project", f"{_BY_CODEBUILD}: the project does not exist"),
        _need("codebuild:UpdateProject", "build-project", f"{_BY_CODEBUILD}: the project differs"),
        _need("codebuild:ListBuildsForProject", "build-project", f"{_BY_CODEBUILD}: the project exists"),
        _need("codebuild:StartBuild", "build-project", f"{_BY_CODEBUILD}: no build of it is in progress"),
        _need("codebuild:BatchGetBuilds", "build-project", f"{_BY_CODEBUILD}, and at each poll"),
        _need("iam:GetRole", "build-role", f"{_BY_CODEBUILD}: service_role is a name"),
        _need("iam:PassRole", "build-role", f"{_BY_CODEBUILD}: the project is created or updated", aws=True),
        _need("s3:GetObject PutObject", "build-object", f"{_BY_CODEBUILD}: its context is uploaded"),
        # AmazonS3/latest/API/API_HeadObject.html: without it an object that does not exist is a 403
        _need("s3:ListBucket", "build-bucket", "the same", aws=True),
        _need(
            "s3:AbortMultipartUpload",
            "build-object",
            "the same: 64 MiB or more, and parts of uploads that cannot be resumed are deleted",
            optional=True,
        ),
        _need(
            "s3:ListBucketMultipartUploads",
            "build-bucket",
            "the same: 64 MiB or more, and an interrupted upload is resumed",
            optional=True,
        ),
        _need(
            "s3:ListMultipartUploadParts",
            "build-object",
            "the same, and there are unfinished uploads",
            optional=True,
        ),
        # AmazonS3/latest/userguide/UsingKMSEncryption.html; AmazonS3/latest/API/API_HeadObject.html, ChecksumMode
        _need(
            "kms:GenerateDataKey",
            "key",
            f"{_BY_CODEBUILD}: its context is encrypted with a KMS key",
            aws=True,
        ),
        _need("kms:Decrypt", "key", "the same: its checksum is read", aws=True),
        _need("logs:GetLogEvents", "build-logs", f"{_BY_CODEBUILD}: its log is copied", optional=True),
    ),
    "CopyImageOperator": (
        _need("ecr:DescribeRepositories BatchGetImage", "repository", "always"),
        *_REPOSITORY,
        _need("ecr:GetAuthorizationToken", "any", "the image is not there"),
        _need(_PUSH, "repository", "the same", aws=True),
        # AmazonECR/latest/userguide/image-push-iam.html: pulling, from a repository that is to be listed, too
        _need("ecr:GetDownloadUrlForLayer", "repository", "the same, and it is copied from ECR", aws=True),
    ),
    "UploadModelDataOperator": (
        _need("s3:GetObject", "object", "always"),
        *_UPLOAD,
    ),
    "CopyModelDataOperator": (
        _need("s3:GetObject", "object", "always: of the artifact and of its copy"),
        *_UPLOAD,
    ),
    "GrantAccessOperator": (
        _need("ecr:GetRepositoryPolicy", "repository", "repository_name is given"),
        _need("ecr:SetRepositoryPolicy", "repository", "the same, and its policy does not say so yet"),
        _need("s3:GetBucketPolicy", "bucket", "model_data is given"),
        _need("s3:PutBucketPolicy", "bucket", "the same, and the bucket's policy does not say so yet"),
        _need(
            "sagemaker:DescribeModelPackageGroup GetModelPackageGroupPolicy",
            "package-group",
            "model_package_group_name is given",
        ),
        _need(
            "sagemaker:PutModelPackageGroupPolicy",
            "package-group",
            "the same, and its policy does not say so yet",
        ),
    ),
    "CheckContainerOperator": (
        _need("ecr:DescribeRepositories", "repository", "from_ecr_repository without registry_id"),
        # AmazonECR/latest/userguide/image-push-iam.html: the engine pulls with the worker's token
        _need("ecr:GetAuthorizationToken", "any", "the image is in ECR"),
        _need("ecr:BatchGetImage", "repository", "the same: its tag is resolved, and its manifest is read"),
        _need(
            "ecr:GetDownloadUrlForLayer",
            "repository",
            "the same, and the engine does not have it",
            aws=True,
        ),
        _need("s3:GetObject", "object", "model data is in S3"),
        # AmazonS3/latest/API/API_HeadObject.html: without it an object that does not exist is a 403
        _need("s3:ListBucket", "bucket", "model data is a prefix, or an object that does not exist"),
        # AmazonS3/latest/userguide/UsingKMSEncryption.html
        _need("kms:Decrypt", "key", "the object is encrypted with a KMS key", aws=True),
    ),
    "CreateModelOperator": (
        _need("sagemaker:DescribeModel", "model", "always"),
        _need("sagemaker:CreateModel", "model", "it does not exist"),
        _need("sagemaker:ListTags", "model", "it exists, and tags are given or the name is exact"),
        # service-authorization/latest/reference/list_amazonsagemaker.html: dependent action of the Create operations
        _need("sagemaker:AddTags", "model", "it is created, or tags are missing"),
        _need("iam:GetRole", "role", "execution_role is a name"),
        # API_CreateModel.html
        _need("iam:PassRole", "role", "it is created with an execution role", aws=True),
        _need("ecr:DescribeRepositories", "repository", "from_ecr_repository without registry_id"),
        _need("ecr:BatchGetImage", "repository", "an image is named by tag"),
        _need("s3:GetObject", "object", "model data is one object whose key is not derived from its content"),
        _need(
            "s3:ListBucket",
            "bucket",
            "model data is a prefix, or an object that does not exist",
        ),
        # sagemaker/latest/dg/model-registry-version.html: of a group on its versions
        _need("sagemaker:ListModelPackages", "packages", "ModelPackage.latest_approved"),
        _need("sagemaker:DescribeModelPackage", "packages", "a ModelPackage"),
    ),
    "RegisterModelOperator": (
        _need("sagemaker:DescribeModelPackageGroup", "package-group", "create_group or tags"),
        _need("sagemaker:CreateModelPackageGroup", "package-group", "create_group: it does not exist"),
        _need("sagemaker:ListTags", "package-group", "tags, and it exists"),
        # service-authorization/latest/reference/list_amazonsagemaker.html: dependent action of the Create operations
        _need("sagemaker:AddTags", "package-group", "it is created, or tags are missing"),
        # sagemaker/latest/dg/model-registry-version.html: of a group on its versions
        _need("sagemaker:ListModelPackages", "packages", "always, unless the group is created"),
        _need("sagemaker:BatchDescribeModelPackage", "packages", "the group has versions"),
        _need("sagemaker:DescribeModelPackage", "packages", "a version has the same images and model data"),
        _need("sagemaker:CreateModelPackage", "packages", "no version has this content"),
        _need("ecr:DescribeRepositories", "repository", "from_ecr_repository without registry_id"),
        _need("ecr:BatchGetImage", "repository", "an image is named by tag"),
        _need("s3:GetObject", "object", "model data is one object whose key is not derived from its content"),
        _need(
            "s3:ListBucket",
            "bucket",
            "model data is a prefix, or an object that does not exist",
        ),
    ),
    "ApproveModelOperator": (
        _need("sagemaker:DescribeModelPackage", "packages", "always"),
        _need("sagemaker:UpdateModelPackage", "packages", "it is not decided so already"),
    ),
    "CreateEndpointConfigOperator": (
        _need("sagemaker:DescribeEndpointConfig", "endpoint-config", "always"),
        _need("sagemaker:CreateEndpointConfig", "endpoint-config", "it does not exist"),
        _need("sagemaker:ListTags", "endpoint-config", "it exists, and tags are given or the name is exact"),
        _need("sagemaker:AddTags", "endpoint-config", "it is created, or tags are missing"),
        _need("iam:GetRole", "config-role", "execution_role is a name"),
        # API_CreateEndpointConfig.html, ExecutionRoleArn
        _need("iam:PassRole", "config-role", "it is created with an execution role", aws=True),
    ),
    "DeployEndpointOperator": _DEPLOYMENT,
    "RollbackEndpointOperator": _DEPLOYMENT,
    "DeployInferenceComponentOperator": (
        *_COMPONENT,
        _need("sagemaker:InvokeEndpoint", "endpoint", "smoke_test, unless its kind is streamed"),
        _need("sagemaker:InvokeEndpointWithResponseStream", "endpoint", "smoke_test: kind is streamed"),
        _need("ecr:DescribeRepositories", "repository", "from_ecr_repository without registry_id"),
        _need("ecr:BatchGetImage", "repository", "an image is named by tag"),
    ),
    "RollbackInferenceComponentOperator": _COMPONENT,
    "PlanInferenceComponentOperator": (
        _need("sagemaker:DescribeInferenceComponent", "inference-component", "always"),
        _need("sagemaker:ListTags", "inference-component", "it exists"),
        _need("sagemaker:DescribeEndpoint", "endpoint", "it would be created"),
        _need("application-autoscaling:DescribeScalableTargets", "any", "copy_count differs"),
        _need("cloudwatch:DescribeAlarms", "any", "the rollout has alarms"),
        _need("ecr:DescribeRepositories", "repository", "from_ecr_repository without registry_id"),
        _need("ecr:BatchGetImage", "repository", "an image is named by tag"),
    ),
    "PromoteShadowOperator": (
        *_DEPLOYMENT,
        _need(
            "sagemaker:CreateEndpointConfig",
            "endpoint-config",
            "the config without the shadow does not exist",
        ),
    ),
    # It asks a person, and calls nothing of AWS.
    "ApproveDeploymentOperator": (),
    "PlanDeploymentOperator": (
        _need("sagemaker:DescribeEndpoint", "endpoint", "always"),
        _need("sagemaker:ListTags", "endpoint", "it exists"),
        _need(
            "sagemaker:DescribeEndpointConfig",
            "endpoint-config",
            "always, unless it serves the config and the config's name is derived from its content",
        ),
        _need("sagemaker:DescribeModel", "model", "a variant has another model"),
        _need("application-autoscaling:DescribeScalableTargets", "any", "it would be updated or replaced"),
        _need("application-autoscaling:DescribeScalingPolicies DescribeScheduledActions", "any", _MOVED),
        _need("application-autoscaling:ListTagsForResource", "scalable-target", "the same"),
        _need("sagemaker:ListTags", "endpoint-config", "the same"),
        _need("cloudwatch:DescribeAlarms", "any", "the rollout has alarms, or scaling is restored"),
    ),
    "ConfigureAutoscalingOperator": (
        _need(
            "sagemaker:DescribeEndpoint",
            "endpoint",
            "from_zero is written for an inference component: whether its instances can go, too",
            optional=True,
        ),
        _need("sagemaker:DescribeEndpointConfig", "endpoint-config", "the same", optional=True),
        _need("sagemaker:DescribeEndpoint", "endpoint", "a variant is scaled"),
        _need(
            "sagemaker:DescribeInferenceComponent",
            "inference-component",
            "the copies of an inference component are scaled",
        ),
        _need(
            "sagemaker:DescribeEndpointConfig",
            "endpoint-config",
            "the same as for the endpoint, and something is registered, or min_capacity is not given",
        ),
        _need("application-autoscaling:DescribeScalableTargets", "any", "always"),
        _need("application-autoscaling:DescribeScalingPolicies DescribeScheduledActions", "any", "it exists"),
        _need(
            "application-autoscaling:ListTagsForResource",
            "scalable-target",
            "it exists and something differs",
        ),
        _need(
            "application-autoscaling:RegisterScalableTarget",
            "scalable-target",
            "it does not exist, or differs",
        ),
        _need(
            "application-autoscaling:TagResource",
            "scalable-target",
            "it is created, as it is tagged, or the tags of this package change",
        ),
        _need(
            "application-autoscaling:UntagResource",
            "scalable-target",
            "this package manages much less than before",
        ),
        _need("application-autoscaling:PutScalingPolicy", "scalable-target", "a policy differs"),
        _need("application-autoscaling:DeleteScalingPolicy", "scalable-target", "one is no longer given"),
        _need("application-autoscaling:PutScheduledAction", "scalable-target", "a scheduled action differs"),
        _need("application-autoscaling:DeleteScheduledAction", "scalable-target", "one is no longer given"),
        # autoscaling/application/userguide/security_iam_permission_validation.html, …/security_iam_id-based-policy-examples.html
        _need(
            "sagemaker:UpdateEndpointWeightsAndCapacities", "endpoint", "a variant is registered", aws=True
        ),
        _need(
            "sagemaker:UpdateInferenceComponentRuntimeConfig",
            "inference-component",
            "the copies of an inference component are registered",
            aws=True,
        ),
        _need(
            "cloudwatch:DescribeAlarms",
            "every-alarm",
            "something is registered; and by the task if from_zero is given, or a policy is no longer given",
            aws=True,
        ),
        _need("cloudwatch:PutMetricAlarm DeleteAlarms", "scaling-alarm copies-alarm", "the same", aws=True),
        _need("cloudwatch:ListTagsForResource", "every-alarm", "an alarm acts on one of its step policies"),
        _need("cloudwatch:PutMetricAlarm", "alarm", "from_zero: its alarm does not exist, or differs"),
        _need("cloudwatch:TagResource", "alarm", "the same: it is created, as it is tagged"),
        _need("cloudwatch:DeleteAlarms", "alarm", "from_zero is no longer given, or its alarm_name differs"),
        _need(
            "iam:CreateServiceLinkedRole",
            "scaling-role",
            "the first scalable target of the account is registered",
            aws=True,
        ),
    ),
    "RemoveAutoscalingOperator": (
        _need("application-autoscaling:DescribeScalableTargets", "any", "always"),
        _need(
            "sagemaker:DescribeEndpoint",
            "endpoint",
            "there is no such scalable target: the endpoint's name may be in another case",
            optional=True,
        ),
        _need(
            "sagemaker:DescribeInferenceComponent",
            "inference-component",
            "the same of an inference component",
            optional=True,
        ),
        _need("application-autoscaling:DescribeScalingPolicies DescribeScheduledActions", "any", "it exists"),
        _need("application-autoscaling:ListTagsForResource", "scalable-target", "it exists"),
        _need("application-autoscaling:DeregisterScalableTarget", "scalable-target", "it exists"),
        _need("cloudwatch:DescribeAlarms", "every-alarm", "it has a step policy"),
        _need("cloudwatch:ListTagsForResource", "every-alarm", "an alarm acts on its step policy"),
        _need("cloudwatch:DeleteAlarms", "alarm", "it has the alarm of a ScaleFromZero"),
    ),
    "CreateLatencyAlarmOperator": _ALARM,
    "CreateEndpointAlarmOperator": (
        *_ALARM,
        _need(
            "sagemaker:DescribeEndpointConfig",
            "endpoint-config",
            "an alarm on a GPU metric is written, unless check_endpoint=False",
        ),
    ),
    "CreateCompositeAlarmOperator": (
        # API_DescribeAlarms.html, API_PutCompositeAlarm.html: "scoped to *"
        _need("cloudwatch:DescribeAlarms", "any", "always"),
        _need("cloudwatch:PutCompositeAlarm", "any", "it does not exist, or differs"),
        _need("cloudwatch:ListTagsForResource", "alarm", "it exists"),
        _need("cloudwatch:TagResource", "alarm", "it is created, as it is tagged, or tags are missing"),
    ),
    "CreateEndpointDashboardOperator": (
        _need("sagemaker:DescribeEndpoint", "endpoint", "always"),
        _need("sagemaker:DescribeEndpointConfig", "endpoint-config", "always"),
        # Service authorization reference, "Amazon CloudWatch": dashboards are in no Region
        _need("cloudwatch:GetDashboard", "dashboard", "always"),
        _need("cloudwatch:PutDashboard", "dashboard", "it does not exist, or differs"),
        # service-authorization/latest/reference/list_awsapplicationautoscaling.html: of no resource
        _need("application-autoscaling:DescribeScalableTargets", "any", "always"),
        _need("cloudwatch:DescribeAlarms", "any", "alarm_names"),
    ),
    "get_metric": (_need("cloudwatch:GetMetricData", "any", "always"),),
    "InvokeEndpointOperator": (
        *_asking("", "always, unless kind is streamed or asynchronous"),
        _need(
            "sagemaker:DescribeEndpoint",
            "endpoint",
            "endpoint or target_variant is not found: the name may be in another case, and the error lists the variants; or kind is auto, "
            "and the endpoint is asynchronous",
            optional=True,
        ),
        _need(
            "sagemaker:DescribeEndpointConfig",
            "endpoint-config",
            "the answer is an error or not the expected one: it is shown, without the values of the containers' environments",
            optional=True,
        ),
        _need("sagemaker:DescribeModel", "model", "the same", optional=True),
    ),
    "ReportShadowOperator": (
        _need("sagemaker:DescribeEndpoint", "endpoint", "always"),
        _need("sagemaker:DescribeEndpointConfig", "endpoint-config", "always"),
        _need("cloudwatch:GetMetricData", "any", "always"),
        _need("s3:ListBucket", "captured-bucket", "the endpoint captures data"),
        _need("s3:GetObject", "captured-object", "the same, and there is some"),
    ),
    "ShiftTrafficOperator": (
        _need("sagemaker:DescribeEndpoint", "endpoint", "always, and at each poll"),
        _need("sagemaker:ListTags", "endpoint", "always"),
        _need("sagemaker:AddTags", "endpoint", "something is shifted: its tags hold what was before"),
        _need("sagemaker:UpdateEndpointWeightsAndCapacities", "endpoint", "something is shifted"),
        _need("application-autoscaling:DescribeScalableTargets", "any", "an instance count is set"),
    ),
    "DeleteEndpointOperator": (
        _need("sagemaker:DescribeEndpoint", "endpoint", "always, and at each poll"),
        _need("sagemaker:ListTags", "endpoint", "it exists, and adopt is False"),
        _need("sagemaker:DescribeEndpointConfig", "endpoint-config", "it exists"),
        _need("sagemaker:DeleteEndpoint", "endpoint", "it exists"),
        _need("sagemaker:ListInferenceComponents", "any", "a variant has no model, or delete_models"),
        _need("sagemaker:DescribeInferenceComponent", "every-inference-component", "the same"),
        _need("sagemaker:ListTags", "inference-component", "delete_inference_components"),
        _need("sagemaker:DeleteInferenceComponent", "inference-component", "the same"),
        _need("sagemaker:ListEndpoints", "any", "delete_endpoint_config or delete_models"),
        _need("sagemaker:DescribeEndpoint", "every-endpoint", "the same"),
        _need("sagemaker:DescribeEndpointConfig", "every-endpoint-config", "the same"),
        _need("sagemaker:DeleteEndpointConfig", "endpoint-config", "delete_endpoint_config"),
        _need("sagemaker:DeleteModel", "model", "delete_models"),
        _need("application-autoscaling:DescribeScalableTargets", "any", "it exists"),
        # DeleteEndpoint's own refusal names it, too (awslabs/stable-diffusion-aws-extension#161)
        _need(
            "application-autoscaling:DeregisterScalableTarget",
            "scalable-target",
            "a variant is a scalable target, or a deleted component's copies are",
        ),
        _need(
            "application-autoscaling:DescribeScalingPolicies",
            "any",
            "a deleted component's copies are a scalable target: which alarm wakes them",
            optional=True,
        ),
        # A list of metric alarms; only one of composite alarms must be allowed on "*" (API_DescribeAlarms.html).
        _need("cloudwatch:DescribeAlarms", "every-alarm", "always"),
        # The owner of an alarm is not known before, so any name is possible, also those of autoscaling.
        _need("cloudwatch:ListTagsForResource", "every-alarm", "there are alarms on it"),
        _need("cloudwatch:DeleteAlarms", "alarm rollout-alarm", "alarms on it were created by this package"),
    ),
    "DeleteInferenceComponentOperator": (
        _need("sagemaker:DescribeInferenceComponent", "inference-component", "always, and at each poll"),
        _need("sagemaker:ListInferenceComponents", "any", "it exists, and is no adapter"),
        _need("sagemaker:DescribeInferenceComponent", "every-inference-component", "the same"),
        _need("sagemaker:ListTags", "inference-component", "it exists, and adopt is False"),
        _need("application-autoscaling:DescribeScalableTargets", "any", "it exists"),
        _need(
            "application-autoscaling:DeregisterScalableTarget",
            "scalable-target",
            "its copies are a scalable target",
        ),
        _need(
            "application-autoscaling:DescribeScalingPolicies",
            "any",
            "the same: which alarm wakes them from zero",
            optional=True,
        ),
        _need(
            "cloudwatch:DescribeAlarms", "every-alarm", "the same, and there is a step policy", optional=True
        ),
        _need(
            "cloudwatch:ListTagsForResource", "every-alarm", "the same, and it has an alarm", optional=True
        ),
        _need("cloudwatch:DeleteAlarms", "alarm", "the same, and it is of a ScaleFromZero"),
        _need("sagemaker:DeleteInferenceComponent", "inference-component", "it exists"),
    ),
    "CleanUpHostingOperator": (
        _need(
            "sagemaker:ListEndpoints ListEndpointConfigs ListModels ListInferenceComponents", "any", "always"
        ),
        _need("sagemaker:DescribeInferenceComponent ListTags", "every-inference-component", "always"),
        _need("sagemaker:DescribeEndpoint ListTags", "every-endpoint", "always"),
        _need("sagemaker:DescribeEndpointConfig", "every-endpoint-config", "always"),
        _need("sagemaker:DescribeModel", "every-model", "always"),
        _need("sagemaker:ListTags", "every-endpoint-config every-model", "no endpoint needs it"),
        _need("sagemaker:DeleteEndpointConfig", "endpoint-config", "dry_run=False"),
        _need("sagemaker:DeleteModel", "model", "the same"),
        _need("ecr:DescribeImages", "repository", "repository_names"),
        _need("ecr:BatchDeleteImage", "repository", "the same, and dry_run=False"),
        _need("s3:ListBucket", "bucket", "model_data_prefixes"),
        _need("s3:GetObject", "object", "the same"),
        _need("s3:ListBucketMultipartUploads", "bucket", "model_data_prefixes"),
        _need("s3:DeleteObject AbortMultipartUpload", "object", "the same, and dry_run=False"),
        # sagemaker/latest/dg/model-registry-version.html: on the versions
        _need(
            "sagemaker:ListModelPackages DescribeModelPackage",
            "every-package",
            "there are images or artifacts to delete: those of model packages stay",
        ),
    ),
    "EnsureExecutionRoleOperator": (
        _need("iam:GetRole", "role", "always, and until IAM shows the change"),
        _need("iam:ListRolePolicies ListAttachedRolePolicies GetRolePolicy", "role", "it exists"),
        _need("iam:CreateRole", "role", "it does not exist"),
        # IAM/latest/UserGuide/id_tags.html
        _need("iam:TagRole", "role", "it is created, as it is tagged, or tags are missing"),
        _need("iam:PutRolePolicy", "role", "its policy does not exist, or differs"),
        _need("iam:UpdateAssumeRolePolicy", "role", "SageMaker may not assume it"),
        _need("iam:PutRolePermissionsBoundary", "role", "permissions_boundary differs"),
    ),
    "EndpointInServiceSensor": (_need("sagemaker:DescribeEndpoint", "endpoint", "at each poll"),),
    "EndpointDriftSensor": (
        _need("sagemaker:DescribeEndpoint ListTags", "endpoint", "at each look"),
        _need(
            "application-autoscaling:DescribeScalableTargets DescribeScalingPolicies DescribeScheduledActions",
            "any",
            "scaled_variants are given",
        ),
        _need("application-autoscaling:ListTagsForResource", "scalable-target", "the same"),
        # API_DescribeAlarms.html: "scoped to *" for composite alarms
        _need("cloudwatch:DescribeAlarms", "any", "alarms are given"),
    ),
    "InferenceComponentInServiceSensor": (
        _need("sagemaker:DescribeInferenceComponent", "inference-component", "at each poll"),
    ),
    "ModelPackageApprovedSensor": (_need("sagemaker:DescribeModelPackage", "packages", "at each poll"),),
    # For the triggerer, which may have its own identity.
    "ModelPackageTrigger": (_need("sagemaker:BatchDescribeModelPackage", "packages", "at each poll"),),
    "ModelPackageEventTrigger": (
        _need("sqs:GetQueueUrl", "queue", "queue is a name"),
        _need("sqs:ReceiveMessage", "queue", "at each poll"),
        # AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html: also for the batch
        _need("sqs:DeleteMessage", "queue", "there are events"),
    ),
    "ImageBuildTrigger": (_need("codebuild:BatchGetBuilds", "build-project", "at each poll"),),
    "AsyncAnswerTrigger": _answers(
        "at each poll", aws_when="always: without it, S3 does not say that an answer is not there yet"
    ),
    "EndpointTrigger": (
        _need("sagemaker:DescribeEndpoint", "endpoint", "at each poll"),
        _need(
            "sagemaker:ListEndpoints",
            "any",
            "many tasks wait: fewer calls than one per endpoint",
            optional=True,
        ),
        _need(
            "sagemaker:DescribeInferenceComponent",
            "inference-component",
            "at each poll of an inference component",
        ),
        _need(
            "sagemaker:ListInferenceComponents",
            "any",
            "many tasks wait: fewer calls than one per inference component",
            optional=True,
        ),
    ),
}

#: The actions that AWS allows on ``*`` only, and the page that says so: they have no resource type there, or the API's page asks for it.
UNSCOPED: dict[str, str] = {
    "ecr:GetAuthorizationToken": "service-authorization/latest/reference/list_amazonelasticcontainerregistry.html",
    **dict.fromkeys(
        (
            "application-autoscaling:DescribeScalableTargets",
            "application-autoscaling:DescribeScalingPolicies",
            "application-autoscaling:DescribeScheduledActions",
        ),
        "service-authorization/latest/reference/list_awsapplicationautoscaling.html",
    ),
    **dict.fromkeys(
        (
            "sagemaker:ListEndpoints",
            "sagemaker:ListEndpointConfigs",
            "sagemaker:ListModels",
            "sagemaker:ListInferenceComponents",
        ),
        "service-authorization/latest/reference/list_amazonsagemaker.html",
    ),
    "cloudwatch:GetMetricData": "service-authorization/latest/reference/list_amazoncloudwatch.html",
    # Of composite alarms, which a rollout may name.
    "cloudwatch:DescribeAlarms": "AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html",
    "cloudwatch:PutCompositeAlarm": "AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html",
}

#: Scalable targets of this package: those that are made with its tag, and those that have it.
_MADE_BY_US, _HELD_BY_US = (
    {"StringEquals": {f"aws:{whose}Tag/{MANAGED_BY}": PACKAGE}} for whose in ("Request", "Resource")
)

#: The conditions of permissions, for all operators; of several one must hold.
CONDITIONS: dict[str, tuple[dict[str, Any], ...]] = {
    # IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
    "iam:PassRole": ({"StringEquals": {"iam:PassedToService": SAGEMAKER}},),
    "iam:CreateServiceLinkedRole": ({"StringEquals": {"iam:AWSServiceName": SCALING_SERVICE}},),
    # service-authorization/latest/reference/list_awsapplicationautoscaling.html
    **{
        f"application-autoscaling:{action}": (
            {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}},
        )
        for action in (
            "RegisterScalableTarget",
            "DeregisterScalableTarget",
            "PutScalingPolicy",
            "DeleteScalingPolicy",
            "PutScheduledAction",
            "DeleteScheduledAction",
        )
    },
    TAG_TARGET: (_MADE_BY_US, _HELD_BY_US),
    "application-autoscaling:UntagResource": (_HELD_BY_US,),
}

#: The conditions of permissions on one kind of resource, in place of those above.
CONDITIONS_ON: dict[tuple[str, str], tuple[dict[str, Any], ...]] = {
    ("iam:PassRole", "build-role"): ({"StringEquals": {"iam:PassedToService": CODEBUILD}},),
}

#: IAM actions that can require a permissions boundary, so that a worker cannot create roles beyond the boundary.
BOUNDED = ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary")

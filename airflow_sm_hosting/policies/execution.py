"""The execution role: its trust policy, and the permissions that a model's containers and SageMaker itself need while an endpoint runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.policies.document import VERSION, allow, check_statement, document
from airflow_sm_hosting.policies.resources import (
    ANY,
    Place,
    key_arns,
    log_group_arns,
    named_arns,
    place,
    repository_arns,
    s3_places,
    sagemaker_arns,
)
from airflow_sm_hosting.spec.checks import check_boolean, check_text
from airflow_sm_hosting.spec.rendered import as_list

#: The service that assumes the role; the same in all partitions.
SAGEMAKER = "sagemaker.amazonaws.com"

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html: the permissions to pull, beside the token.
PULL = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")

#: Namespaces of the instance metrics of endpoints and of the metrics of SageMaker's own containers
#: (https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html).
METRIC_NAMESPACES = ("/aws/sagemaker/*",)

#: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html, "CreateModel API": all on ``*`` there.
VPC_DESCRIBE = (
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeVpcs",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
)
VPC_CHANGE = (
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
)


def trust() -> dict[str, Any]:
    """Return the trust policy that lets SageMaker assume a role.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
    """
    return {
        "Version": VERSION,
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": SAGEMAKER}, "Action": "sts:AssumeRole"},
        ],
    }


def execution_role(
    *,
    model_data: Iterable[Any] = (),
    repositories: Iterable[Any] = (),
    kms_key_ids: Iterable[str] = (),
    output_data: Iterable[Any] = (),
    output_kms_key_ids: Iterable[str] = (),
    volume_kms_key_ids: Iterable[str] = (),
    topics: Iterable[str] = (),
    alarms: Iterable[str] = (),
    secrets: Iterable[str] = (),
    vpc: bool = False,
    subnets: Iterable[str] = (),
    security_group_ids: Iterable[str] = (),
    endpoints: Iterable[str] = (ANY,),
    metric_namespaces: Iterable[str] = METRIC_NAMESPACES,
    statements: Iterable[Mapping[str, Any]] = (),
    region_name: str = ANY,
    account_id: str = ANY,
    partition: str | None = None,
) -> dict[str, Any]:
    """Return the least-privilege policy of a model's execution role: neither a whole bucket nor AmazonSageMakerFullAccess.

    Without arguments the policy allows what every role needs: logs and metrics of its endpoints.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html, "CreateModel API: Execution Role Permissions"

    :param model_data: Data to read: ``s3://`` or ``https://`` URLs of prefixes (ending ``/``) or objects, or
        :class:`~airflow_sm_hosting.ModelData`. An object stands for the prefix that it lies in: artifacts of former models stay readable.
        Inputs of asynchronous invocations, too.
    :param repositories: ECR repositories of the containers: names, ARNs, image URIs, or
        :class:`~airflow_sm_hosting.ContainerImage`.
    :param kms_key_ids: Keys that the model data is encrypted with, as ids or ARNs.
    :param output_data: Data to write: URLs of prefixes for captured data and results of asynchronous invocations.
    :param output_kms_key_ids: Keys that encrypt the written data.
    :param volume_kms_key_ids: Keys of the endpoint configs (``KmsKeyId``).
    :param topics: SNS topics of asynchronous invocations, as names or ARNs.
    :param alarms: CloudWatch alarms that roll back a deployment, as names or ARNs.
    :param secrets: Secrets Manager secrets that the containers read, as ARNs (or names, ``-??????`` is added).
    :param vpc: Whether the model is in a VPC (default: if ``subnets`` are given).
    :param subnets: The model's subnets, to limit where network interfaces are made (default: anywhere).
    :param security_group_ids: The model's security groups, for the same.
    :param endpoints: Names of the endpoints whose logs are written (default: all).
    :param metric_namespaces: CloudWatch namespaces that metrics are put into, ``*`` as a wildcard (default: ``/aws/sagemaker/*``).
    :param statements: Further statements as they are, for what the containers do by themselves.
    :param region_name: Region of resources given by name (default: any).
    :param account_id: Account of resources given by name (default: any).
    :param partition: ``aws``, ``aws-cn``, ``aws-us-gov``, … (default: the Region's).
    :raises InvalidSpecError: A name, ARN or URL is malformed, or stands for a whole bucket.
    """
    at = place(region_name, account_id, partition)
    given = [
        *reading(as_list("model_data", model_data), at),
        *_writing(as_list("output_data", output_data), at),
        *_pulling(as_list("repositories", repositories), at),
        *_keys("kms_key_ids", kms_key_ids, ("kms:Decrypt",), at),
        # Multipart uploads decrypt, too; Encrypt is what the page above names for outputs.
        *_keys(
            "output_kms_key_ids",
            output_kms_key_ids,
            ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"),
            at,
        ),
        *_keys("volume_kms_key_ids", volume_kms_key_ids, ("kms:CreateGrant",), at),
        *_logs(as_list("endpoints", endpoints), at),
        *_metrics(as_list("metric_namespaces", metric_namespaces)),
        *_network(vpc, as_list("subnets", subnets), as_list("security_group_ids", security_group_ids), at),
        *_others(as_list("topics", topics), as_list("alarms", alarms), as_list("secrets", secrets), at),
    ]
    further = as_list("statements", statements)
    for index, statement in enumerate(further):
        check_statement(f"statements[{index}]", statement)
    found = document(given)
    return {**found, "Statement": [*found["Statement"], *further]}


def invoke_endpoint(
    *endpoints: str,
    synchronous: bool = True,
    asynchronous: bool = False,
    streaming: bool = False,
    region_name: str = ANY,
    account_id: str = ANY,
    partition: str | None = None,
) -> dict[str, Any]:
    """Return the policy of a principal that invokes endpoints.

    .. seealso:: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html

    :param endpoints: Names or ARNs of endpoints, ``*`` as a wildcard; one at least.
    :param synchronous: Whether InvokeEndpoint is allowed (default: True).
    :param asynchronous: Whether InvokeEndpointAsync is allowed (default: False). Putting the input into S3 is another permission.
    :param streaming: Whether InvokeEndpointWithResponseStream is allowed (default: False).
    :param region_name: Region of endpoints given by name (default: any).
    :param account_id: Account of endpoints given by name (default: any).
    :param partition: ``aws``, ``aws-cn``, ``aws-us-gov``, … (default: the Region's).
    :raises InvalidSpecError: A name or ARN is malformed, or nothing would be allowed.
    """
    chosen = {
        "sagemaker:InvokeEndpoint": synchronous,
        "sagemaker:InvokeEndpointAsync": asynchronous,
        "sagemaker:InvokeEndpointWithResponseStream": streaming,
    }
    for name, value in (
        ("synchronous", synchronous),
        ("asynchronous", asynchronous),
        ("streaming", streaming),
    ):
        check_boolean(f"invoke_endpoint: {name}", value)
    actions = [action for action, wanted in chosen.items() if wanted]
    arns = sagemaker_arns("endpoints", "endpoint", endpoints, place(region_name, account_id, partition))
    check_some("endpoints", arns, "names or ARNs of one endpoint or more")
    check_some("synchronous, asynchronous, streaming", actions, "one of them True")
    return document([allow(actions, arns)])


def image_pull(
    *,
    principals: Iterable[str] = (),
    service_accounts: Iterable[str] = (),
    partition: str = "aws",
) -> dict[str, Any]:
    """Return the policy of an ECR repository that allows others to pull its images; attach it with SetRepositoryPolicy.

    .. seealso:: https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policies.html

    :param principals: The principals that pull: ARNs of execution roles, or accounts of 12 digits (whose own policies then decide).
    :param service_accounts: Accounts in which SageMaker itself pulls, as it does for serverless variants.
    :param partition: Partition of accounts given by number (default: ``aws``).
    :raises InvalidSpecError: A principal is malformed, or there is none.
    """
    place(partition=partition)
    arns = [principal_arn(principal, partition) for principal in as_list("principals", principals)]
    accounts = as_list("service_accounts", service_accounts)
    for account in accounts:
        check_text(
            "service_accounts", account, pattern=r"\d{12}", allowed="accounts of 12 digits, as strings"
        )
    check_some("principals", [*arns, *accounts], "ARNs of roles or accounts, or service_accounts")
    statements: list[dict[str, Any]] = []
    if arns:
        statements.append({"Effect": "Allow", "Principal": {"AWS": sorted(arns)}, "Action": sorted(PULL)})
    if accounts:
        statements.append(
            {
                "Effect": "Allow",
                "Principal": {"Service": SAGEMAKER},
                "Action": sorted(PULL),
                # https://docs.aws.amazon.com/sagemaker/latest/dg/security-confused-deputy-prevention.html
                "Condition": {"StringEquals": {"aws:SourceAccount": sorted(accounts)}},
            }
        )
    return {"Version": VERSION, "Statement": statements}


def reading(urls: list[Any], at: Place) -> list[dict[str, Any]]:
    """Return the statements that allow to read model data."""
    found = s3_places("model_data", urls)
    objects = [_object_arn(at, bucket, key) for bucket, key in found]
    lists = [
        _listing(at, bucket, [key for other, key in found if other == bucket]) for bucket in _buckets(found)
    ]
    return [allow(["s3:GetObject"], objects), *lists] if found else []


def _writing(urls: list[Any], at: Place) -> list[dict[str, Any]]:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-create-endpoint-prerequisites.html
    found = s3_places("output_data", urls, prefixes=True)
    objects = [_object_arn(at, bucket, key) for bucket, key in found]
    lists = [
        _listing(at, bucket, [key for other, key in found if other == bucket]) for bucket in _buckets(found)
    ]
    return [allow(["s3:PutObject", "s3:AbortMultipartUpload"], objects), *lists] if found else []


def _listing(at: Place, bucket: str, keys: list[str]) -> dict[str, Any]:
    """Return the permission to list the prefixes to read, not the whole bucket; without it S3 answers 403 instead of 404."""
    prefixes = sorted({f"{key}*" if key.endswith("/") else key for key in keys})
    return allow(
        ["s3:ListBucket"],
        [f"arn:{at.partition}:s3:::{bucket}"],
        {"StringLike": {"s3:prefix": prefixes}},
    )


def _pulling(repositories: list[Any], at: Place) -> list[dict[str, Any]]:
    if not repositories:
        return []
    return [
        allow(PULL, repository_arns("repositories", repositories, at)),
        # It has no resource: list_amazonelasticcontainerregistry.html of the service authorization reference.
        allow(["ecr:GetAuthorizationToken"], [ANY]),
    ]


def _keys(where: str, keys: Iterable[str], actions: tuple[str, ...], at: Place) -> list[dict[str, Any]]:
    arns = key_arns(where, as_list(where, keys), at)
    return [allow(actions, arns)] if arns else []


def _logs(endpoints: list[str], at: Place) -> list[dict[str, Any]]:
    actions = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
    arns = log_group_arns("endpoints", endpoints, at)
    return [allow(actions, arns)] if arns else []


def _metrics(namespaces: list[str]) -> list[dict[str, Any]]:
    for namespace in namespaces:
        check_text(
            "metric_namespaces",
            namespace,
            pattern=r"[^:\s][^:]*",
            max_length=255,
            allowed="namespaces of 1 to 255 characters without ':'",
        )
    if not namespaces:
        return []
    # It has no resource; the namespace is a condition:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/iam-cw-condition-keys-namespace.html
    condition = {"StringLike": {"cloudwatch:namespace": sorted(namespaces)}}
    return [allow(["cloudwatch:PutMetricData"], [ANY], condition)]


def _network(vpc: bool, subnets: list[str], groups: list[str], at: Place) -> list[dict[str, Any]]:
    check_boolean("vpc", vpc)
    if not (vpc or subnets or groups):
        return []
    interfaces = at.arn("ec2", "network-interface/*")
    subnet_arns = named_arns(
        "subnets",
        subnets or [ANY],
        at,
        service="ec2",
        resource="subnet/{}",
        pattern=r"subnet-[0-9a-z]+|\*",
        noun="subnets",
    )
    group_arns = named_arns(
        "security_group_ids",
        groups or [ANY],
        at,
        service="ec2",
        resource="security-group/{}",
        pattern=r"sg-[0-9a-z]+|\*",
        noun="security groups",
    )
    return [
        allow(VPC_DESCRIBE, [ANY]),
        allow(VPC_CHANGE, [interfaces]),
        allow(["ec2:CreateNetworkInterface"], [interfaces, *subnet_arns, *group_arns]),
    ]


def _others(topics: list[str], alarms: list[str], secrets: list[str], at: Place) -> list[dict[str, Any]]:
    topic_arns = named_arns(
        "topics", topics, at, service="sns", resource="{}", pattern=r"[\w.*?-]{1,256}", noun="SNS topics"
    )
    alarm_arns = named_arns(
        "alarms",
        alarms,
        at,
        service="cloudwatch",
        resource="alarm:{}",
        pattern=r".{1,255}",
        noun="CloudWatch alarms",
    )
    # The ARN of a secret ends with six random characters:
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_iam-policies.html
    secret_arns = named_arns(
        "secrets",
        [f"{one}-??????" if isinstance(one, str) and not one.startswith("arn:") else one for one in secrets],
        at,
        service="secretsmanager",
        resource="secret:{}",
        pattern=r"[\w/+=.@*?-]{1,519}",
        noun="secrets",
    )
    found = (
        ("sns:Publish", topic_arns),
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
        ("cloudwatch:DescribeAlarms", alarm_arns),
        ("secretsmanager:GetSecretValue", secret_arns),
    )
    return [allow([action], arns) for action, arns in found if arns]


def _buckets(places: list[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(bucket for bucket, _ in places))


def _object_arn(at: Place, bucket: str, key: str) -> str:
    return f"arn:{at.partition}:s3:::{bucket}/{key}{ANY if key.endswith('/') else ''}"


def principal_arn(principal: Any, partition: str) -> str:
    """Return the ARN of a principal, which may be given as an account of 12 digits."""
    check_text(
        "principals",
        principal,
        pattern=r"\d{12}|arn:aws[a-z-]*:(iam|sts)::\d{12}:(root|(role|user|assumed-role)/[\w+=,.@/-]+)",
        allowed="ARNs of roles, users or accounts, or accounts of 12 digits",
    )
    return f"arn:{partition}:iam::{principal}:root" if principal.isdecimal() else str(principal)


def check_some(where: str, found: list[Any], allowed: str) -> None:
    """Check that something is given."""
    if not found:
        raise InvalidSpecError(f"{where}: nothing is given; allowed: {allowed}.")

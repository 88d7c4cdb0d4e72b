"""The few places where moto's own objects are touched: one function or class each, held by ``test_moto_contract.py``.

Everything else of moto is used through its HTTP interface, as any AWS client would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from botocore.loaders import Loader
from moto.cloudwatch.exceptions import CloudWatchException
from moto.cloudwatch.responses import CloudWatchResponse
from moto.cloudwatch.urls import url_paths as cloudwatch_paths
from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores
from moto.ecr.models import ecr_backends
from moto.iam.exceptions import IAMException
from moto.iam.responses import IamResponse
from moto.iam.urls import url_paths as iam_paths
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.sts.models import sts_backends

from airflow_sm_hosting.local.wire.protocol import AwsError

if TYPE_CHECKING:
    from moto.ecr.models import ECRBackend, Repository

ACCOUNT_ID: str = DEFAULT_ACCOUNT_ID

#: What answers for a service, what it refuses with, and its table of paths.
_SERVICES: dict[str, tuple[type[BaseResponse], type[ServiceException], dict[str, Any]]] = {
    "cloudwatch": (CloudWatchResponse, CloudWatchException, cloudwatch_paths),
    "iam": (IamResponse, IAMException, iam_paths),
}


def s3_object(bucket: str, key: str) -> bytes | None:
    """Return the content of an S3 object, or None where it does not exist."""
    found = s3_object_exists(bucket, key) and s3_backends[ACCOUNT_ID]["aws"].get_object(bucket, key)
    return found.value if found else None


def s3_object_exists(bucket: str, key: str) -> bool:
    """Tell whether an S3 object exists."""
    backend = s3_backends[ACCOUNT_ID]["aws"]
    return bucket in backend.buckets and backend.get_object(bucket, key) is not None


def put_s3_object(bucket: str, key: str, data: bytes) -> bool:
    """Write an S3 object, and tell whether there is such a bucket."""
    backend = s3_backends[ACCOUNT_ID]["aws"]
    if bucket not in backend.buckets:
        return False
    backend.put_object(bucket, key, data)
    return True


def s3_keys(bucket: str, prefix: str) -> list[str]:
    """Return the keys under a prefix, sorted; none where the bucket does not exist."""
    backend = s3_backends[ACCOUNT_ID]["aws"]
    if bucket not in backend.buckets:
        return []
    found, _, _, _ = backend.list_objects(backend.get_bucket(bucket), prefix, None, None, None)
    return [key.name for key in found]


def put_log_lines(region: str, group: str, stream: str, lines: Sequence[str]) -> None:
    """Write lines to a CloudWatch Logs stream, made where it is absent."""
    backend = logs_backends[ACCOUNT_ID][region]
    backend.ensure_log_group(group)
    backend.ensure_log_stream(group, stream)
    time_ms = int(time.time() * 1000)
    backend.put_log_events(group, stream, [{"timestamp": time_ms, "message": line} for line in lines])


def replace_operations(
    service: Literal["cloudwatch", "iam"],
    operations: Sequence[str],
    answer: Callable[[str, Mapping[str, Any], str], dict[str, Any]],
) -> None:
    """Have a service of moto's answer some operations by a function, in the protocol in which they are asked.

    It takes operation, members and Region, and returns the members of the answer or raises an :class:`AwsError`. In
    this process, for the applications that are made from now on.
    """
    responses, refusal, paths = _SERVICES[service]

    def method(operation: str) -> Callable[[BaseResponse], ActionResult]:
        def respond(self: BaseResponse) -> ActionResult:
            try:
                return ActionResult(answer(operation, dict(self.params), self.region))
            except AwsError as error:
                raise refusal(error.code, error.message) from error

        return respond

    methods = {camelcase_to_underscores(operation): method(operation) for operation in operations}
    paths["{0}/$"] = type(responses.__name__, (responses,), methods).dispatch  # type: ignore[attr-defined]


def publish(topic_arn: str, subject: str, message: str) -> None:
    """Publish to an SNS topic.

    :raises Exception: moto's refusal.
    """
    # Not imported before it is needed: it brings SQS and Lambda.
    from moto.sns.models import sns_backends

    region = topic_arn.split(":")[3]
    sns_backends[ACCOUNT_ID][region].publish(message=message, arn=topic_arn, subject=subject)


@cache
def region_description(region: str) -> str:
    """Return ``US East (N. Virginia)`` for ``us-east-1``, as messages of CloudWatch name Regions."""
    for partition in Loader().load_data("endpoints")["partitions"]:
        if region in partition["regions"]:
            return str(partition["regions"][region]["description"])
    return region


def ecr(region: str) -> ECRBackend:
    """Return moto's ECR of a Region: its ``repositories``."""
    return ecr_backends[ACCOUNT_ID][region]


def find_repository(name: str, regions: Sequence[str]) -> Repository | None:
    """Return the ECR repository of that name in the first of the Regions that has it."""
    for region in regions:
        if name in ecr(region).repositories:
            return ecr(region).repositories[name]
    return None


def is_issued_key(access_key: str) -> bool:
    """Tell whether an access key comes from this server's own STS: sessions of assumed roles."""
    return sts_backends[ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(access_key) is not None

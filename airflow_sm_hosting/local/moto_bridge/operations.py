"""Operations of moto's services that functions of this package answer, in the protocol in which they are asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from moto.cloudwatch.exceptions import CloudWatchException
from moto.cloudwatch.responses import CloudWatchResponse
from moto.cloudwatch.urls import url_paths as cloudwatch_paths
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores
from moto.iam.exceptions import IAMException
from moto.iam.responses import IamResponse
from moto.iam.urls import url_paths as iam_paths
from moto.resourcegroupstaggingapi.exceptions import ResourceGroupsTaggingAPIError
from moto.resourcegroupstaggingapi.responses import ResourceGroupsTaggingAPIResponse
from moto.resourcegroupstaggingapi.urls import url_paths as tagging_paths

from airflow_sm_hosting.local.wire.errors import AwsError

#: What answers for a service, what it refuses with, and its table of paths.
_SERVICES: dict[str, tuple[type[BaseResponse], type[ServiceException], dict[str, Any]]] = {
    "cloudwatch": (CloudWatchResponse, CloudWatchException, cloudwatch_paths),
    "iam": (IamResponse, IAMException, iam_paths),
    "tagging": (ResourceGroupsTaggingAPIResponse, ResourceGroupsTaggingAPIError, tagging_paths),
}


def replace_operations(
    service: Literal["cloudwatch", "iam", "tagging"],
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
                made: Any = refusal(error.code, error.message)
                made.status_code = error.status
                raise made from error

        return respond

    methods = {camelcase_to_underscores(operation): method(operation) for operation in operations}
    paths["{0}/$"] = type(responses.__name__, (responses,), methods).dispatch  # type: ignore[attr-defined]

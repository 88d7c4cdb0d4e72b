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

_Service = Literal["cloudformation", "cloudwatch", "iam", "tagging"]


def _parts(service: _Service) -> tuple[type[BaseResponse], type[ServiceException], dict[str, Any]]:
    """Return what answers for a service, what it refuses with, and its table of paths."""
    match service:
        case "cloudwatch":
            return CloudWatchResponse, CloudWatchException, cloudwatch_paths
        case "iam":
            return IamResponse, IAMException, iam_paths
        case "tagging":
            return ResourceGroupsTaggingAPIResponse, ResourceGroupsTaggingAPIError, tagging_paths
    # Not imported before it is needed: it brings most of moto.
    from moto.cloudformation.exceptions import CloudFormationError
    from moto.cloudformation.responses import CloudFormationResponse
    from moto.cloudformation.urls import url_paths

    return CloudFormationResponse, CloudFormationError, url_paths


def replace_operations(
    service: _Service,
    operations: Sequence[str],
    answer: Callable[[str, Mapping[str, Any], str], dict[str, Any] | None],
    *,
    all_of_them: bool = False,
) -> None:
    """Have a service of moto's answer some operations by a function, in the protocol in which they are asked.

    It takes operation, members and Region, and returns the members of the answer, or None where moto answers, or raises an :class:`AwsError`. In
    this process, for the applications that are made from now on.

    :param all_of_them: Whether these are all operations, so that nothing of an answer is moto's.
    """
    responses, refusal, paths = _parts(service)

    def method(operation: str) -> Callable[[BaseResponse], ActionResult]:
        def respond(self: BaseResponse) -> ActionResult:
            try:
                members = answer(operation, dict(self.params), self.region)
            except AwsError as error:
                made: Any = refusal(error.code, error.message)
                made.status_code = error.status
                raise made from error
            if members is None:
                made_by_moto: ActionResult = getattr(responses, camelcase_to_underscores(operation))(self)
                return made_by_moto
            return ActionResult(members)

        return respond

    own: dict[str, Any] = {camelcase_to_underscores(operation): method(operation) for operation in operations}
    if all_of_them:
        # How moto turns its objects into members.
        own["RESPONSE_KEY_PATH_TO_TRANSFORMER"] = {}
    paths["{0}/$"] = type(responses.__name__, (responses,), own).dispatch  # type: ignore[attr-defined]

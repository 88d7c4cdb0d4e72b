"""Describing one endpoint and listing all of them, with the number of requests that each took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from botocore.exceptions import ClientError

from airflow_sm_hosting.deployment.status import Described
from airflow_sm_hosting.hooks.errors import is_absent

if TYPE_CHECKING:
    from types_boto3_sagemaker.type_defs import ListEndpointsInputTypeDef

    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

T = TypeVar("T")

#: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListEndpoints.html: the greatest MaxResults.
PAGE_SIZE = 100


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What AWS answered.

    :param value: The answer.
    :param requests: How many requests it took: botocore repeats one that was throttled by itself.
    """

    value: T
    requests: int


@dataclass(frozen=True)
class Page:
    """A page of endpoints.

    :param rows: One an endpoint; its members are some of DescribeEndpoint's.
    :param next_token: Where the next page begins; None on the last one.
    """

    rows: Sequence[Described]
    next_token: str | None


class EndpointCalls:
    """Describes and lists endpoints.

    :param hook: Asks SageMaker. The connection is looked up, and the client made, now.
    """

    def __init__(self, hook: SageMakerHostingHook) -> None:
        self._client = hook.conn
        credentials = hook.get_session(region_name=hook.region_name).get_credentials()
        #: Whose rates count: the account is not known without another call, its credentials are.
        self.account = (credentials.access_key if credentials else "", self._client.meta.region_name)

    def describe(self, name: str) -> Answer[Described | None]:
        """Return DescribeEndpoint's answer, or None when there is none of that name."""
        try:
            answer = self._client.describe_endpoint(EndpointName=name)
        except ClientError as error:
            if is_absent(error):
                return Answer(None, requests_of(error))
            raise
        return Answer(answer, _requests(answer))

    def page(self, next_token: str | None) -> Answer[Page]:
        """Return a page of ListEndpoints, the endpoints that were created last first.

        No filter: AWS filters after paging, so one saves no call (boto/boto3 2973, aws/aws-cli 7596).
        """
        request: ListEndpointsInputTypeDef = {
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
            "MaxResults": PAGE_SIZE,
        }
        if next_token:
            request["NextToken"] = next_token
        answer = self._client.list_endpoints(**request)
        return Answer(Page(answer["Endpoints"], answer.get("NextToken")), _requests(answer))


def requests_of(error: Exception) -> int:
    """Return how many requests a failed call took."""
    return _requests(error.response) if isinstance(error, ClientError) else 1


def _requests(answer: Any) -> int:
    return 1 + int(answer.get("ResponseMetadata", {}).get("RetryAttempts", 0))

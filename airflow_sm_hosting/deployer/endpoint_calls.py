"""Describe one endpoint or list all endpoints, and count the requests of each call; the same of inference components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from botocore.exceptions import ClientError

from airflow_sm_hosting.deployer.alarm_states import alarm_states_of
from airflow_sm_hosting.deployment.component import component_row, described_component
from airflow_sm_hosting.deployment.status import Described
from airflow_sm_hosting.hooks.errors import is_absent

if TYPE_CHECKING:
    from types_boto3_sagemaker.type_defs import ListEndpointsInputTypeDef, ListInferenceComponentsInputTypeDef

    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

T = TypeVar("T")

#: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListEndpoints.html: the maximum of MaxResults.
PAGE_SIZE = 100


@dataclass(frozen=True)
class Answer(Generic[T]):
    """An answer of AWS.

    :param value: The answer.
    :param requests: The number of requests: botocore itself repeats a throttled request.
    """

    value: T
    requests: int


@dataclass(frozen=True)
class Page:
    """A page of endpoints.

    :param rows: One row an endpoint, with some of the members of DescribeEndpoint.
    :param next_token: The token of the next page; None on the last page.
    """

    rows: Sequence[Described]
    next_token: str | None


class EndpointCalls:
    """Describes and lists endpoints.

    :param hook: The SageMaker hook. The constructor looks up the connection and makes the client.
    """

    def __init__(self, hook: SageMakerHostingHook) -> None:
        self._hook = hook
        self._client = hook.conn
        credentials = hook.get_session(region_name=hook.region_name).get_credentials()
        #: The owner of the rate limits: the credentials, as reading the account needs another call.
        self.account = (
            (credentials.access_key if credentials else None) or "",
            self._client.meta.region_name,
        )

    def alarm_states(self, names: Sequence[str]) -> dict[str, str]:
        """Return the states of alarms by name; no error if they cannot be read."""
        return alarm_states_of(self._hook, names)

    def look_up_again(self) -> None:
        """Have the next lookup of the connection make a new session."""
        self._hook.look_up_again()

    def describe(self, name: str) -> Answer[Described | None]:
        """Return DescribeEndpoint's answer, or None when the endpoint does not exist."""
        try:
            answer = self._client.describe_endpoint(EndpointName=name)
        except ClientError as error:
            if is_absent(error):
                return Answer(None, requests_of(error))
            raise
        return Answer(answer, _requests(answer))

    def page(self, next_token: str | None) -> Answer[Page]:
        """Return a page of ListEndpoints, newest endpoints first.

        No filter: AWS filters after paging, so a filter saves no call (boto/boto3 2973, aws/aws-cli 7596).
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


class ComponentCalls(EndpointCalls):
    """Describes and lists inference components, in the members of endpoints.

    :param hook: The SageMaker hook. The constructor looks up the connection and makes the client.
    """

    def describe(self, name: str) -> Answer[Described | None]:
        """Return DescribeInferenceComponent's answer, or None when the component does not exist."""
        try:
            answer = self._client.describe_inference_component(InferenceComponentName=name)
        except ClientError as error:
            if is_absent(error):
                return Answer(None, requests_of(error))
            raise
        return Answer(described_component(answer), _requests(answer))

    def page(self, next_token: str | None) -> Answer[Page]:
        """Return a page of ListInferenceComponents, newest components first."""
        request: ListInferenceComponentsInputTypeDef = {
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
            "MaxResults": PAGE_SIZE,
        }
        if next_token:
            request["NextToken"] = next_token
        answer = self._client.list_inference_components(**request)
        rows = [component_row(row) for row in answer["InferenceComponents"]]
        return Answer(Page(rows, answer.get("NextToken")), _requests(answer))


def requests_of(error: Exception) -> int:
    """Return the number of requests of a failed call."""
    return _requests(error.response) if isinstance(error, ClientError) else 1


def _requests(answer: Any) -> int:
    return 1 + int(answer.get("ResponseMetadata", {}).get("RetryAttempts", 0))
